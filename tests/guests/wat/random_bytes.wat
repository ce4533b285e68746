;; Draws from the secure generator and from the insecure one.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure@0.2.0" (instance $insecure
    (export "get-insecure-random-u64" (func (result u64)))))
  (core func $secure (canon lower (func $random "get-random-u64")))
  (core func $insecure (canon lower (func $insecure "get-insecure-random-u64")))
  (core module $m
    (import "random" "secure" (func $secure (result i64)))
    (import "random" "insecure" (func $insecure (result i64)))
    (func (export "secure") (result i64) (call $secure))
    (func (export "insecure") (result i64) (call $insecure)))
  (core instance $i (instantiate $m
    (with "random" (instance
      (export "secure" (func $secure))
      (export "insecure" (func $insecure))))))
  (func (export "random-u64") (result u64) (canon lift (core func $i "secure")))
  (func (export "insecure-u64") (result u64) (canon lift (core func $i "insecure"))))

;; Imports what no host gives.
(component
  (import "acme:secret/store" (instance $store
    (export "reveal" (func (result u32)))))
  (core func $reveal (canon lower (func $store "reveal")))
  (core module $m
    (import "acme" "reveal" (func $reveal (result i32)))
    (func (export "reveal") (result i32) (call $reveal)))
  (core instance $i (instantiate $m
    (with "acme" (instance (export "reveal" (func $reveal))))))
  (func (export "reveal") (result u32) (canon lift (core func $i "reveal"))))

;; `open` returns a resource, which has no JSON form; `answer` is a tool all the same.
(component
  (type $ticket' (resource (rep i32)))
  (export $ticket "ticket" (type $ticket'))
  (core func $new (canon resource.new $ticket'))
  (core module $m
    (import "ticket" "new" (func $new (param i32) (result i32)))
    (func (export "open") (result i32) (call $new (i32.const 7)))
    (func (export "answer") (result i32) (i32.const 42)))
  (core instance $i (instantiate $m
    (with "ticket" (instance (export "new" (func $new))))))
  (func (export "open") (result (own $ticket)) (canon lift (core func $i "open")))
  (func (export "answer") (result u32) (canon lift (core func $i "answer"))))

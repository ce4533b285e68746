;; Two exported interfaces that both have a `run`: 1 is the first one's answer, 2 the second one's.
(component
  (core module $m
    (func (export "one") (result i32) (i32.const 1))
    (func (export "two") (result i32) (i32.const 2)))
  (core instance $i (instantiate $m))
  (func $one (result u32) (canon lift (core func $i "one")))
  (func $two (result u32) (canon lift (core func $i "two")))
  (instance $first (export "run" (func $one)))
  (instance $second (export "run" (func $two)))
  (export "test:same/first@1.0.0" (instance $first))
  (export "test:same/second@1.0.0" (instance $second)))

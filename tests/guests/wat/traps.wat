;; One export for each way in which WebAssembly code traps by itself.
(component
  (core module $m
    (memory 1)
    (func (export "unreachable") unreachable)
    (func (export "oob") (result i32) (i32.load (i32.const 65533)))
    (func (export "divzero") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    ;; The addition after the call keeps the engine from making a loop of it.
    (func $stack (export "stack") (result i32) (i32.add (call $stack) (i32.const 1))))
  (core instance $i (instantiate $m))
  (func (export "trap-unreachable") (canon lift (core func $i "unreachable")))
  (func (export "trap-oob") (result u32) (canon lift (core func $i "oob")))
  (func (export "trap-divzero") (param "divisor" u32) (result u32)
    (canon lift (core func $i "divzero")))
  (func (export "trap-stack") (result u32) (canon lift (core func $i "stack"))))

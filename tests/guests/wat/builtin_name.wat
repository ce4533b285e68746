;; Exports that are spelled like built-in tools.
(component
  (core module $m
    (func (export "f") (result i32) (i32.const 42)))
  (core instance $i (instantiate $m))
  (func (export "list-components") (result u32) (canon lift (core func $i "f")))
  (func (export "load-component") (result u32) (canon lift (core func $i "f"))))

;; An export of 136 characters: MCP allows 128.
(component
  (core module $m
    (func (export "f") (result i32) (i32.const 42)))
  (core instance $i (instantiate $m))
  (func
    (export "a-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-very-long-name")
    (result u32)
    (canon lift (core func $i "f"))))

;; One memory that grows by the pages asked for; -1 is the engine's refusal.
(component
  (core module $m
    (memory 1)
    (func (export "grow-pages") (param i32) (result i32)
      (memory.grow (local.get 0))))
  (core instance $i (instantiate $m))
  (func (export "grow-pages") (param "pages" u32) (result s32)
    (canon lift (core func $i "grow-pages"))))

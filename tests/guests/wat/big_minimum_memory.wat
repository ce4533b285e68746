;; Wants 257 MiB (4112 pages of 64 KiB) before it has done anything.
(component
  (core module $m
    (memory 4112)
    (func (export "nothing")))
  (core instance $i (instantiate $m))
  (func (export "nothing") (canon lift (core func $i "nothing"))))

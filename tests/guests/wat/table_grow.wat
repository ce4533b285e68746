;; Grows a table as long as it is allowed to, in steps of 1,000; the number of elements it got.
;; Tables are host memory that no limit on linear memory counts.
(component
  (core module $m
    (table $t 0 funcref)
    (func (export "grow-table") (result i32)
      (loop $again
        (br_if $again
          (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
      (table.size $t)))
  (core instance $i (instantiate $m))
  (func (export "grow-table") (result u32) (canon lift (core func $i "grow-table"))))

;; Loops while it is instantiated: no export is ever called.
(component
  (core module $m
    (func $start (loop $again (br $again)))
    (start $start)
    (func (export "nothing")))
  (core instance $i (instantiate $m))
  (func (export "nothing") (canon lift (core func $i "nothing"))))

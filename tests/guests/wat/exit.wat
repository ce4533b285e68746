;; Ends itself through the host, with success or with failure.
(component
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $m
    (import "wasi" "exit" (func $exit (param i32)))
    ;; The status is a result: 0 says ok, 1 says error.
    (func (export "leave") (param $ok i32) (call $exit (i32.eqz (local.get $ok)))))
  (core instance $i (instantiate $m
    (with "wasi" (instance (export "exit" (func $exit))))))
  (func (export "leave") (param "ok" bool) (canon lift (core func $i "leave"))))

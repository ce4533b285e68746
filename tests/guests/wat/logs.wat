;; Logs one line, as a guest of the draft wasi:logging does.
(component
  (import "wasi:logging/logging" (instance $logging
    (type $level' (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level')))
    (export "log"
      (func (param "level" $level) (param "context" string) (param "message" string)))))
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 0) "weather")
    (data (i32.const 16) "rain \e2\98\82"))
  (core instance $memory (instantiate $memory))
  (core func $log
    (canon lower (func $logging "log") (memory (core memory $memory "memory"))))
  (core module $m
    (import "wasi" "log" (func $log (param i32 i32 i32 i32 i32)))
    (func (export "logs")
      (call $log (i32.const 3) (i32.const 0) (i32.const 7) (i32.const 16) (i32.const 8))))
  (core instance $i (instantiate $m (with "wasi" (instance (export "log" (func $log))))))
  (func (export "logs") (canon lift (core func $i "logs"))))

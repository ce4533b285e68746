;; Passes on the native wasi:clocks/monotonic-clock: a host function that replaced one of its
;; functions can't call the native one itself. {V} is the version that the engine defines.
(component
  (import "wasi:io/poll@{V}" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@{V}" (instance $clock
    (export "pollable" (type $same (eq $pollable)))
    (export "now" (func (result u64)))
    (export "subscribe-instant" (func (param "when" u64) (result (own $same))))))
  (alias export $clock "now" (func $now))
  (alias export $clock "subscribe-instant" (func $instant))
  (core func $now_core (canon lower (func $now)))
  (core func $instant_core (canon lower (func $instant)))
  (core module $pass
    (import "native" "now" (func $now (result i64)))
    (import "native" "instant" (func $instant (param i64) (result i32)))
    (func (export "now") (result i64) (call $now))
    (func (export "instant") (param i64) (result i32) (call $instant (local.get 0))))
  (core instance $passed (instantiate $pass (with "native" (instance
    (export "now" (func $now_core))
    (export "instant" (func $instant_core))))))
  (func (export "now") (result u64) (canon lift (core func $passed "now")))
  (func (export "subscribe-instant") (param "when" u64) (result (own $pollable))
    (canon lift (core func $passed "instant"))))

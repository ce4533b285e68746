;; A guest that asks for every function that the clock guard replaces, at version {V}.
(component
  (import "wasi:io/poll@{V}" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@{V}" (instance $clock
    (export "pollable" (type $same (eq $pollable)))
    (export "subscribe-instant" (func (param "when" u64) (result (own $same))))
    (export "subscribe-duration" (func (param "when" u64) (result (own $same))))))
  (alias export $clock "subscribe-instant" (func $instant))
  (alias export $clock "subscribe-duration" (func $duration))
  (core func $instant_core (canon lower (func $instant)))
  (core func $duration_core (canon lower (func $duration)))
  (core module $ask
    (import "host" "instant" (func $instant (param i64) (result i32)))
    (import "host" "duration" (func $duration (param i64) (result i32)))
    (func (export "ask-instant") (drop (call $instant (i64.const 1))))
    (func (export "ask-duration") (drop (call $duration (i64.const 1)))))
  (core instance $asked (instantiate $ask (with "host" (instance
    (export "instant" (func $instant_core))
    (export "duration" (func $duration_core))))))
  (func (export "subscribe-instant") (canon lift (core func $asked "ask-instant")))
  (func (export "subscribe-duration") (canon lift (core func $asked "ask-duration"))))

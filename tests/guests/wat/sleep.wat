;; Waits inside a host call, where neither fuel nor an epoch ends it.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "pollable" (type $p (eq $pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core module $m
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "drop" (func $drop (param i32)))
    (func (export "sleep") (param $milliseconds i32)
      (local $pollable i32)
      (local.set $pollable
        (call $subscribe
          (i64.mul (i64.extend_i32_u (local.get $milliseconds)) (i64.const 1000000))))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))))
  (core instance $i (instantiate $m
    (with "wasi" (instance
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "drop" (func $drop))))))
  (func (export "sleep-ms") (param "milliseconds" u32) (canon lift (core func $i "sleep"))))

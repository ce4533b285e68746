;; Writes n bytes to standard output, 4,096 at a time: the most that the host promises to take.
(component
  (import "wasi:io/error@0.2.0" (instance $errors
    (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "error" (type $e (eq $error)))
    (type $stream-error' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "output-stream" (type $output-stream (sub resource)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (export "output-stream" (type $o (eq $output-stream)))
    (export "get-stdout" (func (result (own $o))))))
  (core module $memory
    ;; The first page is the text, the second one has room for the result of a write.
    (memory (export "memory") 2)
    (func $fill
      (local $at i32)
      (loop $again
        (i32.store8 (local.get $at) (i32.const 0x2e))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $at) (i32.const 4096)))))
    (start $fill))
  (core instance $memory (instantiate $memory))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write
    (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
      (memory (core memory $memory "memory"))))
  (core func $drop (canon resource.drop $output-stream))
  (core module $m
    (import "wasi" "memory" (memory 2))
    (import "wasi" "get-stdout" (func $get-stdout (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    (import "wasi" "drop" (func $drop (param i32)))
    (func (export "say") (param $left i32)
      (local $stdout i32) (local $now i32)
      (local.set $stdout (call $get-stdout))
      (block $done
        (loop $again
          (br_if $done (i32.eqz (local.get $left)))
          (local.set $now
            (select (local.get $left) (i32.const 4096)
              (i32.lt_u (local.get $left) (i32.const 4096))))
          (call $write (local.get $stdout) (i32.const 0) (local.get $now) (i32.const 65536))
          ;; A stream that is closed or broken takes no more: the guest goes on without it.
          (br_if $done (i32.load8_u (i32.const 65536)))
          (local.set $left (i32.sub (local.get $left) (local.get $now)))
          (br $again)))
      (call $drop (local.get $stdout))))
  (core instance $i (instantiate $m
    (with "wasi" (instance
      (export "memory" (memory $memory "memory"))
      (export "get-stdout" (func $get-stdout))
      (export "write" (func $write))
      (export "drop" (func $drop))))))
  (func (export "say") (param "n" u32) (canon lift (core func $i "say"))))

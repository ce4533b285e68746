;; Passes on what of the native wasi:filesystem the guard needs: a host function that replaced one
;; of its functions can't call the native one itself. {V} is the version that the engine defines.
;;
;; A borrowed handle is one of its own here, to be dropped before the function returns. A path is
;; put into the memory before a function runs, and what it returns is read after it has returned:
;; so the memory is taken back in post-return alone.
(component
  (import "wasi:io/error@{V}" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@{V}" (instance $streams
    (export "input-stream" (type (sub resource)))
    (export "output-stream" (type (sub resource)))))
  (alias export $streams "input-stream" (type $in))
  (alias export $streams "output-stream" (type $out))
  (import "wasi:filesystem/types@{V}" (instance $files
    (export "descriptor" (type $d (sub resource)))
    (type $code' (enum
      "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io"
      "is-directory" "loop" "too-many-links" "message-size" "name-too-long" "no-device" "no-entry"
      "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
      "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe"
      "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $code')))
    (type $flags' (flags
      "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync"
      "mutate-directory"))
    (export "descriptor-flags" (type $flags (eq $flags')))
    (type $path-flags' (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags')))
    (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-flags')))
    (export "[method]descriptor.open-at" (func
      (param "self" (borrow $d)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $flags)
      (result (result (own $d) (error $code)))))
    (export "[method]descriptor.read-via-stream" (func
      (param "self" (borrow $d)) (param "offset" u64)
      (result (result (own $in) (error $code)))))
    (export "[method]descriptor.write-via-stream" (func
      (param "self" (borrow $d)) (param "offset" u64)
      (result (result (own $out) (error $code)))))
    (export "[method]descriptor.append-via-stream" (func
      (param "self" (borrow $d))
      (result (result (own $out) (error $code)))))
    (export "filesystem-error-code" (func
      (param "err" (borrow $error)) (result (option $code))))))
  (alias export $files "descriptor" (type $d))
  (alias export $files "error-code" (type $code))
  (alias export $files "descriptor-flags" (type $flags))
  (alias export $files "path-flags" (type $path-flags))
  (alias export $files "open-flags" (type $open-flags))
  (import "wasi:filesystem/preopens@{V}" (instance $preopens
    (export "descriptor" (type $same (eq $d)))
    (export "get-directories" (func (result (list (tuple (own $same) string)))))))

  (core module $room
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "reset") (param i32) (global.set $next (i32.const 4096)))
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
        (result i32)
      (local $at i32) (local $missing i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (if (i32.lt_u (global.get $next) (local.get $at)) (then unreachable))
      (local.set $missing (i32.sub
        (i32.shr_u (i32.add (global.get $next) (i32.const 65535)) (i32.const 16)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (if (local.get $had) (then unreachable)) ;; nothing is ever made larger here
      (local.get $at)))
  (core instance $room (instantiate $room))
  (alias core export $room "memory" (core memory $memory))
  (alias core export $room "realloc" (core func $realloc))
  (alias core export $room "reset" (core func $reset))
  (core func $drop-d (canon resource.drop $d))
  (core func $drop-error (canon resource.drop $error))

  (alias export $files "[method]descriptor.open-at" (func $open-at))
  (core func $open-at' (canon lower (func $open-at) (memory $memory) (realloc $realloc)))
  (alias export $files "[method]descriptor.read-via-stream" (func $read))
  (core func $read' (canon lower (func $read) (memory $memory) (realloc $realloc)))
  (alias export $files "[method]descriptor.write-via-stream" (func $write))
  (core func $write' (canon lower (func $write) (memory $memory) (realloc $realloc)))
  (alias export $files "[method]descriptor.append-via-stream" (func $append))
  (core func $append' (canon lower (func $append) (memory $memory) (realloc $realloc)))
  (alias export $files "filesystem-error-code" (func $code-of))
  (core func $code-of' (canon lower (func $code-of) (memory $memory) (realloc $realloc)))
  (alias export $preopens "get-directories" (func $directories))
  (core func $directories' (canon lower (func $directories) (memory $memory) (realloc $realloc)))

  ;; What is returned stands at 1024: no call here is made within another.
  (core module $pass
    (import "n" "drop-d" (func $drop-d (param i32)))
    (import "n" "drop-error" (func $drop-error (param i32)))
    (import "n" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "n" "read" (func $read (param i32 i64 i32)))
    (import "n" "write" (func $write (param i32 i64 i32)))
    (import "n" "append" (func $append (param i32 i32)))
    (import "n" "code-of" (func $code-of (param i32 i32)))
    (import "n" "directories" (func $directories (param i32)))
    (func (export "open-at") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $open-at (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
        (local.get 5) (i32.const 1024))
      (call $drop-d (local.get 0))
      (i32.const 1024))
    (func (export "read") (param i32 i64) (result i32)
      (call $read (local.get 0) (local.get 1) (i32.const 1024))
      (call $drop-d (local.get 0))
      (i32.const 1024))
    (func (export "write") (param i32 i64) (result i32)
      (call $write (local.get 0) (local.get 1) (i32.const 1024))
      (call $drop-d (local.get 0))
      (i32.const 1024))
    (func (export "append") (param i32) (result i32)
      (call $append (local.get 0) (i32.const 1024))
      (call $drop-d (local.get 0))
      (i32.const 1024))
    (func (export "code-of") (param i32) (result i32)
      (call $code-of (local.get 0) (i32.const 1024))
      (call $drop-error (local.get 0))
      (i32.const 1024))
    (func (export "directories") (result i32)
      (call $directories (i32.const 1024))
      (i32.const 1024)))
  (core instance $passed (instantiate $pass (with "n" (instance
    (export "drop-d" (func $drop-d))
    (export "drop-error" (func $drop-error))
    (export "open-at" (func $open-at'))
    (export "read" (func $read'))
    (export "write" (func $write'))
    (export "append" (func $append'))
    (export "code-of" (func $code-of'))
    (export "directories" (func $directories'))))))

  (func (export "open-at")
    (param "self" (borrow $d)) (param "path-flags" $path-flags) (param "path" string)
    (param "open-flags" $open-flags) (param "flags" $flags)
    (result (result (own $d) (error $code)))
    (canon lift (core func $passed "open-at") (memory $memory) (realloc $realloc)
      (post-return $reset)))
  (func (export "read-via-stream") (param "self" (borrow $d)) (param "offset" u64)
    (result (result (own $in) (error $code)))
    (canon lift (core func $passed "read") (memory $memory) (post-return $reset)))
  (func (export "write-via-stream") (param "self" (borrow $d)) (param "offset" u64)
    (result (result (own $out) (error $code)))
    (canon lift (core func $passed "write") (memory $memory) (post-return $reset)))
  (func (export "append-via-stream") (param "self" (borrow $d))
    (result (result (own $out) (error $code)))
    (canon lift (core func $passed "append") (memory $memory) (post-return $reset)))
  (func (export "filesystem-error-code") (param "err" (borrow $error))
    (result (option $code))
    (canon lift (core func $passed "code-of") (memory $memory) (post-return $reset)))
  (func (export "get-directories") (result (list (tuple (own $d) string)))
    (canon lift (core func $passed "directories") (memory $memory) (post-return $reset))))

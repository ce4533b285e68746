;; What a tool in WebAssembly's own text can do: one function for each row of docs/languages.md.
;; A core module, as compilers make them: `wasm-tools` makes a component of it, with an adapter
;; for the older WASI that it imports. The canonical ABI says how values lie in memory.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"
    (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; Below 1024: results (0), vectors of bytes (256), small answers of the host (320), a
  ;; subscription (384), an event (448). Above 4096 what is allocated; nothing is ever freed.
  (memory (export "memory") 4)
  (data (i32.const 512) "can't open it")
  (data (i32.const 544) "\n")
  (global $top (mut i32) (i32.const 4096))

  (func $allocate (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (loop $grow
        (br_if $fits
          (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
        (br $grow)))
    (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
    (local.get $at))

  (func $new (param $size i32) (result i32)
    (call $allocate (i32.const 0) (i32.const 0) (i32.const 8) (local.get $size)))

  ;; --- types: what came in registers is laid into memory ------------------------------------

  (func $pair (param $pointer i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $pointer))
    (i32.store (i32.const 4) (local.get $length))
    (i32.const 0))
  (export "echo-text" (func $pair))
  (export "echo-list" (func $pair))
  (export "echo-bytes" (func $pair))

  (func $same (param $value i32) (result i32) (local.get $value))
  (export "echo-mood" (func $same))
  (export "echo-days" (func $same))

  (func (export "echo-numbers")
    (param $tiny i32) (param $byte i32) (param $short i32) (param $word i32) (param $int i32)
    (param $unsigned i32) (param $long i64) (param $huge i64) (param $single f32)
    (param $double f64) (param $truth i32) (param $letter i32) (result i32)
    (i32.store8 (i32.const 0) (local.get $tiny))
    (i32.store8 (i32.const 1) (local.get $byte))
    (i32.store16 (i32.const 2) (local.get $short))
    (i32.store16 (i32.const 4) (local.get $word))
    (i32.store (i32.const 8) (local.get $int))
    (i32.store (i32.const 12) (local.get $unsigned))
    (i64.store (i32.const 16) (local.get $long))
    (i64.store (i32.const 24) (local.get $huge))
    (f32.store (i32.const 32) (local.get $single))
    (f64.store (i32.const 40) (local.get $double))
    (i32.store8 (i32.const 48) (local.get $truth))
    (i32.store (i32.const 52) (local.get $letter))
    (i32.const 0))

  ;; A place is a tag, and from 8 on a text (two words) or a point (two f64, here as their bits).
  (func $place (param $at i32) (param $tag i32) (param $first i64) (param $second i64)
    (i32.store8 (local.get $at) (local.get $tag))
    (if (i32.eq (local.get $tag) (i32.const 1))
      (then
        (i32.store offset=8 (local.get $at) (i32.wrap_i64 (local.get $first)))
        (i32.store offset=12 (local.get $at) (i32.wrap_i64 (local.get $second))))
      (else
        (i64.store offset=8 (local.get $at) (local.get $first))
        (i64.store offset=16 (local.get $at) (local.get $second)))))

  (func (export "echo-place") (param $tag i32) (param $first i64) (param $second i64) (result i32)
    (call $place (i32.const 0) (local.get $tag) (local.get $first) (local.get $second))
    (i32.const 0))

  (func (export "echo-person")
    (param $name i32) (param $name_length i32) (param $known i32) (param $nickname i32)
    (param $nickname_length i32) (param $mood i32) (param $free i32) (param $scores i32)
    (param $scores_length i32) (param $tag i32) (param $first i64) (param $second i64)
    (result i32)
    (i32.store (i32.const 0) (local.get $name))
    (i32.store (i32.const 4) (local.get $name_length))
    (i32.store8 (i32.const 8) (local.get $known))
    (i32.store (i32.const 12) (local.get $nickname))
    (i32.store (i32.const 16) (local.get $nickname_length))
    (i32.store8 (i32.const 20) (local.get $mood))
    (i32.store8 (i32.const 21) (local.get $free))
    (i32.store (i32.const 24) (local.get $scores))
    (i32.store (i32.const 28) (local.get $scores_length))
    (call $place (i32.const 32) (local.get $tag) (local.get $first) (local.get $second))
    (i32.const 0))

  (func $tagged (param $tag i32) (param $first i32) (param $second i32) (result i32)
    (i32.store8 (i32.const 0) (local.get $tag))
    (i32.store (i32.const 4) (local.get $first))
    (i32.store (i32.const 8) (local.get $second))
    (i32.const 0))
  (export "echo-option" (func $tagged))
  (export "echo-result" (func $tagged))

  (func (export "echo-tuple")
    (param $pointer i32) (param $length i32) (param $number i32) (result i32)
    (drop (call $pair (local.get $pointer) (local.get $length)))
    (i32.store (i32.const 8) (local.get $number))
    (i32.const 0))

  ;; --- output -------------------------------------------------------------------------------

  (func $line (param $descriptor i32) (param $pointer i32) (param $length i32)
    (i32.store (i32.const 256) (local.get $pointer))
    (i32.store (i32.const 260) (local.get $length))
    (i32.store (i32.const 264) (i32.const 544))
    (i32.store (i32.const 268) (i32.const 1))
    ;; One vector in one call: the adapter takes the first of several, and says how much it took.
    (drop (call $fd_write
      (local.get $descriptor) (i32.const 256) (i32.const 1) (i32.const 320)))
    (drop (call $fd_write
      (local.get $descriptor) (i32.const 264) (i32.const 1) (i32.const 320))))

  (func (export "print")
    (param $out i32) (param $out_length i32) (param $err i32) (param $err_length i32)
    (call $line (i32.const 1) (local.get $out) (local.get $out_length))
    (call $line (i32.const 2) (local.get $err) (local.get $err_length)))

  ;; --- files --------------------------------------------------------------------------------

  (func $starts_with
    (param $text i32) (param $length i32) (param $start i32) (param $start_length i32)
    (result i32)
    (local $at i32)
    (if (i32.le_u (local.get $length) (local.get $start_length)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eq (local.get $at) (local.get $start_length)) (then (return (i32.const 1))))
      (if (i32.ne
            (i32.load8_u (i32.add (local.get $text) (local.get $at)))
            (i32.load8_u (i32.add (local.get $start) (local.get $at))))
        (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; A descriptor, or -1: below the first granted directory whose name the path begins with.
  (func $open (param $path i32) (param $length i32) (param $how i32) (param $rights i64)
    (result i32)
    (local $directory i32) (local $name i32) (local $name_length i32) (local $rest i32)
    (local.set $directory (i32.const 3)) ;; the first after standard error
    (loop $next
      (if (call $fd_prestat_get (local.get $directory) (i32.const 320))
        (then (return (i32.const -1))))
      (local.set $name_length (i32.load (i32.const 324)))
      (local.set $name (call $new (local.get $name_length)))
      (drop (call $fd_prestat_dir_name
        (local.get $directory) (local.get $name) (local.get $name_length)))
      (if (call $starts_with
            (local.get $path) (local.get $length) (local.get $name) (local.get $name_length))
        (then
          (local.set $rest (i32.add (local.get $name_length) (i32.const 1)))
          (if (call $path_open
                (local.get $directory) (i32.const 1)
                (i32.add (local.get $path) (local.get $rest))
                (i32.sub (local.get $length) (local.get $rest))
                (local.get $how) (local.get $rights) (i64.const 0) (i32.const 0)
                (i32.const 320))
            (then (return (i32.const -1))))
          (return (i32.load (i32.const 320)))))
      (local.set $directory (i32.add (local.get $directory) (i32.const 1)))
      (br $next))
    (unreachable))

  (func $refused (result i32) (call $tagged (i32.const 1) (i32.const 512) (i32.const 13)))

  (func (export "read-file") (param $path i32) (param $length i32) (result i32)
    (local $file i32) (local $content i32)
    (local.set $file ;; the right to read
      (call $open (local.get $path) (local.get $length) (i32.const 0) (i64.const 2)))
    (if (i32.eq (local.get $file) (i32.const -1)) (then (return (call $refused))))
    (local.set $content (call $new (i32.const 65536)))
    (i32.store (i32.const 256) (local.get $content))
    (i32.store (i32.const 260) (i32.const 65536))
    (if (call $fd_read (local.get $file) (i32.const 256) (i32.const 1) (i32.const 320))
      (then (return (call $refused))))
    (call $tagged (i32.const 0) (local.get $content) (i32.load (i32.const 320))))

  (func (export "write-file")
    (param $path i32) (param $length i32) (param $text i32) (param $text_length i32) (result i32)
    (local $file i32)
    (local.set $file ;; create and truncate; the right to write
      (call $open (local.get $path) (local.get $length) (i32.const 9) (i64.const 64)))
    (if (i32.eq (local.get $file) (i32.const -1)) (then (return (call $refused))))
    (i32.store (i32.const 256) (local.get $text))
    (i32.store (i32.const 260) (local.get $text_length))
    (if (call $fd_write (local.get $file) (i32.const 256) (i32.const 1) (i32.const 320))
      (then (return (call $refused))))
    (call $tagged (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; --- environment --------------------------------------------------------------------------

  (func $length_of (param $text i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then
          (local.set $end (i32.add (local.get $end) (i32.const 1)))
          (br $next))))
    (i32.sub (local.get $end) (local.get $text)))

  (func (export "variable") (param $name i32) (param $name_length i32) (result i32)
    (local $left i32) (local $each i32) (local $text i32) (local $length i32)
    (drop (call $environ_sizes_get (i32.const 320) (i32.const 324)))
    (local.set $left (i32.load (i32.const 320)))
    (local.set $each (call $new (i32.mul (local.get $left) (i32.const 4))))
    (drop (call $environ_get (local.get $each) (call $new (i32.load (i32.const 324)))))
    (block $none
      (loop $next
        (br_if $none (i32.eqz (local.get $left)))
        (local.set $text (i32.load (local.get $each)))
        (local.set $length (call $length_of (local.get $text)))
        (if (call $starts_with
              (local.get $text) (local.get $length) (local.get $name) (local.get $name_length))
          (then
            (local.set $text (i32.add (local.get $text) (local.get $name_length)))
            (if (i32.eq (i32.load8_u (local.get $text)) (i32.const 0x3d)) ;; =
              (then
                (local.set $text (i32.add (local.get $text) (i32.const 1)))
                (return
                  (call $tagged (i32.const 1)
                    (local.get $text) (call $length_of (local.get $text))))))))
        (local.set $each (i32.add (local.get $each) (i32.const 4)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (call $tagged (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; --- time, randomness, ends ---------------------------------------------------------------

  (func $milliseconds (param $clock i32) (result i64)
    (drop (call $clock_time_get (local.get $clock) (i64.const 1) (i32.const 328)))
    (i64.div_u (i64.load (i32.const 328)) (i64.const 1000000)))

  (func (export "now") (result i64) (call $milliseconds (i32.const 0)))

  (func (export "random") (result i32)
    (local $bytes i32)
    (local.set $bytes (call $new (i32.const 16)))
    (if (call $random_get (local.get $bytes) (i32.const 16)) (then (unreachable)))
    (call $pair (local.get $bytes) (i32.const 16)))

  (func (export "sleep") (param $duration i32) (result i32)
    (local $began i64)
    (local.set $began (call $milliseconds (i32.const 1)))
    (memory.fill (i32.const 384) (i32.const 0) (i32.const 48))
    (i32.store (i32.const 400) (i32.const 1)) ;; the monotonic clock
    (i64.store (i32.const 408)
      (i64.mul (i64.extend_i32_u (local.get $duration)) (i64.const 1000000)))
    (drop (call $poll_oneoff (i32.const 384) (i32.const 448) (i32.const 1) (i32.const 320)))
    (i32.wrap_i64 (i64.sub (call $milliseconds (i32.const 1)) (local.get $began))))

  (func (export "exit-with") (param $code i32) (call $proc_exit (local.get $code)))

  (func (export "fail") (unreachable))

  (func (export "spin") (loop $forever (br $forever))))

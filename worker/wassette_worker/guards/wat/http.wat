;; Passes on what of the native wasi:http the guard needs: a host function that replaced one of its
;; functions can't call the native one itself. {V} is the version that the engine defines.
;;
;; A borrowed handle is one of its own here, to be dropped before the function returns.
(component
  (import "wasi:io/poll@{V}" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@{V}" (instance $clock
    (export "pollable" (type $same-pollable (eq $pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $same-pollable))))))
  (import "wasi:http/types@{V}" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "outgoing-request" (type $request (sub resource)))
    (export "request-options" (type $options (sub resource)))
    (export "incoming-response" (type $response (sub resource)))
    (export "future-incoming-response" (type $future (sub resource)))
    (type $method' (variant
      (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect")
      (case "options") (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $method')))
    (type $scheme' (variant (case "HTTP") (case "HTTPS") (case "other" string)))
    (export "scheme" (type $scheme (eq $scheme')))
    (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns')))
    (type $tls' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls (eq $tls')))
    (type $size' (record
      (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size')))
    (type $error' (variant
      (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
      (case "destination-unavailable") (case "destination-IP-prohibited")
      (case "destination-IP-unroutable") (case "connection-refused")
      (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout")
      (case "connection-write-timeout") (case "connection-limit-reached")
      (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tls)
      (case "HTTP-request-denied") (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32))
      (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32))
      (case "HTTP-request-trailer-size" $size) (case "HTTP-response-incomplete")
      (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32))
      (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error (eq $error')))
    (export "[method]outgoing-request.method" (func
      (param "self" (borrow $request)) (result $method)))
    (export "[method]outgoing-request.scheme" (func
      (param "self" (borrow $request)) (result (option $scheme))))
    (export "[method]outgoing-request.authority" (func
      (param "self" (borrow $request)) (result (option string))))
    (export "[method]outgoing-request.path-with-query" (func
      (param "self" (borrow $request)) (result (option string))))
    (export "[method]outgoing-request.set-scheme" (func
      (param "self" (borrow $request)) (param "scheme" (option $scheme)) (result (result))))
    (export "[method]outgoing-request.set-authority" (func
      (param "self" (borrow $request)) (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-path-with-query" (func
      (param "self" (borrow $request)) (param "path-with-query" (option string))
      (result (result))))
    (export "[method]incoming-response.status" (func
      (param "self" (borrow $response)) (result u16)))
    (export "[method]incoming-response.headers" (func
      (param "self" (borrow $response)) (result (own $fields))))
    (export "[method]fields.get" (func
      (param "self" (borrow $fields)) (param "name" string) (result (list (list u8)))))
    (export "[method]future-incoming-response.get" (func
      (param "self" (borrow $future))
      (result (option (result (result (own $response) (error $error)))))))))
  (alias export $types "fields" (type $fields))
  (alias export $types "outgoing-request" (type $request))
  (alias export $types "request-options" (type $options))
  (alias export $types "incoming-response" (type $response))
  (alias export $types "future-incoming-response" (type $future))
  (alias export $types "method" (type $method))
  (alias export $types "scheme" (type $scheme))
  (alias export $types "error-code" (type $error))
  (import "wasi:http/outgoing-handler@{V}" (instance $handler
    (export "outgoing-request" (type $same-request (eq $request)))
    (export "request-options" (type $same-options (eq $options)))
    (export "future-incoming-response" (type $same-future (eq $future)))
    (export "error-code" (type $same-error (eq $error)))
    (export "handle" (func
      (param "request" (own $same-request)) (param "options" (option (own $same-options)))
      (result (result (own $same-future) (error $same-error)))))))

  (core module $room
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 4096))
    (func (export "reset") (global.set $next (i32.const 4096)))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      ;; More than there is room for, and more than any request has, ends the call.
      (if (i32.gt_u (local.get $size) (i32.const 131072)) (then unreachable))
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $next) (i32.const 262144)) (then unreachable))
      (local.get $at)))
  (core instance $room (instantiate $room))
  (alias core export $room "memory" (core memory $memory))
  (alias core export $room "realloc" (core func $realloc))
  (alias core export $room "reset" (core func $reset))

  (alias export $types "[method]outgoing-request.method" (func $method-of))
  (alias export $types "[method]outgoing-request.scheme" (func $scheme-of))
  (alias export $types "[method]outgoing-request.authority" (func $authority-of))
  (alias export $types "[method]outgoing-request.path-with-query" (func $path-of))
  (alias export $types "[method]outgoing-request.set-scheme" (func $set-scheme))
  (alias export $types "[method]outgoing-request.set-authority" (func $set-authority))
  (alias export $types "[method]outgoing-request.set-path-with-query" (func $set-path))
  (alias export $types "[method]incoming-response.status" (func $status))
  (alias export $types "[method]incoming-response.headers" (func $headers))
  (alias export $types "[method]fields.get" (func $field))
  (alias export $types "[method]future-incoming-response.get" (func $get))
  (alias export $handler "handle" (func $handle))
  (alias export $poll "[method]pollable.block" (func $block))
  (alias export $clock "subscribe-duration" (func $subscribe))
  (core func $block-core (canon lower (func $block)))
  (core func $subscribe-core (canon lower (func $subscribe)))
  (core func $drop-pollable (canon resource.drop $pollable))
  (core func $method-core (canon lower (func $method-of) (memory $memory) (realloc $realloc)))
  (core func $scheme-core (canon lower (func $scheme-of) (memory $memory) (realloc $realloc)))
  (core func $authority-core (canon lower (func $authority-of) (memory $memory) (realloc $realloc)))
  (core func $path-core (canon lower (func $path-of) (memory $memory) (realloc $realloc)))
  (core func $set-scheme-core (canon lower (func $set-scheme) (memory $memory) (realloc $realloc)))
  (core func $set-authority-core
    (canon lower (func $set-authority) (memory $memory) (realloc $realloc)))
  (core func $set-path-core (canon lower (func $set-path) (memory $memory) (realloc $realloc)))
  (core func $status-core (canon lower (func $status)))
  (core func $headers-core (canon lower (func $headers)))
  (core func $field-core (canon lower (func $field) (memory $memory) (realloc $realloc)))
  (core func $get-core (canon lower (func $get) (memory $memory) (realloc $realloc)))
  (core func $handle-core (canon lower (func $handle) (memory $memory) (realloc $realloc)))
  (core func $drop-request (canon resource.drop $request))
  (core func $drop-response (canon resource.drop $response))
  (core func $drop-future (canon resource.drop $future))
  (core func $drop-fields (canon resource.drop $fields))

  (core module $pass
    (import "room" "memory" (memory 4))
    (import "room" "reset" (func $reset))
    (import "native" "method" (func $method (param i32 i32)))
    (import "native" "scheme" (func $scheme (param i32 i32)))
    (import "native" "authority" (func $authority (param i32 i32)))
    (import "native" "path" (func $path (param i32 i32)))
    (import "native" "set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "native" "set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
    (import "native" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
    (import "native" "status" (func $status (param i32) (result i32)))
    (import "native" "headers" (func $headers (param i32) (result i32)))
    (import "native" "field" (func $field (param i32 i32 i32 i32)))
    (import "native" "get" (func $get (param i32 i32)))
    (import "native" "handle" (func $handle (param i32 i32 i32 i32)))
    (import "native" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "native" "block" (func $block (param i32)))
    (import "native" "drop-pollable" (func $drop-pollable (param i32)))
    (import "native" "drop-request" (func $drop-request (param i32)))
    (import "native" "drop-response" (func $drop-response (param i32)))
    (import "native" "drop-future" (func $drop-future (param i32)))
    (import "native" "drop-fields" (func $drop-fields (param i32)))

    ;; Waits for nothing: the engine has started its threads then.
    (func (export "wake") (local $pollable i32)
      (local.set $pollable (call $subscribe (i64.const 0)))
      (call $block (local.get $pollable))
      (call $drop-pollable (local.get $pollable)))

    ;; A tuple of the request's method, scheme, authority and path, laid out at 2048.
    (func (export "describe") (param $request i32) (result i32)
      (call $reset)
      (call $method (local.get $request) (i32.const 2048)) ;; 12 bytes
      (call $scheme (local.get $request) (i32.const 2060)) ;; 16 bytes
      (call $authority (local.get $request) (i32.const 2076)) ;; 12 bytes
      (call $path (local.get $request) (i32.const 2088))
      (call $drop-request (local.get $request))
      (i32.const 2048))

    ;; Whether the request goes there now, by plain HTTP.
    (func (export "redirect")
      (param $request i32) (param $authority i32) (param $length i32)
      (param $path i32) (param $path-length i32) (result i32)
      (local $failed i32)
      (local.set $failed
        (call $set-scheme (local.get $request)
          (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
      (local.set $failed (i32.or (local.get $failed)
        (call $set-authority (local.get $request)
          (i32.const 1) (local.get $authority) (local.get $length))))
      (local.set $failed (i32.or (local.get $failed)
        (call $set-path (local.get $request)
          (i32.const 1) (local.get $path) (local.get $path-length))))
      (call $drop-request (local.get $request))
      (i32.eqz (local.get $failed)))

    (func (export "forward") (param $request i32) (param $some i32) (param $options i32)
      (result i32)
      (call $reset)
      (call $handle
        (local.get $request) (local.get $some) (local.get $options) (i32.const 2048))
      (i32.const 2048))

    ;; As the native one; but an answer of the broker's own becomes the error that it names. Of
    ;; option<result<result<own, error-code>>> the three cases stand at 0, 8 and 16, and what is
    ;; in the last one at 24.
    (func (export "get") (param $future i32) (result i32)
      (local $code i32)
      (call $reset)
      (call $get (local.get $future) (i32.const 2048))
      (call $drop-future (local.get $future))
      (block $as-it-is
        (br_if $as-it-is (i32.ne (i32.load8_u (i32.const 2048)) (i32.const 1)))
        (br_if $as-it-is (i32.load8_u (i32.const 2056)))
        (br_if $as-it-is (i32.load8_u (i32.const 2064)))
        (br_if $as-it-is
          (i32.ne (call $status (i32.load (i32.const 2072))) (i32.const {OWN_STATUS})))
        (local.set $code (call $code-of (i32.load (i32.const 2072))))
        (br_if $as-it-is (i32.ge_u (local.get $code) (i32.const {CODES})))
        (call $drop-response (i32.load (i32.const 2072)))
        (i32.store8 (i32.const 2064) (i32.const 1))
        ;; Whatever more a case has is not told: nothing but zeros is an absent option each.
        (memory.fill (i32.const 2072) (i32.const 0) (i32.const 32))
        (i32.store8 (i32.const 2072) (local.get $code)))
      (i32.const 2048))

    ;; The number in the first value of the header; none: more than any code.
    (func $code-of (param $response i32) (result i32)
      (local $fields i32) (local $at i32) (local $end i32) (local $code i32)
      (local.set $fields (call $headers (local.get $response)))
      ;; The header's name. As data it would be an image, for which a worker can make no file.
      (i64.store (i32.const 1024) (i64.const {OWN_HEADER_HEAD}))
      (i64.store (i32.const 1032) (i64.const {OWN_HEADER_TAIL}))
      (call $field (local.get $fields)
        (i32.const 1024) (i32.const 16) (i32.const 2304))
      (call $drop-fields (local.get $fields))
      (local.set $code (i32.const 1000))
      (if (i32.load (i32.const 2308)) (then
        (local.set $at (i32.load (i32.load (i32.const 2304))))
        (local.set $end (i32.load offset=4 (i32.load (i32.const 2304))))
        ;; Two digits at the most are read.
        (if (i32.and (i32.gt_u (local.get $end) (i32.const 0))
                     (i32.lt_u (local.get $end) (i32.const 3))) (then
          (local.set $end (i32.add (local.get $at) (local.get $end)))
          (local.set $code (i32.const 0))
          (loop $digit
            (local.set $code (i32.add
              (i32.mul (local.get $code) (i32.const 10))
              (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $digit (i32.lt_u (local.get $at) (local.get $end))))))))
      (local.get $code)))
  (core instance $passed (instantiate $pass
    (with "room" (instance $room))
    (with "native" (instance
      (export "method" (func $method-core))
      (export "scheme" (func $scheme-core))
      (export "authority" (func $authority-core))
      (export "path" (func $path-core))
      (export "set-scheme" (func $set-scheme-core))
      (export "set-authority" (func $set-authority-core))
      (export "set-path" (func $set-path-core))
      (export "status" (func $status-core))
      (export "headers" (func $headers-core))
      (export "field" (func $field-core))
      (export "get" (func $get-core))
      (export "handle" (func $handle-core))
      (export "subscribe" (func $subscribe-core))
      (export "block" (func $block-core))
      (export "drop-pollable" (func $drop-pollable))
      (export "drop-request" (func $drop-request))
      (export "drop-response" (func $drop-response))
      (export "drop-future" (func $drop-future))
      (export "drop-fields" (func $drop-fields))))))
  (func (export "wake") (canon lift (core func $passed "wake")))
  (func (export "describe") (param "request" (borrow $request))
    (result (tuple $method (option $scheme) (option string) (option string)))
    (canon lift (core func $passed "describe") (memory $memory) (realloc (core func $room "realloc"))))
  (func (export "redirect")
    (param "request" (borrow $request)) (param "authority" string) (param "path" string)
    (result bool)
    (canon lift (core func $passed "redirect") (memory $memory) (realloc (core func $room "realloc"))))
  (func (export "forward")
    (param "request" (own $request)) (param "options" (option (own $options)))
    (result (result (own $future) (error $error)))
    (canon lift (core func $passed "forward") (memory $memory) (realloc (core func $room "realloc"))))
  (func (export "get") (param "future" (borrow $future))
    (result (option (result (result (own $response) (error $error)))))
    (canon lift (core func $passed "get") (memory $memory) (realloc (core func $room "realloc")))))

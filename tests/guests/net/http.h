/* What a guest has of wasi:http and wasi:io, as the canonical ABI lays it out, and names of it. */

#pragma once

#include "canonical_abi.h"

#define HTTP(name) OF("wasi:http/types@0.2.0", name)
#define STREAM(name) OF("wasi:io/streams@0.2.0", name)

/* --- types */

struct code { /* error-code: its case, and room for what the case has */
    u8 number;
    u64 rest[3];
};

struct pair { /* of a name and a value */
    struct text name, value;
};

struct stream_error {
    u8 closed;
    s32 error;
};

struct made { /* result<handle>, or result<handle, sockets' error-code> */
    u8 failed;
    union {
        s32 handle;
        u8 code;
    };
};

struct step { /* result<_, header-error>, or result<_, sockets' error-code> */
    u8 failed, code;
};

struct handled { /* result<handle, error-code>, or result<_, error-code> */
    u8 failed;
    union {
        s32 handle;
        struct code code;
    };
};

struct came { /* option<result<result<handle or option<handle>, error-code>>> */
    u8 there;
    struct {
        u8 taken;
        struct {
            u8 failed;
            union {
                s32 handle;
                struct {
                    u8 there;
                    s32 handle;
                } trailers;
                struct code code;
            };
        };
    };
};

struct found { /* option<error-code> */
    u8 there;
    struct code code;
};

struct bytes { /* result<list<u8>, stream-error>, or result<_, stream-error> */
    u8 failed;
    union {
        struct text text;
        struct stream_error error;
    };
};

struct room { /* result<u64, stream-error>, or result<u64, sockets' error-code> */
    u8 failed;
    union {
        u64 size;
        struct stream_error error;
        u8 code;
    };
};

/* --- imports */

HTTP("[constructor]fields") s32 new_fields(void);
HTTP("[method]fields.append")
void append(s32, const u8 *, size_t, const u8 *, size_t, struct step *);
HTTP("[method]fields.entries") void entries(s32, struct list *);
HTTP("[constructor]outgoing-request") s32 new_request(s32);
HTTP("[method]outgoing-request.body") void request_body(s32, struct made *);
HTTP("[method]outgoing-request.set-method") s32 set_method(s32, u32, const u8 *, size_t);
HTTP("[method]outgoing-request.set-scheme") s32 set_scheme(s32, u32, u32, const u8 *, size_t);
HTTP("[method]outgoing-request.set-authority") s32 set_authority(s32, u32, const u8 *, size_t);
HTTP("[method]outgoing-request.set-path-with-query")
s32 set_path_with_query(s32, u32, const u8 *, size_t);
HTTP("[constructor]request-options") s32 new_options(void);
HTTP("[method]request-options.set-connect-timeout") s32 set_connect(s32, u32, u64);
HTTP("[method]request-options.set-first-byte-timeout") s32 set_first_byte(s32, u32, u64);
HTTP("[method]request-options.set-between-bytes-timeout") s32 set_between_bytes(s32, u32, u64);
HTTP("[method]outgoing-body.write") void body_write(s32, struct made *);
HTTP("[static]outgoing-body.finish") void finish_out(s32, u32, s32, struct handled *);
HTTP("[method]future-incoming-response.subscribe") s32 subscribe_response(s32);
HTTP("[method]future-incoming-response.get") void get_response(s32, struct came *);
HTTP("[method]incoming-response.status") u32 response_status(s32);
HTTP("[method]incoming-response.headers") s32 response_headers(s32);
HTTP("[method]incoming-response.consume") void consume(s32, struct made *);
HTTP("[method]incoming-body.stream") void body_stream(s32, struct made *);
HTTP("[static]incoming-body.finish") s32 finish_in(s32);
HTTP("[resource-drop]incoming-body") void drop_in(s32);
HTTP("[method]future-trailers.subscribe") s32 subscribe_trailers(s32);
HTTP("[method]future-trailers.get") void get_trailers(s32, struct came *);
HTTP("http-error-code") void http_error_code(s32, struct found *);
OF("wasi:http/outgoing-handler@0.2.0", "handle") void handle(s32, u32, s32, struct handled *);

OF("wasi:io/poll@0.2.0", "[method]pollable.block") void block(s32);
OF("wasi:io/poll@0.2.0", "[resource-drop]pollable") void drop_pollable(s32);
OF("wasi:io/poll@0.2.0", "poll") void poll(const s32 *, size_t, struct list *);
STREAM("[method]input-stream.read") void stream_read(s32, u64, struct bytes *);
STREAM("[method]input-stream.subscribe") s32 subscribe_input(s32);
STREAM("[resource-drop]input-stream") void drop_input(s32);
STREAM("[method]output-stream.check-write") void check_write(s32, struct room *);
STREAM("[method]output-stream.write") void stream_write(s32, const u8 *, size_t, struct bytes *);
STREAM("[method]output-stream.flush") void stream_flush(s32, struct bytes *);
STREAM("[method]output-stream.subscribe") s32 subscribe_output(s32);
STREAM("[resource-drop]output-stream") void drop_output(s32);

/* --- names */

#define WORD(word) ((struct text){(const u8 *)(word), sizeof(word) - 1})

static const struct text HEADER_ERRORS[] = {
    WORD("append invalid-syntax"), WORD("append forbidden"), WORD("append immutable"),
};

static const struct text CODES[] = {
    WORD("DNS-timeout"), WORD("DNS-error"), WORD("destination-not-found"),
    WORD("destination-unavailable"), WORD("destination-IP-prohibited"),
    WORD("destination-IP-unroutable"), WORD("connection-refused"), WORD("connection-terminated"),
    WORD("connection-timeout"), WORD("connection-read-timeout"), WORD("connection-write-timeout"),
    WORD("connection-limit-reached"), WORD("TLS-protocol-error"), WORD("TLS-certificate-error"),
    WORD("TLS-alert-received"), WORD("HTTP-request-denied"), WORD("HTTP-request-length-required"),
    WORD("HTTP-request-body-size"), WORD("HTTP-request-method-invalid"),
    WORD("HTTP-request-URI-invalid"), WORD("HTTP-request-URI-too-long"),
    WORD("HTTP-request-header-section-size"), WORD("HTTP-request-header-size"),
    WORD("HTTP-request-trailer-section-size"), WORD("HTTP-request-trailer-size"),
    WORD("HTTP-response-incomplete"), WORD("HTTP-response-header-section-size"),
    WORD("HTTP-response-header-size"), WORD("HTTP-response-body-size"),
    WORD("HTTP-response-trailer-section-size"), WORD("HTTP-response-trailer-size"),
    WORD("HTTP-response-transfer-coding"), WORD("HTTP-response-content-coding"),
    WORD("HTTP-response-timeout"), WORD("HTTP-upgrade-failed"), WORD("HTTP-protocol-error"),
    WORD("loop-detected"), WORD("configuration-error"), WORD("internal-error"),
};

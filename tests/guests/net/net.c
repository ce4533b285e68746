/* Speaks HTTP as it is told, without a C library between: the canonical ABI by hand. */

#include "http.h"
#include "sockets.h"
#include "streams.h"

#define EXPORT(name) __attribute__((export_name("test:net/client@0.1.0#" name)))

enum { PIECE = 4096, MILLISECOND = 1000000 };

/* What the functions of this guest give. */
struct maybe_status {
    u8 failed;
    union {
        unsigned short status;
        struct text fault;
    };
};

struct maybe_size {
    u8 failed;
    union {
        u64 size;
        struct text fault;
    };
};

struct maybe_answer {
    u8 failed;
    union {
        struct {
            unsigned short status;
            struct list headers;
            struct text body;
            struct list trailers;
        };
        struct text fault;
    };
};

/* --- texts */

#define LENGTH(list) (sizeof(list) / sizeof *(list))

static const struct text METHODS[] = {
    WORD("GET"), WORD("HEAD"), WORD("POST"), WORD("PUT"), WORD("DELETE"),
    WORD("CONNECT"), WORD("OPTIONS"), WORD("TRACE"), WORD("PATCH"),
};

static const struct text SCHEMES[] = {WORD("http"), WORD("https")};

/* Where it is among some words; their number, if it isn't. */
static u32 place(struct text text, const struct text *words, size_t number) {
    for (size_t at = 0; at < number; at++) {
        size_t i = 0;
        while (i < text.length && i < words[at].length && text.start[i] == words[at].start[i])
            i++;
        if (i == text.length && i == words[at].length)
            return at;
    }
    return number;
}

static struct text utf8(struct text latin) {
    u8 *room = cabi_realloc(0, 0, 1, 2 * latin.length), *at = room;
    for (size_t i = 0; i < latin.length; i++) {
        u8 letter = latin.start[i];
        if (letter & 0x80)
            *at++ = 0xc0 | letter >> 6;
        *at++ = letter & 0x80 ? 0x80 | (letter & 0x3f) : letter;
    }
    return (struct text){room, at - room};
}

static struct text latin(struct text utf8) {
    u8 *room = cabi_realloc(0, 0, 1, utf8.length), *at = room;
    for (size_t i = 0; i < utf8.length; i++) {
        u8 letter = utf8.start[i];
        if (letter > 0xc3) /* a letter beyond U+00FF */
            __builtin_trap();
        *at++ = letter & 0x80 ? (letter & 3) << 6 | (utf8.start[++i] & 0x3f) : letter;
    }
    return (struct text){room, at - room};
}

/* --- requests */

static s32 fields_of(struct list pairs) {
    s32 fields = new_fields();
    for (size_t i = 0; i < pairs.length; i++) {
        struct pair pair = ((struct pair *)pairs.start)[i];
        struct text value = latin(pair.value);
        struct step step;
        append(fields, pair.name.start, pair.name.length, value.start, value.length, &step);
        if (step.failed)
            return failed(HEADER_ERRORS[step.code]);
    }
    return fields;
}

/* What has no start is left out. */
static s32 request_of(struct text method, struct text scheme, struct text authority,
                      struct text path, struct list headers) {
    s32 fields = fields_of(headers);
    if (!fields)
        return 0;
    s32 request = new_request(fields);
    u32 number = place(method, METHODS, LENGTH(METHODS));
    if (set_method(request, number, method.start, method.length))
        return failed(WORD("set-method"));
    number = place(scheme, SCHEMES, LENGTH(SCHEMES));
    if (set_scheme(request, !!scheme.start, number, scheme.start, scheme.length))
        return failed(WORD("set-scheme"));
    if (set_authority(request, !!authority.start, authority.start, authority.length))
        return failed(WORD("set-authority"));
    if (set_path_with_query(request, !!path.start, path.start, path.length))
        return failed(WORD("set-path-with-query"));
    return request;
}

static s32 request_for(struct text method, struct text url, struct list headers) {
    const u8 *at = url.start, *end = at + url.length, *word = at;
    while (at < end && *at != ':')
        at++;
    struct text scheme = {word, at - word};
    word = at = end - at < 3 ? end : at + 3;
    while (at < end && *at != '/' && *at != '?' && *at != '#')
        at++;
    struct text path = {at < end ? at : 0, end - at};
    return request_of(method, scheme, (struct text){word, at - word}, path, headers);
}

static s32 get_of(struct text url) {
    return request_for(METHODS[0], url, (struct list){0, 0});
}

static s32 sent(s32 request, s32 options) {
    struct handled handled;
    handle(request, !!options, options, &handled);
    return handled.failed ? failed_by(handled.code) : handled.handle;
}

static s32 response_of(s32 future) {
    struct came came;
    wait(subscribe_response(future));
    get_response(future, &came);
    return came.failed ? failed_by(came.code) : came.handle;
}

static s32 asked(s32 request) {
    s32 future = request ? sent(request, 0) : 0;
    return future ? response_of(future) : 0;
}

/* --- bodies */

static s32 handle_of(struct made made) {
    if (made.failed)
        __builtin_trap(); /* it is asked for once */
    return made.handle;
}

static s32 body_to(s32 request) {
    struct made made;
    request_body(request, &made);
    return handle_of(made);
}

static s32 stream_to(s32 body) {
    struct made made;
    body_write(body, &made);
    return handle_of(made);
}

static s32 body_from(s32 response) {
    struct made made;
    consume(response, &made);
    return handle_of(made);
}

static s32 stream_from(s32 body) {
    struct made made;
    body_stream(body, &made);
    return handle_of(made);
}

static struct list pairs_of(s32 fields) {
    struct list list;
    entries(fields, &list);
    for (size_t i = 0; i < list.length; i++) {
        struct pair *pair = (struct pair *)list.start + i;
        pair->value = utf8(pair->value);
    }
    return list;
}

static int read_trailers(s32 body, struct list *trailers) {
    s32 future = finish_in(body);
    struct came came;
    wait(subscribe_trailers(future));
    get_trailers(future, &came);
    if (came.failed)
        return failed_by(came.code);
    *trailers = (struct list){0, 0};
    if (came.trailers.there)
        *trailers = pairs_of(came.trailers.handle);
    return 1;
}

/* --- results */

static struct maybe_status *status(s32 response) {
    static struct maybe_status result;
    if (response)
        result = (struct maybe_status){.failed = 0, .status = response_status(response)};
    else
        result = (struct maybe_status){.failed = 1, .fault = fault};
    return &result;
}

static struct maybe_size *size(int good, u64 size) {
    static struct maybe_size result;
    if (good)
        result = (struct maybe_size){.failed = 0, .size = size};
    else
        result = (struct maybe_size){.failed = 1, .fault = fault};
    return &result;
}

static struct maybe_size *counted(s32 response) {
    u64 length = 0;
    return size(response && count_all(stream_from(body_from(response)), &length) == END, length);
}

static struct maybe_answer *whole(s32 response) {
    static struct maybe_answer result;
    result.failed = 0;
    if (response) {
        result.status = response_status(response);
        result.headers = pairs_of(response_headers(response));
        s32 body = body_from(response), stream = stream_from(body);
        if (read_all(stream, &result.body) == END) {
            drop_input(stream);
            if (read_trailers(body, &result.trailers))
                return &result;
        }
    }
    result = (struct maybe_answer){.failed = 1, .fault = fault};
    return &result;
}

static struct maybe_answer *exchanged(s32 request, const struct text *content, s32 trailers) {
    if (!request)
        return whole(0);
    s32 body = content ? body_to(request) : 0;
    s32 future = sent(request, 0);
    if (future && body) {
        s32 stream = stream_to(body);
        /* Who stopped reading may have answered: that counts. */
        if (write_all(stream, *content))
            finished(body, stream, trailers);
    }
    return whole(future ? response_of(future) : 0);
}

/* --- the functions */

EXPORT("fetch")
struct maybe_answer *fetch(const u8 *method, size_t method_length, const u8 *url,
                           size_t url_length, void *headers, size_t headers_length, u32 there,
                           const u8 *body, size_t body_length) {
    s32 request = request_for((struct text){method, method_length},
                              (struct text){url, url_length},
                              (struct list){headers, headers_length});
    return exchanged(request, there ? &(struct text){body, body_length} : 0, 0);
}

EXPORT("fetch-with-trailers")
struct maybe_answer *fetch_with_trailers(const u8 *method, size_t method_length, const u8 *url,
                                         size_t url_length, void *headers, size_t headers_length,
                                         const u8 *body, size_t body_length, void *trailers,
                                         size_t trailers_length) {
    s32 fields = fields_of((struct list){trailers, trailers_length});
    s32 request = fields ? request_for((struct text){method, method_length},
                                       (struct text){url, url_length},
                                       (struct list){headers, headers_length})
                         : 0;
    return exchanged(request, &(struct text){body, body_length}, fields);
}

EXPORT("ask")
struct maybe_status *ask(const u8 *method, size_t method_length, u32 has_scheme, const u8 *scheme,
                         size_t scheme_length, u32 has_authority, const u8 *authority,
                         size_t authority_length, u32 has_path, const u8 *path,
                         size_t path_length) {
    struct list none = {0, 0};
    return status(asked(request_of(
        (struct text){method, method_length},
        (struct text){has_scheme ? scheme : 0, has_scheme ? scheme_length : 0},
        (struct text){has_authority ? authority : 0, has_authority ? authority_length : 0},
        (struct text){has_path ? path : 0, has_path ? path_length : 0}, none)));
}

EXPORT("hurry")
struct maybe_size *hurry(const u8 *url, size_t length, u32 has_connect, u32 connect,
                         u32 has_first_byte, u32 first_byte, u32 has_between, u32 between) {
    s32 request = get_of((struct text){url, length}), options = new_options();
    set_connect(options, has_connect, (u64)connect * MILLISECOND);
    set_first_byte(options, has_first_byte, (u64)first_byte * MILLISECOND);
    set_between_bytes(options, has_between, (u64)between * MILLISECOND);
    s32 future = request ? sent(request, options) : 0;
    return counted(future ? response_of(future) : 0);
}

EXPORT("download") struct maybe_size *download(const u8 *url, size_t length) {
    return counted(asked(get_of((struct text){url, length})));
}

/* Whether an answer is there before the next bytes may be written. */
static int answered(s32 stream, s32 future) {
    u8 *mark = heap_end;
    s32 pollables[] = {subscribe_output(stream), subscribe_response(future)};
    struct list ready;
    poll(pollables, 2, &ready);
    drop_pollable(pollables[0]);
    drop_pollable(pollables[1]);
    heap_end = mark;
    return ((u32 *)ready.start)[ready.length - 1] == 1;
}

EXPORT("upload") struct maybe_status *upload(const u8 *url, size_t length, u64 size) {
    s32 request = request_for(METHODS[2], (struct text){url, length}, (struct list){0, 0});
    s32 body = request ? body_to(request) : 0, future = request ? sent(request, 0) : 0;
    if (!future)
        return status(0);
    s32 stream = stream_to(body);
    u8 *piece = cabi_realloc(0, 0, 1, MOST);
    for (size_t i = 0; i < MOST; i++)
        piece[i] = '.';
    while (size) {
        size_t done = 0;
        if (!answered(stream, future))
            done = write_some(stream, (struct text){piece, size < MOST ? size : MOST});
        if (!done)
            return status(response_of(future));
        size -= done;
    }
    return status(finished(body, stream, 0) ? response_of(future) : 0);
}

/* Whether the next bytes are these. */
static int came_back(s32 stream, struct text sent) {
    for (size_t have = 0; have < sent.length;) {
        u8 *mark = heap_end;
        struct text piece;
        enum end end = read_some(stream, sent.length - have, &piece);
        if (end != SOME)
            return end == END ? failed(WORD("not what was sent")) : 0;
        for (size_t i = 0; i < piece.length; i++)
            if (piece.start[i] != sent.start[have + i])
                return failed(WORD("not what was sent"));
        have += piece.length;
        heap_end = mark;
    }
    return 1;
}

EXPORT("echo-stream")
struct maybe_size *echo_stream(const u8 *url, size_t length, u32 pieces) {
    s32 request = request_for(METHODS[2], (struct text){url, length}, (struct list){0, 0});
    s32 body = request ? body_to(request) : 0, future = request ? sent(request, 0) : 0;
    if (!future)
        return size(0, 0);
    s32 out = stream_to(body), in = 0;
    u8 *bytes = cabi_realloc(0, 0, 1, PIECE);
    struct text piece = {bytes, PIECE};
    u64 back = 0;
    for (u32 number = 0; number < pieces; number++) {
        for (size_t i = 0; i < PIECE; i++)
            bytes[i] = number + i;
        if (!write_all(out, piece))
            return size(0, 0);
        if (!in) {
            s32 response = response_of(future);
            if (!response)
                return size(0, 0);
            in = stream_from(body_from(response));
        }
        if (!came_back(in, piece))
            return size(0, 0);
        back += PIECE;
    }
    if (!finished(body, out, 0))
        return size(0, 0);
    return size(!in || count_all(in, &back) == END, back);
}

EXPORT("parallel") struct list *parallel(const struct text *urls, size_t number) {
    static struct list result;
    s32 *futures = cabi_realloc(0, 0, 4, number * sizeof *futures);
    struct maybe_status *all = cabi_realloc(0, 0, 4, number * sizeof *all);
    for (size_t i = 0; i < number; i++) {
        s32 request = get_of(urls[i]);
        futures[i] = request ? sent(request, 0) : 0;
        all[i] = *status(0);
    }
    for (size_t i = 0; i < number; i++)
        if (futures[i])
            all[i] = *status(response_of(futures[i]));
    result = (struct list){all, number};
    return &result;
}

EXPORT("abandon") struct maybe_status *abandon(const u8 *url, size_t length) {
    s32 response = asked(get_of((struct text){url, length}));
    if (response)
        drop_in(body_from(response));
    return status(response);
}

EXPORT("probe") struct text *probe(u32 what, u32 port) {
    enum { TCP_CONNECT, TCP_LISTEN, UDP_BIND, UDP_SEND, NAME_LOOKUP };
    tried = WORD("done");
    switch (what) {
    case TCP_CONNECT:
    case TCP_LISTEN:
        try_tcp(what == TCP_LISTEN, port);
        break;
    case UDP_BIND:
    case UDP_SEND:
        try_udp(what == UDP_SEND, port);
        break;
    default:
        try_lookup();
    }
    return &tried;
}

/* Reads and writes bodies, and tells of faults. */

#pragma once

#include "http.h"

enum { MOST = 65536 };

/* Who fails says why here, and returns 0. */
static struct text fault;

static int failed(struct text why) {
    fault = why;
    return 0;
}

static int failed_by(struct code code) {
    return failed(CODES[code.number]);
}

static int stream_failed(struct stream_error error) {
    struct found found;
    if (error.closed)
        return failed(WORD("closed"));
    http_error_code(error.error, &found);
    return found.there ? failed_by(found.code) : failed(WORD("io-error"));
}

static void wait(s32 pollable) {
    block(pollable);
    drop_pollable(pollable);
}

/* Writes what there is room for, at least a byte. */
static size_t write_some(s32 stream, struct text text) {
    struct room room = {.size = 0};
    struct bytes bytes;
    for (check_write(stream, &room); !room.failed && !room.size; check_write(stream, &room))
        wait(subscribe_output(stream));
    if (room.failed)
        return stream_failed(room.error);
    size_t size = room.size < text.length ? room.size : text.length;
    stream_write(stream, text.start, size, &bytes);
    return bytes.failed ? (size_t)stream_failed(bytes.error) : size;
}

static int write_all(s32 stream, struct text text) {
    while (text.length) {
        size_t size = write_some(stream, text);
        if (!size)
            return 0;
        text = (struct text){text.start + size, text.length - size};
    }
    struct bytes bytes;
    stream_flush(stream, &bytes);
    return bytes.failed ? stream_failed(bytes.error) : 1;
}

static int finished(s32 body, s32 stream, s32 trailers) {
    struct handled handled;
    drop_output(stream);
    finish_out(body, !!trailers, trailers, &handled);
    return handled.failed ? failed_by(handled.code) : 1;
}

enum end { FAILED, SOME, END };

/* One piece, which is the last thing on the heap. */
static enum end read_some(s32 stream, size_t most, struct text *piece) {
    for (;;) {
        struct bytes bytes;
        stream_read(stream, most, &bytes);
        if (bytes.failed && bytes.error.closed)
            return END;
        if (bytes.failed)
            return (enum end)stream_failed(bytes.error);
        *piece = bytes.text;
        if (piece->length)
            return SOME;
        wait(subscribe_input(stream));
    }
}

static enum end read_all(s32 stream, struct text *all) {
    struct text piece;
    enum end end;
    *all = (struct text){heap_end, 0};
    while ((end = read_some(stream, MOST, &piece)) == SOME) {
        if (piece.start != all->start + all->length)
            __builtin_trap();
        all->length += piece.length;
    }
    return end;
}

static enum end count_all(s32 stream, u64 *size) {
    struct text piece;
    enum end end;
    for (u8 *mark = heap_end; (end = read_some(stream, MOST, &piece)) == SOME; heap_end = mark)
        *size += piece.length;
    return end;
}

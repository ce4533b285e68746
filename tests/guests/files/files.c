/* Does with files what it is told, without a C library between: the canonical ABI by hand. */

#include "canonical_abi.h"

#define METHOD(name) \
    __attribute__((import_module("wasi:filesystem/types@0.2.0"), \
                   import_name("[method]descriptor." name))) extern

enum { MOST = 1 << 16, DESCRIPTORS = 512, LEAST_TRIES = 300, MOST_TRIES = 100000 };
enum { AT = 2 };                /* new-timestamp */
enum { FOLLOW = 1, READ = 1 };  /* path-flags, descriptor-flags */
enum { BAD_DESCRIPTOR = 3, IO = 13 }; /* error-code */

/* A result with nothing, or one byte, as its good case. */
struct done {
    u8 failed, code;
};

/* A result whose good case is aligned to 4 bytes. */
struct result {
    u8 failed;
    union {
        u8 code;
        s32 handle;
        struct text text;
        struct { /* stream-error */
            u8 closed;
            s32 error;
        } stream;
        struct { /* option<directory-entry> */
            u8 there, padding[3], type;
            struct text name;
        } head;
        u8 room[20];
    };
};

/* result<string, error-code> */
struct answer {
    u8 failed;
    union {
        u8 code;
        struct text text;
    };
};

/* Results whose good case is aligned to 8 bytes. */
struct written {
    u8 failed;
    union {
        u8 code;
        u64 size;
    };
};

struct hash {
    u8 failed;
    union {
        u8 code;
        u64 parts[2];
    };
};

struct time { /* option<datetime> */
    u8 there;
    u64 seconds;
    u32 nanoseconds;
};

struct status {
    u8 failed;
    union {
        u8 code;
        struct {
            u8 type;
            u64 links, size;
            struct time accessed, modified, changed;
        };
    };
};

enum operation {
    OPEN, READ_AT, WRITE_AT, READ_STREAM, WRITE_STREAM, APPEND, SET_SIZE, SET_TIMES, SYNC, STAT,
    KIND, ACCESS, NAMES, SAME, SAME_HASH, STAT_AT, READLINK_AT, SET_TIMES_AT, MAKE_DIRECTORY,
    REMOVE_DIRECTORY, UNLINK, SYMLINK, LINK, RENAME, AWAIT, RACE,
};

struct step {
    u8 operation, follow, how, access;
    u32 at;
    struct text path;
    u32 other;
    struct text to;
    u64 number;
};

METHOD("open-at") void open_at(s32, u32, const u8 *, size_t, u32, u32, struct result *);
METHOD("read") void file_read(s32, u64, u64, struct result *);
METHOD("write") void file_write(s32, const u8 *, size_t, u64, struct written *);
METHOD("read-via-stream") void read_via_stream(s32, u64, struct result *);
METHOD("write-via-stream") void write_via_stream(s32, u64, struct result *);
METHOD("append-via-stream") void append_via_stream(s32, struct result *);
METHOD("set-size") void set_size(s32, u64, struct done *);
/* Each new-timestamp is its case, and the seconds and nanoseconds of the last case. */
METHOD("set-times") void set_times(s32, u32, u64, u32, u32, u64, u32, struct done *);
METHOD("set-times-at")
void set_times_at(s32, u32, const u8 *, size_t, u32, u64, u32, u32, u64, u32, struct done *);
METHOD("sync") void sync(s32, struct done *);
METHOD("stat") void file_stat(s32, struct status *);
METHOD("stat-at") void stat_at(s32, u32, const u8 *, size_t, struct status *);
METHOD("get-type") void get_type(s32, struct done *);
METHOD("get-flags") void get_flags(s32, struct done *);
METHOD("is-same-object") u32 is_same_object(s32, s32);
METHOD("metadata-hash") void metadata_hash(s32, struct hash *);
METHOD("metadata-hash-at") void metadata_hash_at(s32, u32, const u8 *, size_t, struct hash *);
METHOD("read-directory") void read_directory(s32, struct result *);
METHOD("create-directory-at") void create_directory_at(s32, const u8 *, size_t, struct done *);
METHOD("remove-directory-at") void remove_directory_at(s32, const u8 *, size_t, struct done *);
METHOD("unlink-file-at") void unlink_file_at(s32, const u8 *, size_t, struct done *);
METHOD("symlink-at") void symlink_at(s32, const u8 *, size_t, const u8 *, size_t, struct done *);
METHOD("readlink-at") void readlink_at(s32, const u8 *, size_t, struct result *);
METHOD("link-at")
void link_at(s32, u32, const u8 *, size_t, s32, const u8 *, size_t, struct done *);
METHOD("rename-at")
void rename_at(s32, const u8 *, size_t, s32, const u8 *, size_t, struct done *);
OF("wasi:filesystem/types@0.2.0", "[method]directory-entry-stream.read-directory-entry")
void read_entry(s32, struct result *);
OF("wasi:filesystem/types@0.2.0", "filesystem-error-code")
void filesystem_error_code(s32, struct done *);
OF("wasi:filesystem/types@0.2.0", "[resource-drop]descriptor") void drop(s32);
OF("wasi:io/streams@0.2.0", "[method]input-stream.blocking-read")
void blocking_read(s32, u64, struct result *);
OF("wasi:io/streams@0.2.0", "[method]output-stream.blocking-write-and-flush")
void blocking_write(s32, const u8 *, size_t, struct result *);
OF("wasi:filesystem/preopens@0.2.0", "get-directories") void get_directories(struct list *);

/* --- texts */

#define WORD(word) ((struct text){(const u8 *)(word), sizeof(word) - 1})

static const struct text KINDS[] = {
    WORD("unknown"), WORD("block-device"), WORD("character-device"), WORD("directory"),
    WORD("fifo"), WORD("symbolic-link"), WORD("regular-file"), WORD("socket"),
};

static struct text joined(struct text first, struct text second) {
    u8 *room = cabi_realloc(0, 0, 1, first.length + second.length);
    for (size_t i = 0; i < first.length; i++)
        room[i] = first.start[i];
    for (size_t i = 0; i < second.length; i++)
        room[first.length + i] = second.start[i];
    return (struct text){room, first.length + second.length};
}

static struct text digits(u64 number) {
    u8 *room = (u8 *)cabi_realloc(0, 0, 1, 21) + 21, *at = room;
    do
        *--at = '0' + number % 10;
    while (number /= 10);
    return (struct text){at, room - at};
}

static int same(struct text a, struct text b) {
    if (a.length != b.length)
        return 0;
    for (size_t i = 0; i < a.length; i++)
        if (a.start[i] != b.start[i])
            return 0;
    return 1;
}

/* --- answers */

static struct answer said(struct text text) {
    return (struct answer){.failed = 0, .text = text};
}

static struct answer refused(u8 code) {
    return (struct answer){.failed = 1, .code = code};
}

static struct answer plain(struct done done) {
    return done.failed ? refused(done.code) : said(WORD(""));
}

static struct answer yes_or_no(int yes) {
    return said(yes ? WORD("yes") : WORD("no"));
}

static s32 descriptors[DESCRIPTORS];
static size_t count;

static struct answer opened(const struct step *step) {
    struct result result;
    if (count == DESCRIPTORS)
        __builtin_trap();
    open_at(descriptors[step->at], step->follow, step->path.start, step->path.length, step->how,
            step->access, &result);
    if (result.failed)
        return refused(result.code);
    descriptors[count++] = result.handle;
    return said(WORD(""));
}

static struct answer stream_failed(struct result result) {
    struct done code;
    if (result.stream.closed)
        return said(WORD(""));
    filesystem_error_code(result.stream.error, &code);
    return refused(code.failed ? code.code : IO); /* an option: it is there */
}

static struct answer read_at(s32 file, u64 offset) {
    struct result result;
    file_read(file, MOST, offset, &result);
    return result.failed ? refused(result.code) : said(result.text);
}

static struct answer read_all(s32 file, u64 offset) {
    struct result result;
    read_via_stream(file, offset, &result);
    if (result.failed)
        return refused(result.code);
    blocking_read(result.handle, MOST, &result);
    return result.failed ? stream_failed(result) : said(result.text);
}

static struct answer write_at(s32 file, struct text text, u64 offset) {
    struct written written;
    file_write(file, text.start, text.length, offset, &written);
    return written.failed ? refused(written.code) : said(digits(written.size));
}

static struct answer write_all(s32 file, struct text text, const u64 *offset) {
    struct result result;
    if (offset)
        write_via_stream(file, *offset, &result);
    else
        append_via_stream(file, &result);
    if (result.failed)
        return refused(result.code);
    blocking_write(result.handle, text.start, text.length, &result);
    return result.failed ? stream_failed(result) : said(WORD(""));
}

static struct answer told(const struct status *status) {
    if (status->failed)
        return refused(status->code);
    struct text text = joined(joined(KINDS[status->type], WORD(" ")), digits(status->links));
    if (status->type == 6) /* other sizes are the file system's */
        text = joined(joined(text, WORD(" ")), digits(status->size));
    return said(text);
}

static struct answer names(s32 directory) {
    struct result result;
    struct text all = WORD("");
    read_directory(directory, &result);
    if (result.failed)
        return refused(result.code);
    for (s32 stream = result.handle;;) {
        read_entry(stream, &result);
        if (result.failed)
            return refused(result.code);
        if (!result.head.there)
            return said(all);
        struct text entry = joined(joined(KINDS[result.head.type], WORD(" ")), result.head.name);
        all = joined(joined(all, entry), WORD("\n"));
    }
}

static struct answer same_hash(const struct step *step) {
    struct hash one, other;
    metadata_hash_at(descriptors[step->at], step->follow, step->path.start, step->path.length,
                     &one);
    if (one.failed)
        return refused(one.code);
    metadata_hash(descriptors[step->other], &other);
    if (other.failed)
        return refused(other.code);
    return yes_or_no(one.parts[0] == other.parts[0] && one.parts[1] == other.parts[1]);
}

static struct answer awaited(const struct step *step) {
    struct status status;
    do
        stat_at(descriptors[step->at], 0, step->path.start, step->path.length, &status);
    while (status.failed);
    return said(WORD(""));
}

/* What reading a path gave, once; an error is its number, after a `!`. */
static struct text once(const struct step *step) {
    struct result result;
    open_at(descriptors[step->at], FOLLOW, step->path.start, step->path.length, 0, READ, &result);
    if (result.failed)
        return joined(WORD("!"), digits(result.code));
    s32 file = result.handle;
    struct answer answer = read_at(file, 0);
    drop(file);
    return answer.failed ? joined(WORD("!"), digits(answer.code)) : answer.text;
}

static struct answer raced(const struct step *step) {
    enum { KINDS_OF_END = 8 };
    struct text seen[KINDS_OF_END], all = WORD("");
    size_t number = 0;
    for (size_t tries = 0; tries < MOST_TRIES && (tries < LEAST_TRIES || number < 2); tries++) {
        u8 *before = heap_end;
        struct text text = once(step);
        size_t i = 0;
        while (i < number && !same(seen[i], text))
            i++;
        if (i == number) {
            if (number == KINDS_OF_END)
                break;
            seen[number++] = text;
        } else {
            heap_end = before;
        }
    }
    for (size_t i = 0; i < number; i++)
        all = joined(joined(all, seen[i]), WORD("\n"));
    return said(all);
}

static struct answer of_open(const struct step *step) {
    s32 it = descriptors[step->at];
    struct done done;
    struct status status;
    switch ((enum operation)step->operation) {
    case READ_AT:
        return read_at(it, step->number);
    case WRITE_AT:
        return write_at(it, step->to, step->number);
    case READ_STREAM:
        return read_all(it, step->number);
    case WRITE_STREAM:
        return write_all(it, step->to, &step->number);
    case APPEND:
        return write_all(it, step->to, 0);
    case STAT:
        file_stat(it, &status);
        return told(&status);
    case NAMES:
        return names(it);
    case SAME:
        return yes_or_no(is_same_object(it, descriptors[step->other]));
    case KIND:
        get_type(it, &done);
        return done.failed ? refused(done.code) : said(KINDS[done.code]);
    case ACCESS:
        get_flags(it, &done);
        return done.failed ? refused(done.code) : said(digits(done.code));
    case SET_SIZE:
        set_size(it, step->number, &done);
        return plain(done);
    case SET_TIMES:
        set_times(it, AT, step->number, 0, AT, step->number, 0, &done);
        return plain(done);
    case SYNC:
        sync(it, &done);
        return plain(done);
    default:
        __builtin_trap();
    }
}

static struct answer of_path(const struct step *step) {
    s32 in = descriptors[step->at];
    struct text path = step->path, to = step->to;
    struct done done;
    struct status status;
    struct result result;
    switch ((enum operation)step->operation) {
    case STAT_AT:
        stat_at(in, step->follow, path.start, path.length, &status);
        return told(&status);
    case READLINK_AT:
        readlink_at(in, path.start, path.length, &result);
        return result.failed ? refused(result.code) : said(result.text);
    case SET_TIMES_AT:
        set_times_at(in, step->follow, path.start, path.length, AT, step->number, 0, AT,
                     step->number, 0, &done);
        return plain(done);
    case MAKE_DIRECTORY:
        create_directory_at(in, path.start, path.length, &done);
        return plain(done);
    case REMOVE_DIRECTORY:
        remove_directory_at(in, path.start, path.length, &done);
        return plain(done);
    case UNLINK:
        unlink_file_at(in, path.start, path.length, &done);
        return plain(done);
    case SYMLINK:
        symlink_at(in, to.start, to.length, path.start, path.length, &done);
        return plain(done);
    case LINK:
        link_at(in, step->follow, path.start, path.length, descriptors[step->other], to.start,
                to.length, &done);
        return plain(done);
    case RENAME:
        rename_at(in, path.start, path.length, descriptors[step->other], to.start, to.length,
                  &done);
        return plain(done);
    default:
        return of_open(step);
    }
}

static struct answer answered(const struct step *step) {
    /* What could not be opened, by a step before this one, has no descriptor. */
    if (step->at >= count || step->other >= count)
        return refused(BAD_DESCRIPTOR);
    switch ((enum operation)step->operation) {
    case OPEN:
        return opened(step);
    case SAME_HASH:
        return same_hash(step);
    case AWAIT:
        return awaited(step);
    case RACE:
        return raced(step);
    default:
        return of_path(step);
    }
}

/* The answer to the last step, or to the first that failed. */
static struct answer last(const struct step *steps, size_t number) {
    struct answer answer = said(WORD(""));
    for (size_t i = 0; i < number && !answer.failed; i++)
        answer = answered(&steps[i]);
    return answer;
}

__attribute__((export_name("test:files/script@0.1.0#run")))
struct list *run(const struct list *scripts, size_t number) {
    static struct list result;
    struct list found;
    get_directories(&found);
    for (size_t i = 0; i < found.length && i < DESCRIPTORS; i++)
        descriptors[i] = ((struct opened *)found.start)[i].handle;
    struct answer *answers = cabi_realloc(0, 0, 4, number * sizeof *answers);
    for (size_t i = 0; i < number; i++) {
        count = found.length;
        answers[i] = last(scripts[i].start, scripts[i].length);
    }
    result = (struct list){answers, number};
    return &result;
}

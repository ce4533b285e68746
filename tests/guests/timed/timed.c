/* Does the same with files again and again, and reads the clock before and after: no C library
   stands between it and the host. */

#include "canonical_abi.h"

#define EXPORT(name) __attribute__((export_name("test:timed/files@0.1.0#" name)))
#define FILES(name) OF("wasi:filesystem/types@0.2.0", name)
#define STREAMS(name) OF("wasi:io/streams@0.2.0", name)

enum { READ_AT_ONCE = 1 << 16, WRITE_AT_ONCE = 4096 };
enum { FOLLOW = 1 };                              /* path-flags */
enum { CREATE = 1, DIRECTORY = 2, TRUNCATE = 8 }; /* open-flags */
enum { READ = 1, WRITE = 2 };                     /* descriptor-flags */

/* A result whose good case is aligned to 4 bytes. */
struct result {
    u8 failed;
    union {
        s32 handle;
        struct {
            u8 *start;
            size_t length;
            u8 at_end; /* of a read at an offset */
        } bytes;
        u8 there; /* option<directory-entry> */
        u8 error; /* stream-error: 1 is `closed` */
        u8 room[20];
    };
};

/* A result whose good case is aligned to 8 bytes: a size, or what `stat-at` tells. */
struct wide {
    u8 failed;
    u64 words[12];
};

FILES("[method]descriptor.open-at")
void open_at(s32, u32, const u8 *, size_t, u32, u32, struct result *);
FILES("[method]descriptor.stat-at") void stat_at(s32, u32, const u8 *, size_t, struct wide *);
FILES("[method]descriptor.read") void file_read(s32, u64, u64, struct result *);
FILES("[method]descriptor.write") void file_write(s32, const u8 *, size_t, u64, struct wide *);
FILES("[method]descriptor.read-via-stream") void read_via_stream(s32, u64, struct result *);
FILES("[method]descriptor.write-via-stream") void write_via_stream(s32, u64, struct result *);
FILES("[method]descriptor.read-directory") void read_directory(s32, struct result *);
FILES("[method]directory-entry-stream.read-directory-entry")
void read_entry(s32, struct result *);
FILES("[resource-drop]descriptor") void drop_descriptor(s32);
FILES("[resource-drop]directory-entry-stream") void drop_entries(s32);
STREAMS("[method]input-stream.blocking-read") void blocking_read(s32, u64, struct result *);
STREAMS("[method]output-stream.blocking-write-and-flush")
void blocking_write(s32, const u8 *, size_t, struct result *);
STREAMS("[resource-drop]input-stream") void drop_input(s32);
STREAMS("[resource-drop]output-stream") void drop_output(s32);
OF("wasi:filesystem/preopens@0.2.0", "get-directories") void get_directories(struct list *);
OF("wasi:clocks/monotonic-clock@0.2.0", "now") u64 now(void);

/* What one round does. */
typedef void round(s32 root, const u8 *path, size_t length, u32 amount);

static s32 handle_of(struct result result) {
    if (result.failed)
        __builtin_trap();
    return result.handle;
}

static u64 time_of(round *run, const u8 *path, size_t length, u32 amount, u32 times) {
    struct list found;
    get_directories(&found);
    if (found.length != 1)
        __builtin_trap();
    struct opened *root = found.start;
    u8 *kept = heap_end;
    u64 began = now();
    for (u32 i = 0; i < times; i++) {
        run(root->handle, path, length, amount);
        heap_end = kept; /* nothing of a round is needed after it */
    }
    return now() - began;
}

static s32 open(s32 root, const u8 *path, size_t length, u32 how, u32 access) {
    struct result file;
    open_at(root, FOLLOW, path, length, how, access, &file);
    return handle_of(file);
}

static void read_once(s32 root, const u8 *path, size_t length, u32 amount) {
    (void)amount;
    u8 *kept = heap_end;
    s32 file = open(root, path, length, 0, READ);
    struct result result;
    read_via_stream(file, 0, &result);
    s32 stream = handle_of(result);
    for (;;) {
        blocking_read(stream, READ_AT_ONCE, &result);
        heap_end = kept;
        if (result.failed)
            break;
    }
    if (result.error != 1)
        __builtin_trap();
    drop_input(stream);
    drop_descriptor(file);
}

static void stat_once(s32 root, const u8 *path, size_t length, u32 amount) {
    (void)amount;
    struct wide found;
    stat_at(root, FOLLOW, path, length, &found);
    if (found.failed)
        __builtin_trap();
}

static void write_once(s32 root, const u8 *path, size_t length, u32 amount) {
    static const u8 part[WRITE_AT_ONCE];
    s32 file = open(root, path, length, CREATE | TRUNCATE, WRITE);
    struct result result;
    write_via_stream(file, 0, &result);
    s32 stream = handle_of(result);
    for (u32 done = 0; done < amount; done += WRITE_AT_ONCE) {
        blocking_write(stream, part, WRITE_AT_ONCE, &result);
        if (result.failed)
            __builtin_trap();
    }
    drop_output(stream);
    drop_descriptor(file);
}

static void names_once(s32 root, const u8 *path, size_t length, u32 count) {
    s32 folder = open(root, path, length, DIRECTORY, READ);
    struct result result;
    read_directory(folder, &result);
    s32 entries = handle_of(result);
    for (;;) {
        read_entry(entries, &result);
        if (result.failed)
            __builtin_trap();
        if (!result.there)
            break;
        count--;
    }
    if (count)
        __builtin_trap();
    drop_entries(entries);
    drop_descriptor(folder);
}

static void pread_once(s32 root, const u8 *path, size_t length, u32 amount) {
    s32 file = open(root, path, length, 0, READ);
    u8 *kept = heap_end;
    for (u32 done = 0; done < amount;) {
        struct result result;
        file_read(file, READ_AT_ONCE, done, &result);
        if (result.failed || !result.bytes.length)
            __builtin_trap();
        done += result.bytes.length;
        heap_end = kept;
    }
    drop_descriptor(file);
}

static void pwrite_once(s32 root, const u8 *path, size_t length, u32 amount) {
    s32 file = open(root, path, length, CREATE | TRUNCATE, WRITE);
    struct wide written;
    file_write(file, cabi_realloc(0, 0, 1, amount), amount, 0, &written);
    if (written.failed || written.words[0] != amount)
        __builtin_trap();
    drop_descriptor(file);
}

#define TIMED(name)                                                                  \
    EXPORT(#name) u64 name(const u8 *path, size_t length, u32 amount, u32 times) {   \
        return time_of(name##_once, path, length, amount, times);                    \
    }

TIMED(read)
TIMED(stat)
TIMED(write)
TIMED(names)
TIMED(pread)
TIMED(pwrite)

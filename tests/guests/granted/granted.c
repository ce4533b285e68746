/* Asks the host directly, without a C library between: the canonical ABI by hand. */

#include "canonical_abi.h"

#define EXPORT(name) __attribute__((export_name("test:granted/attempts@0.1.0#" name)))
#define FILES(name) \
    __attribute__((import_module("wasi:filesystem/types@0.2.0"), import_name(name))) extern void

enum { MOST = 1 << 16 };
enum { FOLLOW = 1 };                             /* path-flags */
enum { CREATE = 1, DIRECTORY = 2, TRUNCATE = 8 }; /* open-flags */
enum { READ = 1, WRITE = 2 };                    /* descriptor-flags */

/* result<_, error-code> */
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
        struct list list;
        struct { /* option<directory-entry> */
            u8 there, type;
            u8 padding[2];
        } head;
        u8 room[20];
    };
};

/* A result whose good case is aligned to 8 bytes. */
struct written {
    u8 failed;
    union {
        u8 code;
        u64 size;
    };
};

FILES("[method]descriptor.open-at")
open_at(s32, u32, const u8 *, size_t, u32, u32, struct result *);
FILES("[resource-drop]descriptor") close_file(s32);
FILES("[method]descriptor.read") file_read(s32, u64, u64, struct result *);
FILES("[method]descriptor.write") file_write(s32, const u8 *, size_t, u64, struct written *);
FILES("[method]descriptor.read-directory") read_directory(s32, struct result *);
FILES("[method]directory-entry-stream.read-directory-entry") read_entry(s32, struct result *);
FILES("[method]descriptor.create-directory-at")
create_directory_at(s32, const u8 *, size_t, struct done *);
FILES("[method]descriptor.unlink-file-at") unlink_file_at(s32, const u8 *, size_t, struct done *);
FILES("[method]descriptor.remove-directory-at")
remove_directory_at(s32, const u8 *, size_t, struct done *);
FILES("[method]descriptor.rename-at")
rename_at(s32, const u8 *, size_t, s32, const u8 *, size_t, struct done *);
FILES("[method]descriptor.symlink-at")
symlink_at(s32, const u8 *, size_t, const u8 *, size_t, struct done *);
FILES("[method]descriptor.readlink-at") readlink_at(s32, const u8 *, size_t, struct result *);
FILES("[method]descriptor.link-at")
link_at(s32, u32, const u8 *, size_t, s32, const u8 *, size_t, struct done *);
FILES("[method]descriptor.read-via-stream") read_via_stream(s32, u64, struct result *);
FILES("[method]descriptor.append-via-stream") append_via_stream(s32, struct result *);
FILES("[method]descriptor.advise") advise(s32, u64, u64, u32, struct done *);
FILES("[method]descriptor.sync") sync(s32, struct done *);
FILES("[method]descriptor.sync-data") sync_data(s32, struct done *);
FILES("[method]descriptor.get-flags") get_flags(s32, struct done *);
FILES("[method]descriptor.set-size") set_size(s32, u64, struct done *);
/* Each new-timestamp is its case, and the seconds and nanoseconds of the last case. */
FILES("[method]descriptor.set-times")
set_times(s32, u32, u64, u32, u32, u64, u32, struct done *);
FILES("[method]descriptor.set-times-at")
set_times_at(s32, u32, const u8 *, size_t, u32, u64, u32, u32, u64, u32, struct done *);
OF("wasi:io/streams@0.2.0", "[method]input-stream.blocking-read") void
blocking_read(s32, u64, struct result *);
OF("wasi:io/streams@0.2.0", "[method]output-stream.blocking-write-and-flush") void
blocking_write(s32, const u8 *, size_t, struct result *);
OF("wasi:filesystem/preopens@0.2.0", "get-directories") void get_directories(struct list *);
OF("wasi:cli/environment@0.2.0", "get-environment") void get_environment(struct list *);
OF("wasi:cli/environment@0.2.0", "get-arguments") void get_arguments(struct list *);
OF("wasi:config/store@0.2.0-rc.1", "get-all") void get_all(struct result *);
OF("wasi:config/store@0.2.0-rc.1", "get") void get(const u8 *, size_t, struct result *);

static int same(struct text a, struct text b) {
    if (a.length != b.length)
        return 0;
    for (size_t i = 0; i < a.length; i++)
        if (a.start[i] != b.start[i])
            return 0;
    return 1;
}

/* The directory of this name; without one, a handle that the host refuses with a trap. */
static s32 directory(const u8 *name, size_t length) {
    struct list found;
    get_directories(&found);
    struct opened *opened = found.start;
    for (size_t i = 0; i < found.length; i++)
        if (same(opened[i].name, (struct text){name, length}))
            return opened[i].handle;
    return -1;
}

EXPORT("directories") struct list *directories(void) {
    static struct list result;
    struct list found;
    get_directories(&found);
    struct opened *opened = found.start;
    struct text *names = cabi_realloc(0, 0, 4, found.length * sizeof *names);
    for (size_t i = 0; i < found.length; i++)
        names[i] = opened[i].name;
    result = (struct list){names, found.length};
    return &result;
}

EXPORT("read") struct result *read(const u8 *name, size_t size, const u8 *path, size_t length) {
    static struct result result;
    open_at(directory(name, size), FOLLOW, path, length, 0, READ, &result);
    if (!result.failed)
        file_read(result.handle, MOST, 0, &result);
    return &result;
}

EXPORT("open-often")
u32 open_often(const u8 *name, size_t size, const u8 *path, size_t length, u32 times) {
    s32 root = directory(name, size);
    u32 opened = 0;
    struct result result;
    for (u32 i = 0; i < times; i++) {
        open_at(root, FOLLOW, path, length, 0, READ, &result);
        if (!result.failed)
            opened++, close_file(result.handle);
    }
    return opened;
}

EXPORT("write")
struct done *write(const u8 *name, size_t size, const u8 *path, size_t length, const u8 *text,
                   size_t text_length) {
    static struct done done;
    struct result file;
    struct written written;
    open_at(directory(name, size), FOLLOW, path, length, CREATE | TRUNCATE, WRITE, &file);
    done = (struct done){file.failed, file.code};
    if (file.failed)
        return &done;
    file_write(file.handle, text, text_length, 0, &written);
    done = (struct done){written.failed, written.code};
    return &done;
}

EXPORT("write-at")
struct done *write_at(const u8 *name, size_t size, const u8 *path, size_t length, u64 offset,
                      const u8 *text, size_t text_length) {
    static struct done done;
    struct result file;
    struct written written;
    open_at(directory(name, size), FOLLOW, path, length, 0, WRITE, &file);
    done = (struct done){file.failed, file.code};
    if (file.failed)
        return &done;
    file_write(file.handle, text, text_length, offset, &written);
    done = (struct done){written.failed, written.code};
    return &done;
}

EXPORT("names") struct result *names(const u8 *name, size_t size, const u8 *path, size_t length) {
    static struct result result;
    struct text *found = cabi_realloc(0, 0, 4, 256 * sizeof *found);
    size_t count = 0;
    open_at(directory(name, size), FOLLOW, path, length, DIRECTORY, READ, &result);
    if (!result.failed)
        read_directory(result.handle, &result);
    for (s32 stream = result.handle; !result.failed && count < 256; count++) {
        read_entry(stream, &result);
        if (result.failed || !result.head.there)
            break;
        found[count] = *(struct text *)(result.room + 8);
    }
    if (!result.failed)
        result.list = (struct list){found, count};
    return &result;
}

EXPORT("make-directory")
struct done *make_directory(const u8 *name, size_t size, const u8 *path, size_t length) {
    static struct done done;
    create_directory_at(directory(name, size), path, length, &done);
    return &done;
}

EXPORT("remove")
struct done *remove(const u8 *name, size_t size, const u8 *path, size_t length) {
    static struct done done;
    unlink_file_at(directory(name, size), path, length, &done);
    return &done;
}

EXPORT("remove-directory")
struct done *remove_directory(const u8 *name, size_t size, const u8 *path, size_t length) {
    static struct done done;
    remove_directory_at(directory(name, size), path, length, &done);
    return &done;
}

EXPORT("rename")
struct done *rename(const u8 *name, size_t size, const u8 *path, size_t length, const u8 *to,
                    size_t to_length) {
    static struct done done;
    s32 in = directory(name, size);
    rename_at(in, path, length, in, to, to_length, &done);
    return &done;
}

EXPORT("link")
struct done *link(const u8 *name, size_t size, const u8 *path, size_t length, const u8 *target,
                  size_t target_length) {
    static struct done done;
    symlink_at(directory(name, size), target, target_length, path, length, &done);
    return &done;
}

static u32 look_at(s32 root, s32 file) {
    static const u8 link[] = "link";
    struct result stream, result;
    struct done done;
    u32 failed = 0;
    read_via_stream(file, 0, &stream);
    blocking_read(stream.handle, MOST, &result), failed += result.failed;
    advise(file, 0, 0, 1, &done), failed += done.failed;
    get_flags(file, &done), failed += done.failed;
    readlink_at(root, link, sizeof link - 1, &result), failed += result.failed;
    return failed;
}

static u32 change(s32 root, s32 file, const u8 *path, size_t length) {
    static const u8 second[] = "second", third[] = "third";
    enum { NOW = 1, AT = 2 };
    struct result stream, result;
    struct done done;
    u32 failed = 0;
    append_via_stream(file, &stream);
    blocking_write(stream.handle, path, length, &result), failed += result.failed;
    set_size(file, 100, &done), failed += done.failed;
    set_times(file, NOW, 0, 0, AT, 1, 0, &done), failed += done.failed;
    set_times_at(root, FOLLOW, path, length, AT, 1, 0, NOW, 0, 0, &done), failed += done.failed;
    sync(file, &done), failed += done.failed;
    sync_data(file, &done), failed += done.failed;
    symlink_at(root, path, length, third, sizeof third - 1, &done), failed += done.failed;
    link_at(root, 0, path, length, root, second, sizeof second - 1, &done), failed += done.failed;
    return failed;
}

EXPORT("the-rest")
u32 the_rest(const u8 *name, size_t size, const u8 *path, size_t length, u32 writable) {
    s32 root = directory(name, size);
    struct result file;
    open_at(root, FOLLOW, path, length, 0, writable ? READ | WRITE : READ, &file);
    if (file.failed)
        __builtin_trap();
    return look_at(root, file.handle) + (writable ? change(root, file.handle, path, length) : 0);
}

EXPORT("variables") struct list *variables(void) {
    static struct list result;
    get_environment(&result);
    return &result;
}

EXPORT("arguments") struct list *arguments(void) {
    static struct list result;
    get_arguments(&result);
    return &result;
}

EXPORT("settings") struct list *settings(void) {
    static struct result result;
    get_all(&result);
    if (result.failed)
        __builtin_trap();
    return &result.list;
}

EXPORT("setting") void *setting(const u8 *key, size_t length) {
    static struct result result;
    get(key, length, &result);
    if (result.failed)
        __builtin_trap();
    return &result.head; /* an option<string> in its place */
}

EXPORT("demand") struct result *demand(const u8 *key, size_t length) {
    static struct result result;
    struct { /* option<string> */
        u8 there, padding[3];
        struct text text;
    } *found = setting(key, length);
    struct text text = found->text;
    result.failed = !found->there;
    result.text = result.failed ? (struct text){(const u8 *)"it is not set", 13} : text;
    return &result;
}

EXPORT("count") u32 count(void) {
    static u32 asked;
    return ++asked;
}

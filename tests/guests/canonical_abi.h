/* What a C guest of these tests has in place of a C library: numbers, texts and the memory that the
   canonical ABI asks for. */

#pragma once

typedef __SIZE_TYPE__ size_t;
typedef __INT32_TYPE__ s32;
typedef __UINT32_TYPE__ u32;
typedef __UINT64_TYPE__ u64;
typedef unsigned char u8;

#define OF(module, name) __attribute__((import_module(module), import_name(name))) extern

enum { PAGE = 65536 };

struct text {
    const u8 *start;
    size_t length;
};

struct list {
    void *start;
    size_t length;
};

/* Of `get-directories`. */
struct opened {
    s32 handle;
    struct text name;
};

extern u8 __heap_base; /* set by the linker: the first byte behind data and stack */
static u8 *heap_end = &__heap_base;

/* Nothing is given back: the instance ends with its call. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                                size_t align, size_t size) {
    u8 *start = (u8 *)(((size_t)heap_end + align - 1) & ~(align - 1));
    size_t have = __builtin_wasm_memory_size(0) * (size_t)PAGE, need = (size_t)start + size;
    if (need > have && __builtin_wasm_memory_grow(0, (need - have + PAGE - 1) / PAGE) == (size_t)-1)
        __builtin_trap();
    heap_end = start + size;
    for (size_t i = 0; i < old_size && i < size; i++)
        start[i] = ((u8 *)old)[i];
    return start;
}

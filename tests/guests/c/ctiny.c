/* A guest without a C library: the canonical ABI by hand. */

typedef __SIZE_TYPE__ size_t;
typedef __INT32_TYPE__ s32;
typedef __UINT32_TYPE__ u32;
typedef __UINT64_TYPE__ u64;
typedef unsigned char u8;

#define EXPORT(name) __attribute__((export_name("test:ctiny/math@0.1.0#" name)))
#define POST_RETURN(name) __attribute__((export_name("cabi_post_test:ctiny/math@0.1.0#" name)))

enum { PAGE = 65536 };

struct text {
    const char *start;
    size_t length;
};

/* Set by the linker: the first byte behind data and stack. */
extern u8 __heap_base;

static u8 *heap_end = &__heap_base;

static void *allocate(size_t align, size_t size) {
    u8 *start = (u8 *)(((size_t)heap_end + align - 1) & ~(align - 1));
    size_t have = __builtin_wasm_memory_size(0) * (size_t)PAGE;
    size_t need = (size_t)start + size;
    if (need > have && __builtin_wasm_memory_grow(0, (need - have + PAGE - 1) / PAGE) == (size_t)-1)
        __builtin_trap();
    heap_end = start + size;
    return start;
}

/* Nothing outlives a call, so the end of one frees everything. */
static void free_all(void) { heap_end = &__heap_base; }

static void copy(u8 *to, const u8 *from, size_t length) {
    while (length--)
        *to++ = *from++;
}

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                                size_t align, size_t new_size) {
    u8 *start = allocate(align, new_size);
    copy(start, old, old_size < new_size ? old_size : new_size);
    return start;
}

EXPORT("add") s32 add(s32 a, s32 b) { return (s32)((u32)a + (u32)b); }

__attribute__((noinline)) static u64 slow_fib(u32 n) {
    return n < 2 ? n : slow_fib(n - 1) + slow_fib(n - 2);
}

EXPORT("fib") u64 fib(u32 n) { return slow_fib(n); }

EXPORT("upper") struct text *upper(u8 *text, size_t length) {
    /* Static: the ABI has the result read before the next call. */
    static struct text result;
    for (size_t i = 0; i < length; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] -= 'a' - 'A';
    result = (struct text){(const char *)text, length};
    return &result;
}

POST_RETURN("upper") void post_upper(void *result) {
    (void)result;
    free_all();
}

struct quotient {
    u8 is_error;
    union {
        s32 value;
        struct text error;
    };
};

EXPORT("checked-divide") struct quotient *checked_divide(s32 dividend, s32 divisor) {
    static const char by_zero[] = "division by zero";
    static const char too_large[] = "the quotient is too large";
    static struct quotient result;
    if (divisor == 0)
        result = (struct quotient){1, .error = {by_zero, sizeof by_zero - 1}};
    else if (dividend == -2147483647 - 1 && divisor == -1)
        result = (struct quotient){1, .error = {too_large, sizeof too_large - 1}};
    else
        result = (struct quotient){0, .value = dividend / divisor};
    return &result;
}

EXPORT("grow-until-refused") void grow_until_refused(void) {
    size_t pages;
    while ((pages = __builtin_wasm_memory_grow(0, 16)) != (size_t)-1)
        *(volatile u8 *)(pages * PAGE) = 1; /* touched, so that it's used and not only reserved */
    __builtin_trap();
}

/* Read at run time: the compiler can't see that the recursion never ends, nor unroll it. */
static volatile u32 last = 0xffffffff;

__attribute__((noinline)) static u32 deeper(u32 depth) {
    return depth == last ? 0 : deeper(depth + 1) ^ last;
}

EXPORT("recurse") u32 recurse(void) { return deeper(0); }

EXPORT("spin") void spin(void) {
    for (volatile u32 turns = 0;; turns++) {
    }
}

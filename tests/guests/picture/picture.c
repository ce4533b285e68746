/* A guest that makes PNG files, without a C library: the canonical ABI by hand. */

typedef __SIZE_TYPE__ size_t;
typedef __UINT32_TYPE__ u32;
typedef unsigned char u8;

#define EXPORT(name) __attribute__((export_name("test:picture/pictures@0.1.0#" name)))

enum { PAGE = 65536, LONGEST_SIDE = 64 };

struct bytes {
    const u8 *start;
    size_t length;
};

struct picture {
    struct bytes mime_type;
    struct bytes data;
    u8 has_name;
    struct bytes name;
};

/* Set by the linker: the first byte behind data and stack. An instance serves one call, so that
   nothing is ever freed. */
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

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                                size_t align, size_t new_size) {
    u8 *start = allocate(align, new_size);
    for (size_t i = 0; i < old_size && i < new_size; i++)
        start[i] = ((u8 *)old)[i];
    return start;
}

static u8 *put(u8 *at, const void *from, size_t length) {
    const u8 *bytes = from;
    while (length--)
        *at++ = *bytes++;
    return at;
}

static u8 *put_u32(u8 *at, u32 value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (u8)(value >> shift);
    return at;
}

static u32 crc32(const u8 *from, const u8 *to) {
    u32 crc = 0xffffffff;
    for (; from < to; from++) {
        crc ^= *from;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc;
}

static u32 adler32(const u8 *from, const u8 *to) {
    u32 a = 1, b = 0;
    for (; from < to; from++) {
        a = (a + *from) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* A chunk is its length, its kind and its data, and a check of the last two. */
static u8 *begin_chunk(u8 *at, const char *kind) { return put(at + 4, kind, 4); }

static u8 *end_chunk(u8 *chunk, u8 *at) {
    put_u32(chunk, (u32)(at - chunk - 8));
    return put_u32(at, crc32(chunk + 4, at));
}

static struct bytes png(u32 side) {
    static const u8 signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const u8 grey_of_8_bits[] = {8, 0, 0, 0, 0};
    size_t raw = (size_t)side * (side + 1); /* each line begins with its filter */
    u8 *start = allocate(1, raw + 128), *at = put(start, signature, sizeof signature);

    u8 *chunk = at;
    at = begin_chunk(chunk, "IHDR");
    at = put_u32(put_u32(at, side), side);
    at = end_chunk(chunk, put(at, grey_of_8_bits, sizeof grey_of_8_bits));

    chunk = at;
    at = begin_chunk(chunk, "IDAT");
    /* zlib with one stored block: its length, and the complement of that, the low byte first. */
    u8 head[] = {0x78, 1, 1, (u8)raw, (u8)(raw >> 8), (u8)~raw, (u8)(~raw >> 8)};
    u8 *lines = at = put(at, head, sizeof head);
    for (u32 y = 0; y < side; y++) {
        *at++ = 0;
        for (u32 x = 0; x < side; x++)
            *at++ = (u8)(x * y);
    }
    at = put_u32(at, adler32(lines, at));
    at = end_chunk(chunk, at);

    chunk = at;
    at = end_chunk(chunk, begin_chunk(chunk, "IEND"));
    return (struct bytes){start, (size_t)(at - start)};
}

static struct picture square_of(u32 side) {
    static const char mime_type[] = "image/png", name[] = "square.png";
    return (struct picture){
        {(const u8 *)mime_type, sizeof mime_type - 1},
        png(side),
        1,
        {(const u8 *)name, sizeof name - 1},
    };
}

static int is_side(u32 side) { return side > 0 && side <= LONGEST_SIDE; }

struct maybe {
    u8 which;
    union {
        struct picture picture;
        struct bytes text;
    };
};

EXPORT("square") struct maybe *square(u32 side) {
    static const char no_side[] = "the side of a square is 1 to 64";
    static struct maybe result;
    if (is_side(side))
        result = (struct maybe){0, .picture = square_of(side)};
    else
        result = (struct maybe){1, .text = {(const u8 *)no_side, sizeof no_side - 1}};
    return &result;
}

EXPORT("perhaps") struct maybe *perhaps(u32 side) {
    static struct maybe result;
    if (is_side(side))
        result = (struct maybe){1, .picture = square_of(side)};
    return &result;
}

EXPORT("squares") struct bytes *squares(u32 count) {
    static struct bytes result;
    struct picture *pictures = allocate(4, count * sizeof *pictures);
    for (u32 i = 0; i < count; i++)
        pictures[i] = square_of(i % LONGEST_SIDE + 1);
    result = (struct bytes){(const u8 *)pictures, count};
    return &result;
}

EXPORT("claimed")
struct picture *claimed(const u8 *mime_type, size_t length, const u8 *data, size_t size) {
    static struct picture result;
    result = (struct picture){{mime_type, length}, {data, size}, 0, {0, 0}};
    return &result;
}

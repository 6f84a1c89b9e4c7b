/* Memory, arena and error messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/base.h"

static void sizes_do_not_overflow(void **state)
{
    (void)state;
    size_t size = 7;
    assert_true(soma__mul(3, 5, &size));
    assert_int_equal(size, 15);
    assert_false(soma__mul(SIZE_MAX / 2, 3, &size));
    assert_false(soma__add(SIZE_MAX, 1, &size));
    assert_int_equal(size, 15);
    int64_t n = 1;
    assert_false(soma__mul64(INT64_MAX, 2, &n));
    assert_false(soma__add64(INT64_MIN, -1, &n));
    assert_int_equal(n, 1);
    assert_int_equal(soma__align_up(65, 64), 128);
}

static void zero_bytes_are_not_a_failure(void **state)
{
    (void)state;
    void *blocks[] = {soma__malloc(0), soma__calloc(0, 8), soma__calloc(8, 0),
                      soma__realloc(NULL, 0), soma__aligned(0)};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        assert_non_null(blocks[i]);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(blocks[i], blocks[j]);
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        soma__free(blocks[i]);
    soma__free(NULL);
}

/* The sanitizers would rather stop the program than refuse a request. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* The sizes are volatile, as the compiler would warn of requests that are too large by design. */
static void too_large_is_refused(void **state)
{
    (void)state;
    volatile size_t half = SIZE_MAX / 2, huge = (size_t)PTRDIFF_MAX - 4096;
    assert_null(soma__calloc(half, 3));
    assert_null(soma__calloc(huge, 1));
    assert_null(soma__aligned(huge));
    assert_null(soma__malloc(huge));
}

static void aligned_blocks(void **state)
{
    (void)state;
    for (size_t size = 1; size < (size_t)8 << 20; size = size * 5 + 3) {
        unsigned char *block = soma__aligned(size);
        assert_non_null(block);
        size_t alignment = size >= (size_t)2 << 20 ? (size_t)2 << 20 : 64;
        assert_int_equal((uintptr_t)block % alignment, 0);
        memset(block, 0xA5, size);
        soma__free(block);
    }
}

static void strings_are_copied(void **state)
{
    (void)state;
    char *a = soma__strdup("soma"), *b = soma__strndup("neuron", 3), *c = soma__strndup("x", 99);
    assert_string_equal(a, "soma");
    assert_string_equal(b, "neu");
    assert_string_equal(c, "x");
    soma__free(a);
    soma__free(b);
    soma__free(c);
}

static void arrays_grow(void **state)
{
    (void)state;
    int *array = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(soma__grow((void **)&array, &capacity, (size_t)i, sizeof *array));
        array[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(array[i], i);
    assert_true(capacity >= 1000 && capacity < 2000);
    int *before = array;
    size_t huge = SIZE_MAX / 2;
    assert_false(soma__grow((void **)&array, &huge, SIZE_MAX / 2, sizeof *array));
    assert_ptr_equal(array, before);
    soma__free(array);
}

static void arena_gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    soma__arena arena = {0};
    unsigned char *blocks[2000];
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 97 == 0 ? 9000 : i % 50;
        blocks[i] = soma__arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)(i & 0xFF), size);
    }
    /* Nothing that was handed out overlaps: every block still has its own bytes. */
    for (size_t i = 0; i < 2000; i++)
        for (size_t j = 0; j < (i % 97 == 0 ? 9000 : i % 50); j++)
            assert_int_equal(blocks[i][j], i & 0xFF);
    assert_string_equal(soma__arena_strdup(&arena, "layer"), "layer");
    assert_string_equal(soma__arena_copy(&arena, "ab", 3), "ab");
    assert_non_null(soma__arena_array(&arena, 3, 1 << 20));
    assert_null(soma__arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(soma__arena_alloc(&arena, SIZE_MAX - 8));
    soma__arena_clear(&arena);
    assert_null(arena.head);
    assert_non_null(soma__arena_alloc(&arena, 1));
    soma__arena_clear(&arena);
}

static void messages_are_made_and_prefixed(void **state)
{
    (void)state;
    soma_error err = {0};
    assert_int_equal(soma__fail(&err, SOMA_SHAPE, "sizes differ: %d and %d", 3, 4), SOMA_SHAPE);
    assert_int_equal(err.code, SOMA_SHAPE);
    assert_string_equal(err.message, "sizes differ: 3 and 4");
    assert_int_equal(soma__fail_within(&err, SOMA_INVALID, "matmul '%s'", "fc1"), SOMA_SHAPE);
    assert_string_equal(err.message, "matmul 'fc1': sizes differ: 3 and 4");
    /* The old message may be part of the new one. */
    soma__fail(&err, SOMA_IO, "again: %s", err.message);
    assert_string_equal(err.message, "again: matmul 'fc1': sizes differ: 3 and 4");

    assert_int_equal(soma__fail(NULL, SOMA_IO, "lost"), SOMA_IO);
    assert_int_equal(soma__fail_within(NULL, SOMA_MEMORY, "lost"), SOMA_MEMORY);
    soma_error silent = {0};
    assert_int_equal(soma__fail_within(&silent, SOMA_MEMORY, "loading"), SOMA_MEMORY);
    assert_string_equal(silent.message, "loading: out of memory");
}

static void long_messages_end_with_dots(void **state)
{
    (void)state;
    soma_error err = {0};
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    soma__fail(&err, SOMA_IO, "%s", text);
    assert_int_equal(strlen(err.message), SOMA_ERROR_MESSAGE_SIZE - 1);
    assert_string_equal(err.message + SOMA_ERROR_MESSAGE_SIZE - 4, "...");
    soma__fail_within(&err, SOMA_IO, "before");
    assert_memory_equal(err.message, "before: x", 9);
    assert_string_equal(err.message + SOMA_ERROR_MESSAGE_SIZE - 4, "...");

    /* Two-byte characters: whether the cut falls on an odd or an even byte, none is halved. */
    for (int shift = 0; shift < 2; shift++) {
        size_t n = 0;
        for (int i = 0; i < shift; i++)
            text[n++] = 'x';
        while (n < 1200) {
            text[n++] = (char)0xC3;
            text[n++] = (char)0xA4;
        }
        text[n] = '\0';
        soma__fail(&err, SOMA_IO, "%s", text);
        const char *dots = strstr(err.message, "...");
        assert_non_null(dots);
        assert_int_equal((unsigned char)dots[-1], 0xA4);
    }
}

static void every_status_has_a_text(void **state)
{
    (void)state;
#define CHECK(name_, value_, text_) assert_string_equal(soma_status_text(SOMA_##name_), text_);
    SOMA_STATUS_LIST(CHECK)
#undef CHECK
    assert_string_equal(soma_status_text((soma_status)77), "unknown status");
    assert_string_equal(soma_version(), SOMA_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(zero_bytes_are_not_a_failure),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(aligned_blocks),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(arrays_grow),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(messages_are_made_and_prefixed),
        cmocka_unit_test(long_messages_end_with_dots),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

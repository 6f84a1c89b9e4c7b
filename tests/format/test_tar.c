/* tar archives as Python wrote them (fuzz/corpus/tar), and SHA-256 by the standard's examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/sha256.h"
#include "format/tar.h"

typedef struct walk {
    int files, unsafe;
    bool hello, longer, empty, link;
} walk;

static soma_status look(void *user, const char *path, const void *bytes, size_t size,
                        soma_error *err)
{
    walk *w = user;
    (void)err;
    w->files++;
    w->unsafe += !soma__tar_safe(path);
    w->hello = w->hello || (strcmp(path, "d/a.bin") == 0 && size == 1000 &&
                            memcmp((const char *)bytes + 995, "hello", 5) == 0);
    w->longer = w->longer || (strlen(path) == 2 + 90 + 1 + 60 && size == 4);
    w->empty = w->empty || (strcmp(path, "empty") == 0 && size == 0);
    w->link = w->link || strcmp(path, "link") == 0;
    return SOMA_OK;
}

static soma_status walk_file(walk *w, const char *name, soma_error *err)
{
    char path[512];
    void *bytes;
    size_t size;
    snprintf(path, sizeof path, SOMA_SOURCE_FOLDER "/fuzz/corpus/tar/%s", name);
    assert_int_equal(soma__file_read(&bytes, &size, path, 0, NULL), SOMA_OK);
    soma_status status = soma__tar_each(bytes, size, name, look, w, err);
    soma__free(bytes);
    return status;
}

static void regular_files_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {"ustar.tar", "gnu.tar"};
    for (size_t i = 0; i < 2; i++) {
        walk w = {0};
        soma_error err = {0};
        if (walk_file(&w, names[i], &err) != SOMA_OK)
            fail_msg("%s", err.message);
        assert_int_equal(w.files, 5);
        assert_int_equal(w.unsafe, 2); /* ../evil and /etc/evil */
        assert_true(w.hello && w.longer && w.empty);
        assert_false(w.link);
    }
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"cut.tar", "sum.tar", "endless.tar"};
    for (size_t i = 0; i < 3; i++) {
        walk w = {0};
        assert_int_equal(walk_file(&w, names[i], NULL), SOMA_FORMAT);
    }
}

static void paths_stay_below(void **state)
{
    (void)state;
    assert_true(soma__tar_safe("a/b..c/..d/e"));
    assert_false(soma__tar_safe("a/../b"));
    assert_false(soma__tar_safe("a/.."));
    assert_false(soma__tar_safe(".."));
    assert_false(soma__tar_safe("/a"));
    assert_false(soma__tar_safe(""));
}

static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int times;
        const char *sum;
    } cases[] = {
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma__sha256 s;
        char sum[SOMA__SHA256_TEXT];
        soma__sha256_start(&s);
        for (int k = 0; k < cases[i].times; k++)
            soma__sha256_add(&s, cases[i].text, strlen(cases[i].text));
        soma__sha256_end(&s, sum);
        assert_string_equal(sum, cases[i].sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regular_files_are_found),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(paths_stay_below),
        cmocka_unit_test(sums_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

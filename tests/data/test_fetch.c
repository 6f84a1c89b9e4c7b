/* Unpacking of a download: known files only, wherever an archive would like to put others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "data/fetch.h"
#include "format/gzip.h"

static char folder[] = "/tmp/soma-fetch-XXXXXX";

static const char *at(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void add_file(soma__text *tar, const char *path, const char *content)
{
    char block[512] = "";
    unsigned sum = 0;
    snprintf(block, 100, "%s", path);
    snprintf(block + 124, 12, "%011o", (unsigned)strlen(content));
    block[156] = '0';
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < sizeof block; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    soma__text_append(tar, block, sizeof block);
    memset(block, 0, sizeof block);
    memcpy(block, content, strlen(content));
    soma__text_append(tar, block, sizeof block);
}

static void write_archive(bool complete)
{
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "batches.meta.txt"};
    static const char end[1024];
    soma__text tar = {0}, packed = {0};
    add_file(&tar, "../evil.bin", "evil");
    add_file(&tar, "../test_batch.bin", "evil");
    add_file(&tar, "cifar-10-batches-bin/readme.html", "not wanted");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "cifar-10-batches-bin/%s", names[i]);
        add_file(&tar, path, names[i]);
    }
    if (complete)
        add_file(&tar, "cifar-10-batches-bin/test_batch.bin", "test");
    soma__text_append(&tar, end, sizeof end);
    assert_int_equal(soma__gzip(&packed, tar.data, tar.length, NULL), SOMA_OK);
    assert_int_equal(soma__file_write(at("c.tar.gz"), packed.data, packed.length, NULL), SOMA_OK);
    soma__text_free(&tar);
    soma__text_free(&packed);
}

static void only_known_files_are_written(void **state)
{
    (void)state;
    soma_error err = {0};
    void *bytes;
    size_t size;
    write_archive(false);
    assert_int_equal(soma__cifar10_unpack(at("c.tar.gz"), at("cifar10"), &err), SOMA_FORMAT);
    assert_non_null(strstr(err.message, "lacks some of its files"));
    assert_true(soma__file_exists(at("c.tar.gz")));
    write_archive(true);
    if (soma__cifar10_unpack(at("c.tar.gz"), at("cifar10"), &err) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_false(soma__file_exists(at("c.tar.gz")));
    assert_int_equal(
        soma__file_read(&bytes, &size, at("cifar10/cifar-10-batches-bin/test_batch.bin"), 0, NULL),
        SOMA_OK);
    assert_string_equal(bytes, "test");
    soma__free(bytes);
    assert_true(soma__file_exists(at("cifar10/cifar-10-batches-bin/data_batch_5.bin")));
    assert_false(soma__file_exists(at("cifar10/evil.bin")));
    assert_false(soma__file_exists(at("cifar10/test_batch.bin")));
    assert_false(soma__file_exists(at("cifar10/cifar-10-batches-bin/readme.html")));
}

static void damage_is_refused(void **state)
{
    (void)state;
    assert_int_equal(soma__file_write(at("c.tar.gz"), "\x1f\x8bnothing", 9, NULL), SOMA_OK);
    assert_int_equal(soma__cifar10_unpack(at("c.tar.gz"), at("other"), NULL), SOMA_FORMAT);
}

static void sums_of_files(void **state)
{
    (void)state;
    char sum[65];
    assert_int_equal(soma__file_write(at("abc"), "abc", 3, NULL), SOMA_OK);
    assert_int_equal(soma__file_sha256(sum, at("abc"), NULL), SOMA_OK);
    assert_string_equal(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(soma__file_sha256(sum, at("nowhere"), NULL), SOMA_IO);
    assert_string_equal(soma__fetch_name(0), "mnist");
    assert_string_equal(soma__fetch_name(2), "cifar10");
    assert_null(soma__fetch_name(3));
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_known_files_are_written),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(sums_of_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
#else
    puts("skipped: built without zlib");
    return 77;
#endif
}

/* Data sets by name: files made here, and the real ones where SOMA_DATA has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/dataset.h"
#include "soma/soma.h"

static char folder[] = "/tmp/soma-sources-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static bool real_data(const char *file)
{
    const char *shared = getenv("SOMA_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", shared ? shared : "/nowhere", file);
    if (soma__file_exists(path))
        return true;
    printf("skipped: no %s under SOMA_DATA\n", file);
    return false;
}

/* `count` records with labels first, first + 1, … below 10, all pixels the label. */
static void write_records(const char *name, int count, int first)
{
    uint8_t record[3073];
    FILE *file = fopen(at(name), "w");
    assert_non_null(file);
    for (int i = 0; i < count; i++) {
        memset(record, (first + i) % 10, sizeof record);
        assert_int_equal(fwrite(record, 1, sizeof record, file), sizeof record);
    }
    assert_int_equal(fclose(file), 0);
}

static void cifar_batches_are_joined_in_order(void **state)
{
    (void)state;
    soma_data data;
    soma_error err = {0};
    mkdir(at("cifar-10-batches-bin"), 0700);
    for (int i = 1; i <= 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", i);
        write_records(name, 10 + i, i);
    }
    write_records("cifar-10-batches-bin/test_batch.bin", 3, 5);
    assert_int_equal(soma_data_open(&data, "cifar10", folder, &err), SOMA_NOT_FOUND);
    assert_non_null(strstr(err.message, "data_batch_5.bin"));
    write_records("cifar-10-batches-bin/data_batch_5.bin", 15, 5);
    assert_int_equal(soma_data_open(&data, "cifar10", folder, &err), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 11 + 12 + 13 + 14 + 15);
    assert_int_equal(soma__dataset_label(data.train, 11), 2);
    assert_int_equal(soma__dataset_label(data.train, 64), 9);
    assert_int_equal(soma__dataset_label(data.test, 0), 5);
    /* Without batches.meta.txt the names are known. */
    assert_string_equal(soma_dataset_class(data.train, 9), "truck");
    soma_data_clear(&data);

    assert_int_equal(
        soma__file_write(at("cifar-10-batches-bin/batches.meta.txt"), "a\nb\n", 4, &err), SOMA_OK);
    assert_int_equal(soma_data_open(&data, "cifar10", folder, &err), SOMA_FORMAT);
    assert_non_null(strstr(err.message, "has 2 names of classes, 10 are needed"));
    assert_int_equal(truncate(at("cifar-10-batches-bin/test_batch.bin"), 3000), 0);
    assert_int_equal(soma_data_open(&data, "cifar10", folder, &err), SOMA_FORMAT);
    assert_non_null(strstr(err.message, "test_batch.bin"));
}

static void the_cache_is_looked_in(void **state)
{
    (void)state;
    soma_data data;
    char *before = getenv("SOMA_DATA"), *kept = before ? strdup(before) : NULL;
    unsetenv("SOMA_DATA");
    setenv("XDG_CACHE_HOME", folder, 1);
    mkdir(at("soma"), 0700);
    mkdir(at("soma/cifar10"), 0700);
    write_records("soma/cifar10/train_10k.bin", 20, 0);
    write_records("soma/cifar10/test_2k.bin", 10, 0);
    assert_int_equal(soma_data_open(&data, "cifar10", NULL, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 20);
    soma_data_clear(&data);
    unsetenv("XDG_CACHE_HOME");
    if (kept)
        setenv("SOMA_DATA", kept, 1);
    free(kept);
}

static void real_cifar10(void **state)
{
    (void)state;
    soma_data data;
    uint8_t pixels[3072];
    int64_t label;
    if (!real_data("cifar10/train_10k.bin"))
        skip();
    assert_int_equal(soma_data_open(&data, "cifar10", getenv("SOMA_DATA"), NULL), SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 10000);
    assert_int_equal(soma_dataset_count(data.test), 2000);
    assert_string_equal(soma_dataset_class(data.test, 3), "cat");
    assert_int_equal(soma_dataset_read(data.test, (int64_t[]){5}, 1, pixels, &label, NULL),
                     SOMA_OK);
    /* Read off the file by hand: row 7, column 9. */
    const uint8_t *pixel = pixels + 3 * (7 * 32 + 9);
    assert_int_equal(label, 7);
    assert_int_equal(pixel[0], 235);
    assert_int_equal(pixel[1], 232);
    assert_int_equal(pixel[2], 248);
    soma_data_clear(&data);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cifar_batches_are_joined_in_order),
        cmocka_unit_test(the_cache_is_looked_in),
        cmocka_unit_test(real_cifar10),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

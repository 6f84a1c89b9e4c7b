/* Folders of pictures by class: parts, classes, sizes, faults that name the file. */
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
#include "data/folder.h"

static char folder[] = "/tmp/soma-folder-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_picture(const char *name, int64_t height, int64_t width, int value)
{
    soma_tensor *image;
    char parent[256];
    snprintf(parent, sizeof parent, "%s", at(name));
    *strrchr(parent, '/') = 0;
    assert_int_equal(soma__make_folder(parent, NULL), SOMA_OK);
    assert_int_equal(soma_tensor_create(&image, SOMA_U8, SOMA_SHAPE(height, width, 3), NULL),
                     SOMA_OK);
    soma_tensor_fill(image, value);
    assert_int_equal(soma__png_write(at(name), image, NULL), SOMA_OK);
    soma_tensor_release(image);
}

static void classes_are_folders(void **state)
{
    (void)state;
    soma_data data;
    soma_error err = {0};
    uint8_t x[4 * 6 * 3];
    int64_t y;
    char buffer[32];
    write_picture("all/dog/b.png", 8, 12, 30);
    write_picture("all/dog/a.png", 8, 12, 20);
    write_picture("all/cat/z.png", 16, 12, 10);
    assert_int_equal(soma__file_write(at("all/cat/notes.txt"), "x", 1, NULL), SOMA_OK);
    const soma__folder_options options = {.size = {4, 6}};
    if (soma__folder_open(&data, at("all"), &options, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(soma_dataset_count(data.train), 3);
    assert_null(data.test);
    assert_string_equal(soma_dataset_class(data.train, 1), "dog");
    assert_int_equal(soma__dataset_label(data.train, 2), 1);
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(soma_dataset_read(data.train, &i, 1, x, &y, &err), SOMA_OK);
        assert_int_equal(x[0], 10 * (i + 1));
        assert_int_equal(x[4 * 6 * 3 - 1], 10 * (i + 1));
        assert_int_equal(y, i > 0);
    }
    assert_non_null(
        strstr(soma__dataset_sample(data.train, 1, buffer, sizeof buffer), "all/dog/a.png"));
    /* Labels are known without reading, so a split is by class. */
    soma_dataset *rest, *part;
    assert_int_equal(soma_dataset_split(&rest, &part, data.train, 1, 1, NULL), SOMA_OK);
    assert_int_equal(soma_dataset_class_count(part), 2);
    soma_dataset_release(rest);
    soma_dataset_release(part);
    soma_data_clear(&data);
    /* Grey, of the first picture's size. */
    assert_int_equal(
        soma__folder_open(&data, at("all"), &(soma__folder_options){.channels = 1}, &err), SOMA_OK);
    const soma_shape want = SOMA_SHAPE(16, 12, 1);
    assert_true(soma_shape_equal(soma_dataset_x_shape(data.train), &want));
    soma_data_clear(&data);
}

static void parts_are_sub_folders(void **state)
{
    (void)state;
    soma_data data;
    soma_error err = {0};
    write_picture("parts/train/a/1.png", 4, 4, 1);
    write_picture("parts/train/b/2.png", 4, 4, 2);
    write_picture("parts/val/b/3.png", 4, 4, 3);
    write_picture("parts/test/a/4.png", 4, 4, 4);
    assert_int_equal(soma__folder_open(&data, at("parts"), &(soma__folder_options){0}, &err),
                     SOMA_OK);
    assert_int_equal(soma_dataset_count(data.train), 2);
    assert_int_equal(soma__dataset_label(data.validation, 0), 1);
    assert_int_equal(soma__dataset_label(data.test, 0), 0);
    soma_data_clear(&data);
    write_picture("parts/test/c/5.png", 4, 4, 5);
    assert_int_equal(soma__folder_open(&data, at("parts"), &(soma__folder_options){0}, &err),
                     SOMA_INVALID);
    assert_non_null(strstr(err.message, "test/c': the training part has no class"));
}

static void faults_name_the_file(void **state)
{
    (void)state;
    soma_data data;
    soma_error err = {0};
    uint8_t x[4 * 4 * 3];
    int64_t y;
    assert_int_equal(soma__folder_open(&data, at("nowhere"), &(soma__folder_options){0}, &err),
                     SOMA_IO);
    mkdir(at("empty"), 0700);
    assert_int_equal(soma__folder_open(&data, at("empty"), &(soma__folder_options){0}, &err),
                     SOMA_NOT_FOUND);
    write_picture("bad/a/1.png", 4, 4, 1);
    assert_int_equal(soma__file_write(at("bad/a/2.jpg"), "not a picture", 13, NULL), SOMA_OK);
    assert_int_equal(soma__folder_open(&data, at("bad"), &(soma__folder_options){0}, &err),
                     SOMA_OK);
    assert_int_equal(soma_dataset_read(data.train, &(int64_t){1}, 1, x, &y, &err), SOMA_FORMAT);
    assert_non_null(strstr(err.message, "bad/a/2.jpg"));
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
#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_folders),
        cmocka_unit_test(parts_are_sub_folders),
        cmocka_unit_test(faults_name_the_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
#else
    puts("skipped: built without libpng");
    return 77;
#endif
}

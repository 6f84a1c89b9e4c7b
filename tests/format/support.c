#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[400];

/* Leaves nothing behind; the folder holds plain files only. */
static void remove_folder(void)
{
    DIR *listing = opendir(folder);
    struct dirent *entry;

    while (listing && (entry = readdir(listing)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing)
        closedir(listing);
    rmdir(folder);
}

const char *scratch(const char *name)
{
    static char path[512];

    if (!*folder) {
        const char *root = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%.300s/soma-format-%ld", root ? root : "/tmp",
                 (long)getpid());
        assert_int_equal(mkdir(folder, 0700), 0);
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%.100s", folder, name);
    return path;
}

bool scratch_has(const char *part)
{
    DIR *listing = opendir(folder);
    struct dirent *entry;
    bool found = false;

    assert_non_null(listing);
    while (!found && (entry = readdir(listing)) != NULL)
        found = strstr(entry->d_name, part) != NULL;
    closedir(listing);
    return found;
}

void *slurp(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    void *data;
    long length;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    length = ftell(file);
    assert_true(length >= 0);
    rewind(file);
    data = malloc((size_t)length + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    *size = (size_t)length;
    return data;
}

/* A failure has a code, a sentence, and both agree. */
static void check_failure(soma_status status, const soma_error *err)
{
    assert_int_not_equal(status, SOMA_INTERNAL);
    assert_int_equal(status, err->code);
    assert_true(strlen(err->message) > 5);
}

void every_truncation(parse_fn *parse, const void *bytes, size_t size, bool may_pass)
{
    for (size_t length = 0; length < size; length++) {
        void *copy = malloc(length ? length : 1);
        soma_error err = {0};
        soma_status status;
        assert_non_null(copy);
        memcpy(copy, bytes, length);
        status = parse(copy, length, &err);
        if (status != SOMA_OK)
            check_failure(status, &err);
        else if (!may_pass)
            fail_msg("the first %zu of %zu bytes were accepted", length, size);
        free(copy);
    }
}

size_t every_flip(parse_fn *parse, const void *bytes, size_t size)
{
    unsigned char *copy = malloc(size);
    size_t accepted = 0;

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    for (size_t i = 0; i < size * 8; i++) {
        soma_error err = {0};
        soma_status status;
        copy[i / 8] ^= (unsigned char)(1 << i % 8);
        status = parse(copy, size, &err);
        if (status == SOMA_OK)
            accepted++;
        else
            check_failure(status, &err);
        copy[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    free(copy);
    return accepted;
}

void expect_failure(parse_fn *parse, const void *bytes, size_t size, soma_status code,
                    const char *part)
{
    soma_error err = {0};
    soma_status status = parse(bytes, size, &err);

    if (status != code || !strstr(err.message, part))
        fail_msg("expected %d with '%s', got %d: %s", code, part, status, err.message);
    /* The message is not obligatory. */
    assert_int_equal(parse(bytes, size, NULL), code);
}

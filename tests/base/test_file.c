/* Files: reading whole ones, replacing them atomically, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static char folder[64];

/* A path in this test's folder; the last few results stay valid. */
static const char *at(const char *name)
{
    static char paths[4][300];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_test_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/soma_file_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_test_folder(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int entries(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static void check_content(const char *path, const char *expected)
{
    void *data;
    size_t size;
    soma_error err = {0};
    if (soma__file_read(&data, &size, path, 0, &err) != SOMA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected);
    soma__free(data);
}

static void check_unreadable(const char *path, size_t limit, const char *part)
{
    void *data;
    size_t size;
    soma_error err = {0};
    assert_int_equal(soma__file_read(&data, &size, path, limit, &err), SOMA_IO);
    if (!strstr(err.message, part) || !strstr(err.message, path))
        fail_msg("expected '%s' in: %s", part, err.message);
}

static void check_unwritable(const char *path, const char *part)
{
    soma_error err = {0};
    assert_int_equal(soma__file_write(path, "x", 1, &err), SOMA_IO);
    if (!strstr(err.message, part) || !strstr(err.message, path))
        fail_msg("expected '%s' in: %s", part, err.message);
}

static void files_are_read(void **state)
{
    (void)state;
    const char *path = at("a.txt");
    assert_false(soma__file_exists(path));
    assert_int_equal(soma__file_write(path, "", 0, NULL), SOMA_OK);
    assert_true(soma__file_exists(path));
    check_content(path, "");
    assert_int_equal(soma__file_write(path, "hello", 5, NULL), SOMA_OK);
    check_content(path, "hello");
    check_unreadable(path, 4, "larger than the 4 B allowed");

    void *data;
    size_t size;
    assert_int_equal(soma__file_read(&data, &size, path, 5, NULL), SOMA_OK);
    soma__free(data);
    /* A file that says its size is 0 and is not empty. */
    assert_int_equal(soma__file_read(&data, &size, "/proc/self/status", 0, NULL), SOMA_OK);
    assert_true(size > 200);
    assert_memory_equal(data, "Name:", 5);
    soma__free(data);
    check_unreadable("/proc/self/status", 100, "larger than the 100 B allowed");
}

static void unreadable_things(void **state)
{
    (void)state;
    check_unreadable(at("missing"), 0, "No such file or directory");
    check_unreadable(folder, 0, "it is a folder");
    check_unreadable("/dev/zero", 0, "not a regular file");
    check_unreadable("", 0, "the name is empty");
    const char *pipe = at("pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    check_unreadable(pipe, 0, "not a regular file"); /* and does not wait for a writer */
    unlink(pipe);
    soma__file_write(at("a"), "x", 1, NULL);
    check_unreadable(at("a/b"), 0, "Not a directory");
}

static void large_writes_and_small(void **state)
{
    (void)state;
    /* Sizes around the buffer, so that each way through it is taken. */
    const size_t parts[] = {1, 65535, 1, 65536, 65537, 0, 200000, 3, 65533};
    const char *path = at("large.bin");
    soma__writer *writer;
    unsigned char *bytes = soma__malloc(200000);
    size_t total = 0;
    assert_int_equal(soma__writer_open(&writer, path, NULL), SOMA_OK);
    for (size_t p = 0; p < 9; p++) {
        for (size_t i = 0; i < parts[p]; i++)
            bytes[i] = (unsigned char)((total + i) * 7 % 251);
        assert_int_equal(soma__writer_write(writer, bytes, parts[p], NULL), SOMA_OK);
        total += parts[p];
    }
    assert_false(soma__file_exists(path));
    assert_int_equal(soma__writer_commit(writer, NULL), SOMA_OK);
    soma__free(bytes);
    void *data;
    size_t size;
    assert_int_equal(soma__file_read(&data, &size, path, 0, NULL), SOMA_OK);
    assert_int_equal(size, total);
    for (size_t i = 0; i < total; i++)
        assert_int_equal(((unsigned char *)data)[i], i * 7 % 251);
    soma__free(data);
}

static void the_old_file_stays_until_commit(void **state)
{
    (void)state;
    const char *path = at("model.soma");
    assert_int_equal(soma__file_write(path, "old", 3, NULL), SOMA_OK);
    int before = entries();
    soma__writer *writer, *second;
    assert_int_equal(soma__writer_open(&writer, path, NULL), SOMA_OK);
    assert_int_equal(soma__writer_open(&second, path, NULL), SOMA_OK);
    assert_int_equal(entries(), before + 2);
    assert_int_equal(soma__writer_write(writer, "new", 3, NULL), SOMA_OK);
    assert_int_equal(soma__writer_write(second, "two", 3, NULL), SOMA_OK);
    check_content(path, "old");
    soma__writer_abandon(second);
    check_content(path, "old");
    assert_int_equal(soma__writer_commit(writer, NULL), SOMA_OK);
    check_content(path, "new");
    assert_int_equal(entries(), before);
    soma__writer_abandon(NULL);
}

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void permissions(void **state)
{
    (void)state;
    const char *path = at("mode");
    mode_t before = umask(027);
    assert_int_equal(soma__file_write(path, "a", 1, NULL), SOMA_OK);
    umask(before);
    assert_int_equal(mode_of(path), 0640);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(soma__file_write(path, "b", 1, NULL), SOMA_OK);
    assert_int_equal(mode_of(path), 0604);
}

static void links_stay(void **state)
{
    (void)state;
    struct stat info;
    soma__make_folder(at("runs/7"), NULL);
    assert_int_equal(soma__file_write(at("runs/7/m"), "old", 3, NULL), SOMA_OK);
    assert_int_equal(symlink("runs/7/m", at("latest")), 0);
    assert_int_equal(symlink("latest", at("alias")), 0);
    assert_int_equal(soma__file_write(at("alias"), "new", 3, NULL), SOMA_OK);
    check_content(at("runs/7/m"), "new");
    assert_int_equal(lstat(at("latest"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));

    assert_int_equal(symlink("runs/7/not_yet", at("dangling")), 0);
    assert_int_equal(soma__file_write(at("dangling"), "made", 4, NULL), SOMA_OK);
    check_content(at("runs/7/not_yet"), "made");

    assert_int_equal(symlink("circle", at("circle")), 0);
    check_unwritable(at("circle"), "Too many levels");
}

static void unwritable_things(void **state)
{
    (void)state;
    int before = entries();
    check_unwritable(at("no/such/file"), "there is no folder");
    check_unwritable(folder, "it is a folder");
    check_unwritable("", "name is empty");
    check_unwritable("/proc/nothing_here", "cannot write");
    check_unwritable("/dev/full", "No space left on device; make room");
    struct stat info;
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode)); /* it was written to, not replaced */
    assert_int_equal(soma__file_write("/dev/null", "x", 1, NULL), SOMA_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    assert_int_equal(entries(), before);

    char longest[300];
    memset(longest, 'n', sizeof longest);
    longest[255] = '\0'; /* as long as a name may be: the temporary one must not be longer */
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, longest);
    assert_int_equal(soma__file_write(path, "x", 1, NULL), SOMA_OK);
    unlink(path);
    longest[255] = 'n';
    longest[256] = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, longest);
    check_unwritable(path, "File name too long");
}

/* Root may write anywhere, so a child gives the privilege up first. */
static void without_permission(void **state)
{
    (void)state;
    const char *closed = at("closed");
    assert_int_equal(soma__make_folder(closed, NULL), SOMA_OK);
    assert_int_equal(soma__file_write(at("closed/f"), "x", 1, NULL), SOMA_OK);
    assert_int_equal(soma__file_write(at("read_only"), "x", 1, NULL), SOMA_OK);
    assert_int_equal(chmod(at("read_only"), 0444), 0);
    assert_int_equal(chmod(closed, 0555), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(2);
        soma_error err = {0};
        if (soma__file_write(at("closed/g"), "x", 1, &err) != SOMA_IO ||
            !strstr(err.message, "Permission denied") || !strstr(err.message, "has to be writable"))
            _exit(3);
        /* The folder would allow the rename; the file's own protection counts. */
        if (soma__file_write(at("read_only"), "y", 1, &err) != SOMA_IO ||
            !strstr(err.message, "Permission denied"))
            _exit(4);
        if (soma__make_folder(at("closed/deeper"), &err) != SOMA_IO)
            _exit(5);
        _exit(0);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    check_content(at("read_only"), "x");
    chmod(closed, 0755);
}

/* A limit on file sizes acts like a disk that is full half way through a large write. */
static void a_full_disk_keeps_the_old_file(void **state)
{
    (void)state;
    const char *path = at("precious");
    assert_int_equal(soma__file_write(path, "precious", 8, NULL), SOMA_OK);
    int before = entries();
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 100000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    char *bytes = soma__calloc(1, 300000);
    soma_error err = {0}, second = {0};
    soma__writer *writer;
    soma_status status = soma__writer_open(&writer, path, &err);
    soma_status written = SOMA_OK, committed = SOMA_OK;
    if (status == SOMA_OK) {
        written = soma__writer_write(writer, bytes, 300000, &err);
        /* Whoever goes on in spite of the failure still cannot commit half a file. */
        committed = soma__writer_commit(writer, &second);
    }
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    soma__free(bytes);
    assert_int_equal(status, SOMA_OK);
    assert_int_equal(written, SOMA_IO);
    assert_non_null(strstr(err.message, "File too large"));
    assert_int_equal(committed, SOMA_IO);
    assert_non_null(strstr(second.message, "File too large"));
    check_content(path, "precious");
    assert_int_equal(entries(), before);
}

static void folders(void **state)
{
    (void)state;
    soma_error err = {0};
    assert_int_equal(soma__make_folder(at("x//y/z/"), &err), SOMA_OK);
    assert_int_equal(soma__make_folder(at("x/y/z"), &err), SOMA_OK);
    assert_true(soma__file_exists(at("x/y/z")));
    assert_int_equal(soma__make_folder("/", &err), SOMA_OK);
    assert_int_equal(soma__make_folder(".", &err), SOMA_OK);
    assert_int_equal(soma__make_folder("", &err), SOMA_IO);
    assert_int_equal(soma__file_write(at("x/file"), "x", 1, &err), SOMA_OK);
    assert_int_equal(soma__make_folder(at("x/file/y"), &err), SOMA_IO);
    assert_non_null(strstr(err.message, "a file has that name"));
}

static void paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"},
        {"/", "b", "/b"},  {"a", "/b", "/b"},  {".", "b/c", "./b/c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out;
        assert_int_equal(soma__path_join(&out, cases[i][0], cases[i][1], NULL), SOMA_OK);
        assert_string_equal(out, cases[i][2]);
        soma__free(out);
    }
    double start = soma__seconds();
    usleep(2000);
    assert_true(soma__seconds() - start >= 0.002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(unreadable_things),
        cmocka_unit_test(large_writes_and_small),
        cmocka_unit_test(the_old_file_stays_until_commit),
        cmocka_unit_test(permissions),
        cmocka_unit_test(links_stay),
        cmocka_unit_test(unwritable_things),
        cmocka_unit_test(without_permission),
        cmocka_unit_test(a_full_disk_keeps_the_old_file),
        cmocka_unit_test(folders),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}

/* replay.c: runs a fuzz target over files, without libFuzzer, so that corpora (and whatever a
 * fuzzer once found) are plain tests for any compiler.
 *
 *   replay FILE-OR-FOLDER…
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    uint8_t *data;
    size_t size;

    if (!file || fstat(fileno(file), &info) != 0 || info.st_size < 0) {
        perror(path);
        if (file)
            fclose(file);
        return 1;
    }
    /* Of exact size, so that a sanitizer sees any read beyond the end. */
    size = (size_t)info.st_size;
    data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        fclose(file);
        return 1;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    ++*count;
    return 0;
}

static int replay(const char *path, size_t *count)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int failures = 0;

    if (!folder)
        return replay_file(path, count);
    while ((entry = readdir(folder)) != NULL) {
        char *inside;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&inside, "%s/%s", path, entry->d_name) < 0) {
            failures++;
            continue;
        }
        failures += replay(inside, count);
        free(inside);
    }
    closedir(folder);
    return failures;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    int failures = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++)
        failures += replay(argv[i], &count);
    printf("%zu inputs replayed\n", count);
    return failures || !count;
}

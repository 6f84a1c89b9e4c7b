/* tested.c: counts how each op is tested. */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "format/safetensors.h"

static const soma__sample *const families[] = {
#define SAMPLES(family_) soma__samples_##family_,
#include "samples.def"
#undef SAMPLES
};

/* The op that a golden case is of: the one with the longest name that the case's name begins with,
 * as "conv2d_stride" is of conv2d. */
static const soma__op *op_of_case(const char *name, size_t length)
{
    const soma__op *best = NULL;
    size_t most = 0;
    for (int i = 0; i < soma__op_count(); i++) {
        const soma__op *op = soma__op_at(i);
        size_t n = strlen(op->name);
        if (n > most && n <= length && strncmp(op->name, name, n) == 0 &&
            (n == length || name[n] == '_')) {
            best = op;
            most = n;
        }
    }
    return best;
}

static int count_golden(const soma__op *op, const soma__archive *archives, size_t count)
{
    int cases = 0;
    for (size_t a = 0; a < count; a++)
        for (size_t i = 0; i < archives[a].count; i++) {
            const char *name = archives[a].entries[i].name, *end = strrchr(name, '/');
            if (end && strcmp(end, "/y") == 0)
                cases += op_of_case(name, (size_t)(end - name)) == op;
        }
    return cases;
}

int driver_tested(const char *only)
{
    enum { MOST = 64 };
    static soma__archive archives[MOST];
    soma_error err = {0};
    glob_t files;
    size_t count = 0;
    int faults = glob(SOMA_TEST_FOLDER "/golden/*.safetensors", 0, NULL, &files) != 0;
    for (size_t i = 0; !faults && i < files.gl_pathc && count < MOST; i++, count++)
        faults = soma__archive_read(&archives[count], files.gl_pathv[i], &err) != SOMA_OK;
    for (int i = 0; !faults && i < soma__op_count(); i++) {
        const soma__op *op = soma__op_at(i);
        int valid = 0, refused = 0, worked = 0;
        if ((only && strcmp(only, op->name) != 0) ||
            (op->flags & (SOMA__OP_LEAF | SOMA__OP_INTERNAL)))
            continue;
        for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++)
            for (const soma__sample *s = families[f]; s->op; s++)
                if (strcmp(s->op, op->name) == 0) {
                    valid += s->status == SOMA_OK;
                    refused += s->status != SOMA_OK;
                    worked += s->expect_count > 0;
                }
        printf("{\"%s\", %d, %d, %d, %d},\n", op->name, valid, refused, worked,
               count_golden(op, archives, count));
    }
    if (faults)
        fprintf(stderr, "golden files: %s\n", err.message);
    for (size_t i = 0; i < count; i++)
        soma__archive_clear(&archives[i]);
    globfree(&files);
    return faults;
}

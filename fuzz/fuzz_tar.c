/* Whatever the bytes, a walk over the archive ends, and what it hands out can be read. */
#include <string.h>

#include "format/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static soma_status look(void *user, const char *path, const void *bytes, size_t size,
                        soma_error *err)
{
    unsigned *sum = user;
    (void)err;
    for (size_t i = 0; i < size; i++)
        *sum += ((const unsigned char *)bytes)[i];
    *sum += (unsigned)strlen(path) + soma__tar_safe(path);
    return SOMA_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma_error err = {0};
    unsigned sum = 0;
    (void)!soma__tar_each(data, size, "fuzz", look, &sum, &err);
    return 0;
}

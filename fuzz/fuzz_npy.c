/* Whatever the bytes, arrays and archives of them give a tensor or a status. */
#include <string.h>

#include "format/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma_tensor *array;
    soma_error err = {0};
    bool zip = size > 2 && memcmp(data, "PK", 2) == 0;
    soma_status status = zip ? soma__npz_parse(&array, data, size, "x", "fuzz", &err)
                             : soma__npy_parse(&array, data, size, "fuzz", &err);
    if (status == SOMA_OK)
        soma_tensor_release(array);
    return 0;
}

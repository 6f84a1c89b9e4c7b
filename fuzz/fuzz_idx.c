/* Whatever the bytes, the IDX reader gives a tensor or a status. */
#include "format/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma_tensor *tensor;
    soma_error err = {0};

    if (soma__idx_parse(&tensor, data, size, "fuzz", &err) == SOMA_OK)
        soma_tensor_release(tensor);
    return 0;
}

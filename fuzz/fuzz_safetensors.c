/* Whatever the bytes, the model reader gives an archive in which every name is found, or a status.
 */
#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma__archive archive = {0};
    soma_error err = {0};

    if (soma__archive_parse(&archive, data, size, "fuzz", &err) == SOMA_OK)
        for (size_t i = 0; i < archive.count; i++)
            if (soma__archive_find(&archive, archive.entries[i].name) != archive.entries[i].tensor)
                __builtin_trap();
    soma__archive_clear(&archive);
    return 0;
}

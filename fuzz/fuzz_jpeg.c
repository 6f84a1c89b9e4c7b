/* Whatever the bytes, the JPEG reader gives a picture or a status. The first byte chooses channels.
 */
#include "format/jpeg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int channels[] = {0, 1, 3};
    soma_tensor *image;
    soma_error err = {0};

    if (size == 0)
        return 0;
    if (soma__jpeg_parse(&image, data + 1, size - 1, "fuzz", channels[data[0] % 3], &err) ==
        SOMA_OK)
        soma_tensor_release(image);
    return 0;
}

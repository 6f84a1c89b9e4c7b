/* The first byte chooses the channels, the rest is the file. A picture that loads is resized. */
#include "format/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int channels[] = {0, 1, 3, 2};
    soma_tensor *image, *small;
    soma_error err = {0};

    if (size == 0)
        return 0;
    if (soma__png_parse(&image, data + 1, size - 1, "fuzz", channels[data[0] % 4], &err) != SOMA_OK)
        return 0;
    if (soma_tensor_count(image) < 1000000 &&
        soma__image_resize(&small, image, 8, 9, &err) == SOMA_OK)
        soma_tensor_release(small);
    soma_tensor_release(image);
    return 0;
}

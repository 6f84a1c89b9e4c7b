/* The first byte chooses the layout, the rest are records. */
#include "base/mem.h"
#include "format/cifar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const soma__cifar_layout layouts[] = {{1, 0, 10}, {2, 0, 20}, {2, 1, 100}};
    soma_error err = {0};
    int64_t count;

    if (size == 0)
        return 0;
    const soma__cifar_layout *layout = &layouts[data[0] % 3];
    if (soma__cifar_count(&count, size - 1, layout, "fuzz", &err) != SOMA_OK)
        return 0;
    uint8_t *pixels = soma__malloc((size_t)count * SOMA__CIFAR_PIXELS);
    int64_t *labels = soma__malloc((size_t)count * sizeof *labels);
    if (pixels && labels)
        (void)!soma__cifar_decode(pixels, labels, data + 1, count, layout, "fuzz", &err);
    soma__free(pixels);
    soma__free(labels);
    return 0;
}

#include "format/cifar.h"

#define PLANE ((size_t)SOMA__CIFAR_SIDE * SOMA__CIFAR_SIDE)

soma_status soma__cifar_count(int64_t *count, size_t size, const soma__cifar_layout *layout,
                              const char *name, soma_error *err)
{
    size_t record = SOMA__CIFAR_PIXELS + (size_t)layout->label_bytes;
    if (size == 0 || size % record != 0)
        return soma__fail(err, SOMA_FORMAT,
                          "%s: %zu bytes are not a whole number of CIFAR records of %zu bytes: it "
                          "is cut short or something else",
                          name, size, record);
    *count = (int64_t)(size / record);
    return SOMA_OK;
}

soma_status soma__cifar_record(uint8_t *pixels, int64_t *label, const uint8_t *record,
                               const soma__cifar_layout *layout, int64_t index, const char *name,
                               soma_error *err)
{
    const uint8_t *plane = record + layout->label_bytes;
    if (record[layout->label] >= layout->classes)
        return soma__fail(err, SOMA_FORMAT, "%s: record %lld has label %d, classes are 0 to %d",
                          name, (long long)index, record[layout->label], layout->classes - 1);
    *label = record[layout->label];
    for (size_t i = 0; i < PLANE; i++)
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] = plane[c * PLANE + i];
    return SOMA_OK;
}

soma_status soma__cifar_decode(uint8_t *pixels, int64_t *labels, const void *bytes, int64_t count,
                               const soma__cifar_layout *layout, const char *name, soma_error *err)
{
    size_t each = SOMA__CIFAR_PIXELS + (size_t)layout->label_bytes;
    for (int64_t i = 0; i < count; i++)
        SOMA__TRY(soma__cifar_record(pixels + (size_t)i * SOMA__CIFAR_PIXELS, labels + i,
                                     (const uint8_t *)bytes + (size_t)i * each, layout, i, name,
                                     err));
    return SOMA_OK;
}

/* reconstruct.c: a data set whose targets are its own inputs, for autoencoders. */
#include <stddef.h>

#include "data/dataset.h"
#include "data/table.h"

typedef struct mirror {
    soma_dataset *of; /* retained */
} mirror;

/* Labels are a few bytes; only targets larger than this cost an allocation. */
#define SMALL_TARGET 256

static soma_status read_mirror(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const soma_dataset *of = ((mirror *)user)->of;
    max_align_t small[SMALL_TARGET / sizeof(max_align_t)];
    void *unused = of->y_bytes <= sizeof small ? small : soma__malloc(of->y_bytes);
    if (!unused)
        return soma__fail(err, SOMA_MEMORY, "no memory for a target of %zu bytes", of->y_bytes);
    soma_status status = soma_dataset_read(of, &index, 1, x, unused, err);
    if (status == SOMA_OK) {
        int64_t cells = 0;
        soma__shape_count(&of->x_shape, &cells);
        for (int64_t i = 0; i < cells; i++)
            ((float *)y)[i] = (float)soma__load(of->x_dtype, x, i);
    }
    if (unused != small)
        soma__free(unused);
    return status;
}

static void destroy_mirror(void *user)
{
    soma_dataset_release(((mirror *)user)->of);
    soma__free(user);
}

soma_status soma_dataset_reconstruct(soma_dataset **out, soma_dataset *dataset, soma_error *err)
{
    *out = NULL;
    mirror *m = soma__malloc(sizeof *m);
    if (!m)
        return soma__fail(err, SOMA_MEMORY, "no memory for a data set");
    m->of = soma_dataset_retain(dataset);
    const soma_dataset_source source = {
        .count = dataset->count,
        .x_dtype = dataset->x_dtype,
        .x_shape = dataset->x_shape,
        .y_dtype = SOMA_F32,
        .y_shape = dataset->x_shape,
        .read = read_mirror,
        .destroy = destroy_mirror,
        .user = m,
    };
    soma_status status = soma_dataset_from_callback(out, &source, err);
    if (status != SOMA_OK) {
        destroy_mirror(m);
        return status;
    }
    /* How columns became features is still asked for, by the model file. */
    soma__encoding *encoding = (soma__encoding *)(uintptr_t)soma__dataset_encoding(dataset);
    (*out)->encoding = encoding ? soma__encoding_retain(encoding) : NULL;
    return SOMA_OK;
}

soma_status soma__dataset_mirror(soma_dataset **dataset, soma_error *err)
{
    soma_dataset *plain = *dataset;
    if (!plain)
        return SOMA_OK;
    soma_status status = soma_dataset_reconstruct(dataset, plain, err);
    soma_dataset_release(plain);
    return status;
}

/* soma/data.h: data sets: samples x with labels or targets y.
 *
 * A data set is immutable and reference-counted. Parts made from it (splits, shuffles) share its
 * samples. */
#ifndef SOMA_DATA_H
#define SOMA_DATA_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_dataset soma_dataset;

/* From tensors in memory: x [N, sample…], y [N] (i64 class labels) or [N, …] (f32 targets). Both
 * are retained. Errors: SOMA_SHAPE when counts differ or are 0; SOMA_NUMERIC for NaN or Inf in x
 * ("sample 17, value 3"); SOMA_INVALID for a negative label. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_from_tensors(soma_dataset **out, soma_tensor *x,
                                                               soma_tensor *y, soma_error *err);

/* From the user's function, called from loader threads (several at once) with an index in
 * [0,count): it writes one sample and its label or target. A status other than SOMA_OK stops the
 * training. */
typedef struct soma_dataset_source {
    int64_t count;
    soma_dtype x_dtype;
    soma_shape x_shape; /* of one sample */
    soma_dtype y_dtype; /* SOMA_I64 scalar: class labels */
    soma_shape y_shape;
    soma_status (*read)(void *user, int64_t index, void *x, void *y, soma_error *err);
    void (*destroy)(void *user); /* may be NULL */
    void *user;
} soma_dataset_source;
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_from_callback(soma_dataset **out,
                                                                const soma_dataset_source *source,
                                                                soma_error *err);

/* IDX files (plain or gzip): images u8 [N,H,W] become [N,H,W,1]. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_open_idx(soma_dataset **out, const char *images,
                                                           const char *labels, soma_error *err);
/* A CSV table; `label` is a column's name or number (negative from the end; NULL: the last column).
 * Text labels become classes in sorted order, numeric labels that are whole numbers as well, unless
 * `regress`. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_open_csv(soma_dataset **out, const char *path,
                                                           const char *label, bool regress,
                                                           soma_error *err);

SOMA_API soma_dataset *soma_dataset_retain(soma_dataset *dataset);
SOMA_API void soma_dataset_release(soma_dataset *dataset);
SOMA_API int64_t soma_dataset_count(const soma_dataset *dataset);
SOMA_API soma_dtype soma_dataset_x_dtype(const soma_dataset *dataset);
SOMA_API const soma_shape *soma_dataset_x_shape(const soma_dataset *dataset); /* of one sample */
SOMA_API soma_dtype soma_dataset_y_dtype(const soma_dataset *dataset);
SOMA_API const soma_shape *soma_dataset_y_shape(const soma_dataset *dataset);
/* Number of classes (largest label + 1, or the class names); 0 when y is not labels or unknown. */
SOMA_API int soma_dataset_class_count(const soma_dataset *dataset);
SOMA_API const char *soma_dataset_class(const soma_dataset *dataset, int index); /* NULL: no name */

/* Reads samples indexes[0..count) into batches x [count, sample…], y; buffers are the caller's. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_read(const soma_dataset *dataset,
                                                       const int64_t *indexes, int64_t count,
                                                       void *x, void *y, soma_error *err);
/* The samples with these indexes, in this order. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_subset(soma_dataset **out, soma_dataset *dataset,
                                                         const int64_t *indexes, int64_t count,
                                                         soma_error *err);
/* Splits off `fraction` (in (0,1)) or, when >= 1, that many samples, drawn by `seed`; stratified by
 * class when labels are known. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_split(soma_dataset **rest, soma_dataset **part,
                                                        soma_dataset *dataset, double fraction,
                                                        uint64_t seed, soma_error *err);

/* Fold `fold` (from 0) of `folds`: *part has every sample that falls to it, *rest the others. Over
 * the folds each sample is in one part; parts differ by at most one sample, and in each class by at
 * most one (stratified, when labels are known). Drawn by `seed`. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_fold(soma_dataset **rest, soma_dataset **part,
                                                       soma_dataset *dataset, int folds, int fold,
                                                       uint64_t seed, soma_error *err);

/* The same samples with themselves (f32) as targets: for autoencoders. Keeps a reference. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_reconstruct(soma_dataset **out,
                                                              soma_dataset *dataset,
                                                              soma_error *err);

/* The parts of a job. Whoever fills it owns it; soma_data_clear releases. The test part never takes
 * part in training or in choosing a model. */
typedef struct soma_data {
    soma_dataset *train;
    soma_dataset *validation; /* may be NULL */
    soma_dataset *test;       /* may be NULL */
} soma_data;
SOMA_API void soma_data_clear(soma_data *data);

/* Opens data by name (soma_data_source lists them). "digits" and "iris" are embedded; the files of
 * the others are looked for in `folder`, $SOMA_DATA, ./data and the user's cache
 * ($XDG_CACHE_HOME/soma, else ~/.cache/soma), there and in a sub-folder of the set's name. Sets
 * without a test part of their own come with a fixed one of 20 %. No validation part yet:
 * soma_dataset_split. Errors: SOMA_NOT_FOUND (the message names the places), SOMA_FORMAT, SOMA_IO,
 * SOMA_MEMORY. */
SOMA_MUST_CHECK SOMA_API soma_status soma_data_open(soma_data *out, const char *name,
                                                    const char *folder, soma_error *err);

/* The names that soma_data_open knows, with one line each; false when index is out of range. */
SOMA_API bool soma_data_source(int index, const char **name, const char **doc);

/* Scaling fitted on a data set (the training part): y = (x - shift) · scale. */
typedef enum soma_scaling {
    SOMA_SCALE_NONE,
    SOMA_SCALE_UNIT,     /* u8 by 1/255; else to [0,1] by the overall minimum and maximum */
    SOMA_SCALE_STANDARD, /* per feature (last axis) to mean 0, variance 1; both leave a table's
                            numbers of categories alone */
    SOMA_SCALE_MINMAX    /* per feature to [0,1] */
} soma_scaling;
/* shift and scale: f32 [C] of the last axis (or [1]); the caller releases them. */
SOMA_MUST_CHECK SOMA_API soma_status soma_scaling_fit(soma_tensor **shift, soma_tensor **scale,
                                                      const soma_dataset *dataset,
                                                      soma_scaling kind, soma_error *err);

/* --- transforms ---------------------------------------------------------------------------------
 *
 * A list of transforms changes samples as they are read: to vary the training part, or to bring
 * samples into the form that a model takes. All draws are a function of (seed, epoch, sample,
 * position in the list), so they depend neither on loader threads nor on where a run was resumed.
 *
 * Samples are u8 or f32. Images are [H,W,C]; an f32 image counts as in [0,1] (what leaves it is
 * cut off), a u8 image as in 0 to 255. `soma ops --transforms` lists kinds with their keys. */
#define SOMA_TRANSFORM_LIST(X)                                                                     \
    X(FLIP, flip)                                                                                  \
    X(PAD_CROP, pad_crop)                                                                          \
    X(CENTER_CROP, center_crop)                                                                    \
    X(RESIZE, resize)                                                                              \
    X(RESIZED_CROP, resized_crop)                                                                  \
    X(ROTATE, rotate)                                                                              \
    X(SHIFT, shift)                                                                                \
    X(ZOOM, zoom)                                                                                  \
    X(SHEAR, shear)                                                                                \
    X(AFFINE, affine)                                                                              \
    X(PERSPECTIVE, perspective)                                                                    \
    X(ELASTIC, elastic)                                                                            \
    X(COLOR_JITTER, color_jitter)                                                                  \
    X(GRAYSCALE, grayscale)                                                                        \
    X(INVERT, invert)                                                                              \
    X(POSTERIZE, posterize)                                                                        \
    X(SOLARIZE, solarize)                                                                          \
    X(EQUALIZE, equalize)                                                                          \
    X(AUTOCONTRAST, autocontrast)                                                                  \
    X(SHARPNESS, sharpness)                                                                        \
    X(GAUSSIAN_BLUR, gaussian_blur)                                                                \
    X(GAUSSIAN_NOISE, gaussian_noise)                                                              \
    X(CUTOUT, cutout)                                                                              \
    X(RANDOM_ERASING, random_erasing)                                                              \
    X(RAND_AUGMENT, rand_augment)                                                                  \
    X(NORMALIZE, normalize)                                                                        \
    X(STANDARDIZE, standardize)                                                                    \
    X(ONE_HOT, one_hot)                                                                            \
    X(MIXUP, mixup)                                                                                \
    X(CUTMIX, cutmix)

typedef enum soma_transform_kind {
#define SOMA__TRANSFORM_ENUM(name_, text_) SOMA_TRANSFORM_##name_,
    SOMA_TRANSFORM_LIST(SOMA__TRANSFORM_ENUM)
#undef SOMA__TRANSFORM_ENUM
} soma_transform_kind;

typedef enum soma_when {
    SOMA_WHEN_DEFAULT,  /* as the kind is meant: random ones train, resize and the like always */
    SOMA_WHEN_TRAIN,    /* on the training part only */
    SOMA_WHEN_EVALUATE, /* on all other data only */
    SOMA_WHEN_ALWAYS
} soma_when;

typedef enum soma_interpolation {
    SOMA_BILINEAR, /* resize: with a window that widens as the image shrinks (antialiased) */
    SOMA_NEAREST
} soma_interpolation;

typedef enum soma_direction { SOMA_HORIZONTAL, SOMA_VERTICAL } soma_direction;

typedef enum soma_border {
    SOMA_BORDER_CONSTANT, /* of `fill` */
    SOMA_BORDER_EDGE,     /* the nearest pixel */
    SOMA_BORDER_REFLECT   /* mirrored, without repeating the edge */
} soma_border;

#define SOMA_MAX_CHANNELS 16

/* One transform. Zero in a member means the kind's default; a kind looks at those that its keys
 * name. A range of two equal numbers is a fixed value. */
typedef struct soma_transform {
    soma_transform_kind kind;
    soma_when when;
    double p;                 /* probability; 0: 0.5 of flip, perspective and the like, else 1 */
    soma_direction direction; /* flip: what changes places, left and right or top and bottom */
    soma_interpolation interpolation;
    soma_border border;
    double fill;               /* colour of what comes from outside, in the sample's units */
    int64_t size[2];           /* height, width */
    int64_t pad;               /* pixels */
    double degrees;            /* turned by -degrees to degrees */
    double shift[2];           /* moved by up to this share of height and width */
    double shear[2];           /* slanted by up to these degrees along height and width */
    double scale[2], ratio[2]; /* ranges: of size or area, of width / height */
    double strength;           /* perspective: 0 to 1; noise: deviation on the scale of [0,1] */
    double alpha, sigma[2];    /* elastic, blur, mixup, cutmix */
    double brightness, contrast, saturation, hue;
    int64_t bits, n, magnitude; /* posterize; rand_augment */
    double threshold;           /* solarize, on the scale of [0,1] */
    double factor;              /* sharpness */
    bool random;                /* random_erasing: with noise instead of `fill` */
    int channels;               /* entries of mean and std: as many as channels, or 1 for all */
    double mean[SOMA_MAX_CHANNELS], std[SOMA_MAX_CHANNELS];
} soma_transform;

/* `dataset` with its samples transformed as they are read. `training` says which transforms run:
 * those for training or those for evaluation. Shapes and dtypes are those of the result;
 * soma_dataset_read gives epoch 0, a loader its epoch. The list is copied, `dataset` is retained.
 * With mixup, cutmix and one_hot, labels become f32 distributions [classes].
 * Errors: SOMA_INVALID (an option out of range, an unfit place in the list), SOMA_SHAPE,
 * SOMA_DTYPE. All name the transform: "transforms.1.pad_crop: …". */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_transform(soma_dataset **out,
                                                            soma_dataset *dataset,
                                                            const soma_transform *list, int count,
                                                            bool training, uint64_t seed,
                                                            soma_error *err);
/* Name and one line about a kind of transform; false when index is out of range. */
SOMA_API bool soma_transform_kind_text(int index, const char **name, const char **doc);

/* A loader makes batches ahead of their use in its own threads. The order of epoch e is a function
 * of (seed, e) alone. */
typedef struct soma_loader soma_loader;
#define SOMA_BUCKETS 16
typedef struct soma_loader_options {
    int64_t batch; /* required */
    bool shuffle;
    bool balanced;  /* shuffled, and each class as often as any other: samples of a class are drawn
                       with  replacement, an epoch has as many as ever. Needs labels */
    bool drop_last; /* leave out a last batch that is not full */
    /* Sequences: lengths, in rising order, that batches may be cut to (at most SOMA_BUCKETS).
     * Samples of a like length share a batch, which has the first of these lengths that holds them
     * all, else the samples' own; what is cut off is padding: zeros in x. Targets i64 of as many
     * steps are cut alike. Needs shuffle, and f32 samples [T…] without transforms. */
    const int64_t *buckets;
    int bucket_count;
    uint64_t seed;
    int threads;  /* 0: 1 */
    int prefetch; /* batches ready ahead; 0: 4 */
} soma_loader_options;
SOMA_MUST_CHECK SOMA_API soma_status soma_loader_create(soma_loader **out, soma_dataset *dataset,
                                                        const soma_loader_options *options,
                                                        soma_error *err);
SOMA_API void soma_loader_destroy(soma_loader *loader);
SOMA_API int64_t soma_loader_batches(const soma_loader *loader); /* in an epoch */
/* Starts epoch `epoch` at batch `first` (to resume in the middle). */
SOMA_MUST_CHECK SOMA_API soma_status soma_loader_start(soma_loader *loader, int64_t epoch,
                                                       int64_t first, soma_error *err);
/* The next batch: x [count, sample…], y; valid until the next call. *count 0: the epoch is over. */
SOMA_MUST_CHECK SOMA_API soma_status soma_loader_next(soma_loader *loader, const void **x,
                                                      const void **y, int64_t *count,
                                                      soma_error *err);
/* With buckets: steps of the samples in the batch that soma_loader_next gave last; else 0. */
SOMA_API int64_t soma_loader_length(const soma_loader *loader);
/* With buckets: steps of the samples in the batch that soma_loader_next gave last; else 0. */
SOMA_API int64_t soma_loader_length(const soma_loader *loader);

#ifdef __cplusplus
}
#endif
#endif

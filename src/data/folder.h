/* folder.h: folders of pictures by class, read as they are needed.
 *
 *   DIR/cat/1.png  DIR/dog/x.jpg …                 one set, to be split
 *   DIR/train/cat/…  DIR/val/cat/…  DIR/test/…     the parts are there already (val or validation)
 *
 * Classes are the folders' names in order; samples are ordered by class, then by file name. Nothing
 * but the names is kept in memory: a picture is decoded by the loader's thread that needs it. */
#ifndef SOMA__FOLDER_H
#define SOMA__FOLDER_H

#include "format/jpeg.h"
#include "soma/data.h"

typedef struct soma__folder_options {
    int64_t size[2]; /* height and width that all pictures are brought to; 0: as the first one */
    int channels;    /* 1 or 3; 0: 3 */
    soma__fit fit;
} soma__folder_options;

/* Without train/ in it, all is in out->train. Errors: SOMA_IO, SOMA_NOT_FOUND (no pictures),
 * SOMA_INVALID (a part has a class that the training part lacks), those of decoding the first
 * picture when no size is given. */
soma_status soma__folder_open(soma_data *out, const char *path, const soma__folder_options *options,
                              soma_error *err);
bool soma__is_folder(const char *path);

/* Where a model file notes the fit of its pictures. */
#define SOMA__PICTURE_META "data.picture"
/* That of a data set of pictures; -1: it is none. */
int soma__dataset_fit(const soma_dataset *dataset);

#endif

/* open.h: data sets from what the readers of formats give. */
#ifndef SOMA__OPEN_H
#define SOMA__OPEN_H

#include "soma/data.h"

/* Images [N,H,W] get their channel; labels of any integer type become i64. The names are for
 * messages. */
soma_status soma__dataset_from_idx(soma_dataset **out, soma_tensor *images, soma_tensor *labels,
                                   const char *images_name, const char *labels_name,
                                   soma_error *err);
/* x.npy and y.npy. A large x, or any when `stream`, is read sample by sample as it is needed. */
soma_status soma__dataset_open_npy(soma_dataset **out, const char *x_path, const char *y_path,
                                   bool stream, soma_error *err);
/* The arrays x_train, y_train and so on, or x and y, of a .npz. */
soma_status soma__data_open_npz(soma_data *out, const char *path, soma_error *err);

#endif

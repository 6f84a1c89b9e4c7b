/* open.h: data sets from what the readers of formats give. */
#ifndef SOMA__OPEN_H
#define SOMA__OPEN_H

#include "soma/data.h"

/* Images [N,H,W] get their channel; labels of any integer type become i64. The names are for
 * messages. */
soma_status soma__dataset_from_idx(soma_dataset **out, soma_tensor *images, soma_tensor *labels,
                                   const char *images_name, const char *labels_name,
                                   soma_error *err);
#endif

/* soma/recipe.h: recipes: a YAML file that says which data, which model and how to train it.
 *
 *     data:
 *       source: digits            # a name that soma_data_open knows, or csv, idx with their paths
 *       scale: minmax             # none, unit, standard, minmax; fitted on the training part
 *       validation: 0.1           # share, or number of samples, of the training part
 *     model:                      # a list of layers (soma/nn.h)
 *       - conv2d: {filters: 32, kernel: 3, activation: relu}
 *       - flatten
 *       - dense: 10
 *     train:
 *       epochs: 20
 *       batch: 32
 *       optimizer: {kind: adam, rate: 0.001}
 *
 * Keys are those of the C option structs; docs/recipes.md lists all. Every fault names file, line
 * and place ("digits.yaml:7: model.0.conv2d: unknown key 'kernels'; did you mean 'kernel'?").
 */
#ifndef SOMA_RECIPE_H
#define SOMA_RECIPE_H

#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_recipe soma_recipe;

/* Reads `path`, or the built-in recipe of that name, applies `overrides` ("train.epochs=5") and
 * checks all keys but those of layers, which soma_recipe_model checks. `folder` is where data is
 * looked for besides the usual places; may be NULL. */
SOMA_MUST_CHECK SOMA_API soma_status soma_recipe_load(soma_recipe **out, const char *path,
                                                      const char *const *overrides,
                                                      int override_count, const char *folder,
                                                      soma_error *err);
SOMA_API void soma_recipe_destroy(soma_recipe *recipe);
/* The recipe's name: its `name` key or its file's name. */
SOMA_API const char *soma_recipe_name(const soma_recipe *recipe);
/* Its `description` key, or "". */
SOMA_API const char *soma_recipe_description(const soma_recipe *recipe);
/* Built-in recipes; NULL when index is out of range. */
SOMA_API const char *soma_recipe_builtin(int index);
/* The seed of weights, split and order (key `seed`, default 1). */
SOMA_API uint64_t soma_recipe_seed(const soma_recipe *recipe);
SOMA_API void soma_recipe_set_seed(soma_recipe *recipe, uint64_t seed);

/* Opens the data, with its validation part split off. soma_data_clear releases. */
SOMA_MUST_CHECK SOMA_API soma_status soma_recipe_data(const soma_recipe *recipe, soma_data *out,
                                                      soma_error *err);
/* The data of fold `fold` (from 0) of a cross-validation over the training part: out->test is that
 * fold, out->train (and out->validation, where the recipe has one) the others. The recipe's own
 * test part has no share in it. */
SOMA_MUST_CHECK SOMA_API soma_status soma_recipe_fold(const soma_recipe *recipe, int folds,
                                                      int fold, soma_data *out, soma_error *err);
/* Makes the model for that data: input shape and dtype, scaling and class names come from it. */
SOMA_MUST_CHECK SOMA_API soma_status soma_recipe_model(const soma_recipe *recipe,
                                                       soma_context *context, const soma_data *data,
                                                       soma_model **out, soma_error *err);
/* The training options; folder, callback and the like are for the caller to fill. */
SOMA_API const soma_train_options *soma_recipe_options(const soma_recipe *recipe);

/* Opens data by what `soma eval --data` is given: a name that soma_data_open knows (its test part),
 * a .csv file, "images.idx,labels.idx", or a folder of pictures by class (with a '/' in its name).
 * `label` and `regress` as in soma_dataset_open_csv. */
SOMA_MUST_CHECK SOMA_API soma_status soma_dataset_open(soma_dataset **out, const char *what,
                                                       const char *folder, const char *label,
                                                       bool regress, soma_error *err);

#ifdef __cplusplus
}
#endif
#endif

#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/dataset.h"

/* Sorted names of a folder's entries. */
typedef struct listing {
    char **name;
    size_t count, capacity;
} listing;

static void listing_free(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        soma__free(l->name[i]);
    soma__free(l->name);
    *l = (listing){0};
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool soma__is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Takes `name`. */
static bool listing_add(listing *l, char *name)
{
    void *array = l->name;
    if (!name || !soma__grow(&array, &l->capacity, l->count, sizeof *l->name)) {
        soma__free(name);
        return false;
    }
    l->name = array;
    l->name[l->count++] = name;
    return true;
}

/* The sub-folders, or the pictures, of a folder; hidden ones are none. */
static soma_status list(listing *out, const char *path, bool folders, soma_error *err)
{
    struct dirent *entry;
    soma_status status = SOMA_OK;
    *out = (listing){0};
    DIR *dir = opendir(path);
    if (!dir)
        return soma__fail(err, SOMA_IO, "cannot read the folder '%s'", path);
    while (status == SOMA_OK && (entry = readdir(dir)) != NULL) {
        char *full;
        if (entry->d_name[0] == '.' || (!folders && !soma__picture_name(entry->d_name)))
            continue;
        status = soma__path_join(&full, path, entry->d_name, err);
        if (status == SOMA_OK && soma__is_folder(full) == folders &&
            !listing_add(out, soma__strdup(entry->d_name)))
            status = soma__fail(err, SOMA_MEMORY, "no memory for the names in '%s'", path);
        soma__free(full);
    }
    closedir(dir);
    if (status != SOMA_OK)
        listing_free(out);
    else if (out->count)
        qsort(out->name, out->count, sizeof *out->name, compare);
    return status;
}

/* --- the data set -------------------------------------------------------------------------------
 */

/* One part: paths and classes of its pictures. */
typedef struct part {
    listing files; /* full paths */
    int64_t *label;
    size_t label_capacity;
    int64_t height, width;
    int channels;
    soma__fit fit;
} part;

static void part_destroy(void *user)
{
    part *p = user;
    if (!p)
        return;
    listing_free(&p->files);
    soma__free(p->label);
    soma__free(p);
}

static soma_status read_picture(void *user, int64_t index, void *x, void *y, soma_error *err)
{
    const part *p = user;
    soma_tensor *picture, *fitted;
    SOMA__TRY(soma__picture_read(&picture, p->files.name[index], p->channels, err));
    soma_status status = soma__picture_fit(&fitted, picture, p->height, p->width, p->fit, err);
    soma_tensor_release(picture);
    SOMA__TRY(status);
    memcpy(x, soma_tensor_const_data(fitted), soma_tensor_bytes(fitted));
    *(int64_t *)y = p->label[index];
    soma_tensor_release(fitted);
    return SOMA_OK;
}

static const char *picture_path(const void *user, int64_t index)
{
    return ((const part *)user)->files.name[index];
}

int soma__dataset_fit(const soma_dataset *dataset)
{
    const soma_dataset *all = soma__dataset_whole(dataset);
    return all && all->source.read == read_picture ? (int)((const part *)all->source.user)->fit
                                                   : -1;
}

/* All pictures of one class. */
static soma_status add_class(part *p, const char *folder, int64_t label, soma_error *err)
{
    listing names;
    SOMA__TRY(list(&names, folder, false, err));
    soma_status status = SOMA_OK;
    for (size_t i = 0; i < names.count && status == SOMA_OK; i++) {
        char *path;
        void *labels = p->label;
        status = soma__path_join(&path, folder, names.name[i], err);
        if (status != SOMA_OK)
            break;
        bool grown = soma__grow(&labels, &p->label_capacity, p->files.count, sizeof *p->label);
        p->label = grown ? labels : p->label;
        if (!grown)
            soma__free(path);
        else
            p->label[p->files.count] = label;
        if (!grown || !listing_add(&p->files, path))
            status = soma__fail(err, SOMA_MEMORY, "no memory for the names in '%s'", folder);
    }
    listing_free(&names);
    return status;
}

static soma_status add_classes(part *p, const char *folder, const listing *classes, soma_error *err)
{
    listing here;
    SOMA__TRY(list(&here, folder, true, err));
    soma_status status = SOMA_OK;
    for (size_t i = 0; i < here.count && status == SOMA_OK; i++) {
        char **found = classes->count ? bsearch(&here.name[i], classes->name, classes->count,
                                                sizeof *classes->name, compare)
                                      : NULL;
        char *path;
        if (!found) {
            status = soma__fail(err, SOMA_INVALID,
                                "'%s/%s': the training part has no class of this name", folder,
                                here.name[i]);
            break;
        }
        status = soma__path_join(&path, folder, here.name[i], err);
        if (status == SOMA_OK)
            status = add_class(p, path, found - classes->name, err);
        soma__free(path);
    }
    listing_free(&here);
    if (status == SOMA_OK && p->files.count == 0)
        status = soma__fail(err, SOMA_NOT_FOUND,
                            "'%s' has no pictures (.png, .jpg, .jpeg) in folders by class", folder);
    return status;
}

/* Without a size, that of the first picture. */
static soma_status find_size(part *p, soma_error *err)
{
    soma_tensor *first;
    if (p->height)
        return SOMA_OK;
    SOMA__TRY(soma__picture_read(&first, p->files.name[0], p->channels, err));
    p->height = soma_tensor_shape(first)->dim[0];
    p->width = soma_tensor_shape(first)->dim[1];
    soma_tensor_release(first);
    return SOMA_OK;
}

static soma_status open_part(soma_dataset **out, const char *folder, const listing *classes,
                             soma__folder_options *options, soma_error *err)
{
    part *p = soma__calloc(1, sizeof *p);
    soma_tensor *y = NULL;
    *out = NULL;
    if (!p)
        return soma__fail(err, SOMA_MEMORY, "no memory for '%s'", folder);
    p->height = options->size[0];
    p->width = options->size[1];
    p->channels = options->channels ? options->channels : 3;
    p->fit = options->fit;
    soma_status status = add_classes(p, folder, classes, err);
    if (status == SOMA_OK)
        status = find_size(p, err);
    if (status == SOMA_OK)
        status = soma_tensor_from(&y, SOMA_I64, SOMA_SHAPE((int64_t)p->files.count), p->label, err);
    if (status != SOMA_OK) {
        part_destroy(p);
        return status;
    }
    /* All parts have the size of the first. */
    options->size[0] = p->height;
    options->size[1] = p->width;
    const soma_dataset_source source = {.count = (int64_t)p->files.count,
                                        .x_dtype = SOMA_U8,
                                        .x_shape = SOMA_SHAPE(p->height, p->width, p->channels),
                                        .y_dtype = SOMA_I64,
                                        .y_shape = SOMA_SCALAR,
                                        .read = read_picture,
                                        .destroy = part_destroy,
                                        .user = p};
    status = soma__dataset_from_source(out, &source, y, picture_path, err);
    soma_tensor_release(y);
    if (status == SOMA_OK)
        status = soma__dataset_set_classes(*out, (const char *const *)classes->name,
                                           (int)classes->count, err);
    return status;
}

/* The part in a sub-folder, if that is there. */
static soma_status open_sub(soma_dataset **out, const char *path, const char *sub,
                            const listing *classes, soma__folder_options *options, soma_error *err)
{
    char *folder;
    if (*out)
        return SOMA_OK;
    SOMA__TRY(soma__path_join(&folder, path, sub, err));
    soma_status status = SOMA_OK;
    if (soma__is_folder(folder))
        status = open_part(out, folder, classes, options, err);
    soma__free(folder);
    return status;
}

soma_status soma__folder_open(soma_data *out, const char *path, const soma__folder_options *options,
                              soma_error *err)
{
    soma__folder_options how = *options;
    listing classes = {0};
    char *train;
    *out = (soma_data){0};
    SOMA__TRY(soma__path_join(&train, path, "train", err));
    bool parts = soma__is_folder(train);
    soma_status status = list(&classes, parts ? train : path, true, err);
    if (status == SOMA_OK)
        status = open_part(&out->train, parts ? train : path, &classes, &how, err);
    if (status == SOMA_OK && parts) {
        static const char *const validation[] = {"val", "validation", "valid"};
        for (size_t i = 0; i < 3 && status == SOMA_OK; i++)
            status = open_sub(&out->validation, path, validation[i], &classes, &how, err);
        if (status == SOMA_OK)
            status = open_sub(&out->test, path, "test", &classes, &how, err);
    }
    listing_free(&classes);
    soma__free(train);
    if (status != SOMA_OK)
        soma_data_clear(out);
    return status;
}

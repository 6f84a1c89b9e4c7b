/* transform.c: the registry of transforms, their reading from recipes, and pipelines: checked lists
 * that data sets run over each sample as it is read. */
#include "data/transform.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "format/json.h"

/* --- the registry -------------------------------------------------------------------------------
 */

static const soma__transform_type *const types[] = {
#define SOMA__TRANSFORM_ROW(name_, text_) [SOMA_TRANSFORM_##name_] = &soma__transform_##text_,
    SOMA_TRANSFORM_LIST(SOMA__TRANSFORM_ROW)
#undef SOMA__TRANSFORM_ROW
};
#define TYPE_COUNT ((int)(sizeof types / sizeof types[0]))

const char *const soma__when_names[] = {"default", "train", "evaluate", "always", NULL};
const char *const soma__interpolation_names[] = {"bilinear", "nearest", NULL};
const char *const soma__border_names[] = {"constant", "edge", "reflect", NULL};
const char *const soma__direction_names[] = {"horizontal", "vertical", NULL};

int soma__transform_type_count(void)
{
    return TYPE_COUNT;
}

const soma__transform_type *soma__transform_type_at(int index)
{
    return index >= 0 && index < TYPE_COUNT ? types[index] : NULL;
}

const soma__transform_type *soma__transform_type_find(const char *name)
{
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

const char *soma__transform_type_nearest(const char *name)
{
    const char *names[TYPE_COUNT];
    for (int i = 0; i < TYPE_COUNT; i++)
        names[i] = types[i]->name;
    return soma__nearest(name, names, (size_t)TYPE_COUNT);
}

bool soma_transform_kind_text(int index, const char **name, const char **doc)
{
    const soma__transform_type *type = soma__transform_type_at(index);
    if (!type)
        return false;
    *name = type->name;
    *doc = type->doc;
    return true;
}

static soma_transform_kind kind_of(const soma__transform_type *type)
{
    int i = 0;
    while (types[i] != type)
        i++;
    return (soma_transform_kind)i;
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* What the field tables write into: lists of any length are read by read_channels. */
typedef struct entry {
    soma_transform t;
    const soma__value *mean, *std;
} entry;

typedef struct reader {
    const soma__tree *tree;
    soma_error *err;
} reader;

/* `mean` or `std`: a number, or a list with one a channel. */
static soma_status read_channels(const reader *r, const soma__value *value, const char *where,
                                 const char *key, double out[SOMA_MAX_CHANNELS], int *count)
{
    bool list = value->kind == SOMA__LIST;
    const soma__value *item = list ? value->first : value;
    int n = list ? value->count : 1;
    if (n < 1 || n > SOMA_MAX_CHANNELS || (*count && *count != n))
        return soma__value_fail(r->tree, value, r->err,
                                "%s.%s: expected one number, or one for each channel (at most %d, "
                                "as many of mean as of std), got %d",
                                where, key, SOMA_MAX_CHANNELS, n);
    *count = n;
    for (int i = 0; i < n; i++, item = item->next) {
        if (item->kind != SOMA__INT && item->kind != SOMA__FLOAT)
            return soma__value_fail(r->tree, item, r->err, "%s.%s: expected a number, got %s",
                                    where, key, soma__value_kind_text(item->kind));
        out[i] = item->number;
    }
    return SOMA_OK;
}

static soma_status read_options(const reader *r, const soma__transform_type *type,
                                const soma__value *value, const char *where, soma_transform *out)
{
    entry e = {.t = {.kind = kind_of(type)}};
    soma__value map = {.kind = SOMA__MAP, .line = value ? value->line : 0}, pair;
    if (value && value->kind != SOMA__MAP && value->kind != SOMA__NULL) {
        if (!type->primary)
            return soma__value_fail(r->tree, value, r->err,
                                    "%s: takes no short form; write `%s: {key: value}` or `%s`",
                                    where, type->name, type->name);
        pair = *value;
        pair.key = type->primary;
        pair.next = NULL;
        map.first = map.last = &pair;
        map.count = 1;
        value = &map;
    }
    SOMA__TRY(soma__fields_read(type->fields, (size_t)type->field_count, &e, r->tree,
                                value ? value : &map, where, r->err));
    if (e.mean && e.mean->kind != SOMA__NULL)
        SOMA__TRY(read_channels(r, e.mean, where, "mean", e.t.mean, &e.t.channels));
    if (e.std && e.std->kind != SOMA__NULL)
        SOMA__TRY(read_channels(r, e.std, where, "std", e.t.std, &e.t.channels));
    *out = e.t;
    return SOMA_OK;
}

/* - flip   - pad_crop: 4   - pad_crop: {pad: 4, border: reflect} */
static soma_status read_one(const reader *r, const soma__value *item, const char *where,
                            soma_transform *out)
{
    bool pair = item->kind == SOMA__MAP && item->count == 1;
    if (item->kind == SOMA__MAP && item->count > 1)
        return soma__value_fail(r->tree, item, r->err,
                                "%s: one transform needs one name, found '%s' and '%s'; options go "
                                "into braces: `%s: {%s: …}`",
                                where, item->first->key, item->first->next->key, item->first->key,
                                item->first->next->key);
    if (!pair && item->kind != SOMA__STRING)
        return soma__value_fail(r->tree, item, r->err,
                                "%s: expected a transform such as `flip` or `pad_crop: 4`, got %s",
                                where, soma__value_kind_text(item->kind));
    const char *name = pair ? item->first->key : item->text;
    const soma__transform_type *type = soma__transform_type_find(name);
    if (!type) {
        const char *near = soma__transform_type_nearest(name);
        return soma__value_fail(r->tree, item, r->err, "%s: unknown transform '%s'%s%s%s", where,
                                name,
                                near ? ", did you mean '" : "; `soma ops --transforms` lists them",
                                near ? near : "", near ? "'?" : "");
    }
    char path[256];
    snprintf(path, sizeof path, "%.180s.%s", where, type->name);
    return read_options(r, type, pair ? item->first : NULL, path, out);
}

soma_status soma__transforms_read(soma_transform **out, int *count, const soma__tree *tree,
                                  const soma__value *value, const char *where, soma_error *err)
{
    reader r = {tree, err};
    *out = NULL;
    *count = 0;
    if (!value || value->kind == SOMA__NULL)
        return SOMA_OK;
    if (value->kind != SOMA__LIST)
        return soma__value_fail(tree, value, err, "%s: expected a list of transforms, got %s",
                                where, soma__value_kind_text(value->kind));
    if (value->count > SOMA__MAX_TRANSFORMS)
        return soma__value_fail(tree, value, err, "%s: at most %d transforms, got %d", where,
                                SOMA__MAX_TRANSFORMS, value->count);
    soma_transform *list = soma__calloc((size_t)value->count + 1, sizeof *list);
    if (!list)
        return soma__fail(err, SOMA_MEMORY, "no memory for %d transforms", value->count);
    soma_status status = SOMA_OK;
    const soma__value *item = value->first;
    for (int i = 0; item && status == SOMA_OK; item = item->next, i++) {
        char path[200];
        snprintf(path, sizeof path, "%.150s.%d", where, i);
        status = read_one(&r, item, path, &list[i]);
    }
    if (status != SOMA_OK) {
        soma__free(list);
        return status;
    }
    *out = list;
    *count = value->count;
    return SOMA_OK;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static bool runs(const soma_transform *t, bool training)
{
    soma_when when = t->when ? t->when : types[t->kind]->when;
    return when == SOMA_WHEN_ALWAYS || when == (training ? SOMA_WHEN_TRAIN : SOMA_WHEN_EVALUATE);
}

static soma__value *numbers_value(soma__tree *tree, const double *number, int count)
{
    soma__value *list = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; list && i < count; i++) {
        soma__value *item = soma__value_float(tree, number[i]);
        if (!item)
            return NULL;
        soma__value_append(list, item);
    }
    return list;
}

static soma__value *field_value(soma__tree *tree, const soma_transform *t, const soma__field *field)
{
    const char *at = (const char *)t + field->offset;
    int64_t integers[SOMA_MAX_DIMS];
    double numbers[SOMA_MAX_DIMS];
    bool boolean;
    int choice;
    soma__value *list;
    switch (field->kind) {
    case SOMA__FIELD_INT:
        memcpy(integers, at, sizeof integers[0]);
        return soma__value_int(tree, integers[0]);
    case SOMA__FIELD_FLOAT:
        memcpy(numbers, at, sizeof numbers[0]);
        return soma__value_float(tree, numbers[0]);
    case SOMA__FIELD_BOOL:
        memcpy(&boolean, at, sizeof boolean);
        return soma__value_bool(tree, boolean);
    case SOMA__FIELD_ENUM:
        memcpy(&choice, at, sizeof choice);
        return soma__value_string(tree, field->choices[choice]);
    case SOMA__FIELD_FLOATS:
        memcpy(numbers, at, (size_t)field->count * sizeof numbers[0]);
        return numbers_value(tree, numbers, field->count);
    case SOMA__FIELD_INTS:
        memcpy(integers, at, (size_t)field->count * sizeof integers[0]);
        list = soma__value_new(tree, SOMA__LIST);
        for (int i = 0; list && i < field->count; i++) {
            soma__value *item = soma__value_int(tree, integers[i]);
            if (!item)
                return NULL;
            soma__value_append(list, item);
        }
        return list;
    case SOMA__FIELD_VALUE: /* mean, std */
        return numbers_value(tree, strcmp(field->key, "mean") == 0 ? t->mean : t->std, t->channels);
    case SOMA__FIELD_STRING:
    case SOMA__FIELD_CHOICE:
        break;
    }
    return NULL;
}

static size_t field_size(const soma__field *field)
{
    switch (field->kind) {
    case SOMA__FIELD_INT:
    case SOMA__FIELD_FLOAT:
        return 8;
    case SOMA__FIELD_BOOL:
        return sizeof(bool);
    case SOMA__FIELD_ENUM:
        return sizeof(int);
    case SOMA__FIELD_INTS:
    case SOMA__FIELD_FLOATS:
        return (size_t)field->count * 8;
    case SOMA__FIELD_STRING:
    case SOMA__FIELD_CHOICE:
    case SOMA__FIELD_VALUE:
        break;
    }
    return 0;
}

/* Is the option something else than zero, its default? */
static bool is_set(const soma_transform *t, const soma__field *field)
{
    static const char zeros[SOMA_MAX_DIMS * 8];
    if (field->kind == SOMA__FIELD_VALUE)
        return t->channels > 0;
    return memcmp((const char *)t + field->offset, zeros, field_size(field)) != 0;
}

static soma__value *transform_value(soma__tree *tree, const soma_transform *t)
{
    const soma__transform_type *type = types[t->kind];
    soma__value *options = soma__value_new(tree, SOMA__MAP), *map;
    for (int i = 0; options && i < type->field_count; i++) {
        if (!is_set(t, &type->fields[i]))
            continue;
        soma__value *item = field_value(tree, t, &type->fields[i]);
        if (!item || !soma__value_set(tree, options, type->fields[i].key, item))
            return NULL;
    }
    map = soma__value_new(tree, SOMA__MAP);
    return options && map && soma__value_set(tree, map, type->name, options) ? map : NULL;
}

soma__value *soma__transforms_value(soma__tree *tree, const soma_transform *list, int count)
{
    soma__value *values = soma__value_new(tree, SOMA__LIST);
    for (int i = 0; values && i < count; i++) {
        if (!runs(&list[i], false))
            continue;
        soma__value *item = transform_value(tree, &list[i]);
        if (!item)
            return NULL;
        soma__value_append(values, item);
    }
    return values;
}

soma_status soma__transforms_text(char **out, const soma_dataset *dataset, soma_error *err)
{
    soma__tree tree = {0};
    soma__text text = {0};
    int count;
    *out = NULL;
    for (; dataset && !dataset->pipeline; dataset = dataset->parent)
        ;
    if (!dataset)
        return SOMA_OK;
    const soma_shape *shape = &dataset->parent->x_shape;
    const soma_transform *list = soma__pipeline_list(dataset->pipeline, &count);
    soma__value *values = soma__transforms_value(&tree, list, count);
    soma_status status = SOMA_OK;
    if (!values) {
        status = soma__fail(err, SOMA_MEMORY, "no memory to describe the transforms");
    } else {
        soma__text_add(&text, "{\"input\":[");
        for (int i = 0; i < shape->ndim; i++)
            soma__text_add(&text, "%s%lld", i ? "," : "", (long long)shape->dim[i]);
        soma__text_add(&text, "],\"list\":");
        soma__json_write(&text, values, 0);
        soma__text_add(&text, "}");
        status = soma__text_take(&text, out, err);
    }
    soma__tree_clear(&tree);
    return status;
}

soma_status soma__transforms_input(soma_shape *out, const char *text, const char *file,
                                   soma_error *err)
{
    soma__tree tree = {0};
    *out = (soma_shape){0};
    SOMA__TRY(soma__json_parse(&tree, text, strlen(text), file, err));
    const soma__value *input = soma__value_find(tree.root, "input");
    bool ok = input && input->kind == SOMA__LIST && input->count < SOMA_MAX_DIMS;
    for (const soma__value *item = ok ? input->first : NULL; item; item = item->next) {
        ok = ok && item->kind == SOMA__INT && item->integer >= 0;
        out->dim[out->ndim++] = item->integer;
    }
    soma__tree_clear(&tree);
    return ok ? SOMA_OK
              : soma__fail(err, SOMA_FORMAT, "%s: '%s' has no valid shape of the input", file,
                           SOMA__TRANSFORMS_META);
}

soma_status soma__transforms_over(soma_dataset **dataset, const char *text, const char *file,
                                  soma_error *err)
{
    soma__tree tree = {0};
    soma_transform *list = NULL;
    soma_dataset *plain = *dataset;
    int count = 0;
    soma_status status = soma__json_parse(&tree, text, strlen(text), file, err);
    if (status == SOMA_OK)
        status = soma__transforms_read(&list, &count, &tree, soma__value_find(tree.root, "list"),
                                       SOMA__TRANSFORMS_META, err);
    soma__tree_clear(&tree);
    if (status == SOMA_OK)
        status = soma_dataset_transform(dataset, plain, list, count, false, 0, err);
    if (status == SOMA_OK)
        soma_dataset_release(plain);
    else
        *dataset = plain;
    soma__free(list);
    return status;
}

/* --- checking -----------------------------------------------------------------------------------
 */

static soma_status number_fits(const soma__field *field, double number, soma_error *err)
{
    bool unlimited = fpclassify(field->min) == FP_ZERO && fpclassify(field->max) == FP_ZERO;
    if (!isfinite(number) || (!unlimited && (number < field->min || number > field->max)))
        return soma__fail(err, SOMA_INVALID, "%s: must be from %.10g to %.10g, got %.10g",
                          field->key, field->min, field->max, number);
    return SOMA_OK;
}

/* Options that came from C meet the same limits as those of recipes. */
static soma_status options_fit(const soma_transform *t, soma_error *err)
{
    const soma__transform_type *type = types[t->kind];
    for (int i = 0; i < type->field_count; i++) {
        const soma__field *field = &type->fields[i];
        const char *at = (const char *)t + field->offset;
        int64_t integer;
        double number;
        int choice, choices = 0, n = field->count > 1 ? field->count : 1;
        if (field->kind == SOMA__FIELD_ENUM) {
            memcpy(&choice, at, sizeof choice);
            while (field->choices[choices])
                choices++;
            if (choice < 0 || choice >= choices)
                return soma__fail(err, SOMA_INVALID, "%s: there is no choice %d", field->key,
                                  choice);
        }
        bool integers = field->kind == SOMA__FIELD_INT || field->kind == SOMA__FIELD_INTS;
        bool floats = field->kind == SOMA__FIELD_FLOAT || field->kind == SOMA__FIELD_FLOATS;
        if (!field->required && !is_set(t, field))
            continue;
        for (int k = 0; k < n && (integers || floats); k++) {
            memcpy(&integer, at + 8 * k, sizeof integer);
            memcpy(&number, at + 8 * k, sizeof number);
            SOMA__TRY(number_fits(field, integers ? (double)integer : number, err));
        }
    }
    if (t->channels < 0 || t->channels > SOMA_MAX_CHANNELS)
        return soma__fail(err, SOMA_INVALID, "channels: must be from 0 to %d, got %d",
                          SOMA_MAX_CHANNELS, t->channels);
    return SOMA_OK;
}

static void form_sizes(soma__form *form)
{
    const soma_shape *shape = &form->x_shape;
    form->h = form->w = form->c = 0;
    if (shape->ndim == 3) {
        form->h = shape->dim[0];
        form->w = shape->dim[1];
        form->c = shape->dim[2];
    }
    form->count = 0;
    (void)soma__shape_count(shape, &form->count);
}

static soma_status check(const soma__transform_type *type, soma_transform *t, soma__form *form,
                         soma_error *err)
{
    char text[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(options_fit(t, err));
    if (type->apply && form->x_dtype != SOMA_U8 && form->x_dtype != SOMA_F32)
        return soma__fail(err, SOMA_DTYPE, "takes u8 and f32 samples, got %s",
                          soma_dtype_text(form->x_dtype));
    if (type->image && (form->x_shape.ndim != 3 || form->count < 1))
        return soma__fail(err, SOMA_SHAPE, "takes images [H,W,C], got samples of shape %s",
                          soma_shape_text(&form->x_shape, text, sizeof text));
    if (type->colors && form->normalized)
        return soma__fail(err, SOMA_INVALID,
                          "takes values from 0 to 1: put it before normalize and standardize");
    if (t->p <= 0)
        t->p = type->p > 0 ? type->p : 1;
    if (type->check)
        SOMA__TRY(type->check(t, form, err));
    form_sizes(form);
    size_t bytes;
    if (!soma__shape_bytes(&form->x_shape, form->x_dtype, &bytes) || bytes > ((size_t)1 << 34))
        return soma__fail(err, SOMA_INVALID, "makes samples that are too large: %s",
                          soma_shape_text(&form->x_shape, text, sizeof text));
    return SOMA_OK;
}

/* --- pipelines ----------------------------------------------------------------------------------
 */

typedef struct step {
    const soma__transform_type *type;
    soma_transform t; /* with defaults filled in */
    soma__form from, to;
    int position; /* in the whole list: its draws do not change when `when` of others does */
} step;

typedef struct steps {
    step *at;
    int count;
    soma__form to;
} steps;

struct soma__pipeline {
    soma_transform *list;
    int count;
    uint64_t seed;
    soma__form from, to;
    steps plain, training; /* training.at NULL: the pipeline is one for evaluation */
    bool soft;             /* labels become distributions */
    size_t buffer, work, x_bytes, raw_y_bytes, y_bytes;
};

#define ALIGNED(size_) soma__align_up((size_), 64)

static soma_status make_steps(soma__pipeline *p, bool training, steps *out, soma_error *err)
{
    bool mixed = false;
    out->to = p->from;
    form_sizes(&out->to);
    out->at = soma__calloc((size_t)p->count + 1, sizeof *out->at);
    if (!out->at)
        return soma__fail(err, SOMA_MEMORY, "no memory for the transforms");
    for (int i = 0; i < p->count; i++) {
        if (!runs(&p->list[i], training))
            continue;
        step *s = &out->at[out->count++];
        s->type = types[p->list[i].kind];
        s->t = p->list[i];
        s->position = i;
        s->from = out->to;
        soma_status status = SOMA_OK;
        if (mixed && !s->type->mix)
            status = soma__fail(err, SOMA_INVALID,
                                "mixup and cutmix work on whole batches: put them last");
        if (status == SOMA_OK)
            status = check(s->type, &s->t, &out->to, err);
        if (status != SOMA_OK)
            return soma__fail_within(err, status, "transforms.%d.%s", i, s->type->name);
        s->to = out->to;
        mixed = mixed || s->type->mix;
        size_t from = 0, to = 0, work;
        (void)soma__shape_bytes(&s->from.x_shape, s->from.x_dtype, &from);
        (void)soma__shape_bytes(&s->to.x_shape, s->to.x_dtype, &to);
        work = s->type->work ? s->type->work(&s->t, &s->from, &s->to) : 0;
        p->buffer = from > p->buffer ? from : p->buffer;
        p->buffer = to > p->buffer ? to : p->buffer;
        p->work = work > p->work ? work : p->work;
    }
    return SOMA_OK;
}

/* The model sees both kinds of samples, so they must come out alike. */
static soma_status compare(const soma__pipeline *p, soma_error *err)
{
    const soma__form *a = &p->training.to, *b = &p->plain.to;
    char left[SOMA_SHAPE_TEXT_SIZE], right[SOMA_SHAPE_TEXT_SIZE];
    if (a->x_dtype == b->x_dtype && soma_shape_equal(&a->x_shape, &b->x_shape))
        return SOMA_OK;
    return soma__fail(
        err, SOMA_SHAPE,
        "transforms: training samples come out as %s %s, all others as %s %s; give what "
        "changes shape or dtype `when: always`, or evaluation its own (`when: evaluate`)",
        soma_dtype_text(a->x_dtype), soma_shape_text(&a->x_shape, left, sizeof left),
        soma_dtype_text(b->x_dtype), soma_shape_text(&b->x_shape, right, sizeof right));
}

static soma_status prepare(soma__pipeline *p, bool training, soma_error *err)
{
    (void)soma__shape_bytes(&p->from.x_shape, p->from.x_dtype, &p->buffer);
    (void)soma__shape_bytes(&p->from.y_shape, p->from.y_dtype, &p->raw_y_bytes);
    SOMA__TRY(make_steps(p, false, &p->plain, err));
    if (training) {
        SOMA__TRY(make_steps(p, true, &p->training, err));
        SOMA__TRY(compare(p, err));
    }
    p->to = training ? p->training.to : p->plain.to;
    p->soft = p->from.labels && !p->to.labels;
    (void)soma__shape_bytes(&p->to.x_shape, p->to.x_dtype, &p->x_bytes);
    (void)soma__shape_bytes(&p->to.y_shape, p->to.y_dtype, &p->y_bytes);
    return SOMA_OK;
}

soma_status soma__pipeline_create(soma__pipeline **out, const soma_transform *list, int count,
                                  bool training, uint64_t seed, soma__form *form, soma_error *err)
{
    *out = NULL;
    if (count < 0 || count > SOMA__MAX_TRANSFORMS || (count && !list))
        return soma__fail(err, SOMA_INVALID, "transforms: a list has 0 to %d of them, got %d",
                          SOMA__MAX_TRANSFORMS, count);
    for (int i = 0; i < count; i++)
        if ((int)list[i].kind < 0 || (int)list[i].kind >= TYPE_COUNT)
            return soma__fail(err, SOMA_INVALID, "transforms.%d: there is no kind %d", i,
                              (int)list[i].kind);
    soma__pipeline *p = soma__calloc(1, sizeof *p);
    soma_transform *copy = soma__calloc((size_t)count + 1, sizeof *copy);
    if (!p || !copy) {
        soma__free(p);
        soma__free(copy);
        return soma__fail(err, SOMA_MEMORY, "no memory for the transforms");
    }
    if (count)
        memcpy(copy, list, (size_t)count * sizeof *copy);
    p->list = copy;
    p->count = count;
    p->seed = seed;
    p->from = *form;
    soma_status status = prepare(p, training, err);
    if (status != SOMA_OK) {
        soma__pipeline_destroy(p);
        return status;
    }
    *form = p->to;
    *out = p;
    return SOMA_OK;
}

void soma__pipeline_destroy(soma__pipeline *pipeline)
{
    if (!pipeline)
        return;
    soma__free(pipeline->plain.at);
    soma__free(pipeline->training.at);
    soma__free(pipeline->list);
    soma__free(pipeline);
}

const soma_transform *soma__pipeline_list(const soma__pipeline *pipeline, int *count)
{
    *count = pipeline->count;
    return pipeline->list;
}

/* --- running ------------------------------------------------------------------------------------
 *
 * Scratch: two buffers between which a sample goes back and forth, work space of the transform that
 * runs, and a raw y. */

size_t soma__pipeline_scratch(const soma__pipeline *pipeline)
{
    size_t y =
        pipeline->raw_y_bytes > pipeline->y_bytes ? pipeline->raw_y_bytes : pipeline->y_bytes;
    return 2 * ALIGNED(pipeline->buffer) + ALIGNED(pipeline->work) + ALIGNED(y);
}

void *soma__pipeline_input(const soma__pipeline *pipeline, void *scratch)
{
    (void)pipeline;
    return scratch;
}

void *soma__pipeline_input_y(const soma__pipeline *pipeline, void *scratch)
{
    return (char *)scratch + 2 * ALIGNED(pipeline->buffer) + ALIGNED(pipeline->work);
}

static const steps *steps_of(const soma__pipeline *p, int64_t epoch)
{
    return p->training.at && epoch >= 0 ? &p->training : &p->plain;
}

/* 24 bits of the epoch, 6 of the position, 32 to count draws: the 62 that all kinds of draws have.
 * What an epoch has beyond moves to another stream. */
static soma__draws draws_of(const soma__pipeline *p, int64_t epoch, int64_t sample, int position)
{
    uint64_t e = epoch < 0 ? 0 : (uint64_t)epoch;
    return (soma__draws){{.seed = p->seed,
                          .stream = soma__rng_stream("transform") + (uint32_t)(e >> 24),
                          .step = (uint64_t)sample},
                         (e & 0xFFFFFF) << 38 | (uint64_t)position << 32};
}

double soma__draw(soma__draws *d)
{
    return (double)soma__rng_uniform(&d->key, d->next++);
}

double soma__draw_between(soma__draws *d, double a, double b)
{
    return a + (b - a) * soma__draw(d);
}

int64_t soma__draw_below(soma__draws *d, int64_t n)
{
    return (int64_t)soma__rng_below(&d->key, d->next++, (uint64_t)n);
}

double soma__draw_normal(soma__draws *d)
{
    return soma__rng_normal(&d->key, d->next++);
}

static void write_y(const soma__pipeline *p, const void *raw, void *y)
{
    if (!p->soft) {
        memcpy(y, raw, p->raw_y_bytes);
        return;
    }
    int64_t label;
    memcpy(&label, raw, sizeof label);
    float *share = y;
    for (int64_t k = 0; k < p->to.classes; k++)
        share[k] = k == label ? 1.0F : 0.0F;
}

void soma__pipeline_run(const soma__pipeline *p, int64_t epoch, int64_t sample, const void *raw_x,
                        const void *raw_y, void *scratch, void *x, void *y)
{
    const steps *all = steps_of(p, epoch);
    char *a = scratch, *b = a + ALIGNED(p->buffer), *work = b + ALIGNED(p->buffer);
    const void *now = raw_x;
    write_y(p, raw_y, y);
    for (int i = 0; i < all->count; i++) {
        const step *s = &all->at[i];
        if (!s->type->apply)
            continue;
        soma__draws draws = draws_of(p, epoch, sample, s->position);
        if (s->t.p < 1 && soma__draw(&draws) >= s->t.p)
            continue;
        bool ours = now == a || now == b || now == x;
        /* The last one writes into the batch itself. */
        void *to = i == all->count - 1 && now != x ? x : now == a ? b : a;
        if (s->type->in_place && ours) {
            to = now == a ? a : now == b ? b : x;
        } else if (s->type->in_place) {
            size_t bytes = 0;
            (void)soma__shape_bytes(&s->from.x_shape, s->from.x_dtype, &bytes);
            memcpy(to, now, bytes);
        }
        soma__apply apply = {&s->t, &s->from, &s->to, s->type->in_place ? to : now,
                             to,    work,     draws};
        s->type->apply(&apply);
        now = to;
    }
    if (now != x)
        memcpy(x, now, p->x_bytes);
}

bool soma__pipeline_mixes(const soma__pipeline *p, int64_t epoch)
{
    const steps *all = steps_of(p, epoch);
    return all->count > 0 && all->at[all->count - 1].type->mix;
}

void soma__pipeline_mix(const soma__pipeline *p, int64_t epoch, int64_t count, void *scratch,
                        void *x, void *y, int64_t (*sample)(const void *user, int64_t i),
                        const void *user)
{
    const steps *all = steps_of(p, epoch);
    char *last_x = scratch, *last_y = soma__pipeline_input_y(p, scratch);
    for (int k = 0; k < all->count && count > 1; k++) {
        const step *s = &all->at[k];
        if (!s->type->mix)
            continue;
        memcpy(last_x, (char *)x + (size_t)(count - 1) * p->x_bytes, p->x_bytes);
        memcpy(last_y, (char *)y + (size_t)(count - 1) * p->y_bytes, p->y_bytes);
        for (int64_t i = count - 1; i >= 0; i--) {
            soma__mix mix = {.t = &s->t,
                             .form = &s->to,
                             .x = (char *)x + (size_t)i * p->x_bytes,
                             .y = (char *)y + (size_t)i * p->y_bytes,
                             .draws = draws_of(p, epoch, sample(user, i), s->position)};
            mix.other_x = i ? (char *)mix.x - p->x_bytes : last_x;
            mix.other_y = i ? (char *)mix.y - p->y_bytes : last_y;
            if (s->t.p >= 1 || soma__draw(&mix.draws) < s->t.p)
                s->type->mix(&mix);
        }
    }
}

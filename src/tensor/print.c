/* print.c: a tensor as NumPy prints it.
 *
 * NumPy's rules, which people read without thinking: all numbers of a tensor have the same width;
 * each has as few digits as tell it from its neighbours in its dtype, at most 8 after the point;
 * powers of ten appear only where the sizes differ too much; lines end before column 75; beyond
 * 1000 elements, long dimensions show three entries at either end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/tensor.h"

#define LINE_WIDTH 75
#define SUMMARY_BEYOND 1000 /* elements */
#define EDGE 3              /* entries shown at either end */
#define MOST_DIGITS 8       /* after the point */
#define NUMBER_SIZE 400     /* a double without powers of ten has up to 309 digits */

/* How the numbers of one tensor are written, found by looking at all that will be shown. */
typedef struct style {
    const soma_tensor *tensor;
    bool summary;
    double largest, smallest; /* magnitudes of finite values other than 0; 0: none yet */
    bool powers;              /* 1.5e+10 */
    int digits;               /* with powers: after the point, the same for all */
    int left, right;          /* columns before the point, and from it on */
    int width;                /* columns of a number */
} style;

/* --- one number ----------------------------------------------------------------------------------
 */

/* The fewest digits after the first that read back as the same element. *exponent is the power of
 * ten of the number so written. */
static int shortest(soma_dtype dtype, double value, int *exponent)
{
    char text[NUMBER_SIZE];
    for (int digits = 0;; digits++) {
        double back;
        uint64_t element = 0;
        soma__format(text, sizeof text, "%.*e", digits, value);
        const char *e = strchr(text, 'e');
        *exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
        if (digits == 16)
            return digits;
        /* Rounding up may have left the range of doubles; then more digits are needed. */
        if (!soma__parse_float(text, &back))
            continue;
        soma__store(dtype, &element, 0, back);
        back = soma__load(dtype, &element, 0);
        if (back <= value && back >= value)
            return digits;
    }
}

/* A finite float, always with a point, so that it is seen to be a float. */
static void float_text(const style *s, double value, char *out)
{
    if (s->powers) {
        soma__format(out, NUMBER_SIZE, "%.*e", s->digits, value);
        char *e = strchr(out, 'e');
        if (s->digits == 0 && e) {
            memmove(e + 1, e, strlen(e) + 1);
            *e = '.';
        }
        return;
    }
    int exponent;
    int decimals = shortest(s->tensor->dtype, value, &exponent) - exponent;
    decimals = decimals < 0 ? 0 : decimals > MOST_DIGITS ? MOST_DIGITS : decimals;
    soma__format(out, NUMBER_SIZE, "%.*f", decimals, value);
    size_t length = strlen(out);
    if (decimals == 0)
        memcpy(out + length, ".", 2);
    /* Cutting to 8 digits may have left zeros. */
    while (decimals > 0 && length > 0 && out[length - 1] == '0')
        out[--length] = '\0';
}

/* The text of element `index` without padding: "1.5", "-3", "inf", "True". */
static void element_text(const style *s, int64_t index, char *out)
{
    const soma_tensor *tensor = s->tensor;
    double value = soma_tensor_get(tensor, index);
    if (tensor->dtype == SOMA_BOOL)
        snprintf(out, NUMBER_SIZE, "%s", value > 0 ? "True" : "False");
    else if (tensor->dtype == SOMA_I64) /* beyond 2^53 a double would show another number */
        snprintf(out, NUMBER_SIZE, "%lld", (long long)((const int64_t *)tensor->data)[index]);
    else if (!soma_dtype_is_float(tensor->dtype))
        snprintf(out, NUMBER_SIZE, "%lld", (long long)value);
    else if (isnan(value))
        snprintf(out, NUMBER_SIZE, "nan");
    else if (isinf(value))
        snprintf(out, NUMBER_SIZE, value < 0 ? "-inf" : "inf");
    else
        float_text(s, value, out);
}

/* --- choosing the style --------------------------------------------------------------------------
 */

/* Does entry i of a dimension open the gap of a summary? */
static bool opens_gap(const style *s, int64_t size, int64_t i)
{
    return s->summary && size > 2 * EDGE && i == EDGE;
}

/* Calls visit for each element that is shown. */
static void each_shown(style *s, int dim, int64_t offset, void (*visit)(style *s, int64_t index))
{
    const soma_shape *shape = &s->tensor->shape;
    if (dim == shape->ndim) {
        visit(s, offset);
        return;
    }
    int64_t size = shape->dim[dim];
    for (int64_t i = 0; i < size; i++) {
        if (opens_gap(s, size, i))
            i = size - EDGE;
        each_shown(s, dim + 1, offset * size + i, visit);
    }
}

static void see_magnitude(style *s, int64_t index)
{
    double magnitude = fabs(soma_tensor_get(s->tensor, index));
    if (!(magnitude > 0) || isinf(magnitude))
        return;
    if (magnitude > s->largest)
        s->largest = magnitude;
    if (!(s->smallest > 0) || magnitude < s->smallest)
        s->smallest = magnitude;
}

static void see_digits(style *s, int64_t index)
{
    double value = soma_tensor_get(s->tensor, index);
    int exponent;
    if (isnan(value) || isinf(value))
        return;
    int digits = shortest(s->tensor->dtype, value, &exponent);
    if (digits > MOST_DIGITS)
        digits = MOST_DIGITS;
    if (digits > s->digits)
        s->digits = digits;
}

static void see_width(style *s, int64_t index)
{
    char text[NUMBER_SIZE];
    element_text(s, index, text);
    int length = (int)strlen(text);
    const char *point = strchr(text, '.');
    if (!point) { /* an integer, a bool, nan or inf */
        if (length > s->width)
            s->width = length;
        return;
    }
    int left = (int)(point - text);
    if (left > s->left)
        s->left = left;
    if (length - left > s->right)
        s->right = length - left;
}

static style choose_style(const soma_tensor *tensor)
{
    style s = {.tensor = tensor, .summary = tensor->count > SUMMARY_BEYOND};
    /* Without elements there is nothing to look at, and the loops could be long: [2^40, 0]. */
    if (tensor->count == 0)
        return s;
    if (soma_dtype_is_float(tensor->dtype)) {
        each_shown(&s, 0, 0, see_magnitude);
        s.powers = s.largest > 0 &&
                   (s.largest >= 1e8 || s.smallest < 1e-4 || s.largest / s.smallest > 1000);
        if (s.powers)
            each_shown(&s, 0, 0, see_digits);
    }
    each_shown(&s, 0, 0, see_width);
    if (s.left + s.right > s.width)
        s.width = s.left + s.right;
    return s;
}

/* --- writing -------------------------------------------------------------------------------------
 */

static void spaces(soma__text *text, int count)
{
    soma__text_add(text, "%*s", count > 0 ? count : 0, "");
}

/* The padded text of an element: points stand below points, nan and inf at the right. */
static int padded(const style *s, int64_t index, char *out)
{
    char text[NUMBER_SIZE];
    element_text(s, index, text);
    int length = (int)strlen(text);
    const char *point = strchr(text, '.');
    int after = point ? s->right - (length - (int)(point - text)) : 0;
    return snprintf(out, 2 * NUMBER_SIZE, "%*s%*s", s->width - after, text, after, "");
}

/* The innermost dimension: numbers with a space between, wrapped. */
static void write_row(const style *s, int64_t size, int64_t offset, soma__text *text)
{
    int ndim = s->tensor->shape.ndim;
    int limit = LINE_WIDTH - ndim; /* room for the brackets that may follow */
    int column = ndim;
    for (int64_t i = 0; i < size; i++) {
        char number[2 * NUMBER_SIZE];
        bool gap = opens_gap(s, size, i);
        int width = gap ? snprintf(number, sizeof number, "...") : padded(s, offset + i, number);
        if (i > 0 && column + 1 + width > limit) {
            soma__text_add(text, "\n");
            spaces(text, ndim);
            column = ndim;
        } else if (i > 0) {
            soma__text_add(text, " ");
            column++;
        }
        soma__text_append(text, number, (size_t)width);
        column += width;
        if (gap)
            i = size - EDGE - 1;
    }
}

static void write_dim(const style *s, int dim, int64_t offset, soma__text *text)
{
    const soma_shape *shape = &s->tensor->shape;
    int64_t size = shape->dim[dim];
    soma__text_add(text, "[");
    if (dim == shape->ndim - 1) {
        write_row(s, size, offset * size, text);
    } else {
        for (int64_t i = 0; i < size; i++) {
            if (i > 0) {
                /* Rows follow each other; planes have an empty line between them, and so on. */
                for (int line = dim; line < shape->ndim - 1; line++)
                    soma__text_add(text, "\n");
                spaces(text, dim + 1);
            }
            if (opens_gap(s, size, i)) {
                soma__text_add(text, "...");
                i = size - EDGE - 1;
                continue;
            }
            write_dim(s, dim + 1, offset * size + i, text);
        }
    }
    soma__text_add(text, "]");
}

soma_status soma_tensor_string(char **out, const soma_tensor *tensor, soma_error *err)
{
    char shape[SOMA_SHAPE_TEXT_SIZE];
    soma__text text = {0};
    *out = NULL;
    soma__text_add(&text, "%s %s\n", soma_dtype_text(tensor->dtype),
                   soma_shape_text(&tensor->shape, shape, sizeof shape));
    style s = choose_style(tensor);
    if (tensor->count == 0) {
        soma__text_add(&text, "[]");
    } else if (tensor->shape.ndim == 0) {
        char number[NUMBER_SIZE];
        element_text(&s, 0, number);
        size_t length = strlen(number);
        soma__text_add(&text, "%s%s", number, length && number[length - 1] == '.' ? "0" : "");
    } else {
        write_dim(&s, 0, 0, &text);
    }
    return soma__text_take(&text, out, err);
}

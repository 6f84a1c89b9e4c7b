/* einsum.c: Einstein's sums, and products that are written with them.
 *
 * Operands are taken from left to right. Two at a time become one matrix product: letters that both
 * have and somebody still needs are the batch, those that both have and nobody needs are summed
 * over, the others are rows and columns. Without a letter to sum over it is an elementwise product.
 */
#include <string.h>

#include "ops/ops.h"

#define ELLIPSIS 52 /* the first of the letters that stand for dims of "..." */
#define LETTERS (ELLIPSIS + SOMA_MAX_DIMS)

/* A value whose dims have letters. */
typedef struct term {
    soma_var x;
    int ndim;
    int letter[SOMA_MAX_DIMS];
} term;

typedef struct equation {
    soma_graph *graph;
    const char *text;
    int64_t size[LETTERS]; /* -1: not seen */
    int uses[LETTERS];     /* operands to come that have the letter */
    bool output[LETTERS];
    int most; /* dims of the longest ellipsis */
} equation;

static bool fail(const equation *eq, const char *what, const char *letter)
{
    soma_graph_fail(eq->graph, SOMA_INVALID, "einsum '%s': %s%s", eq->text, what, letter);
    return false;
}

static const char *letter_text(int letter, char text[2])
{
    text[0] = letter >= ELLIPSIS ? '.' : (char)(letter < 26 ? 'A' + letter : 'a' + letter - 26);
    text[1] = 0;
    return text;
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Reads letters up to a comma, an arrow or the end. An ellipsis takes the dims that are left of
 * `ndim`; its last dim always has the same letter, so that ellipses align at their ends. */
static bool read_term(const equation *eq, const char **at, int ndim, int *letter, int *count)
{
    const char *c = *at;
    int dots = -1;
    *count = 0;
    for (; *c && *c != ',' && *c != '-'; c++) {
        int l = -1;
        if (*c == ' ')
            continue;
        if (*c >= 'A' && *c <= 'Z')
            l = *c - 'A';
        else if (*c >= 'a' && *c <= 'z')
            l = *c - 'a' + 26;
        if (c[0] == '.' && c[1] == '.' && c[2] == '.' && dots < 0) {
            dots = *count;
            c += 2;
            continue;
        }
        if (l < 0)
            return fail(eq, "expected letters, one ellipsis, commas and an arrow, got ", c);
        if (*count == SOMA_MAX_DIMS)
            return fail(eq, "more letters than a value has dimensions", "");
        letter[(*count)++] = l;
    }
    *at = c;
    const int hidden = ndim - *count;
    if (hidden < 0 || (dots < 0 && hidden > 0))
        return fail(eq, "an operand has another number of dimensions than letters", "");
    if (dots >= 0) {
        memmove(letter + dots + hidden, letter + dots, (size_t)(*count - dots) * sizeof(*letter));
        for (int i = 0; i < hidden; i++)
            letter[dots + i] = ELLIPSIS + SOMA_MAX_DIMS - hidden + i;
        *count += hidden;
    }
    return true;
}

/* Sizes and uses of all letters; a size of 1 fits to any. */
static bool read_operands(equation *eq, const soma_var *x, int count, const char **at)
{
    char text[2];
    for (int l = 0; l < LETTERS; l++)
        eq->size[l] = -1;
    for (int i = 0; i < count; i++) {
        const soma_shape shape = soma_var_shape(x[i]);
        int letter[SOMA_MAX_DIMS], letters;
        if (!read_term(eq, at, shape.ndim, letter, &letters))
            return false;
        bool here[LETTERS] = {false};
        int hidden = 0;
        for (int d = 0; d < letters; d++) {
            int64_t *size = &eq->size[letter[d]];
            if (*size < 0 || *size == 1)
                *size = shape.dim[d];
            else if (shape.dim[d] != 1 && shape.dim[d] != *size)
                return fail(eq, "two sizes for the letter ", letter_text(letter[d], text));
            hidden += letter[d] >= ELLIPSIS;
            eq->uses[letter[d]] += !here[letter[d]];
            here[letter[d]] = true;
        }
        eq->most = hidden > eq->most ? hidden : eq->most;
        if (i < count - 1 && *(*at)++ != ',')
            return fail(eq, "fewer operands than values", "");
    }
    if (**at == ',')
        return fail(eq, "more operands than values", "");
    return true;
}

/* Letters that occur more than once in all of the operands. */
static void count_letters(const char *text, int *times)
{
    for (; *text && *text != '-'; text++)
        if (*text >= 'A' && *text <= 'Z')
            times[*text - 'A']++;
        else if (*text >= 'a' && *text <= 'z')
            times[*text - 'a' + 26]++;
}

/* The result's letters: those behind the arrow, or without an arrow an ellipsis' dims and then, by
 * the alphabet, the letters that occur once. */
static bool read_result(equation *eq, const char *at, term *result)
{
    char text[2];
    result->ndim = 0;
    if (*at) {
        if (at[0] != '-' || at[1] != '>')
            return fail(eq, "expected -> before the result", "");
        at += 2;
        const bool dots = strstr(at, "...");
        int letters = 0;
        for (const char *c = at; *c && *c != ','; c++)
            letters += *c != ' ' && *c != '.';
        if (letters + (dots ? eq->most : 0) > SOMA_MAX_DIMS)
            return fail(eq, "the result has too many dimensions", "");
        if (!read_term(eq, &at, letters + (dots ? eq->most : 0), result->letter, &result->ndim))
            return false;
        if (*at)
            return fail(eq, "something is left behind the result: ", at);
    } else {
        int times[ELLIPSIS] = {0};
        count_letters(eq->text, times);
        for (int i = 0; i < eq->most; i++)
            result->letter[result->ndim++] = LETTERS - eq->most + i;
        for (int l = 0; l < ELLIPSIS; l++)
            if (times[l] == 1) {
                if (result->ndim == SOMA_MAX_DIMS)
                    return fail(eq, "the result has too many dimensions", "");
                result->letter[result->ndim++] = l;
            }
    }
    for (int d = 0; d < result->ndim; d++) {
        const int l = result->letter[d];
        if (eq->size[l] < 0)
            return fail(eq, "no operand has the result's letter ", letter_text(l, text));
        if (eq->output[l])
            return fail(eq, "the result has twice the letter ", letter_text(l, text));
        eq->output[l] = true;
    }
    return true;
}

/* --- terms -------------------------------------------------------------------------------------
 */

static int find(const term *t, int letter)
{
    for (int d = 0; d < t->ndim; d++)
        if (t->letter[d] == letter)
            return d;
    return -1;
}

static void drop(term *t, int d)
{
    t->ndim--;
    for (; d < t->ndim; d++)
        t->letter[d] = t->letter[d + 1];
}

static bool needed(const equation *eq, int letter)
{
    return eq->output[letter] || eq->uses[letter] > 0;
}

/* An operand with each letter once, without those that nobody else has and nobody needs. */
static bool start_term(const equation *eq, term *t)
{
    char text[2];
    for (int a = 0; a < t->ndim; a++)
        for (int b = a + 1; b < t->ndim; b++)
            if (t->letter[a] == t->letter[b]) {
                const soma_shape shape = soma_var_shape(t->x);
                const int letter = t->letter[a];
                if (shape.dim[a] != shape.dim[b])
                    return fail(eq, "two sizes for the letter ", letter_text(letter, text));
                t->x = soma_diagonal(t->x, 0, a, b);
                drop(t, b);
                drop(t, a);
                t->letter[t->ndim++] = letter;
                a = -1; /* the dims have moved: look again from the start */
                break;
            }
    soma_reduce_options sum = {.count = 0};
    soma_shape left = {0};
    const soma_shape shape = soma_var_shape(t->x);
    term kept = {.x = t->x};
    for (int d = 0; d < t->ndim; d++) {
        const int letter = t->letter[d];
        if (!needed(eq, letter)) {
            sum.axes[sum.count++] = d;
        } else if (shape.dim[d] == 1 && eq->size[letter] != 1) {
            continue; /* broadcast: another operand has it in full */
        } else {
            left.dim[left.ndim++] = shape.dim[d];
            kept.letter[kept.ndim++] = letter;
        }
    }
    if (sum.count > 0)
        kept.x = soma_sum_opt(kept.x, sum);
    kept.x = soma_reshape(kept.x, left);
    *t = kept;
    return soma_var_ok(t->x);
}

/* The permutation that puts these letters in order, or x itself. */
static soma_var in_order(const term *t, const int *letter)
{
    int64_t axes[SOMA_MAX_DIMS];
    bool moved = false;
    for (int d = 0; d < t->ndim; d++) {
        axes[d] = find(t, letter[d]);
        moved = moved || axes[d] != d;
    }
    return moved ? soma_permute(t->x, axes, t->ndim) : t->x;
}

typedef struct letters {
    int count, at[SOMA_MAX_DIMS];
    int64_t size; /* product */
} letters;

static void add_letter(const equation *eq, letters *list, int letter)
{
    list->at[list->count++] = letter;
    list->size *= eq->size[letter];
}

static int join(int *order, const letters *a, const letters *b, const letters *c)
{
    const letters *const parts[3] = {a, b, c};
    int n = 0;
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < parts[p]->count; i++)
            order[n++] = parts[p]->at[i];
    return n;
}

/* t as [batch, first, second]; when its dims lie as [batch, second, first] already it stays so, and
 * *transposed says it. */
static soma_var as_matrix(const term *t, const letters *batch, const letters *first,
                          const letters *second, bool *transposed)
{
    int order[SOMA_MAX_DIMS], other[SOMA_MAX_DIMS];
    const int n = join(order, batch, first, second);
    join(other, batch, second, first);
    *transposed = memcmp(other, t->letter, (size_t)n * sizeof(*other)) == 0 &&
                  memcmp(order, t->letter, (size_t)n * sizeof(*order)) != 0;
    soma_var x = *transposed ? t->x : in_order(t, order);
    const int64_t rows = *transposed ? second->size : first->size;
    const int64_t cols = *transposed ? first->size : second->size;
    return soma_reshape(x, batch->count ? SOMA_SHAPE(batch->size, rows, cols)
                                        : SOMA_SHAPE(rows, cols));
}

/* Both with all letters in one order, those they lack as dims of size 1. */
static void multiply(const equation *eq, term *a, const term *b, const int *order, int n)
{
    const term *const side[2] = {a, b};
    soma_var x[2];
    for (int s = 0; s < 2; s++) {
        int own[SOMA_MAX_DIMS];
        soma_shape shape = {.ndim = n};
        for (int i = 0, k = 0; i < n; i++) {
            const bool has = find(side[s], order[i]) >= 0;
            shape.dim[i] = has ? eq->size[order[i]] : 1;
            if (has)
                own[k++] = order[i];
        }
        x[s] = soma_reshape(in_order(side[s], own), shape);
    }
    a->x = soma_mul(x[0], x[1]);
}

/* a becomes the product of a and b. */
static bool contract(const equation *eq, term *a, const term *b)
{
    letters batch = {.size = 1}, summed = {.size = 1}, rows = {.size = 1}, cols = {.size = 1};
    for (int d = 0; d < a->ndim; d++) {
        const int l = a->letter[d];
        add_letter(eq, find(b, l) < 0 ? &rows : needed(eq, l) ? &batch : &summed, l);
    }
    for (int d = 0; d < b->ndim; d++)
        if (find(a, b->letter[d]) < 0)
            add_letter(eq, &cols, b->letter[d]);
    int order[2 * SOMA_MAX_DIMS];
    const int n = batch.count + rows.count + cols.count;
    if (n > SOMA_MAX_DIMS)
        return fail(eq, "the product of two operands has too many dimensions", "");
    join(order, &batch, &rows, &cols);
    if (summed.count == 0) {
        multiply(eq, a, b, order, n);
    } else {
        bool transpose_a, transpose_b;
        soma_var x = as_matrix(a, &batch, &rows, &summed, &transpose_a);
        soma_var y = as_matrix(b, &batch, &summed, &cols, &transpose_b);
        soma_shape shape = {.ndim = n};
        for (int d = 0; d < n; d++)
            shape.dim[d] = eq->size[order[d]];
        a->x = soma_reshape(
            soma_matmul(x, y, .transpose_a = transpose_a, .transpose_b = transpose_b), shape);
    }
    a->ndim = n;
    memcpy(a->letter, order, (size_t)n * sizeof(*order));
    return soma_var_ok(a->x);
}

soma_var soma_einsum(const char *text, const soma_var *x, int count)
{
    if (count <= 0 || !x) /* there is no graph to hold the fault: the failed var reports it */
        return (soma_var){NULL, -1};
    equation eq = {.graph = x[0].graph, .text = text};
    const char *at = text, *operand = text;
    term product = {0}, result = {0};
    for (int i = 0; i < count; i++)
        if (!soma_var_ok(x[i]))
            return soma__failed(x[i]);
    if (!read_operands(&eq, x, count, &at) || !read_result(&eq, at, &result))
        return soma__failed(x[0]);
    for (int i = 0; i < count; i++, operand++) {
        term t = {.x = x[i]};
        if (!read_term(&eq, &operand, soma_var_shape(x[i]).ndim, t.letter, &t.ndim))
            return soma__failed(x[0]);
        for (int d = 0; d < t.ndim; d++) {
            bool again = false;
            for (int e = 0; e < d; e++)
                again = again || t.letter[e] == t.letter[d];
            eq.uses[t.letter[d]] -= !again;
        }
        /* A letter of the product so far counts as somebody's need until both have met. */
        for (int d = 0; d < product.ndim; d++)
            eq.uses[product.letter[d]]++;
        const bool started = start_term(&eq, &t);
        for (int d = 0; d < product.ndim; d++)
            eq.uses[product.letter[d]]--;
        if (!started || (i > 0 && !contract(&eq, &product, &t)))
            return soma__failed(x[0]);
        if (i == 0)
            product = t;
        /* A letter that the operand had only as a broadcast dim may be left, and not needed now. */
        else if (!start_term(&eq, &product))
            return soma__failed(x[0]);
    }
    return in_order(&product, result.letter);
}

/* --- products spelled with it ------------------------------------------------------------------
 */

soma_var soma_tensordot(soma_var a, soma_var b, const int64_t *axes_a, const int64_t *axes_b,
                        int count)
{
    if (!soma_var_ok(a) || !soma_var_ok(b))
        return soma__failed(a);
    equation eq = {.graph = a.graph, .text = "tensordot"};
    const soma_shape sa = soma_var_shape(a), sb = soma_var_shape(b);
    term left = {.x = a, .ndim = sa.ndim}, right = {.x = b, .ndim = sb.ndim};
    for (int d = 0; d < sa.ndim; d++) {
        left.letter[d] = d;
        eq.size[d] = sa.dim[d];
        eq.output[d] = true;
    }
    for (int d = 0; d < sb.ndim; d++) {
        right.letter[d] = SOMA_MAX_DIMS + d;
        eq.size[SOMA_MAX_DIMS + d] = sb.dim[d];
        eq.output[SOMA_MAX_DIMS + d] = true;
    }
    for (int i = 0; i < count; i++) {
        int64_t p = axes_a[i], q = axes_b[i];
        p += p < 0 ? sa.ndim : 0;
        q += q < 0 ? sb.ndim : 0;
        if (p < 0 || p >= sa.ndim || q < 0 || q >= sb.ndim || !eq.output[p] ||
            right.letter[q] < SOMA_MAX_DIMS || sa.dim[p] != sb.dim[q]) {
            soma_graph_fail(a.graph, SOMA_SHAPE,
                            "tensordot: axes %lld and %lld: each must be an axis named once, and "
                            "both of one size",
                            (long long)axes_a[i], (long long)axes_b[i]);
            return soma__failed(a);
        }
        right.letter[q] = (int)p;
        eq.output[p] = false;
    }
    return contract(&eq, &left, &right) ? left.x : soma__failed(a);
}

soma_var soma_outer(soma_var a, soma_var b)
{
    if (!soma_var_ok(a) || !soma_var_ok(b))
        return soma__failed(a);
    return soma_mul(soma_reshape(a, SOMA_SHAPE(-1, 1)), soma_reshape(b, SOMA_SHAPE(1, -1)));
}

soma_var soma_dot(soma_var a, soma_var b)
{
    const soma_shape sa = soma_var_shape(a), sb = soma_var_shape(b);
    if (!soma_var_ok(a) || !soma_var_ok(b))
        return soma__failed(a);
    if (sa.ndim != 1 || !soma_shape_equal(&sa, &sb)) {
        soma_graph_fail(a.graph, SOMA_SHAPE, "dot: takes two vectors of one size");
        return soma__failed(a);
    }
    return soma_sum(soma_mul(a, b));
}

/* image.c: images read at places that a grid names, blocks of pixels as channels and windows as
 * rows. All are composites: moves of data and gathers, around them elementwise formulas. */
#include "ops/ops.h"
#include "ops/window.h"

static soma_status check_image(soma__rule *rule, const char *dims)
{
    const soma_shape *x = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    bool fits = x->ndim == 4;
    for (int d = 1; fits && d < 4; d++)
        fits = x->dim[d] > 0;
    if (fits)
        return SOMA_OK;
    return soma__rule_fail(rule, SOMA_SHAPE, "x must be %s, with sizes of at least 1, but is %s",
                           dims, soma_shape_text(x, text, sizeof text));
}

/* --- grid_sample ------------------------------------------------------------------------------ */

static soma_status grid_sample_rule(soma__rule *rule)
{
    const soma__grid_sample_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0], *grid = &rule->in_shape[1];
    char tx[SOMA_SHAPE_TEXT_SIZE], tg[SOMA_SHAPE_TEXT_SIZE];
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(soma__rule_same_dtypes(rule));
    SOMA__TRY(check_image(rule, "[N,H,W,C]"));
    if (grid->ndim != 4 || grid->dim[0] != x->dim[0] || grid->dim[3] != 2)
        return soma__rule_fail(rule, SOMA_SHAPE, "grid must be [N,Ho,Wo,2] for x %s, but is %s",
                               soma_shape_text(x, tx, sizeof tx),
                               soma_shape_text(grid, tg, sizeof tg));
    if (attrs->mode < SOMA_SAMPLE_BILINEAR || attrs->mode > SOMA_SAMPLE_BICUBIC)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown mode %lld", (long long)attrs->mode);
    if (attrs->outside < SOMA_OUTSIDE_ZEROS || attrs->outside > SOMA_OUTSIDE_REFLECTION)
        return soma__rule_fail(rule, SOMA_INVALID, "unknown way outside: %lld",
                               (long long)attrs->outside);
    rule->shape.dim[1] = grid->dim[1];
    rule->shape.dim[2] = grid->dim[2];
    return SOMA_OK;
}

/* What the places of one call share: x as [N·H·W, C], and the first row of each image there. */
typedef struct sampler {
    const soma__grid_sample_attrs *attrs;
    int64_t size[2];    /* H, W */
    soma_var flat, row; /* row: i64 [N,1,1] */
} sampler;

static soma_var real(soma_var like, double value)
{
    return soma_scalar(like.graph, soma_var_dtype(like), value);
}
static soma_var whole(soma_var like, int64_t value)
{
    return soma_scalar(like.graph, SOMA_I64, (double)value);
}

/* Mirrors x between the outer cells' centres or edges: the distance from the low end, folded. */
static soma_var reflect(const sampler *s, soma_var x, int64_t size)
{
    const double low = s->attrs->align_corners ? 0 : -0.5;
    const double span = s->attrs->align_corners ? (double)size - 1 : (double)size;
    if (span <= 0)
        return soma_mul_scalar(x, 0);
    soma_var from = soma_abs(soma_add_scalar(x, -low));
    soma_var turns = soma_floor(soma_mul_scalar(from, 1 / span));
    soma_var rest = soma_sub(from, soma_mul_scalar(turns, span));
    soma_var half = soma_mul_scalar(turns, 0.5);
    soma_var even = soma_equal(half, soma_floor(half));
    soma_var back = soma_add_scalar(soma_neg(rest), span);
    return soma_add_scalar(soma_where(even, rest, back), low);
}

/* A place along axis `d` as `outside` says; zeros are left to fetch. */
static soma_var bound(const sampler *s, soma_var x, int d)
{
    if (s->attrs->outside == SOMA_OUTSIDE_ZEROS)
        return x;
    if (s->attrs->outside == SOMA_OUTSIDE_REFLECTION)
        x = reflect(s, x, s->size[d]);
    return soma_clamp(x, 0, (double)s->size[d] - 1);
}

/* From [-1,1] to cells. */
static soma_var place(const sampler *s, soma_var grid, int64_t coordinate, int d)
{
    const double size = (double)s->size[d];
    soma_shape shape = soma_var_shape(grid);
    shape.ndim = 3;
    shape.dim[3] = 0;
    soma_var x = soma_reshape(soma_slice(grid, 3, coordinate, coordinate + 1), shape);
    if (s->attrs->align_corners)
        return soma_mul_scalar(soma_add_scalar(x, 1), (size - 1) / 2);
    return soma_add_scalar(soma_mul_scalar(soma_add_scalar(x, 1), size / 2), -0.5);
}

/* x at whole places (y, x) [N,Ho,Wo] -> [N,Ho,Wo,C]; zeros outside of the image. */
static soma_var fetch(const sampler *s, soma_var y, soma_var x)
{
    const soma_var at[2] = {y, x};
    soma_var cell[2], inside = {0};
    for (int d = 0; d < 2; d++) {
        /* Far away is as good as just outside, and fits an integer. */
        cell[d] = soma_cast(soma_clamp(at[d], -1, (double)s->size[d]), SOMA_I64);
        soma_var fits = soma_logical_and(soma_less_equal(whole(at[d], 0), cell[d]),
                                         soma_less(cell[d], whole(at[d], s->size[d])));
        inside = inside.graph ? soma_logical_and(inside, fits) : fits;
    }
    soma_var index = soma_add(soma_mul(soma_add(s->row, cell[0]), whole(y, s->size[1])), cell[1]);
    return soma_gather(s->flat, soma_where(inside, index, whole(y, -1)), 0);
}

/* Multiplies each of the pixels [N,Ho,Wo,C] by its weight [N,Ho,Wo]. */
static soma_var weigh(soma_var pixels, soma_var weight)
{
    soma_shape shape = soma_var_shape(weight);
    shape.dim[shape.ndim++] = 1;
    return soma_mul(pixels, soma_reshape(weight, shape));
}

static soma_var bilinear(const sampler *s, soma_var y, soma_var x)
{
    soma_var at[2] = {bound(s, y, 0), bound(s, x, 1)}, low[2], weight[2][2], sum = {0};
    for (int d = 0; d < 2; d++) {
        low[d] = soma_floor(at[d]);
        weight[d][1] = soma_sub(at[d], low[d]);
        weight[d][0] = soma_sub(real(at[d], 1), weight[d][1]);
    }
    for (int i = 0; i < 4; i++) {
        const int down = i / 2, across = i % 2;
        soma_var corner = fetch(s, soma_add_scalar(low[0], down), soma_add_scalar(low[1], across));
        soma_var part = weigh(corner, soma_mul(weight[0][down], weight[1][across]));
        sum = sum.graph ? soma_add(sum, part) : part;
    }
    return sum;
}

/* Keys' four weights with a = -3/4 for a place `t` past the second of four cells. */
static void cubic(soma_var t, soma_var weight[4])
{
    const double a = -0.75;
    for (int i = 0; i < 4; i++) {
        bool outer = i == 0 || i == 3;
        /* The distance of cell i - 1: t + 1, t, 1 - t, 2 - t. */
        soma_var x = soma_add_scalar(i < 2 ? t : soma_neg(t), i < 2 ? 1 - i : i - 1);
        soma_var x2 = soma_square(x), x3 = soma_mul(x2, x);
        if (outer)
            weight[i] = soma_add_scalar(
                soma_add(soma_sub(soma_mul_scalar(x3, a), soma_mul_scalar(x2, 5 * a)),
                         soma_mul_scalar(x, 8 * a)),
                -4 * a);
        else
            weight[i] = soma_add_scalar(
                soma_sub(soma_mul_scalar(x3, a + 2), soma_mul_scalar(x2, a + 3)), 1);
    }
}

/* Each of the sixteen cells is bounded on its own, the place is not. */
static soma_var bicubic(const sampler *s, soma_var y, soma_var x)
{
    const soma_var at[2] = {y, x};
    soma_var low[2], weight[2][4], sum = {0};
    for (int d = 0; d < 2; d++) {
        low[d] = soma_stop_gradient(soma_floor(at[d]));
        cubic(soma_sub(at[d], low[d]), weight[d]);
    }
    for (int i = 0; i < 16; i++) {
        const int down = i / 4, across = i % 4;
        soma_var corner = fetch(s, bound(s, soma_add_scalar(low[0], down - 1), 0),
                                bound(s, soma_add_scalar(low[1], across - 1), 1));
        soma_var part = weigh(corner, soma_mul(weight[0][down], weight[1][across]));
        sum = sum.graph ? soma_add(sum, part) : part;
    }
    return sum;
}

static soma_var grid_sample_decompose(soma_graph *graph, const soma_var *in, int nin,
                                      const void *attrs)
{
    const soma_shape shape = soma_var_shape(in[0]);
    sampler s = {.attrs = attrs, .size = {shape.dim[1], shape.dim[2]}};
    const int64_t images = shape.dim[0], cells = shape.dim[1] * shape.dim[2];
    soma_tensor *rows;
    (void)nin;
    if (soma_tensor_create(&rows, SOMA_I64, SOMA_SHAPE(images, 1, 1), &graph->error))
        return soma__failed(in[0]);
    for (int64_t n = 0; n < images; n++)
        ((int64_t *)soma_tensor_data(rows))[n] = n * shape.dim[1];
    s.row = soma__constant_of(graph, rows);
    s.flat = soma_reshape(in[0], SOMA_SHAPE(images * cells, shape.dim[3]));
    soma_var y = place(&s, in[1], 1, 0), x = place(&s, in[1], 0, 1);
    if (s.attrs->mode == SOMA_SAMPLE_NEAREST)
        return fetch(&s, soma_round(bound(&s, y, 0)), soma_round(bound(&s, x, 1)));
    return s.attrs->mode == SOMA_SAMPLE_BILINEAR ? bilinear(&s, y, x) : bicubic(&s, y, x);
}

const soma__op soma__op_grid_sample = {
    .name = "grid_sample",
    .family = "image",
    .doc = "x [N,H,W,C], grid [N,Ho,Wo,2] of (across, down) in [-1,1] -> [N,Ho,Wo,C]",
    .inputs = "x grid",
    .min_inputs = 2,
    .max_inputs = 2,
    .attr_size = sizeof(soma__grid_sample_attrs),
    .attrs =
        (const soma__attr[]){{"mode", SOMA__ATTR_INT, offsetof(soma__grid_sample_attrs, mode), 1,
                              "0 bilinear, 1 nearest, 2 bicubic"},
                             {"outside", SOMA__ATTR_INT, offsetof(soma__grid_sample_attrs, outside),
                              1, "0 zeros, 1 border, 2 reflection"},
                             {"align_corners", SOMA__ATTR_BOOL,
                              offsetof(soma__grid_sample_attrs, align_corners), 1,
                              "-1 and 1 are centres of cells, not edges"},
                             {0}},
    .rule = grid_sample_rule,
    .decompose = grid_sample_decompose,
};

soma_var soma_grid_sample_opt(soma_var x, soma_var grid, soma_grid_sample_options o)
{
    const soma__grid_sample_attrs attrs = {(int64_t)o.mode, (int64_t)o.outside, o.align_corners};
    return soma__graph_add(NULL, &soma__op_grid_sample, (soma_var[]){x, grid}, 2, &attrs);
}

/* --- affine_grid ------------------------------------------------------------------------------ */

static soma_status affine_grid_rule(soma__rule *rule)
{
    const soma__affine_grid_attrs *attrs = rule->attrs;
    const soma_shape theta = rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    int64_t cells;
    SOMA__TRY(soma__rule_float(rule, 0));
    if (theta.ndim != 3 || theta.dim[1] != 2 || theta.dim[2] != 3)
        return soma__rule_fail(rule, SOMA_SHAPE, "theta must be [N,2,3], but is %s",
                               soma_shape_text(&theta, text, sizeof text));
    if (attrs->size[0] < 1 || attrs->size[1] < 1 ||
        !soma__mul64(attrs->size[0], attrs->size[1], &cells))
        return soma__rule_fail(rule, SOMA_INVALID, "bad size %lldx%lld of the grid",
                               (long long)attrs->size[0], (long long)attrs->size[1]);
    rule->shape = SOMA_SHAPE(theta.dim[0], attrs->size[0], attrs->size[1], 2);
    return SOMA_OK;
}

/* Cell i of `size` in [-1,1]. */
static double normalised(int64_t i, int64_t size, bool align_corners)
{
    if (align_corners)
        return size > 1 ? 2 * (double)i / (double)(size - 1) - 1 : 0;
    return (2 * (double)i + 1) / (double)size - 1;
}

static soma_var affine_grid_decompose(soma_graph *graph, const soma_var *in, int nin,
                                      const void *attrs)
{
    const soma__affine_grid_attrs *a = attrs;
    const int64_t h = a->size[0], w = a->size[1];
    soma_tensor *cells;
    (void)nin;
    if (soma_tensor_create(&cells, soma_var_dtype(in[0]), SOMA_SHAPE(h * w, 3), &graph->error))
        return soma__failed(in[0]);
    for (int64_t i = 0; i < h * w; i++) {
        soma_tensor_set(cells, 3 * i, normalised(i % w, w, a->align_corners));
        soma_tensor_set(cells, 3 * i + 1, normalised(i / w, h, a->align_corners));
        soma_tensor_set(cells, 3 * i + 2, 1);
    }
    soma_var grid = soma_matmul(soma__constant_of(graph, cells), in[0], .transpose_b = true);
    return soma_reshape(grid, SOMA_SHAPE(soma_var_shape(in[0]).dim[0], h, w, 2));
}

const soma__op soma__op_affine_grid = {
    .name = "affine_grid",
    .family = "image",
    .doc = "theta [N,2,3] -> [N,H,W,2], theta · (across, down, 1) of each cell",
    .inputs = "theta",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__affine_grid_attrs),
    .attrs =
        (const soma__attr[]){
            {"size", SOMA__ATTR_INT, offsetof(soma__affine_grid_attrs, size), 2, "height, width"},
            {"align_corners", SOMA__ATTR_BOOL, offsetof(soma__affine_grid_attrs, align_corners), 1,
             "-1 and 1 are centres of cells, not edges"},
            {0}},
    .rule = affine_grid_rule,
    .decompose = affine_grid_decompose,
};

soma_var soma_affine_grid(soma_var theta, int64_t height, int64_t width, bool align_corners)
{
    const soma__affine_grid_attrs attrs = {{height, width}, align_corners};
    return soma__graph_add(NULL, &soma__op_affine_grid, &theta, 1, &attrs);
}

/* --- depth_to_space, space_to_depth ----------------------------------------------------------- */

static soma_status check_block(soma__rule *rule)
{
    const soma__block_attrs *attrs = rule->attrs;
    SOMA__TRY(check_image(rule, "[N,H,W,C]"));
    if (attrs->block < 1 || attrs->block > (INT64_C(1) << 20))
        return soma__rule_fail(rule, SOMA_INVALID, "block %lld must be at least 1 and not huge",
                               (long long)attrs->block);
    return SOMA_OK;
}

static soma_status depth_to_space_rule(soma__rule *rule)
{
    const soma__block_attrs *attrs = rule->attrs;
    SOMA__TRY(check_block(rule));
    const int64_t b = attrs->block, channels = rule->shape.dim[3];
    if (channels % (b * b) != 0)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "%lld channels do not divide into blocks of %lldx%lld",
                               (long long)channels, (long long)b, (long long)b);
    rule->shape.dim[1] *= b; /* no larger than the number of channels that x had there */
    rule->shape.dim[2] *= b;
    rule->shape.dim[3] /= b * b;
    return SOMA_OK;
}

static soma_status space_to_depth_rule(soma__rule *rule)
{
    const soma__block_attrs *attrs = rule->attrs;
    SOMA__TRY(check_block(rule));
    const int64_t b = attrs->block;
    if (rule->shape.dim[1] % b != 0 || rule->shape.dim[2] % b != 0)
        return soma__rule_fail(rule, SOMA_SHAPE,
                               "%lldx%lld cells do not divide into blocks of %lldx%lld",
                               (long long)rule->shape.dim[1], (long long)rule->shape.dim[2],
                               (long long)b, (long long)b);
    rule->shape.dim[1] /= b;
    rule->shape.dim[2] /= b;
    rule->shape.dim[3] *= b * b;
    return SOMA_OK;
}

static soma_var depth_to_space_decompose(soma_graph *graph, const soma_var *in, int nin,
                                         const void *attrs)
{
    static const int64_t rows_first[] = {0, 1, 3, 2, 4, 5}, last[] = {0, 1, 4, 2, 5, 3};
    const soma__block_attrs *a = attrs;
    const soma_shape s = soma_var_shape(in[0]);
    const int64_t b = a->block, c = s.dim[3] / (b * b);
    (void)graph, (void)nin;
    soma_shape parts = a->channels_first ? SOMA_SHAPE(s.dim[0], s.dim[1], s.dim[2], c, b, b)
                                         : SOMA_SHAPE(s.dim[0], s.dim[1], s.dim[2], b, b, c);
    soma_var y = soma_permute(soma_reshape(in[0], parts), a->channels_first ? last : rows_first, 6);
    return soma_reshape(y, SOMA_SHAPE(s.dim[0], s.dim[1] * b, s.dim[2] * b, c));
}

static soma_var space_to_depth_decompose(soma_graph *graph, const soma_var *in, int nin,
                                         const void *attrs)
{
    static const int64_t rows_first[] = {0, 1, 3, 2, 4, 5}, first[] = {0, 1, 3, 5, 2, 4};
    const soma__block_attrs *a = attrs;
    const soma_shape s = soma_var_shape(in[0]);
    const int64_t b = a->block, h = s.dim[1] / b, w = s.dim[2] / b;
    (void)graph, (void)nin;
    soma_var parts = soma_reshape(in[0], SOMA_SHAPE(s.dim[0], h, b, w, b, s.dim[3]));
    soma_var y = soma_permute(parts, a->channels_first ? first : rows_first, 6);
    return soma_reshape(y, SOMA_SHAPE(s.dim[0], h, w, s.dim[3] * b * b));
}

static const soma__attr block_attrs[] = {
    {"block", SOMA__ATTR_INT, offsetof(soma__block_attrs, block), 1, "pixels along a block's side"},
    {"channels_first", SOMA__ATTR_BOOL, offsetof(soma__block_attrs, channels_first), 1,
     "channels count before rows and columns of a block (CRD), not after them (DCR)"},
    {0}};

const soma__op soma__op_depth_to_space = {
    .name = "depth_to_space",
    .family = "image",
    .doc = "[N,H,W,C] -> [N,H b,W b,C/b²], channels to blocks of pixels",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__block_attrs),
    .attrs = block_attrs,
    .rule = depth_to_space_rule,
    .decompose = depth_to_space_decompose,
};

const soma__op soma__op_space_to_depth = {
    .name = "space_to_depth",
    .family = "image",
    .doc = "[N,H,W,C] -> [N,H/b,W/b,C b²], blocks of pixels to channels",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__block_attrs),
    .attrs = block_attrs,
    .rule = space_to_depth_rule,
    .decompose = space_to_depth_decompose,
};

soma_var soma_depth_to_space(soma_var x, int64_t block, bool channels_first)
{
    const soma__block_attrs attrs = {block, channels_first};
    return soma__graph_add(NULL, &soma__op_depth_to_space, &x, 1, &attrs);
}

soma_var soma_space_to_depth(soma_var x, int64_t block, bool channels_first)
{
    const soma__block_attrs attrs = {block, channels_first};
    return soma__graph_add(NULL, &soma__op_space_to_depth, &x, 1, &attrs);
}

/* --- unfold2d, fold2d ------------------------------------------------------------------------- */

static soma_status window_rule(soma__rule *rule, const int64_t input[2], int64_t output[2])
{
    soma__unfold_attrs *attrs = rule->attrs;
    const soma__window window = {.what = "window",
                                 .dims = 2,
                                 .input = input,
                                 .size = attrs->size,
                                 .stride = attrs->stride,
                                 .dilation = attrs->dilation,
                                 .pad = attrs->pad,
                                 .padding = &attrs->padding};
    return soma__window_resolve(rule, &window, output);
}

static soma_status unfold2d_rule(soma__rule *rule)
{
    const soma__unfold_attrs *attrs = rule->attrs;
    int64_t cells;
    SOMA__TRY(check_image(rule, "[N,H,W,C]"));
    SOMA__TRY(window_rule(rule, &rule->in_shape[0].dim[1], &rule->shape.dim[1]));
    if (!soma__mul64(attrs->size[0], attrs->size[1], &cells) ||
        !soma__mul64(cells, rule->shape.dim[3], &rule->shape.dim[3]))
        return soma__rule_fail(rule, SOMA_SHAPE, "the output is too large");
    return SOMA_OK;
}

static soma_status fold2d_rule(soma__rule *rule)
{
    const soma__unfold_attrs *attrs = rule->attrs;
    const soma_shape *x = &rule->in_shape[0];
    char text[SOMA_SHAPE_TEXT_SIZE];
    int64_t windows[2], cells;
    SOMA__TRY(soma__rule_float(rule, 0));
    SOMA__TRY(check_image(rule, "[N,Ho,Wo,size·C]"));
    SOMA__TRY(window_rule(rule, attrs->input, windows));
    if (x->dim[1] != windows[0] || x->dim[2] != windows[1])
        return soma__rule_fail(rule, SOMA_SHAPE, "there are %lldx%lld windows, but x is %s",
                               (long long)windows[0], (long long)windows[1],
                               soma_shape_text(x, text, sizeof text));
    if (!soma__mul64(attrs->size[0], attrs->size[1], &cells) || x->dim[3] % cells != 0)
        return soma__rule_fail(
            rule, SOMA_SHAPE, "%lld channels do not divide into windows of %lldx%lld",
            (long long)x->dim[3], (long long)attrs->size[0], (long long)attrs->size[1]);
    rule->shape = SOMA_SHAPE(x->dim[0], attrs->input[0], attrs->input[1], x->dim[3] / cells);
    return SOMA_OK;
}

/* i64 [Ho,Wo,kh·kw]: which cell of an image of H × W each cell of each window is; -1 outside. */
static soma_var window_cells(soma_graph *graph, const soma__unfold_attrs *a, const int64_t image[2],
                             const int64_t windows[2])
{
    const int64_t cells = a->size[0] * a->size[1];
    soma_tensor *table;
    if (soma_tensor_create(&table, SOMA_I64, SOMA_SHAPE(windows[0], windows[1], cells),
                           &graph->error))
        return (soma_var){graph, -1};
    int64_t *to = soma_tensor_data(table);
    for (int64_t i = 0; i < windows[0]; i++)
        for (int64_t j = 0; j < windows[1]; j++)
            for (int64_t t = 0; t < cells; t++) {
                int64_t h = i * a->stride[0] - a->pad[0] + t / a->size[1] * a->dilation[0];
                int64_t w = j * a->stride[1] - a->pad[1] + t % a->size[1] * a->dilation[1];
                bool inside = h >= 0 && h < image[0] && w >= 0 && w < image[1];
                *to++ = inside ? h * image[1] + w : -1;
            }
    return soma__constant_of(graph, table);
}

static soma_var unfold2d_decompose(soma_graph *graph, const soma_var *in, int nin,
                                   const void *attrs)
{
    const soma__unfold_attrs *a = attrs;
    const soma_shape s = soma_var_shape(in[0]);
    int64_t windows[2];
    (void)nin;
    for (int d = 0; d < 2; d++)
        windows[d] = (s.dim[d + 1] + a->pad[d] + a->pad[d + 2] -
                      soma__window_extent(a->size[d], a->dilation[d])) /
                         a->stride[d] +
                     1;
    soma_var cells = window_cells(graph, a, &s.dim[1], windows);
    soma_var flat = soma_reshape(in[0], SOMA_SHAPE(s.dim[0], s.dim[1] * s.dim[2], s.dim[3]));
    return soma_reshape(
        soma_gather(flat, cells, 1),
        SOMA_SHAPE(s.dim[0], windows[0], windows[1], a->size[0] * a->size[1] * s.dim[3]));
}

static soma_var fold2d_decompose(soma_graph *graph, const soma_var *in, int nin, const void *attrs)
{
    const soma__unfold_attrs *a = attrs;
    const soma_shape s = soma_var_shape(in[0]);
    const int64_t count = a->size[0] * a->size[1], channels = s.dim[3] / count;
    (void)nin;
    soma_var cells = window_cells(graph, a, a->input, &s.dim[1]);
    soma_var each = soma_reshape(in[0], SOMA_SHAPE(s.dim[0], s.dim[1], s.dim[2], count, channels));
    soma_var flat = soma_scatter_add(each, cells, 1, a->input[0] * a->input[1]);
    return soma_reshape(flat, SOMA_SHAPE(s.dim[0], a->input[0], a->input[1], channels));
}

#define ATTR(name_, count_, doc_)                                                                  \
    {                                                                                              \
#name_, SOMA__ATTR_INT, offsetof(soma__unfold_attrs, name_), count_, doc_                  \
    }
#define GEOMETRY                                                                                   \
    ATTR(size, 2, "height, width of the window"), ATTR(stride, 2, "height, width"),                \
        ATTR(dilation, 2, "height, width"), ATTR(pad, 4, "top, left, bottom, right")

const soma__op soma__op_unfold2d = {
    .name = "unfold2d",
    .family = "image",
    .doc = "x [N,H,W,C] -> [N,Ho,Wo,kh kw C], the cells of each window",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__unfold_attrs),
    .attrs = (const soma__attr[]){GEOMETRY, {0}},
    .rule = unfold2d_rule,
    .decompose = unfold2d_decompose,
};

const soma__op soma__op_fold2d = {
    .name = "fold2d",
    .family = "image",
    .doc = "x [N,Ho,Wo,kh kw C] -> [N,H,W,C], the transpose of unfold2d",
    .inputs = "x",
    .min_inputs = 1,
    .max_inputs = 1,
    .attr_size = sizeof(soma__unfold_attrs),
    .attrs = (const soma__attr[]){GEOMETRY, ATTR(input, 2, "height, width of the result"), {0}},
    .rule = fold2d_rule,
    .decompose = fold2d_decompose,
};

static soma__unfold_attrs unfold_attrs(const soma_unfold_options *o)
{
    soma__unfold_attrs attrs = {.padding = (int64_t)o->padding};
    for (int d = 0; d < 2; d++) {
        attrs.size[d] = o->size[d];
        attrs.stride[d] = o->stride[d] ? o->stride[d] : 1;
        attrs.dilation[d] = o->dilation[d] ? o->dilation[d] : 1;
        attrs.pad[d] = o->pad[d];
        attrs.pad[d + 2] = o->pad[d + 2];
    }
    return attrs;
}

soma_var soma_unfold2d_opt(soma_var x, soma_unfold_options options)
{
    const soma__unfold_attrs attrs = unfold_attrs(&options);
    return soma__graph_add(NULL, &soma__op_unfold2d, &x, 1, &attrs);
}

soma_var soma_fold2d_opt(soma_var x, int64_t height, int64_t width, soma_unfold_options options)
{
    soma__unfold_attrs attrs = unfold_attrs(&options);
    attrs.input[0] = height;
    attrs.input[1] = width;
    return soma__graph_add(NULL, &soma__op_fold2d, &x, 1, &attrs);
}

/* Charts: well-formed SVG, PNG of the right size with ink where it belongs, and awkward series. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/image.h"
#include "format/plot.h"

static const double falling[] = {2.3, 1.1, 0.6, 0.4, 0.3};
static const double gaps[] = {NAN, 1.5, NAN, 0.5, INFINITY};

static const soma__plot_series series[] = {
    {.name = "training", .y = falling, .count = 5},
    {.name = "a<b & \xc3\xa9\xff\x01", .y = gaps, .count = 5},
};
static const soma__plot_panel panels[] = {
    {.title = "loss", .x_label = "epoch", .series = series, .count = 2},
    {.series = series, .count = 1},
};

static void writes_svg(void **state)
{
    const soma__plot plot = {.title = "t", .panels = panels, .count = 2};
    soma_error err = {0};
    soma__text text = {0};
    (void)state;
    assert_ok(soma__plot_svg(&text, &plot, &err), err);
    assert_int_equal(strncmp(text.data, "<svg ", 5), 0);
    assert_string_equal(text.data + text.length - 7, "</svg>\n");
    assert_non_null(strstr(text.data, "a&#60;b &#38; \xc3\xa9\?\?</text>"));
    assert_non_null(strstr(text.data, ">epoch</text>"));
    assert_non_null(strstr(text.data, ">2.5</text>")); /* the tick above 2.3 */
    assert_null(strstr(text.data, "nan"));
    assert_null(strstr(text.data, "inf"));
    soma__text_free(&text);
}

static void draws_awkward_series(void **state)
{
    double *many = calloc(100000, sizeof *many);
    double wild[] = {1e300, -1e300, 0, -0.0, 5e-324, 1e99, -1e99}, flat[] = {0, 0, 0};
    double shifted[] = {1e15, 1e15 + 1}, tiny[] = {1e-95, 2e-95};
    const struct {
        const double *x, *y;
        size_t count;
    } cases[] = {
        {NULL, many, 100000}, {NULL, wild, 7},       {wild, wild, 7},    {NULL, flat, 3},
        {flat, flat, 3},      {NULL, falling, 0},    {NULL, falling, 1}, {NULL, gaps, 1},
        {NULL, shifted, 2},   {shifted, shifted, 2}, {NULL, tiny, 2},    {tiny, tiny, 2},
    };
    soma_error err = {0};
    (void)state;
    assert_non_null(many);
    for (int i = 0; i < 100000; i++)
        many[i] = sin(i * 0.01) + (i % 17);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const soma__plot_series one = {.x = cases[i].x, .y = cases[i].y, .count = cases[i].count};
        const soma__plot_panel panel = {.series = &one, .count = 1};
        const soma__plot plot = {.panels = &panel, .count = 1, .width = 200, .height = 150};
        soma__text text = {0};
        assert_ok(soma__plot_svg(&text, &plot, &err), err);
        assert_true(text.length < 100000);
        soma__text_free(&text);
#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
        assert_ok(soma__plot_png(&text, &plot, &err), err);
        soma__text_free(&text);
#endif
    }
    free(many);
}

static void refuses_bad_plots(void **state)
{
    soma_error err = {0};
    soma__text text = {0};
    (void)state;
    assert_int_equal(soma__plot_svg(&text, &(soma__plot){0}, &err), SOMA_INVALID);
    assert_int_equal(
        soma__plot_svg(&text, &(soma__plot){.panels = panels, .count = 1, .width = 9000}, &err),
        SOMA_INVALID);
    assert_int_equal(
        soma__plot_write(scratch("a.jpg"), &(soma__plot){.panels = panels, .count = 1}, &err),
        SOMA_INVALID);
    assert_int_equal(soma__plot_write(scratch("no/folder/a.svg"),
                                      &(soma__plot){.panels = panels, .count = 1}, &err),
                     SOMA_IO);
    soma__text_free(&text);
}

#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
static void writes_png(void **state)
{
    const soma__plot plot = {
        .title = "t", .panels = panels, .count = 2, .width = 600, .height = 300};
    soma_error err = {0};
    soma_tensor *t;
    (void)state;
    assert_ok(soma__plot_write(scratch("p.png"), &plot, &err), err);
    assert_ok(soma__png_read(&t, scratch("p.png"), 3, &err), err);
    assert_true(soma_shape_equal(soma_tensor_shape(t), &SOMA_SHAPE(600, 1200, 3)));
    const uint8_t *p = soma_tensor_const_data(t);
    size_t paper = 0, blue = 0;
    for (size_t i = 0; i < 600 * 1200; i++) {
        paper += p[3 * i] == 255 && p[3 * i + 1] == 255 && p[3 * i + 2] == 255;
        blue += p[3 * i] == 0x1f && p[3 * i + 1] == 0x77 && p[3 * i + 2] == 0xb4;
    }
    assert_true(paper > 600 * 1200 * 8 / 10);
    assert_true(blue > 500); /* two curves and two legend entries */
    soma_tensor_release(t);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_svg),
        cmocka_unit_test(draws_awkward_series),
        cmocka_unit_test(refuses_bad_plots),
#if defined(SOMA_HAVE_PNG) && SOMA_HAVE_PNG
        cmocka_unit_test(writes_png),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

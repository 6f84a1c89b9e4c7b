/* CSV: quoting, headers, column kinds, tensors, and files that are no table. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "format/csv.h"
#include "format/gzip.h"

static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma__csv csv = {0};
    soma_status status = soma__csv_parse(&csv, bytes, size, "t.csv", NULL, err);
    if (status != SOMA_OK)
        assert_null(csv.column);
    soma__csv_clear(&csv);
    return status;
}

static void load(soma__csv *csv, const char *text, const soma__csv_options *options)
{
    soma_error err = {0};
    *csv = (soma__csv){0};
    assert_ok(soma__csv_parse(csv, text, strlen(text), "t.csv", options, &err), err);
}

static void reads_columns(void **state)
{
    soma__csv csv;
    (void)state;
    load(&csv,
         "\xef\xbb\xbf"
         "a,\"b, c\",kind\r\n1, 2.5 ,red\r\n\"3\",,\"bl\"\"ue\"\r\n-1e3,7,red",
         NULL);
    assert_int_equal(csv.rows, 3);
    assert_int_equal(csv.columns, 3);
    assert_string_equal(csv.column[0].name, "a");
    assert_string_equal(csv.column[1].name, "b, c");
    assert_false(csv.column[0].categorical);
    assert_true(csv.column[0].numbers[2] == -1000);
    assert_true(csv.column[0].numbers[1] == 3);
    assert_true(csv.column[1].numbers[0] == 2.5);
    assert_true(isnan(csv.column[1].numbers[1]));
    assert_int_equal(csv.column[1].missing, 1);
    assert_true(csv.column[2].categorical);
    assert_null(csv.column[2].numbers);
    assert_int_equal(csv.column[2].value_count, 2);
    assert_string_equal(csv.column[2].values[0], "bl\"ue");
    assert_int_equal(csv.column[2].codes[0], 1);
    assert_int_equal(csv.column[2].codes[1], 0);
    soma__csv_clear(&csv);
}

static void quoted_fields_hold_lines(void **state)
{
    soma__csv csv;
    (void)state;
    load(&csv, "\"a\nb\",\"x,y\"\n\"\",z\n", &(soma__csv_options){.header = SOMA__CSV_HEADER_NO});
    assert_int_equal(csv.rows, 2);
    assert_string_equal(csv.column[0].name, "column1");
    assert_string_equal(csv.column[0].values[0], "a\nb");
    assert_int_equal(csv.column[0].codes[1], -1);
    assert_int_equal(csv.column[0].missing, 1);
    soma__csv_clear(&csv);
}

static void finds_the_header(void **state)
{
    static const struct {
        const char *text;
        soma__csv_header mode;
        int64_t rows;
    } cases[] = {
        {"1,2\n3,4\n", SOMA__CSV_HEADER_AUTO, 2},     {"a,b\n3,4\n", SOMA__CSV_HEADER_AUTO, 1},
        {"a,2\n3,4\n", SOMA__CSV_HEADER_AUTO, 2},     {"a,b\nc,d\n", SOMA__CSV_HEADER_AUTO, 2},
        {"a,b\nc,d\n", SOMA__CSV_HEADER_YES, 1},      {"a,b\n3,4\n", SOMA__CSV_HEADER_NO, 2},
        {"a,\n3,4\n", SOMA__CSV_HEADER_AUTO, 2},      {"a,\n3,4\n", SOMA__CSV_HEADER_YES, 1},
        {"a,b\n\n3,4\n\n", SOMA__CSV_HEADER_AUTO, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        soma__csv csv;
        load(&csv, cases[i].text, &(soma__csv_options){.header = cases[i].mode});
        assert_int_equal(csv.rows, cases[i].rows);
        soma__csv_clear(&csv);
    }
}

static void other_separators(void **state)
{
    soma_error err = {0};
    soma__csv csv;
    (void)state;
    load(&csv, "a;b\n1,5;2\n", &(soma__csv_options){.separator = ';'});
    assert_int_equal(csv.columns, 2);
    assert_true(csv.column[0].categorical);
    soma__csv_clear(&csv);
    load(&csv, "a\tb\n1\t2\n", &(soma__csv_options){.separator = '\t'});
    assert_true(csv.column[1].numbers[0] == 2);
    soma__csv_clear(&csv);
    assert_int_equal(
        soma__csv_parse(&csv, "a", 1, "t", &(soma__csv_options){.separator = '"'}, &err),
        SOMA_INVALID);
}

static void refuses_bad_tables(void **state)
{
    soma_error err = {0};
    soma__csv csv = {0};
    (void)state;
    expect_failure(parse, "", 0, SOMA_FORMAT, "empty");
    expect_failure(parse, "\n\n\r\n", 4, SOMA_FORMAT, "empty");
    expect_failure(parse, "1,2\n\n3\n", 7, SOMA_FORMAT,
                   "t.csv:3: this row has 1 fields, the first has 2");
    expect_failure(parse, "1,\"2\n3", 6, SOMA_FORMAT, "t.csv:1: a quoted field does not end");
    expect_failure(parse, "1\n2\"3\n", 6, SOMA_FORMAT, "t.csv:2: a quote inside");
    expect_failure(parse, "1\n\"2\"3\n", 7, SOMA_FORMAT, "t.csv:2: text follows");
    expect_failure(parse, "1\r2\n", 4, SOMA_FORMAT, "t.csv:1: a carriage return");
    expect_failure(parse, "1\n2\0003\n", 6, SOMA_FORMAT, "t.csv:2: a NUL");
    expect_failure(parse, "1\n\xe9\n", 4, SOMA_FORMAT, "t.csv:2: this is not UTF-8");
    expect_failure(parse, "a,a\n1,2\n", 8, SOMA_FORMAT, "two columns are named 'a'");
    assert_int_equal(soma__csv_parse(&csv, "a,b\n", 4, "t",
                                     &(soma__csv_options){.header = SOMA__CSV_HEADER_YES}, &err),
                     SOMA_FORMAT);
    assert_int_equal(soma__csv_read(&csv, scratch("nothing.csv"), NULL, &err), SOMA_IO);
}

static void survives_damage(void **state)
{
    static const char text[] = "x,y,k\r\n1,\"2\",a\r\n,5e1,\"b\"\"\"\n";
    (void)state;
    every_truncation(parse, text, sizeof text - 1, true);
    every_flip(parse, text, sizeof text - 1);
}

static void finds_columns(void **state)
{
    soma_error err = {0};
    soma__csv csv;
    int column;
    (void)state;
    load(&csv, "length,width,7\n1,2,3\n", &(soma__csv_options){.header = SOMA__CSV_HEADER_YES});
    assert_ok(soma__csv_column_find(&column, &csv, "width", &err), err);
    assert_int_equal(column, 1);
    assert_ok(soma__csv_column_find(&column, &csv, "-1", &err), err);
    assert_int_equal(column, 2);
    assert_ok(soma__csv_column_find(&column, &csv, "0", &err), err);
    assert_int_equal(column, 0);
    assert_ok(soma__csv_column_find(&column, &csv, "7", &err), err); /* a name goes first */
    assert_int_equal(column, 2);
    assert_int_equal(soma__csv_column_find(&column, &csv, "3", &err), SOMA_NOT_FOUND);
    assert_int_equal(soma__csv_column_find(&column, &csv, "-4", &err), SOMA_NOT_FOUND);
    assert_int_equal(soma__csv_column_find(&column, &csv, "widht", &err), SOMA_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean 'width'"));
    soma__csv_clear(&csv);
}

static void guesses_the_separator(void **state)
{
    soma__csv csv;
    (void)state;
    load(&csv, "\"a;b\";c\n1,5;2\n3,5;4\n", NULL);
    assert_int_equal(csv.separator, ';');
    assert_int_equal(csv.columns, 2);
    assert_string_equal(csv.column[0].name, "a;b");
    soma__csv_clear(&csv);
    load(&csv, "a\tb\n1\t2\n", NULL);
    assert_int_equal(csv.columns, 2);
    soma__csv_clear(&csv);
    load(&csv, "text\nhello, world\n", &(soma__csv_options){.separator = ';'});
    assert_int_equal(csv.columns, 1);
    soma__csv_clear(&csv);
}

static void blanks_separate_in_runs(void **state)
{
    soma__csv csv;
    soma__csv_options options = {.separator = ' '};
    (void)state;
    load(&csv, "  1   2\t3  \n4 \"5 6\" 7\r\n   \n8 9 10", &options);
    assert_int_equal(csv.columns, 3);
    assert_int_equal(csv.rows, 3);
    assert_true(csv.column[2].numbers[0] == 3);
    assert_true(csv.column[1].categorical);
    assert_true(csv.column[2].numbers[2] == 10);
    soma__csv_clear(&csv);
}

static void known_names_are_a_header_or_the_names(void **state)
{
    static const char *const known[] = {"u", "v"}, *const text[] = {"v"};
    soma__csv csv;
    soma__csv_options options = {.known = known, .known_count = 2, .text = text, .text_count = 1};
    (void)state;
    load(&csv, "u,v\nx,1\ny,2\n", &options); /* without the names it would be taken for data */
    assert_int_equal(csv.rows, 2);
    assert_true(csv.header);
    soma__csv_clear(&csv);
    load(&csv, "1,7\n2,8\n", &options);
    assert_false(csv.header);
    assert_string_equal(csv.column[1].name, "v");
    assert_true(csv.column[1].categorical);
    assert_string_equal(csv.column[1].values[1], "8");
    soma__csv_clear(&csv);
}

static void reads_iris(void **state)
{
    soma_error err = {0};
    soma__csv csv = {0};
    int label;
    (void)state;
    assert_ok(soma__csv_read(&csv, SOMA_SOURCE_FOLDER "/data/iris.csv", NULL, &err), err);
    assert_int_equal(csv.rows, 150);
    assert_ok(soma__csv_column_find(&label, &csv, "species", &err), err);
    assert_int_equal(csv.column[label].value_count, 3);
    assert_string_equal(csv.column[label].values[1], "versicolor");
    soma__csv_clear(&csv);
}

#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
static void reads_gzip(void **state)
{
    static const char text[] = "a,b\n1,2\n3,4\n";
    soma_error err = {0};
    soma__text packed = {0};
    soma__csv csv = {0};
    (void)state;
    assert_ok(soma__gzip(&packed, text, sizeof text - 1, &err), err);
    assert_ok(soma__csv_parse(&csv, packed.data, packed.length, "t.csv.gz", NULL, &err), err);
    assert_int_equal(csv.rows, 2);
    every_truncation(parse, packed.data, packed.length, true); /* one byte of it is a CSV, too */
    soma__csv_clear(&csv);
    soma__text_free(&packed);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_columns),
        cmocka_unit_test(quoted_fields_hold_lines),
        cmocka_unit_test(finds_the_header),
        cmocka_unit_test(other_separators),
        cmocka_unit_test(refuses_bad_tables),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(finds_columns),
        cmocka_unit_test(guesses_the_separator),
        cmocka_unit_test(blanks_separate_in_runs),
        cmocka_unit_test(known_names_are_a_header_or_the_names),
        cmocka_unit_test(reads_iris),
#if defined(SOMA_HAVE_ZLIB) && SOMA_HAVE_ZLIB
        cmocka_unit_test(reads_gzip),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

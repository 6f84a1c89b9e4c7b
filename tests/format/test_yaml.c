/* YAML: values with their lines, and a message with the line for all that is refused. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/json.h"
#include "format/yaml.h"

static soma_status parse(const void *bytes, size_t size, soma_error *err)
{
    soma__tree tree = {0};
    soma_status status = soma__yaml_parse(&tree, bytes, size, "t.yaml", err);
    if (status != SOMA_OK)
        assert_null(tree.root);
    soma__tree_clear(&tree);
    return status;
}

#if defined(SOMA_HAVE_YAML) && SOMA_HAVE_YAML
static void fails(const char *text, const char *part)
{
    expect_failure(parse, text, strlen(text), SOMA_FORMAT, part);
}

/* The tree as JSON, which is easy to compare. */
static void reads_as(const char *yaml, const char *json)
{
    soma__tree tree = {0};
    soma__text text = {0};
    soma_error err = {0};
    assert_ok(soma__yaml_parse(&tree, yaml, strlen(yaml), "t.yaml", &err), err);
    soma__json_write(&text, tree.root, 0);
    assert_string_equal(text.data, json);
    soma__text_free(&text);
    soma__tree_clear(&tree);
}

static void reads_values(void **state)
{
    (void)state;
    reads_as("a: 1\nb: [x, 2.5, true, ~, \"3\", '4']\nc:\n  d: 1e-3\n  e: {}\n",
             "{\"a\": 1, \"b\": [\"x\", 2.5, true, null, \"3\", \"4\"], "
             "\"c\": {\"d\": 0.001, \"e\": {}}}");
    reads_as("- |\n  two\n  lines\n- >\n  one\n  line\n", "[\"two\\nlines\\n\", \"one line\\n\"]");
    reads_as("just a word", "\"just a word\"");
    reads_as("!!str 5", "\"5\"");
    reads_as("--- \na: \n...\n", "{\"a\": null}");
    reads_as("? a\n: 1\n\"b c\": 2\n1: 3\n", "{\"a\": 1, \"b c\": 2, \"1\": 3}");
}

static void knows_the_lines(void **state)
{
    static const char text[] = "# comment\na: 1\nb:\n  - x\n  - y: 2\nc: \"q\"\n";
    soma__tree tree = {0};
    soma_error err = {0};
    (void)state;
    assert_ok(soma__yaml_parse(&tree, text, sizeof text - 1, "t.yaml", &err), err);
    assert_string_equal(tree.source, "t.yaml");
    assert_int_equal(tree.root->line, 2);
    assert_int_equal(soma__value_find(tree.root, "a")->line, 2);
    assert_int_equal(soma__value_find(tree.root, "b")->first->line, 4);
    assert_int_equal(soma__value_find(soma__value_find(tree.root, "b")->last, "y")->line, 5);
    assert_int_equal(soma__value_find(tree.root, "c")->line, 6);
    soma__tree_clear(&tree);
}

static void follows_aliases(void **state)
{
    (void)state;
    reads_as("a: &x {p: 1, q: [2]}\nb: *x\nc: *x\n",
             "{\"a\": {\"p\": 1, \"q\": [2]}, \"b\": {\"p\": 1, \"q\": [2]}, "
             "\"c\": {\"p\": 1, \"q\": [2]}}");
    reads_as("[&x 1, &x 2, *x]", "[1, 2, 2]");
    fails("a: *x\n", "t.yaml:1: no anchor is named 'x'");
    fails("a: 1\nb: &x [1, *x]\n", "t.yaml:2: alias 'x' lies inside");
    /* Ten to the ninth values out of ten lines. */
    soma__text bomb = {0};
    soma__text_add(&bomb, "a0: &a0 [0,0,0,0,0,0,0,0,0,0]\n");
    for (int i = 1; i < 9; i++)
        soma__text_add(&bomb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i,
                       i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    fails(bomb.data, "more than 200000 values");
    soma__text_free(&bomb);
    /* Nesting through aliases is nesting, too. */
    soma__text chain = {0};
    soma__text_add(&chain, "a0: &a0 [1]\n");
    for (int i = 1; i < 70; i++)
        soma__text_add(&chain, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    fails(chain.data, "64 levels");
    soma__text_free(&chain);
}

static void refuses_bad_yaml(void **state)
{
    soma__tree tree = {0};
    soma_error err = {0};
    char deep[201];
    (void)state;
    fails("", "t.yaml:1: the file is empty");
    fails("# only a comment\n", "empty");
    fails("a: 1\nb: 2\na: 3\n", "t.yaml:3: the key 'a' was given in line 1 already");
    fails("a: 1\n\tb: 2\n", "t.yaml:2");
    fails("a: [1, 2\nb: 3\n", "t.yaml:2");
    fails("a: 1\n---\nb: 2\n", "t.yaml:2: a second document");
    fails("a: &x {b: 1}\nc:\n  <<: *x\n", "t.yaml:3: merge keys");
    fails("[a]: 1\n", "t.yaml:1: a key must be");
    fails("? {a: b}\n: 1\n", "t.yaml:1: a key must be");
    fails("a: !!binary xx\n", "t.yaml:1: the tag 'tag:yaml.org,2002:binary'");
    fails("a: !mine 1\n", "t.yaml:1: the tag '!mine'");
    fails("a: \"x\\0y\"\n", "t.yaml:1: a string holds a NUL");
    expect_failure(parse, "a: \xff\n", 5, SOMA_FORMAT, "t.yaml:1: not valid YAML");
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = 0;
    fails(deep, "64 levels");
    assert_int_equal(parse(deep + 36, 128, NULL), SOMA_OK);
    assert_int_equal(soma__yaml_read(&tree, scratch("nothing"), &err), SOMA_IO);
}

static void survives_damage(void **state)
{
    static const char text[] = "a: &x [1, \"q\\n\", 'r']\nb: {c: *x, d: ~}\ne: |\n  text\n";
    (void)state;
    every_truncation(parse, text, sizeof text - 1, true);
    every_flip(parse, text, sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_values),    cmocka_unit_test(knows_the_lines),
        cmocka_unit_test(follows_aliases), cmocka_unit_test(refuses_bad_yaml),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
static void says_what_is_missing(void **state)
{
    (void)state;
    expect_failure(parse, "a: 1", 4, SOMA_UNSUPPORTED, "libyaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_is_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif

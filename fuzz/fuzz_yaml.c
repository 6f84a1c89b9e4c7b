/* Whatever the bytes, the YAML reader gives a tree, which is then written as JSON, or a status. */
#include "format/json.h"
#include "format/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma__tree tree = {0};
    soma_error err = {0};

    if (soma__yaml_parse(&tree, (const char *)data, size, "fuzz", &err) == SOMA_OK) {
        soma__text text = {0};
        soma__json_write(&text, tree.root, 0);
        soma__text_free(&text);
    }
    soma__tree_clear(&tree);
    return 0;
}

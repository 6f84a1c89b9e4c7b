/* JSON that can be read is written, read again and written again: both texts must be equal. */
#include <string.h>

#include "format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma__tree tree = {0};
    soma__text first = {0}, second = {0};
    soma_error err = {0};

    if (soma__json_parse(&tree, (const char *)data, size, "fuzz", &err) != SOMA_OK)
        return 0;
    soma__json_write(&first, tree.root, 1);
    soma__tree_clear(&tree);
    if (soma__json_parse(&tree, first.data, first.length, "again", &err) != SOMA_OK)
        __builtin_trap();
    soma__json_write(&second, tree.root, 1);
    if (first.length != second.length || memcmp(first.data, second.data, first.length) != 0)
        __builtin_trap();
    soma__tree_clear(&tree);
    soma__text_free(&first);
    soma__text_free(&second);
    return 0;
}

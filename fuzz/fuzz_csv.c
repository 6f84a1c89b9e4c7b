/* The first byte chooses the options, the rest is the table: as rows, as features by an encoding
 * that is fitted on them, and that encoding as text and back. */
#include "base/mem.h"
#include "data/dataset.h"
#include "data/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text of an encoding must read back, and give the same text again. */
static void text_and_back(const soma_dataset *d)
{
    soma_error err = {0};
    soma__encoding *again = NULL;
    char *text = NULL;
    if (soma__encoding_text(&text, soma__dataset_encoding(d), &err) != SOMA_OK)
        return;
    soma_status status = soma__encoding_parse(&again, text, "fuzz", &err);
    if (status != SOMA_OK && status != SOMA_MEMORY && status != SOMA_UNSUPPORTED)
        __builtin_trap();
    if (again && soma__encoding_features(again) != soma_dataset_x_shape(d)->dim[0])
        __builtin_trap();
    soma__encoding_release(again);
    soma__free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char separators[] = {0, ';', ' ', '\t'};
    soma__csv csv = {0};
    soma__table_options options = {0};
    soma_error err = {0};

    if (size == 0)
        return 0;
    options.header = (soma__csv_header)(data[0] % 3);
    options.separator = separators[data[0] >> 6];
    options.missing = (soma__missing)((data[0] >> 2) % 6);
    options.index = data[0] & 32;
    const soma__csv_options reading = {.header = options.header, .separator = options.separator};
    if (soma__csv_parse(&csv, data + 1, size - 1, "fuzz", &reading, &err) != SOMA_OK)
        return 0;
    soma__csv_clear(&csv);
    for (int target = SOMA__TARGET_CLASSES; target <= SOMA__TARGET_NUMBERS; target++) {
        soma_data parts = {0};
        options.target = (soma__target)target;
        if (soma__table_open(&parts.train, "fuzz", data + 1, size - 1, &options, &err) != SOMA_OK)
            continue;
        if (soma__table_encode(&parts, &err) == SOMA_OK)
            text_and_back(parts.train);
        soma_data_clear(&parts);
    }
    return 0;
}

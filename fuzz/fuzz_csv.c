/* The first byte chooses the options, the rest is the table. A table that loads is also split into
 * features and labels by each of its first columns. */
#include "format/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    soma__csv csv = {0};
    soma__csv_options options = {0};
    soma_error err = {0};

    if (size == 0)
        return 0;
    options.header = (soma__csv_header)(data[0] % 3);
    options.separator = data[0] & 0x80 ? ';' : 0;
    if (soma__csv_parse(&csv, data + 1, size - 1, "fuzz", &options, &err) != SOMA_OK)
        return 0;
    for (int label = 0; label < csv.columns && label < 4; label++) {
        soma__csv_dataset set = {0};
        if (soma__csv_split(&set, &csv, label, &err) == SOMA_OK)
            soma__csv_dataset_clear(&set);
    }
    soma__csv_clear(&csv);
    return 0;
}

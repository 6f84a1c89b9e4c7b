/* The assembler copies each file between two labels (.incbin). That is faster than any generated C
 * and needs no generated file; it works with gcc and clang on ELF systems, the only ones that soma
 * is built for. The build has to name the files as dependencies of this object: the compiler's
 * dependency output does not know of them. */
#include "format/embedded.h"

#include <string.h>

#ifndef SOMA_SOURCE_FOLDER
#error "the build must define SOMA_SOURCE_FOLDER, the path of the repository"
#endif

#define X(symbol_, name_, path_)                                                                   \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 16\n"                                                                         \
            ".globl soma__embedded_" #symbol_ "\n"                                                 \
            ".hidden soma__embedded_" #symbol_ "\n"                                                \
            "soma__embedded_" #symbol_ ":\n"                                                       \
            ".incbin \"" SOMA_SOURCE_FOLDER "/" path_ "\"\n"                                       \
            ".globl soma__embedded_" #symbol_ "_end\n"                                             \
            ".hidden soma__embedded_" #symbol_ "_end\n"                                            \
            "soma__embedded_" #symbol_ "_end:\n"                                                   \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char soma__embedded_##symbol_[] __attribute__((visibility("hidden")));            \
    extern const char soma__embedded_##symbol_##_end[] __attribute__((visibility("hidden")));
#include "format/embedded.def"
#undef X

static const struct {
    const char *name, *begin, *end;
} files[] = {
#define X(symbol_, name_, path_) {name_, soma__embedded_##symbol_, soma__embedded_##symbol_##_end},
#include "format/embedded.def"
#undef X
};
#define FILE_COUNT (sizeof files / sizeof files[0])

bool soma__embedded_find(const char *name, const void **data, size_t *size)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (strcmp(files[i].name, name) == 0) {
            *data = files[i].begin;
            *size = (size_t)(files[i].end - files[i].begin);
            return true;
        }
    }
    return false;
}

const char *soma__embedded_name(size_t index)
{
    return index < FILE_COUNT ? files[index].name : NULL;
}

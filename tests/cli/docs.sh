# What the documents say is what the program does.
source "$(dirname "$0")/support/lib.sh"
docs=$source_folder/docs

# The program in the README is the one that is built and run as a test.
sed -n '/^```c$/,/^```$/p' "$source_folder/README.md" | sed '1d;$d' >readme.c
check "README's program is not examples/quickstart.c" cmp readme.c "$source_folder/examples/quickstart.c"

# Every key of recipes and every layer is in docs/recipes.md, every command in docs/cli.md.
documented() { grep -q "\`$1\`" "$docs/recipes.md"; }
for key in $(grep -ho '\.key = "[a-z0-9_]*"' "$source_folder/src/train/recipe.c" \
    "$source_folder/src/data/options.c" | cut -d'"' -f2); do
    check "docs/recipes.md lacks the key $key" documented "$key"
done
for layer in $("$soma" ops --layers | cut -d' ' -f1); do
    check "docs/recipes.md lacks the layer $layer" documented "$layer"
    for key in $("$soma" ops --layers "$layer" | sed -n '/^keys/,$p' | grep -o '^  [a-z0-9_]*'); do
        check "docs/recipes.md lacks the key $key of $layer" documented "$key"
    done
done
for name in $("$soma" ops --optimizers | cut -d' ' -f1) $("$soma" ops --schedules | cut -d' ' -f1) \
    $("$soma" ops --optimizers sgd | sed -n '/^keys/,$p' | grep -o '^  [a-z0-9_]*'); do
    check "docs/recipes.md lacks $name of optimizers" documented "$name"
done
for command in $("$soma" --help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'); do
    check "docs/cli.md lacks the command $command" grep -q "soma $command" "$docs/cli.md"
done

# The recipe that docs/recipes.md begins with works.
sed -n '/^```yaml$/,/^```$/p' "$docs/recipes.md" | sed '1d;/^```$/,$d' >first.yaml
expect 0 "test: accuracy" "$soma" train first.yaml -e 2
check "the run is not where the document says" test -s runs/digits-small/model.safetensors

# The C of docs/sequences.md compiles as the body of a function.
{
    printf '#include <stdio.h>\n#include <soma/soma.h>\nint main(void)\n{\n    soma_error err = {0};\n'
    sed -n '/^```c$/,/^```$/p' "$docs/sequences.md" | sed '/^```/d'
    printf '    return 0;\n}\n'
} >sequences.c
check "the C of docs/sequences.md does not compile" \
    cc -std=c11 -Wall -Wextra -Werror -I "$source_folder/include" -fsyntax-only sequences.c

# Every recipe that is built in is well-formed; those with data at hand can be built.
for recipe in $("$soma" train --list | cut -d' ' -f1); do
    check "$recipe is not built in as it is in recipes/" test -e "$source_folder/recipes/$recipe.yaml"
done
finish

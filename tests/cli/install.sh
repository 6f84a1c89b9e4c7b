# `cmake --install` into a folder, and a small program built against what is there: by pkg-config
# with the shared and the static library, and by CMake's find_package.
source "$(dirname "$0")/support/lib.sh"
cache=$build/CMakeCache.txt
[ -e "$cache" ] || skip "the program is not in a build folder"
grep -Eq '^SOMA_SANITIZE:[A-Z]*=.+|^SOMA_COVERAGE:BOOL=ON|^SOMA_FUZZ:BOOL=ON' "$cache" &&
    skip "an instrumented library needs its own flags to link"
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$cache")

root=$work/root
DESTDIR=$root cmake --install "$build" >install.log 2>&1 || { cat install.log; fail "cmake --install"; finish; }
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:[A-Z]*=//p' "$cache")
config=$(find "$root" -name soma.pc)
libdir=$(dirname "$(find "$root" -name libsoma.a)")
for file in bin/soma include/soma/soma.h share/man/man1/soma.1 share/soma/recipes/iris.yaml \
    share/bash-completion/completions/soma; do
    check "not installed: $file" test -s "$root$prefix/$file"
done
expect 0 "soma " "$root$prefix/bin/soma" --version
expect 0 "test: accuracy" "$root$prefix/bin/soma" train iris -e 1 -q

cat >tiny.c <<'E2'
#include <soma/soma.h>
#include <stdio.h>
int main(void)
{
    soma_error err = {0};
    soma_context *context;
    soma_graph *graph;
    soma_tensor *out;
    float numbers[] = {1, 2, 3};
    soma_tensor *t;
    if (soma_context_create(&context, NULL, &err) || soma_graph_create(&graph, &err) ||
        soma_tensor_from(&t, SOMA_F32, SOMA_SHAPE(3), numbers, &err) ||
        soma_eval(&out, context, soma_sum(soma_square(soma_variable(graph, "t", t))), &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%g of soma %s\n", soma_tensor_get(out, 0), soma_version());
    soma_tensor_release(out);
    soma_tensor_release(t);
    soma_graph_destroy(graph);
    soma_context_destroy(context);
    return 0;
}
E2

export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$(dirname "$config")
if command -v pkg-config >/dev/null; then
    expect 0 "" "$compiler" tiny.c -o shared $(pkg-config --cflags --libs soma)
    expect 0 "14 of soma" env LD_LIBRARY_PATH="$libdir" ./shared
    # With only the static library there, -lsoma means it.
    cp -r "$root" static-root
    find static-root -name 'libsoma.so*' -delete
    export PKG_CONFIG_SYSROOT_DIR=$work/static-root
    PKG_CONFIG_PATH=$(dirname "$(find "$work/static-root" -name soma.pc)")
    expect 0 "" "$compiler" tiny.c -o static $(pkg-config --static --cflags --libs soma)
    expect 0 "14 of soma" ./static
    check "the static program needs libsoma.so" test -z "$(ldd static | grep libsoma)"
fi
unset PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH

mkdir project
cp tiny.c project
cat >project/CMakeLists.txt <<'E2'
cmake_minimum_required(VERSION 3.18)
project(tiny C)
find_package(soma 0.1 REQUIRED)
add_executable(with_shared tiny.c)
target_link_libraries(with_shared soma::soma)
add_executable(with_static tiny.c)
target_link_libraries(with_static soma::static)
E2
expect 0 "" cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$root$prefix" -DCMAKE_C_COMPILER="$compiler"
expect 0 "" cmake --build project/build
expect 0 "14 of soma" project/build/with_shared
expect 0 "14 of soma" project/build/with_static

if command -v c++ >/dev/null; then
    cp tiny.c tiny.cc
    expect 0 "" c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -I"$root$prefix/include" \
        -x c++ "$root$prefix/include/soma/soma.h"
fi
finish

# Tests mirror src/: every tests/<room>/test_*.c is one program; other .c files of the room are linked
# into each of them. Programs that include support/door.h link with the door to the heap wrapped.
find_library(CMOCKA_LIBRARY cmocka REQUIRED)
file(GLOB SOMA_TEST_SOURCES CONFIGURE_DEPENDS tests/*/test_*.c)
foreach(source ${SOMA_TEST_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(room ${folder} NAME)
  file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.c)
  list(FILTER helpers EXCLUDE REGEX "/test_[^/]*\\.c$")
  set(target ${room}_${name})
  string(REPLACE "_test_" "_" target ${target})
  set(target test_${target})
  add_executable(${target} ${source} ${helpers})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY tests)
  target_link_libraries(${target} PRIVATE soma_flags soma_static ${SOMA_LIBRARIES}
    ${CMOCKA_LIBRARY})
  target_include_directories(${target} PRIVATE tests)
  target_compile_definitions(${target} PRIVATE ${SOMA_DEFINITIONS}
    SOMA_TEST_FOLDER="${CMAKE_CURRENT_SOURCE_DIR}/tests"
    SOMA_SOURCE_FOLDER="${CMAKE_CURRENT_SOURCE_DIR}")
  file(READ ${source} text)
  if(text MATCHES "support/door.h")
    target_link_options(${target} PRIVATE -Wl,--wrap=soma__malloc -Wl,--wrap=soma__calloc
      -Wl,--wrap=soma__realloc -Wl,--wrap=soma__aligned -Wl,--wrap=soma__free)
  endif()
  add_test(NAME ${room}/${name} COMMAND ${target})
  set_tests_properties(${room}/${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS ${room}
    ENVIRONMENT "SOMA_PROGRAM=${CMAKE_CURRENT_BINARY_DIR}/soma")
endforeach()

# What `soma ops` says about the tests of each op is counted when the program is built.
if(TARGET soma AND TARGET test_ops_ops)
  file(GLOB SOMA_GOLDEN CONFIGURE_DEPENDS tests/golden/*.safetensors)
  add_custom_command(OUTPUT tested_ops.inc DEPENDS test_ops_ops ${SOMA_GOLDEN} VERBATIM
    COMMAND sh -c "\"$<TARGET_FILE:test_ops_ops>\" tested >tested_ops.inc")
  target_sources(soma PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/tested_ops.inc)
  target_include_directories(soma PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
  target_compile_definitions(soma PRIVATE SOMA_TESTED_OPS)
endif()

# Corpora of the fuzzers, replayed as plain tests.
file(GLOB SOMA_FUZZERS CONFIGURE_DEPENDS fuzz/fuzz_*.c)
foreach(source ${SOMA_FUZZERS})
  get_filename_component(name ${source} NAME_WE)
  string(REPLACE "fuzz_" "" parser ${name})
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${parser})
    add_executable(replay_${parser} ${source} fuzz/replay.c)
    set_target_properties(replay_${parser} PROPERTIES RUNTIME_OUTPUT_DIRECTORY tests)
    target_link_libraries(replay_${parser} PRIVATE soma_flags soma_static ${SOMA_LIBRARIES})
    target_compile_definitions(replay_${parser} PRIVATE ${SOMA_DEFINITIONS})
    add_test(NAME replay/${parser}
      COMMAND replay_${parser} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${parser})
  endif()
endforeach()

# Shell tests of the program.
file(GLOB SOMA_SHELL_TESTS CONFIGURE_DEPENDS tests/cli/*.sh)
foreach(script ${SOMA_SHELL_TESTS})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME cli/${name} COMMAND bash ${script} $<TARGET_FILE:soma>)
  set_tests_properties(cli/${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900 LABELS cli)
endforeach()

# The examples are tests too: they check what they compute.
foreach(source ${SOMA_EXAMPLES})
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME example/${name} COMMAND example_${name}
    WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/examples)
  set_tests_properties(example/${name} PROPERTIES TIMEOUT 120 LABELS example)
endforeach()

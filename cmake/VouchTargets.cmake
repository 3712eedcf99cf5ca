# vouch_library(NAME HEADERS ... INTERNAL ... SOURCES ... DEPS ... PRIVATE_DEPS ...)
# Defines the library vouch_NAME with alias vouch::NAME: static, or INTERFACE when it has no
# SOURCES. HEADERS are public: installed, and each is also compiled alone. INTERNAL headers are
# installed only because public ones include them.
function(vouch_library name)
  cmake_parse_arguments(ARG "" "" "HEADERS;INTERNAL;SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    set(kind STATIC)
    set(scope PUBLIC)
  else()
    set(kind INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(vouch_${name} ${kind})
  add_library(vouch::${name} ALIAS vouch_${name})
  set_target_properties(vouch_${name} PROPERTIES EXPORT_NAME ${name})
  target_sources(vouch_${name} ${scope}
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${ARG_HEADERS} ${ARG_INTERNAL})
  target_compile_features(vouch_${name} ${scope} cxx_std_20)
  target_link_libraries(vouch_${name} ${scope} ${ARG_DEPS})
  if(ARG_SOURCES)
    target_sources(vouch_${name} PRIVATE ${ARG_SOURCES})
    target_link_libraries(vouch_${name} PRIVATE ${ARG_PRIVATE_DEPS} $<BUILD_INTERFACE:vouch_build>)
  endif()
  set_property(GLOBAL APPEND PROPERTY VOUCH_LIBRARIES vouch_${name})
endfunction()

include(GoogleTest)

# vouch_tests(FOLDER THREADED ... SOURCES ... DEPS ... DEFINES ...): one binary for a folder's tests,
# one precompiled header. THREADED are those in which threads meet, and with
# VOUCH_TESTS_THREADED_ONLY there are no others. A suite's name says its kind, and the kind is its
# CTest label: FooStressTest -> stress, FooCrashTest -> crash, FooGoldenTest -> golden, anything
# else -> unit.
function(vouch_tests folder)
  cmake_parse_arguments(ARG "" "" "THREADED;SOURCES;DEPS;DEFINES" ${ARGN})
  set(sources ${ARG_THREADED})
  if(NOT VOUCH_TESTS_THREADED_ONLY)
    list(APPEND sources ${ARG_SOURCES})
  endif()
  if(NOT sources)
    return()
  endif()
  set(target ${folder}_tests)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE
    ${ARG_DEPS} vouch_test_support GTest::gmock_main vouch_build)
  target_compile_definitions(${target} PRIVATE ${ARG_DEFINES})
  target_precompile_headers(${target} PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <absl/status/statusor.h> <functional> <memory> <string>
    <thread> <vector>)
  # gtest_discover_tests() passes on one label only, so a file read after its own sets them.
  set(labels "${CMAKE_CURRENT_BINARY_DIR}/${target}_labels.cmake")
  file(WRITE "${labels}" "")
  set(others "")
  foreach(kind IN ITEMS Stress Crash Golden Unit)
    string(TOLOWER ${kind} label)
    # The second pattern is a typed suite's name: FooStressTest/0.Works.
    set(suites "*${kind}Test.*:*${kind}Test/*")
    if(kind STREQUAL "Unit")
      set(suites "-${others}")
    endif()
    string(APPEND others "${suites}:")
    gtest_discover_tests(${target} TEST_FILTER "${suites}" TEST_LIST ${target}_${label}
      TEST_PREFIX "${folder}." DISCOVERY_TIMEOUT 60)
    file(APPEND "${labels}"
      "set_tests_properties(\${${target}_${label}} PROPERTIES LABELS \"${folder};${label}\")\n")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels}")
endfunction()

# vouch_bench(FOLDER SOURCES ... DEPS ...): one Google Benchmark binary for a folder. Benchmarks are
# named layer/case/contestant, and the contestant `vouch` is ours; `cmake/dev bench` compares them.
function(vouch_bench folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  set(target ${folder}_bench)
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS} vouch_bench_support vouch_build)
endfunction()

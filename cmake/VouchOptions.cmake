include(GNUInstallDirs)

option(VOUCH_BUILD_TESTS "Build tests/" ${PROJECT_IS_TOP_LEVEL})
option(VOUCH_BUILD_BENCH "Build bench/" OFF)
option(VOUCH_WARNINGS_AS_ERRORS "Fail the build on a warning" ${PROJECT_IS_TOP_LEVEL})
set(VOUCH_SANITIZE "" CACHE STRING "address;undefined | thread | empty")
# ThreadSanitizer has nothing to say to a test of one thread, and slows it down 5 to 15 times.
option(VOUCH_TESTS_THREADED_ONLY "Build only the tests in which threads meet" OFF)

if(PROJECT_IS_TOP_LEVEL)
  # Each public header is compiled alone: target all_verify_interface_header_sets.
  set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
  # Saves most of a rebuild after a change of branch; harmless where it is not installed.
  find_program(VOUCH_CCACHE ccache)
  mark_as_advanced(VOUCH_CCACHE)
  if(VOUCH_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${VOUCH_CCACHE}")
  endif()
endif()

# Private build settings; never exported to consumers.
add_library(vouch_build INTERFACE)
target_compile_features(vouch_build INTERFACE cxx_std_20)
# GCC 12 takes an inlined std::string assignment for overlapping memory (GCC bug 105329, fixed in 13).
target_compile_options(vouch_build INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${VOUCH_WARNINGS_AS_ERRORS}>:-Werror>)
if(VOUCH_SANITIZE)
  string(REPLACE ";" "," flags "${VOUCH_SANITIZE}")
  # With the assertions that CMake's optimised build types leave out. -O1 and line numbers only: the
  # tests hardly run slower, and compile in half the time. Of UndefinedBehaviorSanitizer without what
  # AddressSanitizer finds as well (null, object-size, vptr) and what x86 does not mind (alignment):
  # they double the time once more.
  target_compile_options(vouch_build INTERFACE
    -UNDEBUG -O1 -g1 -fsanitize=${flags} -fno-omit-frame-pointer -fno-sanitize-recover=all
    # Instrumented, GCC 12 takes std::regex and others for uninitialized; it warns in other builds.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  if("undefined" IN_LIST VOUCH_SANITIZE)
    target_compile_options(vouch_build INTERFACE
      -fno-sanitize=null,object-size,vptr,alignment,nonnull-attribute,returns-nonnull-attribute)
  endif()
  target_link_options(vouch_build INTERFACE -fsanitize=${flags})
endif()

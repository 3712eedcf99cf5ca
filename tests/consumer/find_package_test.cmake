# Installs the build tree BUILD_DIR into an empty prefix below WORK_DIR, then configures, builds and
# runs the project beside this script and the example of README.md against it, and asks the installed program for its help.
# Fails when any of these does, for example when an installed header includes one that is not.

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")

# The first C++ block of README.md is a program; it has to work as it stands there.
file(READ "${CMAKE_CURRENT_LIST_DIR}/../../README.md" readme)
string(REGEX MATCH "```cpp\n(.*)" block "${readme}")
string(FIND "${CMAKE_MATCH_1}" "\n```" end)
string(SUBSTRING "${CMAKE_MATCH_1}" 0 ${end} example)
file(WRITE "${WORK_DIR}/readme.cc" "${example}\n")

run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${WORK_DIR}/prefix")
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK_DIR}/build" -G "${GENERATOR}"
  "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix"
  "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}"
  "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}"
  "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}"
  "-DREADME_EXAMPLE=${WORK_DIR}/readme.cc")
run("${CMAKE_COMMAND}" --build "${WORK_DIR}/build")
run("${WORK_DIR}/build/consumer")
run("${WORK_DIR}/build/readme" WORKING_DIRECTORY "${WORK_DIR}")
run("${WORK_DIR}/prefix/bin/vouch" --help)

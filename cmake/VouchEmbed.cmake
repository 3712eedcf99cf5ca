# vouch_embed_migrations(TARGET SET FOLDER [NAMESPACE namespace])
# Builds the files FOLDER/NNNN_name.sql into TARGET, as the set of migrations called SET:
#
#   vouch_embed_migrations(shop billing migrations)
#
#   #include "billing_migrations.h"
#   vouch::storage::Migrator migrator(connection, BillingMigrations());
#
# The header's name, and the function's, come from SET; the function is in NAMESPACE, or in none.
# TARGET must link vouch::storage, unless it is that. A file that changes, comes or goes is seen by
# the next build. What is wrong with a file is said, and ends the program, at the first call.
function(vouch_embed_migrations target set folder)
  cmake_parse_arguments(PARSE_ARGV 3 ARG "" "NAMESPACE" "")
  if(NOT set MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "vouch_embed_migrations: \"${set}\" is not the name of a set")
  endif()
  cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  file(GLOB files CONFIGURE_DEPENDS "${folder}/*.sql")
  if(NOT files)
    message(FATAL_ERROR "vouch_embed_migrations: no *.sql in ${folder}")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})

  # billing_eu -> BillingEuMigrations
  string(REPLACE "_" ";" words "${set}")
  set(function "")
  foreach(word IN LISTS words)
    string(SUBSTRING "${word}" 0 1 first)
    string(SUBSTRING "${word}" 1 -1 rest)
    string(TOUPPER "${first}" first)
    string(APPEND function "${first}${rest}")
  endforeach()
  string(APPEND function "Migrations")
  set(open "")
  set(close "")
  if(ARG_NAMESPACE)
    set(open "namespace ${ARG_NAMESPACE} {\n")
    set(close "}  // namespace ${ARG_NAMESPACE}\n")
  endif()

  set(entries "")
  foreach(file IN LISTS files)
    cmake_path(GET file FILENAME name)
    vouch_embed_text("${file}" literal)
    string(APPEND entries "      {.name = \"${name}\",\n       .text = ${literal}},\n")
  endforeach()

  set(header "${CMAKE_CURRENT_BINARY_DIR}/embedded/${set}_migrations.h")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/embedded/${set}_migrations.cc")
  vouch_write_if_different("${header}" "// Made by vouch_embed_migrations() from ${folder}.
#pragma once
#include \"storage/migrations/migration.h\"
${open}const vouch::storage::MigrationSet& ${function}();
${close}")
  vouch_write_if_different("${source}" "// Made by vouch_embed_migrations() from ${folder}.
#include \"${set}_migrations.h\"
${open}const vouch::storage::MigrationSet& ${function}() {
  static constexpr vouch::storage::MigrationFile kFiles[] = {
${entries}  };
  static const auto& set =
      *new vouch::storage::MigrationSet(vouch::storage::MigrationSet::FromEmbedded(\"${set}\", kFiles));
  return set;
}
${close}")
  target_sources(${target} PRIVATE "${source}")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/embedded")
endfunction()

# Sets `out` to the text of `file` as C++ raw strings side by side: compilers bound the length of
# one. Each ends with a line, so that no character is cut in two.
function(vouch_embed_text file out)
  file(READ "${file}" text)
  if(text MATCHES "\\)vouch\"")
    message(FATAL_ERROR "vouch_embed_migrations: ${file} holds )vouch\"")
  endif()
  set(literal "")
  while(NOT text STREQUAL "")
    string(LENGTH "${text}" length)
    set(end ${length})
    if(length GREATER 8192)
      string(SUBSTRING "${text}" 0 8192 piece)
      string(FIND "${piece}" "\n" end REVERSE)
      if(end EQUAL -1)
        message(FATAL_ERROR "vouch_embed_migrations: ${file} has a line of more than 8 KiB")
      endif()
      math(EXPR end "${end} + 1")
    endif()
    string(SUBSTRING "${text}" 0 ${end} piece)
    string(SUBSTRING "${text}" ${end} -1 text)
    string(APPEND literal "R\"vouch(${piece})vouch\"\n")
  endwhile()
  if(literal STREQUAL "")
    set(literal "\"\"")
  endif()
  set(${out} "${literal}" PARENT_SCOPE)
endfunction()

# An unchanged file keeps its time, and what depends on it is not built again.
function(vouch_write_if_different path content)
  set(before "")
  if(EXISTS "${path}")
    file(READ "${path}" before)
  endif()
  if(NOT before STREQUAL content)
    file(WRITE "${path}" "${content}")
  endif()
endfunction()

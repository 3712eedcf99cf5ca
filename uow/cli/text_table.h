// TextTable: rows of cells, lined up in columns.
//
// Thread safety: a value.

#ifndef VOUCH_UOW_CLI_TEXT_TABLE_H_
#define VOUCH_UOW_CLI_TEXT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace vouch::cli {

class TextTable {
 public:
  enum class Align { kLeft, kRight };

  // One alignment a column.
  explicit TextTable(std::vector<Align> columns) : columns_(std::move(columns)) {}

  // REQUIRES: one cell a column.
  void Add(std::vector<std::string> cells);

  // Two spaces between columns, none at the end of a line.
  std::string Render() const;

 private:
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// How many columns of a terminal a UTF-8 text takes, if each character takes one.
int DisplayWidth(const std::string& text);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_TEXT_TABLE_H_

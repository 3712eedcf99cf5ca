#include "uow/cli/text_table.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

namespace vouch::cli {

void TextTable::Add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::Render() const {
  std::vector<int> widths(columns_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto padding = static_cast<std::size_t>(widths[i] - DisplayWidth(row[i]));
      if (i > 0) out += "  ";
      if (columns_[i] == Align::kRight) out.append(padding, ' ');
      out += row[i];
      if (columns_[i] == Align::kLeft) out.append(padding, ' ');
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  return out;
}

int DisplayWidth(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace vouch::cli

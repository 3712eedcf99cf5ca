// PathRange: all paths below a folder, as a range of bytes.
//
// A range finds its rows through an index, and takes '_' and '%' in names for what they are; LIKE
// does neither.
//
// Thread safety: a value.

#ifndef VOUCH_UOW_CLI_PATH_RANGE_H_
#define VOUCH_UOW_CLI_PATH_RANGE_H_

#include <string>
#include <string_view>

namespace vouch::cli {

// The paths p with first <= p < past.
struct PathRange {
  std::string first;
  std::string past;

  bool Contains(std::string_view path) const { return path >= first && path < past; }
};

// Everything below the absolute path `folder`, without the folder itself.
inline PathRange FolderRange(const std::string& folder) {
  // '0' is the byte after '/'.
  if (folder == "/") return {std::string("/\x01", 2), "0"};
  return {folder + "/", folder + "0"};
}

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_PATH_RANGE_H_

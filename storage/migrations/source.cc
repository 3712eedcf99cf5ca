#include "storage/migrations/source.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "storage/migrations/internal/statements.h"
#include "storage/migrations/internal/view.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

using migrations_internal::SplitStatements;
using migrations_internal::SqlStatement;
using migrations_internal::View;

// A line that speaks to us: `-- vouch:key value`.
struct Directive {
  std::string key;
  std::string value;
};

absl::Status ErrorAt(std::string_view file, int line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(View(file), ":", line, ": ", View(what)));
}

// Spaces around the words are forgiven: what looks like a directive is never taken for a comment.
std::optional<Directive> AsDirective(std::string_view text) {
  absl::string_view line = absl::StripAsciiWhitespace(View(text));
  if (!absl::ConsumePrefix(&line, "--")) return std::nullopt;
  line = absl::StripLeadingAsciiWhitespace(line);
  if (!absl::StartsWithIgnoreCase(line, "vouch")) return std::nullopt;
  line = absl::StripLeadingAsciiWhitespace(line.substr(5));
  if (!absl::ConsumePrefix(&line, ":")) return std::nullopt;
  line = absl::StripLeadingAsciiWhitespace(line);
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  return Directive{.key = std::string(line.substr(0, end)),
                   .value = std::string(absl::StripAsciiWhitespace(line.substr(end)))};
}

bool IsName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
  });
}

bool IsId(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

bool IsSemver(std::string_view version) {
  const std::vector<std::string> parts = absl::StrSplit(View(version), '.');
  return parts.size() == 3 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
           return !part.empty() && (part.size() == 1 || part[0] != '0') &&
                  std::all_of(part.begin(), part.end(),
                              [](char c) { return c >= '0' && c <= '9'; });
         });
}

// Without the blank lines at its ends. `line`, that of its beginning, moves along.
std::string TrimBlankLines(std::string_view text, int* line) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!absl::ascii_isspace(static_cast<unsigned char>(text[at]))) break;
    if (text[at] == '\n') {
      begin = at + 1;
      ++*line;
    }
  }
  std::string_view kept = text.substr(begin);
  while (!kept.empty() && absl::ascii_isspace(static_cast<unsigned char>(kept.back()))) {
    kept.remove_suffix(1);
  }
  return kept.empty() ? std::string() : std::string(kept) + "\n";
}

// NNNN_name.sql into version and name.
absl::Status ParseFileName(std::string_view file, Migration* migration) {
  const auto error = [&](std::string_view what) {
    return ErrorAt(file, 1, std::string("the file's name is not NNNN_name.sql: ").append(what));
  };
  std::string_view stem = file;
  if (!stem.ends_with(".sql")) return error("it does not end in .sql");
  stem.remove_suffix(4);
  const std::size_t digits = std::min(stem.find_first_not_of("0123456789"), stem.size());
  if (digits != 4) return error("it does not begin with four digits");
  const absl::string_view number(stem.data(), digits);
  if (!absl::SimpleAtoi(number, &migration->version) || migration->version == 0) {
    return error("versions begin with 0001");
  }
  stem.remove_prefix(digits);
  if (!stem.starts_with("_") || !IsName(stem.substr(1))) {
    return error("after the number come _ and lower-case letters, digits or underscores");
  }
  migration->name = stem.substr(1);
  return absl::OkStatus();
}

// Reads one file, line by line: headers, then sections.
class Parser {
 public:
  explicit Parser(std::string_view file) { migration_.file = file; }

  absl::StatusOr<Migration> Parse(std::string_view text) {
    VOUCH_RETURN_IF_ERROR(ParseFileName(migration_.file, &migration_));
    if (text.find('\0') != std::string_view::npos) {
      return ErrorAt(migration_.file, 1, "the text holds a NUL byte");
    }
    const std::string normal = NormalizeText(text);
    for (const absl::string_view line : absl::StrSplit(normal, '\n')) {
      ++line_;
      VOUCH_RETURN_IF_ERROR(Line(std::string_view(line.data(), line.size())));
    }
    return Finish();
  }

 private:
  struct Section {
    int line = 0;  // Of its marker; 0: not there.
    std::string text = {};
  };

  absl::Status Line(std::string_view line) {
    if (const std::optional<Directive> directive = AsDirective(line)) {
      if (Section* const section = SectionOf(directive->key)) return Enter(*directive, *section);
      return Header(*directive);
    }
    if (section_ != nullptr) {
      section_->text.append(line).append("\n");
      return absl::OkStatus();
    }
    const absl::string_view trimmed = absl::StripAsciiWhitespace(View(line));
    if (trimmed.empty() || absl::StartsWith(trimmed, "--")) return absl::OkStatus();
    if (!versioned_) return NotOurs();
    return Error("SQL before the first section: begin it with -- vouch:up");
  }

  Section* SectionOf(std::string_view key) {
    if (key == "up") return &up_;
    if (key == "down") return &down_;
    if (key == "verify") return &verify_;
    return nullptr;
  }

  absl::Status Enter(const Directive& directive, Section& section) {
    if (!versioned_) return NotOurs();
    if (!directive.value.empty()) {
      return Error("nothing may follow -- vouch:" + directive.key + " on its line");
    }
    if (section.line != 0) {
      return Error(
          absl::StrCat("a second section ", directive.key, ", after that at line ", section.line));
    }
    section.line = line_;
    section_ = &section;
    return absl::OkStatus();
  }

  absl::Status Header(const Directive& directive) {
    const auto& [key, value] = directive;
    if (key == "migration") {
      if (versioned_) return Error("a second -- vouch:migration");
      if (value != "v1") return Error("format \"" + value + "\" is not known, only v1 is");
      versioned_ = true;
      return absl::OkStatus();
    }
    if (!versioned_) return NotOurs();
    if (key != "id" && key != "version" && key != "description" && key != "default") {
      return Error("unknown header -- vouch:" + key);
    }
    if (section_ != nullptr) return Error("header " + key + " after the first section");
    if (value.empty()) return Error("header " + key + " has no value");
    if (key == "default") return AddDefaultRows(value);
    if (key == "id") {
      if (!IsId(value)) return Error("an id is letters, digits, '.', '-' and '_': " + value);
      return SetOnce(key, value, migration_.id);
    }
    if (key == "version") {
      if (!IsSemver(value)) return Error("a version is three numbers, as 1.2.0: " + value);
      return SetOnce(key, value, migration_.semver);
    }
    return SetOnce(key, value, migration_.description);
  }

  absl::Status SetOnce(const std::string& key, const std::string& value, std::string& field) {
    if (!field.empty()) return Error("a second header " + key);
    field = value;
    return absl::OkStatus();
  }

  absl::Status AddDefaultRows(std::string_view value) {
    const std::size_t end = value.find(' ');
    const std::string_view rest =
        end == std::string_view::npos ? std::string_view() : value.substr(end + 1);
    if (!rest.starts_with("WHERE ")) return Error("header default is not: table WHERE condition");
    migration_.default_rows.push_back(
        {.table = std::string(value.substr(0, end)), .where = std::string(rest.substr(6))});
    return absl::OkStatus();
  }

  absl::StatusOr<Migration> Finish() {
    if (!versioned_) {
      line_ = 1;
      return NotOurs();
    }
    if (up_.line == 0) return Error("the section up is missing");
    Take(up_, migration_.up, migration_.up_line);
    Take(down_, migration_.down, migration_.down_line);
    Take(verify_, migration_.verify, migration_.verify_line);
    VOUCH_RETURN_IF_ERROR(CheckMigration(migration_));
    return std::move(migration_);
  }

  static void Take(const Section& section, std::string& text, int& line) {
    if (section.line == 0) return;
    line = section.line + 1;
    text = TrimBlankLines(section.text, &line);
    if (!text.empty()) return;
    line = section.line;
    text = "\n";  // There, though without a statement, which CheckMigration() refuses.
  }

  absl::Status NotOurs() const {
    return Error("not a migration: it does not begin with -- vouch:migration v1");
  }
  absl::Status Error(std::string_view what) const { return ErrorAt(migration_.file, line_, what); }

  Migration migration_;
  int line_ = 0;
  bool versioned_ = false;  // The line that says v1 was there.
  Section up_, down_, verify_;
  Section* section_ = nullptr;
};

absl::Status EmptySection(const Migration& migration, std::string_view section, int line) {
  return ErrorAt(migration.file, line,
                 std::string("the section ").append(section).append(" is empty"));
}

absl::Status CheckScript(const Migration& migration, std::string_view section,
                         std::string_view script, int first_line) {
  const std::vector<SqlStatement> statements = SplitStatements(script);
  if (statements.empty()) return EmptySection(migration, section, first_line);
  for (const SqlStatement& statement : statements) {
    if (migrations_internal::ControlsTransaction(statement)) {
      return ErrorAt(
          migration.file, first_line + statement.line - 1,
          statement.keyword + ": a migration runs in a transaction and must not control it");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckVerify(const Migration& migration) {
  const std::vector<SqlStatement> statements = SplitStatements(migration.verify);
  if (statements.empty()) return EmptySection(migration, "verify", migration.verify_line);
  for (const SqlStatement& statement : statements) {
    if (statement.keyword != "SELECT" && statement.keyword != "WITH" &&
        statement.keyword != "VALUES") {
      return ErrorAt(migration.file, migration.verify_line + statement.line - 1,
                     "only queries can be verified: SELECT, WITH, VALUES");
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string NormalizeText(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return absl::StrReplaceAll(View(text), {{"\r\n", "\n"}});
}

absl::StatusOr<Migration> ParseMigration(const MigrationFile& file) {
  return Parser(file.name).Parse(file.text);
}

absl::Status CheckMigration(const Migration& migration) {
  Migration named = migration;
  if (named.file.empty()) named.file = absl::StrCat("migration ", migration.version);
  if (named.version < 1) return ErrorAt(named.file, 1, "versions begin with 1");
  if (!IsName(named.name)) {
    return ErrorAt(named.file, 1,
                   "a name is lower-case letters, digits and underscores: \"" + named.name + "\"");
  }
  // An empty section is more likely forgotten than meant.
  VOUCH_RETURN_IF_ERROR(CheckScript(named, "up", named.up, named.up_line));
  if (!named.down.empty()) {
    VOUCH_RETURN_IF_ERROR(CheckScript(named, "down", named.down, named.down_line));
  }
  return named.verify.empty() ? absl::OkStatus() : CheckVerify(named);
}

}  // namespace vouch::storage

#include "storage/migrations/internal/statements.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "storage/migrations/internal/view.h"

namespace vouch::storage::migrations_internal {
namespace {

enum class TokenKind { kSpace, kSemicolon, kWord, kOther };

struct Token {
  TokenKind kind;
  std::string_view text;
};

bool IsWordByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Up to and with `end`, searched from `from`; all of it when `end` does not occur.
std::size_t Through(std::string_view sql, std::string_view end, std::size_t from) {
  const std::size_t at = sql.find(end, from);
  return at == std::string_view::npos ? sql.size() : at + end.size();
}

// The token `sql` begins with. A doubled quote inside quotes reads as two quoted pieces side by
// side, which makes no difference here.
Token FirstToken(std::string_view sql) {
  const char c = sql.front();
  const auto token = [&](TokenKind kind, std::size_t size) {
    return Token{kind, sql.substr(0, size)};
  };
  if (absl::ascii_isspace(static_cast<unsigned char>(c))) return token(TokenKind::kSpace, 1);
  if (sql.starts_with("--")) return token(TokenKind::kSpace, Through(sql, "\n", 2));
  if (sql.starts_with("/*")) return token(TokenKind::kSpace, Through(sql, "*/", 2));
  if (c == ';') return token(TokenKind::kSemicolon, 1);
  if (c == '\'' || c == '"' || c == '`') {
    return token(TokenKind::kOther, Through(sql, std::string_view(&c, 1), 1));
  }
  if (c == '[') return token(TokenKind::kOther, Through(sql, "]", 1));
  if (!IsWordByte(c)) return token(TokenKind::kOther, 1);
  const auto end = std::find_if_not(sql.begin(), sql.end(), IsWordByte);
  return token(TokenKind::kWord, static_cast<std::size_t>(end - sql.begin()));
}

// Follows one statement's tokens, spaces left out, and says where it ends.
class StatementEnd {
 public:
  // Whether `token` ends the statement. In a trigger's body only `; END ;` does.
  bool Add(const Token& token) {
    if (token.kind == TokenKind::kSemicolon) {
      const bool ends = !in_trigger_ || end_after_semicolon_;
      after_semicolon_ = true;
      end_after_semicolon_ = false;
      return ends;
    }
    const std::string word =
        token.kind == TokenKind::kWord ? absl::AsciiStrToUpper(View(token.text)) : std::string();
    end_after_semicolon_ = after_semicolon_ && word == "END";
    after_semicolon_ = false;
    if (head_ == Head::kStart && word == "CREATE") {
      head_ = Head::kCreate;
    } else if (head_ == Head::kCreate && word == "TRIGGER") {
      in_trigger_ = true;
      head_ = Head::kOther;
    } else if (!(head_ == Head::kCreate && (word == "TEMP" || word == "TEMPORARY")) &&
               !(head_ == Head::kStart &&
                 (word == "EXPLAIN" || word == "QUERY" || word == "PLAN"))) {
      head_ = Head::kOther;
    }
    return false;
  }

 private:
  enum class Head { kStart, kCreate, kOther };
  Head head_ = Head::kStart;
  bool in_trigger_ = false;
  bool after_semicolon_ = false;
  bool end_after_semicolon_ = false;
};

}  // namespace

std::vector<SqlStatement> SplitStatements(std::string_view script) {
  std::vector<SqlStatement> statements;
  bool open = false;
  StatementEnd end;
  int line = 1;
  std::size_t begin = 0;  // Of the open statement,
  std::size_t last = 0;   // and the end of its last token.
  for (std::size_t at = 0; at < script.size();) {
    const Token token = FirstToken(script.substr(at));
    const std::size_t next = at + token.text.size();
    if (token.kind != TokenKind::kSpace && (open || token.kind != TokenKind::kSemicolon)) {
      if (!open) {
        statements.push_back({.text = {}, .line = line, .keyword = {}});
        if (token.kind == TokenKind::kWord) {
          statements.back().keyword = absl::AsciiStrToUpper(View(token.text));
        }
        begin = at;
        end = StatementEnd();
        open = true;
      }
      open = !end.Add(token);
      if (open) last = next;
      statements.back().text = script.substr(begin, last - begin);
    }
    line += static_cast<int>(std::count(token.text.begin(), token.text.end(), '\n'));
    at = next;
  }
  return statements;
}

bool ControlsTransaction(const SqlStatement& statement) {
  for (const std::string_view word :
       {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}) {
    if (statement.keyword == word) return true;
  }
  return false;
}

}  // namespace vouch::storage::migrations_internal

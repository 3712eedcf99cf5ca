// Where the statements of an SQL script begin and end, without preparing them.
//
//   for (const SqlStatement& statement : SplitStatements(script)) Use(statement.text);
//
// Scripts are executed by Connection::ExecuteScript(), which leaves this to the engine's parser.
// This lexer is for what has to be known beforehand: which keyword a statement begins with, and
// the single queries of a verify section. It knows comments, the four kinds of quotes and trigger
// bodies, and ends a statement where sqlite3_complete() would.
//
// Thread safety: pure functions. Ownership: the texts are parts of `script`.
// Errors: none; an unterminated quote or comment reaches to the end. Cost: linear.

#ifndef VOUCH_STORAGE_MIGRATIONS_INTERNAL_STATEMENTS_H_
#define VOUCH_STORAGE_MIGRATIONS_INTERNAL_STATEMENTS_H_

#include <string>
#include <string_view>
#include <vector>

namespace vouch::storage::migrations_internal {

struct SqlStatement {
  std::string_view text;  // From its first word or sign to before the semicolon.
  int line;               // Of its beginning, counted from 1.
  std::string keyword;    // The first word in upper case; empty when it does not begin with one.
};

// Empty statements are left out.
std::vector<SqlStatement> SplitStatements(std::string_view script);

// BEGIN, COMMIT, END, ROLLBACK, SAVEPOINT, RELEASE.
bool ControlsTransaction(const SqlStatement& statement);

}  // namespace vouch::storage::migrations_internal

#endif  // VOUCH_STORAGE_MIGRATIONS_INTERNAL_STATEMENTS_H_

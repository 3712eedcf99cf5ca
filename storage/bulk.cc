#include "storage/bulk.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "storage/error.h"

namespace vouch::storage {
namespace {

std::string Quoted(const std::string& name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

}  // namespace

absl::StatusOr<BulkInsert> BulkInsert::Begin(Connection& connection, BulkOptions options) {
  if (options.columns.empty()) return absl::InvalidArgumentError("bulk insert: no columns");
  if (options.batch_rows < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("bulk insert: batch_rows is ", options.batch_rows, ", less than 1"));
  }
  BulkInsert insert(connection, std::move(options), !connection.in_transaction());
  VOUCH_ASSIGN_OR_RETURN(insert.insert_, connection.Prepare(Sql(insert.options_)));
  return insert;
}

std::string BulkInsert::Sql(const BulkOptions& options) {
  const char* verb = options.on_conflict == OnConflict::kFail   ? "INSERT"
                     : options.on_conflict == OnConflict::kSkip ? "INSERT OR IGNORE"
                                                                : "INSERT OR REPLACE";
  const std::string columns =
      absl::StrJoin(options.columns, ", ",
                    [](std::string* out, const std::string& name) { out->append(Quoted(name)); });
  std::string places = "?";
  for (std::size_t i = 1; i < options.columns.size(); ++i) places += ", ?";
  return absl::StrCat(verb, " INTO ", Quoted(options.table), "(", columns, ") VALUES (", places,
                      ")");
}

absl::Status BulkInsert::BeforeRow() {
  if (ended_) {
    return absl::FailedPreconditionError("bulk insert: finished, or ended by an earlier error");
  }
  if (!own_transactions_ || transaction_.has_value()) return absl::OkStatus();
  absl::StatusOr<Transaction> transaction =
      Transaction::Begin(*connection_, TransactionMode::kWrite);
  if (!transaction.ok()) return End(transaction.status());
  transaction_.emplace(*std::move(transaction));
  return absl::OkStatus();
}

absl::Status BulkInsert::AfterRow(const absl::Status& bound) {
  const absl::Status status = bound.ok() ? insert_->Run() : bound;
  if (!status.ok()) {
    return End(Annotate(status, absl::StrCat("bulk insert: row ", result_.added + 1, ": ")));
  }
  ++result_.added;
  // A row that was skipped changed nothing. (One that replaced others counts as one.)
  if (options_.on_conflict != OnConflict::kSkip || connection_->changes() > 0) {
    ++result_.inserted;
    ++batch_inserted_;
  }
  if (own_transactions_ && ++batch_ == options_.batch_rows) return CommitBatch();
  return absl::OkStatus();
}

absl::Status BulkInsert::CommitBatch() {
  const absl::Status status = transaction_->Commit();
  if (!status.ok()) return End(Annotate(status, "bulk insert: "));
  transaction_.reset();
  result_.committed += batch_inserted_;
  batch_ = batch_inserted_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<BulkResult> BulkInsert::Finish() {
  if (ended_) {
    return absl::FailedPreconditionError("bulk insert: finished, or ended by an earlier error");
  }
  if (transaction_.has_value()) VOUCH_RETURN_IF_ERROR(CommitBatch());
  (void)End(absl::OkStatus());
  return result_;
}

absl::Status BulkInsert::End(const absl::Status& status) {
  ended_ = true;
  insert_.reset();
  if (transaction_.has_value()) {
    result_.inserted -= batch_inserted_;
    transaction_.reset();  // Rolls back.
  }
  return status;
}

}  // namespace vouch::storage

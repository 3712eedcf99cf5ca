#include "storage/transaction.h"

#include <utility>

namespace vouch::storage {
namespace {

absl::Status Ended(const char* operation) {
  return absl::FailedPreconditionError(std::string(operation) +
                                       ": already committed or rolled back");
}

}  // namespace

absl::StatusOr<Transaction> Transaction::Begin(Connection& connection, TransactionMode mode) {
  VOUCH_RETURN_IF_ERROR(connection.Begin(mode));
  return Transaction(connection);
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Transaction::~Transaction() {
  if (connection_ != nullptr) (void)connection_->Rollback();
}

absl::Status Transaction::Commit() {
  if (connection_ == nullptr) return Ended("commit");
  VOUCH_RETURN_IF_ERROR(connection_->Commit());
  connection_ = nullptr;
  return absl::OkStatus();
}

absl::Status Transaction::Rollback() {
  if (connection_ == nullptr) return Ended("rollback");
  return std::exchange(connection_, nullptr)->Rollback();
}

absl::StatusOr<Savepoint> Savepoint::Begin(Connection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const std::uint64_t savepoint, connection.BeginSavepoint());
  return Savepoint(connection, savepoint);
}

Savepoint::Savepoint(Savepoint&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)), savepoint_(other.savepoint_) {}

Savepoint::~Savepoint() {
  if (connection_ != nullptr) (void)connection_->RollbackSavepoint(savepoint_);
}

absl::Status Savepoint::Release() {
  if (connection_ == nullptr) return Ended("release savepoint");
  VOUCH_RETURN_IF_ERROR(connection_->ReleaseSavepoint(savepoint_));
  connection_ = nullptr;
  return absl::OkStatus();
}

absl::Status Savepoint::Rollback() {
  if (connection_ == nullptr) return Ended("rollback savepoint");
  return std::exchange(connection_, nullptr)->RollbackSavepoint(savepoint_);
}

}  // namespace vouch::storage

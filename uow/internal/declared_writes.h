// DeclaredWrites: the records of explicit stores that a unit says it has written.
//
// No row tells of them, so what they were before is learnt from the ledger: the last checksum of the
// store and the record. An index of the ledger's writes of each such store makes that a look-up; it
// costs other stores' writes nothing.
//
// Thread safety: the holder of the writer.
// Errors: see UnitOfWork::Track().

#ifndef VOUCH_UOW_INTERNAL_DECLARED_WRITES_H_
#define VOUCH_UOW_INTERNAL_DECLARED_WRITES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "storage/sha256.h"
#include "storage/sqlite/connection.h"
#include "uow/capture.h"
#include "uow/format.h"

namespace vouch::uow {

class DeclaredWrites {
 public:
  // Makes the index of an explicit store's writes, if it is not there.
  static absl::Status Prepare(storage::SqliteConnection& connection, std::string_view store);

  // `after`: how many records the unit has touched so far (uow/capture.h).
  absl::Status Add(storage::SqliteConnection& connection, std::size_t after, std::string_view store,
                   std::string_view record_id, Operation operation, std::string_view payload);

  // One a record that is not as it was, in the order in which they were first declared.
  std::vector<DeclaredWrite> Take();

 private:
  struct Record {
    std::size_t after;
    std::string store;
    std::string id;
    std::optional<storage::Digest> prior = {};
    std::optional<storage::Digest> checksum = {};
    std::int64_t bytes = 0;
    bool is_upsert = false;
  };

  std::vector<Record> records_;
  std::map<std::pair<std::string, std::string>, std::size_t> by_id_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_DECLARED_WRITES_H_

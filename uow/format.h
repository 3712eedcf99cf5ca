// The bytes that receipts hash, version 1: rows, writes, receipts and their tree.
//
// FROZEN. Receipts outlive the program that wrote them, and whoever holds one must be able to hash
// the same bytes years later with nothing but this description. Any change, however small, makes
// every older receipt look forged; so a change of any rule is a new format number, and this one
// goes on verifying for ever. tests/uow/format_golden_test.cc pins every rule by its hash;
// tests/uow/verify_receipts.py reads a ledger without this code.
//
// Everything is built field by field and hashed with SHA-256; nothing is parsed and printed again.
//
//   LF         0x0A, the end of every line, with no space before it
//   decimal    optional '-', digits, no leading zero
//   hex        two lower-case digits a byte
//   text(s)    decimal length in bytes, ':', the bytes as stored: UTF-8, but never checked,
//              normalised or escaped; NUL and line breaks are ordinary bytes
//   opt(s)     text(s), or '-' when absent; a present empty text is "0:"
//
// VALUE, by the storage class of the stored value, never by its declared type:
//
//   integer    'i' length ':' decimal                     i2:-7
//   real       "r16:" 16 hex digits of the big-endian IEEE-754 double; −0.0 becomes 0.0
//   text       't' length ':' bytes                       t4:Zoë
//   blob       'b' length ':' bytes
//
// An integer in a column of REAL affinity is the real of that value: SQLite stores 9.0 as an
// integer there and reads it back as a real, but its change hook does not.
//
// ROW (one checksum is the SHA-256 of these bytes):
//
//   "vouch-row/1" LF
//   text(table) LF
//   text(column) value LF           each primary-key column, in the order of the key
//   LF
//   text(column) value LF           every other column that is not NULL, generated or hidden,
//                                   sorted by the bytes of its name
//
// Leaving NULLs out and sorting by name keep a row's checksum when a column is added or moved.
// A row's size ("bytes") is 8 for each integer or real and the length of each text or blob in it,
// keys included; 0 for a delete.
//
// RECORD ID: the table, percent-encoded but for A-Za-z0-9-._~ with %XX in upper case, '/', then
// one part for each key column, separated by ',', of the same normalised values as the row:
//
//   integer    decimal                                    accounts/1
//   text       "'" and the percent-encoded bytes          people/'Zo%C3%AB
//   blob       'x' hex
//   real       'r' 16 hex digits
//
// PAYLOAD of a record that lies in no table (its checksum):
//
//   "vouch-payload/1" LF text(store) LF text(record id) LF 'b' length ':' bytes LF
//
// WRITE (what one unit did to one record; a leaf of the unit's tree of writes):
//
//   "vouch-write/1" LF
//   "store " text(store) LF
//   "record " text(record id) LF
//   "op " create|update|delete|upsert LF
//   "bytes " decimal LF
//   "prior " hex|- LF               checksum before the unit
//   "checksum " hex|- LF            checksum after it
//
// RECEIPT (its SHA-256 is the receipt hash; a leaf of the ledger's tree):
//
//   "vouch-receipt/1" LF
//   "ledger " ULID LF
//   "seq " decimal LF               1, 2, 3 … without gaps
//   "prev " hex LF                  the receipt hash of seq − 1; 64 zeros at seq 1
//   "uow " ULID LF
//   "status " committed|rolled_back|failed LF
//   "created " time LF              YYYY-MM-DDTHH:MM:SS.mmmZ
//   "committed " time|- LF
//   "contract " n.n.n LF
//   "envelope " opt LF   "space " opt LF   "actor " opt LF   "device " opt LF
//   "correlation " opt LF
//   "band " GREEN|AMBER|RED|BLACK|- LF
//   "error " opt(error type) LF
//   "failed " opt(failed store) LF
//   "stores " decimal LF            distinct stores among the writes
//   "bytes " decimal LF             sum over the writes
//   "writes " decimal ' ' hex LF    how many, and the head of their tree in ordinal order
//
// TREE HEADS are those of RFC 6962: a leaf is SHA-256(0x00, bytes), a node is
// SHA-256(0x01, left, right), the left subtree being the largest complete one, and the head of no
// leaves is SHA-256(""). In the ledger's tree the receipt with number seq is leaf seq − 1.
//
// Thread safety: functions any thread; objects one thread at a time, const ones any.
// Ownership: the structs of fields borrow their texts.
// Errors: none. What may be encoded is the caller's business: the grammar checks are below.
// Cost: appending does not allocate once the buffer has grown to its size.

#ifndef VOUCH_UOW_FORMAT_H_
#define VOUCH_UOW_FORMAT_H_

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "storage/sha256.h"
#include "storage/value.h"
#include "uow/table.h"

namespace vouch::uow {

inline constexpr std::int64_t kFormatVersion = 1;

// ---- Fields ----

void AppendDecimal(std::string& out, std::int64_t number);
void AppendHex(std::string& out, std::string_view bytes);
void AppendHex(std::string& out, const storage::Digest& digest);
void AppendText(std::string& out, std::string_view text);
void AppendOptional(std::string& out, std::optional<std::string_view> text);

// The value that is hashed for a stored one: an integer in a REAL column and −0.0 are changed.
storage::ValueView Normalized(storage::ValueView value, bool real_affinity);

// REQUIRES: `value` is not null; nulls are left out of rows, and keys have none.
void AppendValue(std::string& out, storage::ValueView value, bool real_affinity);

void AppendPercentEncoded(std::string& out, std::string_view bytes);
// nullopt: a '%' without two upper-case hex digits, or a byte that should have been encoded.
std::optional<std::string> PercentDecoded(std::string_view text);

// ---- Rows ----

// Encodes the rows of one table. Keeps what it needs of the schema.
class RowEncoder {
 public:
  // REQUIRES: WhyNotReceipted(schema) is nullopt.
  explicit RowEncoder(const TableSchema& schema);

  // Both take the values of all columns, in the order of the table; those of columns that are not
  // captured are not looked at. REQUIRES: no key column is null.

  // Appends the row and returns its size ("bytes").
  std::int64_t AppendRow(std::string& out, std::span<const storage::ValueView> values) const;
  void AppendRecordId(std::string& out, std::span<const storage::ValueView> values) const;

  // What every record id of this table begins with: "accounts/".
  std::string_view record_prefix() const { return record_prefix_; }

 private:
  struct Column {
    std::size_t index;
    bool real_affinity;
    std::string label;  // text(name)
  };

  std::string row_prefix_;
  std::string record_prefix_;
  std::vector<Column> key_;
  std::vector<Column> rest_;
};

// The table that a row's record id names; nullopt when `record_id` is no row's.
std::optional<std::string> TableOfRecordId(std::string_view record_id);

storage::Digest PayloadChecksum(std::string_view store, std::string_view record_id,
                                std::string_view payload);

// ---- Writes ----

enum class Operation : std::uint8_t { kCreate, kUpdate, kDelete, kUpsert };
const char* NameOf(Operation operation);
std::optional<Operation> ParseOperation(std::string_view name);

struct WriteFields {
  std::string_view store = {};
  std::string_view record_id = {};
  Operation operation = Operation::kCreate;
  std::int64_t bytes = 0;
  std::optional<storage::Digest> prior = std::nullopt;
  std::optional<storage::Digest> checksum = std::nullopt;
};

// The same, owning its texts.
struct WriteRecord {
  std::string store;
  std::string record_id;
  Operation operation = Operation::kCreate;
  std::int64_t bytes = 0;
  std::optional<storage::Digest> prior = std::nullopt;
  std::optional<storage::Digest> checksum = std::nullopt;

  WriteFields fields() const { return {store, record_id, operation, bytes, prior, checksum}; }
};

// Is told of a unit's writes, one by one in their order. An error ends the telling.
using WriteSink = absl::FunctionRef<absl::Status(const WriteFields& write)>;

void AppendWrite(std::string& out, const WriteFields& write);
inline void AppendWrite(std::string& out, const WriteRecord& write) {
  AppendWrite(out, write.fields());
}

// ---- Receipts ----

enum class UnitStatus : std::uint8_t { kCommitted, kRolledBack, kFailed };
const char* NameOf(UnitStatus status);
std::optional<UnitStatus> ParseUnitStatus(std::string_view name);

enum class Band : std::uint8_t { kGreen, kAmber, kRed, kBlack };
const char* NameOf(Band band);
std::optional<Band> ParseBand(std::string_view name);

// The head of a tree without leaves: SHA-256("").
const storage::Digest& EmptyTreeHead();

struct ReceiptFields {
  std::string_view ledger = {};
  std::int64_t seq = 0;
  storage::Digest prev{};  // Zeros at seq 1.
  std::string_view uow_id = {};
  UnitStatus status = UnitStatus::kCommitted;
  std::string_view created = {};
  std::optional<std::string_view> committed = std::nullopt;
  std::string_view contract = {};
  std::optional<std::string_view> envelope = std::nullopt;
  std::optional<std::string_view> space = std::nullopt;
  std::optional<std::string_view> actor = std::nullopt;
  std::optional<std::string_view> device = std::nullopt;
  std::optional<std::string_view> correlation = std::nullopt;
  std::optional<Band> band = std::nullopt;
  std::optional<std::string_view> error_type = std::nullopt;
  std::optional<std::string_view> failed_store = std::nullopt;
  std::int64_t stores = 0;
  std::int64_t bytes = 0;
  std::int64_t write_count = 0;
  storage::Digest writes_root = EmptyTreeHead();
};

void AppendReceipt(std::string& out, const ReceiptFields& receipt);

// ---- Grammar ----
// ULIDs: IsUlid in uow/ulid.h. Operations, statuses and bands: the Parse functions.

bool IsTime(std::string_view text);             // Shape and digits; not whether the day exists.
bool IsContractVersion(std::string_view text);  // n.n.n
// A digest as columns and receipts spell it: 64 lower-case hex digits.
std::optional<storage::Digest> ParseDigest(std::string_view hex);

// ---- Trees ----

// A tree head that is built leaf by leaf. It keeps the heads of the complete subtrees that the
// leaves so far fall into, one for each 1 in the binary form of size(), largest first. May be
// copied: a copy taken before some leaves is how they are taken back.
class TreeHasher {
 public:
  // A complete subtree: the leaves index·2^level … (index + 1)·2^level − 1.
  using OnNode =
      absl::FunctionRef<void(int level, std::uint64_t index, const storage::Digest& hash)>;

  TreeHasher() = default;
  // Continues from a size() and the subtrees() that went with it.
  // REQUIRES: subtrees.size() is the number of 1s in `size`.
  TreeHasher(std::uint64_t size, std::span<const storage::Digest> subtrees);

  void Append(std::string_view leaf);
  // Calls `on_node` for the leaf and for each subtree it completes, lowest level first.
  void Append(std::string_view leaf, OnNode on_node);
  void Clear() { size_ = 0; }

  storage::Digest Head() const;
  std::uint64_t size() const { return size_; }
  std::span<const storage::Digest> subtrees() const {
    return {subtrees_.data(), static_cast<std::size_t>(std::popcount(size_))};
  }

 private:
  std::uint64_t size_ = 0;
  std::array<storage::Digest, 64> subtrees_;
};

storage::Digest TreeHead(std::span<const std::string> leaves);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_FORMAT_H_

// Contract documents: a unit of work, or a receipt, as the JSON that other programs exchange.
//
//   for (const DocumentViolation& wrong : CheckDocument(ContractDocument::kUnit, text)) {
//     Show(wrong.field, wrong.message);      // "/context/band", "is not GREEN, AMBER, …"
//   }
//
// Three documents: a unit of work as contract 1.1.0 has it (`unit_of_work_enhanced`), as 1.0.0 had
// it (`unit_of_work`), and a `write_receipt` (uow/write_receipt.h). Each is described by one table of
// fields in contract_document.cc, which is what CheckDocument() goes by and what SchemaOf() prints as
// JSON Schema, so that the two cannot differ. A field that is null is there, and has to be of its
// type; where a contract allows null the schema says so.
//
// Looser than the contract on purpose, because the contract's own example and the ledger's records
// need it: a user's id may be a ULID as well as a UUID; a record's id may be the record id of a row
// (`accounts/1`, uow/format.h) as well as a ULID.
//
// A unit of this ledger as such a document: ReadUnitDocument(). A context that is no more than the
// contract's wishes (an actor that is not a UUID, no envelope) is in the document as it was recorded,
// and CheckDocument() says so: recording does not refuse what the contract only describes.
//
// Thread safety: pure functions; ReadUnitDocument as its connection, one thread at a time.
// Errors: ReadUnitDocument: kNotFound, there is no such unit; kInvalidArgument, a text of it is not
//   UTF-8 and so has no place in JSON. Text that is not JSON is a violation.
// Cost: about 1 µs a field.

#ifndef VOUCH_UOW_CONTRACT_DOCUMENT_H_
#define VOUCH_UOW_CONTRACT_DOCUMENT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"

namespace vouch::uow {

enum class ContractDocument : std::uint8_t {
  kUnit,          // unit_of_work_enhanced, contract 1.1.0
  kUnitV1_0,      // unit_of_work, contract 1.0.0
  kWriteReceipt,  // write_receipt
};
const char* NameOf(ContractDocument document);

// NameOf gives each the stable name in the comment.
enum class DocumentRule : std::uint8_t {
  kNotJson,       // not_json
  kFieldMissing,  // field_missing
  kFieldUnknown,  // field_unknown
  kWrongType,     // wrong_type
  kBadValue,      // bad_value
};
const char* NameOf(DocumentRule rule);

struct DocumentViolation {
  DocumentRule rule;
  std::string field = {};  // A JSON pointer: "/writes/0/store"; empty: the whole document.
  std::string message = {};

  friend bool operator==(const DocumentViolation&, const DocumentViolation&) = default;
};

// In the order of the contract's fields, then unknown ones by name.
std::vector<DocumentViolation> CheckDocument(ContractDocument document, std::string_view json);

// The contract as JSON Schema, draft 2020-12.
std::string SchemaOf(ContractDocument document);

// The newest unit of this id as a kUnit document.
absl::StatusOr<std::string> ReadUnitDocument(storage::Connection& connection,
                                             std::string_view uow_id);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_CONTRACT_DOCUMENT_H_

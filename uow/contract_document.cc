#include "uow/contract_document.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"
#include "uow/format.h"
#include "uow/internal/json.h"
#include "uow/ulid.h"

namespace vouch::uow {
namespace {

using storage::Connection;
using storage::StatementPtr;
using uow_internal::Json;

// ---- What a value may be ----

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsWordLetter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
         c == '.';
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !IsHexDigit(text[i])) return false;
  }
  return true;
}

bool IsUuidOrUlid(std::string_view text) { return IsUuid(text) || IsUlid(text); }

bool IsRecordId(std::string_view text) { return IsUlid(text) || TableOfRecordId(text).has_value(); }

// RFC 3339. ParseTime() also reads what is none ("infinite-future", spaces around it).
bool IsDateTime(std::string_view text) {
  const auto allowed = [](char c) {
    return IsDigit(c) || c == '-' || c == '+' || c == ':' || c == '.' || c == 'T' || c == 't' ||
           c == 'Z' || c == 'z';
  };
  if (text.size() < 20 || text[4] != '-' || !std::all_of(text.begin(), text.end(), allowed)) {
    return false;
  }
  absl::Time time;
  std::string error;
  return absl::ParseTime(absl::RFC3339_full, absl::string_view(text.data(), text.size()), &time,
                         &error);
}

bool IsDigest(std::string_view text) { return storage::DigestFromHex(text).has_value(); }

constexpr std::array<std::string_view, 5> kSpaceKinds = {"personal", "selective", "shared",
                                                         "extended", "interfamily"};

bool IsSpace(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = text.substr(colon + 1);
  return std::find(kSpaceKinds.begin(), kSpaceKinds.end(), text.substr(0, colon)) !=
             kSpaceKinds.end() &&
         !name.empty() && std::all_of(name.begin(), name.end(), IsWordLetter);
}

bool IsHandle(std::string_view text) {
  return text.size() >= 3 && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsWordLetter(c) || c == ':'; });
}

bool IsAnyText(std::string_view) { return true; }
bool IsStatus(std::string_view text) {
  return text == "pending" || ParseUnitStatus(text).has_value();
}
bool IsStatusV1_0(std::string_view text) { return IsStatus(text) && text != "failed"; }
bool IsOperation(std::string_view text) { return ParseOperation(text).has_value(); }
bool IsBand(std::string_view text) { return ParseBand(text).has_value(); }

constexpr std::array<std::string_view, 7> kPlatforms = {"ios",   "android", "macos", "windows",
                                                        "linux", "web",     "edge"};
bool IsPlatform(std::string_view text) {
  return std::find(kPlatforms.begin(), kPlatforms.end(), text) != kPlatforms.end();
}

// A rule about a text: the test, its words after "is not ", and what JSON Schema says of it.
struct TextRule {
  bool (*accepts)(std::string_view);
  const char* words;
  const char* schema;
};

#define VOUCH_ULID_PATTERN "[0-7][0-9A-HJKMNP-TV-Z]{25}"
#define VOUCH_UUID_PATTERN "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
constexpr TextRule kAnyText{IsAnyText, "a text", R"({})"};
constexpr TextRule kUlid{IsUlid, "a ULID", R"({"pattern": "^)" VOUCH_ULID_PATTERN R"($"})"};
constexpr TextRule kUuidOrUlid{IsUuidOrUlid, "a UUID or a ULID",
                               R"({"pattern": "^()" VOUCH_UUID_PATTERN "|" VOUCH_ULID_PATTERN
                               R"()$"})"};
constexpr TextRule kRecordId{IsRecordId, "a ULID or the record id of a row",
                             R"({"pattern": "^()" VOUCH_ULID_PATTERN
                             R"(|[A-Za-z0-9._~%-]+/.+)$"})"};
constexpr TextRule kDateTime{IsDateTime, "a time as in RFC 3339", R"({"format": "date-time"})"};
constexpr TextRule kVersion{
    IsContractVersion, "a version n.n.n",
    R"({"pattern": "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$"})"};
constexpr TextRule kDigest{IsDigest, "64 hex digits", R"({"pattern": "^[0-9A-Fa-f]{64}$"})"};
constexpr TextRule kSpace{
    IsSpace, "a kind of space, ':' and a name",
    R"({"pattern": "^(personal|selective|shared|extended|interfamily):[A-Za-z0-9_.-]+$"})"};
constexpr TextRule kHandle{IsHandle, "3 to 64 letters, digits or . _ : -",
                           R"({"pattern": "^[A-Za-z0-9._:-]{3,64}$"})"};
constexpr TextRule kStatus{IsStatus, "pending, committed, rolled_back or failed",
                           R"({"enum": ["pending", "committed", "rolled_back", "failed"]})"};
constexpr TextRule kStatusV1_0{IsStatusV1_0, "pending, committed or rolled_back",
                               R"({"enum": ["pending", "committed", "rolled_back"]})"};
constexpr TextRule kOperation{IsOperation, "create, update, delete or upsert",
                              R"({"enum": ["create", "update", "delete", "upsert"]})"};
constexpr TextRule kBand{IsBand, "GREEN, AMBER, RED or BLACK",
                         R"({"enum": ["GREEN", "AMBER", "RED", "BLACK"]})"};
constexpr TextRule kPlatform{
    IsPlatform, "a platform",
    R"({"enum": ["ios", "android", "macos", "windows", "linux", "web", "edge"]})"};
#undef VOUCH_ULID_PATTERN
#undef VOUCH_UUID_PATTERN

// ---- The documents ----

enum class Shape { kText, kCount, kBoolean, kObject, kTexts, kObjects };
enum class Need { kOptional, kNullable, kRequired, kRequiredOrNull };

struct Field {
  const char* name;
  Shape shape = Shape::kText;
  Need need = Need::kOptional;
  const TextRule* rule = &kAnyText;    // Of a text, and of each of several.
  std::span<const Field> fields = {};  // Of an object, and of each of several.

  bool required() const { return need == Need::kRequired || need == Need::kRequiredOrNull; }
  bool nullable() const { return need == Need::kNullable || need == Need::kRequiredOrNull; }
};

constexpr Field kWriteFields[] = {
    {"store", Shape::kText, Need::kRequired},
    {"record_id", Shape::kText, Need::kRequired, &kRecordId},
    {"operation_type", Shape::kText, Need::kRequired, &kOperation},
    {"bytes_written", Shape::kCount},
    {"checksum", Shape::kText, Need::kOptional, &kDigest},
};
constexpr Field kMetricsFields[] = {
    {"total_execution_time_ms", Shape::kCount},
    {"commit_time_ms", Shape::kCount},
    {"store_count", Shape::kCount},
    {"total_bytes_written", Shape::kCount},
    {"retry_count", Shape::kCount},
};
constexpr Field kErrorFields[] = {
    {"error_type"},
    {"error_message"},
    {"failed_store"},
    {"error_ts", Shape::kText, Need::kOptional, &kDateTime},
    {"recovery_attempted", Shape::kBoolean},
};
constexpr Field kReceiptFields[] = {
    {"receipt_hash", Shape::kText, Need::kOptional, &kDigest},
    {"signature"},
    {"generated_ts", Shape::kText, Need::kOptional, &kDateTime},
    {"stores_involved", Shape::kTexts},
};
constexpr Field kActorFields[] = {
    {"user_id", Shape::kText, Need::kRequired, &kUuidOrUlid},
    {"agent_id", Shape::kText, Need::kOptional, &kHandle},
};
constexpr Field kDeviceFields[] = {
    {"device_id", Shape::kText, Need::kRequired, &kHandle},
    {"platform", Shape::kText, Need::kOptional, &kPlatform},
    {"app_version", Shape::kText, Need::kOptional, &kVersion},
};
constexpr Field kContextFields[] = {
    {"space_id", Shape::kText, Need::kOptional, &kSpace},
    {"actor_ref", Shape::kObject, Need::kOptional, &kAnyText, kActorFields},
    {"device_ref", Shape::kObject, Need::kOptional, &kAnyText, kDeviceFields},
    {"correlation_id"},
    {"band", Shape::kText, Need::kOptional, &kBand},
};
constexpr Field kUnitFields[] = {
    {"uow_id", Shape::kText, Need::kRequired, &kUlid},
    {"envelope_id", Shape::kText, Need::kRequired, &kUuidOrUlid},
    {"status", Shape::kText, Need::kRequired, &kStatus},
    {"created_ts", Shape::kText, Need::kRequired, &kDateTime},
    {"committed_ts", Shape::kText, Need::kOptional, &kDateTime},
    {"contract_version", Shape::kText, Need::kRequired, &kVersion},
    {"writes", Shape::kObjects, Need::kOptional, &kAnyText, kWriteFields},
    {"metrics", Shape::kObject, Need::kOptional, &kAnyText, kMetricsFields},
    {"error_info", Shape::kObject, Need::kOptional, &kAnyText, kErrorFields},
    {"receipt", Shape::kObject, Need::kOptional, &kAnyText, kReceiptFields},
    {"context", Shape::kObject, Need::kOptional, &kAnyText, kContextFields},
};

constexpr Field kWriteFieldsV1_0[] = {
    {"store", Shape::kText, Need::kRequired},
    {"record_id", Shape::kText, Need::kRequired, &kRecordId},
};
constexpr Field kUnitFieldsV1_0[] = {
    {"uow_id", Shape::kText, Need::kRequired, &kUlid},
    {"envelope_id", Shape::kText, Need::kRequired, &kUuidOrUlid},
    {"status", Shape::kText, Need::kRequired, &kStatusV1_0},
    {"created_ts", Shape::kText, Need::kRequired, &kDateTime},
    {"committed_ts", Shape::kText, Need::kOptional, &kDateTime},
    {"writes", Shape::kObjects, Need::kOptional, &kAnyText, kWriteFieldsV1_0},
};

// What the original writes of a receipt is more than the contract names, and null where absent.
constexpr Field kReceiptStoreFields[] = {
    {"name", Shape::kText, Need::kRequired},
    {"ts", Shape::kText, Need::kRequired, &kDateTime},
    {"record_id", Shape::kText, Need::kNullable},
    {"operation_type"},
    {"bytes_written", Shape::kCount},
    {"duration_ms", Shape::kCount},
    {"retry_count", Shape::kCount},
};
constexpr Field kWriteReceiptFields[] = {
    {"envelope_id", Shape::kText, Need::kRequiredOrNull, &kUuidOrUlid},
    {"committed", Shape::kBoolean, Need::kRequired},
    {"stores", Shape::kObjects, Need::kRequired, &kAnyText, kReceiptStoreFields},
    {"error", Shape::kText, Need::kNullable},
    {"uow_id", Shape::kText, Need::kRequired, &kUlid},
    {"created_ts", Shape::kText, Need::kRequired, &kDateTime},
    {"committed_ts", Shape::kText, Need::kNullable, &kDateTime},
    {"record_id", Shape::kText, Need::kNullable},
    {"receipt_hash", Shape::kText, Need::kRequired, &kDigest},
    {"signature", Shape::kText, Need::kNullable},
    {"total_duration_ms", Shape::kCount},
    {"total_stores", Shape::kCount},
    {"total_writes", Shape::kCount},
    {"contract_version", Shape::kText, Need::kOptional, &kVersion},
};

std::span<const Field> FieldsOf(ContractDocument document) {
  switch (document) {
    case ContractDocument::kUnit:
      return kUnitFields;
    case ContractDocument::kUnitV1_0:
      return kUnitFieldsV1_0;
    case ContractDocument::kWriteReceipt:
      return kWriteReceiptFields;
  }
  return {};
}

// ---- Checking ----

class Checker {
 public:
  void CheckObject(std::span<const Field> fields, const Json& object, const std::string& path) {
    if (!object.is_object()) return Add(DocumentRule::kWrongType, path, "is not an object");
    for (const Field& field : fields) {
      const auto found = object.find(field.name);
      if (found != object.end()) {
        CheckValue(field, *found, absl::StrCat(path, "/", field.name));
      } else if (field.required()) {
        Add(DocumentRule::kFieldMissing, absl::StrCat(path, "/", field.name), "is missing");
      }
    }
    for (const auto& item : object.items()) {
      const bool known = std::any_of(fields.begin(), fields.end(),
                                     [&](const Field& field) { return item.key() == field.name; });
      if (known) continue;
      Add(DocumentRule::kFieldUnknown, absl::StrCat(path, "/", Escaped(item.key())),
          "is not a field of the contract");
    }
  }

  void Add(DocumentRule rule, const std::string& path, std::string_view words) {
    violations.push_back(
        {.rule = rule,
         .field = path,
         .message = absl::StrCat("contract: ", path.empty() ? "the document" : path.c_str(), " ",
                                 std::string(words))});
  }

  std::vector<DocumentViolation> violations;

 private:
  // As a JSON pointer has it.
  static std::string Escaped(const std::string& name) {
    std::string escaped;
    for (const char c : name) {
      if (c == '~' || c == '/') {
        escaped += c == '~' ? "~0" : "~1";
      } else {
        escaped += c;
      }
    }
    return escaped;
  }

  void CheckText(const Field& field, const Json& value, const std::string& path) {
    if (!value.is_string()) return Add(DocumentRule::kWrongType, path, "is not a text");
    if (field.rule->accepts(value.get_ref<const std::string&>())) return;
    Add(DocumentRule::kBadValue, path, absl::StrCat("is not ", field.rule->words));
  }

  template <typename CheckOne>
  void CheckEach(const Json& value, const std::string& path, CheckOne check) {
    if (!value.is_array()) return Add(DocumentRule::kWrongType, path, "is not an array");
    for (std::size_t i = 0; i < value.size(); ++i) check(value[i], absl::StrCat(path, "/", i));
  }

  void CheckValue(const Field& field, const Json& value, const std::string& path) {
    if (value.is_null() && field.nullable()) return;
    switch (field.shape) {
      case Shape::kText:
        return CheckText(field, value, path);
      case Shape::kCount:
        if (!value.is_number_integer()) {
          return Add(DocumentRule::kWrongType, path, "is not an integer");
        }
        if (!value.is_number_unsigned()) Add(DocumentRule::kBadValue, path, "is negative");
        return;
      case Shape::kBoolean:
        if (!value.is_boolean()) Add(DocumentRule::kWrongType, path, "is neither true nor false");
        return;
      case Shape::kObject:
        return CheckObject(field.fields, value, path);
      case Shape::kTexts:
        return CheckEach(value, path, [&](const Json& one, const std::string& where) {
          CheckText(field, one, where);
        });
      case Shape::kObjects:
        return CheckEach(value, path, [&](const Json& one, const std::string& where) {
          CheckObject(field.fields, one, where);
        });
    }
  }
};

// ---- Schema ----

using OrderedJson = nlohmann::ordered_json;

OrderedJson SchemaOfObject(std::span<const Field> fields);

OrderedJson SchemaOfText(const TextRule& rule) {
  OrderedJson schema = {{"type", "string"}};
  schema.update(OrderedJson::parse(rule.schema));
  return schema;
}

OrderedJson SchemaOfField(const Field& field) {
  switch (field.shape) {
    case Shape::kText:
      return SchemaOfText(*field.rule);
    case Shape::kCount:
      return {{"type", "integer"}, {"minimum", 0}};
    case Shape::kBoolean:
      return {{"type", "boolean"}};
    case Shape::kObject:
      return SchemaOfObject(field.fields);
    case Shape::kTexts:
      return {{"type", "array"}, {"items", SchemaOfText(*field.rule)}};
    case Shape::kObjects:
      return {{"type", "array"}, {"items", SchemaOfObject(field.fields)}};
  }
  return {};
}

OrderedJson SchemaOfObject(std::span<const Field> fields) {
  OrderedJson properties = OrderedJson::object();
  OrderedJson required = OrderedJson::array();
  for (const Field& field : fields) {
    OrderedJson schema = SchemaOfField(field);
    if (field.nullable()) schema["type"] = {schema["type"], "null"};
    properties[field.name] = std::move(schema);
    if (field.required()) required.push_back(field.name);
  }
  OrderedJson schema = {{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

// ---- A unit of the ledger ----

// Sets `object[name]` unless the column is null.
void SetText(Json& object, const char* name, const storage::Row& row, int column) {
  if (const auto text = row.Get<std::optional<std::string>>(column)) object[name] = *text;
}

void SetIfAny(Json& object, const char* name, Json value) {
  if (!value.empty()) object[name] = std::move(value);
}

Json ObjectOf(const char* name, const storage::Row& row, int column) {
  Json object = Json::object();
  SetText(object, name, row, column);
  return object;
}

Json DocumentOf(const storage::Row& row) {
  Json unit = Json::object();
  SetText(unit, "uow_id", row, 1);
  SetText(unit, "envelope_id", row, 2);
  SetText(unit, "status", row, 3);
  SetText(unit, "created_ts", row, 4);
  SetText(unit, "committed_ts", row, 5);
  SetText(unit, "contract_version", row, 6);
  unit["metrics"] = {{"total_execution_time_ms", row.Get<std::int64_t>(7)},
                     {"commit_time_ms", row.Get<std::int64_t>(8)},
                     {"store_count", row.Get<std::int64_t>(9)},
                     {"total_bytes_written", row.Get<std::int64_t>(10)},
                     {"retry_count", row.Get<std::int64_t>(11)}};
  Json error = Json::object();
  SetText(error, "error_type", row, 12);
  SetText(error, "error_message", row, 13);
  SetText(error, "failed_store", row, 14);
  SetText(error, "error_ts", row, 15);
  if (!error.empty()) error["recovery_attempted"] = row.Get<bool>(16);
  SetIfAny(unit, "error_info", std::move(error));
  Json receipt = Json::object();
  SetText(receipt, "receipt_hash", row, 17);
  SetText(receipt, "signature", row, 18);
  SetText(receipt, "generated_ts", row, 5);
  SetIfAny(unit, "receipt", std::move(receipt));
  Json context = Json::object();
  SetText(context, "space_id", row, 19);
  SetIfAny(context, "actor_ref", ObjectOf("user_id", row, 20));
  SetIfAny(context, "device_ref", ObjectOf("device_id", row, 21));
  SetText(context, "correlation_id", row, 22);
  SetText(context, "band", row, 23);
  SetIfAny(unit, "context", std::move(context));
  return unit;
}

absl::Status AddWrites(Connection& connection, std::int64_t seq, Json& unit) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare("SELECT store, record_id, operation_type, bytes_written, checksum"
                         " FROM uow_writes WHERE seq = ?1 ORDER BY ordinal"));
  VOUCH_RETURN_IF_ERROR(query->BindAll(seq));
  Json writes = Json::array();
  std::set<std::string> stores;
  VOUCH_RETURN_IF_ERROR(query->ForEach([&](const storage::Row& row) {
    Json write = Json::object();
    SetText(write, "store", row, 0);
    SetText(write, "record_id", row, 1);
    SetText(write, "operation_type", row, 2);
    write["bytes_written"] = row.Get<std::int64_t>(3);
    SetText(write, "checksum", row, 4);
    writes.push_back(std::move(write));
    stores.insert(row.Get<std::string>(0));
  }));
  unit["receipt"]["stores_involved"] = stores;
  unit["writes"] = std::move(writes);
  return absl::OkStatus();
}

}  // namespace

const char* NameOf(ContractDocument document) {
  switch (document) {
    case ContractDocument::kUnit:
      return "unit_of_work_enhanced";
    case ContractDocument::kUnitV1_0:
      return "unit_of_work";
    case ContractDocument::kWriteReceipt:
      return "write_receipt";
  }
  return "unknown";
}

const char* NameOf(DocumentRule rule) {
  switch (rule) {
    case DocumentRule::kNotJson:
      return "not_json";
    case DocumentRule::kFieldMissing:
      return "field_missing";
    case DocumentRule::kFieldUnknown:
      return "field_unknown";
    case DocumentRule::kWrongType:
      return "wrong_type";
    case DocumentRule::kBadValue:
      return "bad_value";
  }
  return "unknown";
}

std::vector<DocumentViolation> CheckDocument(ContractDocument document, std::string_view json) {
  Checker checker;
  const auto parsed = uow_internal::ParseJson(json, "contract");
  if (!parsed.ok()) {
    return {{.rule = DocumentRule::kNotJson, .message = std::string(parsed.status().message())}};
  }
  checker.CheckObject(FieldsOf(document), *parsed, "");
  return std::move(checker.violations);
}

std::string SchemaOf(ContractDocument document) {
  OrderedJson schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", NameOf(document)}};
  schema.update(SchemaOfObject(FieldsOf(document)));
  return schema.dump(2);
}

absl::StatusOr<std::string> ReadUnitDocument(Connection& connection, std::string_view uow_id) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare(
          "SELECT seq, uow_id, envelope_id, status, created_ts, committed_ts, contract_version,"
          " total_execution_time_ms, commit_time_ms, store_count, total_bytes_written, retry_count,"
          " error_type, error_message, failed_store, error_ts, recovery_attempted, receipt_hash,"
          " receipt_signature, space_id, actor_id, device_id, correlation_id, band"
          " FROM unit_of_work WHERE uow_id = ?1 ORDER BY seq DESC LIMIT 1"));
  VOUCH_RETURN_IF_ERROR(query->BindAll(uow_id));
  VOUCH_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) {
    return absl::NotFoundError(absl::StrCat("contract: there is no unit ", std::string(uow_id)));
  }
  const storage::Row row(*query);
  Json unit = DocumentOf(row);
  VOUCH_RETURN_IF_ERROR(AddWrites(connection, row.Get<std::int64_t>(0), unit));
  return uow_internal::CanonicalText(unit);
}

}  // namespace vouch::uow

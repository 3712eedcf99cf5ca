#include "uow/format.h"

#include <algorithm>
#include <charconv>

namespace vouch::uow {
namespace {

using storage::Digest;
using storage::Sha256;
using storage::ValueType;
using storage::ValueView;

constexpr char kLowerHex[] = "0123456789abcdef";
constexpr char kUpperHex[] = "0123456789ABCDEF";

// A decimal in a buffer of its own, for where its length is written before it.
class Decimal {
 public:
  explicit Decimal(std::int64_t number)
      : size_(static_cast<std::size_t>(
            std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr -
            digits_.data())) {}
  std::string_view text() const { return {digits_.data(), size_}; }

 private:
  std::array<char, 20> digits_;  // "-9223372036854775808"
  std::size_t size_;
};

// Length, ':', bytes.
void AppendCounted(std::string& out, std::string_view bytes) {
  AppendDecimal(out, static_cast<std::int64_t>(bytes.size()));
  out.push_back(':');
  out.append(bytes);
}

void AppendRealHex(std::string& out, double number) {
  const auto bits = std::bit_cast<std::uint64_t>(number);
  std::array<char, 16> digits;
  for (std::size_t i = 0; i < digits.size(); ++i) digits[i] = kLowerHex[bits >> (60 - 4 * i) & 15];
  out.append(digits.data(), digits.size());
}

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

constexpr bool IsUnreserved(char c) {
  return IsDigit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// The value of a hex digit in one case only, or -1.
constexpr int Nibble(char c, char first_letter) {
  if (IsDigit(c)) return c - '0';
  if (c >= first_letter && c < first_letter + 6) return c - first_letter + 10;
  return -1;
}

constexpr auto kLowerNibbles = [] {
  std::array<std::int8_t, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::int8_t>(Nibble(static_cast<char>(i), 'a'));
  }
  return table;
}();

constexpr bool IsDecimal(std::string_view text) {
  if (!text.empty() && text.front() == '-') {
    text.remove_prefix(1);
    if (text == "0") return false;
  }
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit) &&
         (text.size() == 1 || text.front() != '0');
}

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return Nibble(c, 'a') >= 0; });
}

bool IsRecordPart(std::string_view part) {
  if (part.empty()) return false;
  const std::string_view rest = part.substr(1);
  switch (part.front()) {
    case '\'':
      return PercentDecoded(rest).has_value();
    case 'x':
      return rest.size() % 2 == 0 && IsLowerHex(rest);
    case 'r':
      return rest.size() == 16 && IsLowerHex(rest);
    default:
      return IsDecimal(part);
  }
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(value).push_back('\n');
}
void AppendTextField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name);
  AppendText(out, value);
  out.push_back('\n');
}
void AppendOptionalField(std::string& out, std::string_view name,
                         std::optional<std::string_view> value) {
  out.append(name);
  AppendOptional(out, value);
  out.push_back('\n');
}
void AppendDecimalField(std::string& out, std::string_view name, std::int64_t value) {
  out.append(name);
  AppendDecimal(out, value);
  out.push_back('\n');
}
void AppendDigestField(std::string& out, std::string_view name,
                       const std::optional<Digest>& value) {
  out.append(name);
  if (value) {
    AppendHex(out, *value);
  } else {
    out.push_back('-');
  }
  out.push_back('\n');
}

std::string_view BytesOf(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// One context a thread, so that trees are plain data and can be copied.
Digest LeafHash(std::string_view leaf) {
  thread_local Sha256 hash;
  return hash.Update(std::string_view("\x00", 1)).Update(leaf).Finish();
}

Digest NodeHash(const Digest& left, const Digest& right) {
  std::array<char, 65> bytes;
  bytes[0] = 0x01;
  std::copy_n(BytesOf(left).data(), 32, bytes.begin() + 1);
  std::copy_n(BytesOf(right).data(), 32, bytes.begin() + 33);
  return Sha256::Of({bytes.data(), bytes.size()});
}

template <typename Enum, std::size_t kCount>
std::optional<Enum> ParseName(std::string_view name, const std::array<Enum, kCount>& all) {
  for (const Enum value : all) {
    if (name == NameOf(value)) return value;
  }
  return std::nullopt;
}

}  // namespace

// ---- Fields ----

void AppendDecimal(std::string& out, std::int64_t number) { out.append(Decimal(number).text()); }

void AppendHex(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    const char digits[2] = {kLowerHex[byte >> 4], kLowerHex[byte & 15]};
    out.append(digits, 2);
  }
}

void AppendHex(std::string& out, const Digest& digest) {
  std::array<char, 64> digits;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digits[2 * i] = kLowerHex[digest[i] >> 4];
    digits[2 * i + 1] = kLowerHex[digest[i] & 15];
  }
  out.append(digits.data(), digits.size());
}

void AppendText(std::string& out, std::string_view text) { AppendCounted(out, text); }

void AppendOptional(std::string& out, std::optional<std::string_view> text) {
  if (text) {
    AppendCounted(out, *text);
  } else {
    out.push_back('-');
  }
}

ValueView Normalized(ValueView value, bool real_affinity) {
  if (real_affinity && value.type() == ValueType::kInteger) {
    return ValueView::Real(static_cast<double>(value.integer()));
  }
  // Equal to zero covers both of its signs.
  if (value.type() == ValueType::kReal && value.real() == 0.0) return ValueView::Real(0.0);
  return value;
}

void AppendValue(std::string& out, ValueView value, bool real_affinity) {
  value = Normalized(value, real_affinity);
  switch (value.type()) {
    case ValueType::kNull:
      assert(false && "a null is left out, not encoded");
      return;
    case ValueType::kInteger:
      out.push_back('i');
      AppendCounted(out, Decimal(value.integer()).text());
      return;
    case ValueType::kReal:
      out.append("r16:");
      AppendRealHex(out, value.real());
      return;
    case ValueType::kText:
      out.push_back('t');
      AppendCounted(out, value.bytes());
      return;
    case ValueType::kBlob:
      out.push_back('b');
      AppendCounted(out, value.bytes());
      return;
  }
}

void AppendPercentEncoded(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    if (IsUnreserved(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      const char escaped[3] = {'%', kUpperHex[byte >> 4], kUpperHex[byte & 15]};
      out.append(escaped, 3);
    }
  }
}

std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!IsUnreserved(text[i])) return std::nullopt;
      bytes.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = Nibble(text[i + 1], 'A');
    const int low = Nibble(text[i + 2], 'A');
    if (high < 0 || low < 0) return std::nullopt;
    const auto byte = static_cast<char>(high * 16 + low);
    // An encoded unreserved byte would be a second spelling of the same id.
    if (IsUnreserved(byte)) return std::nullopt;
    bytes.push_back(byte);
    i += 2;
  }
  return bytes;
}

// ---- Rows ----

RowEncoder::RowEncoder(const TableSchema& schema) {
  assert(!WhyNotReceipted(schema));
  row_prefix_ = "vouch-row/1\n";
  AppendTextField(row_prefix_, "", schema.name);
  AppendPercentEncoded(record_prefix_, schema.name);
  record_prefix_.push_back('/');
  const auto column = [&](int index) {
    const ColumnInfo& info = schema.columns[static_cast<std::size_t>(index)];
    std::string label;
    AppendText(label, info.name);
    return Column{static_cast<std::size_t>(index), info.real_affinity, std::move(label)};
  };
  for (const int index : schema.key) key_.push_back(column(index));
  for (const int index : schema.rest) rest_.push_back(column(index));
}

std::int64_t RowEncoder::AppendRow(std::string& out, std::span<const ValueView> values) const {
  std::int64_t bytes = 0;
  const auto append = [&](const Column& column) {
    const ValueView value = values[column.index];
    if (value.is_null()) return;
    out.append(column.label);
    AppendValue(out, value, column.real_affinity);
    out.push_back('\n');
    const bool number = value.type() == ValueType::kInteger || value.type() == ValueType::kReal;
    bytes += number ? 8 : static_cast<std::int64_t>(value.bytes().size());
  };
  out.append(row_prefix_);
  for (const Column& column : key_) {
    assert(!values[column.index].is_null());
    append(column);
  }
  out.push_back('\n');
  for (const Column& column : rest_) append(column);
  return bytes;
}

void RowEncoder::AppendRecordId(std::string& out, std::span<const ValueView> values) const {
  out.append(record_prefix_);
  for (const Column& column : key_) {
    if (&column != &key_.front()) out.push_back(',');
    const ValueView value = Normalized(values[column.index], column.real_affinity);
    switch (value.type()) {
      case ValueType::kNull:
        assert(false && "a key is never null");
        break;
      case ValueType::kInteger:
        AppendDecimal(out, value.integer());
        break;
      case ValueType::kReal:
        out.push_back('r');
        AppendRealHex(out, value.real());
        break;
      case ValueType::kText:
        out.push_back('\'');
        AppendPercentEncoded(out, value.bytes());
        break;
      case ValueType::kBlob:
        out.push_back('x');
        AppendHex(out, value.bytes());
        break;
    }
  }
}

std::optional<std::string> TableOfRecordId(std::string_view record_id) {
  const std::size_t slash = record_id.find('/');
  if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
  std::string_view parts = record_id.substr(slash + 1);
  while (true) {
    const std::size_t comma = parts.find(',');
    if (!IsRecordPart(parts.substr(0, comma))) return std::nullopt;
    if (comma == std::string_view::npos) break;
    parts.remove_prefix(comma + 1);
  }
  return PercentDecoded(record_id.substr(0, slash));
}

Digest PayloadChecksum(std::string_view store, std::string_view record_id,
                       std::string_view payload) {
  std::string head = "vouch-payload/1\n";
  AppendTextField(head, "", store);
  AppendTextField(head, "", record_id);
  head.push_back('b');
  AppendDecimal(head, static_cast<std::int64_t>(payload.size()));
  head.push_back(':');
  // The payload can be large: it is hashed where it lies.
  return Sha256().Update(head).Update(payload).Update("\n").Finish();
}

// ---- Writes ----

const char* NameOf(Operation operation) {
  switch (operation) {
    case Operation::kCreate:
      return "create";
    case Operation::kUpdate:
      return "update";
    case Operation::kDelete:
      return "delete";
    case Operation::kUpsert:
      return "upsert";
  }
  return "";
}

std::optional<Operation> ParseOperation(std::string_view name) {
  return ParseName(name, std::array{Operation::kCreate, Operation::kUpdate, Operation::kDelete,
                                    Operation::kUpsert});
}

void AppendWrite(std::string& out, const WriteFields& write) {
  out.append("vouch-write/1\n");
  AppendTextField(out, "store ", write.store);
  AppendTextField(out, "record ", write.record_id);
  AppendField(out, "op ", NameOf(write.operation));
  AppendDecimalField(out, "bytes ", write.bytes);
  AppendDigestField(out, "prior ", write.prior);
  AppendDigestField(out, "checksum ", write.checksum);
}

// ---- Receipts ----

const char* NameOf(UnitStatus status) {
  switch (status) {
    case UnitStatus::kCommitted:
      return "committed";
    case UnitStatus::kRolledBack:
      return "rolled_back";
    case UnitStatus::kFailed:
      return "failed";
  }
  return "";
}

std::optional<UnitStatus> ParseUnitStatus(std::string_view name) {
  return ParseName(
      name, std::array{UnitStatus::kCommitted, UnitStatus::kRolledBack, UnitStatus::kFailed});
}

const char* NameOf(Band band) {
  switch (band) {
    case Band::kGreen:
      return "GREEN";
    case Band::kAmber:
      return "AMBER";
    case Band::kRed:
      return "RED";
    case Band::kBlack:
      return "BLACK";
  }
  return "";
}

std::optional<Band> ParseBand(std::string_view name) {
  return ParseName(name, std::array{Band::kGreen, Band::kAmber, Band::kRed, Band::kBlack});
}

const Digest& EmptyTreeHead() {
  static const Digest head = Sha256::Of("");
  return head;
}

void AppendReceipt(std::string& out, const ReceiptFields& receipt) {
  out.append("vouch-receipt/1\n");
  AppendField(out, "ledger ", receipt.ledger);
  AppendDecimalField(out, "seq ", receipt.seq);
  AppendDigestField(out, "prev ", receipt.prev);
  AppendField(out, "uow ", receipt.uow_id);
  AppendField(out, "status ", NameOf(receipt.status));
  AppendField(out, "created ", receipt.created);
  AppendField(out, "committed ", receipt.committed.value_or("-"));
  AppendField(out, "contract ", receipt.contract);
  AppendOptionalField(out, "envelope ", receipt.envelope);
  AppendOptionalField(out, "space ", receipt.space);
  AppendOptionalField(out, "actor ", receipt.actor);
  AppendOptionalField(out, "device ", receipt.device);
  AppendOptionalField(out, "correlation ", receipt.correlation);
  AppendField(out, "band ", receipt.band ? NameOf(*receipt.band) : "-");
  AppendOptionalField(out, "error ", receipt.error_type);
  AppendOptionalField(out, "failed ", receipt.failed_store);
  AppendDecimalField(out, "stores ", receipt.stores);
  AppendDecimalField(out, "bytes ", receipt.bytes);
  out.append("writes ");
  AppendDecimal(out, receipt.write_count);
  out.push_back(' ');
  AppendHex(out, receipt.writes_root);
  out.push_back('\n');
}

// ---- Grammar ----

bool IsTime(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";
  return std::equal(text.begin(), text.end(), kShape.begin(), kShape.end(),
                    [](char c, char shape) { return shape == 'd' ? IsDigit(c) : c == shape; });
}

bool IsContractVersion(std::string_view text) {
  for (int dots = 0; dots < 2; ++dots) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return false;
    const std::string_view number = text.substr(0, dot);
    if (!IsDecimal(number) || number.front() == '-') return false;
    text.remove_prefix(dot + 1);
  }
  return IsDecimal(text) && text.front() != '-';
}

std::optional<Digest> ParseDigest(std::string_view hex) {
  Digest digest;
  if (hex.size() != 2 * digest.size()) return std::nullopt;
  int bad = 0;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = kLowerNibbles[static_cast<unsigned char>(hex[2 * i])];
    const int low = kLowerNibbles[static_cast<unsigned char>(hex[2 * i + 1])];
    bad |= high | low;
    digest[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  // Only −1 sets the sign.
  if (bad < 0) return std::nullopt;
  return digest;
}

// ---- Trees ----

TreeHasher::TreeHasher(std::uint64_t size, std::span<const Digest> subtrees) : size_(size) {
  assert(subtrees.size() == static_cast<std::size_t>(std::popcount(size)));
  std::copy(subtrees.begin(), subtrees.end(), subtrees_.begin());
}

void TreeHasher::Append(std::string_view leaf) {
  Append(leaf, [](int, std::uint64_t, const Digest&) {});
}

void TreeHasher::Append(std::string_view leaf, OnNode on_node) {
  Digest node = LeafHash(leaf);
  on_node(0, size_, node);
  // Like a carry in binary addition: each trailing 1 of the old size is a subtree as large as the
  // one in hand, to its left.
  auto kept = static_cast<std::size_t>(std::popcount(size_));
  int level = 0;
  for (std::uint64_t index = size_; (index & 1) != 0; index >>= 1) {
    node = NodeHash(subtrees_[--kept], node);
    on_node(++level, index >> 1, node);
  }
  subtrees_[kept] = node;
  ++size_;
}

Digest TreeHasher::Head() const {
  const std::span<const Digest> left = subtrees();
  if (left.empty()) return EmptyTreeHead();
  // Smaller subtrees lie to the right: join from there.
  Digest head = left.back();
  for (std::size_t i = left.size() - 1; i-- > 0;) head = NodeHash(left[i], head);
  return head;
}

Digest TreeHead(std::span<const std::string> leaves) {
  TreeHasher tree;
  for (const std::string& leaf : leaves) tree.Append(leaf);
  return tree.Head();
}

}  // namespace vouch::uow

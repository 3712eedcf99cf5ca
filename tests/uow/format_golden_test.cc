// Property: the bytes that are hashed never change.
//
// Method: each vector is a hash computed from the description of the format by programs that share
// no code with this one. Bytes are spelt out where a wrong hash alone would not say what differs.
//
// A failure here means that every receipt written so far would no longer verify. The answer is
// never to change a vector.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "uow/format.h"

namespace vouch::uow {
namespace {

using storage::Digest;
using storage::HexOf;
using storage::Sha256;
using storage::ValueView;

constexpr std::string_view kLedger = "01KAJ0000000000000000000VC";
constexpr std::string_view kHead1 =
    "4bd19efe4a101dabc8fbb029b19a3a9c290043d5962dc09027564ea54ff81bd4";
constexpr std::string_view kHead2 =
    "122ce76fb247583d66cf3c2ca3bdd29030f86d834a29015fa65372d4ec8b9cc2";
constexpr std::string_view kHead3 =
    "210342e14a5fe1d5fff5b7a78010b50a6c696f8e86e02929d514567160deb30f";

// CREATE TABLE accounts(id INTEGER PRIMARY KEY, name TEXT, balance REAL, note)
TableSchema Accounts() {
  TableSchema schema;
  schema.name = "accounts";
  schema.columns = {{.name = "id", .key_position = 1},
                    {.name = "name"},
                    {.name = "balance", .real_affinity = true},
                    {.name = "note"}};
  schema.key = {0};
  schema.rest = {2, 1, 3};
  schema.captured = {0, 1, 2, 3};
  schema.rowid_alias = 0;
  return schema;
}

// A table, a key and names that need every rule at once.
TableSchema Odd() {
  TableSchema schema;
  schema.name = "Über/t";
  schema.without_rowid = true;
  schema.columns = {{.name = "a", .key_position = 3},
                    {.name = "n"},
                    {.name = "b", .real_affinity = true, .key_position = 2},
                    {.name = "é"},
                    {.name = "c", .key_position = 1},
                    {.name = "z"},
                    {.name = "B", .real_affinity = true},
                    {.name = "generated", .captured = false},
                    {.name = "Z"},
                    {.name = "d"},
                    {.name = "j"}};
  schema.key = {4, 2, 0};
  schema.rest = {6, 8, 9, 10, 1, 5, 3};
  schema.captured = {0, 1, 2, 3, 4, 5, 6, 8, 9, 10};
  return schema;
}

const std::vector<ValueView> kOddRow = {
    ValueView::Text("é/,x"),
    ValueView::Integer(std::numeric_limits<std::int64_t>::min()),
    ValueView::Integer(-7),
    ValueView::Text(""),
    ValueView::Blob(std::string_view("\xab\x00", 2)),
    ValueView::Blob(""),
    ValueView::Real(std::numeric_limits<double>::infinity()),
    ValueView::Text("never looked at"),
    ValueView::Text(std::string_view("a\0b", 3)),
    ValueView(),
    ValueView::Real(0.1)};

const std::vector<ValueView> kZoe = {ValueView::Integer(1), ValueView::Text("Zoë"),
                                     ValueView::Real(10.5), ValueView()};
const std::vector<ValueView> kBob = {ValueView::Integer(2), ValueView::Text("bob"),
                                     ValueView::Real(-0.0),
                                     ValueView::Blob(std::string_view("\x00\xff", 2))};
const std::vector<ValueView> kZoeAtNine = {ValueView::Integer(1), ValueView::Text("Zoë"),
                                           ValueView::Integer(9), ValueView()};

struct Row {
  std::string bytes;
  std::int64_t size;
  std::string record_id;
  Digest checksum() const { return Sha256::Of(bytes); }
};

Row Encode(const TableSchema& schema, const std::vector<ValueView>& values) {
  const RowEncoder encoder(schema);
  Row row;
  row.size = encoder.AppendRow(row.bytes, values);
  encoder.AppendRecordId(row.record_id, values);
  return row;
}

std::string Bytes(const WriteFields& write) {
  std::string bytes;
  AppendWrite(bytes, write);
  return bytes;
}

std::string Bytes(const ReceiptFields& receipt) {
  std::string bytes;
  AppendReceipt(bytes, receipt);
  return bytes;
}

// The three receipts of the vectors, each with the hash of the one before it.
std::vector<std::string> Receipts() {
  const Row zoe = Encode(Accounts(), kZoe);
  const Row bob = Encode(Accounts(), kBob);
  const Row nine = Encode(Accounts(), kZoeAtNine);
  std::vector<std::string> receipts;
  receipts.push_back(
      Bytes(ReceiptFields{.ledger = kLedger,
                          .seq = 1,
                          .uow_id = "01KAJ000000000000000000001",
                          .status = UnitStatus::kCommitted,
                          .created = "2026-11-21T00:00:00.123Z",
                          .committed = "2026-11-21T00:00:00.125Z",
                          .contract = "1.1.0",
                          .space = "personal:home",
                          .actor = "zoë",
                          .band = Band::kGreen,
                          .stores = 1,
                          .bytes = 41,
                          .write_count = 2,
                          .writes_root = TreeHead(std::vector<std::string>{
                              Bytes(WriteFields{"main", "accounts/1", Operation::kCreate, zoe.size,
                                                std::nullopt, zoe.checksum()}),
                              Bytes(WriteFields{"main", "accounts/2", Operation::kCreate, bob.size,
                                                std::nullopt, bob.checksum()})})}));
  receipts.push_back(
      Bytes(ReceiptFields{.ledger = kLedger,
                          .seq = 2,
                          .prev = Sha256::Of(receipts.back()),
                          .uow_id = "01KAJ000000000000000000002",
                          .status = UnitStatus::kCommitted,
                          .created = "2026-11-21T00:00:01.123Z",
                          .committed = "2026-11-21T00:00:01.125Z",
                          .contract = "1.1.0",
                          .stores = 1,
                          .bytes = 20,
                          .write_count = 2,
                          .writes_root = TreeHead(std::vector<std::string>{
                              Bytes(WriteFields{"main", "accounts/1", Operation::kUpdate, nine.size,
                                                zoe.checksum(), nine.checksum()}),
                              Bytes(WriteFields{"main", "accounts/2", Operation::kDelete, 0,
                                                bob.checksum(), std::nullopt})})}));
  receipts.push_back(Bytes(ReceiptFields{.ledger = kLedger,
                                         .seq = 3,
                                         .prev = Sha256::Of(receipts.back()),
                                         .uow_id = "01KAJ000000000000000000003",
                                         .status = UnitStatus::kFailed,
                                         .created = "2026-11-21T00:00:02.123Z",
                                         .contract = "1.1.0",
                                         .error_type = "constraint_violation",
                                         .failed_store = "main"}));
  return receipts;
}

TEST(FormatGoldenTest, RowWithNull) {
  const Row row = Encode(Accounts(), kZoe);
  EXPECT_EQ(row.bytes,
            "vouch-row/1\n"
            "8:accounts\n"
            "2:idi1:1\n"
            "\n"
            "7:balancer16:4025000000000000\n"
            "4:namet4:Zoë\n");
  EXPECT_EQ(row.size, 20);
  EXPECT_EQ(row.record_id, "accounts/1");
  EXPECT_EQ(HexOf(row.checksum()),
            "90c68a82e1b40341252a2260ff60c9d9da7621b7df544cf5b9c9b8e2e21874f5");
}

TEST(FormatGoldenTest, RowWithNegativeZeroAndBlob) {
  const Row row = Encode(Accounts(), kBob);
  EXPECT_EQ(row.size, 21);
  EXPECT_EQ(HexOf(row.checksum()),
            "eb370caaacbfddd80199ff1dca0dfb17fcd80a099e9ba3e8b5080b5183e0d8d7");
}

TEST(FormatGoldenTest, IntegerInRealColumnIsTheRealOfThatValue) {
  const Row row = Encode(Accounts(), kZoeAtNine);
  EXPECT_EQ(row.size, 20);
  EXPECT_EQ(HexOf(row.checksum()),
            "794eb4178139cee0421b04c771aee2ad8275f7b5938ab3fe355a6de3a973df06");
}

TEST(FormatGoldenTest, RowWithCompositeKeyAndOddNames) {
  const Row row = Encode(Odd(), kOddRow);
  EXPECT_EQ(row.record_id, "%C3%9Cber%2Ft/xab00,rc01c000000000000,'%C3%A9%2F%2Cx");
  EXPECT_EQ(row.size, 42);
  EXPECT_EQ(HexOf(row.checksum()),
            "7c84d415f8a080f4edea839e6ac61f794afa6de475c41357a5a26d83a385e0bd");
}

TEST(FormatGoldenTest, Write) {
  const Row row = Encode(Odd(), kOddRow);
  const std::string write = Bytes(
      WriteFields{"s", row.record_id, Operation::kCreate, row.size, std::nullopt, row.checksum()});
  EXPECT_EQ(write,
            "vouch-write/1\n"
            "store 1:s\n"
            "record 52:%C3%9Cber%2Ft/xab00,rc01c000000000000,'%C3%A9%2F%2Cx\n"
            "op create\n"
            "bytes 42\n"
            "prior -\n"
            "checksum 7c84d415f8a080f4edea839e6ac61f794afa6de475c41357a5a26d83a385e0bd\n");
  EXPECT_EQ(HexOf(Sha256::Of(write)),
            "19e875a3659e8d441ad90835e37f987a5348e4ede9f3431177f24c915c7c8ee3");
}

TEST(FormatGoldenTest, Payload) {
  EXPECT_EQ(HexOf(PayloadChecksum("files", "report.pdf", "%PDF-1.7\n")),
            "1587fafe6e55ee6a3d8c2560bb906d399a0f7a98074e831c2bbdcdf60a4e2d34");
}

TEST(FormatGoldenTest, Receipts) {
  const std::vector<std::string> receipts = Receipts();
  EXPECT_EQ(HexOf(Sha256::Of(receipts[0])),
            "758047d2fcfe62c97199161d214b9709c5a1418a563f2241385b311c96824d85");
  EXPECT_EQ(HexOf(Sha256::Of(receipts[1])),
            "fa980a5f7cfdd39b465c18f47c2ca15af057835d5964ac68eaa2c68b5601b8b1");
  EXPECT_EQ(HexOf(Sha256::Of(receipts[2])),
            "761a468507d0b875fd672e3fd1102cf994a5ba35d67cc5491b9d6b555b3b7548");
}

TEST(FormatGoldenTest, ReceiptBytes) {
  EXPECT_EQ(Receipts()[2],
            "vouch-receipt/1\n"
            "ledger 01KAJ0000000000000000000VC\n"
            "seq 3\n"
            "prev fa980a5f7cfdd39b465c18f47c2ca15af057835d5964ac68eaa2c68b5601b8b1\n"
            "uow 01KAJ000000000000000000003\n"
            "status failed\n"
            "created 2026-11-21T00:00:02.123Z\n"
            "committed -\n"
            "contract 1.1.0\n"
            "envelope -\n"
            "space -\n"
            "actor -\n"
            "device -\n"
            "correlation -\n"
            "band -\n"
            "error 20:constraint_violation\n"
            "failed 4:main\n"
            "stores 0\n"
            "bytes 0\n"
            "writes 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n");
}

TEST(FormatGoldenTest, TreeHeads) {
  TreeHasher tree;
  std::vector<std::string> heads;
  for (const std::string& receipt : Receipts()) {
    tree.Append(receipt);
    heads.push_back(HexOf(tree.Head()));
  }
  EXPECT_THAT(heads, testing::ElementsAre(kHead1, kHead2, kHead3));
}

// RFC 6962's own recursive definition, which the incremental hasher must agree with.
Digest RecursiveHead(std::span<const std::string> leaves) {
  const auto text = [](const Digest& digest) { return std::string(digest.begin(), digest.end()); };
  if (leaves.empty()) return Sha256::Of("");
  if (leaves.size() == 1) return Sha256::Of(std::string(1, '\0') + leaves[0]);
  const std::size_t left = std::bit_floor(leaves.size() - 1);
  return Sha256::Of("\x01" + text(RecursiveHead(leaves.first(left))) +
                    text(RecursiveHead(leaves.subspan(left))));
}

TEST(TreeHasherTest, AgreesWithTheRecursiveDefinition) {
  test::Random random;
  std::vector<std::string> leaves;
  TreeHasher tree;
  for (int size = 0; size <= 200; ++size) {
    ASSERT_EQ(tree.size(), leaves.size());
    ASSERT_EQ(HexOf(tree.Head()), HexOf(RecursiveHead(leaves))) << "size " << size;
    leaves.push_back(random.Bytes(random.Uniform<std::size_t>(0, 100)));
    tree.Append(leaves.back());
  }
  EXPECT_EQ(TreeHead(leaves), RecursiveHead(leaves));
}

TEST(TreeHasherTest, ContinuesFromItsSubtrees) {
  std::vector<std::string> leaves;
  for (int i = 0; i < 100; ++i) leaves.push_back(std::to_string(i));
  for (std::size_t cut = 0; cut <= leaves.size(); ++cut) {
    TreeHasher first;
    for (std::size_t i = 0; i < cut; ++i) first.Append(leaves[i]);
    const std::vector<Digest> kept(first.subtrees().begin(), first.subtrees().end());
    TreeHasher second(first.size(), kept);
    for (std::size_t i = cut; i < leaves.size(); ++i) second.Append(leaves[i]);
    ASSERT_EQ(second.Head(), TreeHead(leaves)) << "cut at " << cut;
  }
}

TEST(TreeHasherTest, ReportsEveryCompleteSubtreeOnce) {
  std::vector<std::string> leaves;
  for (int i = 0; i < 37; ++i) leaves.push_back(std::to_string(i));
  std::vector<std::pair<int, std::uint64_t>> nodes;
  TreeHasher tree;
  for (const std::string& leaf : leaves) {
    tree.Append(leaf, [&](int level, std::uint64_t index, const Digest& hash) {
      nodes.emplace_back(level, index);
      const std::size_t width = std::size_t{1} << level;
      EXPECT_EQ(hash,
                RecursiveHead(std::span<const std::string>(leaves).subspan(index * width, width)));
    });
  }
  std::vector<std::pair<int, std::uint64_t>> expected;
  for (int level = 0; level < 6; ++level) {
    for (std::uint64_t index = 0; (index + 1) << level <= leaves.size(); ++index) {
      expected.emplace_back(level, index);
    }
  }
  EXPECT_THAT(nodes, testing::UnorderedElementsAreArray(expected));
}

TEST(FormatValueTest, EveryStorageClass) {
  const auto encode = [](ValueView value, bool real_affinity = false) {
    std::string out;
    AppendValue(out, value, real_affinity);
    return out;
  };
  EXPECT_EQ(encode(ValueView::Integer(0)), "i1:0");
  EXPECT_EQ(encode(ValueView::Integer(std::numeric_limits<std::int64_t>::min())),
            "i20:-9223372036854775808");
  EXPECT_EQ(encode(ValueView::Integer(std::numeric_limits<std::int64_t>::max())),
            "i19:9223372036854775807");
  EXPECT_EQ(encode(ValueView::Real(1)), "r16:3ff0000000000000");
  EXPECT_EQ(encode(ValueView::Real(-0.0)), "r16:0000000000000000");
  EXPECT_EQ(encode(ValueView::Real(-std::numeric_limits<double>::infinity())),
            "r16:fff0000000000000");
  EXPECT_EQ(encode(ValueView::Text("")), "t0:");
  EXPECT_EQ(encode(ValueView::Text("1\n:")), "t3:1\n:");
  EXPECT_EQ(encode(ValueView::Blob("")), "b0:");
  // REAL affinity touches integers only.
  EXPECT_EQ(encode(ValueView::Integer(1), true), "r16:3ff0000000000000");
  EXPECT_EQ(encode(ValueView::Integer(0), true), "r16:0000000000000000");
  EXPECT_EQ(encode(ValueView::Text("1"), true), "t1:1");
  EXPECT_EQ(encode(ValueView::Blob("1"), true), "b1:1");
  // What SQLite makes of an integer that no double holds: the nearest one, ties to even.
  EXPECT_EQ(encode(ValueView::Integer((std::int64_t{1} << 53) + 1), true), "r16:4340000000000000");
}

TEST(FormatRecordIdTest, DistinctKeysHaveDistinctIdsAndNameTheirTable) {
  TableSchema schema;
  schema.name = "t";
  schema.without_rowid = true;
  schema.columns = {{.name = "k", .key_position = 1}, {.name = "l", .key_position = 2}};
  schema.key = {0, 1};
  schema.captured = {0, 1};
  test::Random random;
  for (const char* name : {"t", "a/b", "%41", "x,y", "Ünï", "'", "\n"}) {
    schema.name = name;
    const RowEncoder encoder(schema);
    std::vector<std::pair<storage::Value, storage::Value>> keys;
    std::vector<std::string> ids;
    const auto any = [&](std::string& bytes) {
      bytes = random.Bytes(random.Uniform<std::size_t>(0, 2));
      switch (random.Uniform(0, 3)) {
        case 0:
          return ValueView::Integer(random.Uniform(-2, 2));
        case 1:
          return ValueView::Real(random.Uniform(-2, 2));
        case 2:
          return ValueView::Text(bytes);
        default:
          return ValueView::Blob(bytes);
      }
    };
    for (int i = 0; i < 300; ++i) {
      std::string bytes[2];
      const ValueView key[] = {any(bytes[0]), any(bytes[1])};
      std::string id;
      encoder.AppendRecordId(id, key);
      EXPECT_EQ(TableOfRecordId(id), name) << id;
      keys.emplace_back(key[0], key[1]);
      ids.push_back(id);
      for (int j = 0; j < i; ++j) {
        const auto at = static_cast<std::size_t>(j);
        ASSERT_EQ(keys[at] == keys.back(), ids[at] == ids.back()) << ids[at] << " and " << id;
      }
    }
  }
}

TEST(FormatRecordIdTest, EncodesAllButTheUnreservedBytes) {
  const std::string_view unreserved =
      "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
  for (int i = 0; i < 256; ++i) {
    const std::string byte(1, static_cast<char>(i));
    std::string encoded;
    AppendPercentEncoded(encoded, byte);
    EXPECT_EQ(encoded.size(), unreserved.find(byte) == std::string_view::npos ? 3u : 1u) << i;
    EXPECT_EQ(PercentDecoded(encoded), byte) << i;
  }
}

TEST(FormatRecordIdTest, RefusesWhatNoRowIsCalled) {
  for (const char* id : {"",
                         "t",
                         "t/",
                         "/1",
                         "t/1,",
                         "t/,1",
                         "t/01",
                         "t/-0",
                         "t/+1",
                         "t/a",
                         "t/1.5",
                         "t/'%4",
                         "t/'%c3",
                         "t/'%41",
                         "t/' ",
                         "t/xA0",
                         "t/xa",
                         "t/r1",
                         "t/rC01c000000000000",
                         "%74/1",
                         "ü/1",
                         "t/1/2",
                         "t/1\n"}) {
    EXPECT_EQ(TableOfRecordId(id), std::nullopt) << id;
  }
  for (const char* id : {"t/0", "t/-1", "t/'", "t/x", "t/'a,x00,rc01c000000000000,7", "%C3%BC/1"}) {
    EXPECT_NE(TableOfRecordId(id), std::nullopt) << id;
  }
}

TEST(FormatGrammarTest, Times) {
  EXPECT_TRUE(IsTime("2026-11-21T00:00:00.123Z"));
  EXPECT_TRUE(IsTime("0000-00-00T00:00:00.000Z"));
  for (const char* text :
       {"", "2026-11-21T00:00:00.123", "2026-11-21 00:00:00.123Z", "2026-11-21T00:00:00Z",
        "2026-11-21T00:00:00.1234Z", "2026-11-21T00:00:00.123z", "2026-11-21T00:00:00.12\nZ",
        "12026-11-21T00:00:00.123Z", "2026-11-21T00:00:00,123Z"}) {
    EXPECT_FALSE(IsTime(text)) << text;
  }
}

TEST(FormatGrammarTest, ContractVersions) {
  for (const char* text : {"1.1.0", "0.0.0", "10.20.30"}) EXPECT_TRUE(IsContractVersion(text));
  for (const char* text : {"", "1", "1.1", "1.1.", ".1.1", "1..1", "1.1.0.0", "01.1.0", "1.1.-1",
                           "-1.1.1", "1.1.0\n", "v1.1.0", "1.1.0-rc", "+1.1.0"}) {
    EXPECT_FALSE(IsContractVersion(text)) << text;
  }
}

TEST(FormatGrammarTest, Digests) {
  const Digest digest = Sha256::Of("abc");
  EXPECT_EQ(ParseDigest(HexOf(digest)), digest);
  std::string hex = HexOf(digest);
  hex[0] = 'B';
  EXPECT_EQ(ParseDigest(hex), std::nullopt);
  for (const char bad : {'g', '/', ':', '`', '\0', '\xff', ' ', '-'}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{31}, std::size_t{63}}) {
      hex = HexOf(digest);
      hex[at] = bad;
      EXPECT_EQ(ParseDigest(hex), std::nullopt) << bad << " at " << at;
    }
  }
  EXPECT_EQ(ParseDigest(HexOf(digest).substr(1)), std::nullopt);
  EXPECT_EQ(ParseDigest(HexOf(digest) + "0"), std::nullopt);
}

TEST(FormatGrammarTest, NamesParseToWhatTheyName) {
  for (const Operation operation :
       {Operation::kCreate, Operation::kUpdate, Operation::kDelete, Operation::kUpsert}) {
    EXPECT_EQ(ParseOperation(NameOf(operation)), operation);
  }
  for (const UnitStatus status :
       {UnitStatus::kCommitted, UnitStatus::kRolledBack, UnitStatus::kFailed}) {
    EXPECT_EQ(ParseUnitStatus(NameOf(status)), status);
  }
  for (const Band band : {Band::kGreen, Band::kAmber, Band::kRed, Band::kBlack}) {
    EXPECT_EQ(ParseBand(NameOf(band)), band);
  }
  EXPECT_EQ(ParseOperation("Create"), std::nullopt);
  EXPECT_EQ(ParseUnitStatus("pending"), std::nullopt);
  EXPECT_EQ(ParseBand("green"), std::nullopt);
}

TEST(FormatOptionalTest, AbsentIsNotEmpty) {
  std::string out;
  AppendOptional(out, std::nullopt);
  AppendOptional(out, "");
  AppendOptional(out, "-");
  EXPECT_EQ(out, "-0:1:-");
}

}  // namespace
}  // namespace vouch::uow

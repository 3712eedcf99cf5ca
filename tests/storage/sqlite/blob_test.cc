#include "storage/sqlite/blob.h"

#include <algorithm>
#include <array>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenInMemory;
using testing_support::Text;

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class BlobTest : public ::testing::Test {
 protected:
  BlobTest() {
    EXPECT_OK(connection_->ExecuteScript(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, content, note TEXT, marked BLOB);"
        "CREATE INDEX marks ON t(marked);"
        "INSERT INTO t VALUES (1, x'000102', 'text', x'aa'), (2, x'', NULL, NULL), (3, 7, '', "
        "'')"));
  }
  absl::StatusOr<BlobReader> Open(std::int64_t row, const std::string& column = "content") {
    return BlobReader::Open(*connection_, {"t", column, row});
  }

  ConnectionPtr connection_ = OpenInMemory();
};

TEST_F(BlobTest, AnyPieceIsTheSameAsInTheWhole) {
  test::Random random;
  const std::string bytes = random.Bytes(300'000);
  ASSERT_OK(connection_->Execute("INSERT INTO t(id, content) VALUES (9, ?1)", BlobView{bytes}));
  ASSERT_OK_AND_ASSIGN(BlobReader blob, Open(9));
  ASSERT_EQ(blob.size(), 300'000);
  for (int i = 0; i < 200; ++i) {
    const auto offset = random.Uniform<std::size_t>(0, bytes.size());
    std::vector<std::byte> out(random.Uniform<std::size_t>(0, 20'000));
    ASSERT_OK_AND_ASSIGN(const std::size_t count,
                         blob.Read(static_cast<std::int64_t>(offset), out));
    ASSERT_EQ(count, std::min(out.size(), bytes.size() - offset));
    ASSERT_TRUE(std::ranges::equal(std::span(out).first(count),
                                   BytesOf(std::string_view(bytes).substr(offset, count))));
  }
}

TEST_F(BlobTest, TextIsReadAsItsBytesAndTheEndIsZeroBytes) {
  ASSERT_OK_AND_ASSIGN(BlobReader blob, Open(1, "note"));
  std::array<std::byte, 10> out;
  EXPECT_THAT(blob.Read(0, out), IsOkAndHolds(4u));
  EXPECT_THAT(blob.Read(3, out), IsOkAndHolds(1u));
  EXPECT_THAT(blob.Read(4, out), IsOkAndHolds(0u));
  EXPECT_THAT(blob.Read(5, out), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of 4")));
  EXPECT_THAT(blob.Read(-1, out), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(BlobReader empty, Open(2));
  EXPECT_THAT(empty.Read(0, out), IsOkAndHolds(0u));
}

TEST_F(BlobTest, WhatIsNotThereIsSaid) {
  EXPECT_THAT(Open(77), StatusIs(absl::StatusCode::kNotFound, HasSubstr("t.content of row 77")));
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(Open(1, "no"), StatusIs(kBad));
  EXPECT_THAT(Open(3), StatusIs(kBad)) << "an integer";
  EXPECT_THAT(Open(2, "note"), StatusIs(kBad)) << "null";
  EXPECT_THAT(BlobReader::Open(*connection_, {"no", "content", 1}), StatusIs(kBad));
  ASSERT_OK(
      connection_->ExecuteScript("CREATE VIEW v AS SELECT * FROM t;"
                                 "CREATE TABLE w(a PRIMARY KEY, b) WITHOUT ROWID"));
  EXPECT_THAT(BlobReader::Open(*connection_, {"v", "content", 1}), StatusIs(kBad));
  EXPECT_THAT(BlobReader::Open(*connection_, {"w", "b", 1}), StatusIs(kBad));
  EXPECT_THAT(BlobReader::Open(*connection_, {std::string("t\0x", 3), "content", 1}),
              StatusIs(kBad));
}

TEST_F(BlobTest, AChangedRowIsNotReadOn) {
  std::array<std::byte, 3> out;
  ASSERT_OK_AND_ASSIGN(BlobReader blob, Open(1));
  ASSERT_OK(connection_->Execute("UPDATE t SET content = x'ffffff' WHERE id = 1"));
  EXPECT_THAT(blob.Read(0, out), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(blob.Read(0, out), StatusIs(absl::StatusCode::kAborted));
  ASSERT_OK_AND_ASSIGN(BlobReader again, Open(1));
  EXPECT_THAT(again.Read(0, out), IsOkAndHolds(3u));
  EXPECT_EQ(out[0], std::byte{255});
}

TEST_F(BlobTest, MovingToAnotherRow) {
  std::array<std::byte, 3> out;
  ASSERT_OK_AND_ASSIGN(BlobReader blob, Open(1));
  ASSERT_OK(connection_->Execute("INSERT INTO t(id, content) VALUES (5, x'0a0b')"));
  ASSERT_OK(blob.MoveTo(5));
  EXPECT_EQ(blob.size(), 2);
  EXPECT_THAT(blob.Read(0, out), IsOkAndHolds(2u));
  EXPECT_THAT(blob.MoveTo(77), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(blob.size(), 0);
  EXPECT_FALSE(blob.Read(0, out).ok());
}

TEST_F(BlobTest, WritingChangesBytesInPlace) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    ASSERT_OK(connection_->Execute("INSERT INTO t(id, content) VALUES (9, zeroblob(8))"));
    {
      ASSERT_OK_AND_ASSIGN(BlobWriter blob, BlobWriter::Open(*connection_, {"t", "content", 9}));
      ASSERT_EQ(blob.size(), 8);
      ASSERT_OK(blob.Write(0, BytesOf("abcd")));
      ASSERT_OK(blob.Write(6, BytesOf("yz")));
      const auto kBad = absl::StatusCode::kInvalidArgument;
      EXPECT_THAT(blob.Write(7, BytesOf("yz")), StatusIs(kBad, HasSubstr("does not grow")));
      EXPECT_THAT(blob.Write(-1, BytesOf("a")), StatusIs(kBad));
      EXPECT_FALSE(transaction.Commit().ok()) << "SQLite refuses while a blob is being written";
    }
    ASSERT_OK(transaction.Commit());
  }
  EXPECT_EQ(Text(*connection_, "SELECT hex(content) FROM t WHERE id = 9"), "616263640000797A");
}

TEST_F(BlobTest, WritingIsRolledBackWithItsTransaction) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    ASSERT_OK_AND_ASSIGN(BlobWriter blob, BlobWriter::Open(*connection_, {"t", "content", 1}));
    ASSERT_OK(blob.Write(0, BytesOf("zzz")));
  }
  EXPECT_EQ(Text(*connection_, "SELECT hex(content) FROM t WHERE id = 1"), "000102");
}

TEST_F(BlobTest, WritingNeedsATransactionAndTheRight) {
  const BlobAddress address{"t", "content", 1};
  EXPECT_THAT(BlobWriter::Open(*connection_, address),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("transaction")));
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kRead));
    EXPECT_THAT(BlobWriter::Open(*connection_, address),
                StatusIs(absl::StatusCode::kPermissionDenied));
  }
  ASSERT_OK_AND_ASSIGN(Transaction transaction,
                       Transaction::Begin(*connection_, TransactionMode::kWrite));
  EXPECT_THAT(BlobWriter::Open(*connection_, {"t", "marked", 1}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("indexed")));
}

// SQLite does not ask the authorizer about blobs, so the rules of a unit of work are asked here.
TEST(BlobPolicyTest, AUnitOfWorkDoesNotWriteProtectedTables) {
  const std::string path = SqliteConnection::InMemoryPath();
  const ConnectionPtr setup = testing_support::OpenOrDie({.path = path});
  ASSERT_OK(
      setup->ExecuteScript("CREATE TABLE own(a BLOB); INSERT INTO own VALUES (x'00');"
                           "CREATE TABLE free(a BLOB); INSERT INTO free VALUES (x'00')"));
  const ConnectionPtr unit = testing_support::OpenOrDie(
      {.path = path, .policy = Policy::kUnit, .is_protected = [](std::string_view table) {
         return table == "own";
       }});
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Transaction::Begin(*unit, TransactionMode::kWrite));
  EXPECT_THAT(BlobWriter::Open(*unit, {"own", "a", 1}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_OK(BlobWriter::Open(*unit, {"free", "a", 1}));
  EXPECT_OK(BlobReader::Open(*unit, {"own", "a", 1}));
  // The table's name in another case is the same table; nobody's is_protected need know.
  EXPECT_FALSE(BlobWriter::Open(*unit, {"OWN", "a", 1}).ok());
}

TEST(BlobLeaseTest, AReadLeaseReadsOneStateAndCutsOffWhatOutlivesIt) {
  const TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = directory.File("t.db")}));
  const auto write = [&](std::string_view script) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->ExecuteScript(script));
  };
  write("CREATE TABLE t(content); INSERT INTO t VALUES (zeroblob(100000))");
  std::vector<std::byte> out(100'000);
  std::optional<BlobReader> kept;
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    ASSERT_OK_AND_ASSIGN(BlobReader blob, BlobReader::Open(reader, {"t", "content", 1}));
    write("UPDATE t SET content = randomblob(100000)");
    ASSERT_THAT(blob.Read(0, out), IsOkAndHolds(100'000u));
    EXPECT_EQ(std::ranges::count(out, std::byte{0}), 100'000) << "not the state it was opened in";
    kept.emplace(std::move(blob));
  }
  EXPECT_THAT(kept->Read(0, out), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(kept->MoveTo(1), StatusIs(absl::StatusCode::kFailedPrecondition));
  write("DROP TABLE t");
}

TEST(BlobLeaseTest, ADeadlineHoldsForBlobsToo) {
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (x'00')"));
  ASSERT_OK_AND_ASSIGN(BlobReader blob, BlobReader::Open(*connection, {"t", "a", 1}));
  connection->SetDeadline(std::chrono::steady_clock::now());
  std::array<std::byte, 1> out;
  EXPECT_THAT(blob.Read(0, out), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(BlobReader::Open(*connection, {"t", "a", 1}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace vouch::storage

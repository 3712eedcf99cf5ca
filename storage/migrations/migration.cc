#include "storage/migrations/migration.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

bool IsSetName(const std::string& name) {
  if (name.empty()) return true;
  return absl::ascii_islower(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
         });
}

std::string Label(const Migration& migration) {
  return migration.file.empty() ? absl::StrCat(migration.version, " (", migration.name, ")")
                                : migration.file;
}

// Sorted, they are 1, 2, 3 …
absl::Status CheckNumbers(const std::vector<Migration>& migrations) {
  const Migration* before = nullptr;
  for (const Migration& migration : migrations) {
    const std::int64_t expected = before == nullptr ? 1 : before->version + 1;
    if (before != nullptr && migration.version == before->version) {
      return absl::InvalidArgumentError(absl::StrCat("migrations: version ", migration.version,
                                                     " twice: ", Label(*before), " and ",
                                                     Label(migration)));
    }
    if (migration.version != expected) {
      return absl::InvalidArgumentError(
          absl::StrCat("migrations: version ", expected, " is missing before ", Label(migration)));
    }
    before = &migration;
  }
  return absl::OkStatus();
}

absl::Status FileError(const std::filesystem::path& path, const std::error_code& error) {
  const std::string message = absl::StrCat("migrations: ", path.string(), ": ", error.message());
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    return absl::NotFoundError(message);
  }
  if (error == std::errc::permission_denied) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

// Whoever can write a migration can have any SQL run; in a folder that has the sticky bit too, for
// there another file can be put beside.
absl::Status RefuseForeignHands(const std::filesystem::path& path) {
  std::error_code error;
  const auto mode = std::filesystem::status(path, error).permissions();
  if (error) return FileError(path, error);
  if ((mode & std::filesystem::perms::others_write) == std::filesystem::perms::none) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("migrations: everybody may write ", path.string(), "; chmod o-w it"));
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.is_open() || stream.bad()) {
    return FileError(path, std::make_error_code(std::errc::permission_denied));
  }
  return text;
}

}  // namespace

absl::StatusOr<MigrationSet> MigrationSet::FromSql(std::string name,
                                                   std::vector<Migration> migrations) {
  if (!IsSetName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("migrations: a set's name is empty or a lower-case letter followed by "
                     "lower-case letters, digits and underscores: \"",
                     name, "\""));
  }
  for (Migration& migration : migrations) {
    migration.up = NormalizeText(migration.up);
    migration.down = NormalizeText(migration.down);
    migration.verify = NormalizeText(migration.verify);
    VOUCH_RETURN_IF_ERROR(CheckMigration(migration));
  }
  std::stable_sort(migrations.begin(), migrations.end(),
                   [](const Migration& a, const Migration& b) { return a.version < b.version; });
  VOUCH_RETURN_IF_ERROR(CheckNumbers(migrations));
  return MigrationSet(std::move(name), std::move(migrations));
}

absl::StatusOr<MigrationSet> MigrationSet::FromFiles(std::string name,
                                                     std::span<const MigrationFile> files) {
  std::vector<Migration> migrations;
  for (const MigrationFile& file : files) {
    VOUCH_ASSIGN_OR_RETURN(Migration migration, ParseMigration(file));
    migrations.push_back(std::move(migration));
  }
  return FromSql(std::move(name), std::move(migrations));
}

absl::StatusOr<MigrationSet> MigrationSet::FromFolder(const std::filesystem::path& folder,
                                                      std::string name) {
  VOUCH_RETURN_IF_ERROR(RefuseForeignHands(folder));
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".sql") paths.push_back(entry->path());
  }
  if (error) return FileError(folder, error);
  std::sort(paths.begin(), paths.end());
  std::vector<Migration> migrations;
  for (const std::filesystem::path& path : paths) {
    VOUCH_RETURN_IF_ERROR(RefuseForeignHands(path));
    VOUCH_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    const std::string file = path.filename().string();
    VOUCH_ASSIGN_OR_RETURN(Migration migration, ParseMigration({.name = file, .text = text}));
    migrations.push_back(std::move(migration));
  }
  return FromSql(std::move(name), std::move(migrations));
}

MigrationSet MigrationSet::FromEmbedded(std::string name, std::span<const MigrationFile> files) {
  absl::StatusOr<MigrationSet> set = FromFiles(std::move(name), files);
  if (!set.ok()) {
    std::fprintf(stderr, "embedded migrations: %s\n", set.status().ToString().c_str());
    std::abort();
  }
  return *std::move(set);
}

const Migration* MigrationSet::Find(std::int64_t version) const {
  if (version < 1 || version > latest()) return nullptr;
  return &migrations_[static_cast<std::size_t>(version - 1)];
}

std::string MigrationSet::history_table() const {
  return name_.empty() ? "schema_migrations" : name_ + "_schema_migrations";
}

std::string MigrationSet::Describe(std::int64_t version, const std::string& migration_name) const {
  return absl::StrCat(name_, name_.empty() ? "" : " ", version, " (", migration_name, ")");
}

std::string Checksum(const Migration& migration) {
  Sha256 hash;
  hash.Update("vouch-migration/1\n");
  const std::string version = absl::StrCat(migration.version);
  for (const std::string* text : {&version, &migration.name, &migration.up, &migration.down}) {
    hash.Update(absl::StrCat(text->size(), ":")).Update(*text).Update("\n");
  }
  return HexOf(hash.Finish());
}

}  // namespace vouch::storage

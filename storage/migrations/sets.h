// The schemas that come with the library, built into it from the files below sets/.
//
//   core    the ledger (unit_of_work, uow_writes, uow_ledger), what units leave to be delivered or
//           remembered (uow_outbox, uow_idempotency_keys), and the tables of the operations modules
//           (storage_pool_config, storage_vacuum_log and so on)
//   memory  sessions, memories, documents, tasks, agents and their audit trail
//
//   VOUCH_RETURN_IF_ERROR(Migrator(connection, CoreMigrations()).Up().status());
//
// A program builds in its own with vouch_embed_migrations() (cmake/VouchEmbed.cmake), or reads them
// with MigrationSet::FromFolder().
//
// Thread safety: any thread. Ownership: they live for ever. Cost: the first call parses.

#ifndef VOUCH_STORAGE_MIGRATIONS_SETS_H_
#define VOUCH_STORAGE_MIGRATIONS_SETS_H_

#include "storage/migrations/migration.h"

namespace vouch::storage {

const MigrationSet& CoreMigrations();
const MigrationSet& MemoryMigrations();

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_MIGRATIONS_SETS_H_

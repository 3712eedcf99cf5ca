-- vouch:migration v1
-- vouch:id storage-uow-enhancement-v1_1_0
-- vouch:version 1.1.0
-- vouch:description Enhance Unit of Work with performance monitoring, receipts, and comprehensive error handling

-- vouch:up
ALTER TABLE unit_of_work ADD COLUMN total_execution_time_ms INTEGER DEFAULT 0;
ALTER TABLE unit_of_work ADD COLUMN commit_time_ms INTEGER DEFAULT 0;
ALTER TABLE unit_of_work ADD COLUMN store_count INTEGER DEFAULT 0;
ALTER TABLE unit_of_work ADD COLUMN total_bytes_written INTEGER DEFAULT 0;
ALTER TABLE unit_of_work ADD COLUMN retry_count INTEGER DEFAULT 0;

ALTER TABLE unit_of_work ADD COLUMN error_type TEXT;
ALTER TABLE unit_of_work ADD COLUMN error_message TEXT;
ALTER TABLE unit_of_work ADD COLUMN failed_store TEXT;
ALTER TABLE unit_of_work ADD COLUMN error_ts TEXT;
ALTER TABLE unit_of_work ADD COLUMN recovery_attempted INTEGER DEFAULT 0;

ALTER TABLE unit_of_work ADD COLUMN receipt_hash TEXT;
ALTER TABLE unit_of_work ADD COLUMN receipt_signature TEXT;

ALTER TABLE unit_of_work ADD COLUMN space_id TEXT;
ALTER TABLE unit_of_work ADD COLUMN actor_id TEXT;
ALTER TABLE unit_of_work ADD COLUMN device_id TEXT;
ALTER TABLE unit_of_work ADD COLUMN correlation_id TEXT;
ALTER TABLE unit_of_work ADD COLUMN band TEXT
  CHECK (band = 'GREEN' OR band = 'AMBER' OR band = 'RED' OR band = 'BLACK');
ALTER TABLE unit_of_work ADD COLUMN contract_version TEXT DEFAULT '1.1.0';

ALTER TABLE uow_writes ADD COLUMN operation_type TEXT DEFAULT 'create'
  CHECK (operation_type = 'create' OR operation_type = 'update' OR operation_type = 'delete'
         OR operation_type = 'upsert');
ALTER TABLE uow_writes ADD COLUMN bytes_written INTEGER DEFAULT 0;
ALTER TABLE uow_writes ADD COLUMN checksum TEXT;
-- The record's checksum before the unit: what makes a write verifiable on its own.
ALTER TABLE uow_writes ADD COLUMN prior_checksum TEXT;

-- Context is optional, and most units carry little of it: a partial index costs those nothing.
CREATE INDEX idx_uow_space_id ON unit_of_work(space_id) WHERE space_id IS NOT NULL;
CREATE INDEX idx_uow_actor_id ON unit_of_work(actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX idx_uow_band ON unit_of_work(band) WHERE band IS NOT NULL;
CREATE INDEX idx_uow_status_created ON unit_of_work(status, created_ts);
CREATE INDEX idx_uow_correlation_id ON unit_of_work(correlation_id)
  WHERE correlation_id IS NOT NULL;

UPDATE unit_of_work SET contract_version = '1.1.0' WHERE contract_version IS NULL;

-- vouch:down
DROP INDEX idx_uow_space_id;
DROP INDEX idx_uow_actor_id;
DROP INDEX idx_uow_band;
DROP INDEX idx_uow_status_created;
DROP INDEX idx_uow_correlation_id;

ALTER TABLE uow_writes DROP COLUMN prior_checksum;
ALTER TABLE uow_writes DROP COLUMN checksum;
ALTER TABLE uow_writes DROP COLUMN bytes_written;
ALTER TABLE uow_writes DROP COLUMN operation_type;

ALTER TABLE unit_of_work DROP COLUMN contract_version;
ALTER TABLE unit_of_work DROP COLUMN band;
ALTER TABLE unit_of_work DROP COLUMN correlation_id;
ALTER TABLE unit_of_work DROP COLUMN device_id;
ALTER TABLE unit_of_work DROP COLUMN actor_id;
ALTER TABLE unit_of_work DROP COLUMN space_id;
ALTER TABLE unit_of_work DROP COLUMN receipt_signature;
ALTER TABLE unit_of_work DROP COLUMN receipt_hash;
ALTER TABLE unit_of_work DROP COLUMN recovery_attempted;
ALTER TABLE unit_of_work DROP COLUMN error_ts;
ALTER TABLE unit_of_work DROP COLUMN failed_store;
ALTER TABLE unit_of_work DROP COLUMN error_message;
ALTER TABLE unit_of_work DROP COLUMN error_type;
ALTER TABLE unit_of_work DROP COLUMN retry_count;
ALTER TABLE unit_of_work DROP COLUMN total_bytes_written;
ALTER TABLE unit_of_work DROP COLUMN store_count;
ALTER TABLE unit_of_work DROP COLUMN commit_time_ms;
ALTER TABLE unit_of_work DROP COLUMN total_execution_time_ms;

-- vouch:verify
SELECT group_concat(name, ' ') =
  'seq uow_id envelope_id status created_ts committed_ts'
  || ' total_execution_time_ms commit_time_ms store_count total_bytes_written retry_count'
  || ' error_type error_message failed_store error_ts recovery_attempted'
  || ' receipt_hash receipt_signature'
  || ' space_id actor_id device_id correlation_id band contract_version'
FROM pragma_table_info('unit_of_work');
SELECT group_concat(name, ' ') =
  'seq ordinal store record_id operation_type bytes_written checksum prior_checksum'
FROM pragma_table_info('uow_writes');
SELECT count(*) = 5 FROM pragma_index_list('unit_of_work')
WHERE name IN ('idx_uow_space_id', 'idx_uow_actor_id', 'idx_uow_band', 'idx_uow_status_created',
               'idx_uow_correlation_id');
-- The contract's own questions, each of which counts offenders.
SELECT count(*) = 0 FROM unit_of_work WHERE total_execution_time_ms < 0 OR commit_time_ms < 0;
SELECT count(*) = 0 FROM unit_of_work
WHERE receipt_hash IS NOT NULL
  AND (length(receipt_hash) <> 64 OR receipt_hash GLOB '*[^0-9A-Fa-f]*');
SELECT count(*) = 0 FROM unit_of_work
WHERE band IS NOT NULL AND band NOT IN ('GREEN', 'AMBER', 'RED', 'BLACK');

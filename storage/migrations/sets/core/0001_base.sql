-- vouch:migration v1
-- vouch:version 1.0.0
-- vouch:description The ledger's tables: its identity, its units of work and their writes

-- The CHECKs of what every unit inserts are cheap ones; the audit checks the grammars of ids and times
-- to the letter, together with everything a CHECK cannot see. `x = 'a' OR x = 'b'` stands where IN
-- would be shorter: for a list of three or more SQLite fills a temporary table at every insert, which
-- takes as long as the insert. There is no foreign key from uow_writes: the audit finds writes
-- without a receipt, and a key would cost every write a look-up.

-- vouch:up
-- One row. `id` is a ULID, `format` the number of the format that is hashed.
CREATE TABLE uow_ledger (
  id TEXT NOT NULL
    CHECK (length(id) = 26 AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*' AND id < '8'),
  format INTEGER NOT NULL CHECK (format >= 1),
  created TEXT NOT NULL
    CHECK (created GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z')
) STRICT;

-- One row a unit that ran, whatever became of it; seq is 1, 2, 3 … without gaps.
CREATE TABLE unit_of_work (
  seq INTEGER PRIMARY KEY CHECK (seq >= 1),
  uow_id TEXT NOT NULL
    CHECK (length(uow_id) = 26 AND uow_id < '8'),
  envelope_id TEXT,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status = 'committed' OR status = 'pending' OR status = 'rolled_back'
           OR status = 'failed'),
  created_ts TEXT NOT NULL
    CHECK (length(created_ts) = 24),
  committed_ts TEXT
    CHECK (length(committed_ts) = 24),
  CHECK ((status = 'committed') = (committed_ts IS NOT NULL))
) STRICT;

-- A unit commits once; the id of a failed one may be used again.
CREATE UNIQUE INDEX idx_uow_committed ON unit_of_work(uow_id) WHERE status = 'committed';

-- What a unit wrote, one row a record; ordinal is 0, 1, 2 … in the order of the first change.
CREATE TABLE uow_writes (
  seq INTEGER NOT NULL CHECK (seq >= 1),
  ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
  store TEXT NOT NULL,
  record_id TEXT NOT NULL,
  PRIMARY KEY (seq, ordinal)
) STRICT, WITHOUT ROWID;

-- vouch:down
DROP TABLE uow_writes;
DROP INDEX idx_uow_committed;
DROP TABLE unit_of_work;
DROP TABLE uow_ledger;

-- vouch:verify
SELECT count(*) = 3 FROM sqlite_schema
WHERE type = 'table' AND name IN ('uow_ledger', 'unit_of_work', 'uow_writes');
SELECT count(*) = 3 FROM pragma_table_list
WHERE schema = 'main' AND name IN ('uow_ledger', 'unit_of_work', 'uow_writes') AND strict = 1;
SELECT group_concat(name, ' ') = 'seq uow_id envelope_id status created_ts committed_ts'
FROM pragma_table_info('unit_of_work');
SELECT group_concat(name, ' ') = 'seq ordinal store record_id' FROM pragma_table_info('uow_writes');
SELECT "unique" = 1 AND partial = 1 FROM pragma_index_list('unit_of_work')
WHERE name = 'idx_uow_committed';

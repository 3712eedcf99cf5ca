-- vouch:migration v1
-- vouch:id storage-uow-outbox-v1_3_0
-- vouch:version 1.3.0
-- vouch:description Messages that units of work leave to be delivered, and results kept against repetition

-- Times are those of units of work. Both tables are vouch's own: units write to them through the
-- library only, and receipts do not list them.

-- vouch:up
-- A message, from its unit until it is delivered. `ordering_key` is '' where there is none, so that
-- the streams (topic, ordering_key) are rows of one index. `not_before` is when a failed delivery is
-- tried again, or a claim ends; `claim` is the token of whoever delivers it.
CREATE TABLE uow_outbox (
  id INTEGER PRIMARY KEY,
  uow_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
  topic TEXT NOT NULL CHECK (topic <> ''),
  ordering_key TEXT NOT NULL DEFAULT '',
  headers TEXT CHECK (headers IS NULL OR json_valid(headers)),
  payload BLOB NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  not_before TEXT,
  claim TEXT,
  last_error TEXT,
  dead_since TEXT
) STRICT;

-- Delivery goes from stream to stream, and within one in the order of the units.
CREATE INDEX idx_uow_outbox_stream ON uow_outbox(topic, ordering_key, id)
  WHERE dead_since IS NULL;
CREATE INDEX idx_uow_outbox_dead ON uow_outbox(id) WHERE dead_since IS NOT NULL;
CREATE UNIQUE INDEX idx_uow_outbox_unit ON uow_outbox(uow_id, ordinal);

-- The result of an operation, by the SHA-256 of what was asked. The plain name idempotency_keys is
-- left to applications, which have tables of that name.
CREATE TABLE uow_idempotency_keys (
  key TEXT NOT NULL PRIMARY KEY
    CHECK (length(key) = 64 AND key NOT GLOB '*[^0-9a-f]*'),
  operation TEXT NOT NULL,
  uow_id TEXT NOT NULL,
  result BLOB NOT NULL,
  expires TEXT NOT NULL
    CHECK (expires GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z')
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_uow_idempotency_expires ON uow_idempotency_keys(expires);

-- vouch:down
DROP TABLE uow_idempotency_keys;
DROP TABLE uow_outbox;

-- vouch:verify
SELECT count(*) = 2 FROM pragma_table_list
WHERE schema = 'main' AND name IN ('uow_outbox', 'uow_idempotency_keys') AND strict = 1;
SELECT group_concat(name, ' ') =
  'id uow_id ordinal topic ordering_key headers payload attempts not_before claim last_error'
  || ' dead_since'
FROM pragma_table_info('uow_outbox');
SELECT group_concat(name, ' ') = 'key operation uow_id result expires'
FROM pragma_table_info('uow_idempotency_keys');
SELECT count(*) = 4 FROM sqlite_schema
WHERE type = 'index' AND name IN ('idx_uow_outbox_stream', 'idx_uow_outbox_dead',
                                  'idx_uow_outbox_unit', 'idx_uow_idempotency_expires');

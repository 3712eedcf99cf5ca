-- vouch:migration v1
-- vouch:version 1.0.0
-- vouch:description Sessions, memories and documents, and the tasks, agents and audit trail around them

-- Times are text in UTC. Keys are NOT NULL, which SQLite does not imply for a TEXT PRIMARY KEY: a
-- record without a key could not be named in a receipt. The memory tables come first, because the
-- others refer to them.

-- vouch:up
CREATE TABLE sessions (
  id TEXT NOT NULL PRIMARY KEY,
  app_name TEXT NOT NULL,
  user_id TEXT NOT NULL,
  project_id TEXT,
  status TEXT NOT NULL DEFAULT 'created'
    CHECK (status IN ('created', 'active', 'paused', 'terminated', 'archived')),
  events TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(events)),
  state TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(state)),
  -- json_valid(NULL) is 0 before SQLite 3.46 and NULL after: write '{}', never NULL.
  metadata TEXT DEFAULT '{}' CHECK (json_valid(metadata)),
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  last_update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  terminated_at TIMESTAMP,
  archived_at TIMESTAMP
);

CREATE TABLE memory_entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL CHECK (json_valid(value)),
  memory_type TEXT NOT NULL CHECK (memory_type IN ('semantic', 'episodic', 'procedural')),
  version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0),
  is_deleted BOOLEAN NOT NULL DEFAULT 0,
  metadata TEXT DEFAULT '{}' CHECK (json_valid(metadata)),
  created_by TEXT,
  updated_by TEXT,
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (namespace, key, version)
);

CREATE TABLE document_index (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  file_path TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  document_type TEXT,  -- design, specification, plan, report; others are accepted.
  content_hash TEXT NOT NULL,  -- SHA-256 of the content.
  chunk_count INTEGER DEFAULT 1,
  embedding_model TEXT,
  embedding_blob BLOB,
  metadata TEXT DEFAULT '{}' CHECK (json_valid(metadata)),
  last_synced_at TIMESTAMP,
  sync_status TEXT DEFAULT 'pending'
    CHECK (sync_status IN ('pending', 'synced', 'failed', 'stale')),
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE tasks (
  id TEXT NOT NULL PRIMARY KEY,
  prompt TEXT NOT NULL,
  agent_type TEXT NOT NULL DEFAULT 'general',
  priority INTEGER NOT NULL DEFAULT 5,  -- 0 to 10; the larger, the more urgent.
  status TEXT NOT NULL,  -- pending, running, completed, failed, cancelled.
  input_data TEXT NOT NULL,  -- JSON.
  result_data TEXT,  -- JSON.
  error_message TEXT,
  retry_count INTEGER DEFAULT 0,
  max_retries INTEGER DEFAULT 3,
  max_execution_timeout_seconds INTEGER DEFAULT 3600,
  submitted_at TIMESTAMP NOT NULL,
  started_at TIMESTAMP,
  completed_at TIMESTAMP,
  last_updated_at TIMESTAMP NOT NULL,
  created_by TEXT,
  parent_task_id TEXT REFERENCES tasks(id),
  dependencies TEXT,  -- JSON array of task ids.
  session_id TEXT REFERENCES sessions(id) ON DELETE SET NULL
);

CREATE TABLE agents (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  specialization TEXT NOT NULL,
  task_id TEXT NOT NULL REFERENCES tasks(id),
  -- spawning, idle, busy, working, waiting, terminating, terminated.
  state TEXT NOT NULL,
  model TEXT NOT NULL,
  spawned_at TIMESTAMP NOT NULL,
  terminated_at TIMESTAMP,
  resource_usage TEXT,  -- JSON.
  session_id TEXT REFERENCES sessions(id) ON DELETE SET NULL
);

-- Memories are written without a task, and the trail outlives the tasks: task_id may be NULL or
-- name a task that is not there.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  timestamp TIMESTAMP NOT NULL,
  agent_id TEXT REFERENCES agents(id),
  task_id TEXT,
  action_type TEXT NOT NULL,
  action_data TEXT,  -- JSON.
  result TEXT,
  memory_operation_type TEXT,  -- create, update, delete, consolidate, publish.
  memory_namespace TEXT,
  memory_entry_id INTEGER REFERENCES memory_entries(id) ON DELETE SET NULL
);

CREATE TABLE checkpoints (
  task_id TEXT NOT NULL REFERENCES tasks(id),
  iteration INTEGER NOT NULL,
  state TEXT NOT NULL,  -- JSON.
  created_at TIMESTAMP NOT NULL,
  session_id TEXT REFERENCES sessions(id) ON DELETE SET NULL,
  PRIMARY KEY (task_id, iteration)
);

-- Superseded by sessions.state; kept for those who still read it.
CREATE TABLE state (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL REFERENCES tasks(id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,  -- JSON.
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP NOT NULL,
  UNIQUE (task_id, key)
);

CREATE TABLE metrics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  timestamp TIMESTAMP NOT NULL,
  metric_name TEXT NOT NULL,
  metric_value REAL NOT NULL CHECK (metric_value >= 0),
  labels TEXT  -- JSON.
);

CREATE UNIQUE INDEX idx_sessions_pk ON sessions(id);
-- Full, not partial on the live statuses: a partial index written with IN is not used for
-- status = 'active'.
CREATE INDEX idx_sessions_status_updated ON sessions(status, last_update_time DESC);
CREATE INDEX idx_sessions_user_created ON sessions(user_id, created_at DESC);
CREATE INDEX idx_sessions_project ON sessions(project_id, created_at DESC)
  WHERE project_id IS NOT NULL;

CREATE UNIQUE INDEX idx_memory_entries_pk ON memory_entries(id);
CREATE INDEX idx_memory_namespace_key_version
  ON memory_entries(namespace, key, is_deleted, version DESC);
CREATE INDEX idx_memory_type_updated ON memory_entries(memory_type, updated_at DESC)
  WHERE is_deleted = 0;
-- For prefixes written as a range: LIKE 'prefix%' does not use it.
CREATE INDEX idx_memory_namespace_prefix ON memory_entries(namespace, updated_at DESC)
  WHERE is_deleted = 0;
-- Live rows only: as a twin of idx_memory_namespace_key_version it would take its place.
CREATE INDEX idx_memory_conflict_detection ON memory_entries(namespace, key, version DESC)
  WHERE is_deleted = 0;
CREATE INDEX idx_memory_episodic_ttl ON memory_entries(memory_type, updated_at)
  WHERE memory_type = 'episodic' AND is_deleted = 0;
CREATE INDEX idx_memory_created_by ON memory_entries(created_by, created_at DESC);

CREATE UNIQUE INDEX idx_document_index_pk ON document_index(id);
CREATE UNIQUE INDEX idx_document_file_path ON document_index(file_path);
CREATE INDEX idx_document_type_created ON document_index(document_type, created_at DESC)
  WHERE document_type IS NOT NULL;
-- A query must repeat the IN list to use it.
CREATE INDEX idx_document_sync_status ON document_index(sync_status, last_synced_at)
  WHERE sync_status IN ('pending', 'stale');
CREATE INDEX idx_document_content_hash ON document_index(content_hash);

CREATE INDEX idx_tasks_status_priority ON tasks(status, priority DESC, submitted_at ASC);
CREATE INDEX idx_tasks_submitted_at ON tasks(submitted_at);
CREATE INDEX idx_tasks_parent ON tasks(parent_task_id);
CREATE INDEX idx_tasks_running_timeout ON tasks(status, last_updated_at)
  WHERE status = 'running';
CREATE INDEX idx_tasks_session ON tasks(session_id, submitted_at DESC)
  WHERE session_id IS NOT NULL;

CREATE INDEX idx_agents_task ON agents(task_id);
CREATE INDEX idx_agents_state ON agents(state);
CREATE INDEX idx_agents_session ON agents(session_id, spawned_at DESC)
  WHERE session_id IS NOT NULL;

CREATE INDEX idx_audit_task ON audit(task_id, timestamp DESC);
CREATE INDEX idx_audit_agent ON audit(agent_id, timestamp DESC);
CREATE INDEX idx_audit_timestamp ON audit(timestamp DESC);
CREATE INDEX idx_audit_memory_operations ON audit(memory_operation_type, timestamp DESC)
  WHERE memory_operation_type IS NOT NULL;
CREATE INDEX idx_audit_memory_namespace ON audit(memory_namespace, timestamp DESC)
  WHERE memory_namespace IS NOT NULL;
CREATE INDEX idx_audit_memory_entry ON audit(memory_entry_id, timestamp DESC)
  WHERE memory_entry_id IS NOT NULL;

CREATE INDEX idx_state_task_key ON state(task_id, key);

CREATE INDEX idx_metrics_name_timestamp ON metrics(metric_name, timestamp DESC);

CREATE INDEX idx_checkpoints_task ON checkpoints(task_id, iteration DESC);

-- vouch:down
-- A table takes its indexes with it; those that refer to others go first.
DROP TABLE metrics;
DROP TABLE state;
DROP TABLE checkpoints;
DROP TABLE audit;
DROP TABLE agents;
DROP TABLE tasks;
DROP TABLE document_index;
DROP TABLE memory_entries;
DROP TABLE sessions;

-- vouch:verify
SELECT count(*) = 9 FROM sqlite_schema
WHERE type = 'table' AND name IN ('sessions', 'memory_entries', 'document_index', 'tasks',
                                  'agents', 'audit', 'checkpoints', 'state', 'metrics');
-- Those with a name of ours: UNIQUE and PRIMARY KEY bring 7 more.
SELECT count(*) = 33 FROM sqlite_schema
WHERE type = 'index' AND name NOT GLOB 'sqlite_*'
  AND tbl_name IN ('sessions', 'memory_entries', 'document_index', 'tasks', 'agents', 'audit',
                   'checkpoints', 'state', 'metrics');
SELECT count(*) = 12 FROM pragma_table_info('sessions');
SELECT count(*) = 12 FROM pragma_table_info('memory_entries');
SELECT count(*) = 13 FROM pragma_table_info('document_index');
SELECT count(*) = 19 FROM pragma_table_info('tasks');
SELECT count(*) = 10 FROM pragma_table_info('agents');
SELECT count(*) = 10 FROM pragma_table_info('audit');
SELECT count(*) = 5 FROM pragma_table_info('checkpoints');
SELECT count(*) = 6 FROM pragma_table_info('state');
SELECT count(*) = 5 FROM pragma_table_info('metrics');
-- Every part of every key is NOT NULL, or an alias of the rowid.
SELECT count(*) = 0 FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c
WHERE s.type = 'table' AND c.pk > 0 AND c."notnull" = 0 AND c.type <> 'INTEGER'
  AND s.name IN ('sessions', 'memory_entries', 'document_index', 'tasks', 'agents', 'audit',
                 'checkpoints', 'state', 'metrics');
-- What the two plans the program relies on rest on: one index is full, one only for live rows.
SELECT partial = 0 FROM pragma_index_list('sessions') WHERE name = 'idx_sessions_status_updated';
SELECT partial = 1 FROM pragma_index_list('memory_entries')
WHERE name = 'idx_memory_conflict_detection';

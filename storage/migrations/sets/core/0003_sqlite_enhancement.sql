-- vouch:migration v1
-- vouch:id storage-sqlite-enhancement-v1_2_0
-- vouch:version 1.2.0
-- vouch:description Enhance SQLite utilities with connection pooling, WAL mode, vacuum management
-- vouch:default storage_pool_config WHERE db_path = 'default' AND min_connections = 2 AND max_connections = 8 AND connection_timeout = 30

-- SQLite keeps names that begin with sqlite_ for itself, hence storage_pool_config and so on; the
-- names of indexes and of the trigger are the original ones. Times are those of datetime('now'):
-- 'YYYY-MM-DD HH:MM:SS' in UTC. The PRAGMAs belong to the connection profile, which applies them
-- outside transactions.

-- vouch:up
CREATE TABLE storage_pool_config (
  id INTEGER PRIMARY KEY,
  db_path TEXT NOT NULL UNIQUE,
  min_connections INTEGER NOT NULL DEFAULT 1,
  max_connections INTEGER NOT NULL DEFAULT 10,
  connection_timeout INTEGER NOT NULL DEFAULT 30,  -- Seconds.
  created_ts TEXT NOT NULL DEFAULT (datetime('now')),
  updated_ts TEXT NOT NULL DEFAULT (datetime('now'))
) STRICT;

CREATE TABLE storage_vacuum_log (
  id INTEGER PRIMARY KEY,
  db_path TEXT NOT NULL,
  vacuum_type TEXT NOT NULL CHECK (vacuum_type IN ('auto', 'incremental', 'full')),
  started_ts TEXT NOT NULL DEFAULT (datetime('now')),
  completed_ts TEXT,
  pages_freed INTEGER DEFAULT 0,
  bytes_freed INTEGER DEFAULT 0,
  duration_ms INTEGER DEFAULT 0,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  error_message TEXT
) STRICT;

CREATE TABLE storage_performance_metrics (
  id INTEGER PRIMARY KEY,
  db_path TEXT NOT NULL,
  metric_name TEXT NOT NULL,
  metric_value REAL NOT NULL,
  unit TEXT NOT NULL,
  recorded_ts TEXT NOT NULL DEFAULT (datetime('now')),
  context TEXT  -- JSON.
) STRICT;

CREATE TABLE storage_health_checks (
  id INTEGER PRIMARY KEY,
  db_path TEXT NOT NULL,
  check_type TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('healthy', 'warning', 'critical')),
  details TEXT,  -- JSON.
  checked_ts TEXT NOT NULL DEFAULT (datetime('now'))
) STRICT;

CREATE INDEX idx_vacuum_log_db_path ON storage_vacuum_log(db_path);
CREATE INDEX idx_vacuum_log_started ON storage_vacuum_log(started_ts);
CREATE INDEX idx_performance_metrics_db_path ON storage_performance_metrics(db_path);
CREATE INDEX idx_performance_metrics_name_ts
  ON storage_performance_metrics(metric_name, recorded_ts);
CREATE INDEX idx_health_checks_db_path ON storage_health_checks(db_path);
CREATE INDEX idx_health_checks_checked_ts ON storage_health_checks(checked_ts);

INSERT INTO storage_pool_config (db_path, min_connections, max_connections, connection_timeout)
VALUES ('default', 2, 8, 30);

-- Names its columns: an update of updated_ts must not fire it again where triggers may recurse.
CREATE TRIGGER update_pool_config_ts
  AFTER UPDATE OF db_path, min_connections, max_connections, connection_timeout
  ON storage_pool_config
  BEGIN
    UPDATE storage_pool_config SET updated_ts = datetime('now') WHERE id = NEW.id;
  END;

-- vouch:down
DROP TRIGGER update_pool_config_ts;
DROP INDEX idx_vacuum_log_db_path;
DROP INDEX idx_vacuum_log_started;
DROP INDEX idx_performance_metrics_db_path;
DROP INDEX idx_performance_metrics_name_ts;
DROP INDEX idx_health_checks_db_path;
DROP INDEX idx_health_checks_checked_ts;
DROP TABLE storage_health_checks;
DROP TABLE storage_performance_metrics;
DROP TABLE storage_vacuum_log;
DROP TABLE storage_pool_config;

-- vouch:verify
SELECT count(*) = 4 FROM sqlite_schema
WHERE type = 'table' AND name IN ('storage_pool_config', 'storage_vacuum_log',
                                  'storage_performance_metrics', 'storage_health_checks');
SELECT count(*) = 7 FROM pragma_table_info('storage_pool_config');
SELECT count(*) = 10 FROM pragma_table_info('storage_vacuum_log');
SELECT count(*) = 7 FROM pragma_table_info('storage_performance_metrics');
SELECT count(*) = 6 FROM pragma_table_info('storage_health_checks');
SELECT count(*) = 6 FROM sqlite_schema
WHERE type = 'index' AND name IN ('idx_vacuum_log_db_path', 'idx_vacuum_log_started',
                                  'idx_performance_metrics_db_path',
                                  'idx_performance_metrics_name_ts', 'idx_health_checks_db_path',
                                  'idx_health_checks_checked_ts');
SELECT count(*) = 1 FROM sqlite_schema WHERE type = 'trigger' AND name = 'update_pool_config_ts';
SELECT count(*) = 1 FROM storage_pool_config
WHERE db_path = 'default' AND min_connections = 2 AND max_connections = 8
  AND connection_timeout = 30;
SELECT count(*) = 0 FROM storage_pool_config
WHERE min_connections < 1 OR max_connections < min_connections OR connection_timeout < 1;

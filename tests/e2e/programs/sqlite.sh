#!/bin/sh
# A database is made, loaded, changed and cleaned, with a write-ahead log.
set -e
export PATH=/usr/sbin:/usr/bin
mkdir -p /data/db
cd /data/db
sqlite3 app.db 'PRAGMA journal_mode = WAL;
	CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value BLOB);
	CREATE INDEX i ON t (name);'
for n in $(seq 8); do
	sqlite3 app.db "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500)
		INSERT INTO t (name, value) SELECT 'name' || n || '-$n', randomblob(200) FROM c;
		DELETE FROM t WHERE id % $((n + 2)) = 0;"
done
sqlite3 app.db 'PRAGMA journal_mode = DELETE; VACUUM;'
sqlite3 app.db '.dump' > dump.sql
sqlite3 copy.db < dump.sql
rm dump.sql

#!/bin/sh
# PostgreSQL: initdb, tables, rows, a vacuum, a crash and the recovery from it.
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
export PATH="$bin:/usr/sbin:/usr/bin" LC_ALL=C PGHOST=/data/pg
mkdir -p /data/pg
chown 1000:1000 /data /data/pg
as() { setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/data "$@"; }
as initdb -D /data/pg/d -A trust > /data/initdb.log
start() { as pg_ctl -D /data/pg/d -w -l /data/pg/log -o "-k /data/pg -c listen_addresses=''" start; }
start
as createdb app
as psql -q app -c 'CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE INDEX ON t (v);'
for _ in 1 2 3 4 5; do
	as psql -q app -c "INSERT INTO t (v) SELECT md5(i::text) FROM generate_series(1, 5000) i;
		DELETE FROM t WHERE id % 3 = 0;"
	as psql -q app -c 'VACUUM FULL t'
done
as pg_ctl -D /data/pg/d -m immediate stop
start
as psql -q app -c 'CHECKPOINT'
as pg_ctl -D /data/pg/d -m fast stop

"""Runs the same queries on the files of the archive with other engines, and says how long each took.

The arguments are the directory of the events service and an engine: `duckdb` or `clickhouse`. It prints `ready` and the number
of files; then, for each line of standard input, which is the name of a query, a line with seconds and a figure to compare.
To `size` ClickHouse answers the bytes of the files, and those of the same rows in a table of its own.
"""

import os
import sys
import time

from pyiceberg.catalog.sql import SqlCatalog

HOUR = 3_600_000_000
QUERIES = {
    "duckdb": {
        "hours": "select epoch_us(event_timestamp) // %d as hour, event_type, count(*) as n from {files}"
        " where tenant = 'default' group by 1, 2 order by 1, 2" % HOUR,
        "errors": "select script_name, count(*) as n from {files} where tenant = 'default' and severity = 'error'"
        " group by 1 order by n desc, 1 limit 10",
        "p99": "select script_name, approx_quantile(wall_time, 0.99) from {files}"
        " where tenant = 'default' group by 1 order by 1",
    },
    "clickhouse": {
        "hours": "select toStartOfHour(event_timestamp) as hour, event_type, count() as n from {files}"
        " where tenant = 'default' group by 1, 2 order by 1, 2",
        "errors": "select script_name, count() as n from {files} where tenant = 'default' and severity = 'error'"
        " group by 1 order by n desc, 1 limit 10",
        "p99": "select script_name, quantileTDigest(0.99)(wall_time) from {files}"
        " where tenant = 'default' group by 1 order by 1",
    },
}


def engine(name, archive, files):
    if name == "duckdb":
        import duckdb

        connection = duckdb.connect()
        listed = "read_parquet([" + ", ".join("'%s'" % file for file in files) + "])"
        return listed, lambda query: connection.execute(query).fetchall()
    import chdb.session

    # ClickHouse reads files below where it runs.
    os.chdir(archive)
    # Beside them, so that it goes when they do.
    session = chdb.session.Session(os.path.join(archive, os.pardir, "clickhouse"))
    paths = [os.path.relpath(file, archive) for file in files]
    listed = "file('%s', Parquet)" % (paths[0] if len(paths) == 1 else "{%s}" % ",".join(paths))

    def run(query):
        lines = str(session.query(query, "TabSeparated")).splitlines()
        return [line.split("\t") for line in lines]

    return listed, run


def size(run, listed):
    run("create database same")
    run(
        "create table same.rows engine = MergeTree partition by (toDate(timestamp), keep) order by (tenant, timestamp, ulid)"
        f" settings allow_nullable_key = 1 as select * from {listed}"
    )
    there, copied = run(f"select count() from {listed}")[0][0], run("select count() from same.rows")[0][0]
    assert there == copied, f"{there} rows, {copied} of them in the MergeTree"
    return run("select sum(bytes_on_disk) from system.parts where active and database = 'same'")[0][0]


def main(directory, name):
    archive = os.path.join(directory, "archive")
    uri = "sqlite:///" + os.path.join(directory, "catalog.db")
    catalog = SqlCatalog("annals", uri=uri, warehouse="file://" + archive)
    tasks = catalog.load_table(("annals", "events")).scan().plan_files()
    files = [task.file.file_path.removeprefix("file://") for task in tasks]
    listed, run = engine(name, archive, files)
    print("ready", len(files), flush=True)
    for line in sys.stdin:
        if line.strip() == "size":
            print(sum(os.path.getsize(file) for file in files), size(run, listed), flush=True)
            continue
        query = QUERIES[name][line.strip()].replace("{files}", listed)
        start = time.perf_counter()
        rows = run(query)
        seconds = time.perf_counter() - start
        print(seconds, sum(float(row[-1]) for row in rows), flush=True)


main(*sys.argv[1:])

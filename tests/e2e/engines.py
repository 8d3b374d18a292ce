"""Reads the archive in a directory with engines of others, and prints what each has read.

The argument is the directory of the events service. Standard output is a line for each engine and table:
`engine table rows checksum`, the checksum being the SHA-256 of all (ulid, data), ordered by ULID.
"""

import hashlib
import json
import os
import sys

import chdb
import duckdb
from duckdb_extensions import import_extension
from pyiceberg.catalog.sql import SqlCatalog


def told(engine, table, rows):
    checksum = hashlib.sha256()
    for ulid, data in sorted(rows):
        checksum.update(ulid.encode())
        checksum.update((data or "").encode())
    print(engine, table, len(rows), checksum.hexdigest())


def main(directory):
    archive = os.path.join(directory, "archive")
    uri = "sqlite:///" + os.path.join(directory, "catalog.db")
    catalog = SqlCatalog("annals", uri=uri, warehouse="file://" + archive)
    connection = duckdb.connect()
    for extension in ("avro", "iceberg"):
        import_extension(extension)
        connection.execute("load " + extension)
    # ClickHouse reads files below where it runs.
    os.chdir(archive)
    for name in ("events", "history"):
        table = catalog.load_table(("annals", name))
        columns = table.scan(selected_fields=("ulid", "data")).to_arrow()
        told("pyiceberg", name, list(zip(columns["ulid"].to_pylist(), columns["data"].to_pylist())))
        query = f"select ulid, data from iceberg_scan('{table.metadata_location}')"
        told("duckdb", name, connection.execute(query).fetchall())
        query = f"select ulid, data from icebergLocal('{archive}/{name}') format JSONCompactEachRow"
        told("clickhouse", name, [tuple(json.loads(line)) for line in str(chdb.query(query)).splitlines() if line])


main(sys.argv[1])

"""Reads the archive in a directory with engines of others, and prints what each has read.

The arguments are the directory of the events service and, if the catalog is not the one there, PyIceberg's properties for
it, as JSON. Standard output is a line for each engine and table: `engine table rows checksum`, the checksum being the
SHA-256 of all (ulid, data), ordered by ULID; and one for each table, `files table missing unreferenced`: how many files its
metadata refers to that are not there, and how many are there that it does not refer to.
"""

import hashlib
import json
import os
import sys

import chdb
import duckdb
from duckdb_extensions import import_extension
from pyiceberg.catalog import load_catalog


def told(engine, table, rows):
    checksum = hashlib.sha256()
    for ulid, data in sorted(rows):
        checksum.update(ulid.encode())
        checksum.update((data or "").encode())
    print(engine, table, len(rows), checksum.hexdigest())


def told_files(table, name, directory):
    referred = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    for snapshot in table.snapshots():
        referred.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            referred.add(manifest.manifest_path)
            referred.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
    there = {"file://" + os.path.join(path, file) for path, _, files in os.walk(directory) for file in files}
    print("files", name, len(referred - there), len(there - referred))


def main(directory, properties):
    archive = os.path.join(directory, "archive")
    catalog = load_catalog("annals", **properties)
    connection = duckdb.connect()
    for extension in ("avro", "iceberg"):
        import_extension(extension)
        connection.execute("load " + extension)
    # ClickHouse reads files below where it runs.
    os.chdir(archive)
    for name in ("events", "history"):
        table = catalog.load_table(("annals", name))
        columns = table.scan(selected_fields=("ulid", "data")).to_arrow()
        told_files(table, name, os.path.join(archive, name))
        told("pyiceberg", name, list(zip(columns["ulid"].to_pylist(), columns["data"].to_pylist())))
        query = f"select ulid, data from iceberg_scan('{table.metadata_location}')"
        told("duckdb", name, connection.execute(query).fetchall())
        query = f"select ulid, data from icebergLocal('{archive}/{name}') format JSONCompactEachRow"
        told("clickhouse", name, [tuple(json.loads(line)) for line in str(chdb.query(query)).splitlines() if line])


SQLITE = {"type": "sql", "uri": "sqlite:///" + os.path.join(sys.argv[1], "catalog.db")}
main(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else SQLITE)

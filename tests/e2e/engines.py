"""Reads the archive with engines of others, and prints what each has read.

The arguments are the directory of the events service, and a JSON object: `endpoint` is the S3 server that has the archive's
files, without it they are in that directory; `catalog` is PyIceberg's properties for the catalog, without it that is there
as well. Standard output is a line for each engine and table: `engine table rows checksum`, the checksum being the SHA-256 of
all (ulid, data), ordered by ULID; and one for each table, `files table missing unreferenced`: how many files its metadata
refers to that are not there, and how many are there that it does not refer to.
"""

import hashlib
import json
import os
import sys

import chdb
import duckdb
from duckdb_extensions import import_extension
from pyarrow.fs import FileSelector, FileType
from pyiceberg.catalog import load_catalog


def told(engine, table, rows):
    checksum = hashlib.sha256()
    for ulid, data in sorted(rows):
        checksum.update(ulid.encode())
        checksum.update((data or "").encode())
    print(engine, table, len(rows), checksum.hexdigest())


def told_files(table, name):
    referred = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    for snapshot in table.snapshots():
        referred.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            referred.add(manifest.manifest_path)
            referred.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
    scheme, path = table.location().split("://", 1)
    files = table.io.fs_by_scheme(scheme, None).get_file_info(FileSelector(path, recursive=True))
    there = {f"{scheme}://{file.path}" for file in files if file.type == FileType.File}
    print("files", name, len(referred - there), len(there - referred))


KEY = "annals"


def main(directory, endpoint, catalog):
    archive = os.path.join(directory, "archive")
    properties = catalog or {"type": "sql", "uri": "sqlite:///" + os.path.join(directory, "catalog.db")}
    extensions = ["avro", "iceberg"]
    if endpoint:
        properties |= {
            "s3.endpoint": endpoint,
            "s3.access-key-id": KEY,
            "s3.secret-access-key": KEY,
            "s3.region": "us-east-1",
        }
        extensions.insert(0, "httpfs")
    else:
        # ClickHouse reads files below where it runs.
        os.chdir(archive)
    catalog = load_catalog("annals", **properties)
    connection = duckdb.connect()
    for extension in extensions:
        import_extension(extension)
        connection.execute("load " + extension)
    if endpoint:
        connection.execute(
            f"create secret (type s3, key_id '{KEY}', secret '{KEY}', region 'us-east-1', url_style 'path', "
            f"use_ssl false, endpoint '{endpoint.removeprefix('http://')}')"
        )
    for name in ("events", "history"):
        table = catalog.load_table(("annals", name))
        columns = table.scan(selected_fields=("ulid", "data")).to_arrow()
        told_files(table, name)
        told("pyiceberg", name, list(zip(columns["ulid"].to_pylist(), columns["data"].to_pylist())))
        query = f"select ulid, data from iceberg_scan('{table.metadata_location}')"
        told("duckdb", name, connection.execute(query).fetchall())
        if endpoint:
            location = table.location().removeprefix("s3://")
            source = f"icebergS3('{endpoint}/{location}', '{KEY}', '{KEY}')"
        else:
            source = f"icebergLocal('{archive}/{name}')"
        query = f"select ulid, data from {source} format JSONCompactEachRow"
        told("clickhouse", name, [tuple(json.loads(line)) for line in str(chdb.query(query)).splitlines() if line])


main(sys.argv[1], **json.loads(sys.argv[2]))

"""Reads the archive with engines of others, and prints what each has read.

The first argument is the directory of the events service. A second one is the endpoint of the S3 server that has the
archive's files; without it they are in that directory. Standard output is a line for each engine and table:
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


KEY = "annals"


def main(directory, endpoint=None):
    archive = os.path.join(directory, "archive")
    properties = {}
    extensions = ["avro", "iceberg"]
    if endpoint:
        properties = {
            "s3.endpoint": endpoint,
            "s3.access-key-id": KEY,
            "s3.secret-access-key": KEY,
            "s3.region": "us-east-1",
        }
        extensions.insert(0, "httpfs")
    else:
        # ClickHouse reads files below where it runs.
        os.chdir(archive)
    uri = "sqlite:///" + os.path.join(directory, "catalog.db")
    catalog = SqlCatalog("annals", uri=uri, **properties)
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


main(*sys.argv[1:])

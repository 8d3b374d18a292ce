"""Looks at an archive in a bucket with a reader and a client of others.

Arguments: the catalog's file and the endpoint of the S3 server. Standard output is a line for each thing:
`event ULID` for each row of `events`, `file KEY` for each object, `missing KEY` for each that the tables lead to and that
is not there, `unreferenced KEY` for each that nothing leads to, `upload KEY` for each upload that was never ended.
"""

import sys

import boto3
from pyiceberg.catalog.sql import SqlCatalog

KEY = "annals"
BUCKET = "annals"


def main(catalog, endpoint):
    properties = {
        "s3.endpoint": endpoint,
        "s3.access-key-id": KEY,
        "s3.secret-access-key": KEY,
        "s3.region": "us-east-1",
    }
    catalog = SqlCatalog("annals", uri="sqlite:///" + catalog, **properties)
    referenced = set()
    for name in ("events", "history"):
        table = catalog.load_table(("annals", name))
        referenced.add(table.metadata_location)
        referenced.update(entry.metadata_file for entry in table.metadata.metadata_log)
        for snapshot in table.metadata.snapshots:
            referenced.add(snapshot.manifest_list)
            for manifest in snapshot.manifests(table.io):
                referenced.add(manifest.manifest_path)
                for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                    referenced.add(entry.data_file.file_path)
        if name == "events":
            for ulid in table.scan(selected_fields=("ulid",)).to_arrow()["ulid"].to_pylist():
                print("event", ulid)
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=KEY
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    there = {f"s3://{BUCKET}/{found['Key']}" for page in pages for found in page.get("Contents", [])}
    for key in there:
        print("file", key)
    for key in referenced - there:
        print("missing", key)
    for key in there - referenced:
        print("unreferenced", key)
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        print("upload", upload["Key"])


main(*sys.argv[1:])

"""Merges the files of the archive as an engine would that compacts tables for others, and knows nothing of their order.

The arguments are the directory of the events service, and `expire` if all snapshots but the last are to go as well. Each
partition's files become one, with the rows the other way round.
"""

import datetime
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import write_file
from pyiceberg.table import WriteTask


class Same:
    """A partition that is known already."""

    def __init__(self, file, spec, schema):
        self.partition = file.partition
        self.path = spec.partition_to_path(file.partition, schema)

    def to_path(self):
        return self.path


def main(directory, then=None):
    archive = os.path.join(directory, "archive")
    uri = "sqlite:///" + os.path.join(directory, "catalog.db")
    catalog = SqlCatalog("annals", uri=uri, warehouse="file://" + archive)
    for name in ("events", "history"):
        table = catalog.load_table(("annals", name))
        partitions, schema = {}, table.schema().as_arrow()
        for task in table.scan().plan_files():
            partitions.setdefault(str(task.file.partition), []).append(task.file)
        with table.transaction() as transaction, transaction.update_snapshot().overwrite() as snapshot:
            for number, files in enumerate(partitions.values()):
                paths = [file.file_path.removeprefix("file://") for file in files]
                rows = pa.concat_tables(pq.read_table(path, partitioning=None).cast(schema) for path in paths)
                rows = rows.take(list(reversed(range(len(rows)))))
                where = Same(files[0], table.spec(), table.schema())
                task = WriteTask(snapshot.commit_uuid, number, table.schema(), rows.to_batches(), partition_key=where)
                for merged in write_file(table.io, table.metadata, iter([task])):
                    snapshot.append_data_file(merged)
                for file in files:
                    snapshot.delete_data_file(file)
        if then == "expire":
            table = catalog.load_table(("annals", name))
            table.maintenance.expire_snapshots().older_than(datetime.datetime.now()).commit()
        print(name, sum(map(len, partitions.values())), len(partitions))


main(*sys.argv[1:])

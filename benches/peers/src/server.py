"""PostgreSQL in a directory of its own, with memory for an index of vectors and without waiting for the disk.

Standard output is one line: its port. Ends with its standard input.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "tests/harness"))

from postgres import Postgres  # noqa: E402


def main():
    server = Postgres(16, shared_buffers="1GB", max_wal_size="8GB")
    try:
        print(server.port, flush=True)
        sys.stdin.read()
    finally:
        server.stop()


main()

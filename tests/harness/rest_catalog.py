"""A catalog of Iceberg's REST protocol: PyIceberg's SQL catalog behind it, so that its models parse and check our commits.

The argument is a JSON object: `config` is what the answers to a table's load vend, `io` is what the server's own files
need. Standard output is one line of JSON: `url`, `control` (the port of faults.py), `token`, `warehouse`. Ends with its
standard input.

Commits go wrong as `refused` (400), `conflict` (409), `failed` (500), each without being done; `lost` (the connection is
closed) and `gateway` (504) after they are done; `late` (the connection is closed, and then they are done).
"""

import http.server
import json
import os
import sys
import tempfile
import threading
import time
import urllib.parse

import pydantic
from pyiceberg import exceptions
from pyiceberg.catalog.rest import CreateTableRequest, TableResponse
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

from faults import Faults, tell_and_wait

TOKEN = "token-of-the-tests"
LATE = 0.5

STATUS = {
    exceptions.NoSuchTableError: 404,
    exceptions.NoSuchNamespaceError: 404,
    exceptions.TableAlreadyExistsError: 409,
    exceptions.NamespaceAlreadyExistsError: 409,
    exceptions.CommitFailedException: 409,
    pydantic.ValidationError: 400,
    ValueError: 400,
}


class Refused(Exception):
    def __init__(self, status, said):
        super().__init__(said)
        self.status = status


def main(given):
    faults = Faults()
    lock = threading.Lock()
    catalogs = {}
    directory = tempfile.TemporaryDirectory(prefix="annals-rest-catalog")
    uri = "sqlite:///" + os.path.join(directory.name, "catalog.db")

    def fresh():
        """The name of another warehouse."""
        name = f"harbour-{len(catalogs)}"
        catalogs[name] = SqlCatalog(name, uri=uri, **given.get("io", {}))
        return {"warehouse": name}

    def loaded(table):
        response = TableResponse(**{"metadata-location": table.metadata_location, "metadata": table.metadata})
        return {**json.loads(response.model_dump_json()), "config": given.get("config", {})}

    def commit(catalog, name, body):
        request = CommitTableRequest.model_validate_json(body)
        table = catalog.load_table(name)
        return json.loads(catalog.commit_table(table, request.requirements, request.updates).model_dump_json())

    def create(catalog, namespace, body):
        request = CreateTableRequest.model_validate_json(body)
        table = catalog.create_table(
            (namespace, request.name),
            request.table_schema,
            request.location,
            request.partition_spec or UNPARTITIONED_PARTITION_SPEC,
            request.write_order or UNSORTED_SORT_ORDER,
            request.properties,
        )
        return loaded(table)

    def answer(method, path, query, body):
        if path == "/v1/config":
            [warehouse] = query.get("warehouse", [""])
            if warehouse not in catalogs:
                raise Refused(404, "no such warehouse")
            return {"defaults": {"prefix": "of/nothing"}, "overrides": {"prefix": f"of/{warehouse}"}}
        parts = path.split("/")
        if parts[:3] != ["", "v1", "of"] or parts[3] not in catalogs:
            raise Refused(404, "no such path")
        catalog = catalogs[parts[3]]
        match method, parts[4:]:
            case "GET", ["namespaces"]:
                return {"namespaces": catalog.list_namespaces()}
            case "POST", ["namespaces"]:
                request = json.loads(body)
                catalog.create_namespace(tuple(request["namespace"]), request.get("properties", {}))
                return request
            case "GET", ["namespaces", namespace]:
                return {"namespace": [namespace], "properties": catalog.load_namespace_properties(namespace)}
            case "POST", ["namespaces", namespace, "tables"]:
                return create(catalog, namespace, body)
            case "GET", ["namespaces", namespace, "tables", table]:
                return loaded(catalog.load_table((namespace, table)))
            case "POST", ["namespaces", namespace, "tables", table]:
                return commit(catalog, (namespace, table), body)
        raise Refused(404, "no such path")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if faults.away():
                return self.hang_up()
            url = urllib.parse.urlsplit(self.path)
            is_commit = self.command == "POST" and "/tables/" in url.path
            fault = faults.next() if is_commit else None
            early = {"refused": 400, "conflict": 409, "failed": 500}
            if fault in early:
                return self.refuse(early[fault], f"{fault} by the test")
            if fault == "late":
                self.hang_up()
                time.sleep(LATE)
            try:
                if self.headers.get("authorization") != f"Bearer {TOKEN}":
                    raise Refused(401, "the token is not known")
                with lock:
                    done = answer(self.command, url.path, urllib.parse.parse_qs(url.query), body)
            except Exception as error:
                kinds = [status for kind, status in STATUS.items() if isinstance(error, kind)]
                status = getattr(error, "status", kinds[0] if kinds else 500)
                if fault != "late":
                    self.refuse(status, str(error))
                return None
            finally:
                faults.is_done(fault)
            if fault == "lost":
                return self.hang_up()
            if fault == "gateway":
                return self.refuse(504, "gateway by the test")
            if fault != "late":
                self.send(200, done)

        do_GET = do_POST = handle_one

        def hang_up(self):
            self.close_connection = True
            self.connection.shutdown(2)

        def refuse(self, status, said):
            self.send(status, {"error": {"message": said, "type": "Refused", "code": status}})

        def send(self, status, what):
            body = json.dumps(what).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self):
            try:
                super().handle()
            except OSError:
                pass  # The client has gone.

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", given.get("port", 0)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    tell_and_wait(url=url, control=faults.serve(fresh), token=TOKEN, **fresh())


main(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})

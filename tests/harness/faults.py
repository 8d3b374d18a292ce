"""What is to go wrong in a server of the tests, told over HTTP on a port of its own.

`POST /KIND/COUNT` makes the next COUNT commits go wrong in that way, after those that were asked for before;
`POST /away/1` and `POST /away/0` take the server away and bring it back, `POST /fresh/1` tells of a place without tables, `POST /killed/1` kills the server
and starts it again. `GET /` tells how often what has happened, and how many commits are to be done yet of which the client has
heard nothing.
"""

import collections
import http.server
import json
import sys
import threading


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.armed = collections.deque()
        self.met = collections.Counter()
        self.is_away = False
        self.late = 0

    def next(self):
        """The fault of a commit that begins now, if any."""
        with self.lock:
            if not self.armed:
                return None
            kind = self.armed.popleft()
            self.met[kind] += 1
            self.late += kind == "late"
            return kind

    def is_done(self, kind):
        """Tells that a commit with this fault has come to its end."""
        with self.lock:
            self.late -= kind == "late"

    def away(self):
        """Whether the server is away, as somebody notices now."""
        with self.lock:
            self.met["away"] += self.is_away
            return self.is_away

    def serve(self, fresh, kill=None):
        """The port where faults are asked for. `fresh` makes a place without tables, and tells of it; `kill` ends the server at once
        and starts it again."""
        faults = self

        class Control(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                kind, count = self.path.strip("/").split("/")
                if kind == "fresh":
                    return self.answer(fresh())
                if kind == "killed":
                    kill()
                    return self.answer({})
                with faults.lock:
                    if kind == "away":
                        faults.is_away = count != "0"
                    else:
                        faults.armed.extend([kind] * int(count))
                self.answer({})

            def do_GET(self):
                with faults.lock:
                    self.answer({"met": faults.met, "armed": len(faults.armed), "late": faults.late})

            def answer(self, what):
                body = json.dumps(what).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]


def tell_and_wait(**told):
    """Tells the test where everything is, and returns when the test ends."""
    print(json.dumps(told), flush=True)
    sys.stdin.read()

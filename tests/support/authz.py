"""An auth server in a process of its own, to be stopped and killed, and weir in front of one."""
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.origin import by_request
from support.weir import Weir

COPIED = ["X-User", "X-Groups"]
BEARER = [("Authorization", "Bearer ann")]


def weir_for(origin, authz, forward=None, route=None, upstream=None, **options):
    """Who asks for anything but /free is asked for by `authz` (an Origin or an address)."""
    address = authz if isinstance(authz, str) else authz.address
    auth = {"forward": {"upstream": "authz", "path": "/verify", "copy_headers": COPIED,
                        **(forward or {})}}
    routes = [{"path": "/free", "upstream": "app"},
              {"path": "/", "name": "all", "upstream": "app", "auth": auth, **(route or {})}]
    return Weir({"app": {"servers": [{"address": origin.address}]},
                 "authz": {"servers": [{"address": address, "max_fails": 0}], **(upstream or {})}},
                [{"hosts": ["*"], "routes": routes}], **options)


def at_server(response, name):
    return [v for n, v in response.json()["headers"] if n.lower() == name.lower()]


def saying(status, headers=(), body=b""):
    return by_request(lambda conn, _: conn.answer(body, status, headers))


def raw(data):
    """Answers with these bytes and closes."""
    def answer(conn, _):
        conn.send(data)
        return False

    return by_request(answer)


def holding():
    release = threading.Event()

    def answer(conn, _):
        release.wait(30)
        conn.answer(b"")

    return by_request(answer), release


PASSES = saying("200 OK", [("X-User", "ann")])


def refused(weir, reason):
    return weir.metric("weir_auth_refused_total", method="forward", reason=reason)


def assert_nothing_held(weir):
    for upstream in ("app", "authz"):
        weir.wait_metric("weir_upstream_connections", 0, upstream=upstream, state="active")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        user = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        body = b"" if user else b"who are you?"
        self.send_response(200 if user else 401)
        if user:
            self.send_header("X-User", user)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class AuthProcess:
    """`Authorization: Bearer NAME` is NAME; whoever sends none is refused. A context manager."""

    def __init__(self, port=0):
        self.process = subprocess.Popen([sys.executable, "-B", "-m", "support.authz", str(port)],
                                        stdout=subprocess.PIPE, text=True,
                                        cwd=os.path.dirname(os.path.dirname(__file__)))
        self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()

"""Servers that die, hang, refuse and come back; what a client sees of it."""
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from support.origin import Origin, canned, echo
from support.raw import Closed
from support.weir import Weir, proxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def cluster(origins, upstream=None, **options):
    servers = [o if isinstance(o, dict) else {"address": o.address} for o in origins]
    return Weir(upstreams={"app": {"servers": servers, **(upstream or {})}},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}], **options)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


BACKEND = r"""
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


def start_backend(port):
    process = subprocess.Popen([sys.executable, "-c", BACKEND, str(port)])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.02)
    raise AssertionError("backend did not start")


def test_kill_9_of_one_of_three_under_load():
    ports = [free_port() for _ in range(3)]
    backends = [start_backend(port) for port in ports]
    try:
        servers = [{"address": f"127.0.0.1:{p}", "max_fails": 1, "fail_timeout": "1s"}
                   for p in ports]
        with cluster(servers, workers=2) as weir:
            statuses = {}
            stop = threading.Event()

            def load():
                client = weir.client()
                while not stop.is_set():
                    status = client.request().status
                    statuses[status] = statuses.get(status, 0) + 1

            threads = [threading.Thread(target=load) for _ in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            backends[1].send_signal(signal.SIGKILL)
            backends[1].wait()
            time.sleep(1.5)
            backends[1] = start_backend(ports[1])  # and it takes part again
            served = weir.metric("weir_upstream_requests_total", server=f"127.0.0.1:{ports[1]}")
            deadline = time.monotonic() + 5
            while weir.metric("weir_upstream_requests_total",
                              server=f"127.0.0.1:{ports[1]}") <= served:
                assert time.monotonic() < deadline, "the server never came back"
                time.sleep(0.05)
            stop.set()
            for thread in threads:
                thread.join()
            assert list(statuses) == [200] and statuses[200] > 100, statuses
            # All down: an answer at once, and service again as soon as one is back.
            for backend in backends:
                backend.kill()
                backend.wait()
            started = time.monotonic()
            assert weir.get().status in (502, 503)
            assert weir.get().status in (502, 503)
            assert time.monotonic() - started < 1
            assert weir.admin("/health")[0] == 503
            backends[0] = start_backend(ports[0])
            deadline = time.monotonic() + 3
            while weir.get().status != 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        for backend in backends:
            backend.kill()
            backend.wait()


def test_stale_connection_get_is_retried_and_post_is_not_sent_twice():
    def one_then_close(conn):
        conn.origin.requests.append(conn.read_request())
        conn.send(OK)
        second = conn.read_request()  # reads it, and dies without an answer
        if second:
            conn.origin.requests.append(second)
        conn.reset()

    with Origin(one_then_close) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 200
        assert client.request("GET", "/again").status == 200  # on a fresh connection
        assert [r.target for r in origin.requests] == ["/", "/again", "/again"]
        assert client.request("POST", "/once", body=b"x").status == 502
        assert [r.target for r in origin.requests].count("/once") == 1
        assert weir.metric("weir_upstream_retries_total", upstream="app") == 1
        assert weir.access_log(3)[1]["attempts"] == 2
        # A pooled connection that the server closed is not a failure of the server.
        assert weir.metric("weir_upstream_server_up", upstream="app") == 1


def test_retry_goes_to_another_server():
    def die(conn):
        conn.read_request()
        conn.reset()

    with Origin(die) as bad, Origin(echo) as good:
        with cluster([bad, good], {"balance": "round_robin"}) as weir:
            for _ in range(6):
                assert weir.get().status == 200
            assert len(good.requests) == 6


def test_put_with_a_body_is_replayed():
    def die(conn):
        conn.read_request()
        conn.reset()

    body = b"p" * 20000
    with Origin(die) as bad, Origin(echo) as good:
        with cluster([bad, good], {"balance": "round_robin"}) as weir, weir.client() as client:
            for _ in range(4):
                answer = client.request("PUT", "/", body=body)
                assert answer.status == 200 and answer.json()["body"] == body.decode()
            with weir.client() as chunked:
                for _ in range(2):
                    chunked.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
                    assert chunked.response().json()["body"] == "abcdefg"


def test_refused_connection_is_retried_for_every_method():
    with Origin(echo) as good:
        dead = {"address": f"127.0.0.1:{free_port()}", "max_fails": 0}
        with cluster([dead, good], {"balance": "round_robin"}) as weir, weir.client() as client:
            for _ in range(4):
                answer = client.request("POST", "/", body=b"hello")
                assert answer.status == 200 and answer.json()["body"] == "hello"
            assert len(good.requests) == 4


def test_max_fails_and_fail_timeout():
    """T30, LB-04: three failures within the window, then silence, then one trial."""
    with Origin(canned()) as dying, Origin(echo) as good:
        servers = [{"address": dying.address, "max_fails": 3, "fail_timeout": "600ms"},
                   {"address": good.address}]
        with cluster(servers, {"balance": "round_robin"}) as weir:
            for _ in range(20):
                assert weir.get().status == 200
            assert dying.accepted == 3
            assert weir.metric("weir_upstream_server_up", server=dying.address) == 0
            time.sleep(0.7)
            for _ in range(10):
                assert weir.get().status == 200
            assert dying.accepted == 4, "one trial request per fail_timeout"
            dying.handler = echo
            time.sleep(0.7)
            for _ in range(10):
                assert weir.get().status == 200
            assert dying.accepted > 4 and len(dying.requests) >= 4


def test_backup_only_when_no_other_is_up():
    with Origin(echo) as main, Origin(echo) as spare:
        servers = [{"address": main.address, "fail_timeout": "400ms"},
                   {"address": spare.address, "backup": True}]
        with cluster(servers) as weir:
            for _ in range(5):
                assert weir.get().status == 200
            assert len(spare.requests) == 0
            port = main.port
            main.stop()
            for _ in range(5):
                assert weir.get().status == 200
            assert len(spare.requests) == 5
            with Origin(echo, port=port) as again:
                time.sleep(0.5)
                for _ in range(3):
                    assert weir.get().status == 200
                assert len(again.requests) == 3


def test_weighted_least_conn_and_round_robin():
    """LB-01: 12 held requests are shared 6/4/2, 60 quick ones 30/20/10."""
    release = threading.Event()

    def hold(conn):
        while conn.read_request():
            conn.origin.requests.append(1)
            if not release.wait(10):
                return
            conn.answer()

    with Origin(hold) as a, Origin(hold) as b, Origin(hold) as c:
        servers = [{"address": o.address, "weight": w} for o, w in ((a, 3), (b, 2), (c, 1))]
        with cluster(servers, workers=2) as weir:
            clients = [weir.client() for _ in range(12)]
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                time.sleep(0.02)
            deadline = time.monotonic() + 5
            while len(a.requests) + len(b.requests) + len(c.requests) < 12:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert [len(o.requests) for o in (a, b, c)] == [6, 4, 2]
            assert weir.metric("requests_in_flight") == 12
            release.set()
            for client in clients:
                assert client.response().status == 200
        for balance in ("least_conn", "round_robin"):
            for origin in (a, b, c):
                origin.requests.clear()
            with cluster(servers, {"balance": balance}) as weir, weir.client() as client:
                for _ in range(60):
                    assert client.request().status == 200
            assert [len(o.requests) for o in (a, b, c)] == [30, 20, 10], balance


def test_timeouts():
    def drip(conn):
        while True:
            request = conn.read_request()
            if request is None:
                return
            if request.target == "/silent":
                conn.recv()
                return
            if request.target == "/half":
                conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                conn.recv()
                return
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for _ in range(8):
                conn.send(b"x")
                time.sleep(0.2)

    with Origin(drip) as origin:
        with proxy(origin, {"timeouts": {"connect": "1s", "read": "400ms"}}) as weir:
            started = time.monotonic()
            answer = weir.get("/silent")
            assert answer.status == 504 and 0.4 <= time.monotonic() - started < 2
            assert answer.get("proxy-status").startswith("weir; error=")
            assert weir.get("/drip").body == b"xxxxxxxx"  # never silent for long: fine
            cut = weir.get("/half")
            assert cut.status == 200 and not cut.complete
            log = weir.access_log(3)
            assert "timeout" in log[0]["error"] and "timeout" in log[2]["error"]
        with proxy(origin, route={"timeout": "500ms"}) as weir:
            started = time.monotonic()
            cut = weir.get("/drip")  # LB-08: a total of its own
            assert not cut.complete and time.monotonic() - started < 2
            assert weir.get("/silent").status == 504


def test_connect_timeout():
    """A listener whose queue is full takes no connection."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    time.sleep(0.2)
    address = {"address": "127.0.0.1:%d" % full.getsockname()[1]}
    with cluster([address], {"timeouts": {"connect": "300ms"}}) as weir:
        started = time.monotonic()
        assert weir.get().status == 504
        assert 0.3 <= time.monotonic() - started < 3  # the one retry dials again
    for sock in (*fillers, full):
        sock.close()


def test_unresolvable_server_is_down_and_no_refusal_to_start():
    with Origin(echo) as good:
        with cluster([{"address": "no-such-host.invalid:80"}, good]) as weir:
            for _ in range(4):
                assert weir.get().status == 200
            assert any("no-such-host.invalid" in line for line in weir.lines)
        with cluster([{"address": "no-such-host.invalid:80"}]) as weir:
            answer = weir.get()
            assert answer.status == 503 and answer.get("retry-after")


def test_unix_and_v6_addresses(tmp_path):
    with Origin(echo, path=str(tmp_path / "app.sock")) as origin, proxy(origin) as weir:
        assert weir.get().status == 200
        origin.stop()
        assert weir.get().status == 502
    six = socket.socket(socket.AF_INET6)
    six.bind(("::1", 0))
    six.listen(1)
    with cluster([{"address": f"[::1]:{six.getsockname()[1]}"}]) as weir:
        with weir.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            conn, _ = six.accept()
            conn.recv(65536)
            conn.sendall(OK)
            assert client.response().body == b"ok"
            conn.close()
    six.close()


def test_pool_is_bounded_and_reused():
    """LB-03: one connection serves a sequence; after a burst no more than `idle` stay open."""
    with Origin(echo) as origin:
        with proxy(origin, {"keepalive": {"idle": 4}}) as weir:
            with weir.client() as client:
                for _ in range(50):
                    assert client.request().status == 200
            assert origin.accepted == 1
            clients = [weir.client() for _ in range(20)]
            threads = [threading.Thread(target=c.request) for c in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert weir.metric("weir_upstream_connections", state="idle") <= 4
        with proxy(origin, {"keepalive": {"idle": 4, "requests": 5}}) as weir:
            before = origin.accepted
            with weir.client() as client:
                for _ in range(20):
                    assert client.request().status == 200
            assert origin.accepted - before == 4
        with proxy(origin, {"keepalive": {"idle": 4, "timeout": "200ms"}}) as weir:
            before = origin.accepted
            with weir.client() as client:
                client.request()
                time.sleep(0.5)
                client.request()
            assert origin.accepted - before == 2


def test_server_keep_alive_timeout_is_honoured():
    answers = [b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"] * 3
    with Origin(canned(*answers)) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 200
        assert client.request().status == 200
        assert origin.accepted == 1
        time.sleep(0.8)
        assert client.request().status == 200
        assert origin.accepted == 2


def test_a_server_that_keeps_no_connection_is_not_asked_on_it_again():
    answer = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok"
    with Origin(canned(answer, answer)) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 200
        assert client.request(method="POST", body=b"x").status == 200
        assert origin.accepted == 2


@pytest.mark.parametrize("point", range(0, 60, 3))
def test_server_resets_anywhere(point):
    """After `point` bytes of its answer: never a clean short body, never a hang."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b"b" * 20

    def cut(conn):
        if conn.read_request() is None:
            return
        conn.send(whole[:point])
        time.sleep(0.01)
        conn.reset()

    with Origin(cut) as origin, proxy(origin) as weir:
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            answer = client.response()
            if answer.status == 200:
                assert not answer.complete
            else:
                assert answer.status == 502 and answer.complete
        weir.wait_metric("requests_in_flight", 0)


def test_client_resets_anywhere(tmp_path):
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsomething"
    with Origin(echo) as origin, proxy(origin, workers=2) as weir:
        for end in ("reset", "half_close"):
            for at in range(0, len(request), 2):
                client = weir.client()
                client.send(request[:at])
                getattr(client, end)()
                if end == "half_close":
                    try:
                        client.response()
                    except Closed:
                        pass
                    client.sock.close()
        for _ in range(50):
            client = weir.client()
            client.send(request)
            client.reset()
        weir.wait_metric("active_connections", 0)
        weir.wait_metric("requests_in_flight", 0)
        assert weir.get().status == 200


def test_errors_in_the_form_that_the_client_accepts():
    with cluster([{"address": f"127.0.0.1:{free_port()}"}]) as weir:
        for accept, kind in (("application/json", "application/json"),
                             ("text/html,*/*", "text/html"),
                             ("*/*", "text/plain"), ("text/plain", "text/plain")):
            answer = weir.get(headers=[("Accept", accept)])
            assert answer.status == 502 and answer.get("content-type").startswith(kind)
            identifier = answer.get("x-request-id")
            assert identifier and identifier in answer.body.decode()
            assert b"127.0.0.1" not in answer.body and b"0.1.0" not in answer.body
        assert answer.get("proxy-status") == "weir; error=connection_refused"


def test_connections_survive_request_bodies():
    """A body that has come whole costs neither the client's connection nor the server's."""
    with Origin(echo) as origin, proxy(origin) as weir, weir.client() as client:
        for body in (b"x", b"y" * 5000, b"z" * 200_000):
            for _ in range(3):
                assert client.request("POST", body=body).json()["body"] == body.decode()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        time.sleep(0.05)
        client.send(b"abc")
        assert client.response().json()["body"] == "abc"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.05)
        client.send(b"0\r\n\r\n")
        assert client.response().json()["body"] == "abc"
        assert origin.accepted == 1

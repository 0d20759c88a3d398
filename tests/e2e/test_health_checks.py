"""Active checks: what makes a server go and come back, who asks, and what a reload keeps."""
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone

import pytest
from support.dns import Dns
from support.h2_origin import h2
from support.origin import Origin, by_request
from support.tls import Certificate
from support.waiting import wait_for
from support.weir import Weir

HERE = os.path.dirname(__file__)
SERVER = os.path.join(HERE, "..", "support", "grpc_server.py")
QUICK = {"path": "/health", "interval": "50ms", "timeout": "1s", "unhealthy_after": 2,
         "healthy_after": 2}


class Backend(Origin):
    """Answers 200 with its name; what it answers to checks can be set."""

    def __init__(self, name="a", **options):
        self.name = name
        self.status = "200 OK"
        self.health_body = b"fine"
        self.pause_s = 0
        self.checks = []  # when they came
        self.hold = lambda: None
        super().__init__(by_request(self._answer), **options)

    def _answer(self, conn, request):
        if request.get("user-agent") != "weir-health-check":
            return conn.answer(self.name)
        self.checks.append(time.monotonic())
        time.sleep(self.pause_s)
        self.hold()
        return conn.answer(self.health_body, status=self.status)


def edge(backends, check=QUICK, workers=1, servers=None, **upstream):
    servers = servers or [{"address": backend.address} for backend in backends]
    return Weir({"app": {"servers": servers, "health_check": check, "balance": "round_robin",
                         **upstream}},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}], workers=workers)


def health(weir, upstream="app"):
    return json.loads(weir.admin("/health")[1])["upstreams"][upstream]


def server_of(weir, address, upstream="app"):
    return next(s for s in health(weir, upstream)["servers"] if s["address"] == address)


def wait_state(weir, address, state, upstream="app", seconds=20):
    wait_for(lambda: server_of(weir, address, upstream)["state"] == state, seconds)
    return server_of(weir, address, upstream)


def names(weir, count=12):
    return [weir.get().body.decode() for _ in range(count)]


def test_a_server_whose_checks_fail_goes_and_comes_back():
    with Backend("a") as a, Backend("b") as b, edge([a, b]) as weir:
        wait_for(lambda: server_of(weir, a.address)["last_check"])
        a.status = "503 Service Unavailable"
        found = wait_state(weir, a.address, "down")
        assert found["reason"] == "check: status 503"
        age = datetime.now(timezone.utc) - datetime.fromisoformat(
            found["last_check"].replace("Z", "+00:00"))
        assert abs(age.total_seconds()) < 10
        assert found["latency_ms"] > 0
        assert health(weir)["status"] == "degraded"
        assert weir.metric("weir_upstream_server_up", server=a.address) == 0
        assert set(names(weir)) == {"b"}
        a.status = "200 OK"
        wait_state(weir, a.address, "up")
        assert set(names(weir)) == {"a", "b"}
        assert weir.metric("weir_upstream_server_up", server=a.address) == 1
        lines = [line for line in weir.lines if a.address in line and "upstream app" in line]
        assert len(lines) == 2, lines  # one for each change
        assert "is down: check: status 503" in lines[0] and "is up again" in lines[1]


def test_when_all_are_down_nobody_is_asked_and_health_says_so():
    with Backend() as a, edge([a]) as weir:
        a.status = "500 No"
        wait_state(weir, a.address, "down")
        assert weir.get().status == 503
        status, _ = weir.admin("/health")
        assert status == 503
        assert weir.admin("/health/ready")[0] == 200


def test_status_list_host_and_path():
    check = {**QUICK, "status": [204, "300-301"], "host": "probe.test:81", "path": "/x?y=1"}
    with Backend() as a, edge([a], check) as weir:
        wait_state(weir, a.address, "down")
        a.status = "301 Moved"
        wait_state(weir, a.address, "up")
        request = a.requests[0]
        assert (request.method, request.target) == ("GET", "/x?y=1")
        assert request.all("host") == ["probe.test:81"]


def test_the_body_must_match():
    with Backend() as a, edge([a], {**QUICK, "body": '"ready":true'}) as weir:
        found = wait_state(weir, a.address, "down")
        assert found["reason"] == "check: the body does not match"
        a.health_body = b" " * 40_000 + b'{"ready":true}'
        wait_state(weir, a.address, "up")
        a.health_body = b" " * 80_000 + b'{"ready":true}'
        found = wait_state(weir, a.address, "down")
        assert "first 65536 bytes" in found["reason"]


def test_a_server_that_is_late_is_down_one_that_is_slow_is_degraded():
    check = {**QUICK, "timeout": "1500ms", "degraded_over": "200ms"}
    with Backend("a") as a, Backend("b") as b, edge([a, b], check) as weir:
        a.pause_s = 0.4
        wait_for(lambda: server_of(weir, a.address)["reason"].startswith("degraded: "), 20)
        assert server_of(weir, a.address)["state"] == "up"
        assert health(weir)["status"] == "degraded"
        assert set(names(weir)) == {"b"}
        b.status = "500 No"  # then the slow one is better than nobody
        wait_state(weir, b.address, "down")
        assert set(names(weir)) == {"a"}
        b.status = "200 OK"
        a.pause_s = 3
        found = wait_state(weir, a.address, "down")
        assert found["reason"] == "check: no answer within 1500 ms"
        a.pause_s = 0
        wait_state(weir, a.address, "up")
        wait_for(lambda: server_of(weir, a.address)["reason"] == "", 20)
        wait_state(weir, b.address, "up")
        assert set(names(weir)) == {"a", "b"}


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_server_that_dies_and_one_that_hangs(kind):
    code = ("import http.server, sys; "
            "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), "
            "http.server.SimpleHTTPRequestHandler).serve_forever()")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def start():
        return subprocess.Popen([sys.executable, "-c", code, str(port)], cwd=HERE,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    check = {"type": kind, "interval": "50ms", "timeout": "1s", "unhealthy_after": 2}
    address = f"127.0.0.1:{port}"
    process = start()
    try:
        with edge([], check, servers=[{"address": address}]) as weir:
            wait_for(lambda: server_of(weir, address)["latency_ms"] is not None, 20)
            wait_state(weir, address, "up")
            if kind == "http":
                process.send_signal(signal.SIGSTOP)
                found = wait_state(weir, address, "down")
                assert found["reason"] == "check: no answer within 1000 ms"
                process.send_signal(signal.SIGCONT)
                wait_state(weir, address, "up")
            process.kill()
            process.wait()
            found = wait_state(weir, address, "down")
            assert found["reason"] == "check: no connection: ECONNREFUSED"
            process = start()
            wait_state(weir, address, "up")
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def grpc_server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-B", SERVER, str(port)], stdout=subprocess.PIPE,
                               text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_grpc():
    grpc = pytest.importorskip("grpc")
    with grpc_server() as port:
        address = f"127.0.0.1:{port}"
        check = {"type": "grpc", "service": "a.B", "interval": "50ms", "unhealthy_after": 2}
        with edge([], check, servers=[{"address": address}], protocol="h2c") as weir:
            wait_for(lambda: server_of(weir, address)["latency_ms"] is not None, 20)
            with grpc.insecure_channel(address) as channel:
                asked = channel.unary_unary("/test.Test/Health")(b"2")
                assert b"0a03612e42" in asked
                found = wait_state(weir, address, "down")
                assert found["reason"] == "check: NOT_SERVING"
                channel.unary_unary("/test.Test/Health")(b"1")
                wait_state(weir, address, "up")


def test_grpc_where_there_is_no_health_service():
    def answer(peer, request):
        peer.answer(request, b"what?", [(":status", "404")])

    with Origin(h2(answer)) as origin:
        check = {"type": "grpc", "interval": "50ms"}
        with edge([origin], check, protocol="h2c") as weir:
            found = wait_state(weir, origin.address, "down")
            assert found["reason"] == "check: status 404"


@pytest.mark.parametrize("protocol", ["https", "h2"])
def test_checks_are_made_over_tls_and_verify(tmp_path, protocol):
    authority = Certificate(tmp_path, "ca", None, is_ca=True)
    good = Certificate(tmp_path, "s", issuer=authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good.cert, good.key)
    context.set_alpn_protocols(["http/1.1"])
    plain = by_request(lambda conn, _: conn.answer(b"ok"))

    def secure(conn):
        conn.sock = context.wrap_socket(conn.sock, server_side=True)
        plain(conn)

    with Origin(secure) as origin:
        with edge([origin], protocol=protocol, tls={"ca": authority.cert}) as weir:
            wait_for(lambda: server_of(weir, origin.address)["latency_ms"] is not None, 20)
            assert weir.get().status == 200
            weir.config["upstreams"]["app"]["health_check"] = {**QUICK, "sni": "other.test"}
            weir.write_config()
            weir.reload()
            found = wait_state(weir, origin.address, "down")
            assert found["reason"].startswith("check: TLS: ")


def test_every_address_of_a_name_is_checked(tmp_path):
    with Backend("a") as a:
        with Backend("b", host="::1", port=a.port) as b:
            servers = [{"address": f"localhost:{a.port}"}]
            name = servers[0]["address"]
            with edge([], servers=servers) as weir:
                wait_for(lambda: a.checks, 20)
                status = json.loads(weir.admin("/status")[1])
                if len(status["upstreams"]["app"]["servers"][0]["addresses"]) < 2:
                    pytest.skip("localhost has one address here")
                wait_for(lambda: b.checks, 20)
                a.status = "500 No"
                time.sleep(1)
                assert server_of(weir, name)["state"] == "up"  # b is well
                wait_for(lambda: set(names(weir, 4)) == {"b"}, 20)
                assert set(names(weir)) == {"b"}
                b.status = "500 No"
                found = wait_state(weir, name, "down")
                assert re.search(r"check: status 500 at (127|\[::1)", found["reason"])


def named_edge(dns, origin, check):
    """app.test, with the port of that origin"""
    return Weir({"app": {"servers": [{"address": f"app.test:{origin.port}"}],
                         "health_check": {**QUICK, **check}}},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}],
                environment=dns.environment())


def rename(weir, dns, address):
    """The name means that address from now on."""
    dns.names["app.test"] = ([address], 1)

    def followed():
        servers = json.loads(weir.admin("/status")[1])["upstreams"]["app"]["servers"]
        return servers[0]["addresses"][0].startswith(address + ":")
    wait_for(followed, 20)


def test_a_name_whose_answers_take_turns_is_judged_by_all_of_them():
    first, second = "127.0.0.1", "127.0.0.2"
    with Backend("a") as a, Backend("b", host=second, port=a.port) as b, \
            Dns({"app.test": ([first], 1)}) as dns:
        a.status = b.status = "500 No"
        # More than the checks of one turn, which lasts for about a second.
        with named_edge(dns, a, {"interval": "300ms", "unhealthy_after": 8}) as weir:
            name = f"app.test:{a.port}"

            def both_are_down():
                states = set()
                for address in (second, first):
                    rename(weir, dns, address)
                    states.add(server_of(weir, name)["state"])
                return states == {"down"}
            wait_for(both_are_down, 60)
            b.status = "200 OK"
            rename(weir, dns, second)
            wait_state(weir, name, "up")


def test_a_new_address_of_a_server_that_is_down_passes_its_checks_first():
    second = "127.0.0.2"
    released = threading.Event()
    with Backend("a") as a, Backend("b", host=second, port=a.port) as b, \
            Dns({"app.test": (["127.0.0.1"], 1)}) as dns:
        a.status = "500 No"
        b.status = "200 OK"
        with named_edge(dns, a, {"timeout": "20s"}) as weir:
            name = f"app.test:{a.port}"
            reason = wait_state(weir, name, "down")["reason"]
            b.hold = lambda: released.wait(20)
            rename(weir, dns, second)
            wait_for(lambda: b.checks)
            found = server_of(weir, name)
            assert found["state"] == "down" and found["reason"] == reason
            assert weir.get().status == 503
            released.set()
            wait_state(weir, name, "up")
            assert names(weir, 2) == ["b", "b"]


@pytest.mark.parametrize("version, preface", [
    ("v1", b"PROXY UNKNOWN\r\n"),
    ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")])
def test_a_proxy_header_names_nobody(version, preface):
    got = []

    def answer(conn):
        got.append(conn.read_exactly(len(preface)))
        if conn.read_head():
            conn.answer(b"ok")

    with Origin(answer) as origin, edge([origin], proxy_protocol=version) as weir:
        wait_for(lambda: server_of(weir, origin.address)["latency_ms"] is not None, 20)
        assert server_of(weir, origin.address)["state"] == "up"
    assert got[0] == preface


def test_one_prober_for_all_workers():
    check = {**QUICK, "interval": "200ms"}
    with Backend() as a, edge([a], check, workers=4):
        wait_for(lambda: a.checks, 20)
        time.sleep(3)
        # 15 by the clock; four times as many if each worker asked. A slow machine asks less often.
        assert 2 <= len(a.checks) <= 30


def test_a_reload_keeps_what_is_known():
    check = {**QUICK, "interval": "2s", "unhealthy_after": 1, "healthy_after": 1000}
    with Backend("a") as a, Backend("b") as b, edge([a, b], check) as weir:
        a.status = "500 No"
        wait_state(weir, a.address, "down")
        before = server_of(weir, a.address)["last_check"]
        asked = len(a.checks)
        for _ in range(5):
            weir.reload()
        found = server_of(weir, a.address)
        assert found["state"] == "down" and found["reason"] == "check: status 500"
        assert found["last_check"] >= before
        assert set(names(weir, 6)) == {"b"}
        # New checks would be made within a second of each reload.
        assert len(a.checks) <= asked + 2 + (time.monotonic() - a.checks[-1]) // 1.8
        # Another check begins anew: the server counts as up.
        weir.config["upstreams"]["app"]["health_check"] = {**check, "status": "200-599"}
        weir.write_config()
        weir.reload()
        wait_state(weir, a.address, "up")
        # Without a check nobody asks.
        del weir.config["upstreams"]["app"]["health_check"]
        weir.write_config()
        weir.reload()
        wait_for(lambda: server_of(weir, a.address)["last_check"] is None)
        asked = len(a.checks)
        time.sleep(2.5)
        assert len(a.checks) == asked


def test_a_server_that_comes_back_starts_slowly():
    with Backend("a") as a, Backend("b") as b, edge([a, b], slow_start="120s") as weir:
        assert 8 <= names(weir, 20).count("a") <= 12  # nobody comes back at the start
        a.status = "500 No"
        wait_state(weir, a.address, "down")
        a.status = "200 OK"
        wait_state(weir, a.address, "up")
        assert server_of(weir, a.address)["reason"].startswith("slow start: 1")
        with weir.client() as client:
            got = [client.request("GET", "/").body for _ in range(400)]
        assert 1 <= got.count(b"a") <= 90  # 20 by expectation; half of them without slow_start


def test_no_panic_while_a_backup_is_well():
    with Backend("a") as a, Backend("b") as b, Backend("spare") as spare:
        servers = [{"address": a.address}, {"address": b.address},
                   {"address": spare.address, "backup": True}]
        with edge([], servers=servers, panic="60%") as weir:
            a.status = b.status = "500 No"
            wait_state(weir, a.address, "down")
            wait_state(weir, b.address, "down")
            assert set(names(weir)) == {"spare"}
            assert weir.metric("weir_upstream_panic", upstream="app") == 0
            spare.status = "500 No"
            wait_for(lambda: weir.metric("weir_upstream_panic", upstream="app") == 1, 20)
            assert set(names(weir)) == {"a", "b"}
            spare.status = "200 OK"
            wait_for(lambda: weir.metric("weir_upstream_panic", upstream="app") == 0, 20)
            weir.wait_line("the panic is over: 0 of 2 servers are well, and a backup is")
            assert set(names(weir)) == {"spare"}


def test_panic_uses_all_and_says_so():
    backends = [Backend(name) for name in "abc"]
    try:
        with edge(backends, panic="50%") as weir:
            a, b, c = backends
            a.status = "500 No"
            wait_state(weir, a.address, "down")
            assert weir.metric("weir_upstream_panic", upstream="app") == 0
            assert set(names(weir)) == {"b", "c"}
            b.status = "500 No"
            wait_for(lambda: weir.metric("weir_upstream_panic", upstream="app") == 1, 20)
            weir.wait_line("upstream app: panic: 1 of 3 servers are well, fewer than 50 %")
            assert set(names(weir)) == {"a", "b", "c"}
            assert health(weir)["reason"].startswith("panic: ")
            assert health(weir)["status"] == "degraded"
            a.status = b.status = "200 OK"
            weir.wait_line("the panic is over", 20)
            wait_for(lambda: health(weir)["status"] == "healthy", 20)
    finally:
        for backend in backends:
            backend.stop()

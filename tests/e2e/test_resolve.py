"""Servers by name: what DNS says moves traffic, and what it does not say moves nothing."""
import json
import threading
import time

from support.dns import NXDOMAIN, SERVFAIL, Dns
from support.origin import Origin, by_request
from support.weir import Weir

ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def named(text):
    """Answers every request with its own name."""
    return by_request(lambda conn, _: conn.answer(text))


def weir_for(dns, servers, upstream=None, **options):
    servers = [{"address": s} if isinstance(s, str) else s for s in servers]
    return Weir(upstreams={"app": {"servers": servers, **(upstream or {})}},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}],
                environment=dns.environment(), **options)


def until(weir, wanted, seconds=10):
    """Requests until one is answered by `wanted` (a body, or a status)."""
    deadline = time.monotonic() + seconds
    while True:
        answer = weir.get()
        if wanted in (answer.body.decode(), answer.status):
            return
        assert time.monotonic() < deadline, f"still {answer.status} {answer.body}"
        time.sleep(0.05)


def status_addresses(weir):
    servers = json.loads(weir.admin("/status")[1])["upstreams"]["app"]["servers"]
    return [server["addresses"] for server in servers]


def test_a_change_moves_traffic_without_a_reload():
    with Origin(named("one")) as one, Origin(named("two"), host=TWO, port=one.port), \
            Dns({"app.test": ([ONE], 1)}) as dns:
        with weir_for(dns, [f"app.test:{one.port}"], workers=2) as weir:
            with weir.client() as client:  # on a connection that is kept on both sides
                assert client.request().body == b"one"
                assert status_addresses(weir) == [[f"{ONE}:{one.port}"]]
                dns.names["app.test"] = ([TWO], 1)
                weir.wait_line(r"name app\.test is now 127\.0\.0\.2")
                for _ in range(5):
                    assert client.request().body == b"two"
            assert status_addresses(weir) == [[f"{TWO}:{one.port}"]]
            assert weir.metric("weir_upstream_requests_total", status="200",
                               server=f"app.test:{one.port}") == 6
            time.sleep(1.2)  # looked up again, the same: said once
            assert len([line for line in weir.lines if "is now" in line]) == 1


def test_what_is_under_way_at_an_address_that_left_ends_in_peace():
    released = threading.Event()

    def slow(conn):
        while True:
            request = conn.read_request()
            if request is None:
                conn.origin.closed.append(conn)
                return
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            if request.target == "/slow":
                assert released.wait(15)
            conn.send(b"half")

    with Origin(slow) as one, Origin(named("two"), host=TWO, port=one.port), \
            Dns({"app.test": ([ONE], 1)}) as dns:
        one.closed = []
        with weir_for(dns, [f"app.test:{one.port}"]) as weir:
            clients = [weir.client() for _ in range(3)]
            for client in clients:
                client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            idle = weir.client()
            deadline = time.monotonic() + 5
            while one.accepted < 3:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert idle.request().body == b"halfhalf"
            dns.names["app.test"] = ([TWO], 1)
            weir.wait_line("is now")
            assert idle.request().body == b"two"
            clients[2].reset()  # one ends without its answer
            released.set()
            for client in clients[:2]:
                assert client.response().body == b"halfhalf"
                assert client.request().body == b"two"
            deadline = time.monotonic() + 5
            while len(one.closed) < 4:  # none of its connections is kept
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert weir.metric("weir_upstream_connections", state="active") == 0


def test_all_addresses_are_used():
    """A and AAAA; each gets its share of what is held at once, and of requests in a row."""
    with Origin(named("1")) as one, Origin(named("2"), host=TWO, port=one.port), \
            Origin(named("6"), host="::1", port=one.port), \
            Dns({"app.test": ([ONE, TWO, "::1"], 60)}) as dns:
        with weir_for(dns, [f"app.test:{one.port}"]) as weir:
            bodies = [weir.get().body for _ in range(12)]
            assert sorted(bodies) == [b"1"] * 4 + [b"2"] * 4 + [b"6"] * 4
            addresses = sorted(status_addresses(weir)[0])
            assert addresses == sorted([f"{ONE}:{one.port}", f"{TWO}:{one.port}",
                                        f"[::1]:{one.port}"])


def test_a_dead_address_falls_to_the_next():
    """No failed request, no failed server: the name has an address that works."""
    with Origin(named("three"), host=THREE) as three, \
            Dns({"app.test": ([ONE, TWO, THREE], 60)}) as dns:
        with weir_for(dns, [{"address": f"app.test:{three.port}", "max_fails": 1}]) as weir:
            for method in ("POST", "GET") * 5:
                with weir.client() as client:
                    assert client.request(method).body == b"three"
            assert weir.metric("weir_upstream_failures_total") == 0
            assert weir.metric("weir_upstream_retries_total") == 0
            assert weir.metric("weir_upstream_server_up", upstream="app") == 1
            weir.wait_line(r"ECONNREFUSED; its other addresses are used")
            three.stop()  # now none works
            assert weir.get().status == 502


def test_a_name_that_fails_keeps_its_addresses():
    with Origin(named("one")) as one, Dns({"app.test": ([ONE], 1)}) as dns:
        with weir_for(dns, [f"app.test:{one.port}"], {"resolve": "300ms"}) as weir:
            assert weir.get().body == b"one"
            for failure in (NXDOMAIN, SERVFAIL):
                since = len(weir.lines)
                dns.names["app.test"] = failure
                weir.wait_line(r"name app\.test does not resolve: .*keeps its last", since=since)
                assert weir.get().body == b"one"
                asked = len(dns.asked)
                deadline = time.monotonic() + 10
                while len(dns.asked) < asked + 2:  # it goes on asking, and says no more
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                assert len([li for li in weir.lines[since:] if "does not resolve" in li]) == 1
                dns.names["app.test"] = ([ONE], 1)
                weir.wait_line(r"name app\.test resolves again", since=since)
            assert weir.get().body == b"one"


def test_a_name_that_never_resolved_comes_up_by_itself():
    with Origin(named("one")) as one, Dns() as dns:
        with weir_for(dns, [f"app.test:{one.port}"], {"resolve": "200ms"}) as weir:
            assert any("servers[0].address: " in line and "does not resolve: " in line
                       for line in weir.lines)
            answer = weir.get()
            assert answer.status == 503 and answer.get("retry-after")
            assert weir.metric("weir_upstream_server_up", upstream="app") == 0
            dns.names["app.test"] = ([ONE], 60)
            until(weir, "one")
            assert weir.metric("weir_upstream_server_up", upstream="app") == 1


def test_a_silent_name_server_does_not_hold_up_the_start():
    with Origin(named("one")) as one, Dns({f"n{i}.test": None for i in range(20)}) as dns:
        names = [f"n{i}.test:80" for i in range(20)]
        started = time.monotonic()
        with weir_for(dns, names + [one.address]) as weir:
            assert time.monotonic() - started < 10  # 2 s for all of them, and a slow machine
            assert weir.get().body == b"one"
            assert sum("no answer yet" in line for line in weir.lines) == 20


def test_the_ttl_bounds_resolve_from_below_and_drives_it_otherwise():
    with Origin(named("one")) as one, \
            Dns({"long.test": ([ONE], 60), "short.test": ([ONE], 1),
                 "zero.test": ([ONE], 0)}) as dns:
        def server(name):
            return {"servers": [{"address": f"{name}:{one.port}"}]}

        with Weir(upstreams={"a": {**server("long.test"), "resolve": "200ms"},
                             "b": server("short.test"),
                             "c": {**server("zero.test"), "resolve": "200ms"}},
                  sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "a"}]}],
                  environment=dns.environment()):
            time.sleep(2.5)
            assert dns.asked.count("long.test") == 1
            assert 2 <= dns.asked.count("short.test") <= 4
            assert dns.asked.count("zero.test") >= 4


def test_what_needs_no_name_server_asks_none(tmp_path):
    with Origin(named("one")) as one, Origin(named("unix"), path=str(tmp_path / "s")) as unix, \
            Dns() as dns:
        with weir_for(dns, [one.address, unix.address, f"localhost:{one.port}"]) as weir:
            assert weir.get().status == 200
            assert dns.asked == []  # localhost is in /etc/hosts
            assert status_addresses(weir)[0] == [one.address]


def test_one_name_in_many_upstreams_is_asked_for_once():
    with Origin(named("one")) as one, Dns({"app.test": ([ONE], 60)}) as dns:
        upstreams = {f"u{i}": {"servers": [{"address": f"app.test:{one.port}"}]}
                     for i in range(50)}
        routes = [{"path": f"/{name}", "upstream": name} for name in upstreams]
        with Weir(upstreams=upstreams, sites=[{"hosts": ["*"], "routes": routes}],
                  environment=dns.environment()) as weir:
            assert {weir.get(f"/{name}").body for name in upstreams} == {b"one"}
            weir.reload()
            assert weir.get("/u7").body == b"one"
            assert dns.asked == ["app.test"]

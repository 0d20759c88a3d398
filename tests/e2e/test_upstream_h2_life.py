"""HTTP/2 connections to servers: shared, left, lost and full, and what that costs others."""
import threading
import time
from contextlib import ExitStack

import pytest
from support.dns import Dns
from support.h2_origin import (CANCEL, DATA, END_HEADERS, HEADERS, INITIAL_WINDOW_SIZE,
                               INTERNAL_ERROR, MAX_CONCURRENT_STREAMS, NO_ERROR, OK, PING,
                               PUSH_PROMISE, REFUSED_STREAM, SETTINGS, WINDOW_UPDATE, Peer, block,
                               edge, frame, h2, held_answers)
from support.origin import Origin, canned
from support.raw import RawClient
from support.waiting import in_threads, wait_for
from support.weir import Weir, proxy

MIB = 1 << 20


# ---- connections ----

def test_many_requests_share_a_connection():
    answer, release = held_answers()
    with Origin(h2(answer)) as origin, edge(origin) as weir:
        def get(index):
            return weir.get(f"/{index}").body

        opener = threading.Timer(0, lambda: (wait_for(lambda: len(origin.requests) == 40, 30),
                                             release.set()))
        opener.start()
        assert in_threads(40, get) == [f"/{i}".encode() for i in range(40)]
        assert origin.accepted == 1
        assert weir.metric("weir_upstream_connections", state="active") == 0


def test_stream_limit_brings_more_connections():
    answer, release = held_answers()
    with Origin(h2(answer, settings={MAX_CONCURRENT_STREAMS: 3})) as origin, edge(origin) as weir:
        opener = threading.Timer(0, lambda: (wait_for(lambda: len(origin.requests) == 10, 30),
                                             release.set()))
        opener.start()
        got = in_threads(10, lambda i: weir.get(f"/{i}").body)
        assert got == [f"/{i}".encode() for i in range(10)]
        assert origin.accepted == 4, "three each"


def test_who_waits_for_settings_moves_on_together():
    answer, release = held_answers()
    server = h2(answer, settings=None)
    taken = server.take

    def take(peer, kind, flags, stream, payload):
        if kind == SETTINGS and not flags and peer is server.peers[0]:
            time.sleep(1)  # all ten wait here by then
        if kind == SETTINGS and not flags:
            peer.settings({MAX_CONCURRENT_STREAMS: 3})
        return taken(peer, kind, flags, stream, payload)

    server.take = take
    with Origin(server) as origin, edge(origin) as weir:
        opener = threading.Timer(0, lambda: (wait_for(lambda: len(origin.requests) == 10, 30),
                                             release.set()))
        opener.start()
        got = in_threads(10, lambda i: weir.get(f"/{i}").body)
        assert got == [f"/{i}".encode() for i in range(10)]
        assert origin.accepted == 4, "three each"


def test_no_stream_allowed():
    with Origin(h2(settings={MAX_CONCURRENT_STREAMS: 0})) as origin, edge(origin) as weir:
        assert weir.get().status == 502
        assert weir.access_log()[-1]["error"] == "upstream: connect: takes no streams"


def test_keepalive_requests_and_idle():
    with Origin(h2()) as origin, edge(origin, keepalive={"requests": 3}) as weir:
        for _ in range(7):
            assert weir.get().status == 200
        assert origin.accepted == 3
    with Origin(h2()) as origin, edge(origin, keepalive={"idle": 0}) as weir:
        for _ in range(3):
            assert weir.get().status == 200
        assert origin.accepted == 3
    server = h2()
    with Origin(server) as origin, edge(origin, keepalive={"timeout": "200ms"}) as weir:
        assert weir.get().status == 200
        weir.wait_metric("weir_upstream_connections", 0, state="idle")
        wait_for(lambda: server.peers[0].goaway == (0, NO_ERROR))
        assert weir.get().status == 200
        assert origin.accepted == 2


def test_goaway_gives_back_what_was_not_read():
    release = threading.Event()

    def on_head(peer, request):
        if len(peer.requests) == 2 and peer is server.peers[0]:
            first = min(peer.requests)
            peer.go_away(first)  # the second was not looked at
            release.set()

    def answer(peer, request):
        if peer is server.peers[0]:
            if request.stream == min(peer.requests):
                threading.Thread(target=lambda: (release.wait(20), time.sleep(0.2),
                                                 peer.answer(request, b"old")), daemon=True).start()
            return
        peer.answer(request, b"new")

    server = h2(answer, on_head=on_head)
    with Origin(server) as origin, edge(origin) as weir:
        with weir.client() as one, weir.client() as two:
            one.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: len(origin.requests) == 1)
            two.send("POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            assert two.response().body == b"new"
            assert one.response().body == b"old"
        assert [r.body for r in origin.requests if r.path == "/two"][-1] == b"hello"
        assert weir.log_of("/two")[-1]["attempts"] == 2
        assert weir.metric("weir_upstream_failures_total") == 0


@pytest.mark.parametrize("addresses", [1, 2])
@pytest.mark.parametrize("leave", [lambda peer: peer.go_away(0x7fffffff),
                                   lambda peer: peer.settings({MAX_CONCURRENT_STREAMS: 0})])
def test_an_idle_connection_that_takes_no_more_is_left(leave, addresses):
    def leaves_later(peer, request):
        Peer.answer(peer, request)
        threading.Timer(0.2, leave, [peer]).start()

    names = [f"127.0.0.{i + 1}" for i in range(addresses)]
    with ExitStack() as stack:
        server = h2(leaves_later)
        first = stack.enter_context(Origin(server, host=names[0]))
        for name in names[1:]:
            stack.enter_context(Origin(server, host=name, port=first.port))
        dns = stack.enter_context(Dns({"app.test": (names, 60)}))
        weir = stack.enter_context(Weir(
            {"app": {"servers": [{"address": f"app.test:{first.port}"}], "protocol": "h2c"}},
            [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}],
            environment=dns.environment()))
        for number in range(1, 7):
            assert weir.get().status == 200
            assert len(server.peers) == number
            wait_for(lambda: server.peers[-1].goaway is not None)
            weir.wait_metric("weir_upstream_connections", 0, state="idle")
        assert weir.metric("weir_upstream_retries_total") == 0


@pytest.mark.parametrize("times,status", [(1, 200), (3, 200), (4, 502)])
def test_refused_streams_are_retried(times, status):
    def answer(peer, request):
        if len(origin.requests) <= times:
            peer.rst(request, REFUSED_STREAM)
        else:
            peer.answer(request, request.body)

    with Origin(h2(answer)) as origin, edge(origin) as weir, weir.client() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        answer = client.response()
        assert answer.status == status
        if status == 200:
            assert answer.body == b"hello"
        assert all(r.body == b"hello" for r in origin.requests)
        assert weir.metric("weir_upstream_failures_total") == 0, "no fault of the server's"


@pytest.mark.parametrize("method,tries", [("GET", 2), ("POST", 1)])
def test_reset_before_the_answer(method, tries):
    with Origin(h2(lambda peer, request: peer.rst(request, INTERNAL_ERROR))) as origin:
        with edge(origin) as weir, weir.client() as client:
            assert client.request(method, "/").status == 502
            assert weir.access_log()[-1]["error"] == "upstream: reset: INTERNAL_ERROR"
        assert len(origin.requests) == tries and origin.accepted == 1


def test_reset_in_the_answer_is_a_cut():
    def answer(peer, request):
        peer.headers(request, OK + [("content-length", "10")])
        peer.data(request, b"12345")
        wait_for(lambda: seen.is_set())
        peer.rst(request, NO_ERROR)

    seen = threading.Event()
    with Origin(h2(answer)) as origin, edge(origin) as weir, weir.client() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.head()[0] == 200
        seen.set()
        assert client.read_all() == b"12345"
        assert len(origin.requests) == 1


def test_answer_before_the_body_is_read():
    def on_head(peer, request):
        peer.answer(request, b"enough")
        peer.rst(request, NO_ERROR)

    with Origin(h2(lambda peer, request: None, on_head=on_head)) as origin, edge(origin) as weir:
        with weir.client() as client:
            client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MIB}\r\n\r\n")
            answer = client.response()
            assert (answer.status, answer.body) == (200, b"enough")
        assert weir.get("/next").status == 200
        assert origin.accepted == 1


def test_client_that_leaves_resets_its_stream_only():
    answer, release = held_answers()
    with Origin(h2(answer)) as origin, edge(origin) as weir:
        with weir.client() as stays:
            stays.send("GET /stays HTTP/1.1\r\nHost: a\r\n\r\n")
            with weir.client() as leaves:
                leaves.send("GET /leaves HTTP/1.1\r\nHost: a\r\n\r\n")
                wait_for(lambda: len(origin.requests) == 2)
                leaves.reset()
            left = next(r for r in origin.requests if r.path == "/leaves")
            wait_for(lambda: left.reset == CANCEL)
            release.set()
            assert stays.response().body == b"/stays"
        assert origin.accepted == 1


BROKEN = {
    "frame of a wrong size": frame(PING, payload=b"x"),
    "data before a head": frame(DATA, 0, 1, b"x"),
    "data on stream 0": frame(DATA, payload=b"x"),
    "headers on stream 0": frame(HEADERS, END_HEADERS, 0, block(OK)),
    "push": frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(OK)),
    "broken header block": frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
    "settings out of range": frame(SETTINGS, payload=b"\0\4\xff\xff\xff\xff"),
    "window too large": frame(WINDOW_UPDATE, payload=b"\x7f\xff\xff\xff"),
    "frame too large": frame(DATA, 0, 1, b"x" * 17000),
    "http/1.1": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_connection_is_left(name):
    def answer(peer, request):
        if request.path == "/bad":
            peer.send_raw(BROKEN[name])
        else:
            peer.answer(request)

    with Origin(h2(answer)) as origin:
        with edge(origin, servers=[{"address": origin.address, "max_fails": 0}]) as weir:
            assert weir.get("/bad").status == 502, name
            assert weir.get("/fine").status == 200
            assert 2 <= origin.accepted <= 3, "the retry's and this one's"


FLOODS = {
    "ping": frame(PING, payload=b"12345678") * 3000,
    "settings": frame(SETTINGS) * 3000,
    "empty data": frame(DATA, 0, 1) * 30000,
    "continuation": frame(HEADERS, 0, 1, block(OK)) + frame(9, 0, 1) * 3000,
    "header bomb": frame(HEADERS, 0, 1, block(OK + [("x", "y" * 16000)])) +
                   frame(9, 0, 1, block([("x", "y" * 16000)])) * 40,
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_end_the_connection(name):
    def answer(peer, request):
        if request.path == "/bad":
            peer.headers(request, OK) if name == "empty data" else None
            try:
                peer.send_raw(FLOODS[name])
            except OSError:
                pass
        else:
            peer.answer(request)

    with Origin(h2(answer)) as origin:
        with edge(origin, servers=[{"address": origin.address, "max_fails": 0}]) as weir:
            before = weir.rss_bytes()
            with weir.client() as client:
                client.send("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = client.response()
                assert answer.status == 502 or not answer.complete, answer
            assert weir.get("/fine").status == 200
            assert weir.rss_bytes() - before < 16 * MIB


def test_a_server_that_is_no_http2():
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with Origin(lambda conn: (conn.recv(), conn.send(answer))) as origin, edge(origin) as weir:
        assert weir.get().status == 502
        assert weir.access_log()[-1]["error"].startswith("upstream: connect: ")
    with Origin(lambda conn: conn.recv()) as origin, edge(origin) as weir:
        assert weir.get().status == 502
        assert weir.access_log()[-1]["error"] == "upstream: connect: closed"


def test_a_server_without_settings():
    timeouts = {"connect": "300ms"}
    with Origin(lambda conn: conn.read_exactly(MIB)) as origin:
        with edge(origin, timeouts=timeouts) as weir:
            assert weir.get().status == 504
            assert weir.access_log()[-1]["error"] == "upstream: timeout: no HTTP/2 settings"
    with Origin(h2(settings=None)) as origin, edge(origin) as weir:
        assert weir.get().status == 502, "an ACK is no beginning"
        assert origin.requests == []


def test_read_timeout_costs_one_stream():
    def answer(peer, request):
        if request.path != "/silent":
            peer.answer(request)

    timeouts = {"read": "300ms"}
    with Origin(h2(answer)) as origin, edge(origin, timeouts=timeouts) as weir:
        assert weir.get("/silent").status == 504
        assert weir.get("/fine").status == 200
        assert origin.accepted == 1
        assert origin.requests[0].reset == CANCEL


def test_dead_server_is_found_by_ping():
    server = h2(lambda peer, request: None, pong=False)
    with Origin(server) as dead, Origin(h2()) as alive:
        servers = [{"address": dead.address}, {"address": alive.address, "backup": True}]
        with edge(dead, servers=servers) as weir, weir.client(timeout=40) as client:
            began = time.monotonic()
            client.send("GET /hangs HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.response().status == 200, "the other server's"
            assert time.monotonic() - began > 4
            assert server.peers[0].pings == 1
            assert weir.metric("weir_upstream_failures_total", reason="timeout") == 1


def test_slow_server_that_answers_pings_lives():
    def answer(peer, request):
        threading.Timer(7, peer.answer, (request,)).start()

    server = h2(answer)
    with Origin(server) as origin, edge(origin) as weir, weir.client(timeout=40) as client:
        assert client.request("GET", "/").status == 200
        assert server.peers[0].pings == 1 and origin.accepted == 1


# ---- flow ----

def test_slow_client_does_not_stall_the_others():
    def answer(peer, request):
        if request.path != "/huge":
            peer.answer(request)
            return
        peer.answer(request, b"x" * (64 * MIB))

    with Origin(h2(answer)) as origin, edge(origin) as weir:
        with RawClient(weir.address) as slow:
            slow.send("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: len(origin.requests) == 1)
            for _ in range(50):
                assert weir.get("/small").body == b"ok"
        assert origin.accepted == 1


def test_slow_client_holds_its_server_back():
    def answer(peer, request):
        peer.answer(request, b"x" * (64 * MIB))

    with Origin(h2(answer)) as origin, edge(origin) as weir:
        before = weir.rss_bytes()
        with RawClient(weir.address) as slow:
            slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: len(origin.requests) == 1)
            queued = lambda: sum(len(item[2]) for item in origin.requests[0].queue)
            last = -1
            while last != queued():
                last = queued()
                time.sleep(0.5)
            assert last > 32 * MIB, "only what sockets hold was taken"
            assert weir.rss_bytes() - before < 8 * MIB
        wait_for(lambda: origin.requests[0].reset == CANCEL)


def test_a_server_that_ignores_windows():
    def answer(peer, request):
        if request.path == "/fine":
            peer.answer(request)
            return
        peer.headers(request, OK)
        for _ in range(256):
            peer.send(DATA, 0, request.stream, b"x" * 16384)

    with Origin(h2(answer)) as origin:
        with edge(origin, servers=[{"address": origin.address, "max_fails": 0}]) as weir:
            with RawClient(weir.address) as slow:
                slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert not slow.response().complete
            assert weir.get("/fine").status == 200


def test_slow_server_holds_the_client_back():
    server = h2(lambda peer, request: None, credit=False)
    # A client that leaves while it is held back is noticed by the timeout.
    with Origin(server) as origin, edge(origin, timeouts={"send": "6s"}) as weir:
        before = weir.rss_bytes()
        with RawClient(weir.address, timeout=2) as client:
            client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {64 * MIB}\r\n\r\n")
            sent = 0
            try:
                while sent < 64 * MIB:
                    client.send(b"x" * MIB)
                    sent += MIB
            except OSError:
                pass
            assert sent < 32 * MIB
            assert len(origin.requests[0].body) == 65535, "the window of RFC 9113"
            assert weir.rss_bytes() - before < 8 * MIB
            peer = server.peers[0]
            peer.credit(0, 1000)
            peer.credit(origin.requests[0].stream, 1000)
            wait_for(lambda: len(origin.requests[0].body) == 66535)


def test_send_timeout_of_a_stream():
    server = h2(lambda peer, request: None, credit=False, settings={INITIAL_WINDOW_SIZE: 10})
    with Origin(server) as origin, edge(origin, timeouts={"send": "300ms"}) as weir:
        with weir.client() as client:
            client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MIB}\r\n\r\n".encode() +
                        b"x" * MIB)
            assert client.response().status == 504
        assert weir.access_log()[-1]["error"] == "upstream: timeout: send timeout"
        assert len(origin.requests[0].body) == 10


# ---- more than one server, more than one configuration ----

def test_a_server_that_dies_under_load():
    def slowly(peer, request):
        threading.Timer(0.005, lambda: peer.answer(request)).start()

    first, second = Origin(h2(slowly)), Origin(h2(slowly))
    with first, second:
        servers = [{"address": o.address} for o in (first, second)]
        with edge(first, servers=servers) as weir:
            statuses = []

            def load(_):
                with weir.client() as client:
                    for _ in range(150):
                        statuses.append(client.request("GET", "/").status)

            threading.Timer(0.3, first.stop).start()
            in_threads(8, load)
            assert set(statuses) == {200} and len(statuses) == 1200


def test_goaway_under_load():
    def answer(peer, request):
        if len(peer.requests) == 50:
            peer.go_away(request.stream)
        if len(peer.requests) > 50:
            return  # not looked at
        peer.answer(request)

    with Origin(h2(answer)) as origin, edge(origin) as weir:
        def load(_):
            with weir.client() as client:
                return {client.request("GET", "/").status for _ in range(200)}

        assert set().union(*in_threads(8, load)) == {200}
        assert origin.accepted >= 30
        assert weir.metric("weir_upstream_failures_total") == 0


def test_in_flight_counts_return():
    answer, release = held_answers()
    with Origin(h2(answer)) as origin:
        servers = [{"address": origin.address, "max_connections": 3}]
        with edge(origin, servers=servers) as weir:
            with weir.client() as one, weir.client() as two, weir.client() as three:
                for client in (one, two, three):
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                wait_for(lambda: len(origin.requests) == 3)
                assert weir.get("/full").status == 503
                release.set()
                assert [c.response().status for c in (one, two, three)] == [200] * 3
            for _ in range(5):
                assert weir.get().status == 200


def test_reload_changes_the_protocol():
    def both(conn):
        conn.read_exactly(3)
        if conn.buffer.startswith(b" * "):
            conn.buffer = b"PRI" + conn.buffer
            h2()(conn)
        else:
            conn.buffer = b"GET" + conn.buffer
            canned(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1")(conn)

    with Origin(both) as origin, proxy(origin) as weir:
        assert weir.get().body == b"h1"
        weir.config["upstreams"]["app"]["protocol"] = "h2c"
        weir.write_config()
        weir.reload()
        assert weir.get().body == b"ok"
        weir.config["upstreams"]["app"]["protocol"] = "http/1.1"
        weir.write_config()
        weir.reload()
        assert weir.get().body == b"h1"


def test_a_drain_waits_for_streams():
    answer, release = held_answers()
    with Origin(h2(answer)) as origin:
        with Weir(upstreams={"app": {"protocol": "h2c", "servers": [{"address": origin.address}]}},
                  sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}]) as weir:
            with weir.client() as client:
                client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                wait_for(lambda: len(origin.requests) == 1)
                weir.signal(15)
                time.sleep(0.3)
                release.set()
                assert client.response().body == b"/x"
            weir.process.wait(20)

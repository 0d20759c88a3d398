"""Faults of the cache that readers found: renewals, answers that break off, rests of answers."""
import signal
import socket
import threading
import time

import pytest
from support.library import Library
from support.waiting import wait_for
from support.weir import proxy

STALE = [("Cache-Control", "max-age=0, stale-while-revalidate=60")]
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nhello"
REMAINDERS_MAX = 128  # limits::kRemaindersMax


@pytest.fixture
def library():
    made = Library()
    yield made
    made.origin.stop()


def cached(library, keep=None, route=None, **options):
    return proxy(library.origin, route={"cache": keep or {}, **(route or {})}, **options)


def result(response):
    return response.get("X-Cache")


def begin(weir, path="/a"):
    client = weir.client()
    client.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return client


# ---- renewals ----


def test_a_renewal_sends_what_the_first_request_has_sent(library):
    library.set("/a", b"old", STALE)
    edits = {"set": {"Host": "backend.internal", "X-Forwarded-For": "hidden", "X-Own": "$host"}}
    with cached(library, route={"headers": {"request": edits}}) as weir:
        weir.get("/a")
        library.set("/a", b"new")
        assert result(weir.get("/a")) == "STALE"
        wait_for(lambda: weir.get("/a").body == b"new")
        first, renewal = library.origin.requests
        for name in ("Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Own", "X-Real-IP"):
            assert first.all(name) == renewal.all(name), name
        assert renewal.get("Host") == "backend.internal"
        assert renewal.all("X-Forwarded-For") == ["hidden"]
        assert renewal.get("X-Forwarded-Host") == "test"


@pytest.mark.parametrize("keep", [{}, {"store_set_cookie": True}])
def test_a_renewal_binds_nobody_to_a_server(library, keep):
    library.set("/a", b"old", STALE)
    with cached(library, keep, upstream={"sticky": {}}) as weir:
        weir.get("/a")
        library.set("/a", b"new")
        assert result(weir.get("/a")) == "STALE"
        wait_for(lambda: weir.get("/a").body == b"new")
        third = weir.get("/a")
        assert result(third) == "HIT" and third.all("Set-Cookie") == []
        assert library.count("/a") == 2


# ---- answers that are to come whole, for their tag ----


def test_an_answer_that_breaks_off_while_it_is_awaited_is_a_502(library):
    def broken(conn, _):
        conn.send(HALF)
        return False

    library.answers["/a"] = broken
    with cached(library, {"etag": True}) as weir:
        assert weir.get("/a").status == 502


def test_an_answer_that_is_awaited_for_too_long_is_a_504(library):
    end = threading.Event()

    def slow(conn, _):
        conn.send(HALF)
        end.wait(20)
        return False

    library.answers["/a"] = slow
    with cached(library, {"etag": True}, route={"timeout": "500ms"}) as weir:
        assert weir.get("/a").status == 504
        end.set()


def test_a_spare_answer_is_not_taken_for_the_one_that_was_awaited(library):
    asked = []

    def answer(conn, _):
        asked.append(1)
        if len(asked) == 1:
            return conn.answer(b"busy", status="503 Unavailable")
        conn.send(HALF)
        return False

    library.answers["/a"] = answer
    with cached(library, {"etag": True},
                upstream={"retry": {"attempts": 2, "on": ["503"]}}) as weir:
        spare = weir.get("/a")
        assert spare.status == 503 and spare.body == b"busy" and spare.get("ETag") is None


# ---- rests of answers ----


def wait_idle(weir):
    wait_for(lambda: weir.metric("weir_upstream_connections", state="idle") == 1)


def test_an_answer_that_the_client_has_costs_no_connection(library):
    """The server was asked for all of it, for the store, which may not keep it."""
    with cached(library) as weir:
        for i in range(4):
            library.set(f"/{i}", bytes(60_000), [("Cache-Control", "private"), ("ETag", '"1"')])
            same = weir.get(f"/{i}", headers=[("If-None-Match", '"1"')])
            assert same.status == 304 and result(same) == "MISS"
            assert library.last().get("If-None-Match") is None
            wait_idle(weir)
        assert library.origin.accepted == 1
        library.set("/large", bytes(5 << 20), [("Cache-Control", "private"), ("ETag", '"1"')])
        assert weir.get("/large", headers=[("If-None-Match", '"1"')]).status == 304
        assert weir.get("/0").status == 200 and library.origin.accepted == 2


def test_an_error_that_a_stale_answer_replaces_costs_no_connection(library):
    library.set("/a", b"old", [("Cache-Control", "max-age=0, stale-if-error=60")])
    with cached(library) as weir:
        weir.get("/a")
        library.set("/a", bytes(60_000), [], "503 Unavailable")
        for _ in range(4):
            wait_idle(weir)
            assert weir.get("/a").body == b"old"
        wait_idle(weir)
        assert library.origin.accepted == 1 and library.count("/a") == 5


def test_a_rest_that_nobody_gets_is_given_a_second(library):
    closed = threading.Event()

    def slow(conn, _):
        conn.send(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: private\r\n'
                  b'ETag: "1"\r\n\r\nfirst')
        conn.sock.settimeout(30)
        try:
            closed_by_peer = conn.sock.recv(1) == b""
        except ConnectionResetError:
            closed_by_peer = True
        if closed_by_peer:
            closed.set()
        return False

    library.answers["/a"] = slow
    with cached(library) as weir:
        assert weir.get("/a", headers=[("If-None-Match", '"1"')]).status == 304
        assert closed.wait(15)


class Slow:
    """Answers begin at once and go on when they may; counts those that are under way."""

    def __init__(self, length=10):
        self.rest = threading.Event()
        self.live = 0
        self.lock = threading.Lock()
        self.length = length

    def __call__(self, conn, _):
        with self.lock:
            self.live += 1
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {self.length}\r\n"
                  "Cache-Control: max-age=60\r\n\r\nfirst".encode())
        conn.sock.settimeout(0.05)
        for _ in range(600):
            if self.rest.is_set():
                break
            try:
                if conn.sock.recv(1) == b"":
                    break
            except (socket.timeout, TimeoutError):
                continue
            except OSError:
                break
        with self.lock:
            self.live -= 1
        if self.rest.is_set():
            conn.send(b"after")
        return False


def test_rests_of_answers_are_bounded(library):
    slow = library.answers["/a"] = Slow()
    with cached(library) as weir:
        clients = [begin(weir, f"/a?{i}") for i in range(REMAINDERS_MAX + 20)]
        for client in clients:
            client.read_until(b"first")
        assert slow.live == len(clients)
        for client in clients:
            client.reset()
        wait_for(lambda: slow.live == REMAINDERS_MAX)
        wait_for(lambda: weir.metric("requests_in_flight") <= 1)
        assert slow.live == REMAINDERS_MAX
        slow.rest.set()
        wait_for(lambda: slow.live == 0)
        wait_for(lambda: result(weir.get("/a?0")) == "HIT")


def test_a_leader_that_leaves_at_drain_fails_nobody(library):
    slow = library.answers["/a"] = Slow()
    with cached(library) as weir:
        leader = begin(weir)
        leader.read_until(b"first")
        follower = begin(weir)
        follower.read_until(b"first")
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain")
        leader.reset()
        time.sleep(0.2)
        slow.rest.set()
        follower.read_until(b"after")
        assert weir.process.wait(10) == 0


# Who reads along is on another worker in every second case.
@pytest.mark.parametrize("again", range(4))
def test_a_worker_without_clients_waits_for_those_of_others(library, again):
    slow = library.answers["/a"] = Slow()
    with cached(library, workers=2) as weir:
        leader = begin(weir)
        leader.read_until(b"first")
        follower = begin(weir)
        follower.read_until(b"first")
        leader.reset()
        wait_for(lambda: weir.metric("requests_in_flight") <= 1)
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain")
        time.sleep(0.2)
        slow.rest.set()
        follower.read_until(b"after")
        assert weir.process.wait(10) == 0


def test_a_rest_that_nobody_reads_holds_no_drain_up(library):
    slow = library.answers["/a"] = Slow()
    with cached(library, shutdown={"grace": "60s"}) as weir:
        leader = begin(weir)
        leader.read_until(b"first")
        leader.reset()
        wait_for(lambda: weir.metric("requests_in_flight") == 0)
        assert slow.live == 1
        weir.stop()  # within Weir's own STOP_S; the origin would take 30 s
    wait_for(lambda: slow.live == 0)


@pytest.mark.parametrize("again", range(4))
def test_a_rest_whose_last_reader_leaves_holds_no_drain_up(library, again):
    slow = library.answers["/a"] = Slow()
    with cached(library, workers=2, shutdown={"grace": "60s"}) as weir:
        leader = begin(weir)
        leader.read_until(b"first")
        follower = begin(weir)
        follower.read_until(b"first")
        leader.reset()
        wait_for(lambda: weir.metric("requests_in_flight") <= 1)
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain")
        follower.reset()
        assert weir.process.wait(20) == 0
    wait_for(lambda: slow.live == 0)


@pytest.mark.parametrize("again", range(4))
def test_who_reads_a_renewal_is_not_cut_by_a_drain(library, again):
    library.set("/a", b"old", STALE)
    with cached(library, workers=2) as weir:
        weir.get("/a")
        slow = library.answers["/a"] = Slow()
        assert result(weir.get("/a")) == "STALE"
        wait_for(lambda: slow.live == 1)
        reader = weir.client()
        reader.send(b"GET /a HTTP/1.1\r\nHost: test\r\nCache-Control: min-fresh=1\r\n\r\n")
        reader.read_until(b"first")
        assert library.count("/a") == 2
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain")
        time.sleep(0.2)
        slow.rest.set()
        reader.read_until(b"after")
        assert weir.process.wait(10) == 0


def test_a_renewal_holds_no_drain_up(library):
    end = threading.Event()
    library.set("/a", b"old", STALE)
    with cached(library, shutdown={"grace": "60s"}) as weir:
        weir.get("/a")
        library.answers["/a"] = lambda conn, _: end.wait(30) and False
        assert result(weir.get("/a")) == "STALE"
        wait_for(lambda: library.count("/a") == 2)
        weir.stop()  # within Weir's own STOP_S
        end.set()

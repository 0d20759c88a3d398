"""Servers that close while weir writes: connections kept too long, and answers before the end."""
import glob
import signal
import socket
import threading

import pytest
from support.h2_origin import MAX_CONCURRENT_STREAMS, Peer, edge, h2
from support.origin import Origin
from support.waiting import in_threads, wait_for
from support.weir import proxy

BATCH = 8


def stop_for_now(weir):
    """What comes until it goes on, it will see in this order."""
    def stopped(path):
        with open(path, encoding="ascii") as file:
            return file.read().rpartition(") ")[2].startswith("T")

    weir.pause()
    wait_for(lambda: all(map(stopped, glob.glob(f"/proc/{weir.process.pid}/task/*/stat"))))


# ---- keep-alive connections --------------------------------------------------------------------

def fill_pool(weir, origin, release):
    """So many idle connections, of which the server answers nothing more."""
    threading.Thread(target=lambda: (wait_for(lambda: len(origin.requests) == BATCH, 30),
                                     release.set()), daemon=True).start()
    assert set(in_threads(BATCH, lambda _: weir.get().status)) == {200}
    weir.wait_metric("weir_upstream_connections", BATCH, state="idle")


def test_the_retry_takes_no_second_stale_connection():
    release = threading.Event()

    def answers_once(conn):
        conn.origin.requests.append(conn.read_request())
        assert release.wait(30)
        conn.answer()
        if conn.read_request():
            conn.reset()

    with Origin(answers_once) as origin, proxy(origin) as weir:
        fill_pool(weir, origin, release)
        for _ in range(BATCH):
            assert weir.get().status == 200
        assert weir.metric("weir_upstream_failures_total") == 0


@pytest.mark.parametrize("ends", ["close", "reset"])
def test_an_upgrade_outlives_a_stale_connection(ends):
    switch = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
              b"Upgrade: websocket\r\n\r\n")

    def answers_once(conn):
        if conn.read_request().get("upgrade"):
            conn.send(switch)
            conn.send(conn.read_exactly(5))
            return
        conn.answer()
        if conn.read_request() and ends == "reset":
            conn.reset()

    with Origin(answers_once) as origin, proxy(origin) as weir:
        assert weir.get().status == 200
        with weir.client() as client:
            client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly")
            assert client.head()[0] == 101
            assert client.read_exactly(5) == b"early", "sent to the server that stays"
        assert weir.log_of("/ws")[0]["attempts"] == 2
        assert weir.metric("weir_upstream_failures_total") == 0


def test_the_retry_takes_no_second_stale_connection_over_http2():
    release = threading.Event()

    def answers_once(peer, request):
        if len(peer.requests) > 1:
            return False
        assert release.wait(30)
        return Peer.answer(peer, request)

    with Origin(h2(answers_once, settings={MAX_CONCURRENT_STREAMS: 1})) as origin:
        with edge(origin) as weir:
            fill_pool(weir, origin, release)
            for _ in range(BATCH):
                assert weir.get().status == 200


def test_what_a_lost_connection_sends_away_shares_the_next_one():
    all_here = threading.Event()

    def answer(peer, request):
        if peer is not server.peers[0] or len(peer.requests) == 1:
            return Peer.answer(peer, request)
        if len(peer.requests) < 1 + BATCH:
            return None
        all_here.set()
        return False

    server = h2(answer)
    with Origin(server) as origin, edge(origin) as weir:
        assert weir.get().status == 200
        assert set(in_threads(BATCH, lambda _: weir.get().status)) == {200}
        assert all_here.is_set() and origin.accepted == 2


@pytest.mark.parametrize("request_of", [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"])
def test_a_post_of_which_nothing_has_left_goes_elsewhere(request_of):
    close, closed = threading.Event(), threading.Event()

    def leaves(conn):
        conn.origin.requests.append(conn.read_request())
        conn.answer()
        if conn.origin.accepted == 1:
            assert close.wait(30)
            conn.sock.close()
            closed.set()

    with Origin(leaves) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 200
        stop_for_now(weir)
        client.send(request_of)
        close.set()
        assert closed.wait(30)
        weir.signal(signal.SIGCONT)
        assert client.response().status == 200
        assert [r.body for r in origin.requests] == [b"", b"hello"]
        assert weir.metric("weir_upstream_failures_total") == 0


def leave_before_the_request(say):
    """A pooled connection on which the server says that, and ends, before a POST of which weir has
    written nothing leaves. The client's answer, and all that came on each connection."""
    close, said = threading.Event(), threading.Event()
    heard = []

    def serves(conn):
        conn.origin.requests.append(conn.read_request())
        conn.answer()
        if conn.origin.accepted == 1:
            assert close.wait(30)
            if say:
                conn.send(say)
            conn.sock.shutdown(socket.SHUT_WR)
            said.set()
            while conn.recv():
                pass
            heard.append(conn.buffer)

    with Origin(serves) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 200
        stop_for_now(weir)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        close.set()
        assert said.wait(30)
        weir.signal(signal.SIGCONT)
        status = client.response().status
        wait_for(lambda: heard)
    return status, heard[0], [r.body for r in origin.requests]


def test_a_post_that_goes_elsewhere_does_not_leave_here():
    """The server has ended its side, and still reads."""
    assert leave_before_the_request(b"") == (200, b"", [b"", b"hello"])


def test_what_comes_before_the_request_is_no_answer_to_it():
    """An idle server's 408, say, which is nobody's."""
    early = (b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n"
             b"Connection: close\r\n\r\n")
    assert leave_before_the_request(early) == (200, b"", [b"", b"hello"])


def test_a_post_that_has_left_is_sent_once():
    def dies(conn):
        conn.origin.requests.append(conn.read_request())
        conn.answer()
        conn.origin.requests.append(conn.read_request())
        conn.reset()

    with Origin(dies) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 200
        assert client.request("POST", "/once", body=b"hello").status == 502
        assert [r.target for r in origin.requests] == ["/", "/once"]


# ---- answers before the end --------------------------------------------------------------------

def test_an_early_answer_is_read_though_the_body_cannot_be_written():
    begun, close, closed = threading.Event(), threading.Event(), threading.Event()

    def refuses(conn):
        conn.sock.recv(10)
        begun.set()
        assert close.wait(30)
        conn.answer("no more, thanks", "413 Content Too Large", [("Connection", "close")])
        conn.sock.close()  # what it has not read makes this a reset
        closed.set()

    with Origin(refuses) as origin, proxy(origin) as weir, weir.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 20000)
        assert begun.wait(30)
        stop_for_now(weir)
        client.send(b"x" * 100000)
        close.set()
        assert closed.wait(30)
        weir.signal(signal.SIGCONT)
        answer = client.response()
        assert (answer.status, answer.body) == (413, b"no more, thanks")

"""Slow clients: each is ended by its limit, none is noticed by the others."""
import socket
import threading
import time

import pytest
from support.origin import Origin, by_target, echo
from support.weir import proxy

SMALL_BUFFER_BYTES = 4096


def until_answer(client, piece, pause_s, limit_s):
    """Sends `piece` over and over until weir answers: (answer, seconds)."""
    began = time.monotonic()
    client.sock.settimeout(pause_s)
    while time.monotonic() - began < limit_s:
        client.send(piece)
        try:
            client.buffer += client.sock.recv(65536)
            client.sock.settimeout(10)
            return client.response(), time.monotonic() - began
        except socket.timeout:
            pass
    return None, time.monotonic() - began


def test_slow_heads():
    timeouts = {"header": "2s", "min_rate": "240B/s"}
    with Origin(echo) as origin, proxy(origin, listener={"timeouts": timeouts}) as weir:
        with weir.client() as client:  # 50 bytes a second: all that it had in hand is half of 2 s
            client.send(b"GET / HTTP/1.1\r\nX: ")
            answer, took_s = until_answer(client, b"xxxxx", 0.1, 5)
            assert answer.status == 408 and 0.9 < took_s < 1.9
        assert "min_rate" in weir.access_log(1)[0]["error"]
        with weir.client() as client:  # 1000 bytes a second are fast enough
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
            for _ in range(14):
                client.send(b"x" * 100)
                time.sleep(0.1)
            client.send(b"\r\n\r\n")
            assert client.response().status == 200
        with weir.client() as client:  # but not for ever
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
            answer, took_s = until_answer(client, b"x" * 100, 0.1, 5)
            assert answer.status == 408 and 1.9 < took_s < 3.5
        assert "header_timeout" in weir.access_log(3)[2]["error"]


def test_slow_bodies():
    timeouts = {"body": "1s", "min_rate": "240B/s"}
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n"
    with Origin(echo) as origin, proxy(origin, listener={"timeouts": timeouts}) as weir:
        with weir.client() as client:  # never silent, but too slow
            client.send(head)
            answer, took_s = until_answer(client, b"x" * 10, 0.1, 6)
            assert answer.status == 408 and 0.9 < took_s < 4
        with weir.client() as client:
            client.send(head)
            for _ in range(20):
                client.send(b"x" * 100)
                time.sleep(0.1)
            assert client.response().status == 200
        with weir.client() as client:  # what was fast may pause: as long as it may be silent
            client.send(head + b"x" * 1900)
            time.sleep(0.7)
            client.send(b"x" * 100)
            assert client.response().status == 200


def test_a_blank_line_behind_a_body_begins_nothing():
    with Origin(echo) as origin, proxy(origin, listener={"timeouts": {"header": "1s"}}) as weir:
        with weir.client() as client:
            for blank in (b"\r\n", b"\r\n\r\n", b""):
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + blank)
                assert client.response().status == 200
                time.sleep(1.2)
        assert [line["status"] for line in weir.access_log(3)] == [200] * 3


def test_who_waits_to_be_told_to_go_on_is_not_late():
    """Its body's time begins with the 100, not while it is queued; who does not wait is timed."""
    taken, release = threading.Event(), threading.Event()

    def hold(conn, request):
        taken.set()
        release.wait(20)
        conn.answer(request.body)

    upstream = {"circuit_breaker": {"max_connections": 1, "max_pending": 5,
                                    "pending_timeout": "10s"}}
    listener = {"timeouts": {"body": "1s"}}
    head = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    handlers = {"a": hold, "b": lambda conn, request: conn.answer(request.body)}
    with Origin(by_target(handlers)) as origin:
        with proxy(origin, upstream, listener=listener) as weir:
            with weir.client() as holder, weir.client() as client, weir.client() as hasty:
                holder.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                assert taken.wait(10)
                client.send(head)
                hasty.send(head + b"hel")
                assert hasty.response().status == 408
                time.sleep(0.5)
                release.set()
                assert client.response(skip_1xx=False).status == 100
                client.send(b"hello")
                assert client.response().body == b"hello"
            with weir.client() as client:
                client.send(head)
                assert client.response(skip_1xx=False).status == 100
                assert client.response().status == 408, "and nothing came"


def test_no_rate_is_asked_for():
    timeouts = {"body": "500ms", "header": "5s", "min_rate": "0B/s"}
    with Origin(echo) as origin, proxy(origin, listener={"timeouts": timeouts}) as weir:
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nX: ")
            client.send_slowly(b"x" * 30, pause_s=0.1)  # 3 s, over half of the head's time
            client.send(b"\r\nContent-Length: 20\r\n\r\n")
            client.send_slowly(b"x" * 20, pause_s=0.1)
            assert client.response().status == 200


def endless(conn, _):
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1000):
        conn.send(b"z" * 1000000)


def small_window_client(address):
    """A client whose kernel takes little ahead of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    sock.settimeout(10)
    sock.connect(address)
    return sock


def read_slowly(sock, bytes_per_s, seconds):
    """False when the connection ended in between."""
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if not sock.recv(bytes_per_s // 20):
                return False
            time.sleep(0.05)
    except OSError:
        return False
    return True


def test_slow_readers():
    request = b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"
    for min_rate, survives in (("1MiB/s", False), ("0B/s", True), ("1KiB/s", True)):
        timeouts = {"send": "1s", "min_rate": min_rate}
        with Origin(by_target({"endless": endless})) as origin:
            with proxy(origin, listener={"timeouts": timeouts}) as weir:
                with small_window_client(weir.address) as sock:
                    sock.sendall(request)
                    read_slowly(sock, 200_000, 4)
                    assert weir.metric("requests_in_flight") == (1 if survives else 0)
                if not survives:
                    error = weir.access_log(1)[0]["error"]
                    assert "timeout" in error and "reads too slowly" in error


def test_a_reader_of_small_pieces_is_watched_too():
    """The flush of an iteration fills the socket, not the piece that is being written."""
    def trickle(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5000):
            conn.send(b"fa0\r\n" + b"z" * 4000 + b"\r\n")
            time.sleep(0.0005)

    listener = {"timeouts": {"send": "1s"}}
    with Origin(by_target({"trickle": trickle})) as origin:
        with proxy(origin, listener=listener) as weir, small_window_client(weir.address) as sock:
            sock.sendall(b"GET /trickle HTTP/1.1\r\nHost: a\r\n\r\n")
            assert "client: timeout" in weir.log_of("/trickle", seconds=30)[0]["error"]


def test_small_answers_that_nobody_reads_are_watched_too():
    """Each is queued whole when its exchange ends: the flush behind that fills the socket."""
    listener = {"timeouts": {"send": "1s", "keepalive": "60s"}}
    small = b"HTTP/1.1 200 OK\r\nContent-Length: 12000\r\n\r\n" + b"z" * 12000
    with Origin(by_target({"": small})) as origin, proxy(origin, listener=listener) as weir:
        with small_window_client(weir.address) as sock:
            began = time.monotonic()
            with pytest.raises(OSError):  # weir has reset it
                while time.monotonic() - began < 20:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    time.sleep(0.02)


def test_who_reads_nothing_is_watched_past_the_end_of_a_body():
    """The answer comes early and does not end; the request's last byte changes nothing."""
    def serve(conn):
        conn.read_head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1000):
            conn.send(b"z" * 1000000)

    listener = {"timeouts": {"send": "2s", "body": "60s"}}
    with Origin(serve) as origin, proxy(origin, listener=listener) as weir:
        with small_window_client(weir.address) as sock:
            sock.sendall(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
            time.sleep(1)
            sock.sendall(b"world")
            assert "client: timeout" in weir.log_of("/p", seconds=15)[0]["error"]


def queued_bytes(port):
    """What the kernel holds for each client of this port."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [int(row[4].partition(":")[0], 16) for row in rows
            if row[1].endswith(f":{port:04X}") and row[3] == "01"]


def test_the_kernel_holds_little_for_a_client_that_does_not_read():
    with Origin(by_target({"endless": endless})) as origin, proxy(origin) as weir:
        with small_window_client(weir.address) as sock:
            sock.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(1)
            assert 0 < max(queued_bytes(weir.address[1])) < 1 << 20


class Crowd(threading.Thread):
    """Slow clients of one kind: `step(sock)` for each every `pause_s`, until weir ends it."""

    def __init__(self, count, make, step, pause_s):
        super().__init__(daemon=True)
        self.socks = [make() for _ in range(count)]
        self.step = step
        self.pause_s = pause_s
        self.ended = 0
        self.over = threading.Event()

    def run(self):
        alive = list(self.socks)
        while alive and not self.over.wait(self.pause_s):
            left = []
            for sock in alive:
                if self.is_ended(sock):
                    sock.close()
                    self.ended += 1
                else:
                    left.append(sock)
            alive = left
        for sock in alive:
            sock.close()

    def is_ended(self, sock):
        try:
            return not self.step(sock)
        except BlockingIOError:
            return False
        except OSError:
            return True


def test_a_crowd_of_slow_clients_is_ended_and_disturbs_nobody():
    count = 100
    timeouts = {"header": "2s", "body": "1s", "send": "1s", "keepalive": "2s"}
    with Origin(by_target({"endless": endless, "small": lambda conn, _: conn.answer()})) as origin:
        listeners = {"http": {"address": "127.0.0.1:0"},
                     "crowd": {"address": "127.0.0.1:0", "timeouts": timeouts}}
        with proxy(origin, workers=2, listeners=listeners) as weir:
            host, _, port = weir.ports["crowd"].rpartition(":")

            def connect(first_bytes):
                def make():
                    sock = small_window_client((host, int(port)))
                    sock.sendall(first_bytes)
                    sock.setblocking(False)
                    return sock
                return make

            def send_byte(sock):
                sock.send(b"x")
                sock.recv(1)
                return False  # an answer is the end, too

            def read_byte(sock):
                reset = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                return sock.recv(1) and not reset  # what came before could be read on

            crowds = [
                Crowd(count, connect(b"GET / HTTP/1.1\r\nX: "), send_byte, 0.1),
                Crowd(count, connect(b"POST /small HTTP/1.1\r\nHost: a\r\n"
                                     b"Content-Length: 99\r\n\r\n"), send_byte, 0.1),
                Crowd(count, connect(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"), read_byte, 0.1),
                Crowd(count, connect(b""), read_byte, 0.1),
            ]
            for crowd in crowds:
                crowd.start()
            with weir.client() as good:
                until = time.monotonic() + 40
                while any(crowd.ended < count for crowd in crowds):
                    assert time.monotonic() < until, [crowd.ended for crowd in crowds]
                    assert good.request("GET", "/small").status == 200
                    time.sleep(0.01)
            for crowd in crowds:
                crowd.over.set()
                crowd.join()
            weir.wait_metric("active_connections", 0)
            weir.wait_metric("requests_in_flight", 0)

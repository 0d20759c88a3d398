"""Back pressure: what one side does not take, the other does not send, and memory stays flat."""
import json
import threading
import time

from support.origin import Origin, OriginConnection, echo
from support.weir import Weir, proxy

BODY_BYTES = 128 << 20   # a hundred times what may be held
GROWTH_BYTES = 24 << 20  # read buffer, blocks in flight, sanitizer overhead
PIECE = b"z" * (1 << 18)


def slow_then_fast(read_some, total):
    """Takes nothing for a while, then all of it; returns how much came."""
    time.sleep(1.0)
    got = 0
    while got < total:
        part = read_some()
        if not part:
            break
        got += part
    return got


def stream_answer(conn: OriginConnection):
    while conn.read_request():
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
        for _ in range(BODY_BYTES // len(PIECE)):
            conn.send(PIECE)


def test_large_answer_to_a_slow_client():
    with Origin(stream_answer) as origin, proxy(origin) as weir, weir.client() as client:
        before = weir.rss_bytes()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        status, _, headers = client.head()
        assert status == 200 and ("Content-Length", str(BODY_BYTES)) in headers
        got = len(client.buffer)
        client.buffer = b""
        peak = []
        got += slow_then_fast(
            lambda: (peak.append(weir.rss_bytes()) if len(peak) < 200 else None)
            or len(client.sock.recv(1 << 20)), BODY_BYTES - got)
        assert got == BODY_BYTES
        assert max(peak) - before < GROWTH_BYTES


def test_large_request_to_a_slow_server():
    received = {}

    def take(conn):
        head = conn.read_head()
        if head is None:
            return
        got = len(conn.buffer)
        conn.buffer = b""
        received["bytes"] = got + slow_then_fast(lambda: len(conn.sock.recv(1 << 20)),
                                                 BODY_BYTES - got)
        conn.answer()

    with Origin(take) as origin, proxy(origin, listener={"limits": {"body": "10GiB"}}) as weir:
        with weir.client() as client:
            before = weir.rss_bytes()
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
            peak = before
            for i in range(BODY_BYTES // len(PIECE)):
                client.send(PIECE)
                if i % 64 == 0:
                    peak = max(peak, weir.rss_bytes())
            assert client.response().status == 200
            assert received["bytes"] == BODY_BYTES
            assert peak - before < GROWTH_BYTES


def test_chunked_both_ways_through_small_pieces():
    def chunked(conn):
        while True:
            request = conn.read_request()
            if request is None:
                return
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(request.body), 1000):
                part = request.body[at:at + 1000]
                conn.send(b"%x\r\n%s\r\n" % (len(part), part))
            conn.send(b"0\r\n\r\n")

    body = bytes(i % 251 for i in range(300_000))
    with Origin(chunked) as origin, proxy(origin) as weir, weir.client() as client:
        for size in (1, 7, 4096, 70_000):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            sender = threading.Thread(target=lambda step=size: [
                client.send(b"%x\r\n%s\r\n" % (len(p), p))
                for p in (body[i:i + step] for i in range(0, len(body) if step > 1 else 500, step))
            ] and client.send(b"0\r\n\r\n"))
            sender.start()
            answer = client.response()
            sender.join()
            assert answer.complete and answer.body == (body if size > 1 else body[:500])


def test_slow_clients_hold_little():
    """Fifty clients that ask for much and read nothing: bounded by their sockets and one read."""
    with Origin(stream_answer) as origin, proxy(origin) as weir:
        before = weir.rss_bytes()
        clients = [weir.client() for _ in range(50)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1.5)
        assert weir.rss_bytes() - before < 50 * (1 << 20)
        assert weir.metric("requests_in_flight") == 50
        for client in clients:
            client.sock.close()
        weir.wait_metric("requests_in_flight", 0)


def test_many_readers_that_stop_leave_memory_for_others():
    """Over connections whose reads have grown: all of the last one waits for who has stopped."""
    readers, grown_bytes, buffers_bytes = 500, 1 << 20, 64 << 20
    all_ask = threading.Event()
    asking = []

    def answer(conn):
        while (request := conn.read_request()) is not None:
            if request.target == "/grow":  # at the same time, so that each has a connection
                asking.append(1)
                if len(asking) == readers:
                    all_ask.set()
                all_ask.wait(30)
            size = {"/grow": grown_bytes, "/stop": 64 << 20}.get(request.target, 2)
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for at in range(0, size, len(PIECE)):
                conn.send(PIECE[:size - at])

    def used():
        return json.loads(weir.admin("/status")[1])["buffers_bytes"]

    with Origin(answer) as origin, proxy(
            origin, {"keepalive": {"idle": readers}}, memory={"buffers": f"{buffers_bytes}B"},
            workers=2) as weir:
        clients = [weir.client(timeout=60) for _ in range(readers)]
        for client in clients:
            client.send(b"GET /grow HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients:
            assert len(client.response().body) == grown_bytes
        for client in clients:
            client.send(b"GET /stop HTTP/1.1\r\nHost: a\r\n\r\n")
        weir.wait_metric("requests_in_flight", readers, seconds=30)
        highest, before = 0, None
        deadline = time.monotonic() + 30
        while before != used() and time.monotonic() < deadline:
            before = used()
            highest = max(highest, before)
            time.sleep(1)
            assert weir.get("/other").status == 200
        assert 0 < highest < buffers_bytes * 0.75
        assert weir.metric("weir_connections_refused_total", reason="memory") == 0
        for client in clients:
            client.sock.close()
        weir.wait_metric("requests_in_flight", 0, seconds=30)


def test_send_timeout_ends_a_client_that_reads_nothing():
    with Origin(stream_answer) as origin:
        with proxy(origin, listener={"timeouts": {"send": "500ms"}}) as weir:
            with weir.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                weir.wait_metric("requests_in_flight", 1)
                weir.wait_metric("requests_in_flight", 0, seconds=5)
                assert "timeout" in weir.access_log(1)[0]["error"]


def test_pipelined_requests_are_not_answered_ahead_of_a_slow_reader():
    """Many large answers asked for at once: one is under way, the rest waits."""
    def big(conn):
        while conn.read_request():
            conn.origin.requests.append(1)
            conn.answer(b"b" * (8 << 20))

    with Origin(big) as origin, proxy(origin) as weir, weir.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        time.sleep(1)
        assert len(origin.requests) < 10
        for _ in range(100):
            answer = client.response()
            assert answer.complete and len(answer.body) == 8 << 20
            if len(origin.requests) > 20:
                break


def test_flood_of_pipelined_requests_is_bounded():
    with Origin(echo) as origin, proxy(origin) as weir, weir.client() as client:
        before = weir.rss_bytes()
        client.sock.settimeout(1)
        try:
            for _ in range(2000):
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
        except OSError:
            pass  # weir has stopped reading
        assert weir.rss_bytes() - before < GROWTH_BYTES


def test_pipelined_requests_that_weir_answers_itself_take_turns():
    """Each holds a block of memory until the turn is over: not all of a read's in one."""
    count = 3000
    sites = [{"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200}}]}]
    with Weir(sites=sites, memory={"buffers": "4MiB"},
              listener={"connection": {"requests": count + 1}}) as weir, weir.client() as client:
        sender = threading.Thread(
            target=lambda: client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * count))
        sender.start()
        assert [client.response("HEAD").status for _ in range(count)] == [200] * count
        sender.join()
        assert weir.metric("weir_connections_refused_total", reason="memory") == 0

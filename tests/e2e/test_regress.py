"""Defects that were found once and must not come back. Each test says what went wrong."""
import socket
import threading
import time

from support.origin import Origin, canned, echo
from support.raw import RawClient
from support.weir import Weir, proxy


def test_pipelined_requests_behind_a_congested_answer_are_taken_up():
    """A half head held behind a congested answer was forgotten until the header timeout."""
    route = {"path": "/", "respond": {"status": 200, "body": "b" * 3900}}
    with Weir(sites=[{"hosts": ["*"], "routes": [route]}]) as weir:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(8)
        sock.connect(weir.address)
        client = RawClient.__new__(RawClient)
        client.sock, client.buffer, client.eof = sock, b"", False
        with client:
            one = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            count = 1000
            whole = one * count
            sender = threading.Thread(target=client.send_slowly, args=(whole, len(one) * 10 + 20))
            sender.start()
            time.sleep(0.3)
            for _ in range(count):
                assert client.response().status == 200
            sender.join()


def test_large_head_on_a_connection_that_has_uploaded():
    """Reading stopped inside a head of more than 64 KiB and never started again."""
    listener = {"limits": {"header_size": "512KiB", "body": "10MiB"}}
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(
        b"X-%d: " % i + b"v" * 7000 + b"\r\n" for i in range(17)) + b"\r\n"
    with Origin(echo) as origin, proxy(origin, listener=listener) as weir:
        with weir.client() as client:
            assert client.request("POST", body=b"u" * (3 << 20)).status == 200
            client.send(head[:110_000])
            time.sleep(0.2)
            started = time.monotonic()
            client.send(head[110_000:])
            assert client.response().status == 200
            assert time.monotonic() - started < 5


def test_late_body_of_a_204_is_nobodys_answer():
    """A 204 with a body's framing went back to its pool; its body answered somebody else."""
    def poison(conn):
        request = conn.read_request()
        if request is None:
            return
        conn.send(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.1)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    with Origin(poison) as origin, proxy(origin) as weir, weir.client() as client:
        assert client.request().status == 204
        origin.handler = echo
        assert client.request().json()["method"] == "GET"
        assert origin.accepted == 2


def test_upgrade_of_an_http_1_0_server_is_refused():
    answer = b"HTTP/1.0 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with Origin(canned(answer)) as origin, proxy(origin) as weir, weir.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n")
        assert client.response().status == 502

"""Upgraded connections: bytes both ways as they are, with an idle time of their own."""
import socket
import threading
import time

import pytest
from support.origin import Origin, by_request
from support.raw import RawClient
from support.weir import proxy

SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
ASK = ("GET {} HTTP/1.1\r\nHost: a\r\nConnection: {}\r\nUpgrade: websocket\r\n"
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
MIB = 1024 * 1024


def echo_bytes(conn):
    while conn.buffer or conn.recv():
        data, conn.buffer = conn.buffer, b""
        conn.send(data)
    conn.send(b"bye")  # the client has ended; the server still speaks


def early(conn):
    conn.send(b"first")
    echo_bytes(conn)


def server_ends(conn):
    conn.send(b"last words")
    conn.sock.shutdown(socket.SHUT_WR)
    while conn.recv():
        pass
    conn.origin.heard = conn.buffer


def server_resets(conn):
    conn.reset()


def server_talks(conn):
    try:
        for _ in range(12):
            conn.send(b".")
            time.sleep(0.2)
    except OSError:
        pass


def flood(conn):
    block = b"x" * MIB
    for _ in range(64):
        conn.send(block)
        conn.origin.sent += MIB


def deaf(conn):
    conn.origin.go_on.wait(10)
    total = len(conn.buffer)
    conn.buffer = b""
    while total < 64 * MIB and conn.recv():
        total += len(conn.buffer)
        conn.buffer = b""
    conn.origin.taken = total
    conn.send(b"all")


TUNNELS = {"/echo": echo_bytes, "/early": early, "/ends": server_ends, "/resets": server_resets,
           "/talks": server_talks, "/flood": flood, "/deaf": deaf}
ANSWERS = {
    "/426": b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Content-Length: 3\r\n\r\nno\n",
    "/200": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno\n",
    "/bare": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "/no-connection": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "/other": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "/two": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket, h2c\r\n\r\n",
}


@by_request
def handler(conn, request):
    if request.target in TUNNELS and request.get("upgrade") == "websocket":
        # A server that speaks at once does so in the segment of its 101.
        conn.send(SWITCH + (b"at once " if request.target == "/early" else b""))
        TUNNELS[request.target](conn)
        return False
    return conn.send(ANSWERS.get(request.target, ANSWERS["/200"]))


@pytest.fixture(scope="module")
def pair():
    routes = [{"path": "/closed/", "upstream": "app", "websocket": False},
              {"path": "/", "upstream": "app",
               "headers": {"response": {"set": {"X-Edited": "yes"}}}}]
    timeouts = {"read": "300ms", "tunnel": "2s"}
    with Origin(handler) as origin:
        with proxy(origin, {"timeouts": timeouts}, site={"routes": routes}) as weir:
            yield weir, origin


def upgrade(client, target, connection="Upgrade", behind=b""):
    client.send(ASK.format(target, connection).encode() + behind)
    status, _, headers = client.head()
    return status, {name.lower(): value for name, value in headers}


def test_upgrade_and_echo(pair):
    weir, origin = pair
    with weir.client() as client:
        status, headers = upgrade(client, "/echo", "keep-alive, Upgrade")
        assert status == 101
        assert headers["connection"] == "Upgrade" and headers["upgrade"] == "websocket"
        assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert headers["x-edited"] == "yes", "filters see a 101 as they see every answer"
        assert not set(headers) & {"content-length", "transfer-encoding"}
        for data in (b"hello", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 300000):
            client.send(data)
            assert client.read_exactly(len(data)) == data
    seen = origin.requests[-1]
    assert seen.get("connection") == "Upgrade" and seen.get("upgrade") == "websocket"
    assert seen.get("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ=="
    line = weir.log_of("/echo")[-1]
    assert line["status"] == 101 and line["error"] == ""
    assert line["bytes_in"] > 300000 and line["bytes_out"] > 300000


def test_plain_requests_carry_no_upgrade(pair):
    weir, origin = pair
    cases = [
        "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Content-Length: 2\r\n\r\nhi",
    ]
    with weir.client() as client:
        for text in cases:
            assert client.send(text).response().status == 200
            assert origin.requests[-1].get("upgrade") is None, text
            assert origin.requests[-1].get("connection") is None, text
    with weir.client() as client:
        client.send(ASK.format("/x", "Upgrade").replace("1.1", "1.0"))
        assert client.response().status == 200
        assert origin.requests[-1].get("upgrade") is None


def test_bytes_right_behind_both_heads(pair):
    weir, _ = pair
    with weir.client() as client:
        assert upgrade(client, "/early", behind=b"eager")[0] == 101
        want = b"at once firsteager"
        assert client.read_exactly(len(want)) == want
        client.send(b"more")
        assert client.read_exactly(4) == b"more"


def test_upgrades_can_be_refused(pair):
    weir, origin = pair
    before = len(origin.requests)
    with weir.client() as client:
        client.send(ASK.format("/closed/echo", "Upgrade"))
        assert client.response().status == 403
        assert len(origin.requests) == before
        assert client.request(target="/closed/x").status == 200, "plain requests still pass"


def test_answers_that_are_no_upgrade_pass(pair):
    weir, _ = pair
    with weir.client() as client:
        for target, status in (("/426", 426), ("/200", 200)):
            client.send(ASK.format(target, "Upgrade"))
            answer = client.response()
            assert answer.status == status and answer.body == b"no\n"
        assert client.request(target="/x").status == 200, "and the connection goes on"


@pytest.mark.parametrize("target", ["/bare", "/no-connection", "/other", "/two"])
def test_a_101_that_is_not_the_one_asked_for(pair, target):
    weir, _ = pair
    failures = weir.metric("weir_upstream_failures_total")
    with weir.client() as client:
        client.send(ASK.format(target, "Upgrade"))
        answer = client.response()
        assert answer.status == 502
        assert client.request(target="/x").status == 200
    assert weir.metric("weir_upstream_failures_total") == failures + 1


# ---- ends --------------------------------------------------------------------------------------


def test_idle_tunnels_outlive_the_read_timeout_and_end_at_their_own(pair):
    weir, _ = pair
    before = len(weir.log_of("/echo", 0))
    with weir.client() as client:
        assert upgrade(client, "/echo")[0] == 101
        for _ in range(3):
            time.sleep(0.8)  # more than timeouts.read; together more than timeouts.tunnel
            client.send(b"x")
            assert client.read_exactly(1) == b"x"
        started = time.monotonic()
        client.assert_closed()
        assert 1.5 < time.monotonic() - started < 5
    line = weir.log_of("/echo", before + 1)[-1]
    assert line["status"] == 101 and line["error"] == "weir: timeout: tunnel idle"


def test_whoever_does_not_end_behind_the_other_is_late(pair):
    weir, _ = pair
    before = len(weir.log_of("/ends", 0))
    with weir.client() as client:
        assert upgrade(client, "/ends")[0] == 101
        assert client.read_all() == b"last words"
        line = weir.log_of("/ends", before + 1, seconds=15)[-1]
    assert line["error"] == "client: timeout: tunnel idle"


def test_one_direction_keeps_a_tunnel_alive(pair):
    weir, _ = pair
    with weir.client() as client:
        assert upgrade(client, "/talks")[0] == 101
        assert client.read_exactly(12) == b"." * 12


def test_client_ends_first(pair):
    weir, _ = pair
    with weir.client() as client:
        assert upgrade(client, "/echo")[0] == 101
        client.send(b"hello")
        client.half_close()
        assert client.read_all() == b"hellobye"
        assert not client.was_reset


def test_server_ends_first(pair):
    weir, origin = pair
    origin.heard = None
    with weir.client() as client:
        assert upgrade(client, "/ends")[0] == 101
        assert client.read_all() == b"last words" and not client.was_reset
        client.send(b"still here")
        client.half_close()
        deadline = time.monotonic() + 5
        while origin.heard is None and time.monotonic() < deadline:
            time.sleep(0.01)
    assert origin.heard == b"still here"


def test_resets_end_both_sides(pair):
    weir, _ = pair
    with weir.client() as client:
        assert upgrade(client, "/resets")[0] == 101
        assert client.read_all() == b""
    assert weir.log_of("/resets")[-1]["error"].startswith("upstream: reset")
    client = weir.client()
    assert upgrade(client, "/echo")[0] == 101
    client.reset()
    weir.wait_metric("requests_in_flight", 0)


def test_a_tunnel_counts_as_in_flight_until_it_ends(pair):
    weir, _ = pair
    weir.wait_metric("requests_in_flight", 0)
    with weir.client() as client:
        assert upgrade(client, "/echo")[0] == 101
        weir.wait_metric("requests_in_flight", 1)
    weir.wait_metric("requests_in_flight", 0)


def test_a_reload_leaves_tunnels_alone():
    with Origin(handler) as origin, proxy(origin) as weir, weir.client() as client:
        assert upgrade(client, "/echo")[0] == 101
        weir.config["sites"][0]["routes"] = [{"path": "/", "respond": {"status": 204}}]
        weir.write_config()
        weir.reload()
        assert weir.get().status == 204
        client.send(b"alive")
        assert client.read_exactly(5) == b"alive"


# ---- back pressure -----------------------------------------------------------------------------


def grown(weir, before):
    return weir.rss_bytes() - before


@pytest.fixture
def patient():
    """A pair whose tunnels may be still for long."""
    # What a sanitizer keeps of freed memory is not what weir holds.
    keeps_little = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:quarantine_size_mb=1"}
    with Origin(handler) as origin, proxy(origin, environment=keeps_little) as weir:
        origin.sent = origin.taken = 0
        origin.go_on = threading.Event()
        with weir.client() as client:  # what the first tunnel allocates is not counted
            assert upgrade(client, "/echo")[0] == 101
            client.send(b"x" * MIB)
            client.read_exactly(MIB)
        yield weir, origin


def settled(read):
    """The value of read() once it has stopped moving."""
    deadline = time.monotonic() + 10
    last, value = -1, read()
    while value != last and time.monotonic() < deadline:
        time.sleep(0.3)
        last, value = value, read()
    return value


def test_slow_client_holds_the_server_back(patient):
    weir, origin = patient
    before = weir.rss_bytes()
    with weir.client() as client:
        assert upgrade(client, "/flood")[0] == 101
        assert settled(lambda: origin.sent) < 40 * MIB, "only what sockets hold was taken"
        assert grown(weir, before) < 8 * MIB
        total = len(client.buffer)
        client.buffer = b""
        while total < 64 * MIB:
            total += len(client.sock.recv(MIB))
        assert grown(weir, before) < 8 * MIB


def start_sending(client):
    """64 MiB, from a thread: (thread, [bytes sent so far])."""
    sent = [0]

    def send():
        for _ in range(64):
            client.send(b"x" * MIB)
            sent[0] += MIB

    sender = threading.Thread(target=send)
    sender.start()
    return sender, sent


def test_slow_server_holds_the_client_back(patient):
    weir, origin = patient
    before = weir.rss_bytes()
    with RawClient(weir.address) as client:
        assert upgrade(client, "/deaf")[0] == 101
        sender, sent = start_sending(client)
        assert settled(lambda: sent[0]) < 40 * MIB, "only what sockets hold was taken"
        assert grown(weir, before) < 8 * MIB
        origin.go_on.set()
        sender.join(15)
        assert client.read_exactly(3) == b"all" and origin.taken == 64 * MIB
        assert grown(weir, before) < 8 * MIB


def test_a_server_that_takes_nothing_has_the_time_of_the_tunnel():
    timeouts = {"send": "300ms"}
    with Origin(handler) as origin, proxy(origin, {"timeouts": timeouts}) as weir:
        origin.go_on = threading.Event()
        with RawClient(weir.address) as client:
            assert upgrade(client, "/deaf")[0] == 101
            sender, sent = start_sending(client)
            settled(lambda: sent[0])
            time.sleep(1.5)  # timeouts.send, by weir's clock and by the kernel's
            origin.go_on.set()
            sender.join(15)
            assert client.read_exactly(3) == b"all" and origin.taken == 64 * MIB

"""WebSockets over HTTP/2 (RFC 8441): streams to clients, upgrades to servers."""
import socket
import struct

import pytest
from support import h2, h2_origin
from support.h2 import H2Client, get
from support.origin import Origin
from support.weir import proxy

H2C = {"protocols": ["h2c", "http/1.1"]}
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n")


def connect(path="/chat", protocol="websocket"):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", path),
            (":authority", "a"), ("sec-websocket-version", "13"), ("origin", "http://a")]


def talk(conn):
    head = conn.read_head()
    conn.origin.heads.append(head)
    if b"/refuse" in head:
        conn.answer(b"no", "403 Forbidden", [("Connection", "close")])
        return
    conn.send(SWITCH + b"hello ")
    while conn.buffer or conn.recv():
        data, conn.buffer = conn.buffer, b""
        if data == b"rst":
            conn.reset()
            return
        conn.send(data)
    conn.send(b"bye")
    conn.sock.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def pair():
    with Origin(talk) as origin, proxy(origin, listener=H2C) as weir:
        origin.heads = []
        yield weir, origin


def opened(client, stream=1):
    client.headers(stream, connect(), end=False)
    client.until(lambda c: c.answers.get(stream) and c.answers[stream].body == b"hello ")
    return client.answers[stream]


def test_a_conversation(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        client.until(lambda c: c.settings is not None)
        assert client.settings[h2.ENABLE_CONNECT_PROTOCOL] == 1
        answer = opened(client)
        assert answer.status == 200
        names = [name for name, _ in answer.headers]
        assert not {"connection", "upgrade", "sec-websocket-accept"} & set(names)
        assert answer.get("sec-websocket-protocol") == "chat"
        head = origin.heads[-1].decode("latin-1")
        assert head.startswith("GET /chat HTTP/1.1\r\nHost: a\r\n")
        assert "\r\nUpgrade: websocket\r\n" in head and "\r\nConnection: Upgrade\r\n" in head
        key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
        assert len(key) == 24 and key.endswith("==")
        client.data(1, b"ping")
        client.until(lambda c: answer.body == b"hello ping")
        client.data(1, b"x" * 10000, end=True)
        client.answer(1)
        assert answer.body == b"hello ping" + b"x" * 10000 + b"bye"
        assert answer.reset is None
    assert weir.log_of("/chat")[0]["status"] == 101


def test_what_the_client_says_early_is_kept(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, connect(), end=False)
        client.data(1, b"early", end=True)
        assert client.answer(1).body == b"hello earlybye"


def test_many_at_once_beside_requests(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        answers = [opened(client, stream) for stream in range(1, 21, 2)]
        for i, stream in enumerate(range(1, 21, 2)):
            client.data(stream, b"%d" % i, end=True)
        for i, stream in enumerate(range(1, 21, 2)):
            client.answer(stream)
            assert answers[i].body == b"hello %dbye" % i


def test_a_refusal_is_an_answer(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, connect("/refuse"), end=False)
        answer = client.answer(1)
        assert (answer.status, answer.body) == (403, b"no")


def test_a_refusal_costs_no_connection():
    def refuse(conn):
        while conn.read_head() is not None:
            conn.answer(b"no", "403 Forbidden")

    with Origin(refuse) as origin, proxy(origin, listener=H2C) as weir:
        with H2Client(weir.address) as client:
            for stream in (1, 3, 5):
                client.headers(stream, connect(), end=False)
                assert client.answer(stream).status == 403
        assert origin.accepted == 1


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "206 Partial Content"])
def test_what_is_no_upgrade_opens_no_tunnel(status):
    def plain(conn):
        while conn.read_head() is not None:
            conn.answer(b"" if status.startswith("204") else b"page", status)

    routes = [{"path": "=/own", "respond": {"body": "ok"}},
              {"path": "=/own/no", "respond": {"status": 404, "body": "no"}},
              {"path": "=/to", "redirect": {"to": "/own", "status": 307}},
              {"path": "/", "upstream": "app"}]
    with Origin(plain) as origin, proxy(origin, site={"routes": routes}, listener=H2C) as weir:
        with H2Client(weir.address) as client:
            for stream, path, answers in ((1, "/chat", 502), (3, "/own", 403), (5, "/own/no", 404),
                                          (7, "/to", 307)):
                client.headers(stream, connect(path), end=False)
                assert client.answer(stream).status == answers, path
            assert client.request(get("/own"), 9).status == 200
        assert weir.log_of("/chat")[0]["error"] == "upstream: refused: no upgrade"
        assert weir.metric("weir_upstream_failures_total") == 0


@pytest.mark.parametrize("protocol", ["http/1.1", "h2c"])
def test_a_server_that_does_not_answer_is_late(protocol):
    upstream = {"timeouts": {"read": "1s"}, "protocol": protocol}
    silent = h2_origin.h2(lambda peer, request: None,
                          settings={h2_origin.ENABLE_CONNECT_PROTOCOL: 1})
    handler = silent if protocol == "h2c" else lambda conn: conn.recv() and conn.recv()
    with Origin(handler) as origin:
        with proxy(origin, upstream, listener=H2C) as weir, H2Client(weir.address) as client:
            client.headers(1, connect(), end=False)
            assert client.answer(1).status == 504


def test_resets_go_both_ways(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        answer = opened(client)
        client.data(1, b"rst")
        assert client.answer(1).reset == h2.CANCEL
        assert answer.body == b"hello "
        opened(client, 3)
        client.frame(h2.RST_STREAM, 0, 3, struct.pack(">I", h2.CANCEL))
        assert opened(client, 5).status == 200
        client.data(5, b"", end=True)
        client.answer(5)
    weir.wait_metric("requests_in_flight", 0)


def test_other_protocols_and_plain_connect(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, connect(protocol="connect-udp"), end=False)
        assert client.answer(1).status == 501
        client.headers(3, connect()[1:], end=False)
        assert client.answer(3).reset == h2.PROTOCOL_ERROR  # no :method
        client.headers(5, [f for f in connect() if f[0] != ":path"], end=False)
        assert client.answer(5).reset == h2.PROTOCOL_ERROR
        client.headers(7, connect(), end=True)  # with nothing to say
        assert client.answer(7).reset == h2.PROTOCOL_ERROR


def test_websocket_false_refuses_them():
    with Origin(talk) as origin, proxy(origin, route={"websocket": False}, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        client.headers(1, connect(), end=False)
        assert client.answer(1).status == 403
        assert client.request(get("/%00"), 3).status == 400


def test_a_server_that_talks_to_one_who_does_not_listen():
    def flood(conn):
        conn.read_head()
        conn.send(SWITCH)
        try:
            for _ in range(64):
                conn.send(b"x" * (1 << 20))
                conn.origin.sent += 1 << 20
        except OSError:
            pass

    with Origin(flood) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 5000}) as client:
        origin.sent = 0
        client.give_windows = False
        client.headers(1, connect(), end=False)
        client.until(lambda c: c.answers.get(1) and len(c.answers[1].body) == 5000)
        client.frame(h2.WINDOW_UPDATE, 0, 1, struct.pack(">I", 100_000))
        client.until(lambda c: c.answers[1].body and len(c.answers[1].body) >= 65535)
        assert origin.sent < 32 << 20

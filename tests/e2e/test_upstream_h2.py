"""HTTP/2 towards servers: what they get, and which of their answers go on."""
import time

import pytest
from support.h2 import H2Client, get, literal
from support.h2_origin import (DATA, ENABLE_CONNECT_PROTOCOL, END_HEADERS, END_STREAM, HEADERS, OK,
                               PROTOCOL_ERROR, block, by_path, edge, h2)
from support.origin import Origin
from support.waiting import wait_for
from support.weir import proxy


# ---- messages ----

def test_head_of_a_request():
    with Origin(h2()) as origin, edge(origin) as weir:
        with weir.client() as client:
            client.send("GET /a?b=c HTTP/1.1\r\nHost: shop.test:8080\r\n"
                        "X-Mixed-CASE: Kept As It Is\r\nCookie: a=1; b=2\r\n"
                        "TE: trailers\r\nConnection: TE, X-Hop\r\nX-Hop: 1\r\n"
                        "Keep-Alive: timeout=5\r\n\r\n")
            assert client.response().status == 200
        headers = origin.requests[0].headers
        assert headers[:4] == [(":method", "GET"), (":scheme", "http"),
                               (":authority", "shop.test:8080"), (":path", "/a?b=c")]
        names = [name for name, _ in headers]
        assert all(name == name.lower() for name in names)
        assert ("x-mixed-case", "Kept As It Is") in headers
        assert ("te", "trailers") in headers and ("cookie", "a=1; b=2") in headers
        assert ("via", "1.1 weir") in headers and ("x-forwarded-for", "127.0.0.1") in headers
        assert not {"host", "connection", "keep-alive", "x-hop", "transfer-encoding",
                    "content-length"} & set(names)


def test_request_without_a_host():
    """HTTP/1.0 has such; servers refuse an empty :authority as they would an attack."""
    with Origin(h2()) as origin, edge(origin) as weir:
        with weir.client() as client:
            client.send(b"GET /old HTTP/1.0\r\n\r\n")
            assert client.response().status == 200
        assert origin.requests[0].all(":authority") == [origin.address]


def test_secrets_stay_out_of_tables():
    """RFC 7541 6.2.3: what a peer never wants indexed is so on the next hop, in both directions."""
    never = 0x10

    def answer(peer, request):
        secret = block([("x-token", "t"), ("x-more", "m")], bytes([never]))
        peer.send(HEADERS, END_HEADERS, request.stream, block(OK) + secret)
        peer.send(HEADERS, END_HEADERS | END_STREAM, request.stream,
                  block([("x-sum", "7")], bytes([never])))

    def kept_out(fields):
        return {name for name, _ in (field for field in fields if not field.indexable)}

    with Origin(h2(answer)) as origin:
        with proxy(origin, {"protocol": "h2c"}, listener={"protocols": ["h2c"]}) as weir:
            with H2Client(weir.address) as client:
                fields = literal(get(), 0) + literal([("x-api-key", "k"), ("cookie", "a=1")], never)
                fields += literal([("cookie", "b=" + "2" * 40), ("x-open", "o")])
                client.frame(HEADERS, END_HEADERS, 1, fields)
                client.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal([("x-end", "e")], never))
                got = client.answer(1)
    request = origin.requests[0]
    assert ("cookie", "a=1; b=" + "2" * 40) in request.headers
    assert kept_out(request.headers) >= {"x-api-key", "cookie"}
    assert "x-open" not in kept_out(request.headers)
    assert kept_out(request.trailers) == {"x-end"}
    assert kept_out(got.headers) >= {"x-token", "x-more"} and kept_out(got.trailers) == {"x-sum"}


def test_trailers_behind_a_body_of_no_bytes():
    def answer(peer, request):
        peer.headers(request, [*OK, ("content-length", "0")])
        peer.headers(request, [("grpc-status", "5")], end=True)

    with Origin(h2(answer)) as origin:
        with proxy(origin, {"protocol": "h2c"}, listener={"protocols": ["h2c"]}) as weir:
            with H2Client(weir.address) as client:
                got = client.request()
    assert (got.status, got.get("content-length")) == (200, "0")
    assert got.trailers == [("grpc-status", "5")]


def test_bodies_and_trailers_both_ways():
    def echo(peer, request):
        peer.headers(request, OK)
        peer.data(request, request.body)
        peer.headers(request, [("x-sum", "7"), ("content-length", "3")], end=True)

    with Origin(h2(echo)) as origin, edge(origin) as weir, weir.client() as client:
        client.send("POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "5\r\nhello\r\n6\r\n world\r\n0\r\nX-End: yes\r\n\r\n")
        answer = client.response()
        assert (answer.status, answer.body) == (200, b"hello world")
        assert answer.trailers == [("x-sum", "7")], "a length is no trailer"
        request = origin.requests[0]
        assert request.get("content-length") is None and request.trailers == [("x-end", "yes")]
        body = bytes(range(256)) * 8192
        client.send(f"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() +
                    body)
        assert client.response().body == body
        assert origin.requests[1].get("content-length") == str(len(body))
        assert origin.accepted == 1


@pytest.mark.parametrize("method,fields,expected", [
    ("GET", [(":status", "200"), ("content-length", "0")], (200, "0")),
    ("GET", [(":status", "200")], (200, "0")),
    ("HEAD", [(":status", "200"), ("content-length", "5")], (200, "5")),
    ("GET", [(":status", "304"), ("content-length", "5")], (304, "5")),
    ("GET", [(":status", "204")], (204, None)),
])
def test_answers_without_a_body(method, fields, expected):
    with Origin(h2(lambda peer, request: peer.headers(request, fields, end=True))) as origin:
        with edge(origin) as weir, weir.client() as client:
            for _ in range(2):
                answer = client.request(method, "/")
                assert (answer.status, answer.get("content-length")) == expected
                assert answer.body == b""


def test_interim_answers():
    def answer(peer, request):
        peer.headers(request, [(":status", "100")])
        peer.headers(request, [(":status", "103"), ("link", "</a.css>")])
        peer.answer(request)

    with Origin(h2(answer)) as origin, edge(origin) as weir, weir.client() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        status, _, headers = client.head()
        assert status == 103 and ("link", "</a.css>") in headers
        assert client.response().body == b"ok"


def malformed():
    def head(*fields, end=False):
        return lambda peer, request: peer.headers(request, list(fields), end)

    def then(*steps):
        def run(peer, request):
            for step in steps:
                step(peer, request)
        return run

    def body(data, end=True):
        return lambda peer, request: peer.data(request, data, end)

    ok = (":status", "200")
    yield "no status", head(("x", "y"), end=True), "status_invalid"
    yield "status word", head((":status", "abc"), end=True), "status_invalid"
    yield "status 1000", head((":status", "1000"), end=True), "status_invalid"
    yield "status 99", head((":status", "099"), end=True), "status_invalid"
    yield "status 101", head((":status", "101")), "status_101"
    yield "two statuses", head(ok, ok, end=True), "pseudo_header_twice"
    yield "late status", head(("x", "y"), ok, end=True), "pseudo_header_late"
    yield "request pseudo", head(ok, (":path", "/"), end=True), "pseudo_header_unknown"
    yield "upper case", head(ok, ("X-Big", "y"), end=True), "header_name_invalid"
    yield "blank in name", head(ok, ("x y", "z"), end=True), "header_name_invalid"
    yield "colon in name", head(ok, ("x:y", "z"), end=True), "header_name_invalid"
    yield "crlf in value", head(ok, ("x", "y\r\nset-cookie: z"), end=True), "header_value_invalid"
    yield "nul in value", head(ok, ("x", "y\0"), end=True), "header_value_invalid"
    yield "blank before", head(ok, ("x", " y"), end=True), "header_value_blanks"
    yield "connection", head(ok, ("connection", "close"), end=True), "connection_header"
    yield "te chunked", head(ok, ("transfer-encoding", "chunked")), "connection_header"
    yield "upgrade", head(ok, ("upgrade", "h3"), end=True), "connection_header"
    yield "two lengths", head(ok, ("content-length", "2"), ("content-length", "2")), None
    yield "length sign", head(ok, ("content-length", "+2")), None
    yield ("length without body", head(ok, ("content-length", "2"), end=True),
           "content_length_without_body")
    yield "interim with end", head((":status", "103"), end=True), "end_before_answer"
    yield "204 with body", then(head((":status", "204")), body(b"x")), None
    yield "too many fields", head(ok, *[("x", "y")] * 300, end=True), "too_many_headers"


MALFORMED = {name: (answer, reason) for name, answer, reason in malformed()}


@pytest.fixture(scope="module")
def strict():
    table = {name.replace(" ", "-"): answer for name, (answer, _) in MALFORMED.items()}
    with Origin(h2(by_path(table))) as origin:
        with edge(origin, servers=[{"address": origin.address, "max_fails": 0}]) as weir:
            yield weir, origin


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_heads(strict, name):
    weir, origin = strict
    path = "/" + name.replace(" ", "-")
    assert weir.get("/fine").status == 200
    before = origin.accepted
    answer = weir.get(path)
    if name == "204 with body":  # the head was good, and all that the client waits for
        assert answer.status in (204, 502)
    else:
        assert answer.status == 502, answer
    line = weir.log_of(path)[-1]
    reason = MALFORMED[name][1]
    if reason is not None:
        assert line["error"].endswith(": " + reason), line["error"]
    if name == "te chunked":  # the only one whose stream is still open then
        request = [r for r in origin.requests if r.path == path][-1]
        wait_for(lambda: request.reset == PROTOCOL_ERROR)
    assert weir.get("/fine").status == 200
    assert origin.accepted == before, "one bad stream costs no connection"


def test_bodies_against_their_length():
    def short(peer, request):
        peer.headers(request, OK + [("content-length", "10")])
        peer.data(request, b"12345", end=True)

    def long(peer, request):
        peer.headers(request, OK + [("content-length", "3")])
        peer.data(request, b"12345", end=True)

    def late_head(peer, request):
        peer.headers(request, OK)
        peer.data(request, b"12345")
        peer.headers(request, [("x", "y")])

    table = {"short": short, "long": long, "late": late_head}
    with Origin(h2(by_path(table))) as origin, edge(origin) as weir:
        for path in table:
            with weir.client() as client:
                client.send(f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = client.response()
                assert answer.status == 502 or not answer.complete, answer
        assert origin.accepted == 1


# ---- WebSockets (RFC 8441) ----

UPGRADE = ("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def test_websocket():
    def on_head(peer, request):
        if request.get(":method") == "CONNECT":
            peer.headers(request, OK)

    def answer(peer, request):
        if request.get(":method") == "CONNECT":
            peer.data(request, b"bye", end=True)
        else:
            peer.answer(request)

    server = h2(answer, on_head=on_head, settings={ENABLE_CONNECT_PROTOCOL: 1})
    taken = server.take

    def take(peer, kind, flags, stream, payload):
        if kind == DATA:
            peer.data(peer.requests[stream], payload)
        return taken(peer, kind, flags, stream, payload)

    server.take = take
    with Origin(server) as origin, edge(origin) as weir, weir.client() as client:
        client.send(UPGRADE)
        status, _, headers = client.head()
        assert status == 101
        fields = {name.lower(): value for name, value in headers}
        assert fields["upgrade"] == "websocket"
        assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        request = origin.requests[0]
        assert request.headers[:5] == [
            (":method", "CONNECT"), (":scheme", "http"), (":authority", "a"), (":path", "/chat"),
            (":protocol", "websocket")]
        assert request.get("sec-websocket-version") == "13"
        assert request.get("sec-websocket-key") is None and request.get("upgrade") is None
        for data in (b"hello", b"\x00\xff", b"x" * 300000):
            client.send(data)
            assert client.read_exactly(len(data)) == data
        client.half_close()
        assert client.read_all() == b"bye"
        assert request.reset is None, "both sides have ended it"
        assert weir.log_of("/chat")[-1]["status"] == 101
        assert weir.get("/next").status == 200 and origin.accepted == 1


def test_websocket_to_a_server_that_takes_nothing_for_long():
    def on_head(peer, request):
        peer.headers(request, OK)

    size = 1 << 20
    server = h2(on_head=on_head, settings={ENABLE_CONNECT_PROTOCOL: 1}, credit=False)
    with Origin(server) as origin, edge(origin, timeouts={"send": "300ms"}) as weir:
        with weir.client() as client:
            client.send(UPGRADE)
            assert client.head()[0] == 101
            client.send(b"x" * size)
            request = origin.requests[0]
            wait_for(lambda: len(request.body) == 65535)
            time.sleep(0.6)
            server.peers[0].credit(0, size)
            server.peers[0].credit(request.stream, size)
            wait_for(lambda: len(request.body) == size)


def test_websocket_refused():
    def on_head(peer, request):
        if request.get(":method") == "CONNECT":
            peer.answer(request, b"no", [(":status", "403")])

    server = h2(on_head=on_head, settings={ENABLE_CONNECT_PROTOCOL: 1})
    with Origin(server) as origin, edge(origin) as weir, weir.client() as client:
        client.send(UPGRADE)
        answer = client.response()
        assert (answer.status, answer.body) == (403, b"no")


def test_websocket_to_a_server_without_them():
    with Origin(h2()) as origin, edge(origin) as weir, weir.client() as client:
        client.send(UPGRADE)
        assert client.response().status == 502
        assert weir.log_of("/chat")[-1]["error"] == (
            "upstream: refused: the server takes no WebSockets over HTTP/2")
        assert weir.get().status == 200

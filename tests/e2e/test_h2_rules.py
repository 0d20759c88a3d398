"""What HTTP/2 messages weir refuses (RFC 9113 8), and that nothing of them reaches a server."""
import struct

import pytest
from support import h2
from support.h2 import H2Client, get
from support.origin import Origin
from support.weir import proxy

H2C = {"protocols": ["h2c", "http/1.1"]}


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, proxy(origin, listener=H2C) as weir:
        yield weir, origin


def without(name, fields=None):
    return [(n, v) for n, v in fields or get() if n != name]


MALFORMED = {
    "pseudo_header_unknown": [*get(), (":what", "x")],
    "pseudo_header_twice": [(":path", "/other"), *get()],
    "pseudo_header_late": [("x", "y"), *get()],
    "method_missing": without(":method"),
    "scheme_missing": without(":scheme"),
    "path_missing": without(":path"),
    "method_invalid": get(method="GE T"),
    "scheme_invalid": [*without(":scheme"), (":scheme", "ftp")],
    "path_invalid": get("/a b"),
    "header_name_invalid": [*get(), ("X-Upper", "y")],
    "header_value_invalid": [*get(), ("x", "a\r\nX-Smuggled: 1")],
    "header_value_blanks": [*get(), ("x", " y")],
    "connection_header": [*get(), ("connection", "close")],
    "te_not_trailers": [*get(), ("te", "trailers, deflate")],
    "host_against_authority": [*get(), ("host", "other")],
    "host_twice": [*get(), ("host", "a"), ("host", "a")],
    "content_length_without_body": [*get(), ("content-length", "5")],
    "connect_with_path": get(method="CONNECT"),
    "authority_missing": [(":method", "CONNECT")],
    "protocol_unexpected": [*get(), (":protocol", "websocket")],
}


@pytest.mark.parametrize("reason", MALFORMED)
def test_malformed_requests_are_stream_errors(pair, reason):
    weir, origin = pair
    before = len(origin.requests)
    counted = weir.metric("weir_protocol_errors_total", protocol="h2", reason=reason)
    with H2Client(weir.address) as client:
        answer = client.request(MALFORMED[reason])
        assert (answer.status, answer.reset) == (None, h2.PROTOCOL_ERROR)
        assert client.request(stream=3).status == 200  # the connection lives
        assert client.goaways == []
    assert weir.metric("weir_protocol_errors_total", protocol="h2", reason=reason) == counted + 1
    assert len(origin.requests) == before + 1


@pytest.mark.parametrize("fields", [
    [*get(), ("transfer-encoding", "chunked")],
    [*get(), ("keep-alive", "timeout=5")],
    [*get(), ("proxy-connection", "close")],
    [*get(), ("upgrade", "h2c")],
    [*get(), ("", "empty name")],
    [*get(), ("x y", "z")],
    [*get(), ("x\0", "z")],
    [*get(), ("x:", "z")],
    [*get(), ("x\r\ny", "z")],
    [*get(), ("x", "nul\0")],
    [*get(), ("x", "lf\n")],
    [*get(), ("x", "cr\r")],
    [*get(), ("x", "del\x7f")],
    [*get(), ("x", "tab behind\t")],
    get(""),
    get("*"),
    get("x"),
    get("http://a/"),
    get("/a\r\nb"),
    get("/a#b"),
    get("/\xe4"),
    get("/ HTTP/1.1\r\nX: y"),
    get(method=""),
    get(method="GET /x HTTP/1.1\r\nHost: b\r\n\r\n"),
    [(":authority", "b"), *get()],
    [(":method", "POST"), *get()],
    [*without(":authority"), ("host", "a"), ("host", "b")],
    [(":status", "200"), *get()],
])
def test_what_would_break_http1_never_leaves(pair, fields):
    weir, origin = pair
    before = len(origin.requests)
    with H2Client(weir.address) as client:
        answer = client.request(fields)
        assert (answer.status, answer.reset) == (None, h2.PROTOCOL_ERROR)
    assert len(origin.requests) == before


@pytest.mark.parametrize("fields, status", [
    (get(authority=""), 400),
    (get(authority="a@b"), 400),
    (get(authority="a b"), 400),
    (get(authority="a,b"), 400),
    (without(":authority"), 400),
    ([*get(), ("content-length", "1"), ("content-length", "1")], 400),
    ([*get(), ("content-length", "-1")], 400),
    ([*get(), ("content-length", "1, 1")], 400),
    ([(":method", "CONNECT"), (":authority", "a:443")], 405),
    (get(method="BREW"), 501),
    (get("/../x"), 400),
])
def test_the_rest_is_answered_as_over_http1(pair, fields, status):
    weir, origin = pair
    before = len(origin.requests)
    with H2Client(weir.address) as client:
        assert client.request(fields).status == status
        assert client.request(stream=3).status == 200
    assert len(origin.requests) == before + 1


def test_what_goes_on_is_clean(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        assert client.request([(":authority", "a.example:81"), (":scheme", "https"),
                               (":path", "/p?q=%0d%0a"), (":method", "POST"),
                               ("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"),
                               ("proxy", "http://evil"), ("x_forwarded_for", "6.6.6.6"),
                               ("host", "A.example:81"), ("x-empty", "")],
                              body=b"GET / HTTP/1.1\r\n\r\n").status == 200
    request = origin.requests[-1]
    assert request.raw_head.startswith(b"POST /p?q=%0d%0a HTTP/1.1\r\nHost: a.example:81\r\n")
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "http"  # of the connection, not of :scheme
    assert request.all("host") == ["a.example:81"]
    assert request.get("x-empty") == ""
    for name in ("proxy", "forwarded", "x_forwarded_for"):
        assert request.get(name) is None
    assert request.all("transfer-encoding") == ["chunked"]
    assert request.body == b"GET / HTTP/1.1\r\n\r\n"


def test_host_alone_names_the_site(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        assert client.request([*without(":authority"), ("host", "b")]).status == 200
    assert origin.requests[-1].all("host") == ["b"]


def test_asterisk_form(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        answer = client.request(get("*", method="OPTIONS"))
    assert answer.status == 200
    assert "GET" in answer.get("allow")


@pytest.mark.parametrize("sent, length, reason", [
    (b"abcdef", 5, "content_length_exceeded"), (b"abcd", 5, "content_length_not_reached")])
def test_content_length_against_data(pair, sent, length, reason):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, get("/", ("content-length", str(length)), method="POST"), end=False)
        client.data(1, sent, end=True)
        answer = client.answer(1)
        assert (answer.status, answer.reset) == (None, h2.PROTOCOL_ERROR)
        assert client.request(stream=3).status == 200
    assert weir.metric("weir_protocol_errors_total", protocol="h2", reason=reason) >= 1


@pytest.mark.parametrize("trailers", [
    [(":path", "/x")], [("X-Upper", "y")], [("x", "a\r\nb")], [("connection", "x")]])
def test_malformed_trailers(pair, trailers):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, get(method="POST"), end=False)
        client.data(1, b"abc")
        client.headers(1, trailers)
        assert client.answer(1).reset == h2.PROTOCOL_ERROR
        assert client.request(stream=3).status == 200


def test_trailers_must_end_the_stream(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, get(method="POST"), end=False)
        client.headers(1, [("x", "y")], end=False)
        assert client.answer(1).reset == h2.PROTOCOL_ERROR


# ---- frames ----

def window(increment):
    return struct.pack(">I", increment)


CONNECTION_ERRORS = {
    "DATA on stream 0": (h2.frame(h2.DATA, 0, 0, b"x"), h2.PROTOCOL_ERROR),
    "DATA on an idle stream": (h2.frame(h2.DATA, 0, 5, b"x"), h2.PROTOCOL_ERROR),
    "HEADERS on stream 0": (h2.frame(h2.HEADERS, 5, 0, h2.literal(get())), h2.PROTOCOL_ERROR),
    "HEADERS on an even stream": (h2.frame(h2.HEADERS, 5, 2, h2.literal(get())),
                                  h2.PROTOCOL_ERROR),
    "a frame that is too large": (h2.frame(h2.DATA, 0, 1, b"x" * 16385), h2.FRAME_SIZE_ERROR),
    "a header block that is none": (h2.frame(h2.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff"),
                                    h2.COMPRESSION_ERROR),
    "something between HEADERS and CONTINUATION":
        (h2.frame(h2.HEADERS, 1, 1, b"") + h2.frame(h2.PING, payload=b"x" * 8), h2.PROTOCOL_ERROR),
    "CONTINUATION of nothing": (h2.frame(h2.CONTINUATION, 4, 1, b""), h2.PROTOCOL_ERROR),
    "PUSH_PROMISE": (h2.frame(h2.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), h2.PROTOCOL_ERROR),
    "PING of 7 bytes": (h2.frame(h2.PING, payload=b"x" * 7), h2.FRAME_SIZE_ERROR),
    "SETTINGS of 5 bytes": (h2.frame(h2.SETTINGS, payload=b"x" * 5), h2.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (h2.frame(h2.SETTINGS, 0, 1), h2.PROTOCOL_ERROR),
    "a window above its maximum": (h2.frame(h2.WINDOW_UPDATE, 0, 0, window(0x7fffffff)) * 2,
                                   h2.FLOW_CONTROL_ERROR),
    "INITIAL_WINDOW_SIZE above its maximum":
        (h2.frame(h2.SETTINGS, 0, 0, h2.settings({h2.INITIAL_WINDOW_SIZE: 1 << 31})),
         h2.FLOW_CONTROL_ERROR),
    "padding longer than the frame": (h2.frame(h2.HEADERS, 13, 1, b"\xff" + h2.literal(get())),
                                      h2.PROTOCOL_ERROR),
    "RST_STREAM of an idle stream": (h2.frame(h2.RST_STREAM, 0, 9, window(8)), h2.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("what", CONNECTION_ERRORS)
def test_frames_that_end_the_connection(pair, what):
    weir, _ = pair
    data, code = CONNECTION_ERRORS[what]
    with H2Client(weir.address) as client:
        client.send(data)
        assert client.end() == code


def test_a_connection_error_ends_what_is_under_way_and_nothing_else(pair):
    weir, _ = pair
    with H2Client(weir.address) as other:
        other.headers(1, get(method="POST"), end=False)
        with H2Client(weir.address) as client:
            client.headers(1, get("/lost", method="POST"), end=False)
            client.frame(h2.DATA, 0, 0, b"x")
            assert client.end() == h2.PROTOCOL_ERROR
        assert weir.log_of("/lost")[-1]["status"] == 499
        other.data(1, b"fine", end=True)
        assert other.answer(1).status == 200


def test_unknown_frames_settings_and_flags_are_ignored(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.frame(0x77, 0xff, 1, b"what")
        client.frame(h2.SETTINGS, 0, 0, h2.settings({0x77: 1}))
        client.frame(h2.PING, 0xfe & ~h2.ACK, 0, b"12345678")
        client.frame(h2.PRIORITY, 0, 3, b"\0\0\0\0\x10")
        client.frame(h2.PRIORITY_UPDATE, 0, 0, window(1) + b"u=1, i")
        assert client.request().status == 200
        assert client.pongs == [b"12345678"]

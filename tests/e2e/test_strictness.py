"""What is too doubtful to be passed on is refused, the connection closes, no server hears of it."""
import threading
import time

import pytest
from support.origin import Origin
from support.raw import RawClient
from support.weir import proxy

G = b"GET / HTTP/1.1\r\nHost: a\r\n"
P = b"POST / HTTP/1.1\r\nHost: a\r\n"

# name: (status, bytes)
REFUSED = {
    "cl and te": (400, P + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "te and cl": (400, P + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    "two cls": (400, P + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    "two equal cls": (400, P + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "cl list": (400, P + b"Content-Length: 3, 3\r\n\r\nabc"),
    "cl plus": (400, P + b"Content-Length: +3\r\n\r\nabc"),
    "cl tab": (400, P + b"Content-Length: 3\t\r\n\r\nabc"),
    "cl minus": (400, P + b"Content-Length: -1\r\n\r\n"),
    "cl hex": (400, P + b"Content-Length: 0x3\r\n\r\nabc"),
    "cl space inside": (400, P + b"Content-Length: 1 0\r\n\r\nabc"),
    "cl empty": (400, P + b"Content-Length:\r\n\r\n"),
    "cl overflow": (400, P + b"Content-Length: 99999999999999999999\r\n\r\n"),
    "te unknown last": (400, P + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "te identity": (400, P + b"Transfer-Encoding: identity\r\n\r\n"),
    "te gzip": (400, P + b"Transfer-Encoding: gzip\r\n\r\n"),
    "te gzip, chunked": (501, P + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "te chunked twice": (400, P + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "te chunked, gzip": (400, P + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    "two te lines": (400, P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
    "te vertical tab": (400, P + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "te in 1.0": (400, P.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "bare cr in value": (400, G + b"X: a\rb\r\n\r\n"),
    "bare lf in value": (400, G + b"X: a\nY: b\r\n\r\n"),
    "lf only": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "lf ends the head": (400, G + b"X: a\r\n\n"),
    "nul in value": (400, G + b"X: a\0b\r\n\r\n"),
    "nul in name": (400, G + b"X\0: a\r\n\r\n"),
    "obs-fold": (400, G + b"X: a\r\n b\r\n\r\n"),
    "obs-fold with tab": (400, G + b"X: a\r\n\tb\r\n\r\n"),
    "space before colon": (400, G + b"X : a\r\n\r\n"),
    "te with space before colon": (400, P + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    "empty name": (400, G + b": a\r\n\r\n"),
    "no colon": (400, G + b"garbage\r\n\r\n"),
    "space in name": (400, G + b"X Y: a\r\n\r\n"),
    "first line folded": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "two equal hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\nX: a\r\n\r\n"),
    "empty host": (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    "host with path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "host with userinfo": (400, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    "host with space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "host list": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "host port": (400, b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"),
    "absolute against host": (400, b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute ftp": (400, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "asterisk for get": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no slash": (400, b"GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "fragment": (400, b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "raw utf-8": (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "climbs": (400, b"GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "climbs encoded": (400, b"GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "nul encoded": (400, b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "broken percent": (400, b"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
    "http/0.9": (400, b"GET /\r\n\r\n"),
    "http/1.2": (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "http/2.0": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "h2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "version word": (400, b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n"),
    "unknown method": (501, b"QUERY / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "bad method": (400, b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "lower-case method": (501, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "tls hello": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "unknown expect": (417, P + b"Expect: magic\r\nContent-Length: 1\r\n\r\n"),
    "long uri": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "long uri, no end": (414, b"GET /" + b"a" * 9000),
    "large head": (431, G + b"X: " + b"a" * 40000 + b"\r\n\r\n"),
    "large head, no end": (431, G + b"X: " + b"a" * 40000),
    "many fields": (431, G + b"X: a\r\n" * 101 + b"\r\n"),
}

SPLIT = ["cl and te", "te and cl", "obs-fold", "two hosts", "bare lf in value", "http/2.0",
         "space before colon", "two cls"]


def refuse(weir, origin, status, send):
    """Sends; sees the refusal, the close, the counter, the log line, and a server left alone."""
    before = len(origin.requests)
    errors = weir.metric("weir_protocol_errors_total")
    lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
    with weir.client() as client:
        send(client)
        response = client.response()
        assert response.status == status, response
        assert response.get("connection") == "close"
        assert response.complete and "weir" not in (response.get("server") or "")
        client.half_close()
        client.assert_closed()
    assert len(origin.requests) == before, "a server was reached"
    assert weir.metric("weir_protocol_errors_total") == errors + 1
    logged = weir.access_log(lines + 1)
    assert len(logged) == lines + 1
    assert logged[-1]["status"] == status and logged[-1]["error"].startswith("client: ")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(echo_pair, name):
    status, data = REFUSED[name]
    # A path that climbs is no protocol error but a bad path: counted as a request only.
    weir, origin = echo_pair
    if name.startswith(("climbs", "nul encoded", "broken percent")):
        with weir.client() as client:
            before = len(origin.requests)
            assert client.send(data).response().status == status
            assert len(origin.requests) == before
        return
    refuse(weir, origin, status, lambda client: client.send(data))


@pytest.mark.parametrize("name", SPLIT)
def test_refused_byte_by_byte(echo_pair, name):
    status, data = REFUSED[name]

    def send(client):
        try:
            client.send_slowly(data)
        except OSError:
            pass  # refused, and closed, before the last byte

    refuse(*echo_pair, status, send)


def test_a_refusal_is_the_same_however_the_head_comes(echo_pair):
    """What ends with a blank line may be taken in one pass, what comes in parts may not."""
    weir, _ = echo_pair
    data = (b"HEAD /x?y HTTP/1.0\r\nHost: h\r\nUser-Agent: u\r\nAccept: application/json\r\n"
            b"X: a\x01b\r\n\r\n")
    seen = []
    for cut in (len(data), len(data) - 2):
        lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
        with weir.client() as client:
            client.send(data[:cut])
            if cut < len(data):
                time.sleep(0.05)
                try:
                    client.send(data[cut:])
                except OSError:
                    pass  # refused, and closed
            answer = client.response()
        line = weir.access_log(lines + 1)[-1]
        seen.append((answer.status, answer.get("Content-Type"), answer.complete,
                     {key: line[key] for key in ("method", "uri", "host", "status", "bytes_out")}))
    assert seen[0] == seen[1] and seen[0][0] == 400


def test_split_at_every_byte(echo_pair):
    weir, origin = echo_pair
    data = P + b"X-Long: " + b"v" * 50 + b"\r\nContent-Length: 5\r\n\r\nhello"
    for at in range(1, len(data)):
        with weir.client() as client:
            client.send(data[:at])
            time.sleep(0.001)
            client.send(data[at:])
            answer = client.response()
            assert answer.status == 200 and answer.json()["body"] == "hello", at


BAD_CHUNKS = {
    "bad size": b"zz\r\nab\r\n0\r\n\r\n",
    "size overflow": b"fffffffffffffffff\r\nab\r\n",
    "minus": b"-1\r\nab\r\n",
    "0x": b"0x2\r\nab\r\n0\r\n\r\n",
    "space before size": b" 2\r\nab\r\n0\r\n\r\n",
    "empty size": b"\r\nab\r\n0\r\n\r\n",
    "lf after size": b"2\nab\r\n0\r\n\r\n",
    "lf after data": b"2\r\nab\n0\r\n\r\n",
    "no crlf after data": b"2\r\nabc\r\n0\r\n\r\n",
    "bare cr": b"2\rab\r\n0\r\n\r\n",
    "endless extension": b"2;" + b"x" * 10000 + b"\r\nab\r\n0\r\n\r\n",
    "nul in trailer": b"0\r\nX: a\0b\r\n\r\n",
    "folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "space before colon in trailer": b"0\r\nX : a\r\n\r\n",
    "large trailers": b"0\r\n" + b"X: " + b"a" * 40000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunks(echo_pair, name):
    def send(client):
        client.send(P + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            client.send(BAD_CHUNKS[name])
        except OSError:
            pass  # refused, and closed, before the last byte

    # The head may have gone on before the body broke; a whole request may not.
    refuse(*echo_pair, 400, send)


def wait_for(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_bad_chunks_after_good_ones():
    """What a server was sent already ends with a cut, not with an end that no client sent."""

    def swallow(conn):
        while conn.recv():
            pass
        conn.ended = True

    with Origin(swallow) as origin, proxy(origin) as weir:
        for name, bad in BAD_CHUNKS.items():
            before = origin.accepted
            with weir.client() as client:
                client.send(P + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                wait_for(lambda: origin.accepted == before + 1)
                server = origin.connections[-1]
                wait_for(lambda: b"hello" in server.buffer)
                client.send(bad)
                assert client.response().status == 400, name
                client.half_close()
                client.assert_closed()
            wait_for(lambda: hasattr(server, "ended"))
            assert b"\r\n0\r\n" not in server.buffer, name


def test_what_is_never_forwarded(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        client.send(G + b"Connection: X-Secret, keep-alive, Upgrade, HTTP2-Settings\r\n"
                    b"X-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n"
                    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nProxy: evil\r\n"
                    b"Proxy-Authorization: x\r\nX_Forwarded_For: 1.1.1.1\r\nX-Kept: yes\r\n\r\n")
        sent = {name.lower(): value for name, value in client.response().json()["headers"]}
    assert sent["x-kept"] == "yes"
    for gone in ("connection", "x-secret", "keep-alive", "proxy-connection", "te", "upgrade",
                 "http2-settings", "proxy", "proxy-authorization", "x_forwarded_for"):
        assert gone not in sent, gone


def test_connection_cannot_name_away(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        client.send(G + b"Connection: X-Forwarded-For, Host, Cookie, X-Real-IP, close\r\n"
                    b"Cookie: c\r\n\r\n")
        sent = {name.lower(): value for name, value in client.response().json()["headers"]}
    assert sent["host"] == "a" and sent["x-forwarded-for"] == "127.0.0.1"
    assert sent["x-real-ip"] == "127.0.0.1" and sent["cookie"] == "c"


def test_methods(echo_pair):
    weir, origin = echo_pair
    before = len(origin.requests)
    for method, target in (("TRACE", "/"), ("CONNECT", "a:80")):
        with weir.client() as client:
            client.send(f"{method} {target} HTTP/1.1\r\nHost: a:80\r\n\r\n")
            answer = client.response()
            assert answer.status == 405 and "GET" in answer.get("allow")
            # What comes behind a CONNECT may be meant for the tunnel that was asked for.
            assert (answer.get("connection") == "close") == (method == "CONNECT")
    with weir.client() as client:
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.response()
        assert answer.status == 200 and "GET" in answer.get("allow")
        client.send(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
        assert client.response().status == 200
        assert len(origin.requests) == before
        client.send(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n")
        assert ["Max-Forwards", "2"] in client.response().json()["headers"]
        client.send(b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().json()["method"] == "PROPFIND"


def test_absolute_form_becomes_origin_form(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        client.send(b"GET http://A/x?y HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.response().json()
    assert answer["target"] == "/x?y"
    assert [v for n, v in answer["headers"] if n.lower() == "host"] in (["a"], ["A"])


def test_blanks_around_values_are_no_part_of_them(echo_pair):
    weir, _ = echo_pair
    for framing in (b"Transfer-Encoding:\t chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                    b"Transfer-Encoding:CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                    b"Content-Length: \t5 \r\n\r\nhello"):
        with weir.client() as client:
            seen = client.send(P + framing).response().json()
            assert seen["body"] == "hello"
            names = {name.lower(): value for name, value in seen["headers"]}
            assert names.get("transfer-encoding") in (None, "chunked")
            assert names.get("content-length") in (None, "5")
            assert client.request().status == 200


def test_leading_crlf_is_skipped(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        assert client.send(b"\r\n" + G + b"\r\n").response().status == 200
        assert client.send(b"\r\n\r\n" + G + b"\r\n").response().status == 200


def test_lingering_close(echo_pair):
    """The refusal arrives although the client keeps sending: no reset overtakes it."""
    weir, _ = echo_pair
    for _ in range(5):
        with RawClient(weir.address) as client:
            client.send(b"GET / HTTP/9.9\r\n\r\n")
            try:
                for _ in range(20):
                    client.send(b"x" * 1000)
                    time.sleep(0.001)
            except OSError:
                pass
            assert client.response().status == 505
            client.half_close()
            client.assert_closed()


def test_refusal_is_readable_under_megabytes(echo_pair):
    weir, _ = echo_pair
    for _ in range(5):
        with weir.client() as client:
            client.send(P + b"Content-Length: 1, 1\r\n\r\n")

            def keep_sending():
                try:
                    for _ in range(64):
                        client.send(b"x" * 65536)
                except OSError:
                    pass  # weir reads no more

            sender = threading.Thread(target=keep_sending)
            sender.start()
            answer = client.response()
            assert answer.status == 400 and answer.complete
            sender.join()


def test_linger_is_bounded(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        client.send(b"GET / HTTP/9.9\r\n\r\n")
        assert client.response().status == 505
        started = time.monotonic()
        client.assert_closed()  # our side stays open: after 2 s weir gives up
        assert time.monotonic() - started < 8
    with weir.client() as client:
        client.send(b"GET / HTTP/9.9\r\n\r\n")
        sent = 0
        try:
            for _ in range(1000):
                client.send(b"x" * 4096)
                sent += 4096
                time.sleep(0.002)
        except OSError:
            pass
        assert sent < 4096 * 1000, "weir read without an end"

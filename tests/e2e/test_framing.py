"""Where a message begins and ends, both ways: what one side frames is framed for the other."""
import re
import threading
import time

import pytest
from support.origin import Origin, by_target, canned, then_close, then_later
from support.weir import proxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\n\r\n"


ANSWERS = {
    "ok": OK,
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "chunked": CHUNKED + b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 99\r\nSet-Cookie: a=b\r\n"
                          b"Transfer-Encoding: gzip\r\nHost: evil\r\nX-Last: 1\r\n\r\n",
    "pieces": then_later(CHUNKED + b"5\r\nhe", b"llo\r\n0\r\n\r\n"),
    "until-close": then_close(UNTIL_CLOSE + b"hello"),
    "until-close-empty": then_close(UNTIL_CLOSE),
    "http10": then_close(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "http10-until-close": then_close(b"HTTP/1.0 200 OK\r\n\r\nhello"),
    # What must not have a body, with and without one.
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "length-body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "length-body-later": then_later(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"hello"),
    "no-length": b"HTTP/1.1 200 OK\r\n\r\n",
    "chunked-head": CHUNKED,
    "chunked-head-body": CHUNKED + b"0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204-zero": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "204-body": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "204-body-later": then_later(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"hello"),
    "204-chunked": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
    "304-length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "304-body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
    "205-zero": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    "205-body": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello",
    # Fields between two hops.
    "hop-by-hop": b"HTTP/1.1 200 OK\r\nConnection: X-Secret, Keep-Alive\r\n"
                  b"Keep-Alive: timeout=5\r\nX-Secret: 1\r\nProxy-Connection: x\r\n"
                  b"Upgrade: h2c\r\nX-Kept: yes\r\n"
                  b"Content-Length: 2\r\n\r\nok",
    "dated": b"HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nVia: 1.1 inner\r\n"
             b"Content-Length: 2\r\n\r\nok",
    "close": then_close(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
}


@pytest.fixture(scope="module")
def pair():
    with Origin(by_target(ANSWERS)) as origin, proxy(origin) as weir:
        yield weir, origin


def get(client, name, method="GET"):
    return client.send(f"{method} /{name} HTTP/1.1\r\nHost: a\r\n\r\n")


# ---- requests in a row -------------------------------------------------------------------------


def test_keep_alive_on_both_sides(pair):
    weir, origin = pair
    before = origin.accepted
    with weir.client() as client:
        for _ in range(20):
            answer = get(client, "ok").response()
            assert answer.status == 200 and answer.body == b"ok"
            assert answer.get("connection") is None
    assert origin.accepted <= before + 1


def test_connection_close_is_honoured(pair):
    weir, _ = pair
    for value in ("close", "Close", "x, close", "close, keep-alive"):
        with weir.client() as client:
            client.send(f"GET /ok HTTP/1.1\r\nHost: a\r\nConnection: {value}\r\n\r\n")
            answer = client.response()
            assert answer.body == b"ok" and answer.get("connection") == "close"
            client.assert_closed()


def test_the_servers_close_is_not_the_clients(pair):
    weir, origin = pair
    with weir.client() as client:
        for _ in range(3):
            before = origin.accepted
            answer = get(client, "close").response()
            assert answer.body == b"ok" and answer.get("connection") is None
            assert get(client, "ok").response().body == b"ok"
            assert origin.accepted == before + 1 or origin.accepted == before + 2


PIPELINE = [
    ("GET", b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/1", ""),
    ("POST", b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200, "/2", "hello"),
    ("HEAD", b"HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n", 200, None, None),
    ("PUT", b"PUT /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", 200, "/4", "abc"),
    ("GET", b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n", 202, None, None),
    ("OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, None, None),
    ("POST", b"POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", 202, None, None),
    ("DELETE", b"DELETE /7 HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/7", ""),
    ("GET", b"\r\nGET /gone HTTP/1.1\r\nHost: a\r\n\r\n", 308, None, None),
    ("GET", b"GET /9 HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/9", ""),
]


@pytest.mark.parametrize("step", [1000000, 1, 7, 64])
def test_pipelining_answers_in_order(step):
    routes = [{"path": "=/own", "respond": {"status": 202, "body": "own\n"}},
              {"path": "=/gone", "redirect": {"to": "/9", "status": 308}},
              {"path": "/", "upstream": "app"}]
    site = {"routes": routes}
    with Origin() as origin, proxy(origin, site=site) as weir, weir.client() as client:
        client.send_slowly(b"".join(raw for _, raw, *_ in PIPELINE), step)
        for method, raw, status, target, body in PIPELINE:
            answer = client.response(method)
            assert answer.status == status, (raw, answer)
            if target:
                seen = answer.json()
                assert (seen["method"], seen["target"], seen["body"]) == (method, target, body)
            elif status == 202:
                assert answer.body == b"own\n"
        assert [r.target for r in origin.requests] == ["/1", "/2", "/3", "/4", "/7", "/9"]
        assert client.request(target="/last").status == 200, "the connection is good for more"


def test_pipelined_requests_behind_a_close_are_not_taken(pair):
    weir, origin = pair
    before = len(origin.requests)
    with weir.client() as client:
        client.send(b"GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                    b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().get("connection") == "close"
        client.half_close()
        client.assert_closed()
    assert len(origin.requests) == before + 1


# ---- bodies ------------------------------------------------------------------------------------


def test_chunked_request_arrives_whole(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n"
                    b"Trailer: X-Sum\r\n\r\n"
                    b"5;a=\"b\"\r\nhello\r\n0A\r\n0123456789\r\n000\r\n"
                    b"X-Sum: 7\r\nContent-Length: 3\r\nAuthorization: x\r\nHost: evil\r\n"
                    b"Transfer-Encoding: x\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: c\r\n\r\n")
        seen = client.response().json()
        assert seen["body"] == "hello0123456789"
        assert seen["trailers"] == [["X-Sum", "7"]]
        names = {n.lower(): v for n, v in seen["headers"]}
        assert names["transfer-encoding"] == "chunked" and "content-length" not in names
        assert client.request().status == 200


def test_request_framing_is_kept(echo_pair):
    weir, _ = echo_pair
    cases = [("POST", b"Content-Length: 0\r\n\r\n", "0"), ("POST", b"\r\n", None),
             ("GET", b"\r\n", None), ("GET", b"Content-Length: 2\r\n\r\nhi", "2"),
             ("DELETE", b"Content-Length: 2\r\n\r\nhi", "2")]
    with weir.client() as client:
        for method, rest, length in cases:
            client.send(f"{method} / HTTP/1.1\r\nHost: a\r\n".encode() + rest)
            names = {n.lower(): v for n, v in client.response().json()["headers"]}
            assert names.get("content-length") == length, (method, rest)
            assert "transfer-encoding" not in names


# name: (body, trailers, header that frames it)
BODIES = {
    "ok": (b"ok", [], "content-length"),
    "empty": (b"", [], "content-length"),
    "chunked": (b"hello!", [], "transfer-encoding"),
    "pieces": (b"hello", [], "transfer-encoding"),
    "trailers": (b"ok", [("X-Sum", "7"), ("X-Last", "1")], "transfer-encoding"),
    "until-close": (b"hello", [], "transfer-encoding"),
    "until-close-empty": (b"", [], "transfer-encoding"),
    "http10": (b"hello", [], "content-length"),
    "http10-until-close": (b"hello", [], "transfer-encoding"),
    "205-zero": (b"", [], "content-length"),
    "205-body": (b"hello", [], "content-length"),
}


@pytest.mark.parametrize("name", BODIES)
def test_answers_to_http11_clients(pair, name):
    weir, _ = pair
    body, trailers, framed_by = BODIES[name]
    with weir.client() as client:
        for _ in range(2):  # and the connection lives on
            answer = get(client, name).response()
            assert answer.complete and answer.body == body and answer.trailers == trailers
            assert answer.get(framed_by) is not None and answer.get("connection") is None
            assert answer.version == "HTTP/1.1"
        assert get(client, "ok").response().body == b"ok"


@pytest.mark.parametrize("keep_alive", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_answers_to_http10_clients(pair, name, keep_alive):
    weir, _ = pair
    body, _, framed_by = BODIES[name]
    option = "Connection: keep-alive\r\n" if keep_alive else ""
    with weir.client() as client:
        client.send(f"GET /{name} HTTP/1.0\r\nHost: a\r\n{option}\r\n")
        answer = client.response()
        assert answer.complete and answer.body == body
        assert answer.get("transfer-encoding") is None and answer.trailers == []
        if keep_alive and framed_by == "content-length":
            assert answer.get("connection") == "keep-alive"
            assert get(client, "ok").response().body == b"ok"
        else:
            assert answer.get("connection") == "close"
            client.assert_closed()


def test_http10_without_host_and_upstream_speaks_http11(echo_pair):
    weir, origin = echo_pair
    with weir.client() as client:
        client.send(b"GET /old HTTP/1.0\r\n\r\n")
        assert client.response().status == 200
        client.assert_closed()
    seen = origin.requests[-1]
    assert seen.target == "/old" and seen.version == "HTTP/1.1"
    assert len(seen.all("host")) == 1


# method, name: (status, Content-Length that the client is told)
BODILESS = {
    ("HEAD", "length"): (200, "5"),
    ("HEAD", "length-body"): (200, "5"),
    ("HEAD", "length-body-later"): (200, "5"),
    ("HEAD", "no-length"): (200, None),
    ("HEAD", "chunked-head"): (200, None),
    ("HEAD", "chunked-head-body"): (200, None),
    ("HEAD", "304-length"): (304, "5"),
    ("GET", "204"): (204, None),
    ("GET", "204-zero"): (204, None),
    ("GET", "204-body"): (204, None),
    ("GET", "204-body-later"): (204, None),
    ("GET", "204-chunked"): (204, None),
    ("GET", "304"): (304, None),
    ("GET", "304-length"): (304, "5"),
    ("GET", "304-body"): (304, "5"),
}


@pytest.mark.parametrize("method,name", BODILESS)
def test_answers_without_a_body(pair, method, name):
    """Also when the server sends one: it never becomes the beginning of the next answer."""
    weir, _ = pair
    status, length = BODILESS[method, name]
    with weir.client() as client:
        # Nobody can tell a stray body that comes after the next request from its answer.
        for pause_s in (0.06,) if name.endswith("later") else (0, 0.06):
            answer = get(client, name, method).response(method)
            assert answer.status == status and answer.get("content-length") == length
            assert answer.get("transfer-encoding") is None
            time.sleep(pause_s)
            assert client.buffer == b""
            assert get(client, "ok").response().body == b"ok"


def test_head_of_own_answers():
    routes = [{"path": "=/own", "respond": {"status": 200, "body": "twelve bytes"}}]
    site = {"routes": routes}
    with Origin() as origin, proxy(origin, site=site) as weir, weir.client() as client:
        for target, status in (("/own", 200), ("/none", 404)):
            whole = client.request("GET", target)
            bare = client.request("HEAD", target)
            assert whole.status == bare.status == status
            assert bare.get("content-length") == whole.get("content-length")
            assert int(bare.get("content-length")) == len(whole.body)
            assert client.request("GET", target).status == status


def test_bytes_flow_before_the_end():
    """An answer of unknown length is passed on piece by piece, not collected."""
    go_on = threading.Event()

    def held(conn, _):
        conn.send(CHUNKED + b"1\r\n[\r\n")
        go_on.wait(10)
        conn.send(b"1\r\n]\r\n0\r\n\r\n")

    with Origin(by_target({"": held})) as origin, proxy(origin) as weir, weir.client() as client:
        get(client, "")
        client.head()
        assert client.read_until(b"[\r\n") == b"1\r\n[\r\n"
        go_on.set()
        assert client.read_until(b"0\r\n\r\n") == b"1\r\n]\r\n0\r\n\r\n"


# ---- fields of one hop -------------------------------------------------------------------------


def test_response_hop_by_hop_fields_end_here(pair):
    weir, _ = pair
    with weir.client() as client:
        names = {n.lower() for n, _ in get(client, "hop-by-hop").response().headers}
    assert "x-kept" in names
    assert not names & {"connection", "keep-alive", "x-secret", "proxy-connection", "upgrade"}


def test_date_is_added_once(pair):
    weir, _ = pair
    imf = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
    with weir.client() as client:
        assert re.fullmatch(imf, get(client, "ok").response().get("date"))
        assert get(client, "dated").response().get("date") == "Sat, 01 Jan 2000 00:00:00 GMT"


def test_via_both_ways(pair, echo_pair):
    weir, _ = pair
    with weir.client() as client:
        assert get(client, "ok").response().all("via") == ["1.1 weir"]
        assert ", ".join(get(client, "dated").response().all("via")) == "1.1 inner, 1.1 weir"
        assert get(client, "http10").response().all("via") == ["1.0 weir"]
    weir, _ = echo_pair
    for version, sent, arrives in (("1.1", "", "1.1 weir"), ("1.0", "", "1.0 weir"),
                                   ("1.1", "Via: 1.0 outer\r\n", "1.0 outer, 1.1 weir")):
        with weir.client() as client:
            client.send(f"GET / HTTP/{version}\r\nHost: a\r\n{sent}\r\n")
            seen = client.response().json()["headers"]
            assert ", ".join(v for n, v in seen if n.lower() == "via") == arrives


def test_a_server_that_answers_the_first_request_only():
    """What a server never answered is not answered with what belongs to another request."""
    with Origin(canned(OK)) as origin, proxy(origin) as weir, weir.client() as client:
        for _ in range(5):
            assert get(client, "").response().body == b"ok"
        assert origin.accepted == 5

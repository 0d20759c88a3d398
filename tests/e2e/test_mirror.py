"""Requests that go to a second upstream as well: what it gets and does not, what is counted."""
import json
import socket
import subprocess

import pytest
from support.h2 import H2Client, get as h2_get
from support.h2_origin import h2
from support.mirror import MARK, answering, assert_nothing_held, fields, holding, results, \
    wait_results, weir_for
from support.origin import Origin, by_request, echo
from support.waiting import wait_for
from support.weir import binary

CAP = 1 << 20  # max_body, unless configured


# ---- what the mirror gets ----

REQUESTS = {
    "get": lambda client: client.request("GET", "/a/b?c=d", [("X-One", "1"), ("X-Two", "2")]),
    "head": lambda client: client.request("HEAD", "/h"),
    "delete": lambda client: client.request("DELETE", "/d"),
    "post": lambda client: client.request("POST", "/p", [("Content-Type", "a/b")], b"body"),
    "at-cap": lambda client: client.request("POST", "/p", body=bytes(range(256)) * (CAP // 256)),
    "chunked": lambda client: client.send(
        b"POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n").response(),
    "expect": lambda client: client.request("PUT", "/e", [("Expect", "100-continue")],
                                            b"x" * 70000),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_the_mirror_gets_what_the_server_gets(kind):
    with Origin() as origin, Origin() as shadow, weir_for(origin, shadow) as weir:
        with weir.client() as client:
            assert REQUESTS[kind](client).status == 200
        wait_results(weir, same=1)
        (real,), (copy,) = origin.requests, shadow.requests
        assert (copy.method, copy.target) == (real.method, real.target)
        assert copy.body == real.body and copy.trailers == real.trailers
        assert fields(copy) == fields(real)
        assert copy.get("host") == "test" and copy.get("x-request-id")
        assert copy.get(MARK) == "1" and real.get(MARK) is None
        assert_nothing_held(weir)


def test_a_mirror_gets_the_rewritten_request():
    route = {"path": "/api/", "rewrite": {"strip_prefix": "/api"},
             "headers": {"request": {"set": {"X-Tenant": "acme", "Host": "inner"}}}}
    with Origin() as origin, Origin() as shadow, weir_for(origin, shadow, route=route) as weir:
        assert weir.get("/api/x?y=1", headers=[("X-Tenant", "mine")]).status == 200
        wait_results(weir, same=1)
        (real,), (copy,) = origin.requests, shadow.requests
        assert copy.target == real.target == "/x?y=1"
        assert copy.all("x-tenant") == ["acme"] and copy.get("host") == "inner"
        assert fields(copy) == fields(real)


def test_a_body_that_comes_slowly_is_mirrored_when_it_is_here():
    with Origin() as origin, Origin() as shadow, weir_for(origin, shadow) as weir:
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
            wait_for(lambda: weir.metric("weir_upstream_connections", upstream="app",
                                         state="active") == 1)
            assert shadow.accepted == 0
            assert client.send(b"def").response().status == 200
        wait_results(weir, same=1)
        assert shadow.requests[0].body == b"abcdef"


def test_http2_clients_and_an_http2_mirror():
    with Origin() as origin, Origin(h2()) as shadow, \
            weir_for(origin, shadow, upstream={"protocol": "h2c"},
                     listener={"protocols": ["http/1.1", "h2c"]}) as weir:
        with H2Client(weir.address) as client:
            answer = client.request(h2_get("/x?y", ("x-one", "1"), method="POST"),
                                    body=b"z" * 200)
            assert answer.status == 200
            for stream in range(3, 43, 2):
                client.headers(stream, h2_get(f"/{stream}"))
            for stream in range(3, 43, 2):
                assert client.answer(stream).status == 200
        wait_results(weir, same=21)
        copy, real = shadow.requests[0], origin.requests[0]
        assert copy.get(":path") == "/x?y" and copy.get(":method") == "POST"
        assert copy.get(":authority") == real.get("host") == "a"
        assert copy.get("x-one") == "1" and copy.get(MARK) == "1" and copy.body == b"z" * 200
        assert copy.get("x-request-id") == real.get("x-request-id")
        assert {r.get(":path") for r in shadow.requests[1:]} == {f"/{s}" for s in range(3, 43, 2)}
        assert_nothing_held(weir)


def test_an_http2_mirror_gets_a_body_larger_than_its_windows():
    with Origin() as origin, Origin(h2()) as shadow, \
            weir_for(origin, shadow, upstream={"protocol": "h2c"}) as weir:
        body = b"0123456789abcdef" * (CAP // 16)
        with weir.client() as client:
            assert client.request("PUT", "/", body=body).status == 200
        wait_results(weir, same=1)
        assert shadow.requests[0].body == body


def test_a_mirror_behind_the_proxy_protocol():
    heads = []

    def handler(conn):
        heads.append(conn.read_line())
        answering("200 OK")(conn)

    with Origin() as origin, Origin(handler) as shadow, \
            weir_for(origin, shadow, upstream={"proxy_protocol": "v1"}) as weir:
        with weir.client() as client:
            assert client.request("GET", "/").status == 200
            port = client.sock.getsockname()[1]
        wait_results(weir, same=1)
        assert heads[0].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 %d " % port)


# ---- what is not mirrored ----

@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_cap_is_skipped(chunked):
    with Origin() as origin, Origin() as shadow, \
            weir_for(origin, shadow, {"max_body": "64KiB"}) as weir, weir.client() as client:
        body = b"b" * (64 * 1024 + 1)
        if chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            answer = client.response()
        else:
            answer = client.request("POST", "/", body=body)
        assert answer.status == 200 and len(answer.json()["body"]) == len(body)
        wait_results(weir, skipped=1)
        assert client.request("POST", "/", body=body[1:]).status == 200
        wait_results(weir, skipped=1, same=1)
        assert [len(r.body) for r in shadow.requests] == [64 * 1024]


@pytest.mark.parametrize("sample, least, most", [("0%", 0, 0), ("100%", 400, 400),
                                                 ("50%", 120, 280)])
def test_a_sample(sample, least, most):
    with Origin() as origin, Origin() as shadow, \
            weir_for(origin, shadow, {"sample": sample}) as weir, weir.client() as client:
        for _ in range(400):
            assert client.request("GET", "/").status == 200
        wait_for(lambda: len(shadow.requests) == sum(results(weir).values()))
        assert least <= len(shadow.requests) <= most


def test_the_mark_comes_from_weir_or_trusted_proxies_only():
    for trusted in ([], ["127.0.0.0/8"]):
        with Origin() as origin, Origin() as shadow, \
                weir_for(origin, shadow, trusted_proxies=trusted) as weir:
            for name in ("X-Weir-Mirror", "x_weir_mirror"):
                assert weir.get("/", headers=[(name, "1")]).status == 200
            assert [r.get("x-weir-mirror") or r.get("x_weir_mirror") for r in origin.requests] \
                == (["1", "1"] if trusted else [None, None])
            # A copy is not copied again.
            assert weir.get("/last").status == 200
            wait_results(weir, same=1)
            assert [r.target for r in shadow.requests] == ["/last"]


def test_a_mirror_that_leads_back_to_weir_ends():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Origin() as origin, weir_for(origin, f"127.0.0.1:{port}",
                                      listener={"address": f"127.0.0.1:{port}"}) as weir:
        assert weir.get("/").status == 200
        wait_results(weir, same=1)
        assert len(origin.requests) == 2


def test_upgrades_and_grpc_are_not_mirrored():
    switching = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                 b"Upgrade: websocket\r\n\r\n")

    def answer(conn, request):
        conn.send(switching) if request.get("upgrade") else conn.answer()

    with Origin(by_request(answer)) as origin, Origin() as shadow, \
            weir_for(origin, shadow, listener={"protocols": ["http/1.1", "h2c"]}) as weir:
        with weir.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            assert client.response().status == 101
        with H2Client(weir.address) as client:
            client.request(h2_get("/a.B/C", ("content-type", "application/grpc"),
                                  ("te", "trailers"), method="POST"), body=b"\0\0\0\0\0")
        assert weir.get("/last").status == 200
        wait_results(weir, same=1)
        assert [r.target for r in shadow.requests] == ["/last"]


def test_what_weir_answers_itself_is_not_mirrored_and_a_retry_is_mirrored_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = "127.0.0.1:%d" % taken.getsockname()[1]
    with Origin() as origin, Origin() as shadow, \
            weir_for(origin, shadow, route={"methods": ["GET"]}) as weir:
        weir.config["upstreams"]["app"] = {
            "balance": "round_robin",
            "servers": [{"address": dead, "max_fails": 0}, {"address": origin.address}]}
        weir.write_config()
        weir.reload()
        assert weir.get("/", headers=[("Host", "b")]).status == 400
        for _ in range(6):
            assert weir.get("/").status == 200
        wait_results(weir, same=6)
        assert len(origin.requests) == len(shadow.requests) == 6


def test_a_client_that_leaves_within_its_body_leaves_nothing():
    heads = []

    def whole(conn):
        heads.append(conn.read_head())
        while conn.recv():
            pass

    with Origin(whole) as origin, Origin() as shadow, weir_for(origin, shadow) as weir:
        for count in range(1, 11):
            with weir.client() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nabc")
                wait_for(lambda: len(heads) == count)
                client.reset()
            assert_nothing_held(weir)
        wait_results(weir, skipped=10)
        assert shadow.accepted == 0


def test_an_answer_that_does_not_wait_for_the_body_ends_the_copy():
    def early(conn):
        conn.read_head()
        conn.answer(b"no", "403 Forbidden")
        conn.recv()

    with Origin(early) as origin, Origin() as shadow, weir_for(origin, shadow) as weir:
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            assert client.response().status == 403
        wait_results(weir, skipped=1)
        assert shadow.accepted == 0


def test_a_client_that_leaves_before_its_answer_is_compared_with_nobody():
    handler, release = holding()
    with Origin(handler) as origin, Origin() as shadow, weir_for(origin, shadow) as weir:
        client = weir.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: len(shadow.requests) == 1)
        client.reset()
        wait_results(weir, uncompared=1)
        release.set()


# ---- comparing ----

def test_differences_are_counted_and_told_without_the_query():
    def by_path(conn, request):
        conn.answer(b"x", "500 Oops" if request.target.startswith("/bad") else "200 OK")

    with Origin() as origin, Origin(by_request(by_path)) as shadow, \
            weir_for(origin, shadow) as weir:
        for target in ("/ok", "/bad?token=secret", "/bad", "/ok"):
            assert weir.get(target).status == 200
        wait_results(weir, same=2, different=2)
        line = weir.wait_line("route all: mirror shadow: ")
        assert line.endswith("route all: mirror shadow: GET /bad was answered 200, "
                             "by the mirror 500")
        assert "secret" not in "".join(weir.lines)
        assert weir.metric("weir_upstream_requests_total", upstream="shadow", status="500") == 2


@pytest.mark.parametrize("slow", ["server", "mirror"])
def test_whichever_answers_last_is_compared(slow):
    handler, release = holding()
    handlers = (handler, echo) if slow == "server" else (echo, handler)
    with Origin(handlers[0]) as origin, Origin(handlers[1]) as shadow, \
            weir_for(origin, shadow) as weir, weir.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: len(origin.requests) == len(shadow.requests) == 1)
        if slow == "mirror":
            assert client.response().status == 200
        assert results(weir) == {}
        release.set()
        if slow == "server":
            assert client.response().status == 200
        wait_results(weir, same=1)


# ---- weir explain ----

def test_explain_shows_the_mirror(tmp_path):
    config = {"listeners": {"http": {"address": "127.0.0.1:8080"}},
              "upstreams": {"app": {"servers": [{"address": "127.0.0.1:1"}]},
                            "next": {"servers": [{"address": "127.0.0.1:2"}]}},
              "sites": [{"hosts": ["*"], "routes": [
                  {"path": "/", "upstream": "app",
                   "mirror": {"upstream": "next", "sample": "12.5%"}}]}]}
    path = tmp_path / "weir.yaml"
    path.write_text(json.dumps(config))

    def explain(*more):
        done = subprocess.run([binary(), "explain", "-c", str(path), *more, "http://a:8080/"],
                              capture_output=True, text=True, timeout=30, check=True)
        return [line for line in done.stdout.splitlines() if line.startswith("mirror")]

    assert explain() == ["mirror     next, 12.5 % of such requests; bodies up to 1048576 bytes, "
                         "answers within 30000 ms"]
    assert explain("-H", "X-Weir-Mirror: 1") == ["mirror     none: the request has X-Weir-Mirror"]

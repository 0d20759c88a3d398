"""auth.forward: answers that are none, servers that fail, clients that leave, reloads, the end."""
import signal
import socket

import pytest
from support.authz import BEARER, PASSES, AuthProcess, assert_nothing_held, at_server, holding, \
    raw, refused, saying, weir_for
from support.h2_origin import h2
from support.origin import Origin, by_request
from support.waiting import in_threads, pause, wait_for


# ---- neither, and no answer ----

NEITHER = {
    "500": saying("500 Oops", body=b"stack trace"),
    "404": saying("404 Not Found"),
    "304": saying("304 Not Modified"),
    "400": saying("400 Bad Request"),
    "429": saying("429 Too Many Requests"),
}
BROKEN = {
    "garbage": (raw(b"hello\r\n\r\n"), "malformed"),
    "two lengths": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                    "malformed"),
    "nothing": (raw(b""), "reset"),
    "half a head": (raw(b"HTTP/1.1 200 OK\r\nX-User: an"), "reset"),
    "half a body": (raw(b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nabc"), "reset"),
    "switching": (raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      b"Upgrade: websocket\r\n\r\n"), "malformed"),
    "huge": (saying("401 No", body=b"x" * (256 * 1024 + 1)), "too_large"),
    "endless": (raw(b"HTTP/1.1 403 No\r\n\r\n" + b"x" * 1_000_000), "too_large"),
    "huge head": (raw(b"HTTP/1.1 200 OK\r\nX-User: " + b"x" * 200_000 + b"\r\n\r\n"), "too_large"),
}


@pytest.mark.parametrize("kind", NEITHER)
def test_any_other_status_is_no_answer(kind):
    with Origin() as origin, Origin(NEITHER[kind]) as authz, weir_for(origin, authz) as weir:
        answer = weir.get("/x")
        assert answer.status == 503 and b"stack" not in answer.body
        assert answer.get("retry-after") == "1" and answer.get("cache-control") == "no-store"
        assert answer.get("proxy-status") == "weir; error=proxy_internal_error"
        assert not origin.requests and refused(weir, "status") == 1
        assert weir.log_of("/x")[0]["error"] == \
            "upstream: refused: auth server: neither passed nor denied"
        weir.wait_line("auth.forward: upstream authz: refused: neither passed nor denied")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_is_none(kind):
    handler, reason = BROKEN[kind]
    with Origin() as origin, Origin(handler) as authz, \
            weir_for(origin, authz, upstream={"retry": {"attempts": 1}}) as weir:
        assert weir.get("/x").status == 503
        assert not origin.requests and refused(weir, reason) == 1
        assert weir.log_of("/x")[0]["error"].startswith(f"upstream: {reason}: auth server: ")
        assert_nothing_held(weir)


def test_a_refusal_of_just_the_cap_is_handed_on():
    body = b"x" * (256 * 1024)
    with Origin() as origin, Origin(saying("403 No", body=body)) as authz, \
            weir_for(origin, authz) as weir:
        assert weir.get("/").body == body


@pytest.mark.parametrize("body", [b"x" * 10_000_000, b"x" * 1000], ids=["long", "short"])
def test_the_body_of_a_pass_is_nobodys(body):
    with Origin() as origin, Origin(saying("200 OK", [("X-User", "ann")], body)) as authz, \
            weir_for(origin, authz) as weir:
        for _ in range(3):
            assert at_server(weir.get("/"), "x-user") == ["ann"]
        wait_for(lambda: weir.metric("weir_upstream_connections", upstream="authz",
                                     state="active") == 0)
        assert authz.accepted == (1 if len(body) == 1000 else 3)


def test_a_pass_whose_body_never_ends_holds_nobody_up():
    def answer(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 99\r\n\r\nx")
        conn.recv()

    with Origin() as origin, Origin(by_request(answer)) as authz, \
            weir_for(origin, authz, {"timeout": "10m"}) as weir:
        assert at_server(weir.get("/"), "x-user") == ["ann"]
        assert_nothing_held(weir)  # nor is it waited for any longer than its request


def test_each_auth_server_that_fails_is_told_of():
    with Origin() as origin, Origin(NEITHER["500"]) as first, Origin(NEITHER["404"]) as second, \
            weir_for(origin, first) as weir:
        weir.config["upstreams"]["other"] = {"servers": [{"address": second.address}]}
        auth = {"forward": {"upstream": "other", "path": "/verify"}}
        weir.config["sites"][0]["routes"][0]["auth"] = auth
        weir.write_config()
        weir.reload()
        assert [weir.get(path).status for path in ("/", "/free", "/", "/free")] == [503] * 4
        for upstream in ("authz", "other"):
            weir.wait_line(f"auth.forward: upstream {upstream}: refused")


def test_a_slow_server_is_none():
    handler, release = holding()
    with Origin() as origin, Origin(handler) as authz, \
            weir_for(origin, authz, {"timeout": "200ms"}) as weir:
        answer = weir.get("/x")
        assert answer.status == 503
        assert answer.get("proxy-status") == "weir; error=http_response_timeout"
        assert refused(weir, "timeout") == 1 and not origin.requests
        assert weir.log_of("/x")[0]["error"] == "upstream: timeout: auth server: total timeout"
        assert weir.metric("weir_upstream_failures_total", upstream="authz", reason="timeout") == 1
        assert_nothing_held(weir)
        release.set()


def test_a_server_that_is_stopped_killed_and_started_again():
    with Origin() as origin, AuthProcess() as authz, \
            weir_for(origin, authz, {"timeout": "300ms"}) as weir:
        assert at_server(weir.get("/", headers=BEARER), "x-user") == ["ann"]
        assert weir.get("/").body == b"who are you?"

        pause(authz.process)
        assert {r.status for r in in_threads(10, lambda _: weir.get("/", headers=BEARER))} == {503}
        authz.signal(signal.SIGCONT)
        wait_for(lambda: weir.get("/", headers=BEARER).status == 200)

        before = len(origin.requests)
        authz.kill()
        assert {r.status for r in in_threads(10, lambda _: weir.get("/", headers=BEARER))} == {503}
        assert weir.get("/free").status == 200
        assert len(origin.requests) == before + 1
        assert refused(weir, "connect") > 0
        with AuthProcess(authz.port):
            wait_for(lambda: weir.get("/", headers=BEARER).status == 200)
            assert weir.get("/").status == 401
        assert_nothing_held(weir)


# ---- its upstream is one as any other ----

def test_a_connection_that_the_server_has_left_costs_nobody_his_pass():
    def once(conn):
        conn.origin.requests.append(conn.read_request())
        conn.answer(b"", headers=[("X-User", "ann")])

    with Origin() as origin, Origin(once) as authz, weir_for(origin, authz) as weir:
        for _ in range(10):
            assert at_server(weir.get("/"), "x-user") == ["ann"]
        assert len(authz.requests) == 10


def test_another_server_is_asked_when_one_is_dead():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = "127.0.0.1:%d" % taken.getsockname()[1]
    with Origin() as origin, Origin(PASSES) as authz, weir_for(
            origin, authz, upstream={"balance": "round_robin", "servers": [
                {"address": dead, "max_fails": 0}, {"address": authz.address}]}) as weir:
        for _ in range(6):
            assert weir.get("/").status == 200
        assert weir.metric("weir_upstream_retries_total", upstream="authz", reason="connect") == 3


def test_it_is_counted_as_its_upstreams_alone():
    with Origin() as origin, Origin(PASSES) as authz, weir_for(origin, authz) as weir:
        for _ in range(3):
            assert weir.get("/x").status == 200
        assert weir.metric("weir_upstream_requests_total", upstream="authz", status="200") == 3
        assert weir.metric("weir_upstream_requests_total", upstream="app", status="200") == 3
        assert weir.metric("http_requests_total", route="all") == 3
        assert weir.metric("requests_in_flight") == 0
        line = weir.log_of("/x", 3)[-1]
        assert (line["upstream"], line["attempts"], line["error"]) == ("app", 1, "")
        assert len(weir.access_log(3)) == 3


def test_it_has_the_limits_of_its_upstream():
    handler, release = holding()
    breaker = {"max_connections": 1, "max_pending": 0}
    with Origin() as origin, Origin(handler) as authz, \
            weir_for(origin, authz, upstream={"circuit_breaker": breaker}) as weir, \
            weir.client() as first:
        first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: authz.requests)
        assert weir.get("/x").status == 503
        assert weir.log_of("/x")[0]["error"].startswith("upstream: overload: auth server: ")
        release.set()
        assert first.response().status == 200


def test_behind_the_proxy_protocol_and_over_http2():
    heads = []

    def answer(conn):
        heads.append(conn.read_line())
        PASSES(conn)

    with Origin() as origin, Origin(answer) as authz, \
            weir_for(origin, authz, upstream={"proxy_protocol": "v1"}) as weir, \
            weir.client() as client:
        assert client.request().status == 200
        assert heads[0].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 %d " %
                                   client.sock.getsockname()[1])

    def over_h2(peer, request):
        peer.answer(request, b"", ((":status", "200"), ("x-user", "ann")))

    with Origin() as origin, Origin(h2(over_h2)) as authz, \
            weir_for(origin, authz, upstream={"protocol": "h2c"}) as weir:
        answers = in_threads(8, lambda _: weir.get("/a"))
        assert {at_server(answer, "x-user")[0] for answer in answers} == {"ann"}
        assert authz.requests[0].get(":path") == "/verify"
        assert authz.requests[0].get("x-original-uri") == "/a"


# ---- clients ----

def test_a_client_that_leaves_asks_no_more():
    handler, release = holding()
    with Origin() as origin, Origin(handler) as authz, weir_for(origin, authz) as weir:
        for count in range(1, 11):
            with weir.client() as client:
                client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                wait_for(lambda: len(authz.requests) == count)
                client.reset()
            assert_nothing_held(weir)
        assert {line["status"] for line in weir.log_of("/x", 10)} == {499}
        assert not origin.requests
        release.set()


# ---- weir itself ----

def test_a_reload_while_it_is_asked():
    handler, release = holding()
    with Origin() as origin, Origin(handler) as authz, Origin(saying("403 No")) as other, \
            weir_for(origin, authz) as weir, weir.client() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: authz.requests)
        weir.config["upstreams"]["authz"]["servers"] = [{"address": other.address}]
        weir.write_config()
        weir.reload()
        assert weir.get("/y").status == 403
        del weir.config["upstreams"]["authz"]
        del weir.config["sites"][0]["routes"][-1]["auth"]
        weir.write_config()
        weir.reload()
        assert weir.get("/z").status == 200
        release.set()
        assert client.response().status == 200


@pytest.mark.parametrize("grace, status", [("10s", 200), ("200ms", 499)])
def test_an_end_while_it_is_asked(grace, status):
    handler, release = holding()
    with Origin() as origin, Origin(handler) as authz, \
            weir_for(origin, authz, shutdown={"grace": grace},
                     expect_exit=0 if status == 200 else 1) as weir, weir.client() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: authz.requests)
        weir.signal(signal.SIGTERM)
        if status == 200:
            weir.wait_line("drain")
            release.set()
            assert client.response().status == 200
        else:
            client.assert_closed()
        weir.process.wait(20)
        assert weir.log_of("/x")[0]["status"] == status
        release.set()

"""auth.forward: what the auth server is asked, who passes by its answers, and who does not."""
import json
import threading

import pytest
from support.authz import BEARER, PASSES, assert_nothing_held, at_server, holding, refused, \
    saying, weir_for
from support.h2 import H2Client, get as h2_get
from support.origin import Origin, by_request
from support.waiting import in_threads, wait_for


# ---- what it is asked ----

def test_the_question():
    with Origin() as origin, Origin(PASSES) as authz, weir_for(origin, authz) as weir:
        headers = [("Cookie", "a=b"), ("Authorization", "Basic x"), ("X-One", "1"),
                   ("Content-Type", "a/b"), ("X-User", "eve"), ("X_User", "eve"),
                   ("X-Original-URI", "/mine"), ("X-Forwarded-Method", "GET"),
                   ("x_original_url", "mine"), ("X-Forwarded-For", "10.9.9.9"),
                   ("If-None-Match", "*"), ("If-Modified-Since", "now"), ("Range", "bytes=0-1"),
                   ("Connection", "X-Hop"), ("X-Hop", "1"), ("TE", "trailers")]
        with weir.client() as client:
            answer = client.request("POST", "/a/b?c=d", headers, b"body", host="Site.test:81")
        assert answer.status == 200 and answer.json()["body"] == "body"
        (asked,) = authz.requests
        assert (asked.method, asked.target, asked.body) == ("GET", "/verify", b"")
        assert asked.get("content-length") is None and asked.get("transfer-encoding") is None
        told = {"host": "Site.test:81", "cookie": "a=b", "authorization": "Basic x", "x-one": "1",
                "content-type": "a/b", "x-forwarded-method": "POST", "x-original-method": "POST",
                "x-forwarded-uri": "/a/b?c=d", "x-original-uri": "/a/b?c=d",
                "x-original-url": "http://Site.test:81/a/b?c=d",
                "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1",
                "x-forwarded-proto": "http", "x-forwarded-host": "Site.test:81"}
        assert {name: asked.all(name) for name in told} == {n: [v] for n, v in told.items()}
        for name in ("x-user", "x_user", "x_original_url", "if-none-match", "if-modified-since",
                     "range", "x-hop", "te"):
            assert asked.get(name) is None, name
        assert asked.get("x-request-id") == at_server(answer, "x-request-id")[0]


def test_the_question_as_configured():
    forward = {"path": "/check?x=1&y", "host": "auth.test", "request_headers": ["cookie", "X-User"]}
    with Origin() as origin, Origin(PASSES) as authz, \
            weir_for(origin, authz, forward, trusted_proxies=["127.0.0.0/8"]) as weir:
        answer = weir.get("/", headers=[("Cookie", "a=b"), ("Authorization", "x"), ("X-User", "u"),
                                        ("X-Forwarded-For", "192.0.2.1"),
                                        ("X-Forwarded-Proto", "https"),
                                        ("X-Forwarded-Host", "outer.test")])
        assert answer.status == 200
        (asked,) = authz.requests
        assert asked.target == "/check?x=1&y" and asked.get("host") == "auth.test"
        assert asked.get("cookie") == "a=b" and asked.all("x-user") == ["u"]
        assert asked.get("authorization") is None and asked.get("x-request-id") is None
        assert asked.get("x-forwarded-for") == "192.0.2.1, 127.0.0.1"
        assert asked.get("x-real-ip") == "192.0.2.1"
        assert asked.get("x-forwarded-proto") == "https"
        assert asked.get("x-forwarded-host") == "outer.test"
        assert at_server(answer, "host") == ["test"]


def test_what_only_weir_says_is_not_asked_about_as_said_by_the_client():
    staff = {"jwt": {"secret": "s" * 40, "claims_to_headers": {"sub": "X-Staff"}}}
    spoofed = [("X-Staff", "root"), ("X_Staff", "root"), ("X-User", "eve")]
    for forward, seen in (({}, None), ({"request_headers": ["X-Staff"]}, "root")):
        with Origin() as origin, Origin(PASSES) as authz, weir_for(origin, authz, forward) as weir:
            weir.config["sites"][0]["routes"][0]["auth"] = staff
            weir.write_config()
            weir.reload()
            answer = weir.get("/", headers=spoofed)
            assert at_server(answer, "x-staff") == at_server(answer, "x_staff") == []
            (asked,) = authz.requests
            assert asked.get("x-staff") == seen
            assert asked.get("x_staff") is None and asked.get("x-user") is None


# ---- who passes ----

@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "299 So"])
def test_what_passes_has_the_fields_of_the_answer_and_no_others(status):
    said = [("X-User", "ann"), ("x-groups", "a"), ("X-Groups", "b"), ("X-Else", "no")]
    with Origin() as origin, Origin(saying(status, said)) as authz, \
            weir_for(origin, authz) as weir:
        answer = weir.get("/", headers=[("X-User", "eve"), ("X-Groups", "root"), ("x_user", "eve")])
        assert answer.status == 200
        assert at_server(answer, "x-user") == ["ann"]
        assert at_server(answer, "x-groups") == ["a", "b"]
        assert not at_server(answer, "x-else") and not at_server(answer, "x_user")
        # Nor may clients say it where nobody is asked.
        free = weir.get("/free", headers=[("X-User", "eve"), ("X_Groups", "r"), *BEARER])
        assert not at_server(free, "x-user") and not at_server(free, "x_groups")
        assert at_server(free, "authorization") == ["Bearer ann"]
        assert len(authz.requests) == 1


def test_an_answer_that_says_nothing_leaves_nothing_of_the_client():
    forward = {"copy_headers": ["X-User", "Authorization"]}
    with Origin() as origin, Origin(saying("200 OK")) as authz, \
            weir_for(origin, authz, forward) as weir:
        answer = weir.get("/", headers=[("X-User", "eve"), *BEARER])
        assert authz.requests[0].get("authorization") == "Bearer ann"
        assert not at_server(answer, "x-user") and not at_server(answer, "authorization")
        free = weir.get("/free", headers=BEARER)  # elsewhere it is the servers' own
        assert at_server(free, "authorization") == ["Bearer ann"]


def test_the_proof_may_become_another_one():
    forward = {"copy_headers": ["Authorization"]}
    with Origin() as origin, Origin(saying("200 OK", [("Authorization", "inner")])) as authz, \
            weir_for(origin, authz, forward) as weir:
        assert at_server(weir.get("/", headers=BEARER), "authorization") == ["inner"]


def test_edits_of_answers_are_not_for_that_of_the_auth_server():
    edits = {"response": {"remove": ["X-User"], "add": {"X-Weir": "1"}}}

    def answer(conn, request):
        known = request.get("authorization") is not None
        conn.answer(b"", "200 OK" if known else "401 No", [("X-User", "ann")])

    with Origin() as origin, Origin(by_request(answer)) as authz, \
            weir_for(origin, authz, {"copy_headers": ["X-User"]},
                     defaults={"headers": edits, "security_headers": "standard"}) as weir:
        passed = weir.get("/", headers=BEARER)
        assert at_server(passed, "x-user") == ["ann"] and passed.all("x-weir") == ["1"]
        denied = weir.get("/")
        assert denied.status == 401 and denied.get("x-user") is None
        assert denied.all("x-weir") == ["1"] and len(denied.all("x-content-type-options")) == 1


def test_fields_for_the_client():
    said = [("Set-Cookie", "s=1"), ("Set-Cookie", "t=2"), ("X-Plan", "gold"), ("X-Else", "no")]

    def server(conn, _):
        conn.answer(b"", headers=[("Set-Cookie", "own=1"), ("X-Plan", "mine")])

    forward = {"response_headers": ["Set-Cookie", "X-Plan"]}
    with Origin(by_request(server)) as origin, Origin(saying("200 OK", said)) as authz, \
            weir_for(origin, authz, forward) as weir:
        answer = weir.get("/")
        assert answer.all("set-cookie") == ["own=1", "s=1", "t=2"]
        assert answer.all("x-plan") == ["gold"] and answer.get("x-else") is None


def test_a_whole_body_waits_for_the_answer():
    handler, release = holding()
    with Origin() as origin, Origin(handler) as authz, weir_for(origin, authz) as weir:
        body = bytes(range(256)) * 8192

        def ask(_):
            with weir.client() as client:
                return client.request("PUT", "/", body=body)

        asking = threading.Thread(target=lambda: wait_for(lambda: authz.requests) or release.set())
        asking.start()
        (answer,) = in_threads(1, ask)
        asking.join()
        assert answer.json()["body"].encode("latin-1") == body


def test_what_weir_answers_itself_is_behind_it_too():
    with Origin() as origin, Origin(saying("403 No")) as authz, weir_for(origin, authz) as weir:
        route = weir.config["sites"][0]["routes"][-1]
        del route["upstream"]
        route["respond"] = {"body": "secret"}
        weir.write_config()
        weir.reload()
        answer = weir.get("/")
        assert answer.status == 403 and b"secret" not in answer.body


# ---- who does not ----

def test_a_refusal_is_handed_on():
    said = [("WWW-Authenticate", 'Basic realm="a"'), ("WWW-Authenticate", "Bearer"),
            ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "text/html"),
            ("X-Else", "yes"), ("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")]
    with Origin() as origin, Origin(saying("401 Unauthorized", said, b"<p>who?")) as authz, \
            weir_for(origin, authz) as weir, weir.client() as client:
        for _ in range(3):
            answer = client.request("POST", "/x", body=b"b" * 1000)
            assert answer.status == 401 and answer.body == b"<p>who?"
            for name in ("www-authenticate", "set-cookie", "content-type", "x-else"):
                assert answer.all(name) == [v for n, v in said if n.lower() == name]
            assert answer.get("keep-alive") is None and answer.get("cache-control") == "no-store"
        head = client.request("HEAD", "/x")
        assert head.status == 401 and head.body == b"" and head.get("content-length") == "7"
        assert not origin.requests
        assert refused(weir, "denied") == 4
        assert authz.accepted == 1
        line = weir.log_of("/x", 4)[0]
        assert (line["status"], line["error"], line["upstream"]) == \
            (401, "weir: refused: denied by the auth server", "")
        assert_nothing_held(weir)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_handed_on(status):
    said = [("Location", "https://login.test/?rd=a"), ("Set-Cookie", "state=1"),
            ("Cache-Control", "max-age=1")]
    with Origin() as origin, Origin(saying(f"{status} There", said, b"go")) as authz, \
            weir_for(origin, authz) as weir:
        answer = weir.get("/x")
        assert (answer.status, answer.body) == (status, b"go")
        assert answer.get("location") == "https://login.test/?rd=a"
        assert answer.get("set-cookie") == "state=1"
        assert answer.all("cache-control") == ["max-age=1"]
        assert refused(weir, "redirected") == 1 and not origin.requests


def test_a_refusal_without_a_body_has_the_standard_one():
    handler = saying("403 Forbidden", [("Content-Encoding", "gzip")])
    with Origin() as origin, Origin(handler) as authz, \
            weir_for(origin, authz) as weir:
        answer = weir.get("/", headers=[("Accept", "application/json")])
        assert answer.status == 403 and answer.json()["error"]["status"] == 403
        assert answer.get("content-encoding") is None


def test_who_is_refused_need_not_send_the_body():
    with Origin() as origin, Origin(saying("403 Forbidden", body=b"no")) as authz, \
            weir_for(origin, authz) as weir, weir.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        assert client.response(skip_1xx=False).status == 403
        assert authz.requests[0].get("expect") is None


# ---- other protocols ----

def test_http2_clients():
    def answer(conn, request):
        user = request.get("x-original-uri").strip("/")
        conn.answer(b"no", "200 OK" if user != "17" else "403 No", [("X-User", user)])

    with Origin() as origin, Origin(by_request(answer)) as authz, \
            weir_for(origin, authz, listener={"protocols": ["http/1.1", "h2c"]}) as weir, \
            H2Client(weir.address) as client:
        for stream in range(1, 41, 2):
            client.headers(stream, h2_get(f"/{stream}", ("x-user", "eve")))
        for stream in range(1, 41, 2):
            got = client.answer(stream)
            if stream == 17:
                assert got.status == 403 and got.body == b"no"
                continue
            sent = json.loads(got.body)["headers"]
            assert [v for n, v in sent if n.lower() == "x-user"] == [str(stream)]


def test_grpc_is_refused_in_its_own_way():
    with Origin() as origin, Origin(saying("401 No", body=b"<p>")) as authz, \
            weir_for(origin, authz, listener={"protocols": ["http/1.1", "h2c"]}) as weir, \
            H2Client(weir.address) as client:
        got = client.request(h2_get("/a.B/C", ("content-type", "application/grpc"),
                                    ("te", "trailers"), method="POST"), body=b"\0\0\0\0\0")
        assert (got.status, got.get("grpc-status"), got.body) == (200, "16", b"")
        assert not origin.requests


@pytest.mark.parametrize("status", [200, 401])
def test_websockets(status):
    def server(conn, request):
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  b"Upgrade: websocket\r\n\r\n")
        while conn.recv():
            conn.send(conn.buffer)
            conn.buffer = b""

    with Origin(by_request(server)) as origin, \
            Origin(saying(f"{status} So", [("X-User", "ann")])) as authz, \
            weir_for(origin, authz) as weir, weir.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert client.response().status == (101 if status == 200 else 401)
        assert authz.requests[0].get("upgrade") is None
        if status == 200:
            assert origin.requests[0].get("x-user") == "ann"
            client.send(b"ping")
            assert client.read_exactly(4) == b"ping"

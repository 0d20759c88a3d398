"""HTTP/2 from clients: requests and answers as over HTTP/1.1, flow control, leaving."""
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from support import h2, h2_origin
from support.h2 import H2Client, get
from support.origin import Origin, by_target, canned, echo
from support.weir import proxy

H2C = {"protocols": ["h2c", "http/1.1"]}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, proxy(origin, listener=H2C) as weir:
        yield weir, origin


def ok(answer):
    assert (answer.status, answer.reset) == (200, None), answer
    return json.loads(answer.body)


# ---- requests and answers ----

def test_a_request_is_as_clean_as_one_over_http1(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        seen = ok(client.request(get("/x?y=1", ("accept", "*/*"), ("user-agent", "me"))))
    assert (seen["method"], seen["target"]) == ("GET", "/x?y=1")
    head = origin.requests[-1].raw_head.decode("latin-1").split("\r\n")
    assert head[:4] == ["GET /x?y=1 HTTP/1.1", "Host: a", "accept: */*", "user-agent: me"]
    assert "Via: 2.0 weir" in head
    assert not any(line.startswith((":", "Transfer-Encoding", "Content-Length")) for line in head)
    line = weir.log_of("/x?y=1")[-1]
    assert (line["protocol"], line["method"], line["status"]) == ("HTTP/2.0", "GET", 200)


def test_bodies_with_a_length_and_without(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        seen = ok(client.request(get("/", ("content-length", "5"), method="POST"), body=b"hello"))
        assert seen["body"] == "hello"
        assert origin.requests[-1].get("content-length") == "5"
        seen = ok(client.request(get(method="PUT"), stream=3, body=b"world"))
        assert seen["body"] == "world"
        assert origin.requests[-1].get("transfer-encoding") == "chunked"
        seen = ok(client.request(get(method="POST"), stream=5, body=b""))
        assert seen["body"] == ""


NOTHING = get("/", ("content-length", "0"), method="POST")


def test_a_body_of_no_bytes_ends_with_its_head(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        before = origin.accepted
        for stream in (1, 3, 5):
            assert ok(client.request(NOTHING, stream))["body"] == ""
            assert origin.requests[-1].get("content-length") == "0"
        assert origin.accepted <= before + 1, "its connection is good for the next one"
    upstream = {"protocol": "h2c", "timeouts": {"read": "1s"}}
    silent = h2_origin.h2(lambda peer, request: None)
    with Origin(silent) as origin, proxy(origin, upstream, listener=H2C) as weir:
        with H2Client(weir.address) as client:
            assert client.request(NOTHING).status == 504
        assert origin.requests[0].ended


def test_a_body_that_is_padded(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, get(method="POST"), end=False)
        client.frame(h2.DATA, h2.PADDED | h2.END_STREAM, 1, b"\x03abc\0\0\0")
        assert ok(client.answer(1))["body"] == "abc"


def test_request_trailers(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, get("/", ("te", "trailers"), method="POST"), end=False)
        client.data(1, b"abc")
        client.headers(1, [("x-sum", "1"), ("content-length", "9"), ("host", "b")])
        seen = ok(client.answer(1))
    assert (seen["body"], seen["trailers"]) == ("abc", [["x-sum", "1"]])


def test_te_trailers_is_kept(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        ok(client.request(get("/", ("te", "trailers"))))
    assert origin.requests[-1].get("te") == "trailers"
    assert origin.requests[-1].get("connection") == "TE"


def test_cookie_crumbs_are_joined(pair):
    weir, origin = pair
    with H2Client(weir.address) as client:
        ok(client.request(get("/", ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"),
                              ("cookie", "c=3"))))
    assert origin.requests[-1].all("cookie") == ["a=1; b=2; c=3"]


def test_answers_without_a_body():
    table = {"204": "HTTP/1.1 204 No Content\r\n\r\n",
             "304": "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 9\r\n\r\n",
             "head": "HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n",
             "empty": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}
    with Origin(by_target(table)) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        answer = client.request(get("/204"))
        assert (answer.status, answer.body, answer.get("content-length")) == (204, b"", None)
        answer = client.request(get("/304"), 3)
        assert (answer.status, answer.body, answer.get("content-length")) == (304, b"", "9")
        answer = client.request(get("/head", method="HEAD"), 5)
        assert (answer.status, answer.body, answer.get("content-length")) == (200, b"", "42")
        answer = client.request(get("/empty"), 7)
        assert (answer.status, answer.body, answer.get("content-length")) == (200, b"", "0")


def test_answers_lose_what_http2_forbids():
    answer = ("HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: a=5"
              "\r\nTransfer-Encoding: chunked\r\nX-UP: Up\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
              "\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
    with Origin(canned(answer)) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        got = client.request()
    names = [name for name, _ in got.headers]
    assert not {"connection", "keep-alive", "transfer-encoding", "x-hop"} & set(names), names
    assert all(name == name.lower() for name in names)
    assert got.get("x-up") == "Up"
    assert [v for n, v in got.headers if n == "set-cookie"] == ["a=1", "b=2"]
    assert (got.body, got.trailers) == (b"abc", [("x-sum", "7")])
    assert got.get("via") == "1.1 weir"


def test_interim_answers_come_through():
    answer = ("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with Origin(canned(answer)) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        got = client.request()
    assert (got.interim[0][0], dict(got.interim[0][1])) == (103, {"link": "</a.css>"})
    assert (got.status, got.body) == (200, b"ok")


def test_expect_continue_is_answered(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.headers(1, get("/", ("expect", "100-continue"), method="POST"), end=False)
        client.until(lambda c: c.answers.get(1) and c.answers[1].interim)
        assert client.answers[1].interim[0][0] == 100
        client.data(1, b"body", end=True)
        assert ok(client.answer(1))["body"] == "body"


def test_own_errors_are_answers(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        assert client.request(get("/%00")).status == 400
        assert client.request(get(method="TRACE"), 3).status == 405
        answer = client.request(get("/", ("accept", "application/json"), method="FOO"), 5)
        assert (answer.status, json.loads(answer.body)["error"]["status"]) == (501, 501)
        assert client.request(get("/" + "x" * 9000), 7).status == 414
        assert client.request(get("/", ("x", "y" * 33000)), 9).status == 431
        assert client.request(get("/", *[(f"x{i}", "y") for i in range(101)]), 11).status == 431
        assert client.request(get(authority="a b"), 13).status == 400
        assert client.request(get("/", ("expect", "more")), 15).status == 417
        ok(client.request(stream=17))  # the connection, and its header table, are sound
        assert client.goaways == []


def test_a_body_over_its_limit_is_refused():
    with Origin() as origin, proxy(origin, listener={**H2C, "limits": {"body": "1KiB"}}) as weir, \
            H2Client(weir.address) as client:
        client.headers(1, get(method="POST"), end=False)
        client.data(1, b"x" * 2000)
        answer = client.answer(1)
        assert answer.status == 413
        client.until(lambda c: answer.reset is not None)
        assert answer.reset == h2.NO_ERROR  # RFC 9113 8.1: the rest is not wanted
        assert client.request(get("/", ("content-length", "2000"), method="POST"), 3,
                              body=b"x" * 2000).status == 413
        ok(client.request(stream=5))


def test_an_early_answer_stops_the_upload():
    def early(conn):
        conn.read_head()
        conn.answer(b"no", "403 Forbidden", [("Connection", "close")])

    with Origin(early) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        client.headers(1, get(method="POST"), end=False)
        answer = client.answer(1)
        assert (answer.status, answer.body) == (403, b"no")
        client.until(lambda c: answer.reset is not None)
        assert answer.reset == h2.NO_ERROR


def test_a_cut_answer_is_seen_as_one():
    with Origin(canned("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")) as origin, \
            proxy(origin, listener=H2C) as weir, H2Client(weir.address) as client:
        answer = client.request()
    assert (answer.status, answer.body, answer.reset) == (200, b"part", h2.INTERNAL_ERROR)


# ---- who speaks what ----

def test_http1_and_http2_share_a_port(pair):
    weir, _ = pair
    assert weir.get("/").status == 200
    with weir.client() as client:  # a preface in pieces, and one that turns out to be none
        client.send(b"P")
        time.sleep(0.05)
        client.send(b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert client.response().status == 200
    with H2Client(weir.address, hello=False) as client:
        for byte in h2.PREFACE:
            client.send(bytes([byte]))
        client.frame(h2.SETTINGS)
        ok(client.request())


def test_a_listener_for_http2_alone_refuses_http1():
    with Origin() as origin, proxy(origin, listener={"protocols": ["h2c"]}) as weir:
        with H2Client(weir.address, hello=False) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.end() == h2.PROTOCOL_ERROR
        assert weir.metric("weir_protocol_errors_total", protocol="h2", reason="preface") == 1
        with H2Client(weir.address) as client:
            ok(client.request())


def test_curl_nghttp_and_h2load(pair):
    weir, _ = pair
    base = f"http://127.0.0.1:{weir.address[1]}"
    done = subprocess.run(["curl", "-s", "-m", "20", "--http2-prior-knowledge", "-d", "x=1",
                           base + "/curl"], capture_output=True, check=True)
    assert json.loads(done.stdout)["body"] == "x=1"
    done = subprocess.run(["nghttp", "-v", "-t", "20", base + "/nghttp"], capture_output=True,
                          check=True)
    assert b":status: 200" in done.stdout
    done = subprocess.run(["h2load", "-n", "400", "-c", "4", "-m", "8", "-T", "20", base + "/load"],
                          capture_output=True, check=True)
    assert b"400 succeeded, 0 failed" in done.stdout


# ---- flow control ----

def flood(conn):
    while conn.read_request() is not None:
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {64 * MIB}\r\n\r\n")
        for _ in range(64):
            conn.send(b"x" * MIB)
            conn.origin.sent += MIB


def test_a_stream_that_is_not_read_holds_little_and_others_go_on():
    def serve(conn):
        request = conn.read_request()
        if request.target == "/big":
            conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {64 * MIB}\r\n\r\n")
            for _ in range(64):
                conn.send(b"x" * MIB)
                conn.origin.sent += MIB
        else:
            conn.answer(b"small")

    with Origin(serve) as origin, proxy(origin, listener=H2C) as weir:
        origin.sent = 0
        with H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 1000},
                      window=16 * MIB) as client:
            client.give_windows = False
            client.headers(1, get("/big"))
            client.until(lambda c: len(c.answers.get(1, h2.Answer()).body) == 1000)
            for stream in range(3, 23, 2):
                assert client.request(get("/small"), stream).body == b"small"
            seen, since = -1, time.monotonic()
            while origin.sent != seen and time.monotonic() < since + 10:
                seen = origin.sent
                time.sleep(0.3)
            assert origin.sent < 24 * MIB  # the sockets' buffers and one connection's memory
            client.frame(h2.WINDOW_UPDATE, 0, 1, struct.pack(">I", 5000))
            client.until(lambda c: len(c.answers[1].body) == 6000)
            client.frame(h2.RST_STREAM, 0, 1, struct.pack(">I", h2.CANCEL))
            assert client.request(get("/small"), 101).body == b"small"


def test_an_upload_stops_when_the_server_does_not_read():
    def deaf(conn):
        head = conn.read_head()
        if head.startswith(b"POST"):
            conn.origin.go_on.wait(20)
            total = len(conn.buffer)
            while total < 4 * MIB and conn.recv():
                total += len(conn.buffer)
                conn.buffer = b""
            conn.answer(str(total).encode())
        else:
            conn.answer(b"other")

    with Origin(deaf) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        origin.go_on = threading.Event()
        sent, room = 0, 65535
        client.headers(1, get("/", ("content-length", str(8 * MIB)), method="POST"), end=False)
        client.until(lambda c: c.settings)
        room += client.settings[h2.INITIAL_WINDOW_SIZE] - 65535
        client.sync()
        connection = 65535 + sum(n for stream, n in client.windows if stream == 0)
        taken = 0
        quiet = 0
        while sent < 16 * MIB and quiet < 3:  # as far as windows allow
            part = min(16000, room - sent, connection - sent, 8 * MIB - sent)
            if part <= 0:
                client.sync()
                new = client.windows[taken:]
                taken = len(client.windows)
                grown = sum(n for stream, n in new if stream == 1)
                connection = 65535 + sum(n for s, n in client.windows if s == 0)
                room += grown
                quiet = 0 if grown else quiet + 1
                time.sleep(0.1 if not grown else 0)
                continue
            client.data(1, b"x" * part)
            sent += part
        assert sent < 8 * MIB  # stopped
        assert client.request(get("/other"), 3).body == b"other"  # the connection's window is open
        origin.go_on.set()
        client.frame(h2.RST_STREAM, 0, 1, struct.pack(">I", h2.CANCEL))


def test_priorities_order_what_waits():
    size = 400_000

    def serve(conn):
        while conn.read_request() is not None:
            conn.answer(b"x" * size)

    with Origin(serve) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address, window=65535) as client:
        client.give_windows = False
        client.headers(1, get("/", ("priority", "u=6")))
        client.headers(3, get("/", ("priority", "u=1")))
        client.until(lambda c: sum(len(a.body) for a in c.answers.values()) == 65535)
        client.until(lambda c: all(c.answers.get(s) and c.answers[s].status for s in (1, 3)))
        time.sleep(1)  # of both answers more waits at weir than is asked for
        client.frame(h2.WINDOW_UPDATE, 0, 3, struct.pack(">I", size))
        client.frame(h2.WINDOW_UPDATE, 0, 1, struct.pack(">I", size))
        before = {s: len(client.answers[s].body) for s in (1, 3)}
        client.frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 30_000))
        client.until(lambda c: sum(len(a.body) for a in c.answers.values()) == 65535 + 30_000)
        assert len(client.answers[1].body) == before[1]
        assert len(client.answers[3].body) == before[3] + 30_000


def test_the_number_of_streams_is_bounded():
    hold = threading.Event()

    def serve(conn):
        while conn.read_request() is not None:
            hold.wait(20)
            conn.answer(b"late")

    with Origin(serve) as origin, \
            proxy(origin, listener={**H2C, "limits": {"h2_streams": 4}}) as weir, \
            H2Client(weir.address, acknowledge=False) as client:
        client.until(lambda c: c.settings)
        assert client.settings[h2.MAX_CONCURRENT_STREAMS] == 4
        for stream in range(1, 13, 2):
            client.headers(stream)
        assert client.answer(9).reset == h2.REFUSED_STREAM
        assert client.answer(11).reset == h2.REFUSED_STREAM
        hold.set()
        for stream in (1, 3, 5, 7):
            assert client.answer(stream).body == b"late"


# ---- leaving ----

def test_drain_tells_twice_and_serves_what_came_between():
    hold = threading.Event()

    def serve(conn):
        while (request := conn.read_request()) is not None:
            if request.target == "/slow":
                hold.wait(20)
            conn.answer(b"done")

    with Origin(serve) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        client.headers(1, get("/slow"))
        client.sync()
        weir.signal(signal.SIGTERM)
        client.until(lambda c: c.goaways)
        assert client.goaways[0] == (0x7fffffff, h2.NO_ERROR)
        # weir's PING was not answered yet by step(): a request that was on its way is served
        assert client.request(get("/between"), 3).body == b"done"
        client.until(lambda c: len(c.goaways) == 2)
        assert client.goaways[1][1] == h2.NO_ERROR
        assert client.goaways[1][0] in (1, 3)
        hold.set()
        assert client.answer(1).body == b"done"
        assert client.end() == h2.NO_ERROR
        weir.process.wait(20)


BIG = {"big": b"HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n" + b"x" * 16777216,
       "late": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"}
WIDE = {"own_settings": {h2.INITIAL_WINDOW_SIZE: 64 * MIB}, "window": 64 * MIB}


def test_what_the_last_word_leaves_out_no_server_sees():
    """It waits behind what the client does not read, and the client goes on asking meanwhile."""
    listener = {**H2C, "connection": {"age": "1s"}}
    with Origin(by_target(BIG)) as origin, proxy(origin, listener=listener) as weir:
        with H2Client(weir.address, **WIDE) as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.headers(1, get("/big"))
            time.sleep(3.5)  # the age, and the time for an answer to weir's PING
            client.headers(3, get("/late", method="POST"))
            assert client.end() == h2.NO_ERROR
        assert client.goaways == [(0x7fffffff, h2.NO_ERROR), (1, h2.NO_ERROR)]
        assert len(client.answers[1].body) == 16 * MIB and client.answers[1].ended
        assert 3 not in client.answers or client.answers[3].reset == h2.REFUSED_STREAM
        assert [request.target for request in origin.requests] == ["/big"]


def test_a_block_of_a_stream_that_was_reset_holds_up_nobody():
    """The answer comes, and with it the reset, while the trailers are on their way."""
    def serve(conn):
        if b"/slow" not in conn.read_head():
            conn.answer(b"at once")
            return
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
        for _ in range(30):
            time.sleep(0.1)
            conn.send("x")

    listener = {**H2C, "timeouts": {"header": "1s"}}
    with Origin(serve) as origin, proxy(origin, listener=listener) as weir:
        with H2Client(weir.address) as client:
            client.headers(1, get("/slow"))
            client.headers(3, get("/early", method="POST"), end=False)
            trailers = h2.literal([("x-sum", "1")])
            client.frame(h2.HEADERS, h2.END_STREAM, 3, trailers[:4])
            time.sleep(2)
            client.frame(h2.CONTINUATION, h2.END_HEADERS, 3, trailers[4:])
            assert client.answer(3).status == 200
            assert client.answer(1).body == b"x" * 30
            assert client.request(get("/late"), 5).status == 200
        assert weir.metric("weir_protocol_errors_total") == 0


def test_a_head_that_does_not_end_holds_up_no_drain():
    """Nobody answers weir's PING, and the head began before the time for that was over."""
    def serve(conn):
        conn.read_head()
        time.sleep(0.7)
        conn.answer(b"done")

    listener = {**H2C, "connection": {"requests": 1},
                "timeouts": {"header": "1s", "keepalive": "1s"}}
    with Origin(serve) as origin, proxy(origin, listener=listener) as weir:
        with H2Client(weir.address) as client:
            client.headers(1, get())
            client.frame(h2.HEADERS, h2.END_STREAM, 3, h2.literal(get())[:5])
            time.sleep(4)  # and reads, and so answers, nothing
            client.end()
        assert client.answers[1].body == b"done"
        assert weir.metric("weir_protocol_errors_total", reason="header_timeout") == 1


def test_a_connection_leaves_after_its_requests():
    with Origin() as origin, \
            proxy(origin, listener={**H2C, "connection": {"requests": 3}}) as weir, \
            H2Client(weir.address) as client:
        for stream in (1, 3, 5):
            ok(client.request(stream=stream))
        assert client.end() == h2.NO_ERROR
        assert client.goaways[-1][0] == 5


def test_a_connection_leaves_at_its_age():
    with Origin() as origin, \
            proxy(origin, listener={**H2C, "connection": {"age": "1s"}}) as weir, \
            H2Client(weir.address) as client:
        ok(client.request())
        assert client.end() == h2.NO_ERROR


def test_a_connection_leaves_before_its_ids_run_out(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        ok(client.request(stream=0x7fffff01))
        assert client.end() == h2.NO_ERROR
        assert client.goaways[-1][0] == 0x7fffff01


def test_an_idle_connection_is_told_and_closed():
    with Origin() as origin, \
            proxy(origin, listener={**H2C, "timeouts": {"keepalive": "1s"}}) as weir, \
            H2Client(weir.address) as client:
        ok(client.request())
        assert client.end() == h2.NO_ERROR


def test_a_reload_without_the_listener_drains_it():
    hold = threading.Event()

    def serve(conn):
        while conn.read_request() is not None:
            hold.wait(20)
            conn.answer(b"done")

    with Origin(serve) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        client.headers(1)
        client.sync()
        weir.config["listeners"] = {"other": {"address": "127.0.0.1:0"}}
        weir.write_config()
        weir.reload()
        client.until(lambda c: c.goaways)
        hold.set()
        assert client.answer(1).body == b"done"
        assert client.end() == h2.NO_ERROR


# ---- slow clients ----

def test_a_client_that_says_nothing_is_closed():
    with Origin() as origin, \
            proxy(origin, listener={**H2C, "timeouts": {"header": "1s"}}) as weir:
        with H2Client(weir.address, hello=False) as client:
            client.send(h2.PREFACE[:10])
            assert client.end() is None
        with H2Client(weir.address, acknowledge=False) as client:  # a head that does not end
            client.frame(h2.HEADERS, h2.END_STREAM, 1, h2.literal(get()[:2]))
            client.end()
        assert weir.metric("weir_protocol_errors_total", protocol="h2",
                           reason="header_timeout") == 1


def test_a_body_that_does_not_come_is_408_and_others_go_on():
    with Origin() as origin, \
            proxy(origin, listener={**H2C, "timeouts": {"body": "1s"}}) as weir, \
            H2Client(weir.address) as client:
        client.headers(1, get(method="POST"), end=False)
        ok(client.request(stream=3))
        answer = client.answer(1)
        assert answer.status == 408
        ok(client.request(stream=5))


def test_a_window_that_stays_shut_ends_the_stream_alone():
    with Origin(lambda conn: conn.read_request() and conn.answer(b"x" * 1000)) as origin, \
            proxy(origin, listener={**H2C, "timeouts": {"send": "1s"}}) as weir, \
            H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 10}) as client:
        client.give_windows = False
        answer = client.request()
        assert (len(answer.body), answer.reset) == (10, h2.CANCEL)
        assert client.request(get(), 3).status == 200
        assert client.goaways == []


def test_a_client_that_reads_nothing_is_cut():
    with Origin(flood) as origin, \
            proxy(origin, listener={**H2C, "timeouts": {"send": "1s"}}) as weir:
        origin.sent = 0
        with H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 0x7fffffff},
                      window=0x7fffffff) as client:
            client.headers(1)
            weir.wait_metric("active_connections", 0, seconds=20)
        assert os.path.exists(f"/proc/{weir.process.pid}")

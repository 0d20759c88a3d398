"""Answers that cannot be trusted: 502 before the head has left, after it a cut that nobody can take
for an end, and never a byte of one answer in another."""
import time

import pytest
from support.origin import Origin, by_target, then_close
from support.raw import Closed
from support.weir import proxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
H = b"HTTP/1.1 200 OK\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil"
BODY = b"\r\n0\r\n\r\n"  # as good as any where the head is broken

BAD_HEADS = {
    "words": b"garbage\r\n\r\n",
    "http/0.9": b"<html>hello</html>",
    "no status": b"HTTP/1.1\r\n\r\n",
    "blank before": b" HTTP/1.1 200 OK\r\n\r\n",
    "crlf before": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 99": b"HTTP/1.1 099 OK\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\n\r\n",
    "status sign": b"HTTP/1.1 +20 OK\r\n\r\n",
    "status word": b"HTTP/1.1 OK 200\r\n\r\n",
    "two blanks": b"HTTP/1.1  200 OK\r\n\r\n",
    "no blank": b"HTTP/1.1 200OK\r\n\r\n",
    "http/2.0": b"HTTP/2.0 200 OK\r\n\r\n",
    "http/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "lower case": b"http/1.1 200 OK\r\n\r\n",
    "icy": b"ICY 200 OK\r\n\r\n",
    "cl and te": H + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n" + BODY,
    "te and cl": H + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n" + BODY,
    "two cls": H + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "two equal cls": H + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "cl list": H + b"Content-Length: 2, 2\r\n\r\nok",
    "cl plus": H + b"Content-Length: +2\r\n\r\nok",
    "cl tab": H + b"Content-Length: 2\t\r\n\r\nok",
    "cl minus": H + b"Content-Length: -2\r\n\r\nok",
    "cl hex": H + b"Content-Length: 0x2\r\n\r\nok",
    "cl empty": H + b"Content-Length:\r\n\r\nok",
    "cl overflow": H + b"Content-Length: 99999999999999999999\r\n\r\nok",
    "te unknown": H + b"Transfer-Encoding: x\r\n" + BODY,
    "te xchunked": H + b"Transfer-Encoding: xchunked\r\n" + BODY,
    "te identity": H + b"Transfer-Encoding: identity\r\n" + BODY,
    "te gzip": H + b"Transfer-Encoding: gzip\r\n" + BODY,
    "te gzip, chunked": H + b"Transfer-Encoding: gzip, chunked\r\n" + BODY,
    "te chunked twice": H + b"Transfer-Encoding: chunked, chunked\r\n" + BODY,
    "two te lines": H + b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n" + BODY,
    "te in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" + BODY,
    "lf only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "lf ends the head": H + b"Content-Length: 2\r\n\nok",
    "bare lf in value": H + b"X: a\nContent-Length: 2\r\n\r\nok",
    "bare cr in value": H + b"X: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "nul in value": H + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "nul in reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok",
    "escape in value": H + b"X: \x1b[2J\r\nContent-Length: 2\r\n\r\nok",
    "obs-fold": H + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "space before colon": H + b"Content-Length : 2\r\n\r\nok",
    "empty name": H + b": a\r\nContent-Length: 2\r\n\r\nok",
    "no colon": H + b"garbage\r\nContent-Length: 2\r\n\r\nok",
    "space in name": H + b"X Y: a\r\nContent-Length: 2\r\n\r\nok",
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                   b"Upgrade: websocket\r\n\r\nhello",
    "bare 101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
    "large head": H + b"X: " + b"a" * 70000 + b"\r\n\r\n",
    "large head, no end": H + b"X: " + b"a" * 70000,
    "many fields": H + b"X: a\r\n" * 300 + b"\r\n",
    "bad head behind 103": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 20 OK\r\n\r\n",
    "bad 103": b"HTTP/1.1 103 Early Hints\r\nX : a\r\n\r\n" + OK,
    "ends in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing but 103": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


def send_slowly_and_close(data):
    def answer(conn, _):
        for i in range(len(data)):
            conn.send(data[i:i + 1])
            if i % 8 == 0:
                time.sleep(0.001)
        return False

    return answer


# Broken after the head: what comes at once, and what comes later and breaks it.
CHUNKED = H + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN_BODIES = {
    "short": (H + b"Content-Length: 10\r\n\r\n", b"hello"),
    "nothing": (H + b"Content-Length: 10\r\n\r\n", b""),
    "chunked, nothing": (CHUNKED, b""),
    "chunked, in size": (CHUNKED + b"2\r\nok\r\n", b"5"),
    "chunked, after size": (CHUNKED + b"2\r\nok\r\n", b"5\r\n"),
    "chunked, in data": (CHUNKED + b"2\r\nok\r\n", b"5\r\nhe"),
    "chunked, after data": (CHUNKED + b"2\r\nok\r\n", b"5\r\nhello"),
    "chunked, between": (CHUNKED + b"2\r\nok\r\n", b"5\r\nhello\r\n"),
    "chunked, in the end": (CHUNKED + b"2\r\nok\r\n", b"0\r\n"),
    "chunked, in a trailer": (CHUNKED + b"2\r\nok\r\n", b"0\r\nX: a\r\n"),
    "bad size": (CHUNKED + b"2\r\nok\r\n", b"zz\r\nab\r\n0\r\n\r\n"),
    "size overflow": (CHUNKED + b"2\r\nok\r\n", b"fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
    "size minus": (CHUNKED + b"2\r\nok\r\n", b"-1\r\nab\r\n0\r\n\r\n"),
    "chunk too long": (CHUNKED + b"2\r\nok\r\n", b"1\r\nab\r\n0\r\n\r\n"),
    "lf after size": (CHUNKED + b"2\r\nok\r\n", b"2\nab\r\n0\r\n\r\n"),
    "lf after data": (CHUNKED + b"2\r\nok\r\n", b"2\r\nab\n0\r\n\r\n"),
    "lf ends it": (CHUNKED + b"2\r\nok\r\n", b"0\n\n"),
    "endless extension": (CHUNKED + b"2\r\nok\r\n", b"2;" + b"x" * 10000 + b"\r\nab\r\n0\r\n\r\n"),
    "bad trailer": (CHUNKED + b"2\r\nok\r\n", b"0\r\nX : a\r\n\r\n"),
    "nul in trailer": (CHUNKED + b"2\r\nok\r\n", b"0\r\nX: a\0b\r\n\r\n"),
    "large trailer": (CHUNKED + b"2\r\nok\r\n", b"0\r\nX: " + b"a" * 70000 + b"\r\n\r\n"),
}


def broken_body(name, pause_s):
    def answer(conn, _):
        first, rest = BROKEN_BODIES[name]
        conn.send(first)
        time.sleep(pause_s)
        conn.send(rest)
        return False

    return answer


def reset_after(data):
    def answer(conn, _):
        conn.send(data)
        time.sleep(0.05)
        conn.reset()
        return False

    return answer


# More than one answer on a connection. The later parts come when the first has been read.
MORE = {
    "same write": [OK + EVIL],
    "bytes": [OK + b"xx"],
    "crlf": [OK + b"\r\n"],
    "later": [OK, EVIL],
    "later bytes": [OK, b"x"],
    "empty": [H + b"Content-Length: 0\r\n\r\n" + EVIL],
    "chunked": [CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + EVIL],
    "204": [b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL],
    "204 with length": [b"HTTP/1.1 204 No Content\r\nContent-Length: 70\r\n\r\n" + EVIL],
    "304": [b"HTTP/1.1 304 Not Modified\r\n\r\n" + EVIL],
    "103 behind": [OK + b"HTTP/1.1 103 Early Hints\r\nX-Evil: 1\r\n\r\n"],
}


def in_parts(parts):
    def answer(conn, _):
        for part in parts:
            conn.send(part)
            time.sleep(0.05 if len(parts) > 1 else 0)

    return answer


FINE = {
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200),
    "empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200),
    "latin-1": (b"HTTP/1.1 200 Tr\xe8s bien\r\nX: \xe9\r\nContent-Length: 2\r\n\r\nok", 200),
    "unknown status": (b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok", 299),
    "last status": (b"HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nok", 599),
    "blanks": (H + b"Content-Length:\t 2 \r\n\r\nok", 200),
    "upper case": (H + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
    "250 fields": (H + b"X: a\r\n" * 250 + b"Content-Length: 2\r\n\r\nok", 200),
}

TABLE = {
    "ok": OK,
    **{f"bad/{i}": then_close(data) for i, data in enumerate(BAD_HEADS.values())},
    **{f"slow/{i}": send_slowly_and_close(data) for i, data in enumerate(BAD_HEADS.values())},
    **{f"broken/{i}": broken_body(name, 0.03) for i, name in enumerate(BROKEN_BODIES)},
    **{f"at-once/{i}": broken_body(name, 0) for i, name in enumerate(BROKEN_BODIES)},
    **{f"more/{i}": in_parts(parts) for i, parts in enumerate(MORE.values())},
    **{f"fine/{i}": data for i, (data, _) in enumerate(FINE.values())},
    "until-close-reset": reset_after(H + b"\r\nhello"),
    "head-5000": H + b"X: " + b"a" * 5000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "head-40960": H + b"X: " + b"a" * 40960 + b"\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.fixture(scope="module", name="pair")
def start_pair():
    # max_fails 0: each of these failures would take the only server out.
    with Origin(by_target(TABLE)) as origin:
        with proxy(origin, {"servers": [{"address": origin.address, "max_fails": 0}]}) as weir:
            yield weir, origin


def path_of(kind, table, name):
    return f"/{kind}/{list(table).index(name)}"


def get(client, target, version="1.1"):
    return client.send(f"GET {target} HTTP/{version}\r\nHost: a\r\n\r\n")


def check_bad_head(pair, target):
    weir, origin = pair
    before = len(origin.requests)
    failures = weir.metric("weir_upstream_failures_total")
    lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
    with weir.client() as client:
        answer = get(client, target).response()
        assert answer.status == 502 and answer.complete, answer
        assert "error=" in answer.get("proxy-status") and "evil" not in str(answer)
        # The client has done nothing wrong: its connection lives on.
        assert answer.get("connection") is None
        assert get(client, "/ok").response().body == b"ok"
    assert [r.target for r in origin.requests[before:]] == [target, "/ok"], "asked more than once"
    assert weir.metric("weir_upstream_failures_total") == failures + 1
    line, good = weir.access_log(lines + 2)[lines:]
    assert line["status"] == 502 and line["error"].startswith("upstream: ")
    assert good["status"] == 200 and good["error"] == ""


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_head_is_502(pair, name):
    check_bad_head(pair, path_of("bad", BAD_HEADS, name))


@pytest.mark.parametrize("name", ["cl and te", "obs-fold", "lf only", "space before colon",
                                  "unasked 101", "bare cr in value", "bad head behind 103"])
def test_bad_head_byte_by_byte(pair, name):
    check_bad_head(pair, path_of("slow", BAD_HEADS, name))


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_broken_body_is_a_visible_cut(pair, name):
    weir, origin = pair
    target = path_of("broken", BROKEN_BODIES, name)
    failures = weir.metric("weir_upstream_failures_total")
    lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
    with weir.client() as client:
        # A second request is there already: a cut answer must be the last on its connection.
        get(get(client, target), "/ok")
        answer = client.response()
        assert answer.status == 200 and not answer.complete, answer
        client.assert_closed()
    assert weir.metric("weir_upstream_failures_total") == failures + 1
    line = weir.access_log(lines + 1)[lines]
    assert line["status"] == 200 and line["error"].startswith("upstream: ")
    with weir.client() as client:
        assert get(client, "/ok").response().body == b"ok"


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_broken_body_in_one_write(pair, name):
    weir, _ = pair
    with weir.client() as client:
        answer = get(client, path_of("at-once", BROKEN_BODIES, name)).response()
        assert answer.status == 502 or not answer.complete, answer
        client.assert_closed()


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_broken_body_for_http10(pair, name):
    """Without chunks only a reset tells a cut from an end."""
    weir, _ = pair
    with weir.client() as client:
        get(client, path_of("broken", BROKEN_BODIES, name), "1.0")
        try:
            answer = client.response()
            assert answer.status == 200 and not answer.complete, answer
        except Closed:
            pass  # a reset may overtake what was sent before it
        if not name.startswith(("short", "nothing")):
            assert client.was_reset


def test_reset_of_a_body_that_ends_with_the_connection(pair):
    weir, _ = pair
    with weir.client() as client:
        answer = get(client, "/until-close-reset").response()
        assert answer.body == b"hello" and not answer.complete
        client.assert_closed()
    with weir.client() as client:
        get(client, "/until-close-reset", "1.0")
        try:
            assert not client.response().complete
        except Closed:
            pass
        assert client.was_reset


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_bytes_behind_an_answer_reach_nobody(pair, name, method):
    weir, _ = pair
    target = path_of("more", MORE, name)
    with weir.client() as client, weir.client() as other:
        for _ in range(3):
            client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = client.response(method)
            assert answer.status < 400 and answer.get("x-evil") is None
            assert answer.body in (b"", b"ok")
            time.sleep(0.08 if name.startswith("later") else 0)
            for asker in (client, other, client):
                answer = get(asker, "/ok").response(skip_1xx=False)
                assert answer.status == 200 and answer.body == b"ok"
                assert answer.get("x-evil") is None


def test_bytes_behind_an_answer_end_the_connection(pair):
    weir, origin = pair
    for name in ("same write", "later bytes"):
        with weir.client() as client:
            assert get(client, "/ok").response().status == 200
            before = origin.accepted
            assert get(client, path_of("more", MORE, name)).response().body == b"ok"
            time.sleep(0.1)
            assert get(client, "/ok").response().body == b"ok"
            assert origin.accepted == before + 1, name


@pytest.mark.parametrize("name", FINE)
def test_what_is_odd_but_clear_passes(pair, name):
    weir, _ = pair
    with weir.client() as client:
        for _ in range(2):
            answer = get(client, path_of("fine", FINE, name)).response()
            assert answer.status == FINE[name][1] and answer.body == b"ok" and answer.complete
        if name == "latin-1":
            assert answer.get("x") == "\xe9"


@pytest.mark.parametrize("size", [5000, 40960])
def test_large_heads_pass(pair, size):
    weir, _ = pair
    with weir.client() as client:
        for _ in range(2):
            answer = get(client, f"/head-{size}").response()
            assert answer.status == 200 and answer.body == b"ok" and answer.get("x") == "a" * size

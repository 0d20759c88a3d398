"""Interim answers, answers before the body is whole, half-closed clients."""
import socket
import threading
import time

import pytest
from support.origin import Origin, by_target, then_later
from support.weir import proxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "ok": OK,
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK,
    "hints-later": then_later(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", OK),
    "hints-16": b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 16 + OK,
    "hints-17": b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 17 + OK,
    "unasked-100": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "102-and-hop": b"HTTP/1.1 102 Processing\r\nConnection: X-Secret\r\nX-Secret: 1\r\n\r\n" + OK,
}


@pytest.fixture(scope="module")
def pair():
    with Origin(by_target(ANSWERS)) as origin, proxy(origin) as weir:
        yield weir, origin


def get(client, name):
    return client.send(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n")


# ---- interim answers ---------------------------------------------------------------------------


def test_early_hints_are_passed_on(pair):
    weir, _ = pair
    with weir.client() as client:
        for name in ("hints", "hints-later"):
            get(client, name)
            status, version, headers = client.head()
            assert (status, version) == (103, "HTTP/1.1") and ("Link", "</a.css>") in headers
            assert not {n.lower() for n, _ in headers} & {"content-length", "transfer-encoding"}
            assert client.response().body == b"ok"
        get(client, "102-and-hop")
        status, _, headers = client.head()
        assert status == 102 and not {n.lower() for n, _ in headers} & {"x-secret", "connection"}
        assert client.response().body == b"ok"


def test_early_hints_do_not_wait():
    seen = threading.Event()

    def hints(conn, _):
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        conn.answer("ok" if seen.wait(10) else "late")

    with Origin(by_target({"": hints})) as origin, proxy(origin) as weir, weir.client() as client:
        get(client, "")
        assert client.head()[0] == 103
        seen.set()
        assert client.response().body == b"ok"


def test_interim_answers_are_capped(pair):
    weir, _ = pair
    with weir.client() as client:
        for name, final in (("hints-16", 200), ("hints-17", 502)):
            get(client, name)
            for _ in range(16):
                assert client.head()[0] == 103
            assert client.response(skip_1xx=False).status == final
        assert get(client, "ok").response().body == b"ok"


def test_http10_clients_get_no_interim_answers(pair):
    weir, _ = pair
    for name in ("hints", "hints-16", "unasked-100"):
        with weir.client() as client:
            client.send(f"GET /{name} HTTP/1.0\r\nHost: a\r\n\r\n")
            assert client.response(skip_1xx=False).body == b"ok"
            client.assert_closed()


def test_unasked_100_is_not_passed_on(pair):
    weir, _ = pair
    with weir.client() as client:
        assert get(client, "unasked-100").response(skip_1xx=False).body == b"ok"


EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"


def test_continue_is_answered_by_weir(echo_pair):
    weir, origin = echo_pair
    with weir.client() as client:
        for framing, body in ((b"Content-Length: 5\r\n\r\n", b"hello"),
                              (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n")):
            client.send(EXPECT + framing)
            assert client.head()[0] == 100
            client.send(body)
            answer = client.response(skip_1xx=False)
            assert answer.status == 200 and answer.json()["body"] == "hello"
            assert origin.requests[-1].get("expect") is None
        # A body that is already there needs no leave, nor does one of no bytes or of HTTP/1.0.
        client.send(EXPECT + b"Content-Length: 0\r\n\r\n")
        assert client.response(skip_1xx=False).status == 200
    with weir.client() as client:
        client.send(EXPECT.replace(b"1.1", b"1.0") + b"Content-Length: 5\r\n\r\nhello")
        assert client.response(skip_1xx=False).json()["body"] == "hello"


def test_no_continue_for_a_body_that_is_refused():
    routes = [{"path": "/dead", "upstream": "dead"}, {"path": "/app", "upstream": "app"},
              {"path": "/own", "respond": {"status": 403, "body": "no\n"}}]
    with socket.socket() as unused, Origin() as origin:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        dead = {"servers": [{"address": f"127.0.0.1:{unused.getsockname()[1]}"}]}
        app = {"servers": [{"address": origin.address}]}
        weir = proxy(origin, site={"routes": routes},
                     listener={"limits": {"body": "1KiB"}})
        weir.config["upstreams"] = {"app": app, "dead": dead}
        weir.write_config()
        with weir:
            for target, length, status in (("/none", 5, 404), ("/dead", 5, 502), ("/own", 5, 403),
                                           ("/app", 2000, 413)):
                with weir.client() as client:
                    client.send(f"POST {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                                f"Content-Length: {length}\r\n\r\n")
                    answer = client.response(skip_1xx=False)
                    assert answer.status == status, target
                    # The body may come or not: the connection cannot be used again.
                    assert answer.get("connection") == "close"
                    client.half_close()
                    client.assert_closed()
            assert origin.requests == []


# ---- bodies over the limit, early answers, half-closed clients ---------------------------------


def test_body_limit_holds_for_chunked_too(echo_pair):
    _, origin = echo_pair
    with proxy(origin, listener={"limits": {"body": "10KiB"}}) as weir:
        for size, status in ((10240, 200), (10241, 413)):
            with weir.client() as client:
                assert client.request("POST", body=b"x" * size).status == status
            with weir.client() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + f"{size:x}\r\n".encode() + b"x" * size + b"\r\n0\r\n\r\n")
                answer = client.response()
                assert answer.status == status, (size, answer)
                assert answer.get("connection") == (None if status == 200 else "close")


def answer_at_once(conn):
    """Answers when it has seen the head, and throws away what follows until weir closes."""
    if conn.read_head() is None:
        return
    conn.answer("early", headers=[("Connection", "close")])
    while conn.recv():
        conn.buffer = b""


@pytest.fixture(scope="module")
def early_pair():
    with Origin(answer_at_once) as origin, proxy(origin) as weir:
        yield weir, origin


def test_early_answer_with_a_small_debt_keeps_the_connection(early_pair):
    weir, _ = early_pair
    with weir.client() as client:
        for _ in range(3):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)
            answer = client.response()
            assert answer.body == b"early" and answer.get("connection") is None
            client.send(b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n".ljust(900, b"x"))  # still the body
        assert client.buffer == b""
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.response().body == b"early"
        client.assert_closed()


@pytest.mark.parametrize("framing", [b"Content-Length: 10000000", b"Transfer-Encoding: chunked"])
def test_early_answer_with_a_large_debt_closes_and_is_readable(early_pair, framing):
    weir, _ = early_pair
    for _ in range(5):
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
            piece = b"x" * 4096
            if framing.startswith(b"T"):
                piece = b"1000\r\n" + piece + b"\r\n"

            def upload():
                try:
                    for _ in range(200):
                        client.send(piece)
                        time.sleep(0.001)
                except OSError:
                    pass  # what a server does that has said all it has to say

            sender = threading.Thread(target=upload)
            sender.start()
            answer = client.response()
            assert answer.body == b"early" and answer.complete
            assert answer.get("connection") == "close"
            sender.join()


def test_half_closed_clients_get_their_answers():
    def slow(conn, _):
        time.sleep(0.1)
        conn.answer("late")

    with Origin(by_target({"": slow})) as origin, proxy(origin) as weir:
        for requests in (1, 3):
            with weir.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * requests)
                client.half_close()
                for left in range(requests, 0, -1):
                    answer = client.response()
                    assert answer.body == b"late"
                    assert answer.get("connection") == ("close" if left == 1 else None)
                client.assert_closed()
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            client.half_close()
            assert client.response().body == b"late"
            client.assert_closed()
        assert origin.requests[-1].body == b"hello"


def test_half_closed_inside_a_body_is_no_request(echo_pair):
    weir, _ = echo_pair
    for framing in (b"Content-Length: 10\r\n\r\nhello",
                    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"):
        with weir.client() as client:
            client.send(b"POST /cut HTTP/1.1\r\nHost: a\r\n" + framing)
            client.half_close()
            client.assert_closed()
    lines = weir.log_of("/cut", 2)
    assert [line["status"] for line in lines] == [499, 499]
    assert all(line["error"].startswith("client: ") for line in lines)

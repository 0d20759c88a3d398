"""Second tries: what is tried again, where, how often, and what the client gets when all is in
vain."""
import socket
import subprocess
import sys
import threading
import time

import pytest
from support import h2_origin
from support.origin import Origin, by_request
from support.raw import RawClient
from support.waiting import pause, wait_for
from support.weir import Weir

DOWN = "503 Service Unavailable"


class Backend(Origin):
    """Answers its name with `status`; or what a test makes of `answer(conn, request)`."""

    def __init__(self, name, status="200 OK", answer=None):
        self.name = name
        self.status = status
        self.alter = answer
        super().__init__(by_request(self._answer))

    def _answer(self, conn, request):
        if self.alter is not None:
            return self.alter(conn, request)
        return conn.answer(self.name, status=self.status, headers=[("X-Server", self.name)])


def reset(conn, _):
    conn.reset()
    return False


def edge(origins, retry=None, workers=1, route=None, options=None, **upstream):
    """The servers take turns: the first request goes to the first one."""
    servers = [{"address": o if isinstance(o, str) else o.address, "max_fails": 0}
               for o in origins]
    settings = {"servers": servers, "balance": "round_robin", **upstream}
    if retry is not None:
        settings["retry"] = retry
    return Weir({"app": settings},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app", **(route or {})}]}],
                workers=workers, **(options or {}))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def dead_address():
    return f"127.0.0.1:{free_port()}"


def retries(weir, reason):
    return weir.metric("weir_upstream_retries_total", upstream="app", reason=reason)


def test_every_server_is_tried_once_before_one_is_tried_twice():
    with Backend("a", answer=reset) as a, Backend("b", answer=reset) as b, Backend("c") as c:
        with edge([a, dead_address(), b, c], {"attempts": 4}) as weir:
            for _ in range(4):
                assert weir.get().body == b"c"
            assert len(c.requests) == 4
            assert retries(weir, "connect") > 0 and retries(weir, "reset") > 0
            # The log tells each try with its reason, and how long it took.
            lines = [line for line in weir.access_log(4) if line["attempts"] == 4]
            assert lines
            for line in lines:
                tries = line["tries"].split(", ")
                assert len({text.split()[0] for text in tries}) == 4
                assert sorted(text.split()[1] for text in tries) == [
                    "200", "connect", "reset", "reset"], line
                assert all(text.endswith("ms") for text in tries)
            assert all("tries" not in line for line in weir.access_log(4)
                       if line["attempts"] == 1)


def stale(conn, _):
    """Closes a kept connection just when its second request comes."""
    if getattr(conn, "served", False):
        return reset(conn, _)
    conn.served = True
    return conn.answer(conn.origin.name)


def test_a_kept_connection_that_was_closed_is_none_of_the_attempts():
    with Backend("a", answer=stale) as a:
        for upstream in ({"retry": {"attempts": 2}}, {}):
            with edge([dead_address(), a], **upstream) as weir, weir.client() as client:
                assert [client.request().body for _ in range(8)] == [b"a"] * 8
                tries = [line["tries"].split()[1::3] for line in weir.access_log(8)
                         if line["attempts"] == 3]
                assert ["connect", "reset", "200"] in tries, tries


def test_after_a_connection_that_was_closed_another_server_is_asked():
    with Backend("a", answer=stale) as a, Backend("b") as b, edge([a, b]) as weir:
        with weir.client() as client:
            assert [client.request().body for _ in range(3)] == [b"a", b"b", b"b"]
        assert weir.access_log(3)[2]["tries"].startswith(f"{a.address} reset ")


def test_without_a_section_it_is_one_retry_and_no_status():
    with Backend("a", answer=reset) as a, Backend("b", answer=reset) as b:
        with Backend("c", DOWN) as c, edge([a, b, c]) as weir:
            statuses = [weir.get().status for _ in range(6)]
            assert set(statuses) <= {502, 503} and 502 in statuses, statuses
            assert max(line["attempts"] for line in weir.access_log(6)) == 2


def test_a_listed_status_is_tried_elsewhere_and_its_connection_is_kept():
    with Backend("a", DOWN) as a, Backend("b") as b:
        with edge([a, b], {"on": [503], "budget": "100%"}) as weir:
            with weir.client() as client:
                for _ in range(20):
                    answer = client.request()
                    assert answer.status == 200 and answer.body == b"b", answer
            assert len(b.requests) == 20
            assert retries(weir, "503") == len(a.requests) >= 5
            assert a.accepted == 1
            assert weir.metric("weir_upstream_requests_total", server=a.address,
                               status="503") == len(a.requests)


def test_what_is_not_listed_is_handed_on():
    with Backend("a", "500 Broken") as a, Backend("b", "500 Broken") as b:
        with edge([a, b], {"on": [503, "connect"]}) as weir:
            assert weir.get().status == 500
            a.alter = b.alter = reset
            assert weir.get().status == 502
            assert len(a.requests) + len(b.requests) == 2


def test_the_last_answer_is_handed_on_as_it_came():
    with Backend("a", DOWN) as a, Backend("b", DOWN) as b:
        with edge([a, b], {"on": [503], "attempts": 3, "backoff": "1ms"}) as weir:
            answer = weir.get()
            assert answer.status == 503 and answer.get("X-Server") == answer.body.decode()
            assert answer.get("Proxy-Status") is None
            assert len(a.requests) + len(b.requests) == 3


@pytest.mark.parametrize("chunked", [False, True])
def test_a_bad_answer_is_kept_for_the_case_that_the_next_try_brings_none(chunked):
    def sorry(conn, _):
        if chunked:
            conn.send("HTTP/1.1 503 Sorry\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                      "5\r\nsorry\r\n0\r\nX-T: yes\r\n\r\n")
        else:
            conn.answer("sorry", status="503 Sorry")

    with Backend("a", answer=sorry) as a:
        with edge([a, dead_address()], {"on": [503, "connect"]}) as weir:
            for _ in range(4):
                answer = weir.get()
                assert answer.status == 503 and answer.body == b"sorry", answer
            tries = [line["tries"].split()[1::3] for line in weir.access_log(4)]
            assert ["503", "connect"] in tries, tries


def test_a_large_answer_is_not_thrown_away():
    body = b"x" * 100_000

    def large(conn, request):
        if request.target == "/length":
            conn.answer(body, status=DOWN)
        else:
            conn.send(f"HTTP/1.1 {DOWN}\r\nConnection: close\r\n\r\n".encode() + body)
            return False

    with Backend("a", answer=large) as a, Backend("b", answer=large) as b:
        with edge([a, b], {"on": [503]}) as weir:
            for target in ("/length", "/close"):
                answer = weir.get(target)
                assert answer.status == 503 and answer.body == body
            assert len(a.requests) + len(b.requests) == 2


def test_an_answer_that_does_not_end_is_not_waited_for():
    released = threading.Event()

    def slow(conn, _):
        conn.send(f"HTTP/1.1 {DOWN}\r\nContent-Length: 5\r\n\r\nso".encode())
        released.wait(20)
        return False

    def cut(conn, _):
        conn.send(f"HTTP/1.1 {DOWN}\r\nContent-Length: 5\r\n\r\nso".encode())
        return False

    with Backend("a", answer=slow) as a, Backend("b") as b:
        with edge([a, b], {"on": [503]}) as weir:
            assert [weir.get().body for _ in range(4)] == [b"b"] * 4
            a.alter = cut
            assert [weir.get().body for _ in range(4)] == [b"b"] * 4
            assert len(a.requests) >= 2
        released.set()


def test_a_server_that_stands_still_is_left_after_its_read_timeout():
    released = threading.Event()

    def hang(conn, _):
        released.wait(20)
        return False

    with Backend("a", answer=hang) as a, Backend("b") as b:
        with edge([a, b], {"on": ["timeout"]}, timeouts={"read": "200ms"}) as weir:
            assert [weir.get().body for _ in range(4)] == [b"b"] * 4
            assert retries(weir, "timeout") == len(a.requests) >= 2
            with weir.client() as client:
                statuses = [client.request("POST", "/", body=b"x").status for _ in range(2)]
            assert sorted(statuses) == [200, 504]
        released.set()


def test_a_server_that_drips_its_head_is_left_after_the_read_timeout():
    released = threading.Event()

    def drip(conn, _):
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 400:
            if released.wait(0.05):
                break
            try:
                conn.sock.sendall(bytes([byte]))
            except OSError:  # weir has left
                break
        return False

    with Backend("a", answer=drip) as a, Backend("b") as b:
        with edge([a, b], {"on": ["timeout"]}, timeouts={"read": "300ms"}) as weir:
            assert [weir.get().body for _ in range(4)] == [b"b"] * 4
            assert retries(weir, "timeout") == len(a.requests) >= 2
        with edge([a], {"on": ["timeout"]}, timeouts={"read": "300ms"}) as weir:
            assert weir.get().status == 504
        released.set()


def test_what_is_no_http_is_as_bad_as_a_502():
    def garbage(conn, _):
        conn.sock.sendall(b"\x16\x03\x01 is no answer\r\n\r\n")
        return False

    with Backend("a", answer=garbage) as a, Backend("b") as b:
        with edge([a, b], {"on": ["502"]}) as weir:
            assert [weir.get().body for _ in range(4)] == [b"b"] * 4
            assert retries(weir, "malformed") == len(a.requests) >= 2
            with weir.client() as client:
                statuses = [client.request("POST", "/", body=b"x").status for _ in range(2)]
            assert sorted(statuses) == [200, 502]
        with edge([a, b], {"on": ["503"]}) as weir:
            assert sorted(weir.get().status for _ in range(2)) == [200, 502]


def test_a_stopped_process_is_left_after_its_read_timeout():
    program = ("import http.server, sys\n"
               "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])),"
               " http.server.SimpleHTTPRequestHandler).serve_forever()")
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", program, str(port)],
                               stderr=subprocess.DEVNULL)
    try:
        def listens():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", port)) == 0
        wait_for(listens)
        pause(process)  # the kernel still takes connections for it
        with Backend("b") as b, edge([f"127.0.0.1:{port}", b], {"on": ["timeout"]},
                                     timeouts={"read": "200ms"}) as weir:
            assert [weir.get().body for _ in range(4)] == [b"b"] * 4
            assert retries(weir, "timeout") >= 2
    finally:
        process.kill()
        process.wait()


def test_post_is_repeated_only_where_the_configuration_says_so():
    with Backend("a", answer=reset) as a, Backend("b", answer=reset) as b, Backend("c", DOWN) as c:
        with edge([a, b, c], {"attempts": 3, "on": ["reset", 503]}) as weir:
            with weir.client() as client:
                statuses = [client.request("POST", "/", body=b"x").status for _ in range(3)]
            assert sorted(statuses) == [502, 502, 503]
            assert len(a.requests) + len(b.requests) + len(c.requests) == 3
        c.status = "200 OK"
        with edge([a, b, c], {"attempts": 3, "methods": ["GET", "POST"]}) as weir:
            with weir.client() as client:
                for _ in range(3):
                    assert client.request("POST", "/", body=b"x").body == b"c"
    assert [r.body for r in c.requests] == [b"x"] * 4


def test_a_post_that_was_not_sent_is_tried_again_whatever_the_methods():
    with Backend("a") as a:
        with edge([dead_address(), a], {"methods": ["GET"]}) as weir, weir.client() as client:
            for _ in range(4):
                assert client.request("POST", "/", body=b"x").body == b"a"


def test_bodies_up_to_retry_body_are_replayed_whole():
    small, large = b"s" * 100_000, b"l" * 100_001
    with Backend("a", DOWN) as a, Backend("b") as b:
        with edge([a, b], {"on": [503], "body": "100000B"}) as weir:
            with weir.client() as client:
                for _ in range(4):
                    assert client.request("PUT", "/", body=small).body == b"b"
                statuses = [client.request("PUT", "/", body=large).status for _ in range(4)]
            assert sorted(statuses) == [200, 200, 503, 503]
    assert [r.body for r in b.requests] == [small] * 4 + [large] * 2
    assert len(a.requests) == 4


def test_an_outage_is_multiplied_by_the_budget_and_no_more():
    free, count = 10, 200
    with Backend("a", DOWN) as a, Backend("b", DOWN) as b:
        retry = {"on": [503], "attempts": 5, "backoff": "0ms", "budget": "20%"}
        with edge([a, b], retry, workers=2) as weir:
            def ask():
                with weir.client() as client:
                    for _ in range(count // 4):
                        assert client.request().status == 503

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            tries = len(a.requests) + len(b.requests)
            assert count < tries
            # More than one window may have passed on a slow machine.
            assert tries <= count * 1.2 + free * 3, tries
            assert retries(weir, "503") == tries - count
            assert weir.metric("weir_upstream_retries_denied_total", upstream="app") >= 1


def test_what_was_not_sent_costs_nothing_of_the_budget():
    with Backend("a") as a:
        with edge([dead_address(), a], {"budget": "0%"}) as weir:
            assert {weir.get().body for _ in range(60)} == {b"a"}
            assert retries(weir, "connect") >= 25


def test_no_retry_begins_when_the_time_is_over():
    with Backend("a", DOWN) as a:
        retry = {"on": [503], "attempts": 10, "backoff": "10s", "budget": "100%"}
        with edge([a], retry, route={"timeout": "2s"}) as weir:
            started = time.monotonic()
            # The first retry at once; the second would come after the end.
            assert weir.get().status == 503
            assert time.monotonic() - started < 1.5
            assert len(a.requests) == 2


def test_the_total_time_is_over_all_tries():
    released = threading.Event()

    def hang(conn, _):
        released.wait(20)
        return False

    with Backend("a", answer=hang) as a:
        retry = {"on": ["timeout"], "attempts": 10, "backoff": "0ms"}
        with edge([a], retry, route={"timeout": "1s"}, timeouts={"read": "300ms"}) as weir:
            started = time.monotonic()
            assert weir.get().status == 504
            assert 0.9 < time.monotonic() - started < 5
            assert 2 <= len(a.requests) <= 4
        released.set()


@pytest.mark.parametrize("leave", [RawClient.reset, RawClient.half_close])
def test_a_client_that_leaves_while_its_retry_waits(leave):
    with Backend("a", DOWN) as a:
        retry = {"on": [503], "attempts": 3, "backoff": "10s", "budget": "100%"}
        with edge([a], retry) as weir:
            client = weir.client()
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: len(a.requests) == 2)
            wait_for(lambda: weir.metric("weir_upstream_retries_total") == 2)
            leave(client)
            wait_for(lambda: weir.metric("requests_in_flight") == 0)
            line = weir.access_log(1)[0]
            assert line["status"] == 499 and line["attempts"] == 2
            assert line["tries"].split()[1::3] == ["503", "503"]
            assert len(a.requests) == 2


def test_a_stop_cuts_a_retry():
    released = threading.Event()

    def hang(conn, _):
        released.wait(20)
        return False

    with Backend("a", answer=reset) as a, Backend("b", answer=hang) as b:
        options = {"shutdown": {"grace": "200ms"}, "expect_exit": 1}
        with edge([a, b], options=options) as weir:
            with weir.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                wait_for(lambda: len(a.requests) == len(b.requests) == 1)
                weir.stop()
                assert weir.access_log(1)[0]["tries"].split()[1::3] == ["reset", "shutdown"]
        released.set()


def test_backoff_lies_between_half_of_it_and_the_whole():
    with Backend("a", DOWN) as a:
        retry = {"on": [503], "attempts": 3, "backoff": "400ms", "budget": "100%"}
        with edge([a], retry) as weir:
            started = time.monotonic()
            assert weir.get().status == 503
            assert 0.2 <= time.monotonic() - started
            assert len(a.requests) == 3


def test_retries_wait_for_a_place_before_those_that_had_none():
    with Backend("a", DOWN) as a, Backend("b") as b:
        with edge([a, b], {"on": [503], "budget": "100%"},
                  circuit_breaker={"max_connections": 1, "max_pending": 50,
                                   "pending_timeout": "20s"}) as weir:
            answers = []

            def ask():
                with weir.client() as client:
                    answers.extend(client.request().body for _ in range(5))

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == [b"b"] * 20
            assert weir.metric("requests_in_flight") == 0


def test_a_server_over_http2():
    def sorry(peer, request):
        peer.answer(request, b"sorry", [(":status", "503")])

    def well(peer, request):
        peer.answer(request, request.body)

    with Origin(h2_origin.h2(sorry)) as a, Origin(h2_origin.h2(well)) as b:
        with edge([a, b], {"on": [503], "budget": "100%"}, protocol="h2c") as weir:
            with weir.client() as client:
                for _ in range(6):
                    answer = client.request("PUT", "/", body=b"body")
                    assert answer.status == 200 and answer.body == b"body", answer
            assert a.accepted == 1
            assert retries(weir, "503") >= 3

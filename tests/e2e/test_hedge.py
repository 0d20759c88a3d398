"""Hedging: where an answer is slow in coming a second server is asked for it, too."""
import signal
import threading
import time

from support import h2_origin
from support.origin import Origin, by_request, echo
from support.waiting import wait_for
from support.weir import Weir

LONG_S = 3  # what nobody waits for


class Backend(Origin):
    """Answers its name, after what `table` says of the target: seconds, or a call."""

    def __init__(self, name, table=None):
        self.name = name
        self.table = table or {}
        self.over = threading.Event()
        super().__init__(by_request(self._answer))

    def _answer(self, conn, request):
        what = self.table.get(request.target, 0)
        if callable(what):
            return what(conn, request)
        if self.over.wait(what):
            return False
        return conn.answer(self.name)

    def stop(self):
        self.over.set()
        super().stop()


def after(pause_s, then):
    def answer(conn, request):
        time.sleep(pause_s)
        return then(conn, request)
    return answer


def reset(conn, _):
    conn.reset()
    return False


def sorry(conn, _):
    conn.answer("sorry", status="503 Sorry")


def edge(origins, hedge=None, route=None, others=None, options=None, **upstream):
    """The servers take turns: the first request goes to the first one."""
    servers = [o if isinstance(o, dict) else {"address": o.address, "max_fails": 0}
               for o in origins]
    settings = {"servers": servers, "balance": "round_robin",
                "hedge": {"after": "50ms", **(hedge or {})}, **upstream}
    return Weir({"app": settings, **(others or {})},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app", **(route or {})}]}],
                **(options or {}))


def hedges(weir, result):
    return weir.metric("weir_upstream_hedges_total", upstream="app", result=result)


def outcomes(line):
    """["dropped", "200"]"""
    return line["tries"].split()[1::3]


def timed(call):
    started = time.monotonic()
    answer = call()
    assert time.monotonic() - started < LONG_S * 0.8
    return answer


def test_the_quicker_server_answers():
    with Backend("a", {"/": LONG_S}) as a, Backend("b") as b, edge([a, b]) as weir:
        answer = timed(weir.get)
        assert answer.status == 200 and answer.body == b"b"
        assert weir.get().body == b"b"  # in turn, and at once
        lines = weir.access_log(2)
        assert outcomes(lines[0]) == ["dropped", "200"] and lines[0]["attempts"] == 2
        assert lines[0]["server"] == b.address and lines[0]["tries"].startswith(a.address)
        assert lines[1]["attempts"] == 1 and "tries" not in lines[1]
        assert hedges(weir, "won") == 1
        # It is no failure of the slow one.
        assert weir.metric("weir_upstream_failures_total") == 0
        assert weir.metric("weir_upstream_retries_total") == 0
        assert weir.metric("weir_upstream_server_up", server=a.address) == 1


def test_the_first_server_may_still_be_first():
    with Backend("a", {"/": 0.4}) as a, Backend("b", {"/": LONG_S}) as b, edge([a, b]) as weir:
        assert timed(weir.get).body == b"a"
        line = weir.access_log(1)[0]
        assert outcomes(line) == ["dropped", "200"] and line["server"] == a.address
        assert hedges(weir, "lost") == 1
        assert len(b.requests) == 1


def test_only_get_and_head_without_a_body():
    with Backend("a", {"/": 0.3}) as a, Backend("b", {"/": 0.3}) as b, edge([a, b]) as weir:
        with weir.client() as client:
            for method, body in (("POST", b"x"), ("PUT", b"x"), ("GET", b"x"), ("DELETE", b"")):
                assert client.request(method, "/", body=body).status == 200
            assert len(a.requests) + len(b.requests) == 4
            assert client.request("HEAD", "/").status == 200
            wait_for(lambda: len(a.requests) + len(b.requests) == 6)


def test_a_hedge_under_way_takes_the_place_of_a_try_that_fails():
    for failure in (reset, sorry):
        with Backend("a", {"/": after(0.3, failure)}) as a, Backend("b", {"/": 0.6}) as b:
            with edge([a, b], retry={"on": [503], "attempts": 1}) as weir:
                assert timed(weir.get).body == b"b"
                line = weir.access_log(1)[0]
                assert outcomes(line) == ["reset" if failure is reset else "503", "200"]
                assert hedges(weir, "won") == 1


def test_a_hedge_that_fails_leaves_the_first_try_alone():
    for failure in (reset, sorry):
        with Backend("a", {"/": 0.4}) as a, Backend("b", {"/": failure}) as b:
            with edge([a, b], retry={"on": [503]}) as weir:
                assert timed(weir.get).body == b"a"
                line = weir.access_log(1)[0]
                assert outcomes(line) == ["reset" if failure is reset else "503", "200"]
                assert hedges(weir, "failed") == 1


def test_when_both_fail_the_last_answer_counts():
    with Backend("a", {"/": after(0.3, sorry)}) as a, Backend("b", {"/": after(0.5, reset)}) as b:
        with edge([a, b], retry={"on": [503], "attempts": 1}) as weir:
            answer = timed(weir.get)
            assert answer.status == 503 and answer.body == b"sorry"
            assert outcomes(weir.access_log(1)[0]) == ["503", "reset"]


def test_hedges_cost_of_the_budget():
    with Backend("a", {"/": 0.15}) as a, Backend("b", {"/": 0.15}) as b:
        with edge([a, b], {"after": "20ms"}, retry={"budget": "0%"}) as weir:
            with weir.client() as client:
                for _ in range(40):
                    assert client.request().status == 200
            tries = len(a.requests) + len(b.requests)
            assert 40 < tries <= 40 + 20, tries  # ten each for two windows at most
            assert weir.metric("weir_upstream_retries_denied_total") >= 20


def test_no_second_try_at_the_same_server_nor_where_a_place_is_not_free():
    with Backend("a", {"/": 0.3}) as a, edge([a]) as weir:
        assert weir.get().body == b"a"
        assert len(a.requests) == 1
    with Backend("a", {"/": 0.3}) as a, Backend("b", {"/": 0.3}) as b:
        with edge([a, b], circuit_breaker={"max_connections": 1}) as weir:
            assert weir.get().body == b"a"
            assert len(b.requests) == 0
        with edge([a, b], circuit_breaker={"max_connections": 2}) as weir:
            for _ in range(3):  # each place is given back
                assert weir.get().status == 200
            wait_for(lambda: len(a.requests) + len(b.requests) == 1 + 6)


def test_a_server_that_is_down_is_asked_by_nobody():
    with Backend("a", {"/slow": 0.3}) as a, Backend("b", {"/die": reset}) as b:
        down = {"address": b.address, "max_fails": 1, "fail_timeout": "60s"}
        with edge([a, down]) as weir:
            for _ in range(2):
                weir.get("/die")
            assert weir.metric("weir_upstream_server_up", server=b.address) == 0
            asked = len(b.requests)
            for _ in range(3):
                assert weir.get("/slow").body == b"a"
            assert len(b.requests) == asked
            assert weir.metric("weir_upstream_hedges_total") == 0


def test_a_hedge_that_answers_nothing_but_interim_answers_has_failed():
    def hints(conn, _):
        conn.send("HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
        conn.origin.over.wait(LONG_S)
        return False

    def switch(conn, _):
        conn.send("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        return False

    for failure in (hints, switch):
        with Backend("a", {"/": 0.6}) as a, Backend("b", {"/": failure}) as b:
            with edge([a, b]) as weir:
                assert timed(weir.get).body == b"a"
                line = weir.access_log(1)[0]
                assert outcomes(line) == ["malformed", "200"]
                assert hedges(weir, "failed") == 1
                assert weir.metric("weir_upstream_failures_total", server=b.address) == 1


def test_an_unwanted_answer_of_any_size_is_no_answer_while_a_hedge_is_out():
    def large(conn, _):
        conn.answer(b"s" * 20_000, status="503 Sorry")

    def endless(conn, _):
        conn.send("HTTP/1.1 503 Sorry\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            conn.send(b"1000\r\n" + b"s" * 0x1000 + b"\r\n")
        conn.origin.over.wait(LONG_S)
        return False

    for failure in (large, endless):
        with Backend("a", {"/": after(0.3, failure)}) as a, Backend("b", {"/": 0.6}) as b:
            with edge([a, b], retry={"on": [503], "attempts": 1}) as weir:
                answer = timed(weir.get)
                assert answer.status == 200 and answer.body == b"b"
                assert outcomes(weir.access_log(1)[0]) == ["503", "200"]
                assert weir.get("/quick").status == 200


def test_both_tries_count_for_the_time_of_the_upstream():
    with Backend("a", {"/": 0.4}) as a, Backend("b", {"/": LONG_S}) as b, edge([a, b]) as weir:
        assert timed(weir.get).body == b"a"
        assert hedges(weir, "lost") == 1
        assert weir.metric("weir_upstream_duration_seconds_count", upstream="app") == 2


def send_get(weir, target="/"):
    client = weir.client()
    client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def with_both_out(a, b):
    return lambda: len(a.requests) + len(b.requests) == 2


def test_a_client_that_leaves_ends_both():
    with Backend("a", {"/": LONG_S}) as a, Backend("b", {"/": LONG_S}) as b:
        with edge([a, b], circuit_breaker={"max_connections": 2, "max_pending": 0}) as weir:
            client = send_get(weir)
            wait_for(with_both_out(a, b))
            client.reset()
            wait_for(lambda: weir.metric("requests_in_flight") == 0)
            line = weir.access_log(1)[0]
            assert line["status"] == 499 and outcomes(line) == ["dropped", "left"]
            assert hedges(weir, "lost") == 1
            clients = [send_get(weir, "/quick") for _ in range(2)]  # both places are free
            assert [client.response().status for client in clients] == [200, 200]


def test_the_total_time_ends_both():
    with Backend("a", {"/": LONG_S}) as a, Backend("b", {"/": LONG_S}) as b:
        with edge([a, b], route={"timeout": "300ms"}) as weir:
            assert timed(weir.get).status == 504
            assert with_both_out(a, b)()
            assert outcomes(weir.access_log(1)[0]) == ["dropped", "timeout"]


def test_a_drain_waits_for_the_first_of_both():
    with Backend("a", {"/": LONG_S}) as a, Backend("b", {"/": 0.6}) as b, edge([a, b]) as weir:
        client = send_get(weir)
        wait_for(with_both_out(a, b))
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain", 5)
        assert client.response().body == b"b"
        weir.process.wait(20)


def test_a_stop_cuts_both():
    with Backend("a", {"/": LONG_S}) as a, Backend("b", {"/": LONG_S}) as b:
        options = {"shutdown": {"grace": "200ms"}, "expect_exit": 1}
        with edge([a, b], options=options) as weir:
            with send_get(weir):
                wait_for(with_both_out(a, b))
                weir.stop()


def test_a_reload_leaves_both_alone():
    with Backend("a", {"/": LONG_S}) as a, Backend("b", {"/": 0.8}) as b, edge([a, b]) as weir:
        client = send_get(weir)
        wait_for(with_both_out(a, b))
        del weir.config["upstreams"]["app"]["hedge"]
        weir.config["upstreams"]["app"]["servers"].pop()
        weir.write_config()
        weir.reload()
        assert client.response().body == b"b"
        assert weir.get("/quick").body == b"a"


def test_a_trial_without_an_answer_in_time_was_one_and_no_hedge_is_a_trial():
    with Backend("a", {"/slow": 0.1}) as a, Backend("b", {"/die": reset, "/slow": LONG_S}) as b:
        trial = {"address": b.address, "max_fails": 1, "fail_timeout": "2s"}
        with edge([a, trial], retry={"budget": "100%"}) as weir:
            for _ in range(2):
                weir.get("/die")
            assert weir.metric("weir_upstream_server_up", server=b.address) == 0
            asked = len(b.requests)
            time.sleep(2.1)
            started = time.monotonic()
            for _ in range(10):
                assert timed(lambda: weir.get("/slow")).body == b"a"
            # Were the next one due at once, half of them would be.
            due = 1 + int((time.monotonic() - started) / 2)
            assert asked < len(b.requests) <= asked + due
            wait_for(lambda: weir.get("/quick").body == b"b")
            assert weir.metric("weir_upstream_server_up", server=b.address) == 1


def test_a_server_that_answers_nothing_to_anybody_fails_after_the_read_timeout():
    with Backend("a", {"/": LONG_S}) as a, Backend("b") as b:
        hangs = {"address": a.address, "max_fails": 1, "fail_timeout": "60s"}
        with edge([hangs, b], retry={"budget": "100%"}, timeouts={"read": "500ms"}) as weir:
            def down():
                assert weir.get().body == b"b"
                return weir.metric("weir_upstream_server_up", server=a.address) == 0

            wait_for(down)
            won = hedges(weir, "won")
            assert won >= 2
            assert weir.metric("weir_upstream_failures_total", server=a.address,
                               reason="timeout") == 1
            for _ in range(4):
                assert weir.get().body == b"b"
            assert hedges(weir, "won") == won


def test_a_server_that_answers_others_is_not_blamed():
    with Backend("a", {"/": LONG_S}) as a, Backend("b") as b:
        slow = {"address": a.address, "max_fails": 1, "fail_timeout": "60s"}
        with edge([slow, b], retry={"budget": "100%"}, timeouts={"read": "200ms"}) as weir:
            started = time.monotonic()
            while time.monotonic() - started < 1 or len(a.requests) < 8:
                assert weir.get().body == b"b"
                assert weir.get("/quick").status == weir.get("/quick").status == 200
            assert weir.metric("weir_upstream_failures_total") == 0


def test_outlier_detection_sees_how_long_was_waited_in_vain():
    outlier = {"latency": "20ms", "min_requests": 3, "max_ejected": "50%"}
    with Backend("a", {"/": LONG_S}) as a, Backend("b") as b:
        with edge([a, b], retry={"budget": "100%"}, outlier=outlier) as weir:
            def ejected():
                assert weir.get().body == b"b"
                return weir.metric("weir_upstream_ejections_total", server=a.address,
                                   reason="latency") == 1

            wait_for(ejected)


def test_a_client_with_a_cookie_stays_with_its_server():
    table = {"/slow": 0.3}
    with Backend("a", table) as a, Backend("b", table) as b, edge([a, b], sticky={}) as weir:
        answer = weir.get()
        cookie = answer.get("Set-Cookie").partition(";")[0]
        asked = len(a.requests) + len(b.requests)
        again = weir.get("/slow", headers=[("Cookie", cookie)])
        assert again.body == answer.body and again.get("Set-Cookie") is None
        assert len(a.requests) + len(b.requests) == asked + 1
        # Who has none yet is bound to whoever answered.
        a.table, b.table = {"/new": LONG_S}, {}
        for _ in range(2):
            answer = timed(lambda: weir.get("/new"))
            assert answer.body == b"b"
            cookie = answer.get("Set-Cookie").partition(";")[0]
            assert weir.get("/", headers=[("Cookie", cookie)]).body == b"b"


def test_a_mirror_gets_one_copy():
    with Backend("a", {"/": LONG_S}) as a, Backend("b") as b, Origin(echo) as shadow:
        others = {"shadow": {"servers": [{"address": shadow.address}]}}
        with edge([a, b], route={"mirror": {"upstream": "shadow"}}, others=others) as weir:
            assert timed(weir.get).body == b"b"
            wait_for(lambda: weir.metric("weir_mirror_requests_total") == 1)
            assert len(shadow.requests) == 1


def test_half_of_an_unwanted_answer_is_thrown_away():
    def half(conn, _):
        conn.send("HTTP/1.1 503 Sorry\r\nContent-Length: 10\r\n\r\nsorry")
        conn.origin.over.wait(LONG_S)
        return False

    with Backend("a", {"/": after(0.3, half)}) as a, Backend("b", {"/": 0.33}) as b:
        with edge([a, b], retry={"on": [503]}) as weir:
            answer = timed(weir.get)
            assert answer.status == 200 and answer.body == b"b"
            assert outcomes(weir.access_log(1)[0]) == ["503", "200"]


def test_after_the_95th_percentile_of_recent_answers():
    with Backend("a", {"/slow": LONG_S}) as a, Backend("b") as b:
        with edge([a, b], {"after": "p95"}, retry={"budget": "100%"}) as weir:
            with weir.client() as client:
                for _ in range(150):
                    assert client.request().status == 200
            before = hedges(weir, "won")
            for _ in range(3):
                assert timed(lambda: weir.get("/slow")).status == 200
            assert hedges(weir, "won") > before


def test_over_http2():
    released = threading.Event()

    def slow(peer, request):
        released.wait(LONG_S)
        peer.answer(request, b"slow")

    with Origin(h2_origin.h2(slow)) as a:
        with Origin(h2_origin.h2(lambda peer, request: peer.answer(request, b"quick"))) as b:
            with edge([a, b], protocol="h2c") as weir:
                for _ in range(4):
                    assert timed(weir.get).body == b"quick"
                assert hedges(weir, "won") >= 1
            released.set()

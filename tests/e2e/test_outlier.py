"""Outlier ejection: servers whose answers are bad leave for a while, but never too many of them."""
import json
import time

from support.origin import Origin, by_request
from support.waiting import wait_for
from support.weir import Weir

OUTLIER = {"window": "5s", "min_requests": 5, "eject": "3s", "max_ejected": "50%"}


class Backend(Origin):
    def __init__(self, name):
        self.name = name
        self.status = "200 OK"
        self.pause_s = 0
        super().__init__(by_request(self._answer))

    def _answer(self, conn, _):
        time.sleep(self.pause_s)
        conn.answer(self.name, status=self.status)


def edge(backends, outlier=None, workers=1, **upstream):
    servers = [{"address": b.address, "max_fails": 0} for b in backends]
    return Weir({"app": {"servers": servers, "balance": "round_robin",
                         "outlier": {**OUTLIER, **(outlier or {})}, **upstream}},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}], workers=workers)


def states(weir):
    servers = json.loads(weir.admin("/health")[1])["upstreams"]["app"]["servers"]
    return [s["state"] for s in servers]


def ask(weir, count):
    return [weir.get().body.decode() for _ in range(count)]


def ask_until(weir, wanted, seconds=20):
    """Requests until the servers' states are these."""
    def look():
        ask(weir, 4)
        return states(weir) == wanted
    wait_for(look, seconds)


def test_a_server_that_answers_errors_is_ejected_and_comes_back():
    with Backend("a") as a, Backend("b") as b, edge([a, b], workers=2) as weir:
        ask(weir, 20)
        assert states(weir) == ["up", "up"]
        a.status = "500 No"
        ask_until(weir, ["ejected", "up"])
        weir.wait_line(rf"server {a.address} is ejected for 3000 ms: \d+ of \d+ answers were err")
        a.status = "200 OK"
        assert weir.metric("weir_upstream_ejections_total", server=a.address,
                           reason="errors") == 1
        if states(weir) == ["ejected", "up"]:  # on a machine that is not too slow
            found = json.loads(weir.admin("/health")[1])["upstreams"]["app"]
            assert found["status"] == "degraded"
        wait_for(lambda: states(weir) == ["up", "up"], 20)
        weir.wait_line(rf"server {a.address} is back after its ejection")
        assert set(ask(weir, 8)) == {"a", "b"}


def test_an_ejected_server_gets_nothing():
    with Backend("a") as a, Backend("b") as b, edge([a, b], {"eject": "60s"}) as weir:
        a.status = "503 No"
        ask_until(weir, ["ejected", "up"])
        asked = len(a.requests)
        assert ask(weir, 10) == ["b"] * 10
        assert len(a.requests) == asked
        weir.reload()
        assert states(weir) == ["ejected", "up"]
        del weir.config["upstreams"]["app"]["outlier"]
        weir.write_config()
        weir.reload()
        wait_for(lambda: states(weir) == ["up", "up"])


def test_never_more_than_max_ejected():
    backends = [Backend(name) for name in "abcd"]
    try:
        with edge(backends, {"eject": "60s"}) as weir:
            for backend in backends:
                backend.status = "500 No"
            wait_for(lambda: ask(weir, 8) and states(weir).count("ejected") == 2, 20)
            for _ in range(5):
                ask(weir, 8)
                time.sleep(0.2)
            assert states(weir).count("ejected") == 2
    finally:
        for backend in backends:
            backend.stop()


def test_by_latency():
    outlier = {"latency": "300ms", "error_rate": "0%", "eject": "60s", "window": "1m"}
    with Backend("a") as a, Backend("b") as b, edge([a, b], outlier) as weir:
        a.pause_s = 0.6
        ask_until(weir, ["ejected", "up"], 40)
        assert weir.metric("weir_upstream_ejections_total", reason="latency") == 1
        weir.wait_line(r"answers took over 300 ms")
        assert set(ask(weir, 5)) == {"b"}


def test_the_last_server_is_not_ejected_and_failed_tries_count_as_errors():
    def reset(conn):
        conn.read_head()
        conn.reset()

    with Origin(reset) as dead, Backend("b") as b, edge([dead, b]) as weir:
        ask_until(weir, ["ejected", "up"])
        b.status = "500 No"
        ask(weir, 20)
        time.sleep(0.5)
        assert states(weir)[1] == "up"

"""Circuit breaker and queue: exact limits over all workers, who waits, and who waits no more."""
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from support.origin import Origin, by_request
from support.raw import RawClient
from support.waiting import wait_for
from support.weir import Weir

HEAD = "GET {} HTTP/1.1\r\nHost: a\r\n\r\n"


class Gate:
    """An origin whose requests each wait until the test lets them go, in any order."""

    def __init__(self):
        self.held = []  # (target, its event), as they came
        self.most = 0   # at once
        self.lock = threading.Lock()
        self.origin = Origin(by_request(self._hold))
        self.address = self.origin.address

    def _hold(self, conn, request):
        event = threading.Event()
        with self.lock:
            self.held.append((request.target, event))
            self.most = max(self.most, len(self.held))
        assert event.wait(20)
        conn.answer(request.target)

    def targets(self):
        with self.lock:
            return [target for target, _ in self.held]

    def let_go(self, target):
        with self.lock:
            entry = next(entry for entry in self.held if entry[0] == target)
            self.held.remove(entry)
        entry[1].set()

    def let_all_go(self):
        for target in self.targets():
            self.let_go(target)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let_all_go()
        self.origin.stop()


def weir_for(*gates, breaker=None, server=None, upstream=None, **options):
    servers = [{"address": gate.address, **(server or {})} for gate in gates]
    app = {"servers": servers, "timeouts": {"read": "30s"}, **(upstream or {})}
    if breaker is not None:
        app["circuit_breaker"] = {"pending_timeout": "15s", **breaker}
    return Weir(upstreams={"app": app},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}], **options)


def ask(weir, target):
    client = weir.client(timeout=20)
    client.send(HEAD.format(target))
    return client


def pending(weir):
    return weir.metric("weir_upstream_connections", upstream="app", state="pending")


def wait_pending(weir, count):
    weir.wait_metric("weir_upstream_connections", count, upstream="app", state="pending")


def queue_up(weir, targets, already=0):
    """One after the other, so that their order is known."""
    clients = []
    for at, target in enumerate(targets):
        clients.append(ask(weir, target))
        wait_pending(weir, already + at + 1)
    return clients


def refused(weir, reason):
    return weir.metric("weir_upstream_refused_total", upstream="app", reason=reason)


# ---- exact limits ------------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("where", ["upstream", "server"])
def test_exact_limits(workers, where):
    breaker = {"max_pending": 5, **({"max_connections": 4} if where == "upstream" else {})}
    server = {"max_connections": 4} if where == "server" else None
    with Gate() as gate, weir_for(gate, breaker=breaker, server=server, workers=workers) as weir:
        clients = [ask(weir, f"/{i}") for i in range(4)]
        wait_for(lambda: len(gate.held) == 4)
        clients += queue_up(weir, [f"/{i}" for i in range(4, 9)])
        assert len(gate.held) == 4
        answer = weir.get("/over")
        assert answer.status == 503 and answer.get("retry-after") == "1"
        assert answer.get("proxy-status") == "weir; error=connection_limit_reached"
        assert refused(weir, "queue_full") == 1
        assert weir.log_of("/over")[0]["error"].endswith("the queue for servers is full")
        assert '"pending":5' in weir.admin("/status")[1].replace(" ", "")
        for i in range(9):
            wait_for(lambda wanted=f"/{i}": wanted in gate.targets())
            gate.let_go(f"/{i}")
        for i, client in enumerate(clients):
            answer = client.response()
            assert (answer.status, answer.body) == (200, f"/{i}".encode())
        assert gate.most == 4
        assert pending(weir) == 0
        weir.wait_metric("weir_upstream_connections", 0, state="active")


@pytest.mark.parametrize("workers", [1, 4])
def test_first_come_first_served_over_all_workers(workers):
    breaker = {"max_connections": 1, "pending_timeout": "60s"}
    with Gate() as gate, weir_for(gate, breaker=breaker, workers=workers) as weir:
        clients = [ask(weir, "/0")]
        wait_for(lambda: gate.targets() == ["/0"])
        clients += queue_up(weir, [f"/{i}" for i in range(1, 13)])
        for i in range(12):
            gate.let_go(f"/{i}")
            wait_for(lambda wanted=[f"/{i + 1}"]: gate.targets() == wanted)
        gate.let_go("/12")
        assert [client.response().status for client in clients] == [200] * 13


def test_a_freed_place_wakes_another_worker_at_once():
    """Whichever workers they are on: no answer waits for the queue's tick of 100 ms."""
    breaker = {"max_connections": 1, "pending_timeout": "60s"}
    with Gate() as gate, weir_for(gate, breaker=breaker, workers=4) as weir:
        clients = [ask(weir, "/0")]
        wait_for(lambda: gate.targets() == ["/0"])
        clients += queue_up(weir, [f"/{i}" for i in range(1, 21)])
        took = []
        for i in range(20):
            began = time.monotonic()
            gate.let_go(f"/{i}")
            wait_for(lambda wanted=[f"/{i + 1}"]: gate.targets() == wanted)
            took.append(time.monotonic() - began)
        gate.let_go("/20")
        assert [client.response().status for client in clients] == [200] * 21
        assert sorted(took)[10] < 0.08  # the median: one may be unlucky


def test_nobody_waits_where_max_pending_is_zero():
    breaker = {"max_connections": 1, "max_pending": 0}
    with Gate() as gate, weir_for(gate, breaker=breaker) as weir:
        client = ask(weir, "/0")
        wait_for(lambda: gate.targets() == ["/0"])
        answer = weir.get("/over")
        assert answer.status == 503 and answer.get("retry-after") == "1"
        assert refused(weir, "max_connections") == 1
        gate.let_all_go()
        assert client.response().status == 200


# ---- leaving the queue -------------------------------------------------------------------------

@pytest.mark.parametrize("leave", [RawClient.reset, RawClient.half_close])
def test_a_client_that_leaves_gives_its_turn_away(leave):
    with Gate() as gate, weir_for(gate, breaker={"max_connections": 1}, workers=2) as weir:
        first = ask(weir, "/0")
        wait_for(lambda: gate.targets() == ["/0"])
        leaver, stayer = queue_up(weir, ["/leaver", "/stayer"])
        leave(leaver)
        wait_pending(weir, 1)
        gate.let_go("/0")
        wait_for(lambda: gate.targets() == ["/stayer"])
        gate.let_all_go()
        assert first.response().status == 200 and stayer.response().status == 200
        assert weir.log_of("/leaver")[0]["status"] == 499


def test_nobody_waits_longer_than_pending_timeout():
    breaker = {"max_connections": 1, "pending_timeout": "300ms"}
    with Gate() as gate, weir_for(gate, breaker=breaker) as weir:
        first = ask(weir, "/0")
        wait_for(lambda: gate.targets() == ["/0"])
        began = time.monotonic()
        answer = weir.get("/late")
        assert answer.status == 503 and answer.get("retry-after") == "1"
        assert time.monotonic() - began >= 0.29
        assert refused(weir, "pending_timeout") == 1
        assert weir.log_of("/late")[0]["error"].endswith("waited too long for a server")
        gate.let_all_go()
        assert first.response().status == 200


def test_the_total_timeout_ends_a_wait():
    with Gate() as gate, weir_for(gate, breaker={"max_connections": 1},
                                  upstream={"timeouts": {"total": "500ms"}}) as weir:
        first = ask(weir, "/0")
        wait_for(lambda: gate.targets() == ["/0"])
        assert weir.get("/late").status == 504
        assert pending(weir) == 0
        assert first.response().status == 504


def test_a_standing_queue_sheds_its_oldest():
    """More come than are served: the oldest go, and newcomers take their places."""
    breaker = {"max_connections": 1, "max_pending": 50, "pending_timeout": "10s"}  # target: 500 ms
    with Gate() as gate, weir_for(gate, breaker=breaker) as weir:
        first = ask(weir, "/0")
        wait_for(lambda: gate.targets() == ["/0"])
        oldest = queue_up(weir, ["/oldest"])[0]
        clients = []
        deadline = time.monotonic() + 10
        while refused(weir, "shed") == 0:
            assert time.monotonic() < deadline
            clients.append(ask(weir, f"/{len(clients) + 1}"))
            time.sleep(0.05)
        answer = oldest.response()
        assert answer.status == 503 and answer.get("retry-after") == "1"
        assert weir.log_of("/oldest")[0]["error"].endswith("shed from a standing queue")
        for client in clients:
            client.reset()
        wait_pending(weir, 0)
        gate.let_all_go()
        assert first.response().status == 200


# ---- what moves under those that wait ----------------------------------------------------------

def test_a_reload_that_raises_the_limit_lets_them_in():
    with Gate() as gate, weir_for(gate, breaker={"max_connections": 1}, workers=2) as weir:
        clients = [ask(weir, "/0")]
        wait_for(lambda: gate.targets() == ["/0"])
        clients += queue_up(weir, ["/1", "/2", "/3"])
        weir.config["upstreams"]["app"]["circuit_breaker"]["max_connections"] = 3
        weir.write_config()
        weir.reload()
        wait_for(lambda: sorted(gate.targets()) == ["/0", "/1", "/2"])
        assert pending(weir) == 1
        gate.let_go("/0")
        wait_for(lambda: "/3" in gate.targets())
        gate.let_all_go()
        assert [client.response().status for client in clients] == [200] * 4


def test_a_reload_without_the_breaker_lets_them_in():
    with Gate() as gate, weir_for(gate, breaker={"max_connections": 1}) as weir:
        clients = [ask(weir, "/0")]
        wait_for(lambda: gate.targets() == ["/0"])
        clients += queue_up(weir, ["/1", "/2"])
        del weir.config["upstreams"]["app"]["circuit_breaker"]
        weir.write_config()
        weir.reload()
        wait_for(lambda: len(gate.held) == 3)
        gate.let_all_go()
        assert [client.response().status for client in clients] == [200] * 3


SILENT = """
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(64)
print(s.getsockname()[1], flush=True)
kept = []
while True: kept.append(s.accept())
"""


def test_a_server_that_is_killed_under_those_that_wait():
    process = subprocess.Popen([sys.executable, "-c", SILENT], stdout=subprocess.PIPE)
    try:
        port = int(process.stdout.readline())
        with Gate() as spare:
            servers = [{"address": f"127.0.0.1:{port}"}, {"address": spare.address, "backup": True}]
            app = {"servers": servers,
                   "circuit_breaker": {"max_connections": 1, "pending_timeout": "15s"}}
            with Weir({"app": app}, [{"hosts": ["*"], "routes": [{"path": "/",
                                                                  "upstream": "app"}]}]) as weir:
                clients = [ask(weir, "/0")]
                weir.wait_metric("weir_upstream_connections", 1, state="active")
                clients += queue_up(weir, ["/1", "/2", "/3"])
                os.kill(process.pid, signal.SIGKILL)
                for _ in range(4):
                    wait_for(lambda: len(spare.held) == 1)
                    spare.let_all_go()
                assert [client.response().status for client in clients] == [200] * 4
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_server_that_comes_back_serves_those_that_wait():
    """Nobody tells the queue of it: its tick looks."""
    with Gate() as one, Gate() as two:
        with weir_for(one, two, breaker={}, server={"max_connections": 1, "fail_timeout": "2s"},
                      ) as weir:
            two.origin.stop()
            clients = [ask(weir, "/0"), ask(weir, "/1")]  # one of them finds the dead one first
            wait_for(lambda: len(one.held) == 1)
            wait_pending(weir, 1)
            back = Origin(by_request(lambda conn, request: conn.answer(request.target)),
                          port=two.origin.port)
            try:
                wait_pending(weir, 0)
                one.let_all_go()
                assert [client.response().status for client in clients] == [200, 200]
                assert len(back.requests) == 1
            finally:
                back.stop()


def test_a_drain_serves_those_that_wait():
    with Gate() as gate, weir_for(gate, breaker={"max_connections": 1}) as weir:
        clients = [ask(weir, "/0")]
        wait_for(lambda: gate.targets() == ["/0"])
        clients += queue_up(weir, ["/1", "/2"])
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain", 5)
        for i in range(3):
            wait_for(lambda wanted=[f"/{i}"]: gate.targets() == wanted)
            gate.let_all_go()
        assert [client.response().status for client in clients] == [200] * 3
        weir.process.wait(20)


def test_a_tunnel_holds_its_place():
    def upgrade(conn, request):
        if request.get("upgrade"):
            conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\n\r\n")
            conn.recv()
            return False
        conn.answer("plain")

    with Origin(by_request(upgrade)) as origin, weir_for(origin, breaker={
            "max_connections": 1}) as weir:
        tunnel = weir.client()
        tunnel.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\n\r\n")
        assert b" 101 " in tunnel.read_until(b"\r\n\r\n")
        waiting = queue_up(weir, ["/plain"])[0]
        tunnel.sock.close()
        assert waiting.response().body == b"plain"


# ---- adaptive ----------------------------------------------------------------------------------

def test_adaptive_starts_with_its_first_limit():
    with Gate() as gate, weir_for(gate, upstream={"concurrency": "adaptive"}, workers=4) as weir:
        assert weir.metric("weir_upstream_concurrency_limit", upstream="app") == 20
        clients = [ask(weir, f"/{i}") for i in range(24)]
        wait_for(lambda: len(gate.held) == 20)
        wait_pending(weir, 4)
        assert '"concurrency_limit":20' in weir.admin("/status")[1].replace(" ", "")
        for _ in clients:
            wait_for(lambda: gate.held)
            gate.let_go(gate.targets()[0])
        assert [client.response().status for client in clients] == [200] * 24

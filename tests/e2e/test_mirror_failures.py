"""Mirrors that are slow, broken, full or gone, and the ends of weir: no client can tell that there
is a mirror at all."""
import json
import subprocess
import sys
import time

import pytest
from support.load import Load
from support.mirror import answering, assert_nothing_held, holding, results, wait_results, weir_for
from support.origin import Origin, by_request, canned, echo
from support.waiting import in_threads, wait_for


def trickle(conn):
    conn.read_head()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    try:
        while True:
            conn.send(b"x")
            time.sleep(0.01)
    except OSError:
        pass


def reset(conn):
    conn.read_head()
    conn.reset()


def never(conn):
    while conn.recv():
        pass


HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8000000
BROKEN = {
    "resets": (reset, "failed"),
    "closes": (lambda conn: conn.read_head(), "failed"),
    "never-answers": (never, "failed"),
    "garbage": (canned(b"SSH-2.0-x\r\n\r\n"), "failed"),
    "101": (canned(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), "failed"),
    "interim": (canned(b"HTTP/1.1 102 Processing\r\n\r\n" * 50), "failed"),
    "cut": (canned(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), "failed"),
    "trickles": (trickle, "same"),
    "huge": (canned(HUGE), "same"),
    "until-close": (canned(b"HTTP/1.1 200 OK\r\n\r\nabc"), "same"),
}


@pytest.mark.parametrize("kind", [*BROKEN, "refuses"])
def test_no_client_sees_a_broken_mirror(kind):
    handler, result = BROKEN.get(kind, (echo, "failed"))
    with Origin() as origin, Origin(handler) as shadow, \
            weir_for(origin, shadow, {"timeout": "300ms"}, workers=2) as weir:
        if kind == "refuses":
            shadow.stop()

        def ask(index):
            with weir.client() as client:
                for number in range(5):
                    answer = client.request("POST", f"/{index}/{number}", body=b"b" * 3000)
                    assert answer.status == 200 and answer.complete
                    assert answer.json()["target"] == f"/{index}/{number}"

        in_threads(4, ask)
        wait_results(weir, **{result: 20})
        assert_nothing_held(weir)
        assert weir.metric("weir_upstream_failures_total", upstream="app") == 0
        counted = weir.metric("weir_upstream_failures_total", upstream="shadow")
        assert counted == (20 if result == "failed" else 0)
        assert all(line["status"] == 200 and not line["error"] for line in weir.access_log(20))


def test_a_mirror_that_closes_idle_connections_is_not_a_failure():
    """It says nothing of it beforehand: the copy goes over a new connection."""
    def once(conn):
        request = conn.read_request()
        if request is not None:
            conn.origin.requests.append(request)
            conn.answer()

    with Origin() as origin, Origin(once) as shadow, weir_for(origin, shadow) as weir, \
            weir.client() as client:
        for count in range(1, 31):
            assert client.request("POST", "/", body=b"b").status == 200
            wait_for(lambda: sum(results(weir).values()) == count)
        # A POST whose bytes may have been read is not sent twice.
        found = results(weir)
        assert found.get("same", 0) >= 25 and set(found) <= {"same", "failed"}


def test_a_mirror_that_is_down_is_skipped_and_no_reason_to_restart_weir():
    check = {"health_check": {"type": "tcp", "interval": "50ms", "unhealthy_after": 1}}
    with Origin() as origin, Origin() as shadow, \
            weir_for(origin, shadow, upstream=check) as weir:
        shadow.stop()
        weir.wait_metric("weir_upstream_server_up", 0, upstream="shadow")
        for _ in range(3):
            assert weir.get("/").status == 200
        wait_results(weir, skipped=3)
        status, text = weir.admin("/health")
        health = json.loads(text)
        assert (status, health["status"]) == (200, "degraded")
        assert health["upstreams"]["shadow"]["status"] == "unhealthy"
        # Once clients are sent there it counts as any other.
        weir.config["sites"][0]["routes"].insert(0, {"path": "/new/", "upstream": "shadow"})
        weir.write_config()
        weir.reload()
        assert weir.admin("/health")[0] == 503


def test_a_dead_mirror_is_not_tried_by_each_request():
    with Origin() as origin, Origin() as shadow, weir_for(
            origin, shadow, server={"max_fails": 1, "fail_timeout": "1h"}) as weir:
        shadow.stop()
        assert weir.get("/").status == 200
        wait_results(weir, failed=1)
        for _ in range(20):
            assert weir.get("/").status == 200
        wait_results(weir, failed=1, skipped=20)


def test_a_dead_mirror_is_tried_again_and_found_well():
    with Origin() as origin, Origin() as shadow, weir_for(
            origin, shadow, server={"max_fails": 1, "fail_timeout": "300ms"}) as weir:
        shadow.stop()
        assert weir.get("/").status == 200
        wait_results(weir, failed=1)
        with Origin(port=shadow.port) as again:
            wait_for(lambda: weir.get("/").status == 200 and "same" in results(weir))
            count = results(weir)["same"]
            assert weir.get("/last").status == 200
            wait_for(lambda: again.requests[-1].target == "/last")
            assert results(weir)["failed"] == 1 and count >= 1


@pytest.mark.parametrize("limit", ["server", "breaker"])
def test_a_full_mirror_is_skipped_and_nobody_queues(limit):
    handler, release = holding()
    server = {"max_connections": 2} if limit == "server" else None
    upstream = {"circuit_breaker": {"max_connections": 2, "pending_timeout": "20s"}} \
        if limit == "breaker" else None
    with Origin() as origin, Origin(handler) as shadow, \
            weir_for(origin, shadow, server=server, upstream=upstream, workers=2) as weir:
        for count in range(2):
            assert weir.get("/").status == 200
            wait_for(lambda: weir.metric("weir_upstream_connections", upstream="shadow",
                                         state="active") == count + 1)
        for _ in range(10):
            assert weir.get("/").status == 200
        wait_results(weir, skipped=10)
        release.set()
        wait_results(weir, skipped=10, same=2)
        assert_nothing_held(weir)
        assert weir.get("/").status == 200
        wait_results(weir, skipped=10, same=3)


STOPPED = """
import signal, socket, os
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listener.getsockname()[1], flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_stopped_mirror_costs_bounded_memory_and_no_request():
    """The kernel accepts for it, and its socket takes some bytes: only time tells."""
    process = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        with Origin(answering("200 OK")) as origin, \
                weir_for(origin, f"127.0.0.1:{port}", {"timeout": "30s"}, workers=2) as weir:
            body = b"b" * 100_000

            def connect():
                client = weir.client(timeout=20)
                return lambda: client.request("POST", "/", body=body)

            with Load(connect) as load:
                wait_for(lambda: len(load.done) > 600, 60)
                before = weir.rss_bytes()
                wait_for(lambda: len(load.done) > 1500, 60)
            assert load.failures == []
            assert results(weir)["skipped"] > 500
            assert weir.rss_bytes() - before < 16 << 20
            # 16 MiB of bodies per worker at most are under way.
            active = weir.metric("weir_upstream_connections", upstream="shadow", state="active")
            assert 0 < active <= 2 * (16 << 20) / len(body)
            assert active + sum(results(weir).values()) == len(load.done)
    finally:
        process.kill()
        process.wait()


def test_no_request_fails_while_mirrors_do():
    with Origin(answering("200 OK")) as origin, Origin(reset) as shadow, \
            weir_for(origin, shadow, workers=2) as weir:
        def connect():
            client = weir.client(timeout=20)
            return lambda: client.request("POST", "/", body=b"b" * 20_000)

        with Load(connect) as load:
            wait_for(lambda: len(load.done) > 200, 30)
            shadow.stop()
            since = len(load.done)
            wait_for(lambda: len(load.done) > since + 200, 30)
        assert load.failures == []
        wait_for(lambda: sum(results(weir).values()) == len(load.done))


# ---- ends ----

def test_a_drain_waits_for_no_mirror():
    handler, release = holding()
    with Origin() as origin, Origin(handler) as shadow:
        with weir_for(origin, shadow, workers=2, shutdown={"grace": "60s"}) as weir:
            for _ in range(20):
                assert weir.get("/").status == 200
            wait_for(lambda: len(shadow.requests) == 20)
            started = time.monotonic()
            weir.stop()
            assert time.monotonic() - started < 15
        release.set()


@pytest.mark.parametrize("change", ["mirror", "upstream"])
def test_a_reload_leaves_copies_under_way_alone(change):
    handler, release = holding()
    with Origin() as origin, Origin(handler) as shadow, \
            weir_for(origin, shadow, workers=2) as weir:
        for _ in range(10):
            assert weir.get("/").status == 200
        wait_for(lambda: len(shadow.requests) == 10)
        del weir.config["sites"][0]["routes"][0]["mirror"]
        if change == "upstream":
            del weir.config["upstreams"]["shadow"]
        weir.write_config()
        weir.reload()
        for _ in range(10):
            assert weir.get("/").status == 200
        release.set()
        if change == "mirror":
            wait_results(weir, same=10)
            assert_nothing_held(weir)
        assert len(shadow.requests) == 10


def test_reloads_while_copies_come_and_go():
    with Origin(answering("200 OK")) as origin, Origin(answering("200 OK")) as shadow, \
            weir_for(origin, shadow, workers=2) as weir:
        def connect():
            client = weir.client(timeout=20)
            return lambda: client.request("POST", "/", body=b"b" * 5000)

        with Load(connect) as load:
            for _ in range(8):
                weir.reload()
                since = len(load.done)
                wait_for(lambda: len(load.done) > since + 20, 30)
        assert load.failures == []
        wait_results(weir, same=len(load.done))
        assert_nothing_held(weir)

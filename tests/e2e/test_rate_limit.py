"""rate_limits: who is refused, delayed or blocked, what clients are told, what servers see.

Rates are so slow that nothing comes back while a test runs, however slow the machine is."""
import json
import shutil
import subprocess
import threading
import time

import pytest
from support.origin import Origin, by_request
from support.raw import RawClient
from support.tokens import SECRET, claims, hs
from support.weir import Weir, binary

REQUEST = b"GET /%s HTTP/1.1\r\nHost: test\r\n\r\n"


def limited(origin, limits, route=None, routes=None, **options):
    """One site with these limits; `route`: keys of the route that goes to the server."""
    last = {"path": "/", "upstream": "app", "rate_limit": list(limits), **(route or {})}
    return Weir(upstreams={"app": {"servers": [{"address": origin.address}]}},
                sites=[{"hosts": ["*"], "routes": [*(routes or []), last]}],
                rate_limits=limits, **options)


def statuses(weir, count, target="/", headers=(), method="GET", source=None):
    with RawClient(weir.address, source=source) as client:
        return [client.request(method, target, headers).status for _ in range(count)]


def by_status(conn, request):
    """Answers with the status that the path ends with."""
    status = request.target.rpartition("/")[2]
    conn.answer(status=f"{status} X" if status.isdigit() else "200 OK")


def at_once(count, act):
    """act(n) in so many threads that start together; what they return."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(n):
        barrier.wait(20)
        results[n] = act(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_burst_of_20_admits_exactly_21_at_once():
    with Origin() as origin, limited(origin, {"api": {"rate": "10/1h", "burst": 20}}) as weir:
        with weir.client() as client:
            client.send(REQUEST % b"x" * 60)
            found = [client.response().status for _ in range(60)]
        assert found == [200] * 21 + [429] * 39
        assert len(origin.requests) == 21


def test_legacy_headers_are_there_only_where_they_are_asked_for():
    limits = {"old": {"rate": "2/1h", "algorithm": "fixed_window", "legacy_headers": True},
              "new": {"rate": "9/1h", "burst": 8}}
    routes = [{"path": "/new", "upstream": "app", "rate_limit": ["new"]}]
    own = [("X-RateLimit-Limit", "77"), ("x-ratelimit-reset", "7")]  # the server's: no list fields
    with Origin(by_request(lambda conn, _: conn.answer(headers=own))) as origin, \
            limited(origin, limits, routes=routes) as weir:
        began = time.time()
        answers = [weir.get() for _ in range(3)]
        ended = time.time()
        assert [answer.status for answer in answers] == [200, 200, 429]
        for answer, left in zip(answers, "100"):
            assert answer.get("RateLimit").startswith(f'"old";r={left};t=')
            assert answer.get("X-RateLimit-Limit") == "2"
            assert answer.get("X-RateLimit-Remaining") == left
            assert began + 3600 - 1 <= int(answer.get("X-RateLimit-Reset")) <= ended + 3600 + 1
        answer = weir.get("/new")
        assert answer.get("RateLimit") is not None
        found = [answer.get(f"X-RateLimit-{field}") for field in ("Limit", "Remaining", "Reset")]
        assert found == ["77", None, "7"]


def test_all_workers_count_in_one_bucket():
    with Origin() as origin, limited(origin, {"api": {"rate": "10/1h", "burst": 39}},
                                     workers=4) as weir:
        found = sum(at_once(16, lambda _: statuses(weir, 10)), [])
        assert (found.count(200), found.count(429)) == (40, 120)
        assert len(origin.requests) == 40
        assert weir.metric("weir_rate_limit_total", limit="api", result="allowed") == 40
        assert weir.metric("weir_rate_limit_total", limit="api", result="refused") == 120
        assert weir.metric("weir_rate_limit_keys") == 1


def test_what_clients_are_told():
    routes = [{"path": "/", "respond": {"status": 200}, "rate_limit": ["api"]}]
    with Weir(rate_limits={"api": {"rate": "10/s", "burst": 20}},
              sites=[{"hosts": ["*"], "routes": routes}]) as weir:
        with weir.client() as client:
            client.send(REQUEST % b"x" * 40)  # long before the first 100 ms are over
            answers = [client.response() for _ in range(40)]
        assert answers[0].get("RateLimit-Policy") == '"api";q=21;w=3'
        assert answers[0].get("RateLimit") == '"api";r=20;t=1'
        assert answers[0].get("Retry-After") is None
        refused = answers[39]
        assert refused.status == 429
        assert refused.get("Retry-After") == "1"
        assert refused.get("RateLimit-Policy") == '"api";q=21;w=3'
        assert refused.get("RateLimit") == '"api";r=0;t=1'
        assert refused.get("Cache-Control") == "no-store"
        assert refused.body.startswith(b"429 Too Many Requests")
        assert not [n for n, _ in refused.headers if n.lower().startswith("x-ratelimit")]
        lines = weir.access_log(40)
        assert (lines[0]["limit"], lines[39]["limit"]) == ("", "api")
        assert lines[39]["error"] == "weir: refused: rate limit"
        assert lines[39]["attempts"] == 0


def test_a_window_tells_what_is_left_of_it():
    limit = {"rate": "100/15m", "algorithm": "fixed_window"}
    with Origin() as origin, limited(origin, {"w": limit}) as weir:
        with weir.client() as client:
            answers = [client.request() for _ in range(101)]
        assert [answer.status for answer in answers] == [200] * 100 + [429]
        left = [answer.get("RateLimit").partition(";r=")[2].partition(";") for answer in answers]
        assert [int(r) for r, _, _ in left] == [*range(99, -1, -1), 0]
        assert answers[0].get("RateLimit-Policy") == '"w";q=100;w=900'
        assert 800 < int(answers[100].get("Retry-After")) <= 900


def test_the_fields_of_a_server_stay_beside_ours():
    def answer(conn, _):
        conn.answer(headers=[("RateLimit", '"inner";r=5;t=1')])

    with Origin(by_request(answer)) as origin, limited(origin, {"api": {"rate": "1/1h"}}) as weir:
        assert weir.get().all("RateLimit") == ['"inner";r=5;t=1', '"api";r=0;t=3600']


def test_several_limits_the_strictest_answers_and_none_is_charged():
    limits = {"wide": {"rate": "100/1h", "burst": 99}, "narrow": {"rate": "1/1d", "burst": 1}}
    routes = [{"path": "/wide", "upstream": "app", "rate_limit": ["wide"]}]
    with Origin() as origin, limited(origin, limits, routes=routes) as weir:
        assert statuses(weir, 50) == [200] * 2 + [429] * 48
        answer = weir.get()
        assert answer.get("RateLimit-Policy") == '"wide";q=100;w=3600, "narrow";q=2;w=172800'
        assert answer.get("RateLimit").startswith('"narrow";r=0;t=86')
        assert int(answer.get("Retry-After")) > 3600
        assert weir.get("/wide").get("RateLimit").startswith('"wide";r=97;')
        assert weir.metric("weir_rate_limit_total", limit="wide", result="refused") == 0
        assert weir.metric("weir_rate_limit_total", limit="narrow", result="refused") == 49


def test_the_nearest_level_wins_whole_and_off_is_none():
    limits = {"site": {"rate": "1/1h"}, "own": {"rate": "1/1h", "burst": 1}}
    routes = [{"path": "/own", "upstream": "app", "rate_limit": ["own"]},
              {"path": "/off", "upstream": "app", "rate_limit": "off"},
              {"path": "/short", "respond": {"status": 200, "body": "x"}},
              {"path": "/long", "redirect": {"to": "/x"}}]
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]}}, rate_limits=limits,
            sites=[{"hosts": ["*"], "rate_limit": ["site"], "routes": routes}]) as weir:
        assert statuses(weir, 3, "/own") == [200, 200, 429]
        assert statuses(weir, 3, "/off") == [200] * 3
        assert weir.get("/off").get("RateLimit") is None
        assert statuses(weir, 1, "/short", source="127.0.0.2") == [200]
        assert statuses(weir, 1, "/long", source="127.0.0.2") == [429]
        assert statuses(weir, 2, "/nowhere", source="127.0.0.3") == [404, 429]


@pytest.mark.parametrize("target", ["/health", "/health?x=1", "/./health", "/x/../health"])
def test_skipped_paths_use_nothing_up(target):
    limit = {"rate": "10/1h", "burst": 9, "skip": ["/health", "/ready"]}
    with Origin() as origin, limited(origin, {"api": limit}) as weir:
        assert statuses(weir, 50, target) == [200] * 50
        assert weir.get(target).get("RateLimit") is None
        assert weir.get("/x").get("RateLimit").startswith('"api";r=9;')


@pytest.mark.parametrize("target", ["/healthx", "/health/", "/health/../api", "/Health", "/"])
def test_other_paths_are_not_skipped(target):
    limit = {"rate": "1/1h", "skip": ["/health"]}
    with Origin() as origin, limited(origin, {"api": limit}) as weir:
        assert statuses(weir, 2, target) == [200, 429]


def test_clients_are_told_apart_by_address_and_nobody_buys_a_bucket_with_a_field():
    with Origin() as origin, limited(origin, {"api": {"rate": "1/1h"}}) as weir:
        assert statuses(weir, 2) == [200, 429]
        assert statuses(weir, 2, source="127.0.0.2") == [200, 429]
        for n in range(20):
            assert statuses(weir, 1, headers=[("X-Forwarded-For", f"192.0.2.{n}")]) == [429]


def test_clients_behind_a_trusted_proxy_are_counted_one_by_one():
    with Origin() as origin, limited(origin, {"api": {"rate": "1/1h"}},
                                     trusted_proxies=["127.0.0.1"]) as weir:
        for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1"]:
            assert statuses(weir, 2, headers=[("X-Forwarded-For", client)]) == [200, 429]
        # of one /64
        assert statuses(weir, 1, headers=[("X-Forwarded-For", "2001:db8::ffff:1")]) == [429]
        assert statuses(weir, 1, headers=[("X-Forwarded-For", "2001:db8:0:1::1")]) == [200]


def test_keys_of_what_clients_send():
    limits = {"key": {"key": "header:X-Api-Key", "rate": "1/1h"}}
    with Origin() as origin, limited(origin, limits) as weir:
        assert statuses(weir, 2, headers=[("X-Api-Key", "a")]) == [200, 429]
        assert statuses(weir, 2, headers=[("X-Api-Key", "b" * 8000)]) == [200, 429]
        assert statuses(weir, 2) == [200, 429]  # without a key: by address
        assert statuses(weir, 2, source="127.0.0.2") == [200, 429]
        assert statuses(weir, 1, headers=[("X-Api-Key", "")]) == [429]


def test_failures_count_successes_come_back():
    limits = {"login": {"rate": "5/15m", "algorithm": "fixed_window", "count": "failures"}}
    with Origin(by_request(by_status)) as origin, limited(origin, limits) as weir:
        assert statuses(weir, 20, "/200", method="POST") == [200] * 20
        assert statuses(weir, 4, "/401", method="POST") == [401] * 4
        assert statuses(weir, 1, "/302", method="POST") == [302]
        assert statuses(weir, 1, "/401", method="POST") == [401]
        seen = len(origin.requests)
        assert statuses(weir, 3, "/200", method="POST") == [429] * 3
        assert len(origin.requests) == seen
        assert weir.metric("weir_rate_limit_returned_total", limit="login") == 21


def test_a_success_shows_the_place_that_it_gives_back():
    limits = {"login": {"rate": "5/15m", "algorithm": "fixed_window", "count": "failures"}}
    with Origin(by_request(by_status)) as origin, limited(origin, limits) as weir:
        assert weir.get("/200").get("RateLimit").startswith('"login";r=5;')
        assert weir.get("/401").get("RateLimit").startswith('"login";r=4;')


def test_guesses_at_the_same_time_do_not_slip_through():
    release = threading.Event()

    def slow_refusal(conn, _):
        release.wait(20)
        conn.answer(status="401 Unauthorized")

    limits = {"login": {"rate": "5/15m", "algorithm": "fixed_window", "count": "failures"}}
    with Origin(by_request(slow_refusal)) as origin, limited(origin, limits, workers=2) as weir:
        timer = threading.Timer(1.0, release.set)
        timer.start()
        found = sum(at_once(20, lambda _: statuses(weir, 1, method="POST")), [])
        assert sorted(found) == [401] * 5 + [429] * 15
        assert len(origin.requests) == 5
        timer.join(20)


def test_who_leaves_before_the_answer_gets_no_place_back():
    asked = threading.Event()
    release = threading.Event()

    def hold(conn, _):
        asked.set()
        release.wait(20)
        conn.answer()

    limits = {"login": {"rate": "1/15m", "algorithm": "fixed_window", "count": "failures"}}
    with Origin(by_request(hold)) as origin, limited(origin, limits) as weir:
        with weir.client() as client:
            client.send(REQUEST % b"gone")
            assert asked.wait(20)
            client.reset()
        weir.log_of("/gone")
        release.set()
        assert statuses(weir, 1) == [429]


def test_a_block_refuses_for_its_time_and_hits_do_not_extend_it():
    limits = {"api": {"rate": "10/s", "burst": 2, "block_for": "2s"}}
    routes = [{"path": "/", "respond": {"status": 200}, "rate_limit": ["api"]}]
    with Weir(rate_limits=limits, sites=[{"hosts": ["*"], "routes": routes}]) as weir:
        with weir.client() as client:
            client.send(REQUEST % b"x" * 40)  # long before the first 100 ms are over
            found = [client.response() for _ in range(40)]
            began = time.monotonic()
            assert [answer.status for answer in found] == [200] * 3 + [429] * 37
            assert found[3].get("Retry-After") == "2"
            while client.request().status == 429:  # not 100 ms, and not for ever
                assert time.monotonic() < began + 20
                time.sleep(0.05)
            assert time.monotonic() - began > 1.5


DELAY = {"rate": "10/1h", "burst": 9}


def test_requests_are_delayed_before_any_is_refused():
    limits = {"slow": {**DELAY, "delay": {"after": 2, "by": "200ms", "max": "400ms"}}}
    with Origin() as origin, limited(origin, limits) as weir:
        took = []
        with weir.client() as client:
            for _ in range(6):
                began = time.monotonic()
                assert client.request().status == 200
                took.append(time.monotonic() - began)
            assert [client.request().status for _ in range(6)] == [200] * 4 + [429] * 2
        # Never early, but that timers count in whole milliseconds; the third of them is capped.
        assert took[2] >= 0.199 and min(took[3:]) >= 0.399
        assert weir.metric("weir_rate_limit_total", limit="slow", result="delayed") == 8
        assert weir.metric("weir_rate_limit_total", limit="slow", result="allowed") == 2
        assert weir.metric("weir_rate_limit_waiting") == 0
        lines = weir.access_log(12)
        assert [line["limit"] for line in lines] == ["", ""] + ["slow"] * 10


def test_a_client_that_leaves_frees_its_place():
    limits = {"slow": {**DELAY, "delay": {"after": 0, "by": "5m", "max": "5m", "per_key": 1}}}
    with Origin() as origin, limited(origin, limits) as weir:
        for n in range(3):
            with weir.client() as client:
                client.send(REQUEST % b"waits%d" % n)
                weir.wait_metric("weir_rate_limit_waiting", 1)
                answer = weir.get("/refused")  # the place is taken: no use waiting for one
                assert (answer.status, answer.get("Retry-After")) == (429, "300")
                assert answer.get("RateLimit").startswith('"slow";r=0;')
            weir.wait_metric("weir_rate_limit_waiting", 0)
            assert weir.log_of("/waits%d" % n)[0]["status"] == 499
        assert origin.requests == []
        # Who was refused was not charged: three of ten are used.
        weir.config["rate_limits"]["slow"]["delay"] = "off"
        weir.write_config()
        weir.reload()
        assert statuses(weir, 8) == [200] * 7 + [429]


def test_those_who_wait_do_not_slow_anybody_else_down():
    limits = {"slow": {"key": "header:K", "rate": "10/1h", "burst": 9,
                       "delay": {"after": 1, "by": "5m", "max": "5m"}}}
    with Origin() as origin, limited(origin, limits) as weir:
        waiting = []
        for n in range(50):
            client = weir.client()
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\nK: %d\r\n\r\n" % n * 2)
            assert client.response().status == 200
            waiting.append(client)
        weir.wait_metric("weir_rate_limit_waiting", 50)
        assert statuses(weir, 1, headers=[("K", "fresh")]) == [200]
        assert json.loads(weir.admin("/status")[1])["rate_limits"]["waiting"] == 50
        for client in waiting:
            client.__exit__()
        weir.wait_metric("weir_rate_limit_waiting", 0)


def test_a_body_waits_with_its_request():
    limits = {"slow": {**DELAY, "delay": {"after": 0, "by": "700ms"}}}
    body = b"x" * 3_000_000
    with Origin() as origin, limited(
            origin, limits, listener={"timeouts": {"body": "300ms"}}) as weir:
        with weir.client() as client:
            answer = client.request("POST", "/", body=body)
        assert answer.status == 200
        assert len(origin.requests[0].body) == len(body)


def test_a_drain_lets_those_finish_who_wait():
    limits = {"slow": {**DELAY, "delay": {"after": 0, "by": "1s"}}}
    with Origin() as origin, limited(origin, limits) as weir:
        with weir.client() as client:
            client.send(REQUEST % b"x")
            weir.wait_metric("weir_rate_limit_waiting", 1)
            weir.signal(15)
            assert client.response().status == 200
        weir.process.wait(20)


def test_a_reload_keeps_the_counts_of_what_means_the_same():
    limits = {"api": {"rate": "10/1h", "burst": 9}}
    with Origin() as origin, limited(origin, limits) as weir:
        assert statuses(weir, 8) == [200] * 8
        weir.config["rate_limits"]["api"]["status"] = 503
        weir.config["rate_limits"]["other"] = {"rate": "1/s"}
        weir.write_config()
        weir.reload()
        assert statuses(weir, 4) == [200] * 2 + [503] * 2
        weir.config["rate_limits"]["api"]["burst"] = 4
        weir.write_config()
        weir.reload()
        assert statuses(weir, 6) == [200] * 5 + [503]
        assert weir.metric("weir_rate_limit_total", limit="api", result="allowed") == 15


def test_a_refusal_is_edited_and_shaped_like_every_answer():
    limits = {"api": {"rate": "1/1h", "status": 418}}
    route = {"headers": {"response": {"set": {"X-Frame-Options": "DENY"}}}}
    with Origin() as origin, limited(origin, limits, route=route) as weir:
        assert statuses(weir, 1) == [200]
        with weir.client() as client:
            answer = client.request("GET", "/", [("Accept", "application/json")])
        assert answer.status == 418
        assert answer.get("X-Frame-Options") == "DENY"
        assert answer.json()["error"]["status"] == 418


def test_explain_shows_what_a_request_is_counted_by():
    limits = {"key": {"key": ["header:K", "route"], "rate": "1/s"},
              "client": {"rate": "1/s", "skip": ["/ready"]}}
    with Origin() as origin:
        weir = limited(origin, limits)

        def explain(target, *more):
            done = subprocess.run([binary(), "explain", "-c", weir.path, *more,
                                   f"http://test{target}"], capture_output=True, text=True,
                                  timeout=20, check=True)
            at = done.stdout.index("rate_limit key")
            return done.stdout[at:].split("\n")[:2]

        assert explain("/x", "-H", "K: a\tb&c") == [
            "rate_limit key: counts by header:K=a\\x09b\\&c&route=/",
            "           client: counts by client_ip=$client_ip"]
        assert explain("/ready") == ["rate_limit key: counts by client_ip=$client_ip&route=/",
                                     "           client: skips the path"]
        shutil.rmtree(weir.dir)


def test_a_flood_of_keys_takes_a_bounded_memory():
    limits = {"key": {"key": "header:K", "rate": "1/1h"}}
    with Origin() as origin, limited(
            origin, limits, routes=[{"path": "/own", "respond": {"status": 200},
                                     "rate_limit": ["key"], "access_log": False}],
            listener={"connection": {"requests": 20_000}}) as weir:
        with weir.client() as client:
            for block in range(20):
                client.send(b"".join(b"GET /own HTTP/1.1\r\nHost: t\r\nK: %d\r\n\r\n" % n
                                     for n in range(block * 500, block * 500 + 500)))
                assert {client.response().status for _ in range(500)} == {200}
            assert weir.metric("weir_rate_limit_keys") == 10_000
            assert client.request("GET", "/own", [("K", "9999")]).status == 429
        assert weir.rss_bytes() < 400 << 20


def test_a_claim_counts_by_user_and_behind_auth():
    limits = {"user": {"key": "jwt:sub", "rate": "1/h", "burst": 1},
              "all": {"key": "route", "rate": "1/h", "burst": 4}}
    users = [[("Authorization", "Bearer " + hs(claims(sub=name)))] for name in ("ann", "bob")]
    with Origin() as origin, limited(origin, limits, {"auth": {"jwt": {"secret": "${SECRET}"}}},
                                     environment={"SECRET": SECRET}) as weir:
        # Who proves nothing is asked nothing, and uses nothing up.
        assert statuses(weir, 9) == [401] * 9
        for user in users:
            assert statuses(weir, 3, headers=user) == [200, 200, 429]
        # What the user's limit refused did not count for the other one.
        assert statuses(weir, 2, headers=[("Authorization", "Bearer " + hs(claims(sub="eve")))]) \
            == [200, 429]

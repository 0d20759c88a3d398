"""rate_limits that instances share through Redis: one quota for all, bounded waits, and what holds
while Redis cannot be asked. Rates are so slow that nothing comes back while a test runs, where it
does not say otherwise."""
import time

import pytest

from support.fleet import SLOW, admitted, instance, redis_is, statuses, wait_up
from support.origin import Origin, by_request
from support.redis import RENAMED, FakeRedis, Redis, RedisError, good_answer
from support.waiting import in_threads, wait_for


def test_one_quota_for_all_instances_and_workers():
    limits = {"api": {**SLOW, "burst": 20}}
    with Redis() as redis, instance(redis, limits, workers=2) as one, \
            instance(redis, limits) as two:
        wait_up(one, two)
        found = [admitted(weir, 1) for _ in range(30) for weir in (one, two)]
        assert found == [1] * 21 + [0] * 39
        keys = redis.ask("KEYS", "weir:rl:*")
        assert len(keys) == 1 and keys[0].startswith(b"weir:rl:api:")
        assert redis.ask("MEMORY", "USAGE", keys[0]) < 200
        assert redis.ask("PTTL", keys[0]) > 0
        assert one.metric("weir_rate_limit_mode", mode="shared") == 1
        assert one.metric("weir_rate_limit_mode", mode="local") == 0


def test_many_at_once_are_as_exact():
    limits = {"api": {**SLOW, "burst": 39}}
    with Redis() as redis, instance(redis, limits, workers=2) as one, \
            instance(redis, limits, workers=2) as two:
        wait_up(one, two)
        found = in_threads(16, lambda n: admitted((one, two)[n % 2], 20))
        assert sum(found) == 40


def test_windows_blocks_and_keys():
    limits = {"window": {"rate": "5/1h", "algorithm": "fixed_window", "key": "header:X-Key"},
              "block": {"rate": "3/1h", "burst": 2, "block_for": "1h", "key": "header:X-Key"}}
    routes = [{"path": f"/{name}/", "respond": {"status": 200, "body": "ok"},
               "rate_limit": [name]} for name in limits]
    with Redis() as redis, instance(redis, limits, routes=routes) as one, \
            instance(redis, limits, routes=routes) as two:
        wait_up(one, two)
        for key in ("a", "x" * 6000, "b c"):
            headers = [("X-Key", key)]
            assert admitted(one, 3, target="/window/", headers=headers) == 3
            assert admitted(two, 4, target="/window/", headers=headers) == 2
            assert admitted(two, 3, target="/block/", headers=headers) == 3
            assert admitted(one, 2, target="/block/", headers=headers) == 0
        with one.client() as client:
            answer = client.request("GET", "/block/", [("X-Key", "a")])
            assert 3500 < int(answer.get("Retry-After")) <= 3600
            answer = client.request("GET", "/window/", [("X-Key", "new")])
            assert answer.get("RateLimit") == '"window";r=4;t=3600'
        assert all(len(key) < 64 for key in redis.ask("KEYS", "weir:rl:*"))


def test_none_is_charged_when_another_refuses():
    limits = {"narrow": {**SLOW}, "wide": {**SLOW, "burst": 9}}
    routes = [{"path": "/both", "respond": {"status": 200, "body": "ok"},
               "rate_limit": ["narrow", "wide"]},
              {"path": "/wide", "respond": {"status": 200, "body": "ok"}, "rate_limit": ["wide"]}]
    with Redis() as redis, instance(redis, limits, routes=routes) as weir:
        wait_up(weir)
        assert statuses(weir, 6, target="/both") == [200] + [429] * 5
        assert admitted(weir, 12, target="/wide") == 9


def test_failures_are_counted_and_the_rest_given_back():
    def by_status(conn, request):
        conn.answer(status=request.target[1:4] + " X")

    limits = {"login": {"rate": "5/1h", "algorithm": "fixed_window", "count": "failures"},
              "bucket": {"rate": "5/1h", "burst": 4, "count": "failures"}}
    with Redis() as redis, Origin(by_request(by_status)) as origin:
        for name, limit in limits.items():
            options = {"upstreams": {"app": {"servers": [{"address": origin.address}]}},
                       "routes": [{"path": "/", "upstream": "app", "rate_limit": [name]}]}
            with instance(redis, {name: limit}, **options) as one, \
                    instance(redis, {name: limit}, **options) as two:
                wait_up(one, two)
                for weir in (one, two):
                    assert statuses(weir, 12, target="/200") == [200] * 12
                assert statuses(one, 3, target="/401") == [401] * 3
                assert statuses(two, 4, target="/401") == [401] * 2 + [429] * 2
                assert one.metric("weir_rate_limit_returned_total", limit=name) == 12


@pytest.mark.parametrize("options", [[], RENAMED])
def test_lost_scripts_are_loaded_again(options):
    limits = {"api": {**SLOW, "burst": 9}}
    with Redis(*options, password="hard") as redis:
        with instance(redis, limits, password="hard") as weir:
            wait_up(weir)
            assert admitted(weir, 5) == 5
            redis.ask("SCRIPT", "FLUSH")
            assert admitted(weir, 10) == 5  # nobody saw it
            assert redis.calls("eval") == 0
            assert weir.metric("weir_rate_limit_store_errors_total") == 0


@pytest.mark.parametrize("policy, wanted", [("local", [200] * 6 + [429] * 4), ("open", [200] * 10),
                                            ("closed", [503] * 10)])
def test_what_holds_without_redis(policy, wanted):
    limits = {"api": {**SLOW, "burst": 5, "on_store_failure": policy}}
    with Redis() as redis, instance(redis, limits) as weir:
        wait_up(weir)
        redis.kill()
        wait_for(lambda: redis_is(weir, "degraded"))
        assert statuses(weir, 10) == wanted
        assert weir.metric("weir_rate_limit_mode", mode=policy) == 1
        assert weir.metric("weir_rate_limit_mode", mode="shared") == 0
        answer = weir.get()
        assert (answer.get("RateLimit") is not None) == (policy == "local")
        if policy == "closed":
            assert answer.get("Retry-After") == "1"
            assert answer.get("Proxy-Status") == "weir; error=http_request_denied"


def test_each_instance_has_its_share():
    limits = {"bucket": {**SLOW, "burst": 19}, "window": {"rate": "20/1h",
                                                         "algorithm": "fixed_window"}}
    routes = [{"path": f"/{name}", "respond": {"status": 200, "body": "ok"},
               "rate_limit": [name]} for name in limits]
    with Redis() as redis, instance(redis, limits, routes=routes) as one, \
            instance(redis, limits, routes=routes) as two:
        wait_up(one, two)
        for weir in (one, two):
            weir.wait_metric("weir_redis_instances", 2)
        redis.kill()
        for weir in (one, two):
            wait_for(lambda weir=weir: redis_is(weir, "degraded"))
        for name in limits:
            assert [admitted(weir, 20, target=f"/{name}") for weir in (one, two)] == [10, 10]


def test_nobody_waits_longer_than_the_timeout():
    limits = {"api": {"rate": "10000/s", "burst": 1000}}
    with Redis() as redis, instance(redis, limits, timeout="100ms", workers=2) as weir:
        wait_up(weir)
        assert weir.get().status == 200
        redis.pause()
        waits = []
        for _ in range(40):
            began = time.monotonic()
            assert weir.get().status == 200
            waits.append(time.monotonic() - began)
        # Five of each worker have waited for the whole timeout; since then nobody has waited.
        late = [wait for wait in waits if wait > 0.09]
        assert 5 <= len(late) <= 12, waits
        assert max(waits) < 1
        assert weir.metric("weir_rate_limit_store_errors_total", reason="timeout") <= 12
        redis.go_on()
        wait_up(weir)


def test_recovery_does_not_burst():
    limits = {"api": {**SLOW, "burst": 9}}
    with Redis() as redis, instance(redis, limits) as weir:
        wait_up(weir)
        redis.pause()
        wait_for(lambda: redis_is(weir, "degraded"), 20)
        assert admitted(weir, 15) == 10
        redis.go_on()
        wait_up(weir)
        assert admitted(weir, 5) == 0
        time.sleep(1)
        assert admitted(weir, 5) == 0


@pytest.mark.parametrize("spoil, reason", [
    (lambda redis: redis.ask("CONFIG", "SET", "maxmemory", "1"), "memory"),
    (lambda redis: redis.ask("CONFIG", "SET", "min-replicas-to-write", "1"), "disk"),
    (lambda redis: redis.ask("REPLICAOF", "127.0.0.1", "1"), "readonly"),
])
def test_a_redis_that_refuses_to_write(spoil, reason):
    limits = {"api": {**SLOW, "burst": 9}}
    with Redis() as redis, instance(redis, limits) as weir:
        wait_up(weir)
        spoil(redis)
        assert admitted(weir, 15) == 10
        assert weir.metric("weir_rate_limit_store_errors_total", reason=reason) >= 1


def test_a_value_of_somebody_elses_under_the_key():
    limits = {"api": {**SLOW, "burst": 9}}
    with Redis() as redis, instance(redis, limits) as weir:
        wait_up(weir)
        weir.get()
        key = redis.ask("KEYS", "weir:rl:*")[0]
        redis.ask("DEL", key)
        redis.ask("LPUSH", key, "mine")
        assert admitted(weir, 15) == 10  # this instance's share
        assert redis.ask("LRANGE", key, 0, -1) == [b"mine"]
        assert weir.metric("weir_rate_limit_store_errors_total", reason="wrong_type") >= 10
        assert redis_is(weir, "healthy")


def given(count, ahead=360_000_000, stamp=360_000_000, wait=0):
    """What the script gives for one limit of 10/1h: that many."""
    return b"*1\r\n*4\r\n:%d\r\n:%d\r\n:%d\r\n:%d\r\n" % (count, ahead, wait, stamp)


@pytest.mark.parametrize("nonsense", [b"*0\r\n", b"$2\r\nok\r\n", b"*1\r\n*1\r\n:1\r\n", b"$-1\r\n",
                                      b"*1\r\n*4\r\n$1\r\na\r\n:-5\r\n$-1\r\n:-1\r\n",
                                      given(99), given(-1), given(-2), given(1, stamp=-5),
                                      given(0, wait=2**63 - 1), given(0, wait=10**12),
                                      b"*2\r\n" + 2 * given(1)[4:]])
def test_nonsense_is_no_answer(nonsense):
    def answer(words, _):
        is_limit = words[0] == b"EVALSHA" and words[3].startswith(b"weir:rl:")
        return nonsense if is_limit else good_answer(words)

    limits = {"api": {**SLOW, "burst": 2}}
    with FakeRedis(answer) as fake, instance(fake, limits) as weir:
        wait_up(weir)
        found = statuses(weir, 6)
        assert set(found) <= {200, 429} and found.count(200) <= 3
        assert weir.get("/").status == 429
        assert weir.metric("weir_rate_limit_store_errors_total", reason="protocol") >= 1
        weir.wait_line(r"not used: an answer that is not Redis's")


def test_a_key_under_load_costs_redis_little_and_stays_within_its_rate():
    """2000 requests a second and more, for a limit of 1000/s."""
    limits = {"api": {"rate": "1000/s", "burst": 10}}
    with Redis() as redis, instance(redis, limits, workers=2) as one, \
            instance(redis, limits) as two:
        wait_up(one, two)
        calls = redis.calls("evalsha")
        began = time.monotonic()

        def hammer(n):
            good = 0
            while time.monotonic() < began + 3:
                with (one, two)[n % 2].client() as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
                    good += [client.response().status for _ in range(50)].count(200)
            return good, time.monotonic()

        found = in_threads(4, hammer)
        seconds = max(end for _, end in found) - began
        total = sum(good for good, _ in found)
        assert total <= 1000 * seconds * 1.05 + 11 + 50
        asked = sum(weir.metric("weir_rate_limit_total") for weir in (one, two))
        assert redis.calls("evalsha") - calls < asked / 8


def test_four_instances_and_one_key():
    """More than is due, offered by each: all of them together keep to the rate."""
    limits = {"api": {"rate": "100/s", "burst": 5, "key": "host"}}
    with Redis() as redis, instance(redis, limits) as one, instance(redis, limits) as two, \
            instance(redis, limits) as three, instance(redis, limits) as four:
        fleet = (one, two, three, four)
        wait_up(*fleet)
        began = time.monotonic()

        def offer(n):
            good = 0
            while time.monotonic() < began + 3:
                good += admitted(fleet[n], 20)
            return good, time.monotonic()

        found = in_threads(4, offer)
        seconds = max(end for _, end in found) - began
        assert sum(good for good, _ in found) <= 100 * seconds * 1.05 + 6
        assert sum(weir.metric("weir_rate_limit_store_errors_total") for weir in fleet) == 0


def test_it_is_given_back_what_a_limit_of_its_own_refuses():
    limits = {"shared": {**SLOW, "burst": 9}, "own": {**SLOW, "shared": False}}
    routes = [{"path": "/both", "respond": {"status": 200, "body": "ok"},
               "rate_limit": ["shared", "own"]},
              {"path": "/shared", "respond": {"status": 200, "body": "ok"},
               "rate_limit": ["shared"]}]
    with Redis() as redis, instance(redis, limits, routes=routes) as weir:
        wait_up(weir)
        assert statuses(weir, 6, target="/both") == [200] + [429] * 5
        assert admitted(weir, 12, target="/shared") == 9


def test_a_client_that_does_not_wait():
    limits = {"api": {**SLOW, "burst": 9}}
    with Redis() as redis, instance(redis, limits, timeout="300ms") as weir:
        wait_up(weir)
        redis.pause()
        for _ in range(5):
            with weir.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        redis.go_on()
        wait_up(weir)
        assert weir.get().status in (200, 429)


def test_a_reload_while_requests_wait():
    limits = {"api": {**SLOW, "burst": 9}}
    with Redis() as redis, Redis() as other, instance(redis, limits, timeout="5s") as weir:
        wait_up(weir)
        redis.pause()
        with weir.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.2)
            weir.config["redis"]["url"] = f"redis://{other.address}"
            weir.write_config()
            weir.reload()
            assert client.response().status == 200  # by this instance's share, at once
        wait_up(weir)
        with pytest.raises(RedisError):
            other.ask("NONSENSE")
        assert weir.get().status == 200

"""Shared limits where Redis says what it should not, forgets, or is lost to some workers only; what
a reload changes. Rates are so slow that nothing comes back while a test runs."""
import socket
import threading

import pytest

from support.fleet import SLOW, admitted, instance, redis_is, statuses, wait_up
from support.origin import Origin
from support.redis import FakeRedis, Redis, free_port, good_answer
from support.waiting import wait_for

STEP_US = 360_000_000  # of 10/1h
KEY = "header:X-Key"


def given(*limits):
    """What the script gives: for each limit how many, and time ahead."""
    numbers = b"".join(b"*4\r\n:%d\r\n:%d\r\n:0\r\n:%d\r\n" % (count, ahead, ahead)
                       for count, ahead in limits)
    return b"*%d\r\n" % len(limits) + numbers


def asks_limits(words):
    return words[0] == b"EVALSHA" and words[3].startswith(b"weir:rl:")


def is_refund(words):
    return asks_limits(words) and words[3 + int(words[2])] == b"back"


def told(weir, words):
    return [line for line in weir.lines if words in line]


def errors(weir, **labels):
    return weir.metric("weir_rate_limit_store_errors_total", **labels)


@pytest.mark.parametrize("count", [0, -1, 10_001, 1 << 32, (1 << 63) - 1])
def test_a_heartbeat_that_counts_what_cannot_be(count):
    beats = threading.Semaphore(0)

    def answer(words, _):
        if asks_limits(words):
            return b"-WRONGTYPE of somebody else\r\n"  # so that each instance decides alone
        if words[0] == b"EVALSHA" and words[3].endswith(b"instances"):
            beats.release()
            return b":%d\r\n" % count
        return good_answer(words)

    with FakeRedis(answer) as fake, instance(fake, {"api": {**SLOW, "burst": 9}}) as weir:
        for _ in range(2):  # the first one has been read when the second one comes
            assert beats.acquire(timeout=20)
        assert admitted(weir, 15) == 10
        assert weir.metric("weir_redis_instances") == 1


def test_a_raised_limit_holds_from_its_reload_on():
    with Redis() as redis, instance(redis, {"api": {**SLOW, "burst": 1}}) as weir:
        wait_up(weir)
        assert statuses(weir, 4) == [200, 200, 429, 429]
        weir.config["rate_limits"]["api"]["burst"] = 9
        weir.write_config()
        weir.reload()
        assert admitted(weir, 12) == 8


@pytest.mark.parametrize("limit", [{}, {"block_for": "1h"}, {"algorithm": "fixed_window"}])
def test_what_redis_has_forgotten_is_free_again(limit):
    with Redis() as redis, instance(redis, {"api": {**SLOW, **limit}}) as weir:
        wait_up(weir)
        wait_for(lambda: weir.get().status == 429)
        redis.ask("FLUSHALL")
        wait_for(lambda: weir.get().status == 200)
        redis.kill()
        wait_for(lambda: redis_is(weir, "degraded"))
        assert weir.get().status == 200  # of its share: it is not blocked any more


@pytest.mark.parametrize("policy", ["local", "open", "closed"])
@pytest.mark.parametrize("count", ["all", "failures"])
def test_a_block_holds_without_redis(policy, count):
    limits = {"login": {"rate": "3/1h", "burst": 2, "block_for": "1h", "key": KEY, "count": count,
                        "on_store_failure": policy}}
    routes = [{"path": "/", "respond": {"status": 401}, "rate_limit": ["login"]}]
    one, two = [("X-Key", "one")], [("X-Key", "two")]
    with Redis() as redis, instance(redis, limits, routes=routes) as weir:
        wait_up(weir)
        assert statuses(weir, 5, headers=one) == [401] * 3 + [429] * 2
        redis.kill()
        wait_for(lambda: redis_is(weir, "degraded"))
        assert statuses(weir, 3, headers=one) == [429] * 3
        assert statuses(weir, 1, headers=two) == [503 if policy == "closed" else 401]


def test_no_worker_asks_while_another_one_cannot():
    first = []
    broken = threading.Event()

    def answer(words, connection):
        if not first:
            first.append(connection)
        if broken.is_set() and connection is not first[0]:
            connection.shutdown(socket.SHUT_RDWR)
            raise OSError  # and reads no more of it
        return given((1, STEP_US)) if asks_limits(words) else good_answer(words)

    with FakeRedis(answer) as fake, \
            instance(fake, {"api": {**SLOW, "burst": 4}}, workers=2) as weir:
        wait_up(weir)
        assert sum(admitted(weir, 1) for _ in range(20)) == 20  # as that Redis has it
        broken.set()
        # It is noticed by whoever is asked next: who finds it out has one of the share already.
        wait_for(lambda: redis_is(weir, "degraded") or not statuses(weir, 1))
        assert 0 < sum(admitted(weir, 1) for _ in range(40)) <= 5  # the share of the instance
        broken.clear()
        wait_up(weir)
        assert sum(admitted(weir, 1) for _ in range(20)) == 20


def test_errors_of_any_kind_open_the_breaker():
    def answer(words, _):
        return b"-ERR out of sorts\r\n" if asks_limits(words) else good_answer(words)

    with FakeRedis(answer) as fake, instance(fake, {"api": {**SLOW, "burst": 9}}) as weir:
        wait_up(weir)
        wait_for(lambda: statuses(weir, 6) and told(weir, "not used: an error: ERR out of sorts"))
        assert errors(weir, reason="other") >= 5


def test_limits_of_one_store_are_one_question():
    questions = []

    def answer(words, _):
        if not asks_limits(words):
            return good_answer(words)
        count = int(words[2])
        questions.append([key.split(b":")[2] for key in words[3:3 + count]])
        return given(*[(1, STEP_US)] * count)

    limits = {"a": {**SLOW}, "own": {**SLOW, "shared": False, "burst": 99}, "b": {**SLOW}}
    with FakeRedis(answer) as fake, instance(fake, limits) as weir:
        wait_up(weir)
        assert weir.get().status == 200
        assert questions == [[b"a", b"b"]]


def test_another_redis_finds_the_fleet_as_large_as_it_was():
    limits = {"api": {**SLOW, "burst": 19}}
    with Redis() as redis, instance(redis, limits) as one, instance(redis, limits) as two:
        wait_up(one, two)
        one.wait_metric("weir_redis_instances", 2)
        one.config["redis"]["url"] = f"redis://127.0.0.1:{free_port()}"
        one.write_config()
        one.reload()
        assert one.metric("weir_redis_instances") == 2
        assert admitted(one, 20) == 10


def test_what_is_used_is_rounded_up():
    def answer(words, _):
        return given((1, STEP_US + STEP_US // 3)) if asks_limits(words) else good_answer(words)

    with FakeRedis(answer) as fake, instance(fake, {"api": {**SLOW, "burst": 9}}) as weir:
        wait_up(weir)
        assert weir.get().get("RateLimit") == '"api";r=8;t=120'


def test_a_leased_answer_says_when_the_window_ends():
    limits = {"api": {"rate": "2000000/1h", "algorithm": "fixed_window"}}
    with Redis() as redis, instance(redis, limits) as weir:
        wait_up(weir)
        before, asked = redis.calls("evalsha"), 0
        while redis.calls("evalsha") - before > asked / 2 or asked == 0:
            with weir.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
                asked += 500
                states = [client.response().get("RateLimit") for _ in range(500)]
            assert min(int(state.rpartition("t=")[2]) for state in states) > 3000


def test_a_user_with_few_rights_may_give_back():
    limits = {"login": {**SLOW, "count": "failures"},
              "window": {**SLOW, "algorithm": "fixed_window", "count": "failures"}}
    with Redis() as redis:
        redis.ask("ACL", "SETUSER", "weir", "on", ">pass", "resetkeys", "~weir:*", "-@all",
                  "+evalsha", "+script|load", "+select", "+time", "+get", "+set", "+zadd", "+zcard",
                  "+zrange", "+zremrangebyscore", "+pexpire")
        with instance(redis, limits, url=f"redis://weir:pass@{redis.address}") as weir:
            wait_up(weir)
            assert admitted(weir, 30) == 30
            assert errors(weir) == 0


def refunds(answer_to_one):
    def answer(words, _):
        if is_refund(words):
            return answer_to_one
        return given((1, STEP_US)) if asks_limits(words) else good_answer(words)
    return answer


def test_a_refund_that_fails_is_counted():
    limits = {"login": {**SLOW, "count": "failures"}}
    with FakeRedis(refunds(b"-ERR no\r\n")) as fake, instance(fake, limits) as weir:
        wait_up(weir)
        assert weir.get().status == 200
        wait_for(lambda: errors(weir, reason="other") == 1)


def test_a_refund_that_misses_its_script_loads_it():
    loaded = []
    refund = refunds(b"-NOSCRIPT No matching script. Please use EVAL.\r\n")

    def answer(words, connection):
        if words[0] == b"SCRIPT":
            loaded.append(words[2])
        return refund(words, connection)

    limits = {"login": {**SLOW, "count": "failures"}}
    with FakeRedis(answer) as fake, instance(fake, limits) as weir:
        wait_up(weir)
        greeted = len(loaded)
        assert weir.get().status == 200
        wait_for(lambda: len(loaded) == greeted + 1)
        assert b"'back'" in loaded[-1]


@pytest.mark.parametrize("policies, wanted", [
    (("open", "closed"), [503] * 6), (("open", "local"), [200] * 3 + [429] * 3),
    (("closed", "local"), [503] * 6), (("open", "open"), [200] * 6)])
def test_several_limits_without_redis(policies, wanted):
    limits = {f"l{n}": {**SLOW, "burst": 2, "on_store_failure": policy}
              for n, policy in enumerate(policies)}
    with Redis() as redis, instance(redis, limits) as weir:
        wait_up(weir)
        redis.kill()
        wait_for(lambda: redis_is(weir, "degraded"))
        assert statuses(weir, 6) == wanted


def test_a_killed_redis_and_the_next_one_at_its_port():
    port = free_port()
    with Redis(port=port) as redis, instance(redis, {"api": {**SLOW, "burst": 9}}) as weir:
        wait_up(weir)
        assert admitted(weir, 4) == 4
        redis.ask("FLUSHALL")
        assert admitted(weir, 4) == 4
        redis.kill()
        wait_for(lambda: redis_is(weir, "degraded"))
        with Redis(port=port) as next_one:
            wait_up(weir)
            assert admitted(weir, 15) == 10
            assert next_one.calls("evalsha") >= 10


@pytest.mark.parametrize("limit", [{"burst": 9}, {"algorithm": "fixed_window"}])
def test_a_fleet_recovers_without_a_burst(limit):
    limits = {"api": {**SLOW, **limit}}
    with Redis() as redis, instance(redis, limits) as one, instance(redis, limits) as two:
        wait_up(one, two)
        for weir in (one, two):
            weir.wait_metric("weir_redis_instances", 2)
        redis.pause()
        for weir in (one, two):
            wait_for(lambda weir=weir: redis_is(weir, "degraded"), 20)
            assert admitted(weir, 10) == 5
        redis.go_on()
        wait_up(one, two)
        assert [admitted(weir, 10) for weir in (one, two)] == [0, 0]


def test_over_a_unix_socket_and_with_long_keys():
    limits = {"api": {**SLOW, "burst": 2, "key": KEY}}
    with Redis() as redis, \
            instance(redis, limits, url=f"unix://{redis.socket_path}") as weir:
        wait_up(weir)
        for first in "ab":
            assert admitted(weir, 5, headers=[("X-Key", first + "x" * 8191)]) == 3
        keys = redis.ask("KEYS", "weir:rl:*")
        assert len(keys) == 2 and all(len(key) < 64 for key in keys)

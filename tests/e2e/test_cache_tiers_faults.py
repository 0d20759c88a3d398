"""The cache's second tier when Redis fails, or has what nobody can use: clients see answers all the
same."""
import time

import pytest
from support.library import FRESH
from support.redis import FakeRedis, Redis, good_answer
from support.tiers import FROM_REDIS, fill, forged, tiered, told, values, wait_up
from support.waiting import wait_for


def errors(weir, reason):
    return weir.metric("weir_cache_redis_errors_total", reason=reason)


def test_redis_that_hangs_delays_by_little_and_not_for_long(library):
    with Redis() as redis, tiered(library, redis, timeout="50ms") as weir:
        wait_up(redis, weir)
        redis.pause()
        for number in range(20):
            library.set(f"/{number}", str(number).encode())
            assert weir.get(f"/{number}").body == str(number).encode()
        # The first ones have waited for their answers, the others were not even asked.
        assert 5 <= weir.metric("weir_cache_redis_misses_total") <= 8
        assert errors(weir, "timeout") >= 5
        redis.go_on()
        wait_up(redis, weir)
        library.set("/later", b"later")
        weir.get("/later")
        wait_for(lambda: values(redis))


def test_redis_that_dies_is_missed_by_nobody(library):
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"text")
        fill(one, redis)
        redis.kill()
        for target in ("/a", "/b", "/c"):
            library.set(target, b"text")
            assert two.get(target).body == b"text" and one.get(target).body == b"text"
        with Redis(port=redis.port) as again:
            wait_up(again, one, two)
            library.set("/d", b"text")
            fill(one, again, "/d")
            assert told(two.get("/d")) == FROM_REDIS


def cut(value):
    return value[:len(value) // 2]


def flipped(value):
    return value[:-20] + bytes([value[-20] ^ 1]) + value[-19:]


@pytest.mark.parametrize("change", [
    lambda _: b"garbage", lambda _: b"", lambda value: value.replace(b"weir1 ", b"weir9 "),
    cut, flipped, lambda value: value + b"x", lambda value: b"weirvary1 accept",
    lambda value: b"weirvary1 " + b"x," * 400,
], ids=["garbage", "empty", "version", "cut", "flipped", "longer", "vary", "long vary"])
def test_what_is_no_value_is_a_miss(library, change):
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"a text of some length, to be changed")
        fill(one, redis)
        key = values(redis)[0]
        redis.ask("SET", key, change(redis.ask("GET", key)), "PX", 50_000)
        answer = two.get("/a")
        assert answer.status == 200 and answer.get("X-Cache") == "MISS"
        assert answer.body == b"a text of some length, to be changed"
        assert two.metric("weir_cache_redis_hits_total") == 0
        # It is put right: the next one finds it.
        with tiered(library, redis) as three:
            wait_up(redis, three)
            wait_for(lambda: redis.ask("GET", key).startswith(b"weir1 "))
            assert told(three.get("/a")) == FROM_REDIS


def test_bad_values_are_counted(library):
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a")
        fill(one, redis)
        key = values(redis)[0]
        redis.ask("SET", key, flipped(redis.ask("GET", key)), "PX", 50_000)
        two.get("/a")
        assert errors(two, "value") == 1


@pytest.mark.parametrize("old, new", [
    (b"X-Some:12", b"X-Some:1\r"), (b"X-Some:", b"X Some:"), (b"X-Named", b"Trailer"),
    (b"X-Own-Name", b"Connection"), (b"X-Some-Name-Sized", b"Transfer-Encoding"),
    (b"Content-Length:11", b"Content-Length:10"), (b"Wary:*", b"Vary:*"),
    (b"X-Cookies-", b"Set-Cookie"),
], ids=["cr", "blank", "trailer", "connection", "coding", "length", "vary", "cookie"])
def test_a_forged_value_reaches_no_client(library, old, new):
    own = [("X-Some", "12"), ("X-Named", "1"), ("X-Own-Name", "1"), ("X-Some-Name-Sized", "1"),
           ("Wary", "*"), ("X-Cookies-", "1")]
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"some answer", [*FRESH, *own])
        fill(one, redis)
        key = values(redis)[0]
        redis.ask("SET", key, forged(redis.ask("GET", key), old, new), "PX", 50_000)
        answer = two.get("/a")
        assert answer.body == b"some answer" and answer.get("X-Some") == "12"
        assert answer.get("X-Cache") == "MISS"


def test_a_forged_value_of_no_harm_is_taken(library):
    """So that the test above is about what it says."""
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"some answer", [*FRESH, ("X-Some", "12")])
        fill(one, redis)
        key = values(redis)[0]
        redis.ask("SET", key, forged(redis.ask("GET", key), b"X-Some:12", b"X-Some:34"))
        assert two.get("/a").get("X-Some") == "34"


def test_a_value_of_another_kind_is_a_miss(library):
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"text")
        fill(one, redis)
        key = values(redis)[0]
        redis.ask("DEL", key)
        redis.ask("RPUSH", key, "x")
        assert two.get("/a").body == b"text"
        assert errors(two, "wrong_type") == 1


def test_another_ones_value_is_not_taken(library):
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"of a")
        library.set("/b", b"of b")
        fill(one, redis)
        first = values(redis)[0]
        fill(one, redis, "/b", count=2)
        other = next(key for key in values(redis) if key != first)
        redis.ask("SET", first, redis.ask("GET", other), "PX", 50_000)
        assert two.get("/a").body == b"of a" and errors(two, "value") == 1


def test_another_variants_value_is_not_taken(library):
    def ask(weir, language):
        return weir.get("/a", headers=[("Accept-Language", language)])

    library.answers["/a"] = lambda conn, request: conn.answer(
        request.get("Accept-Language"), headers=[*FRESH, ("Vary", "Accept-Language")])
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis, headers=[("Accept-Language", "de")], count=2)
        known = values(redis)
        fill(one, redis, headers=[("Accept-Language", "fr")], count=3)
        french = next(key for key in values(redis) if key not in known)
        for key in known:
            if redis.ask("GET", key).startswith(b"weir1 "):
                redis.ask("SET", key, redis.ask("GET", french), "PX", 50_000)
        assert ask(two, "de").body == b"de" and ask(two, "fr").body == b"fr"


def test_what_was_written_to_while_redis_was_away_does_not_come_back(library):
    def marks():
        return {mark: redis.ask("GET", mark) for mark in redis.ask("KEYS", "weir:cache:url:*")}

    def marked():
        return sum(mark != before[key] for key, mark in marks().items())

    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        for count, target in enumerate(("/a", "/b", "/c"), 1):
            library.set(target, b"old", FRESH)
            fill(two if target == "/b" else one, redis, target, count)
        before = marks()
        redis.ask("CONFIG", "SET", "requirepass", "secret")
        redis.password = "secret"
        redis.ask("CLIENT", "KILL", "TYPE", "normal")
        wait_for(lambda: one.metric("weir_cache_redis_up") == 0)
        for target in ("/a", "/c"):
            with one.client() as client:
                assert client.request("POST", target, (), b"x").status == 200
            library.set(target, b"new", FRESH)
        redis.ask("CONFIG", "SET", "requirepass", "")
        redis.password = None
        wait_up(redis, one, two)
        assert len(values(redis)) == 3 and marked() == 0
        assert one.get("/a").body == b"new"
        # The next one that is looked up has it told.
        assert told(one.get("/b")) == FROM_REDIS
        wait_for(lambda: marked() == 2)
        assert two.get("/c").body == b"new"


@pytest.mark.parametrize("lost", ["weir:purges", "mark"])
def test_what_redis_has_forgotten_proves_nothing(library, lost):
    """Without the list of purges, or without the mark of writes, nobody knows what has happened."""
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"old")
        fill(one, redis)
        library.set("/a", b"new")
        redis.ask("DEL", lost if lost != "mark" else redis.ask("KEYS", "weir:cache:url:*")[0])
        wait_for(lambda: redis.ask("EXISTS", "weir:purges"))  # another one
        assert two.get("/a").body == b"new"


def test_a_mark_that_redis_evicts_comes_back_as_late_as_the_next_value(library):
    with Redis() as redis, tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        library.set("/a", b"old")
        fill(one, redis, "/a?x=1")
        with one.client() as client:
            assert client.request("POST", "/a", (), b"x").status == 200
        library.set("/a", b"new")
        (mark,) = redis.ask("KEYS", "weir:cache:url:*")
        time.sleep(0.02)  # what is asked for in the write's own millisecond is not taken
        redis.ask("DEL", mark)
        fill(one, redis, "/a?x=2", count=2)
        assert redis.ask("EXISTS", mark) == 1
        assert two.get("/a?x=1").body == b"new"
        assert told(two.get("/a?x=2")) == FROM_REDIS


@pytest.mark.parametrize("nonsense", [
    b":1\r\n", b"*1\r\n:1\r\n", b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n", b"$-1\r\n", b"-ERR no\r\n",
    b"*5\r\n:1\r\n:1\r\n:1\r\n$1\r\nx\r\n:1\r\n", b"*5\r\n:4\r\n:1\r\n:1\r\n$1\r\nx\r\n$-1\r\n",
    b"*5\r\n:9\r\n:1\r\n:1\r\n$1\r\nx\r\n$-1\r\n", b"$999999999\r\n",
])
def test_nonsense_is_a_miss(library, nonsense):
    def answer(words, _):
        get = words[0].upper() == b"EVALSHA" and words[2] == b"3" and b":cache:" in words[3]
        return nonsense if get else good_answer(words)

    with FakeRedis(answer) as redis, tiered(library, redis) as weir:
        wait_for(lambda: weir.metric("weir_cache_redis_up") == 1, 20)
        library.set("/a", b"text")
        assert weir.get("/a").body == b"text"
        assert weir.metric("weir_cache_redis_misses_total") == 1


def test_it_is_switched_by_a_reload(library):
    with Redis() as redis, tiered(library, redis, tier={"enabled": False}) as weir:
        library.set("/a")
        library.set("/b")
        weir.get("/a")
        assert "weir_cache_redis_up" not in weir.metrics()
        weir.config["cache"]["redis"]["enabled"] = True
        weir.write_config()
        weir.reload()
        wait_up(redis, weir)
        fill(weir, redis, "/b")
        weir.config["cache"]["redis"]["enabled"] = False
        weir.write_config()
        weir.reload()
        assert weir.get("/b").get("X-Cache") == "HIT"
        assert "weir_cache_redis_up" not in weir.metrics()

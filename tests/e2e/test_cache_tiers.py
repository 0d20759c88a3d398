"""The cache's second tier: what one instance has stored, others have without asking the server, as
old as it is, and for no longer."""
import subprocess
import threading

import pytest

from support.library import FRESH, conditional
from support.redis import Redis
from support.tiers import FROM_REDIS, fill, purge, send_purge, tiered, told, values, wait_up
from support.waiting import in_threads, wait_for
from support.weir import binary


@pytest.fixture(scope="module", name="server")
def one_server():
    with Redis() as redis:
        yield redis


@pytest.fixture(name="redis")
def empty_redis(server):
    server.ask("FLUSHALL")
    return server


def test_what_one_has_stored_another_has_at_its_age(library, redis):
    library.set("/a", b"text", [("Cache-Control", "max-age=100"), ("Age", "40"),
                                ("X-Own", "yes"), ("Connection", "X-Hop"), ("X-Hop", "1")])
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis)
        wait_for(lambda: int(one.get("/a").get("Age")) >= 42)
        first = two.get("/a")
        assert first.body == b"text" and first.status == 200
        assert told(first) == FROM_REDIS and first.get("X-Cache") == "HIT"
        assert 42 <= int(first.get("Age")) < 100
        assert first.get("X-Own") == "yes" and first.get("X-Hop") is None
        asked = redis.calls("get")
        assert told(two.get("/a")) == "weir; hit"
        assert redis.calls("get") == asked and library.count("/a") == 1
        assert 0 < redis.ask("PTTL", values(redis)[0]) <= 60_000
        assert two.metric("weir_cache_redis_hits_total") == 1
        assert one.metric("weir_cache_redis_writes_total") == 1
        assert two.metric("weir_cache_redis_writes_total") == 0
        assert all(redis.ask("PTTL", key) > 0 for key in redis.ask("KEYS", "weir:*"))


def test_an_instance_that_begins_has_what_is_there(library, redis):
    library.set("/a", b"x" * 300_000)
    with tiered(library, redis) as one:
        wait_up(redis, one)
        fill(one, redis)
    with tiered(library, redis) as two:
        wait_up(redis, two)
        answer = two.get("/a")
        assert told(answer) == FROM_REDIS and answer.body == b"x" * 300_000
        part = two.get("/a", headers=[("Range", "bytes=0-2")])
        assert part.status == 206 and part.body == b"xxx"


def test_time_does_not_begin_anew_in_another_instance(library, redis):
    library.set("/a", b"old", [("Cache-Control", "max-age=1000"), ("Age", "995")])
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis)
        answer = two.get("/a")
        assert told(answer) == FROM_REDIS
        ages = []
        while answer.get("X-Cache") == "HIT":
            ages.append(int(answer.get("Age")))
            answer = two.get("/a")
        assert min(ages) >= 995 and max(ages) < 1000
        assert library.count("/a") == 2


def test_what_is_validated_is_good_for_all(library, redis):
    library.answers["/a"] = conditional('"1"', b"text", [("Cache-Control", "max-age=2")])
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis)
        wait_for(lambda: not values(redis))
        library.answers["/a"] = conditional('"1"', b"text", FRESH)
        assert one.get("/a").get("X-Cache") == "REVALIDATED"
        wait_for(lambda: values(redis))
        answer = two.get("/a")
        assert told(answer) == FROM_REDIS and answer.body == b"text"


def test_one_of_many_asks(library, redis):
    library.set("/a", b"text")
    with tiered(library, redis) as one, tiered(
            library, redis, workers=2, timeout="10s") as two:
        wait_up(redis, one, two)
        fill(one, redis)
        redis.pause()
        all_wait = threading.Thread(target=lambda: (
            wait_for(lambda: two.metric("requests_in_flight") >= 20), redis.go_on()))
        all_wait.start()
        answers = in_threads(20, lambda _: two.get("/a"))
        all_wait.join()
        assert {answer.body for answer in answers} == {b"text"}
        assert {answer.get("X-Cache") for answer in answers} == {"HIT"}
        assert two.metric("weir_cache_redis_hits_total") == 1 and library.count("/a") == 1


def test_variants_are_told_apart(library, redis):
    library.answers["/a"] = lambda conn, request: conn.answer(
        f"in {request.get('Accept-Language')}", headers=[*FRESH, ("Vary", "Accept-Language")])

    def ask(weir, language):
        return weir.get("/a", headers=[("Accept-Language", language)])

    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis, headers=[("Accept-Language", "de")], count=2)
        fill(one, redis, headers=[("Accept-Language", "fr")], count=3)
        for language in ("fr", "de"):
            answer = ask(two, language)
            assert told(answer) == FROM_REDIS and answer.body == f"in {language}".encode()
        assert ask(two, "it").body == b"in it"
        assert library.count("/a") == 3


def test_each_makes_codings_of_its_own(library, redis):
    library.set("/a", b"words and words " * 500, [*FRESH, ("Content-Type", "text/plain")])
    coded = {"compression": {}}
    gzip = [("Accept-Encoding", "gzip")]
    with tiered(library, redis, site=coded) as one, tiered(library, redis, site=coded) as two:
        wait_up(redis, one, two)
        fill(one, redis, headers=gzip)
        assert two.get("/a").body == b"words and words " * 500
        assert two.get("/a", headers=gzip).get("Content-Encoding") == "gzip"
        assert library.count("/a") == 1


def test_codings_of_the_server_stay_apart(library, redis):
    def answer(conn, request):
        accepted = request.get("Accept-Encoding")
        more = [("Content-Encoding", "br")] if accepted == "br" else []
        conn.answer(f"as {accepted}", headers=[*FRESH, ("Vary", "Accept-Encoding"), *more])

    library.answers["/a"] = answer
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis, headers=[("Accept-Encoding", "br")], count=2)
        assert two.get("/a").body == b"as None"
        coded = two.get("/a", headers=[("Accept-Encoding", "br")])
        assert coded.get("Content-Encoding") == "br" and coded.body == b"as br"
        assert told(coded) == FROM_REDIS


def test_what_must_not_be_shared_is_not_there(library, redis):
    bearer = [("Authorization", "Bearer x")]
    library.set("/private", headers=[("Cache-Control", "private, max-age=60")])
    library.set("/cookie", headers=[("Cache-Control", "public, max-age=60"), ("Set-Cookie", "a=b")])
    library.set("/authorized", headers=[("Cache-Control", "public, max-age=60")])
    library.set("/unfresh", headers=[("Cache-Control", "no-cache"), ("ETag", '"1"')])
    library.set("/brief", headers=[("Cache-Control", "max-age=60"), ("Age", "60"), ("ETag", '"1"')])
    library.set("/last")
    with tiered(library, redis, {"store_set_cookie": True}) as weir:
        wait_up(redis, weir)
        for path in ("/private", "/cookie", "/unfresh", "/brief"):
            weir.get(path)
        weir.get("/authorized", headers=bearer)
        assert weir.get("/cookie").get("X-Cache") == "HIT"
        assert weir.get("/authorized", headers=bearer).get("X-Cache") == "HIT"
        fill(weir, redis, "/last")
        assert len(values(redis)) == 1


def test_what_is_too_large_is_not_there(library, redis):
    library.set("/large", b"x" * 2000)
    library.set("/exact", b"x" * 1024)
    with tiered(library, redis, tier={"max_object": "1KiB"}) as weir:
        wait_up(redis, weir)
        weir.get("/large")
        fill(weir, redis, "/exact")
        assert len(values(redis)) == 1
        assert weir.get("/large").get("X-Cache") == "HIT"
        assert weir.metric("weir_cache_redis_skipped_total") == 1


def test_others_may_have_other_bounds(library, redis):
    library.set("/a", b"x" * 300_000)
    with tiered(library, redis) as one, tiered(library, redis, tier={"max_object": "1KiB"}) as two:
        wait_up(redis, one, two)
        fill(one, redis)
        assert two.get("/a").get("X-Cache") == "MISS"
        assert two.metric("weir_cache_redis_misses_total") == 1
        assert two.metric("weir_cache_redis_errors_total") == 0


def test_a_value_outlives_many_purges_of_others_but_not_any_number(library, redis):
    library.set("/a", b"text")
    with tiered(library, redis) as one:
        wait_up(redis, one)
        fill(one, redis)
        last = int(redis.ask("ZRANGE", "weir:purges", -1, -1, "WITHSCORES")[1])

        def add(first, count):
            pairs = [(last + i, f"other.{i} th none") for i in range(first, first + count)]
            redis.ask("ZADD", "weir:purges", *(word for pair in pairs for word in pair))

        add(1, 998)  # and one of each that comes up
        with tiered(library, redis) as two, tiered(library, redis) as three:
            wait_up(redis, two, three)
            assert told(two.get("/a")) == FROM_REDIS
            add(1001, 1)
            assert three.get("/a").get("X-Cache") == "MISS"


def test_a_request_that_wants_it_new_asks_the_server(library, redis):
    library.set("/a", b"old")
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis)
        library.set("/a", b"new")
        assert two.get("/a", headers=[("Cache-Control", "no-cache")]).body == b"new"


@pytest.mark.parametrize("what", [
    {"url": "http://test/a?y=2&x=1"}, {"prefix": "http://test/a"}, {"tag": "t"}, {"all": True},
], ids=["url", "prefix", "tag", "all"])
@pytest.mark.parametrize("soft", [False, True])
def test_purges_reach_what_is_there(library, redis, what, soft):
    library.set("/a", b"old", [*FRESH, ("Cache-Tag", "s t")])
    library.set("/b", b"other", [*FRESH, ("Cache-Tag", "s")])
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis, "/a?x=1&y=2")
        fill(one, redis, "/b", count=2)
        library.set("/a", b"new", [*FRESH, ("Cache-Tag", "s t")])
        purge(one, redis, soft=soft, **what)
        # The other one, which has never had it, need not have heard of the purge.
        assert two.get("/a?x=1&y=2").body == b"new"
        assert one.get("/a?x=1&y=2").body == b"new"
        if "all" not in what:
            assert told(two.get("/b")) == FROM_REDIS


def test_a_purge_holds_at_once_where_it_was_asked_for(library, redis):
    library.set("/a", b"0", FRESH)
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis)
        for number in range(1, 20):
            library.set("/a", str(number).encode(), FRESH)
            send_purge(one, url="http://test/a")
            assert one.get("/a").body == str(number).encode()


def test_what_redis_was_not_told_of_is_not_asked_for_there(library, redis):
    library.set("/a", b"old", FRESH)
    with tiered(library, redis) as one:
        wait_up(redis, one)
        fill(one, redis)
        redis.ask("ACL", "SETUSER", "default", "-zadd")  # as if the list could not be reached
        try:
            send_purge(one, url="http://test/a")
            library.set("/a", b"new", FRESH)
            assert one.get("/a").body == b"new"
        finally:
            redis.ask("ACL", "SETUSER", "default", "+zadd")


def written(weir, redis):
    with weir.client() as client:
        assert client.request("POST", "/a", (), b"x").status == 200
    wait_for(lambda: redis.ask("KEYS", "weir:cache:url:*"))


@pytest.mark.parametrize("happens", [
    lambda weir, redis: purge(weir, redis, url="http://test/a"), written], ids=["purge", "write"])
def test_what_was_asked_for_before_is_void_in_all(library, redis, happens):
    asked, go = threading.Event(), threading.Event()

    def slow(conn, _):
        asked.set()
        assert go.wait(10)
        conn.answer(b"old", headers=FRESH)

    library.answers["/a"] = lambda conn, request: (
        slow(conn, request) if request.method == "GET" else conn.answer(b"done"))
    with tiered(library, redis) as one, tiered(library, redis) as two, tiered(
            library, redis) as three:
        wait_up(redis, one, two, three)
        got = []
        client = threading.Thread(target=lambda: got.append(one.get("/a")))
        client.start()
        assert asked.wait(10)
        happens(two, redis)
        go.set()
        client.join()
        assert got[0].body == b"old"
        wait_for(lambda: one.metric("weir_cache_redis_writes_total") == 1)
        library.set("/a", b"new")
        assert three.get("/a").body == b"new"


def test_a_write_is_good_at_once_here_and_for_what_others_find(library, redis):
    library.set("/a", b"0")
    with tiered(library, redis) as one, tiered(library, redis) as two:
        wait_up(redis, one, two)
        fill(one, redis, "/a?x=1")
        for number in range(1, 20):
            library.set("/a", str(number).encode())
            with one.client() as client:
                assert client.request("POST", "/a", (), b"x").status == 200
            assert one.get("/a?x=1").body == str(number).encode()
        marks = redis.ask("KEYS", "weir:cache:url:*")
        assert marks and all(redis.ask("PTTL", mark) > 0 for mark in marks)
        assert two.get("/a?x=1").body == b"19"


def test_explain_tells_of_it(library, redis):
    with tiered(library, redis) as weir:
        def explain(*options):
            return subprocess.run([binary(), "explain", "-c", weir.path, *options, "http://test/a"],
                                  capture_output=True, text=True, check=True).stdout
        assert "Redis: asked before the server is; gets bodies of up to 1048576 bytes" in explain()
        assert "Redis: not used" in explain("-H", "Authorization: Bearer x")

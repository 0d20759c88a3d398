"""What operators see of the cache and do with it: /cache, purges, metrics, weir purge, explain."""
import json
import os
import signal
import subprocess
import time

import pytest
from support.fleet import redis_is, wait_up
from support.library import FRESH, Library
from support.raw import RawClient
from support.redis import Redis
from support.waiting import wait_for
from support.weir import binary, proxy

TAGGED = FRESH + [("Cache-Tag", "a, b")]


@pytest.fixture
def library():
    made = Library()
    yield made
    made.origin.stop()


def cached(library, cache=None, route=None, **options):
    cache = {"tags": "Cache-Tag", **(cache or {})}
    return proxy(library.origin, route={"cache": cache, **(route or {})}, **options)


def result(weir, target, **options):
    return weir.get(target, **options).get("X-Cache")


def keep(weir, *targets):
    for target in targets:
        result(weir, target)
        assert result(weir, target) == "HIT"


def post(weir, body, path="/cache/purge", headers=()):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    host, _, port = weir.admin_address.rpartition(":")
    with RawClient((host, int(port))) as client:
        answer = client.request("POST", path, headers, body, host=weir.admin_address)
    return answer.status, json.loads(answer.body)


def purge(weir, **what):
    status, body = post(weir, what)
    assert status == 200, body
    return body["purged"]


def command(weir, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "WEIR_ADMIN_TOKEN"}
    return subprocess.run([binary(), "purge", "--admin", weir.admin_address, *arguments],
                          capture_output=True, text=True, timeout=30, check=False, env=environment)


# ---- one instance ----

def test_a_purged_url_is_fetched_again_and_no_other(library):
    library.set("/a")
    library.set("/ab")
    with cached(library) as weir:
        keep(weir, "/a", "/a?x=1", "/ab")
        assert purge(weir, url="http://TEST/a") == 1
        assert result(weir, "/a") == "MISS"
        assert result(weir, "/a?x=1") == "HIT" and result(weir, "/ab") == "HIT"
        assert purge(weir, url="http://test:80/nowhere") == 0
        assert purge(weir, url="https://test/ab") == 0  # another scheme, another URL
        assert weir.metric("weir_cache_purged_total") == 1


def test_the_order_of_parameters_does_not_matter_where_the_route_sorts_them(library):
    library.set("/a")
    key = {"query": "sorted", "ignore_query": ["utm_*"]}
    with cached(library, {"key": key}) as weir:
        keep(weir, "/a?b=2&a=1&utm_x=3")
        assert purge(weir, url="http://test/a?utm_y=9&a=1&b=2") == 1
        assert result(weir, "/a?a=1&b=2") == "MISS"


def test_a_purge_takes_all_variants_of_a_url(library):
    library.set("/a", headers=FRESH + [("Vary", "X-Kind")])
    with cached(library, {"key": {"headers": ["X-Tenant"]}}) as weir:
        for tenant in "ab":
            for kind in "12":
                result(weir, "/a", headers=[("X-Tenant", tenant), ("X-Kind", kind)])
        assert weir.metric("weir_cache_objects") == 4
        assert purge(weir, url="http://test/a") == 4
        assert weir.metric("weir_cache_objects") == 0


def test_prefix_tag_and_all(library):
    library.set("/shop/1", headers=TAGGED)
    library.set("/shop/2")
    library.set("/other", headers=FRESH + [("Cache-Tag", "b")])
    with cached(library) as weir:
        keep(weir, "/shop/1", "/shop/2", "/other")
        assert purge(weir, prefix="http://test/shop/") == 2
        assert result(weir, "/shop/1") == "MISS" and result(weir, "/other") == "HIT"
        keep(weir, "/shop/1")
        assert purge(weir, tag="b") == 2
        assert result(weir, "/shop/1") == "MISS" and result(weir, "/other") == "MISS"
        assert purge(weir, tag="nobody's") == 0
        keep(weir, "/shop/1", "/shop/2", "/other")
        assert purge(weir, all=True) == 3
        assert [result(weir, t) for t in ("/shop/1", "/shop/2", "/other")] == ["MISS"] * 3


def test_a_soft_purge_has_answers_validated(library):
    library.set("/a", headers=FRESH + [("ETag", '"1"')])
    with cached(library) as weir:
        keep(weir, "/a")
        assert purge(weir, url="http://test/a", soft=True) == 1
        library.set("/a", b"", [("ETag", '"1"')], "304 Not Modified")
        assert result(weir, "/a") == "REVALIDATED"
        assert library.last().get("If-None-Match") == '"1"'
        assert result(weir, "/a") == "HIT"
        assert purge(weir, all=True, soft=True) == 1
        assert result(weir, "/a") == "REVALIDATED"


@pytest.mark.parametrize("body, status, words", [
    (b"", 400, "no JSON"),
    (b"url=http://test/", 400, "no JSON"),
    (b"{}", 400, "the body is"),
    (b'{"url": "/a"}', 400, "a URL is absolute"),
    (b'{"url": "http://test/", "all": true}', 400, "one thing at a time"),
    (b'{"all": true, "soft": 1}', 400, "soft is true or false"),
    (b'{"tag": "' + b"t" * 9000 + b'"}', 400, "longer than 8192"),
    (b'{"tag": "' + b"t" * 20_000 + b'"}', 413, "too large"),
])
def test_a_bad_body_purges_nothing_and_says_why(library, body, status, words):
    library.set("/a")
    with cached(library) as weir:
        keep(weir, "/a")
        got, answer = post(weir, body)
        assert got == status and words in answer["error"]
        assert result(weir, "/a") == "HIT"


def test_who_may_purge(library):
    library.set("/a")
    with cached(library, admin={"address": "127.0.0.1:0", "token": "secret"}) as weir:
        keep(weir, "/a")
        with pytest.raises(json.JSONDecodeError):  # a text page
            post(weir, {"all": True})
        assert weir.admin("/cache")[0] == 401
        with pytest.raises(json.JSONDecodeError):
            post(weir, {"all": True}, headers=[("Authorization", "Bearer secret"),
                                               ("Origin", "http://elsewhere.example")])
        assert result(weir, "/a") == "HIT"
        assert post(weir, {"all": True}, headers=[("Authorization", "Bearer secret")])[0] == 200
        assert result(weir, "/a") == "MISS"
        assert weir.admin("/cache/purge", token="secret")[0] == 405


def test_the_page_of_the_cache(library):
    library.set("/much", b"x" * 50_000)
    library.set("/often", b"y")
    library.set("/gone", status="404 Not Found")
    with cached(library, {"error_ttl": "1m"}) as weir:
        keep(weir, "/much", "/often", "/often", "/gone")
        status, text = weir.admin("/cache")
        page = json.loads(text)
        assert status == 200
        assert page["objects"] == page["keys"] == 3 and page["insertions"] == 3
        assert 50_000 < page["bytes"] <= page["memory_bytes"]
        assert page["requests"]["hit"] == page["hits"] == 5 and page["requests"]["miss"] == 3
        first = page["top_by_hits"][0]
        assert first["key"] == "http://test/often\nv=3:app" and first["hits"] == 3
        assert first["status"] == 200 and first["age_s"] < 30 and first["secondary"] == ""
        assert page["top_by_bytes"][0]["key"] == "http://test/much\nv=3:app"
        assert {line["status"] for line in page["top_by_hits"]} == {200, 404}
        assert len(json.loads(weir.admin("/cache?top=1")[1])["top_by_bytes"]) == 1
        assert weir.admin("/cache?top=x")[0] == 400
        assert "/cache/purge" in weir.admin("/")[1]
        for name, value in {"objects": 3, "hits_total": 5, "misses_total": 3, "evictions_total": 0,
                            "insertions_total": 3, "expirations_total": 0}.items():
            assert weir.metric(f"weir_cache_{name}") == value
        assert weir.metric("weir_cache_requests_total", result="hit") == 5
        assert weir.metric("weir_cache_bytes") > 50_000


def test_without_a_cache_there_is_nothing_to_purge(library):
    with proxy(library.origin) as weir:
        assert weir.admin("/cache")[0] == 404
        assert post(weir, {"all": True}) == (404, {"error": "no route has a cache"})
        done = command(weir, "--all")
        assert done.returncode == 1 and done.stderr == "weir: no route has a cache\n"


def test_the_command(library):
    library.set("/a", headers=TAGGED)
    with cached(library) as weir:
        for arguments in (["http://test/a"], ["--prefix", "http://test/"], ["--tag", "a"],
                          ["--all"], ["--soft", "--tag", "a"]):
            keep(weir, "/a")
            done = command(weir, *arguments)
            assert (done.returncode, done.stdout, done.stderr) == (0, "purged: 1 answer\n", "")
            assert result(weir, "/a") == "MISS"
        done = command(weir, "/a")
        assert done.returncode == 1 and "a URL is absolute" in done.stderr
        assert command(weir).returncode not in (0, 1)  # of the command line's grammar
        assert command(weir, "--all", "--tag", "a").returncode not in (0, 1)


def test_explain_shows_the_key_and_why(library):
    key = {"ignore_query": ["utm_*"], "headers": ["X-Tenant"], "cookies": ["lang"]}
    with cached(library, {"key": key}) as weir:
        def explain(*arguments):
            url = f"http://Test:{weir.address[1]}/a?b=2&a=1&utm_x=9"
            done = subprocess.run([binary(), "explain", "-c", weir.path, *arguments, url],
                                  capture_output=True, text=True, timeout=30, check=False)
            return done.stdout

        text = explain("-H", "X-Tenant: acme", "-H", "Cookie: lang=de")
        assert f"cache      key http://test:{weir.address[1]}/a?a=1&b=2\n" in text
        for line in ("query sorted by name, without utm_*", "header X-Tenant: acme",
                     "cookie lang: de"):
            assert f"           {line}\n" in text
        assert "not used: answers to PUT are not kept; a good one makes" in explain("-X", "PUT")
        assert "not used: If-Match" in explain("-H", 'If-Match: "1"')
        assert "not used: it asks for an upgrade" in explain(
            "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H",
            "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        for field, words in {"Authorization: Basic x": "only what is public",
                             "Cache-Control: no-store": "no-store: the server's answer is not kept",
                             "Cache-Control: no-cache": "what is kept is validated first",
                             "Pragma: no-cache": "what is kept is validated first",
                             "Cache-Control: only-if-cached": "504 where nothing is kept",
                             "Range: bytes=0-1": "Range: cut out of what is kept",
                             'If-None-Match: "1"': "its condition is answered"}.items():
            assert words in explain("-H", field), field
        assert "a hit answers it; a miss is not kept" in explain("-X", "HEAD")


# ---- several instances and a Redis ----

def member(library, redis, **options):
    """One of a fleet. Its cache is by the same name as the others', whatever its port."""
    return cached(library, redis={"url": f"redis://{redis.address}", "timeout": "500ms"}, **options)


def told(redis):
    return redis.ask("ZCARD", "weir:purges")


def meet(redis, *weirs):
    """Until each has its place in the list: it tells a second time when it has heard the first."""
    wait_up(*weirs)
    for weir in weirs * 2:
        before = told(redis)
        purge(weir, url="http://nowhere.test/")
        wait_for(lambda before=before: told(redis) > before, 20)


def wait_result(weir, target, wanted, seconds=10):
    """HITs until then. How long it took."""
    begun = time.monotonic()
    while True:
        got = result(weir, target)
        if got == wanted:
            return time.monotonic() - begun
        assert got == "HIT"
        assert time.monotonic() - begun < seconds, "it was never purged"
        time.sleep(0.02)


def test_a_purge_reaches_the_other_instance(library):
    library.set("/a", headers=TAGGED)
    library.set("/b", headers=FRESH + [("ETag", '"1"')])
    with Redis() as redis, member(library, redis) as one, member(library, redis, workers=3) as two:
        meet(redis, one, two)
        for what in ({"url": "http://test/a"}, {"prefix": "http://test/a"}, {"tag": "a"},
                     {"all": True}):
            keep(one, "/a")
            keep(two, "/a")
            assert purge(one, **what) >= 1
            assert result(one, "/a") == "MISS"
            wait_result(two, "/a", "MISS")
        keep(one, "/a")
        keep(two, "/a", "/b")
        purge(two, url="http://test/a")
        wait_result(one, "/a", "MISS")
        assert result(two, "/b") == "HIT"  # its own purge does not come back as another one's
        purge(one, url="http://test/b", soft=True)
        time.sleep(1)
        library.set("/b", b"", [("ETag", '"1"')], "304 Not Modified")
        assert result(two, "/b") == "REVALIDATED"
        assert not [line for line in one.lines + two.lines if "may have been missed" in line]


def test_what_was_purged_while_redis_hung_is_heard_afterwards(library):
    library.set("/a")
    library.set("/b")
    with Redis() as redis, member(library, redis) as one, member(library, redis) as two:
        meet(redis, one, two)
        keep(one, "/a")
        keep(two, "/a", "/b")
        redis.pause()
        begun = time.monotonic()
        assert purge(one, url="http://test/a") == 1  # at once here, whatever Redis does
        assert time.monotonic() - begun < 5
        assert result(one, "/a") == "MISS" and result(two, "/a") == "HIT"
        redis.go_on()
        wait_result(two, "/a", "MISS", 20)
        assert result(two, "/b") == "HIT"


def test_what_was_purged_without_redis_is_told_when_it_is_back(library):
    library.set("/a")
    library.set("/b", headers=FRESH + [("ETag", '"1"')])
    with Redis() as redis, member(library, redis) as one, member(library, redis) as two:
        meet(redis, one, two)
        keep(one, "/a")
        keep(two, "/a", "/b")
        redis.kill()
        wait_for(lambda: redis_is(one, "degraded") and redis_is(two, "degraded"), 20)
        assert purge(one, url="http://test/a") == 1
        assert result(two, "/a") == "HIT"
        redis.start()  # and has forgotten all
        wait_up(one, two)
        wait_result(two, "/a", "MISS", 20)
        # What nobody can tell any more may have been purged: it is validated.
        library.set("/b", b"", [("ETag", '"1"')], "304 Not Modified")
        assert result(two, "/b") == "REVALIDATED"
        two.wait_line("may have been missed")


def test_a_list_that_is_gone_voids_what_is_kept(library):
    library.set("/a", headers=FRESH + [("ETag", '"1"')])
    with Redis() as redis, member(library, redis) as one:
        meet(redis, one)
        keep(one, "/a")
        redis.ask("FLUSHALL")
        one.wait_line("may have been missed")
        library.set("/a", b"", [("ETag", '"1"')], "304 Not Modified")
        assert result(one, "/a") == "REVALIDATED"
        assert result(one, "/a") == "HIT"
        meet(redis, one)
        keep(one, "/a")
        assert len([line for line in one.lines if "may have been missed" in line]) == 1


def test_an_instance_that_slept_hears_what_it_missed(library):
    library.set("/a")
    library.set("/b")
    with Redis() as redis, member(library, redis) as one, member(library, redis) as two:
        meet(redis, one, two)
        keep(two, "/a", "/b")
        before = told(redis)
        two.pause()
        for i in range(300):  # more than one answer of Redis holds
            purge(one, url=f"http://test/none/{i}")
        purge(one, url="http://test/a")
        wait_for(lambda: told(redis) == before + 301, 20)
        two.signal(signal.SIGCONT)
        wait_result(two, "/a", "MISS", 20)
        assert result(two, "/b") == "HIT"


def test_an_instance_that_slept_for_too_long_validates_all(library):
    library.set("/a", headers=FRESH + [("ETag", '"1"')])
    with Redis() as redis, member(library, redis) as one:
        meet(redis, one)
        keep(one, "/a")
        one.pause()
        newest = int(redis.ask("ZREVRANGE", "weir:purges", "0", "0", "WITHSCORES")[1])
        words = []
        for i in range(1, 3):
            words += [newest + i, f"other.{i} uh http://test/none"]
        redis.ask("ZADD", "weir:purges", *words)
        redis.ask("ZREMRANGEBYRANK", "weir:purges", "0", "-2")  # as if many had come
        one.signal(signal.SIGCONT)
        one.wait_line("may have been missed")
        library.set("/a", b"", [("ETag", '"1"')], "304 Not Modified")
        assert result(one, "/a") == "REVALIDATED"


def test_garbage_in_the_list_does_no_harm(library):
    library.set("/a", headers=FRESH + [("ETag", '"1"')])
    with Redis() as redis, member(library, redis) as one:
        meet(redis, one)
        keep(one, "/a")
        redis.ask("SET", "weir:purges", "a text")  # of another type: the script fails
        time.sleep(1)
        assert result(one, "/a") == "HIT"
        redis.ask("DEL", "weir:purges")
        one.wait_line("may have been missed", 20)
        newest = int(redis.ask("ZREVRANGE", "weir:purges", "0", "0", "WITHSCORES")[1])
        redis.ask("ZADD", "weir:purges", newest + 1, "other.1 zz of a newer weir")
        wait_for(lambda: len([x for x in one.lines if "may have been missed" in x]) == 2, 20)
        assert one.admin("/cache")[0] == 200


def test_a_write_is_a_matter_of_its_instance(library):
    library.set("/a")
    with Redis() as redis, member(library, redis) as one, member(library, redis) as two:
        meet(redis, one, two)
        keep(one, "/a")
        keep(two, "/a")
        one_client = one.client()
        with one_client:
            assert one_client.request("PUT", "/a", body=b"x").status == 200
        assert result(one, "/a") == "MISS"
        time.sleep(1)
        assert result(two, "/a") == "HIT"

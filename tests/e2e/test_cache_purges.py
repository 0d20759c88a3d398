"""What the cache's store has to get right while servers are asked: purges that come meanwhile,
codings of answers that are brought up to date, what goes when its time is over."""
import json
import random
import subprocess
import threading

import pytest
from support.library import FRESH, Library
from support.raw import RawClient
from support.waiting import wait_for
from support.weir import proxy

BRIEF = [("Cache-Control", "max-age=1"), ("ETag", '"1"')]


@pytest.fixture
def library():
    made = Library()
    yield made
    made.origin.stop()


def cached(library, cache=None, **route):
    return proxy(library.origin, route={"cache": {"tags": "Cache-Tag", **(cache or {})}, **route})


def result(weir, target):
    return weir.get(target).get("X-Cache")


def purge(weir, **what):
    host, _, port = weir.admin_address.rpartition(":")
    with RawClient((host, int(port))) as client:
        answer = client.request("POST", "/cache/purge", (), json.dumps(what).encode(),
                                host=weir.admin_address)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["purged"]


class Gate:
    """An origin's handler that holds its answer back until it is let go."""

    def __init__(self, **answer):
        self.answer = answer
        self.asked = threading.Event()
        self.go = threading.Event()

    def __call__(self, conn, request):
        self.asked.set()
        assert self.go.wait(10)
        return conn.answer(**self.answer)


def while_asked(weir, target, gate, then):
    """What a GET gets during which `then` happens, after its request has reached the server."""
    got = []
    client = threading.Thread(target=lambda: got.append(weir.get(target)))
    client.start()
    try:
        assert gate.asked.wait(10)
        then()
    finally:
        gate.go.set()
        client.join()
    return got[0]


@pytest.mark.parametrize("what", [
    {"url": "http://test/a"}, {"prefix": "http://test/"}, {"tag": "t"}, {"all": True},
], ids=["url", "prefix", "tag", "all"])
def test_a_soft_purge_during_a_revalidation_holds(library, what):
    library.set("/a", headers=[("Cache-Control", "no-cache"), *BRIEF[1:], ("Cache-Tag", "t")])
    with cached(library) as weir:
        weir.get("/a")
        gate = Gate(body=b"", status="304 Not Modified", headers=FRESH + [("ETag", '"1"')])
        library.answers["/a"] = gate
        answer = while_asked(weir, "/a", gate, lambda: purge(weir, soft=True, **what))
        assert answer.get("X-Cache") == "REVALIDATED"
        assert result(weir, "/a") == "REVALIDATED"  # the server is asked once more
        assert result(weir, "/a") == "HIT"


def test_purges_of_other_tags_keep_nothing_from_being_stored(library):
    gate = Gate(body=b"x", headers=FRESH + [("Cache-Tag", "mine")])
    library.answers["/a"] = gate
    with cached(library) as weir:
        def others():
            for number in range(20):
                purge(weir, tag=f"other-{number}")
        while_asked(weir, "/a", gate, others)
        assert result(weir, "/a") == "HIT"


@pytest.mark.parametrize("soft", [False, True])
def test_a_tag_that_an_answer_turns_out_to_have(library, soft):
    gate = Gate(body=b"old", headers=FRESH + [("Cache-Tag", "mine")])
    library.answers["/a"] = gate
    with cached(library) as weir:
        def purged():
            purge(weir, tag="mine", soft=soft)
            library.set("/a", b"new", FRESH + [("Cache-Tag", "mine")])
        assert while_asked(weir, "/a", gate, purged).body == b"old"
        assert weir.get("/a").body == b"new"
        assert result(weir, "/a") == "HIT"


def test_a_growing_answer_is_not_joined_once_its_tag_is_purged(library):
    go = threading.Event()

    def slow(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nCache-Control: max-age=60\r\n"
                  "Cache-Tag: mine\r\n\r\nold")
        assert go.wait(10)
        conn.send("old")

    library.answers["/a"] = slow
    with cached(library) as weir, weir.client() as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
        client.read_until(b"\r\n\r\nold")
        library.set("/a", b"new", FRESH)
        assert purge(weir, tag="mine") == 1
        assert weir.get("/a").body == b"new"
        go.set()


@pytest.mark.parametrize("tags", [" ".join(f"t{number}" for number in range(65)), "t" * 1025,
                                  " ".join("%01000d" % number for number in range(5))],
                         ids=["names", "name", "bytes"])
def test_what_has_more_tags_than_can_be_known_is_not_kept(library, tags):
    library.set("/a", headers=FRESH + [("Cache-Tag", tags)])
    with cached(library) as weir:
        assert weir.get("/a").get("Cache-Status") == "weir; fwd=uri-miss; detail=tags"
        assert result(weir, "/a") == "MISS"


def test_what_is_past_its_time_goes_and_is_counted(library):
    library.set("/a", headers=[("Cache-Control", "max-age=1")])
    library.set("/b")
    with cached(library) as weir:
        weir.get("/a")
        weir.get("/b")
        weir.wait_metric("weir_cache_objects", 2)
        weir.wait_metric("weir_cache_expirations_total", 1)
        weir.wait_metric("weir_cache_objects", 1)
        assert result(weir, "/b") == "HIT"


def test_a_purge_of_all_gives_its_memory_back(library):
    library.set("/big", b"x" * 300_000)
    with cached(library) as weir:
        for number in range(10):
            weir.get(f"/big?{number}")
        assert weir.metric("weir_cache_bytes") > 3_000_000
        assert purge(weir, all=True) == 10
        wait_for(lambda: weir.metric("weir_cache_bytes") < 100_000)


def test_what_is_popular_is_compressed_again_however_short_it_lives(library):
    # Which takes longer than the answer is fresh.
    words = random.Random(7)
    body = b"".join(b"%d, " % words.randrange(10_007) for _ in range(140_000))
    headers = BRIEF + [("Content-Type", "text/plain")]

    def answer(conn, request):
        if request.get("If-None-Match"):
            return conn.answer(b"", "304 Not Modified", BRIEF)
        return conn.answer(body, headers=headers)

    library.answers["/a"] = answer
    with cached(library, compression={"encodings": ["br"]}) as weir:
        def coded():
            return weir.get("/a", headers=[("Accept-Encoding", "br")])
        weir.get("/a")
        wait_for(lambda: coded().get("Content-Length") is not None)
        first = len(coded().body)
        for _ in range(70):
            coded()
        wait_for(lambda: len(coded().body) < first, 30)
        tool = subprocess.run(["brotli", "-d"], input=coded().body, check=True,
                              capture_output=True)
        assert tool.stdout == body

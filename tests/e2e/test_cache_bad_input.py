"""Answers and requests that are made to fill, to poison or to break the cache."""
import gzip

import pytest
from support.library import FRESH, cached, result


def test_heads_as_large_as_they_may_be_are_kept_whole(library):
    bomb = [(f"X-{i}", "v" * 500) for i in range(110)]
    library.set("/a", b"small", FRESH + bomb)
    with cached(library) as weir:
        weir.get("/a")
        hit = weir.get("/a")
        assert result(hit) == "HIT" and hit.body == b"small"
        assert [(n, v) for n, v in hit.headers if n.startswith("X-") and n[2:].isdigit()] == bomb


@pytest.mark.parametrize("bomb", [[(f"X-{i}", "v" * 500) for i in range(200)],
                                  [(f"X-{i}", "") for i in range(300)]])
def test_larger_heads_are_no_answers(library, bomb):
    library.set("/a", b"small", FRESH + bomb)
    with cached(library) as weir:
        assert [weir.get("/a").status for _ in range(2)] == [502, 502]
        assert weir.metric("weir_cache_objects") == 0


def test_many_large_heads_stay_within_the_memory(library):
    bomb = [(f"X-{i}", "v" * 500) for i in range(110)]
    library.answers = AnyPath(bomb)
    with cached(library, cache={"memory": "16MiB"}) as weir, weir.client() as client:
        for number in range(600):  # 33 MB of heads
            assert client.request("GET", f"/{number}").body == b"small"
        assert weir.metric("weir_cache_bytes") <= 16 << 20
        assert 100 < weir.metric("weir_cache_objects") < 350
        assert result(client.request("GET", "/599")) == "HIT"


class AnyPath(dict):
    def __init__(self, headers):
        super().__init__()
        self.answer = {"body": b"small", "headers": FRESH + headers, "status": "200 OK"}

    def get(self, *_):
        return self.answer


def test_vary_by_anything_is_not_kept(library):
    library.set("/a", b"x", FRESH + [("Vary", "Accept-Encoding, *")])
    with cached(library) as weir:
        assert [result(weir.get("/a")) for _ in range(2)] == ["MISS", "MISS"]
        assert weir.metric("weir_cache_objects") == 0


def test_ten_thousand_variants_of_one_url(library):
    library.set("/v", b"x" * 100, FRESH + [("Vary", "X-Any")])
    with cached(library) as weir:
        with weir.client() as client:
            for number in range(10_000):
                client.request("GET", "/v", [("X-Any", str(number))])
        assert weir.metric("weir_cache_objects") <= 64
        assert result(weir.get("/v", headers=[("X-Any", "9999")])) == "HIT"


def test_long_keys(library):
    kept, long = "/" + "k" * 8000, "/" + "k" * 8185
    for path in (kept, long):
        library.set(path)
    with cached(library) as weir:
        assert [result(weir.get(kept)) for _ in range(2)] == ["MISS", "HIT"]
        answers = [weir.get(long) for _ in range(2)]
        assert [result(answer) for answer in answers] == ["BYPASS", "BYPASS"]
        assert "detail=long-key" in answers[0].get("Cache-Status")
        assert weir.get(long[:-1] + "x").status == 404, "a key that was cut would be another's"


@pytest.mark.parametrize("field", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL",
                                   "X-Rewrite-URL", "Forwarded"])
def test_fields_that_no_key_has_poison_nothing(library, field):
    """What an outsider claims reaches no server that would write it into what others get."""
    library.answers["/a"] = lambda conn, request: conn.answer(
        (request.get("X-Forwarded-Host") or "none").encode(), headers=FRESH)
    with cached(library) as weir:
        first = weir.get("/a", headers=[(field, "evil.test")])
        assert result(first) == "MISS" and b"evil" not in first.body
        assert b"evil" not in weir.get("/a").body


def test_a_thousand_ranges_that_overlap(library):
    body = bytes(range(256)) * 40
    library.set("/a", body, FRESH + [("Content-Type", "image/png")])
    with cached(library) as weir:
        weir.get("/a")
        for ranges in ("0-" + ",0-" * 999, ",".join(f"{i}-{i + 9000}" for i in range(1000))):
            answer = weir.get("/a", headers=[("Range", "bytes=" + ranges)])
            assert answer.status in (200, 206) and len(answer.body) <= len(body) + 200
            assert body[:5000] in answer.body
        assert library.count("/a") == 1


@pytest.mark.parametrize("sent", [
    b"Content-Length: 10\r\n\r\nhello",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nff\r\nhello",
])
def test_a_body_that_breaks_off_is_not_kept(library, sent):
    def broken(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n" + sent)
        return False

    library.answers["/a"] = broken
    with cached(library) as weir:
        for _ in range(2):
            with weir.client() as client:
                client.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
                data = client.read_all()
            assert b"hello" in data and not data.endswith(b"0\r\n\r\n")
            assert b"Content-Length: 5\r\n" not in data
        assert library.count("/a") == 2 and weir.metric("weir_cache_objects") == 0
        library.set("/a", b"whole")
        assert weir.get("/a").body == b"whole"


def test_what_stands_behind_a_body_is_nobodys_answer(library):
    """A length that is too short: the rest must not be taken for the next answer."""
    library.answers["/a"] = lambda conn, _: conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCache-Control: max-age=60\r\n\r\nhello"
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=60\r\n\r\nevil")
    library.set("/b", b"good")
    with cached(library) as weir:
        assert weir.get("/a").body == b"hello"
        assert weir.get("/b").body == b"good"
        assert [weir.get(path).body for path in ("/a", "/b")] == [b"hello", b"good"]


def test_a_bomb_is_not_opened(library):
    bomb = gzip.compress(bytes(100 << 20))  # a thousandth of that
    library.set("/a", bomb, FRESH + [("Content-Encoding", "gzip"), ("Content-Type", "text/html")])
    with cached(library, route={"compression": {}}) as weir:
        before = weir.rss_bytes()
        for accepts in ("gzip", "br", "zstd", "identity", "gzip"):
            answer = weir.get("/a", headers=[("Accept-Encoding", accepts)])
            assert answer.body == bomb and answer.get("Content-Encoding") == "gzip"
        assert library.count("/a") == 1
        assert weir.rss_bytes() - before < 50 << 20

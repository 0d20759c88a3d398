"""The cache as clients and servers see it: what is kept, and for how long."""
import time

import pytest
from support.library import FRESH, cached, conditional, result


def test_a_second_request_is_a_hit(library):
    library.set("/a", b"hello", FRESH + [("Content-Type", "text/plain"), ("X-Own", "1")])
    with cached(library) as weir:
        first, second = weir.get("/a"), weir.get("/a")
        assert result(first) == "MISS" and result(second) == "HIT"
        assert first.body == second.body == b"hello"
        assert second.get("X-Own") == "1" and second.get("Content-Type") == "text/plain"
        assert second.get("Age") == "0" and second.get("Content-Length") == "5"
        assert second.get("Cache-Status") == "weir; hit"
        assert first.get("Cache-Status") == "weir; fwd=uri-miss; stored"
        assert library.count("/a") == 1
        assert [line["cache"] for line in weir.log_of("/a", 2)] == ["MISS", "HIT"]
        weir.wait_metric("weir_cache_requests_total", 1, result="hit")
        weir.wait_metric("weir_cache_requests_total", 1, result="miss")


def test_head_is_answered_from_what_a_get_has_stored(library):
    library.set("/a", b"hello", FRESH + [("ETag", '"1"')])
    with cached(library) as weir:
        weir.get("/a")
        with weir.client() as client:
            head = client.request("HEAD", "/a")
            assert result(head) == "HIT" and head.get("ETag") == '"1"'
            assert head.get("Content-Length") == "5"
            assert client.request("GET", "/a").body == b"hello"  # no body had come before
        assert library.count("/a") == 1


def test_an_empty_body_is_an_answer(library):
    library.set("/a", b"")
    with cached(library) as weir:
        weir.get("/a")
        assert result(weir.get("/a")) == "HIT"


@pytest.mark.parametrize("one, other, same", [
    ("/p?b=2&a=1", "/p?a=1&b=2", True),
    ("/p?a=1&a=2", "/p?a=2&a=1", False),
    ("/p?a=b%26c=d", "/p?a=b&c=d", False),
    ("/p?q=a+b", "/p?q=a%20b", False),
    ("/p?x", "/p?x=", False),
    ("/p", "/p?", False),
    ("/p?utm_source=x&a=1", "/p?a=1", True),
    ("/p?session=1", "/p?session=2", True),
    ("/p?a=1&b=2", "/p?a=1b=2", False),
])
def test_which_queries_are_one(library, one, other, same):
    library.set("/p")
    cache = {"key": {"ignore_query": ["utm_*", "session"]}}
    with cached(library, cache) as weir:
        weir.get(one)
        assert (result(weir.get(other)) == "HIT") == same


@pytest.mark.parametrize("headers, kept", [
    ([("Cache-Control", "max-age=60")], True),
    ([("Cache-Control", "public, max-age=300")], True),
    ([("Cache-Control", "private, max-age=300")], False),
    ([("Cache-Control", "no-store")], False),
    ([("Cache-Control", "max-age=0, s-maxage=60")], True),
    ([("Cache-Control", "max-age=60, s-maxage=0")], False),
    ([("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], False),
    ([("Cache-Control", "max-age=60"), ("Vary", "*")], False),
    ([("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")], False),
    ([("CDN-Cache-Control", "max-age=60"), ("Cache-Control", "no-store")], True),
    ([("Cache-Control", "max-age=60"), ("Age", "61")], False),
    ([], False),
])
def test_what_the_server_says_counts(library, headers, kept):
    library.set("/a", headers=headers)
    with cached(library) as weir:
        weir.get("/a")
        assert (result(weir.get("/a")) == "HIT") == kept
        assert library.count("/a") == (1 if kept else 2)


def test_ttl_is_for_answers_that_say_nothing(library):
    library.set("/silent", headers=[])
    library.set("/says", headers=[("Cache-Control", "no-store")])
    with cached(library, {"ttl": "1s"}) as weir:
        for path in ("/silent", "/says"):
            weir.get(path)
        assert result(weir.get("/silent")) == "HIT"
        assert result(weir.get("/says")) == "MISS"
        time.sleep(1.2)
        assert result(weir.get("/silent")) == "MISS"


@pytest.mark.parametrize("status, kept", [
    ("200 OK", True), ("203 N", True), ("204 No Content", True), ("301 Moved Permanently", True),
    ("404 Not Found", True), ("410 Gone", True), ("302 Found", True), ("500 Error", True)])
def test_statuses_with_explicit_freshness(library, status, kept):
    library.set("/a", b"" if status[:3] == "204" else b"x", FRESH, status)
    with cached(library) as weir:
        first = weir.get("/a")
        second = weir.get("/a")
        assert first.status == second.status == int(status[:3])
        assert (result(second) == "HIT") == kept


def test_a_post_is_never_kept(library):
    library.set("/a")
    with cached(library) as weir:
        with weir.client() as client:
            for _ in range(2):
                assert result(client.request("POST", "/a", body=b"x")) == "BYPASS"
        assert library.count("/a") == 2


def test_a_stale_answer_is_validated(library):
    stale = [("Cache-Control", "max-age=0"), ("X-Version", "1")]
    library.answers["/a"] = conditional('"v1"', b"hello", stale)
    with cached(library) as weir:
        weir.get("/a")
        library.answers["/a"] = conditional(
            '"v1"', b"hello", [("Cache-Control", "max-age=60"), ("X-Version", "2")])
        second = weir.get("/a")
        assert result(second) == "REVALIDATED" and second.body == b"hello"
        assert second.status == 200 and second.get("X-Version") == "2"
        third = weir.get("/a")
        assert result(third) == "HIT" and third.get("X-Version") == "2"
        assert library.count("/a") == 2 and library.origin.accepted == 1


def test_a_changed_answer_replaces_the_stale_one(library):
    library.answers["/a"] = conditional('"v1"', b"old", [("Cache-Control", "no-cache")])
    with cached(library) as weir:
        weir.get("/a")
        assert result(weir.get("/a")) == "REVALIDATED"
        library.answers["/a"] = conditional('"v2"', b"new", FRESH)
        second = weir.get("/a")
        assert second.body == b"new" and result(second) == "MISS"
        assert library.last().get("If-None-Match") == '"v1"'
        assert weir.get("/a").body == b"new" and library.count("/a") == 3


def test_clients_conditions_are_answered_from_the_store(library):
    library.set("/a", b"hello", FRESH + [("ETag", '"x"'), ("Last-Modified",
                                                           "Mon, 02 Nov 2020 10:00:00 GMT")])
    with cached(library) as weir:
        # Even the first one: the server is asked for all of it.
        first = weir.get("/a", headers=[("If-None-Match", '"x"')])
        assert first.status == 304 and first.body == b"" and result(first) == "MISS"
        assert library.last().get("If-None-Match") is None
        for value, status in (('W/"x"', 304), ('"a", "x"', 304), ("*", 304), ('"y"', 200)):
            response = weir.get("/a", headers=[("If-None-Match", value)])
            assert response.status == status and result(response) == "HIT", value
            assert response.get("ETag") == '"x"' and response.get("Cache-Control")
        since = [("If-Modified-Since", "Mon, 02 Nov 2020 10:00:00 GMT")]
        assert weir.get("/a", headers=since).status == 304
        earlier = [("If-Modified-Since", "Mon, 02 Nov 2020 09:59:59 GMT")]
        assert weir.get("/a", headers=earlier).status == 200
        assert library.count("/a") == 1


def test_ranges_of_what_is_stored(library):
    body = bytes(range(256)) * 40
    library.set("/a", body, FRESH + [("ETag", '"x"'), ("Content-Type", "image/png")])
    with cached(library) as weir:
        weir.get("/a")

        def ranged(value, **more):
            headers = [("Range", value), *(more.get("headers", []))]
            return weir.get("/a", headers=headers)

        part = ranged("bytes=10-19")
        assert part.status == 206 and part.body == body[10:20] and result(part) == "HIT"
        assert part.get("Content-Range") == "bytes 10-19/10240"
        assert part.get("Content-Length") == "10"
        assert ranged("bytes=-5").body == body[-5:]
        assert ranged("bytes=10000-").body == body[10000:]
        over = ranged("bytes=20000-")
        assert over.status == 416 and over.get("Content-Range") == "bytes */10240"
        several = ranged("bytes=0-1,100-101")
        assert several.status == 206 and body[100:102] in several.body
        kind = several.get("Content-Type")
        assert kind.startswith("multipart/byteranges; boundary=")
        assert several.body.endswith(b"--" + kind.partition("=")[2].encode() + b"--\r\n")
        assert len(several.body) == int(several.get("Content-Length"))
        assert ranged("bytes=0-1", headers=[("If-Range", '"y"')]).body == body
        assert ranged("bytes=0-1", headers=[("If-Range", '"x"')]).body == body[:2]
        assert ranged("bytes=" + ",".join(f"{i * 3}-{i * 3}" for i in range(1000))).status == 200
        assert library.count("/a") == 1


def test_a_range_on_a_miss_goes_through(library):
    library.answers["/a"] = lambda conn, request: conn.answer(
        b"he", "206 Partial Content", FRESH + [("Content-Range", "bytes 0-1/5")])
    with cached(library) as weir:
        assert weir.get("/a", headers=[("Range", "bytes=0-1")]).status == 206
        assert library.last().get("Range") == "bytes=0-1"
        library.set("/a", b"hello")
        assert weir.get("/a").body == b"hello"


def test_writes_make_void(library):
    for path in ("/products", "/products/5", "/other"):
        library.set(path)
    with cached(library) as weir:
        with weir.client() as client:
            def get(target):
                return result(client.request("GET", target))

            def fill():
                for target in ("/products", "/products?page=2", "/products/5", "/other"):
                    client.request("GET", target)

            fill()
            library.set("/products/5", status="500 Error", headers=[])
            client.request("PUT", "/products/5", body=b"x")
            assert get("/products") == "HIT"  # it has failed
            library.set("/products/5", headers=[("Location", "/other")])
            client.request("PUT", "/products/5", body=b"x")
            library.set("/products/5")
            assert [get(t) for t in ("/products", "/products?page=2", "/products/5", "/other")] == [
                "MISS"] * 4
            fill()
            for name, reference, then in (("Location", "../a/./../other", "MISS"),
                                          ("Content-Location", "../other?x#y", "MISS"),
                                          ("Location", "http://elsewhere/other", "HIT")):
                library.set("/products/5", headers=[(name, reference)])
                client.request("DELETE", "/products/5")
                assert get("/other") == then, reference


def test_only_if_cached(library):
    library.set("/a")
    only = [("Cache-Control", "only-if-cached")]
    with cached(library) as weir:
        refused = weir.get("/a", headers=only)
        assert refused.status == 504
        assert [value for name, value in refused.headers if name == "Cache-Status"] == [
            "weir; detail=only-if-cached"]
        weir.get("/a")
        assert weir.get("/a", headers=only).status == 200
        assert library.count("/a") == 1


def test_requests_may_ask_for_the_servers_word(library):
    library.set("/a")
    reload = [("Cache-Control", "no-cache")]
    with cached(library) as weir:
        weir.get("/a")
        assert result(weir.get("/a", headers=reload)) != "HIT"
        assert library.count("/a") == 2
    with cached(library, {"obey_requests": False}) as weir:
        weir.get("/a")
        assert result(weir.get("/a", headers=reload)) == "HIT"


def test_etags_of_our_own(library):
    library.set("/a", b"hello", [("Cache-Control", "no-store")])
    library.set("/b", b"hello", FRESH)
    with cached(library, {"etag": True}) as weir:
        for path in ("/a", "/b"):
            first = weir.get(path)
            tag = first.get("ETag")
            assert tag and not tag.startswith("W/")
            again = weir.get(path, headers=[("If-None-Match", tag)])
            assert again.status == 304 and again.body == b"" and again.get("ETag") == tag
            assert weir.get(path, headers=[("If-None-Match", '"other"')]).status == 200


def test_a_reload_keeps_what_is_stored(library):
    library.set("/a")
    with cached(library) as weir:
        weir.get("/a")
        weir.reload()
        assert result(weir.get("/a")) == "HIT"


def test_a_websocket_passes_the_cache(library):
    library.set("/ws")
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
               ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    with cached(library) as weir:
        weir.get("/ws")
        weir.get("/ws", headers=upgrade)
        assert library.count("/ws") == 2 and library.last().get("Upgrade") == "websocket"


def test_headers_of_the_route_are_for_hits_too(library):
    library.set("/a")
    route = {"security_headers": "standard", "headers": {"response": {"set": {"X-By": "$uri"}}}}
    with cached(library, route=route) as weir:
        for target in ("/a", "/a"):
            response = weir.get(target)
            assert response.get("X-Content-Type-Options") == "nosniff"
            assert response.get("X-By") == "/a"


def test_a_head_tells_whether_what_is_stored_still_holds(library):
    library.answers["/a"] = conditional('"v1"', b"hello", [("Cache-Control", "no-cache")])
    with cached(library) as weir:
        weir.get("/a")
        with weir.client() as client:
            assert result(client.request("HEAD", "/a")) == "REVALIDATED"
            assert library.last().method == "HEAD"
            library.set("/a", b"other", FRESH + [("ETag", '"v2"')])

            def only_head(conn, request):
                assert request.method == "HEAD"
                conn.send(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "v2"\r\n\r\n')

            library.answers["/a"] = only_head
            assert client.request("HEAD", "/a").get("ETag") == '"v2"'
            library.set("/a", b"other", FRESH + [("ETag", '"v2"')])
            again = client.request("GET", "/a")
            assert again.body == b"other" and result(again) == "MISS"
        assert library.last().get("If-None-Match") is None  # the old one has gone


def test_why_an_answer_is_not_kept_is_told(library):
    library.set("/a", headers=[("Cache-Control", "private, max-age=60")])
    with cached(library) as weir:
        assert weir.get("/a").get("Cache-Status") == "weir; fwd=uri-miss; detail=private"


@pytest.mark.parametrize("stored, said", [
    (b'ETag: W/"x"', b'ETag: "x"'),  # nginx, of what it compresses
    (b'ETag: "x-gzip"', b'ETag: "x"'),  # Apache
    (b'ETag: "x"', b'ETag: "y"'),
    (b"Last-Modified: Sat, 01 Nov 2025 00:00:00 GMT",
     b"Last-Modified: Sun, 02 Nov 2025 00:00:00 GMT"),
    (b"Last-Modified: Sat, 01 Nov 2025 00:00:00 GMT", b'ETag: "x"'),
])
def test_a_304_with_another_validator(library, stored, said):
    """What is stored is good for this client, and brought up to date by nothing."""
    def answer(conn, request):
        asked = request.get("If-None-Match") or request.get("If-Modified-Since")
        if asked:
            conn.send(b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n" + said +
                      b"\r\nSet-Cookie: mine=1\r\n\r\n")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\n" + stored +
                      b"\r\nContent-Length: 5\r\n\r\nhello")

    library.answers["/a"] = answer
    with cached(library) as weir:
        for turn in range(2):
            assert result(weir.get("/a")) == "MISS"
            second = weir.get("/a")
            assert second.status == 200 and second.body == b"hello"
            assert result(second) == "REVALIDATED" and second.get("Set-Cookie") == "mine=1"
            assert second.get("Cache-Control") == "max-age=0"
            assert "other-validator" in second.get("Cache-Status")
            assert library.count("/a") == 2 * turn + 2


def test_cookies_of_a_304_are_for_one_client(library):
    fresh = b"Cache-Control: public, max-age=0\r\nETag: \"x\"\r\n"

    def answer(conn, request):
        if request.get("If-None-Match"):
            conn.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nCache-Control: max-age=60\r\n"
                      b"Set-Cookie: victim=1\r\n\r\n")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\n" + fresh + b"Set-Cookie: all=1\r\n"
                      b"Content-Length: 5\r\n\r\nhello")

    library.answers["/a"] = answer
    with cached(library, {"store_set_cookie": True}) as weir:
        cookies = [[value for name, value in answer.headers if name.lower() == "set-cookie"]
                   for answer in (weir.get("/a") for _ in range(3))]
        assert cookies == [["all=1"], ["victim=1"], ["all=1"]]
        assert result(weir.get("/a")) == "HIT"


@pytest.mark.parametrize("field, status", [(("If-None-Match", '"x"'), 304),
                                           (("Range", "bytes=9-"), 416)])
def test_cookies_of_a_304_reach_who_gets_no_body(library, field, status):
    library.answers["/a"] = lambda conn, request: conn.send(
        b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nSet-Cookie: mine=1\r\n\r\n"
        if request.get("If-None-Match") else
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nETag: \"x\"\r\nContent-Length: 5\r\n"
        b"\r\nhello")
    with cached(library) as weir:
        weir.get("/a")
        answer = weir.get("/a", headers=[field])
        assert answer.status == status and answer.get("Set-Cookie") == "mine=1"


def test_spellings_of_a_host_that_share_a_key_are_one_for_the_server(library):
    library.answers["/a"] = lambda conn, request: conn.answer(
        f"{request.get('Host')} {request.get('X-Forwarded-Host')}".encode(), headers=FRESH)
    with cached(library) as weir:
        for number, first in enumerate(("test.", "TEST:80", "Test.:80", "test")):
            path = f"/a?{number}"
            with weir.client() as client:
                assert client.request("GET", path, host=first).body == b"test test"
                other = client.request("GET", path, host="test")
                assert other.body == b"test test" and result(other) == "HIT"
        with weir.client() as client:
            assert client.request("GET", "/a", host="TEST:81").body == b"test:81 test:81"


def test_what_is_not_kept_keeps_nothing_else_from_it(library):
    library.answers["/a"] = lambda conn, request: conn.answer(
        b"x", headers=[("Cache-Control", "private")] if request.get("Cookie") else FRESH)
    with cached(library) as weir:
        assert result(weir.get("/a", headers=[("Cookie", "a=1")])) == "MISS"
        assert [result(weir.get("/a")) for _ in range(2)] == ["MISS", "HIT"]


def test_only_if_cached_gets_nothing_stale(library):
    library.set("/a", headers=[("Cache-Control", "max-age=0, stale-if-error=60"), ("ETag", '"1"')])
    with cached(library) as weir:
        weir.get("/a")
        assert weir.get("/a", headers=[("Cache-Control", "only-if-cached")]).status == 504
        assert library.count("/a") == 1

"""What the RFCs ask of caches, and of what stands in the middle: the tests of docs/rfc9111.md."""
import base64
import crypt
from email.utils import formatdate

import pytest
from support.library import FRESH, cached, conditional, result
from support.waiting import wait_for
from support.weir import proxy

DATE = ("Date", formatdate(usegmt=True))
SINCE = "Mon, 02 Nov 2020 09:00:00 GMT"
STALE = ("Cache-Control", "max-age=0")


# ---- what is kept ----

def test_trailers_stay_out_of_the_head(library):
    library.answers["/a"] = lambda conn, _: conn.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nCache-Control: no-store\r\n\r\n")
    with cached(library) as weir:
        weir.get("/a")
        hit = weir.get("/a")
        assert result(hit) == "HIT" and hit.body == b"hello"
        assert hit.get("X-Sum") is None and hit.get("Cache-Control") == "max-age=60"


def test_directives_are_handed_on(library):
    asked = 'max-age=0, min-fresh=5, community="UCI"'
    answered = 'max-age=60, no-cache="X-None", community="UCI"'
    library.set("/a", headers=[("Cache-Control", answered), ("CDN-Cache-Control", "max-age=60")])
    for keep in ({"cache": {}}, {}):
        with proxy(library.origin, route=keep) as weir:
            first = weir.get("/a", headers=[("Cache-Control", asked), ("Pragma", "no-cache")])
            assert library.last().all("Cache-Control") == [asked]
            assert library.last().all("Pragma") == ["no-cache"]
            for response in (first, weir.get("/a")):
                assert response.get("Cache-Control") == answered
                assert response.get("CDN-Cache-Control") == "max-age=60"


def test_nobody_but_the_server_says_that_all_varies(library):
    names = [f"X-{number}" for number in range(40)]  # more than are told apart
    library.set("/many", b"text " * 1000,
                FRESH + [("Content-Type", "text/plain"), ("Vary", ", ".join(names))])
    with cached(library, route={"compression": {}}) as weir:
        for accepted in ([("Accept-Encoding", "gzip")], [], []):
            response = weir.get("/many", headers=accepted)
            assert response.get("Vary") == ", ".join([*names, "Accept-Encoding"])
        assert result(response) == "MISS"


# ---- validation ----

@pytest.mark.parametrize("tag", [[], [("ETag", '"1"')]])
def test_validated_by_date_too(library, tag):
    library.set("/a", b"hello", [STALE, ("Last-Modified", SINCE), *tag])
    with cached(library) as weir:
        weir.get("/a")
        library.answers["/a"] = lambda conn, _: conn.send(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        again = weir.get("/a")
        assert again.status == 200 and again.body == b"hello" and result(again) == "REVALIDATED"
        assert library.last().all("If-Modified-Since") == [SINCE]
        assert library.last().all("If-None-Match") == [value for _, value in tag]


def test_a_304_is_not_for_a_client_with_another_tag(library):
    library.answers["/a"] = conditional('"v1"', b"hello", [STALE])
    with cached(library) as weir:
        weir.get("/a")
        other = weir.get("/a", headers=[("If-None-Match", '"other"')])
        assert library.last().all("If-None-Match") == ['"v1"']
        assert other.status == 200 and other.body == b"hello" and other.get("ETag") == '"v1"'
        assert result(other) == "REVALIDATED"
        assert weir.get("/a", headers=[("If-None-Match", '"other", "v1"')]).status == 304


# ---- clients' conditions and ranges ----

# Of the first kind a 304 has them as the 200 has, of the second it has none.
TOLD = [("Cache-Control", "max-age=3600"), ("Content-Location", "/b"), DATE, ("ETag", '"x"'),
        ("Expires", "Mon, 02 Nov 2099 10:00:00 GMT"), ("Vary", "X-Kind")]
OF_CONTENT = [("Content-Type", "text/x-own"), ("Content-Language", "de"),
              ("Content-Encoding", "x-own"), ("Last-Modified", SINCE)]


# What is private is fetched as a whole once, and then as it is asked for.
@pytest.mark.parametrize("says, times", [("max-age=3600", 2), ("private", 1)])
def test_a_304_does_not_describe_the_content(library, says, times):
    told = [("Cache-Control", says), *TOLD[1:]]
    library.set("/a", b"hello", told + OF_CONTENT)
    with cached(library) as weir:
        for _ in range(times):
            same = weir.get("/a", headers=[("If-None-Match", '"x"')])
            assert same.status == 304 and same.body == b""
            assert [same.all(name) for name, _ in told] == [[value] for _, value in told]
            for name, _ in [*OF_CONTENT, ("Content-Length", "5")]:
                assert same.get(name) is None, name


@pytest.mark.parametrize("says, times", [("max-age=60", 2), ("private", 1)])
def test_a_304_without_a_tag_has_the_date(library, says, times):
    library.set("/a", b"hello", [("Cache-Control", says), ("Last-Modified", SINCE)])
    with cached(library) as weir:
        for _ in range(times):
            same = weir.get("/a", headers=[("If-Modified-Since", SINCE)])
            assert same.status == 304 and same.get("Last-Modified") == SINCE


@pytest.mark.parametrize("ranges", ["bytes=0-1", "bytes=0-1,4-4"])
def test_a_part_has_the_fields_of_the_whole(library, ranges):
    library.set("/a", b"hello", TOLD)
    with cached(library) as weir:
        weir.get("/a")
        part = weir.get("/a", headers=[("Range", ranges)])
        assert part.status == 206 and result(part) == "HIT"
        assert [part.all(name) for name, _ in TOLD] == [[value] for _, value in TOLD]


def test_if_range_without_range_means_nothing(library):
    library.set("/a", b"hello", FRESH + [("ETag", '"x"')])
    with cached(library) as weir:
        for value in ('"x"', '"y"', "no tag"):
            for _ in range(2):
                whole = weir.get("/a", headers=[("If-Range", value)])
                assert whole.status == 200 and whole.body == b"hello"
                assert whole.get("Content-Range") is None
        assert result(whole) == "HIT" and library.count("/a") == 1


def test_ranges_are_for_get(library):
    library.set("/a", b"hello", FRESH)
    part = [("Range", "bytes=0-1")]
    with cached(library) as weir, weir.client() as client:
        client.request("GET", "/a")
        head = client.request("HEAD", "/a", part)
        assert head.status == 200 and head.get("Content-Length") == "5" and result(head) == "HIT"
        assert head.get("Content-Range") is None
        post = client.request("POST", "/a", part, body=b"x")
        assert post.status == 200 and post.body == b"hello"


def test_ranges_come_behind_conditions_and_for_200_only(library):
    library.set("/a", b"hello", FRESH + [("ETag", '"x"')])
    library.set("/gone", b"not here", FRESH, "410 Gone")
    part = ("Range", "bytes=0-1")
    with cached(library) as weir:
        for path in ("/a", "/gone"):
            weir.get(path)
        for tag, status, body in (('"x"', 304, b""), ('"y"', 206, b"he")):
            answer = weir.get("/a", headers=[part, ("If-None-Match", tag)])
            assert (answer.status, answer.body, result(answer)) == (status, body, "HIT")
        # Beyond the end, too, the condition is first.
        beyond = [("Range", "bytes=9-"), ("If-None-Match", '"x"')]
        assert weir.get("/a", headers=beyond).status == 304
        gone = weir.get("/gone", headers=[part])
        assert (gone.status, gone.body, result(gone)) == (410, b"not here", "HIT")


def test_a_requests_content_range_means_nothing(library):
    library.set("/a", b"hello", FRESH)
    with cached(library) as weir, weir.client() as client:
        sent = [("Content-Range", "bytes 0-1/5")]
        for cache in ("MISS", "HIT"):
            whole = client.request("GET", "/a", sent)
            assert (whole.status, whole.body, result(whole)) == (200, b"hello", cache)
            assert whole.get("Content-Range") is None
        client.request("PUT", "/a", sent, body=b"ab")
        assert library.last().body == b"ab"
        assert library.last().all("Content-Range") == ["bytes 0-1/5"]


# ---- when conditions are looked at ----

def test_conditions_come_behind_the_usual_checks(library, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"ann:{crypt.crypt('secret', '$6$rounds=1000$saltsalt')}\n")
    library.set("/a", b"hello", [("Cache-Control", "public, max-age=60"), ("ETag", '"x"')])
    condition = ("If-None-Match", '"x"')
    proof = ("Authorization", "Basic " + base64.b64encode(b"ann:secret").decode())
    with cached(library, route={"auth": {"basic": {"users_file": str(users)}}}) as weir:
        assert weir.get("/a", headers=[proof]).body == b"hello"
        assert weir.get("/a", headers=[proof, condition]).status == 304
        assert weir.get("/a", headers=[condition]).status == 401
        assert library.count("/a") == 1


@pytest.mark.parametrize("status", ["301 Moved Permanently", "404 Not Found", "410 Gone"])
def test_conditions_mean_nothing_where_the_answer_is_another(library, status):
    library.set("/a", b"none", FRESH + [("ETag", '"x"'), ("Last-Modified", SINCE)], status)
    with cached(library) as weir:
        for condition in 2 * (("If-None-Match", '"x"'), ("If-Modified-Since", SINCE)):
            answer = weir.get("/a", headers=[condition])
            assert (answer.status, answer.body) == (int(status[:3]), b"none")
        assert result(answer) == "HIT" and library.count("/a") == 1


def test_conditions_are_the_servers_where_nothing_is_kept(library):
    conditions = [("If-None-Match", '"x"'), ("If-Modified-Since", SINCE), ("If-Match", '"y"'),
                  ("If-Unmodified-Since", "Mon, 02 Nov 2020 08:00:00 GMT"), ("If-Range", '"y"'),
                  ("Range", "bytes=0-1")]
    library.set("/a", b"hello", FRESH + [("ETag", '"x"'), ("Last-Modified", SINCE)])
    with proxy(library.origin) as weir:
        for method in ("GET", "PUT"):
            with weir.client() as client:
                answer = client.request(method, "/a", conditions)
                assert answer.status == 200 and answer.body == b"hello"
            for name, value in conditions:
                assert library.last().all(name) == [value]


@pytest.mark.parametrize("news", [("Cache-Control", "private, max-age=60"),
                                  ("Cache-Control", "no-store"), ("Vary", "Accept-Language"),
                                  ("Vary", "*")])
def test_a_304_that_says_it_is_not_for_all_makes_nothing_good_anew(library, news):
    def answer(conn, request):
        if request.get("If-None-Match") == '"1"':
            head = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=60\r\n"
            if news[0] == "Cache-Control":
                head = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n"
            return conn.send((head + f"{news[0]}: {news[1]}\r\n\r\n").encode())
        return conn.answer(b"text", headers=[("ETag", '"1"'), ("Cache-Control", "max-age=0")])

    library.answers["/a"] = answer
    with cached(library) as weir:
        assert result(weir.get("/a")) == "MISS"
        again = weir.get("/a")
        assert again.status == 200 and again.body == b"text"
        assert library.last().get("If-None-Match") == '"1"'
        assert result(weir.get("/a")) == "MISS"
        assert library.last().get("If-None-Match") is None


def test_a_renewal_that_is_refused_leaves_what_there_is(library):
    """429 is about who asks, and not about what for."""
    library.set("/a", b"text", [("Cache-Control", "max-age=0, stale-while-revalidate=60")])
    with cached(library) as weir:
        assert result(weir.get("/a")) == "MISS"
        library.set("/a", b"slower", [], "429 Too Many Requests")
        assert result(weir.get("/a")) == "STALE"
        wait_for(lambda: library.count("/a") == 2)
        assert weir.get("/a").body == b"text"

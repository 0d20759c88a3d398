"""The cache while answers are being fetched: who waits, who reads along, and what failures do."""
import threading
import time

from support.library import FRESH, cached, result
from support.waiting import in_threads, wait_for


def test_stale_while_revalidate(library):
    library.set("/a", b"old", [("Cache-Control", "max-age=0, stale-while-revalidate=60")])
    with cached(library) as weir:
        weir.get("/a")
        library.set("/a", b"new")
        second = weir.get("/a")
        assert second.body == b"old" and result(second) == "STALE"
        wait_for(lambda: weir.get("/a").body == b"new")
        assert library.count("/a") == 2


def test_stale_if_error(library):
    library.set("/a", b"old", [("Cache-Control", "max-age=0, stale-if-error=60")])
    library.set("/b", b"old", [("Cache-Control", "max-age=0, must-revalidate, stale-if-error=60"),
                               ("ETag", '"b"')])
    with cached(library) as weir:
        weir.get("/a")
        weir.get("/b")
        for path in ("/a", "/b"):
            library.set(path, b"broken", [], "503 Unavailable")
        second = weir.get("/a")
        assert second.status == 200 and second.body == b"old" and result(second) == "STALE"
        assert weir.get("/b").status == 503
        library.origin.stop()
        third = weir.get("/a")
        assert third.status == 200 and third.body == b"old" and result(third) == "STALE"
        assert weir.get("/b").status in (502, 503)


def test_many_misses_are_one_fetch(library):
    many = 1000
    gate = threading.Event()

    def slow(conn, _):
        gate.wait(60)
        conn.answer(b"x" * 5000, headers=FRESH)

    library.answers["/a"] = slow
    with cached(library, {"lock": "60s"}, workers=2) as weir:
        answers = []

        def ask():
            answers.append(weir.get("/a"))

        threads = [threading.Thread(target=ask) for _ in range(many)]
        for thread in threads:
            thread.start()
        wait_for(lambda: weir.metric("requests_in_flight") >= many, seconds=45)
        gate.set()
        for thread in threads:
            thread.join(60)
        assert len(answers) == many and {a.body for a in answers} == {b"x" * 5000}
        assert library.count("/a") == 1
        assert sum(result(a) == "MISS" for a in answers) == 1


def test_a_304_with_another_validator_is_one_fetch_more(library):
    def answer(conn, request):
        asked = request.get("If-None-Match")
        time.sleep(0.3 if library.count("/a") > 1 else 0)
        if asked:
            conn.send(b'HTTP/1.1 304 Not Modified\r\nETag: "b"\r\n\r\n')
        else:
            conn.answer(b"body", headers=[("ETag", '"a"'), ("Cache-Control", "max-age=1")])

    library.answers["/a"] = answer
    with cached(library, workers=2) as weir:
        weir.get("/a")
        time.sleep(1.1)
        assert in_threads(20, lambda _: weir.get("/a").body) == [b"body"] * 20
        assert library.count("/a") <= 4  # two of each, should they meet so


def test_uncacheable_answers_hold_nobody_up(library):
    library.answers["/a"] = lambda conn, request: conn.answer(
        request.get("X-Who"), headers=[("Cache-Control", "private")])
    with cached(library, workers=2) as weir:
        bodies = in_threads(20, lambda i: weir.get("/a", headers=[("X-Who", str(i))]).body)
        assert bodies == [str(i).encode() for i in range(20)]
        assert library.count("/a") == 20


def test_a_leader_that_leaves_fails_nobody(library):
    asked = []

    def slow(conn, _):
        asked.append(time.monotonic())
        time.sleep(0.5)
        conn.answer(b"body", headers=FRESH)

    library.answers["/a"] = slow
    with cached(library, workers=2) as weir:
        leader = weir.client()
        leader.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
        wait_for(lambda: asked)
        thread_answers = []
        thread = threading.Thread(target=lambda: thread_answers.append(weir.get("/a")))
        thread.start()
        wait_for(lambda: weir.metric("requests_in_flight") >= 2)
        leader.reset()
        thread.join(15)
        assert thread_answers[0].status == 200 and thread_answers[0].body == b"body"


def test_who_waits_reads_along_and_who_leaves_stops_nothing(library):
    rest = threading.Event()

    def slow(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"
                  b"Cache-Control: max-age=60\r\n\r\nfirst")
        rest.wait(10)
        conn.send(b"after")

    library.answers["/a"] = slow
    with cached(library, workers=2) as weir:
        leader = weir.client()
        leader.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
        leader.read_until(b"first")
        follower = weir.client()
        follower.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
        follower.read_until(b"first")  # before the server has sent the rest
        leader.reset()
        wait_for(lambda: weir.metric("requests_in_flight") <= 1)
        rest.set()
        follower.read_until(b"after")
        follower.sock.close()
        wait_for(lambda: result(weir.get("/a")) == "HIT")
        assert weir.get("/a").body == b"firstafter" and library.count("/a") == 1


def test_slow_chunks_go_out_as_they_come(library):
    rest = threading.Event()

    def slow(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                  b"Cache-Control: max-age=60\r\n\r\n1\r\n[\r\n")
        rest.wait(10)
        conn.send(b"1\r\n]\r\n0\r\n\r\n")

    library.answers["/a"] = slow
    with cached(library, {"etag": True}) as weir:
        with weir.client() as client:
            client.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n")
            client.read_until(b"[")
            rest.set()
            client.read_until(b"0\r\n\r\n")
        second = weir.get("/a")
        assert result(second) == "HIT" and second.body == b"[]" and second.get("ETag")


def test_too_large_for_the_store_and_whole_for_the_client(library):
    body = b"x" * 3_000_000

    def chunked(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                  b"Cache-Control: max-age=60\r\n\r\n")
        for at in range(0, len(body), 100_000):
            conn.send(b"186a0\r\n" + body[at:at + 100_000] + b"\r\n")
        conn.send(b"0\r\n\r\n")

    library.answers["/chunked"] = chunked
    library.set("/length", body)
    with cached(library, {"lock": "2s"}, cache={"memory": "16MiB", "max_object": "1MiB"}) as weir:
        for path in ("/chunked", "/length"):
            assert weir.get(path).body == body
            assert weir.get(path).body == body
            assert library.count(path) == 2


def test_what_must_be_validated_each_time_is_not_shared(library):
    asked = []

    def personal(conn, request):
        asked.append(request)
        time.sleep(0.3)
        conn.answer(request.get("Cookie"), headers=[("Cache-Control", "no-cache"), ("ETag", '"1"')])

    library.answers["/a"] = personal
    with cached(library, workers=2) as weir:
        names = ["alice", "bob", "carol"]
        bodies = in_threads(3, lambda i: weir.get("/a", headers=[("Cookie", names[i])]).body)
        assert bodies == [name.encode() for name in names]


def test_what_is_too_large_is_fetched_side_by_side(library):
    body = b"x" * 2_000_000

    def slow(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n"
                  b"Cache-Control: max-age=60\r\n\r\n")
        conn.send(body[:1000])
        time.sleep(1)
        conn.send(body[1000:])

    library.answers["/a"] = slow
    store = {"memory": "16MiB", "max_object": "1MiB"}
    with cached(library, {"lock": "30s"}, cache=store, workers=2) as weir:
        started = time.monotonic()
        assert all(len(b) == len(body) for b in in_threads(5, lambda i: weir.get("/a").body))
        assert time.monotonic() - started < 4  # one after the other they would take five seconds


def test_one_with_authorization_does_not_keep_others_from_sharing(library):
    def slow(conn, _):
        time.sleep(0.3)
        conn.answer(b"x", headers=FRESH)

    library.answers["/a"] = slow
    with cached(library, workers=2) as weir:
        weir.get("/a", headers=[("Authorization", "x")])
        assert library.count("/a") == 1
        in_threads(10, lambda i: weir.get("/a"))
        assert library.count("/a") == 2


def test_who_waits_for_a_server_that_fails_gets_what_is_stale(library):
    library.set("/a", b"old", [("Cache-Control", "max-age=1, stale-if-error=60")])

    def failing(conn, _):
        time.sleep(0.5)
        conn.answer(b"broken", "503 Unavailable")

    with cached(library, workers=2) as weir:
        weir.get("/a")
        library.answers["/a"] = failing
        time.sleep(1.1)
        answers = in_threads(10, lambda i: weir.get("/a"))
        assert {(a.status, a.body, result(a)) for a in answers} == {(200, b"old", "STALE")}
        assert library.count("/a") <= 3

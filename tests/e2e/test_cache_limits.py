"""Stored codings, what a reload does to the cache, and writes that make much void."""
import base64
import crypt
import json
import random
import re
import shutil
import socket
import subprocess
import time
import zlib

import pytest
from support import h2
from support.h2 import H2Client
from support.library import FRESH, Library
from support.waiting import in_threads, wait_for
from support.weir import binary, proxy

TEXT = [("Content-Type", "text/plain")]
BR = [("Accept-Encoding", "br")]
GZIP = [("Accept-Encoding", "gzip")]


@pytest.fixture
def library():
    made = Library()
    yield made
    made.origin.stop()


def cached(library, cache=None, compression=None, route=None, **options):
    settings = {"cache": cache or {}, "compression": compression or {}, **(route or {})}
    return proxy(library.origin, route=settings, **options)


def result(response):
    return response.get("X-Cache")


def prose(size, seed=1):
    words = random.Random(seed)
    text = bytearray()
    while len(text) < size:
        text += b'{"id": %d, "name": "order %d"},' % (words.randrange(10**9), words.randrange(99))
    return bytes(text[:size])


def unbrotli(body):
    return subprocess.run(["brotli", "-d", "-c"], input=body, capture_output=True,
                          check=True).stdout


def ask_often(weir, paths, times):
    """Until they are worth the most effort."""
    with weir.client() as client:
        for path in paths:
            for _ in range(times):
                assert client.request("HEAD", path, BR).status == 200


def prepare(weir, paths):
    """They are stored, and coded."""
    for path in paths:
        weir.get(path)

    for path in paths:
        wait_for(lambda path=path: weir.get(path, headers=BR).get("Content-Length"), 60)


# ---- stored codings ----

def test_logins_do_not_wait_for_what_is_coded(library):
    paths = [f"/{i}" for i in range(10)]
    for i, path in enumerate(paths):
        library.set(path, prose(1 << 20, i), FRESH + TEXT)
    library.set("/login", b"in")
    secret = crypt.crypt("secret", "$2b$04$abcdefghijklmnopqrstuu")
    routes = [
        {"path": "/login", "upstream": "app", "auth": {"basic": {"users_file": "users"}}},
        {"path": "/", "upstream": "app", "cache": {}, "compression": {}}]
    weir = proxy(library.origin, site={"routes": routes})
    with open(f"{weir.dir}/users", "w") as file:
        file.write(f"ann:{secret}\n")
    with weir:
        prepare(weir, paths)
        ask_often(weir, paths, 70)
        login = "Basic " + base64.b64encode(b"ann:secret").decode()
        assert weir.get("/login", headers=[("Authorization", login)]).status == 200


def test_the_end_does_not_wait_for_what_is_coded(library):
    """15 MiB at brotli's most take longer than a stop may take."""
    library.set("/a", prose(15 << 20), FRESH + TEXT)
    with cached(library) as weir:
        prepare(weir, ["/a"])
        ask_often(weir, ["/a"], 70)


def test_many_that_waited_get_one_coding(library):
    page = prose(31_000)

    def slow(conn, _):
        time.sleep(1)
        conn.answer(page, headers=FRESH + TEXT)

    library.answers["/a"] = slow
    with cached(library) as weir:
        answers = in_threads(100, lambda _: weir.get("/a", headers=BR))
        assert library.count("/a") == 1
        assert {unbrotli(body) for body in {a.body for a in answers}} == {page}
        # What the first one passed on, and what was stored.
        assert len({a.body for a in answers}) <= 2


def test_what_gets_no_smaller_is_left_as_it_is(library):
    noise = random.Random(1).randbytes(5000)
    library.set("/tiny", b"0123456789", FRESH + TEXT)
    library.set("/noise", noise, FRESH + TEXT)
    with cached(library, compression={"min_size": "0B"}) as weir:
        for path, body in (("/tiny", b"0123456789"), ("/noise", noise)):
            weir.get(path)
            for _ in range(3):
                hit = weir.get(path, headers=BR)
                assert result(hit) == "HIT" and hit.get("Vary") == "Accept-Encoding"
                assert hit.get("Content-Encoding") is None and hit.body == body
            with weir.client() as client:
                head = client.request("HEAD", path, BR)
                assert head.get("Content-Encoding") is None
                assert head.get("Content-Length") == str(len(body))


def test_padding_changes_lengths_of_hits(library):
    page = prose(5000)
    library.set("/a", page, FRESH + TEXT)
    with cached(library, compression={"padding": True}) as weir:
        weir.get("/a")
        sizes = set()
        for _ in range(30):
            hit = weir.get("/a", headers=GZIP)
            assert result(hit) == "HIT"
            assert zlib.decompress(hit.body, 31) == page
            sizes.add(len(hit.body))
        assert len(sizes) > 10


def test_vary_is_the_same_on_parts_and_304(library):
    page = prose(5000)
    library.set("/a", page, FRESH + TEXT + [("ETag", '"1"')])
    library.set("/passed", page, TEXT + [("ETag", '"1"'), ("Cache-Control", "private")])
    library.set("/image", page, FRESH + [("Content-Type", "image/png"), ("ETag", '"1"')])
    known = ("If-None-Match", '"1"')
    parts = ("Range", "bytes=0-9,100-109")
    with cached(library) as weir:
        for path, vary in (("/a", "Accept-Encoding"), ("/image", None)):
            weir.get(path)
            assert weir.get(path).get("Vary") == vary
            for accepted in (BR, []):
                same = weir.get(path, headers=accepted + [known])
                assert same.status == 304 and same.get("Vary") == vary
                part = weir.get(path, headers=accepted + [parts])
                assert part.status == 206 and part.get("Vary") == vary
                assert part.get("Content-Encoding") is None
        assert weir.get("/passed", headers=[known]).get("Vary") == "Accept-Encoding"


# ---- the configuration ----

def memory_bytes(weir):
    return weir.metric("weir_cache_memory_bytes")


def test_a_refused_reload_does_not_change_the_bound(library):
    library.set("/a")
    with cached(library) as weir, socket.socket() as taken:
        before = memory_bytes(weir)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        weir.config["cache"] = {"memory": "64MiB"}
        weir.config["listeners"]["more"] = {"address": "127.0.0.1:%d" % taken.getsockname()[1]}
        weir.write_config()
        weir.reload("failed")
        assert memory_bytes(weir) == before
        del weir.config["listeners"]["more"]
        weir.write_config()
        weir.reload()
        assert memory_bytes(weir) == 64 << 20


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_a_check_takes_no_memory(library):
    with open(binary(), "rb") as file:
        if re.search(rb"__[at]san_", file.read()):
            pytest.skip("sanitizers map terabytes of their own")
    weir = cached(library)
    weir.config["cache"] = {"memory": "64GiB"}
    weir.write_config()
    done = subprocess.run(["strace", "-f", "-e", "trace=mmap", binary(), "check", "-c", weir.path],
                          capture_output=True, text=True, timeout=60, check=False)
    sizes = [int(found) for found in re.findall(r"mmap\(\w+, (\d+)", done.stderr)]
    assert done.returncode == 0 and max(sizes) < 1 << 30


def test_a_cache_that_was_off_begins_empty(library):
    for path in ("/a", "/b"):
        library.set(path)
    with proxy(library.origin, route={"cache": {}}) as weir:
        weir.get("/a")
        assert result(weir.get("/a")) == "HIT"
        route = weir.config["sites"][0]["routes"][0]
        kept = route.pop("cache")
        weir.write_config()
        weir.reload()
        with weir.client() as client:
            assert client.request("POST", "/a", body=b"x").status == 200
        assert result(weir.get("/a")) is None
        route["cache"] = kept
        weir.write_config()
        weir.reload()
        assert result(weir.get("/a")) == "MISS"
        assert result(weir.get("/a")) == "HIT"
        weir.reload()
        assert result(weir.get("/a")) == "HIT"


def test_little_memory_needs_no_max_object(library):
    library.set("/small", bytes(1 << 20))
    library.set("/large", bytes(9 << 20))
    with proxy(library.origin, route={"cache": {}}, cache={"memory": "32MiB"}) as weir:
        for path, kept in (("/small", "HIT"), ("/large", "MISS")):
            weir.get(path)
            assert result(weir.get(path)) == kept


# ---- writes ----

def test_a_write_makes_more_void_than_a_turn_may(library):
    library.set("/items")
    library.set("/itemsx")
    library.set("/items/5")
    library.set("/made")
    library.answers["/new"] = lambda conn, _: conn.answer(
        b"", "201 Created", headers=[("Location", "/made")])
    with proxy(library.origin, route={"cache": {}}) as weir, weir.client() as client:
        def get(target):
            return result(client.request("GET", target))

        targets = ["/itemsx", "/itemsx?a", "/items/6?x", "/other"]
        library.set("/other")
        library.set("/items/6")
        for target in ["/items", "/items/", "/items/5", "/items/5?a=1", "/made?b=1"] + targets:
            get(target)
        for i in range(1500):
            get(f"/items?page={i}")
        before = weir.metric("weir_cache_objects")
        assert client.request("POST", "/items/5", body=b"x").status == 200
        wait_for(lambda: weir.metric("weir_cache_objects") <= before - 1503)
        for target in targets:
            assert get(target) == "HIT", target
        for target in ("/items", "/items/5", "/items/5?a=1", "/items?page=0", "/items?page=1499"):
            assert get(target) == "MISS", target
        assert get("/made?b=1") == "HIT"
        assert client.request("POST", "/new", body=b"x").status == 201
        assert get("/made?b=1") == "MISS"


def test_little_is_held_of_what_nobody_reads(library):
    """Where what is not taken cannot stay in the store: streams without a window."""
    library.set("/big", b"x" * (1 << 20))
    listener = {"protocols": ["h2c", "http/1.1"]}

    def held(weir):
        return json.loads(weir.admin("/status")[1])["buffers_bytes"]

    with cached(library, listener=listener) as weir:
        assert len(weir.get("/big").body) == 1 << 20
        before = held(weir)
        with H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 0}, window=0) as client:
            for stream in range(1, 20, 2):
                client.headers(stream, h2.get("/big"))
            client.until(lambda c: len(c.answers) == 10 and all(
                answer.status for answer in c.answers.values()))
            client.sync()
            assert held(weir) - before < 10 * (160 << 10)

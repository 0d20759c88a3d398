"""Compressed forms of what the cache keeps."""
import gzip
import random
import subprocess

from support.library import FRESH, cached, result
from support.waiting import wait_for


def encoded(weir, target, coding):
    return weir.get(target, headers=[("Accept-Encoding", coding)])


def test_one_entry_serves_all_codings(library):
    body = b"the same words again and again, " * 600
    library.set("/a", body, FRESH + [("Content-Type", "text/plain"), ("ETag", '"x"')])
    route = {"compression": {"encodings": ["gzip", "br", "zstd"]}}
    with cached(library, route=route) as weir:
        weir.get("/a")
        sizes = {}
        for _ in range(2):
            for coding in ("gzip", "br", "zstd"):
                response = encoded(weir, "/a", coding)
                assert result(response) == "HIT" and response.get("Content-Encoding") == coding
                assert response.get("ETag") == 'W/"x"' and response.get("Vary") == "Accept-Encoding"
                assert int(response.get("Content-Length")) == len(response.body) < len(body)
                assert sizes.setdefault(coding, response.body) == response.body
        assert gzip.decompress(sizes["gzip"]) == body
        assert weir.get("/a").body == body and library.count("/a") == 1
        # Compressed once for all of them: what is served again costs nothing.
        assert weir.metric("weir_compression_bytes_total", direction="in") == 0


def test_no_transform_holds_for_what_is_stored(library):
    body = b"the same words again and again, " * 600
    text = ("Content-Type", "text/plain")
    library.set("/a", body, FRESH + [text])
    library.set("/frozen", body, [("Cache-Control", "max-age=60, no-transform"), text])
    with cached(library, route={"compression": {"encodings": ["gzip"]}}) as weir:
        for path in ("/a", "/frozen"):
            weir.get(path)
        assert encoded(weir, "/a", "gzip").get("Content-Encoding") == "gzip"
        accept = ("Accept-Encoding", "gzip")
        for path, says in (("/a", [("Cache-Control", "no-transform")]), ("/frozen", [])):
            plain = weir.get(path, headers=[accept, *says])
            assert result(plain) == "HIT" and plain.body == body
            assert plain.get("Content-Encoding") is None


def test_a_large_answer_is_compressed_in_the_background(library):
    body = b"".join(b"%d, " % number for number in range(60_000))
    library.set("/a", body, FRESH + [("Content-Type", "text/plain")])
    with cached(library, route={"compression": {"encodings": ["gzip"]}}) as weir:
        weir.get("/a")
        first = encoded(weir, "/a", "gzip")
        assert first.get("Content-Encoding") == "gzip" and gzip.decompress(first.body) == body
        wait_for(lambda: encoded(weir, "/a", "gzip").get("Content-Length") is not None)
        later = encoded(weir, "/a", "gzip")
        assert gzip.decompress(later.body) == body and len(later.body) < len(first.body)


def test_what_is_popular_is_compressed_again(library):
    draw = random.Random(1)
    body = b"".join(b'{"id": %d, "name": "order %d"},' % (draw.randrange(10**9), draw.randrange(99))
                    for _ in range(600))
    library.set("/a", body, FRESH + [("Content-Type", "text/plain")])
    with cached(library, route={"compression": {"encodings": ["br"]}}) as weir:
        weir.get("/a")
        first = encoded(weir, "/a", "br")
        for _ in range(80):
            encoded(weir, "/a", "br")
        wait_for(lambda: len(encoded(weir, "/a", "br").body) < len(first.body))
        tool = subprocess.run(["brotli", "-d"], input=encoded(weir, "/a", "br").body, check=True,
                              capture_output=True)
        assert tool.stdout == body and library.count("/a") == 1

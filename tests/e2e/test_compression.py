"""`compression`, with the decoders of real clients: zlib, brotli, zstd, curl."""
import json
import os
import random
import subprocess
import threading
import zlib

import pytest
from support.h2 import H2Client, get as h2_get
from support.origin import Origin, by_request
from support.waiting import wait_for
from support.weir import binary, proxy

ENCODINGS = ("gzip", "br", "zstd")
WAIT_S = 10
BOTH = {"protocols": ["h2c", "http/1.1"]}


def decode(encoding, body):
    if encoding == "gzip":
        reader = zlib.decompressobj(31)
        plain = reader.decompress(body) + reader.flush()
        assert reader.eof and not reader.unused_data
        return plain
    tool = {"br": "brotli", "zstd": "zstd"}[encoding]
    return subprocess.run([tool, "-d", "-c"], input=body, capture_output=True, check=True).stdout


def prose(size, seed=1):
    """What shrinks, but not to nothing."""
    words = random.Random(seed)
    text = bytearray()
    while len(text) < size:
        text += b'{"id": %d, "name": "order %d"},' % (words.randrange(10**9), words.randrange(99))
    return bytes(text[:size])


PAGE = prose(5000)


def serve(answers):
    """An origin of pages: target -> (body, fields, status); without a status, "200 OK"."""

    def answer(conn, request):
        body, fields, *status = answers[request.target.partition("?")[0]]
        if request.method == "HEAD":
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
            conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{lines}\r\n")
        else:
            conn.answer(body, *status, headers=fields)

    return Origin(by_request(answer))


def html(*more):
    return [("Content-Type", "text/html"), *more]


def ask(client, encoding, target="/", method="GET", headers=()):
    accept = [("Accept-Encoding", encoding)] if encoding is not None else []
    return client.request(method, target, headers=[*accept, *headers])


def plain_of(answer):
    encoding = answer.get("Content-Encoding")
    return answer.body if encoding is None else decode(encoding, answer.body)


def on(**options):
    return {"compression": options}


@pytest.mark.parametrize("level", ["auto", 1, 3, 6, 9])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_encoding_and_level(encoding, level):
    with serve({"/": (PAGE, html())}) as origin, \
            proxy(origin, route=on(level=level)) as weir, weir.client() as client:
        for _ in range(3):
            answer = ask(client, encoding)
            assert answer.get("Content-Encoding") == encoding
            assert answer.get("Content-Length") is None
            assert answer.get("Vary") == "Accept-Encoding"
            assert decode(encoding, answer.body) == PAGE
            assert len(answer.body) < len(PAGE) / 2
        assert weir.metric("weir_compression_bytes_total", encoding=encoding,
                           direction="in") == 3 * len(PAGE)
        assert weir.metric("weir_compression_bytes_total", encoding=encoding,
                           direction="out") == 3 * len(answer.body)


def test_types():
    taken = ["text/plain", "text/css", "application/json; charset=utf-8", "Text/HTML",
             "application/javascript", "text/xml", "application/xml", "image/svg+xml",
             "application/ld+json", "application/wasm", "text/javascript"]
    left = ["image/png", "application/octet-stream", "font/woff2", "application/zip"]
    pages = {f"/{i}": (PAGE, [("Content-Type", kind)]) for i, kind in enumerate(taken + left)}
    pages["/none"] = (PAGE, [])
    with serve(pages) as origin, proxy(origin, route=on()) as weir, weir.client() as client:
        for i in range(len(taken)):
            assert ask(client, "gzip", f"/{i}").get("Content-Encoding") == "gzip", taken[i]
        for target in [f"/{i}" for i in range(len(taken), len(taken + left))] + ["/none"]:
            answer = ask(client, "gzip", target)
            assert answer.get("Content-Encoding") is None and answer.get("Vary") is None
            assert answer.body == PAGE and answer.get("Content-Length") == "5000"


def test_min_size():
    pages = {f"/{size}": (prose(size), html()) for size in (0, 1, 1023, 1024)}
    with serve(pages) as origin, proxy(origin, route=on()) as weir, weir.client() as client:
        for size, encoding in ((0, None), (1, None), (1023, None), (1024, "gzip")):
            answer = ask(client, "gzip", f"/{size}")
            assert answer.get("Content-Encoding") == encoding
            assert plain_of(answer) == prose(size)


@pytest.mark.parametrize("accept, got", [
    (None, None), ("", None), ("gzip;q=0", None), ("*;q=0", None), ("identity", None),
    ("deflate", None), ("gzip", "gzip"), ("GZIP;Q=0.5", "gzip"), ("x-gzip", "gzip"),
    ("gzip, br", "br"), ("gzip, deflate, br, zstd", "br"), ("br;q=0.1, gzip;q=0.2", "gzip"),
    ("identity;q=0, zstd", "zstd"), ("*", "br"), ("br;q=0, *", "zstd"),
    ("gzip;q=0.5, identity;q=1", None),
])
def test_what_the_client_takes(accept, got):
    with serve({"/": (PAGE, html())}) as origin, \
            proxy(origin, route=on(encodings=["br", "zstd", "gzip"])) as weir, \
            weir.client() as client:
        answer = ask(client, accept)
        assert answer.get("Content-Encoding") == got
        assert answer.get("Vary") == "Accept-Encoding"
        assert plain_of(answer) == PAGE


def test_never():
    tag = ("ETag", '"x"')
    pages = {
        "/encoded": (zlib.compress(PAGE), html(("Content-Encoding", "deflate"), tag)),
        "/frozen": (PAGE, html(("Cache-Control", "public, no-transform"), tag)),
        "/part": (PAGE, html(("Content-Range", "bytes 0-4999/9000"), tag), "206 Partial Content"),
        "/nothing": (b"", html(tag), "204 No Content"),
        "/same": (b"", html(tag), "304 Not Modified"),
        "/": (PAGE, html(tag)),
    }
    with serve(pages) as origin, proxy(origin, route=on()) as weir, weir.client() as client:
        for target, (body, fields, *_) in pages.items():
            for headers in ([("X-No-Compression", "1")], [("Cache-Control", "no-transform")], []):
                if target == "/" and not headers:
                    continue
                answer = ask(client, "gzip", target, headers=headers)
                assert answer.body == body
                assert answer.all("Content-Encoding") == [
                    value for name, value in fields if name == "Content-Encoding"]
                assert answer.get("ETag") == '"x"'
        assert ask(client, "gzip", headers=[("X-No-Compression", "1")]).get("Vary") == \
            "Accept-Encoding"
        # The length of the end would only be known by a closed connection.
        client.send("GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        answer = client.response()
        assert answer.get("Content-Encoding") is None and answer.body == PAGE
        assert answer.get("Vary") == "Accept-Encoding"


def test_ranges_pass():
    """A client that asks for a part gets a part of the plain bytes, and its If-Range as it is."""

    def answer(conn, request):
        if request.get("Range"):
            conn.answer(PAGE[:2000], "206 Partial Content",
                        html(("Content-Range", "bytes 0-1999/5000"), ("ETag", '"x"')))
        else:
            conn.answer(PAGE, headers=html(("ETag", '"x"'), ("Accept-Ranges", "bytes")))

    with Origin(by_request(answer)) as origin, proxy(origin, route=on()) as weir, \
            weir.client() as client:
        whole = ask(client, "gzip")
        assert whole.get("ETag") == 'W/"x"' and whole.get("Accept-Ranges") is None
        part = ask(client, "gzip", headers=[("Range", "bytes=0-1999"), ("If-Range", 'W/"x"')])
        assert part.status == 206 and part.body == PAGE[:2000]
        assert part.get("ETag") == '"x"' and part.get("Content-Encoding") is None
        assert part.get("Vary") == "Accept-Encoding"
        assert origin.requests[-1].get("If-Range") == 'W/"x"'


def test_via_and_other_fields():
    fields = html(("Vary", "Origin"), ("Vary", "Cookie"), ("Content-MD5", "x"), ("X-A", "b"))
    with serve({"/": (PAGE, fields)}) as origin, proxy(origin, route=on()) as weir, \
            weir.client() as client:
        answer = ask(client, "gzip", headers=[("Via", "1.1 cloudfront")])
        assert answer.get("Content-Encoding") == "gzip"
        assert answer.get("Vary") == "Origin, Cookie, Accept-Encoding"
        assert answer.get("Content-MD5") is None and answer.get("X-A") == "b"
        assert ask(client, None).get("Vary") == "Origin, Cookie, Accept-Encoding"


def test_header_edits_come_before():
    edit = {"response": {"set": {"Cache-Control": "no-transform"}}}
    route = {**on(), "headers": edit}
    with serve({"/": (PAGE, html())}) as origin, proxy(origin, route=route) as weir, \
            weir.client() as client:
        assert ask(client, "gzip").get("Content-Encoding") is None
    route["headers"] = {"response": {"set": {"Content-Type": "text/plain", "Vary": "Origin"}},
                        "request": {"remove": ["Accept-Encoding"]}}
    with serve({"/": (PAGE, [])}) as origin, proxy(origin, route=route) as weir, \
            weir.client() as client:
        answer = ask(client, "gzip")
        assert answer.get("Content-Encoding") == "gzip"
        assert answer.get("Vary") == "Origin, Accept-Encoding"
        assert origin.requests[0].get("Accept-Encoding") is None


# ---- entity tags ----


def test_tags_go_out_weak_and_come_back_strong():
    """The server compares texts, as many do."""

    def answer(conn, request):
        own = 'W/"own"' if request.target == "/own" else '"x,1"'
        fields = html(("ETag", own))
        if request.get("If-None-Match") == own:
            conn.answer(b"", "304 Not Modified", [("ETag", own)])
        elif request.method == "PUT":
            good = request.get("If-Match") == own
            conn.answer(b"", "204 No Content" if good else "412 Precondition Failed")
        else:
            conn.answer(PAGE, headers=fields)

    with Origin(by_request(answer)) as origin, proxy(origin, route=on()) as weir, \
            weir.client() as client:
        def again(tag, target="/", accept="gzip", method="GET", field="If-None-Match"):
            return ask(client, accept, target, method, headers=[(field, tag)])

        # Nobody has been told of a weak one yet.
        assert again('W/"x,1"').status == 200
        assert ask(client, "gzip").get("ETag") == 'W/"x,1"'
        assert ask(client, None).get("ETag") == '"x,1"'
        answer = again('W/"x,1"')
        assert answer.status == 304 and answer.get("ETag") == 'W/"x,1"'
        assert answer.get("Vary") == "Accept-Encoding"
        answer = again('"x,1"', accept=None)
        assert answer.status == 304 and answer.get("ETag") == '"x,1"'
        assert again('W/"x,1"', method="PUT", field="If-Match").status == 204
        # A tag that the server made weak itself, and the same one elsewhere.
        assert ask(client, "gzip", "/own").get("ETag") == 'W/"own"'
        assert again('W/"own"', "/own").status == 304
        assert again('W/"x,1"', "/elsewhere").status == 200
        again('"a", W/"x,1",W/"b"')
        assert origin.requests[-1].get("If-None-Match") == '"a", "x,1", W/"b"'


# ---- methods ----


def test_head_is_told_what_a_get_is_told():
    pages = {"/large": (PAGE, html(("ETag", '"x"'))), "/small": (b"small", html())}
    with serve(pages) as origin, proxy(origin, route=on()) as weir, weir.client() as client:
        for accept in ("gzip", None):
            for target in pages:
                head = ask(client, accept, target, "HEAD")
                whole = ask(client, accept, target)
                for name in ("Content-Encoding", "ETag", "Vary", "Content-Length"):
                    assert head.get(name) == whole.get(name), (accept, target, name)
        assert weir.metric("weir_compression_bytes_total", encoding="gzip",
                           direction="in") == len(PAGE)


def test_a_post_and_answers_of_weir_itself():
    text = "word " * 1000
    routes = [{"path": "=/own", "respond": {"body": text, "headers": {"Content-Type": "text/css"}}},
              {"path": "=/short", "respond": {"body": "x"}},
              {"path": "/off", "upstream": "app", "compression": "off"},
              {"path": "/", "upstream": "app"}]
    with serve({"/": (PAGE, html()), "/off": (PAGE, html())}) as origin, \
            proxy(origin, site={**on(), "routes": routes}) as weir, weir.client() as client:
        posted = client.request("POST", "/", headers=[("Accept-Encoding", "br")], body=b"x=1")
        assert posted.get("Content-Encoding") == "br" and plain_of(posted) == PAGE
        own = ask(client, "zstd", "/own")
        assert own.get("Content-Encoding") == "zstd" and plain_of(own) == text.encode()
        assert ask(client, "zstd", "/own", "HEAD").get("Content-Encoding") == "zstd"
        assert ask(client, "zstd", "/short").get("Content-Encoding") is None
        off = ask(client, "zstd", "/off")
        assert off.get("Content-Encoding") is None and off.get("Vary") is None


# ---- streams ----


class Slow:
    """An answer in pieces, each sent when the client has seen the one before."""

    def __init__(self, pieces, kind="text/html"):
        self.pieces = pieces
        self.kind = kind
        self.seen = threading.Semaphore(0)

    def __call__(self, conn, _):
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Type: {self.kind}\r\n"
                  "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n")
        for piece in self.pieces:
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            if not self.seen.acquire(timeout=WAIT_S):
                return False
        conn.send("0\r\nX-T: end\r\n\r\n")
        return None


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_nothing_is_held_back(kind, encoding, protocol):
    """curl decodes each piece before the next one exists."""
    pieces = [b"data: %d\n\n" % i for i in range(5)] + [prose(3000), b"data: last\n\n"]
    slow = Slow(pieces, kind)
    with Origin(by_request(slow)) as origin, \
            proxy(origin, route=on(), listener=BOTH) as weir:
        url = f"http://127.0.0.1:{weir.address[1]}/"
        with subprocess.Popen(
                ["curl", "-sSN", "--compressed", protocol, "--max-time", "30",
                 "-H", f"Accept-Encoding: {encoding}", "-D", os.path.join(weir.dir, "head"), url],
                stdout=subprocess.PIPE) as curl:
            for piece in pieces:
                got = b""
                while len(got) < len(piece):
                    more = os.read(curl.stdout.fileno(), len(piece) - len(got))
                    assert more, "curl ended"
                    got += more
                assert got == piece
                slow.seen.release()
            assert curl.stdout.read() == b""
            assert curl.wait() == 0
        with open(os.path.join(weir.dir, "head")) as file:
            head = file.read().lower()
        assert f"content-encoding: {encoding}\n" in head.replace("\r", "")


def test_trailers_stay():
    slow = Slow([PAGE])
    slow.seen.release()
    with Origin(by_request(slow)) as origin, proxy(origin, route=on()) as weir, \
            weir.client() as client:
        answer = ask(client, "br")
        assert plain_of(answer) == PAGE and answer.trailers == [("X-T", "end")]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_large_bodies(encoding):
    """Many reads, a client that does not read for a while, chunks and lengths."""
    page = prose(200_000) * 50

    def answer(conn, request):
        if request.target == "/length":
            conn.answer(page, headers=html())
            return
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(page), 50_000):
            conn.send(b"%x\r\n%s\r\n" % (len(page[at:at + 50_000]), page[at:at + 50_000]))
        conn.send("0\r\n\r\n")

    with Origin(by_request(answer)) as origin, proxy(origin, route=on()) as weir, \
            weir.client() as client, weir.client() as other:
        for target in ("/length", "/chunks"):
            client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n")
            assert plain_of(ask(other, encoding, target)) == page
            assert plain_of(client.response()) == page


def test_an_answer_that_is_cut_stays_cut():
    def answer(conn, request):
        if request.target == "/length":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                      b"Content-Length: 9000\r\n\r\n" + PAGE)
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + PAGE + b"\r\n")
        return False

    with Origin(by_request(answer)) as origin, proxy(origin, route=on()) as weir:
        for target in ("/length", "/chunks"):
            for encoding in ENCODINGS:
                with weir.client() as client:
                    answer = ask(client, encoding, target)
                    assert answer.get("Content-Encoding") == encoding
                    assert not answer.complete


def test_http2():
    with serve({"/": (PAGE, html(("ETag", '"x"')))}) as origin, \
            proxy(origin, route=on(), listener=BOTH) as weir, H2Client(weir.address) as client:
        for stream, encoding in zip((1, 3, 5), ENCODINGS):
            answer = client.request(h2_get("/", ("accept-encoding", encoding)), stream=stream)
            assert answer.get("content-encoding") == encoding
            assert answer.get("etag") == 'W/"x"' and answer.get("content-length") is None
            assert decode(encoding, answer.body) == PAGE
        head = client.request(h2_get("/", ("accept-encoding", "br"), method="HEAD"), stream=7)
        assert head.get("content-encoding") == "br" and head.body == b""


# ---- bounds ----


def begin(weir, encoding="gzip"):
    client = weir.client()
    client.send(f"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n\r\n")
    return client, dict(client.head()[2])


def encodings_of(clients):
    return [head.get("Content-Encoding") for _, head in clients]


@pytest.mark.parametrize("kind, places", [("text/plain", 4), ("text/event-stream", 2)])
def test_no_more_at_once_than_allowed(kind, places):
    """And places are free again when clients leave."""
    over = threading.Event()

    def answer(conn, _):
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
        over.wait(3 * WAIT_S)
        return False

    with Origin(by_request(answer)) as origin, \
            proxy(origin, route=on(max_concurrent=4)) as weir:
        for _ in range(2):
            clients = [begin(weir) for _ in range(6)]
            assert encodings_of(clients) == ["gzip"] * places + [None] * (6 - places)
            for client, _ in clients:
                client.reset()
            wait_for(lambda: weir.metric("requests_in_flight") == 0)
        assert weir.metric("weir_compression_refused_total") == 2 * (6 - places)
        over.set()


def test_clients_that_leave_in_the_middle():
    """While much is on its way to them, compressed and not yet."""
    page = prose(3_000_000)
    with serve({"/": (page, html())}) as origin, \
            proxy(origin, route=on(max_concurrent=6)) as weir:
        for _ in range(5):
            clients = [begin(weir, ENCODINGS[i % 3])[0] for i in range(10)]
            for i, client in enumerate(clients):
                client.read_exactly(i * 10_000)
                client.reset()
        wait_for(lambda: weir.metric("requests_in_flight") == 0)
        with weir.client() as client:
            for encoding in ENCODINGS:
                answer = ask(client, encoding)
                assert answer.get("Content-Encoding") == encoding and plain_of(answer) == page


def test_finished_answers_hold_no_place():
    """A client that has not read its answer yet, and one that keeps its connection."""
    with serve({"/": (PAGE, html())}) as origin, \
            proxy(origin, route=on(max_concurrent=1)) as weir:
        clients = [begin(weir) for _ in range(5)]
        assert encodings_of(clients) == ["gzip"] * 5
        for client, _ in clients:
            client.sock.close()


# ---- BREACH ----


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_padding_changes_lengths(encoding):
    with serve({"/": (PAGE, html())}) as origin, \
            proxy(origin, route=on(padding=True)) as weir, weir.client() as client:
        sizes = set()
        for _ in range(30):
            answer = ask(client, encoding)
            sizes.add(len(answer.body))
            assert decode(encoding, answer.body) == PAGE
        assert len(sizes) > 10
        url = f"http://127.0.0.1:{weir.address[1]}/"
        for _ in range(5):
            done = subprocess.run(["curl", "-sS", "--compressed", "--max-time", "10", "-H",
                                   f"Accept-Encoding: {encoding}", url],
                                  capture_output=True, check=True)
            assert done.stdout == PAGE


def test_answers_with_cookies():
    pages = {"/cookie": (PAGE, html(("Set-Cookie", "a=b"))), "/": (PAGE, html())}
    with serve(pages) as origin, proxy(origin, route=on(skip_set_cookie=True)) as weir, \
            weir.client() as client:
        assert ask(client, "gzip", "/cookie").get("Content-Encoding") is None
        assert ask(client, "gzip", "/").get("Content-Encoding") == "gzip"
    with serve(pages) as origin, proxy(origin, route=on()) as weir, weir.client() as client:
        assert ask(client, "gzip", "/cookie").get("Content-Encoding") == "gzip"


# ---- operators ----


def test_explain():
    with serve({}) as origin, proxy(origin, route=on()) as weir:
        def said(accept):
            done = subprocess.run([binary(), "explain", "-c", weir.path, "-H",
                                   f"Accept-Encoding: {accept}", "http://a/"],
                                  capture_output=True, text=True, check=True)
            return done.stdout

        assert "zstd at level 1" in said("gzip, zstd")
        assert "as it is" in said("identity")


def test_json_of_an_app_is_what_it_was():
    document = {"items": [{"id": i, "text": "ä" * (i % 7)} for i in range(500)]}
    with serve({"/": (json.dumps(document).encode(), [("Content-Type", "application/json")])}) \
            as origin, proxy(origin, route=on()) as weir, weir.client() as client:
        for i in range(60):
            answer = ask(client, ENCODINGS[i % 3])
            assert json.loads(plain_of(answer)) == document

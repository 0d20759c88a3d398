"""What clients get of a file: conditions, ranges, compressed siblings, large ones."""
import gzip
import os
import re
import time

import pytest
from support.folder import LETTERS, OLD, OLD_DATE, SCRIPT, ask, fill, files, put
from support.h2 import H2Client, get as h2_get
from support.waiting import wait_for
from support.weir import Weir

BOTH = {"protocols": ["h2c", "http/1.1"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("files") / "static")
    os.mkdir(path)
    fill(path)
    return path


@pytest.fixture(scope="module")
def edge(root):
    routes = [
        {"path": "/static/", "files": files(root)},
        {"path": "/coded/", "files": files(root, precompressed=["br", "gzip"])},
        {"path": "/packed/", "files": files(root, precompressed=["gzip"]), "compression": {}},
        {"path": "/shrunk/", "files": files(root), "compression": {}},
    ]
    with Weir(sites=[{"hosts": ["*"], "routes": routes}], listener=BOTH) as weir:
        yield weir


# ---- conditions ----

def test_conditions(edge):
    whole = ask(edge, "/static/letters.txt")
    tag = whole.get("ETag")
    for headers, status in [
            ([("If-None-Match", tag)], 304),
            ([("If-None-Match", f'"x", W/{tag}')], 304),
            ([("If-None-Match", "*")], 304),
            ([("If-None-Match", '"x"')], 200),
            ([("If-Modified-Since", OLD_DATE)], 304),
            ([("If-Modified-Since", "Sat, 12 Sep 2020 12:26:40 GMT")], 200),
            ([("If-None-Match", '"x"'), ("If-Modified-Since", OLD_DATE)], 200),
            ([("If-Match", tag)], 200),
            ([("If-Match", '"x"')], 412),
            ([("If-Unmodified-Since", OLD_DATE)], 200),
            ([("If-Unmodified-Since", "Sat, 12 Sep 2020 12:26:40 GMT")], 412),
    ]:
        answer = ask(edge, "/static/letters.txt", headers)
        assert answer.status == status, headers
        assert answer.body == (LETTERS if status == 200 else b"")
        if status == 304:
            assert answer.get("ETag") == tag and answer.get("Content-Type") is None
        assert ask(edge, "/static/letters.txt", headers, "HEAD").status == status


def test_the_tag_follows_the_content(edge, root):
    def tag():
        return ask(edge, "/static/changes.txt").get("ETag")

    put(root, "changes.txt", b"one", OLD)
    tags = [tag()]
    put(root, "changes.txt", b"three", OLD)  # of another size
    tags.append(tag())
    put(root, "changes.txt", b"three", OLD + 1)  # of another time
    tags.append(tag())
    assert len(set(tags)) == 3
    path = put(root, "changes.txt", b"now", time.time())
    fresh = ask(edge, "/static/changes.txt")
    assert fresh.get("ETag").startswith('W/"')  # it may change again within the tick
    wait_for(lambda: not tag().startswith("W/"), 10)
    # A time that was set for a reproducible build tells nothing: the inode's own does.
    os.utime(path, (1, 1))
    before = ask(edge, "/static/changes.txt")
    assert before.get("Last-Modified") is None
    put(root, "changes.txt", b"new", 1)
    assert ask(edge, "/static/changes.txt").get("ETag") != before.get("ETag")
    put(root, "changes.txt", b"new", time.time() + 10_000)
    assert ask(edge, "/static/changes.txt").get("Last-Modified") is None


# ---- ranges ----

@pytest.mark.parametrize("field, body, content_range", [
    ("bytes=0-4", b"abcde", "bytes 0-4/26"),
    ("bytes=-3", b"xyz", "bytes 23-25/26"),
    ("bytes=20-", b"uvwxyz", "bytes 20-25/26"),
    ("bytes=20-99", b"uvwxyz", "bytes 20-25/26"),
])
def test_one_range(edge, field, body, content_range):
    answer = ask(edge, "/static/letters.txt", [("Range", field)])
    assert (answer.status, answer.body) == (206, body)
    assert answer.get("Content-Range") == content_range
    assert answer.get("Content-Length") == str(len(body))
    assert answer.get("ETag") and answer.get("Last-Modified") == OLD_DATE


def test_several_ranges(edge):
    answer = ask(edge, "/static/letters.txt", [("Range", "bytes=0-1,24-25")])
    assert answer.status == 206 and answer.get("Content-Range") is None
    boundary = re.fullmatch("multipart/byteranges; boundary=(.*)", answer.get("Content-Type"))[1]
    parts = answer.body.split(b"--" + boundary.encode())
    assert len(parts) == 4 and parts[3].startswith(b"--")
    assert parts[1].endswith(b"\r\n\r\nab\r\n") and b"bytes 0-1/26" in parts[1]
    assert parts[2].endswith(b"\r\n\r\nyz\r\n") and b"bytes 24-25/26" in parts[2]


def test_ranges_that_cannot_be_or_do_not_count(edge):
    answer = ask(edge, "/static/letters.txt", [("Range", "bytes=26-")])
    assert (answer.status, answer.get("Content-Range")) == (416, "bytes */26")
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 1000, 2))
    for field, status in [("bytes=a-b", 200), ("lines=1-2", 200), (many, 200)]:
        assert ask(edge, "/static/app.js", [("Range", field)]).status == status, field
    head = ask(edge, "/static/letters.txt", [("Range", "bytes=0-4")], "HEAD")
    assert (head.status, head.get("Content-Length")) == (200, "26")


def test_if_range(edge):
    tag = ask(edge, "/static/letters.txt").get("ETag")
    for value, status in [(tag, 206), (OLD_DATE, 206), ('"x"', 200), ("W/" + tag, 200),
                          ("Sat, 12 Sep 2020 12:26:40 GMT", 200)]:
        headers = [("Range", "bytes=0-4"), ("If-Range", value)]
        assert ask(edge, "/static/letters.txt", headers).status == status, value


# ---- compressed siblings ----

@pytest.mark.parametrize("target, accept, coding", [
    ("/coded/app.js", "br, gzip", "br"),
    ("/coded/app.js", "gzip, br", "br"),
    ("/coded/app.js", "br;q=0.5, gzip", "gzip"),
    ("/coded/app.js", "gzip", "gzip"),
    ("/coded/app.js", "*", "br"),
    ("/coded/app.js", "zstd", None),
    ("/coded/app.js", "br;q=0, gzip;q=0", None),
    ("/coded/app.js", None, None),
    ("/coded/plain.js", "br, gzip", None),
    ("/coded/late.js", "br, gzip", None),  # its sibling is older than it
    ("/static/app.js", "br, gzip", None),  # nobody asked for siblings
])
def test_siblings(edge, target, accept, coding):
    headers = [("Accept-Encoding", accept)] if accept else []
    answer = ask(edge, target, headers)
    assert answer.status == 200 and answer.get("Content-Encoding") == coding
    content = {"br": b"br bytes", "gzip": gzip.compress(SCRIPT), None: SCRIPT}[coding]
    if coding == "gzip":
        assert gzip.decompress(answer.body) == SCRIPT
    else:
        assert answer.body == content
    assert "javascript" in answer.get("Content-Type")
    assert answer.get("Vary") == ("Accept-Encoding" if target.startswith("/coded/") else None)
    again = ask(edge, target, [*headers, ("If-None-Match", answer.get("ETag"))])
    assert (again.status, again.get("Vary")) == (304, answer.get("Vary"))


def test_each_sibling_has_a_tag_of_its_own(edge):
    tags = {ask(edge, "/coded/app.js", [("Accept-Encoding", coding)]).get("ETag")
            for coding in ("br", "gzip", "identity")}
    assert len(tags) == 3 and not any(tag.startswith("W/") for tag in tags)
    part = ask(edge, "/coded/app.js", [("Accept-Encoding", "br"), ("Range", "bytes=0-1")])
    assert (part.status, part.body, part.get("Content-Encoding")) == (206, b"br", "br")
    assert part.get("Content-Range") == "bytes 0-1/8"


def test_compressed_on_the_way_without_a_sibling(edge):
    sibling = ask(edge, "/packed/app.js", [("Accept-Encoding", "gzip")])
    assert sibling.get("Content-Encoding") == "gzip" and sibling.get("Content-Length")
    packed = ask(edge, "/packed/plain.js", [("Accept-Encoding", "gzip")])
    assert packed.get("Content-Encoding") == "gzip" and packed.get("ETag").startswith("W/")
    assert gzip.decompress(packed.body) == SCRIPT
    assert packed.get("Vary") == "Accept-Encoding"
    again = ask(edge, "/packed/plain.js", [("Accept-Encoding", "gzip"),
                                           ("If-None-Match", packed.get("ETag"))])
    assert again.status == 304


def test_vary_is_the_same_on_parts_and_304(edge):
    """Who gets it plain is told that others do not."""
    tag = ask(edge, "/shrunk/plain.js").get("ETag")
    for accept in ([], [("Accept-Encoding", "gzip")]):
        for more, status in (([], 200), ([("If-None-Match", tag)], 304),
                             ([("Range", "bytes=0-1")], 206), ([("Range", "bytes=0-1,6-7")], 206)):
            answer = ask(edge, "/shrunk/plain.js", [*accept, *more])
            assert answer.status == status
            assert answer.get("Vary") == "Accept-Encoding", (accept, more)


# ---- large files ----

LARGE = 50 << 20


def pattern(size):
    block = b"".join(b"%07d\n" % i for i in range(1 << 17))
    return (block * (size // len(block) + 1))[:size]


@pytest.fixture(scope="module")
def large(root):
    content = pattern(LARGE)
    put(root, "large.bin", content)
    return content


def test_a_large_file_and_a_slow_client(edge, large):
    before = edge.rss_bytes()
    with edge.client(timeout=30) as client:
        client.send("GET /static/large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        status, _, headers = client.head()
        assert status == 200 and ("Content-Length", str(LARGE)) in headers
        held = client.read_exactly(100_000)
        time.sleep(0.5)
        # The client takes nothing, the server keeps little, and others are served.
        assert edge.rss_bytes() - before < 8 << 20
        assert ask(edge, "/static/letters.txt").body == LETTERS
        body = held + client.read_exactly(LARGE - len(held))
        assert body == large
        assert client.request("GET", "/static/letters.txt").body == LETTERS


def test_a_large_file_in_parts(edge, large):
    answer = ask(edge, "/static/large.bin", [("Range", f"bytes={LARGE - 300_000}-")])
    assert answer.status == 206 and answer.body == large[-300_000:]
    answer = ask(edge, "/static/large.bin", [("Range", "bytes=0-199999,40000000-40199999")])
    assert answer.status == 206
    assert large[:200_000] in answer.body and large[40_000_000:40_200_000] in answer.body


def test_a_large_file_over_http2(edge, large):
    with H2Client(edge.address) as client:
        answer = client.request(h2_get("/static/large.bin", ("range", "bytes=0-2999999")))
        assert answer.status == 206 and answer.body == large[:3_000_000]


def test_a_large_file_that_the_disk_has_to_bring(edge, large, root):
    """Read by another thread where the page cache has nothing."""
    path = os.path.join(root, "large.bin")
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    answer = ask(edge, "/static/large.bin", [("Range", "bytes=0-20000000")])
    assert answer.status == 206 and answer.body == large[:20_000_001]


def test_a_client_that_leaves(edge, large):
    for _ in range(5):
        with edge.client() as client:
            client.send("GET /static/large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            client.head()
            client.reset()
    wait_for(lambda: not descriptors(edge, "large.bin"), 10)


def descriptors(edge, name):
    links = []
    for number in os.listdir(f"/proc/{edge.process.pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{edge.process.pid}/fd/{number}"))
        except FileNotFoundError:
            pass
    return [link for link in links if link.endswith("/" + name)]


def test_a_file_that_shrinks_is_cut_and_never_filled_up(edge, root):
    content = pattern(20 << 20)
    path = put(root, "shrinks.bin", content)
    with edge.client(timeout=30) as client:
        client.send("GET /static/shrinks.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        client.head()
        os.truncate(path, 1 << 20)
        body = client.read_all()
    assert len(body) < len(content) and content.startswith(body)
    assert edge.log_of("/static/shrinks.bin")[-1]["error"] == "weir: internal: a file broke off"


def test_a_file_that_grows_is_sent_as_it_was_announced(edge, root):
    content = pattern(20 << 20)
    path = put(root, "grows.bin", content)
    with edge.client(timeout=30) as client:
        client.send("GET /static/grows.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        client.head()
        with open(path, "ab") as file:
            file.write(b"more" * 1000)
        assert client.read_exactly(len(content)) == content
        assert client.request("GET", "/static/letters.txt").status == 200

"""Large answers from the cache, which go to the socket as they lie in memory."""
import re
import resource
import time

import pytest
from support.library import cached, result
from support.tiers import send_purge

LARGE = 6 << 20
COPIED_HITS = 10  # then it is lent


def pattern(size, seed=1):
    block = bytes((i * 31 + i // 251 + seed * 17) % 256 for i in range(65_521))
    return (block * (size // len(block) + 1))[:size]


@pytest.fixture(name="stock")
def _stock(library):
    library.set("/large", pattern(LARGE))
    with cached(library, cache={"memory": "32MiB", "max_object": "8MiB"}) as weir:
        make_popular(weir, "/large")
        yield library, weir


def make_popular(weir, path):
    for _ in range(1 + COPIED_HITS):
        weir.get(path)


def fill_with_others(library, weir, seed=100, count=12):
    for number in range(seed, seed + count):
        library.set(f"/{number}", pattern(LARGE, number))
        for expected in ("MISS", "HIT"):
            answer = weir.get(f"/{number}")
            assert result(answer) == expected and answer.body == pattern(LARGE, number)


def bytes_read(weir):
    """From sockets and files. What is sent of a file counts, what is sent of memory does not."""
    with open(f"/proc/{weir.process.pid}/io") as file:
        return int(re.search(r"rchar: (\d+)", file.read())[1])


def copies(weir):
    return any("large answers are copied" in line for line in weir.lines)


def test_a_large_hit_is_whole(stock):
    _, weir = stock
    for _ in range(3):
        answer = weir.get("/large")
        assert result(answer) == "HIT" and answer.body == pattern(LARGE)
    with weir.client() as client:
        for _ in range(3):
            assert client.request("GET", "/large").body == pattern(LARGE)


def test_a_large_hit_is_sent_as_it_lies_in_memory(stock):
    _, weir = stock
    if copies(weir):
        pytest.skip("no file in memory here")
    before = bytes_read(weir)
    assert result(weir.get("/large")) == "HIT"
    # A full socket is given some copied bytes, to wait for.
    assert bytes_read(weir) - before > LARGE // 4


def test_a_large_answer_is_copied_as_long_as_few_ask_for_it(stock):
    library, weir = stock
    library.set("/rare", pattern(LARGE))
    weir.get("/rare")
    for _ in range(COPIED_HITS):
        before = bytes_read(weir)
        assert result(weir.get("/rare")) == "HIT"
        assert bytes_read(weir) - before < LARGE // 4


@pytest.fixture(name="limited_files")
def _limited_files():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_files_are_limited_a_large_hit_is_copied(limited_files, stock):
    library, weir = stock
    assert copies(weir)
    before = bytes_read(weir)
    answer = weir.get("/large")
    assert result(answer) == "HIT" and answer.body == pattern(LARGE)
    assert bytes_read(weir) - before < LARGE // 4
    fill_with_others(library, weir)


@pytest.mark.parametrize("size", [65_536, 131_071, 131_072, 131_073, 393_217, 1 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_sizes_about_which_memory_is_laid_out(library, size, chunked):
    body = pattern(size, size)

    def answer(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for at in range(0, size, 30_000):
            piece = body[at:at + 30_000]
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")

    library.set("/a", body)
    if chunked:
        library.answers["/a"] = answer
    with cached(library) as weir:
        for expected in ("MISS", *["HIT"] * (COPIED_HITS + 2)):
            got = weir.get("/a")
            assert result(got) == expected and got.body == body


def test_parts_of_a_large_answer(stock):
    _, weir = stock
    body = pattern(LARGE)
    for first, last in ((0, LARGE - 1), (1, 300_000), (262_143, 262_145),
                        (LARGE - 70_000, LARGE - 1)):
        answer = weir.get("/large", headers=[("Range", f"bytes={first}-{last}")])
        assert answer.status == 206 and answer.body == body[first:last + 1]
    answer = weir.get("/large", headers=[("Range", "bytes=0-199999,4000000-4199999")])
    assert body[:200_000] in answer.body and body[4_000_000:4_200_000] in answer.body


def test_a_slow_client_gets_the_answer_that_it_was_promised(stock):
    """It is dropped while most of it has yet to leave: until that has, it keeps its memory. What is
    in the socket then stays as it was when that memory is free."""
    library, weir = stock
    with weir.client(timeout=60) as slow:
        slow.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        assert slow.head()[0] == 200
        held = slow.read_exactly(100_000)
        time.sleep(0.2)  # the socket is full
        library.set("/large", b"another")
        send_purge(weir, all=True)
        fill_with_others(library, weir)
        assert weir.get("/large").body == b"another"
        assert held + slow.read_exactly(LARGE - len(held)) == pattern(LARGE)


def test_what_lies_in_a_socket_is_nobodys_memory(stock):
    """All of it has left for the socket, whose client has not read it: the answer is dropped, and
    what was in its place is overwritten."""
    library, weir = stock
    small = 150_000
    library.set("/short", pattern(small, 3))
    make_popular(weir, "/short")
    clients = [weir.client(timeout=60) for _ in range(8)]
    try:
        for client in clients:
            client.send("GET /short HTTP/1.1\r\nHost: test\r\n\r\n")
        weir.log_of("/short", 1 + COPIED_HITS + len(clients))  # so nobody reads it any more
        fill_with_others(library, weir)
        for client in clients:
            status, _, _ = client.head()
            assert status == 200 and client.read_exactly(small) == pattern(small, 3)
        assert result(weir.get("/short")) == "MISS"
    finally:
        for client in clients:
            client.sock.close()


def test_clients_that_leave_in_the_middle(stock):
    library, weir = stock
    for number in range(20):
        client = weir.client()
        client.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        client.read_exactly(1000 + number * 50_000)
        client.reset()
    assert weir.get("/large").body == pattern(LARGE)
    fill_with_others(library, weir)

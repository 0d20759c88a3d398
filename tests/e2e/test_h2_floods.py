"""Frames that cost a client nothing: bounded, counted, and nobody else notices."""
import struct
import threading
import time

import pytest
from support import h2
from support.h2 import H2Client, get
from support.origin import Origin, canned
from support.weir import proxy

H2C = {"protocols": ["h2c", "http/1.1"]}


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, proxy(origin, listener=H2C) as weir:
        yield weir, origin


def code(value):
    return struct.pack(">I", value)


def rapid_reset(i):
    stream = 2 * i + 1
    return (h2.frame(h2.HEADERS, 5, stream, h2.literal(get())) +
            h2.frame(h2.RST_STREAM, 0, stream, code(h2.CANCEL)))


# "MadeYouReset": the client makes the server reset what it has opened.
def provoked_reset(i):
    stream = 2 * i + 1
    return (h2.frame(h2.HEADERS, 4, stream, h2.literal(get())) +
            h2.frame(h2.WINDOW_UPDATE, 0, stream, code(0x7fffffff)))


def malformed(i):
    return h2.frame(h2.HEADERS, 5, 2 * i + 1, h2.literal([*get(), ("connection", "x")]))


FLOODS = {
    "reset_flood": rapid_reset,
    "reset_flood by window overflows": provoked_reset,
    "reset_flood by malformed requests": malformed,
    "ping_flood": lambda i: h2.frame(h2.PING, 0, 0, struct.pack(">Q", i)),
    "ping_flood of answers": lambda i: h2.frame(h2.PING, h2.ACK, 0, struct.pack(">Q", i)),
    "settings_flood": lambda i: h2.frame(h2.SETTINGS, 0, 0, h2.settings({1: i})),
    "settings_flood of acknowledgements": lambda i: h2.frame(h2.SETTINGS, h2.ACK),
    "window_update_flood": lambda i: h2.frame(h2.WINDOW_UPDATE, 0, 0, code(1)),
    "priority_flood": lambda i: h2.frame(h2.PRIORITY, 0, 2 * i + 1, b"\0\0\0\0\x10"),
    "priority_flood of updates": lambda i: h2.frame(h2.PRIORITY_UPDATE, 0, 0, code(1) + b"u=1"),
    "empty_frame_flood": lambda i: (h2.frame(h2.HEADERS, 4, 1, h2.literal(get(method="POST")))
                                    if i == 0 else h2.frame(h2.DATA, 0, 1)),
    "empty_frame_flood of unknown frames": lambda i: h2.frame(0x77, 0, 0, b"x" * 1000),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_ends_its_own_connection(pair, what):
    weir, _ = pair
    labels = {"protocol": "h2"}
    if " " not in what:  # the others may reach another bound first
        labels["reason"] = what
    before = weir.metric("weir_protocol_errors_total", **labels)
    with H2Client(weir.address) as calm, H2Client(weir.address) as client:
        assert calm.request().status == 200
        for i in range(4000):
            if not client.send_if_open(FLOODS[what](i)):
                break
        acks = what == "settings_flood of acknowledgements"  # of nothing: wrong at once
        assert client.end() in (h2.PROTOCOL_ERROR if acks else h2.ENHANCE_YOUR_CALM, None)
        assert client.closed
        assert calm.request(stream=3).status == 200
    after = weir.metric("weir_protocol_errors_total", **labels)
    assert after == before + 1 if "reason" in labels else after > before


def test_the_reason_reaches_a_client_that_had_stopped_reading():
    big = "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n" + "x" * 33554432
    with Origin(canned(big)) as origin, proxy(origin, listener=H2C) as weir:
        wide = {h2.INITIAL_WINDOW_SIZE: 1 << 26}
        with H2Client(weir.address, own_settings=wide, window=1 << 26) as client:
            client.headers(1)
            time.sleep(1)  # its socket is full
            for i in range(5000):
                client.send_if_open(FLOODS["ping_flood"](i))
            assert client.end() == h2.ENHANCE_YOUR_CALM



def test_enhance_your_calm_is_what_the_client_hears(pair):
    weir, _ = pair
    with H2Client(weir.address) as client:
        client.sync()
        client.send(b"".join(FLOODS["ping_flood"](i) for i in range(600)))
        assert client.end() == h2.ENHANCE_YOUR_CALM


def test_continuations_without_end(pair):
    weir, _ = pair
    with H2Client(weir.address, acknowledge=False) as client:
        client.frame(h2.HEADERS, h2.END_STREAM, 1, h2.literal(get()))
        for _ in range(2000):
            if not client.send_if_open(h2.frame(h2.CONTINUATION, 0, 1, h2.literal([("x", "y")]))):
                break
        client.end()
        assert client.closed
    assert weir.metric("weir_protocol_errors_total", protocol="h2",
                       reason="continuation_flood") >= 1
    assert weir.get("/").status == 200


def test_a_header_bomb(pair):
    """One field of 4000 bytes in the table, named again and again by one byte each."""
    weir, _ = pair
    entry = b"\x40" + h2.integer(1, 7) + b"x" + h2.integer(4000, 7) + b"y" * 4000
    block = h2.literal(get()) + entry + b"\xbe" * 12000
    with H2Client(weir.address) as client:
        client.frame(h2.HEADERS, 5, 1, block[:16384])
        assert client.end() == h2.ENHANCE_YOUR_CALM
    assert weir.metric("weir_protocol_errors_total", protocol="h2", reason="header_bomb") == 1
    assert weir.get("/").status == 200


def test_a_smaller_one_is_431_and_the_table_stays_in_step(pair):
    weir, _ = pair
    entry = b"\x40" + h2.integer(1, 7) + b"x" + h2.integer(3000, 7) + b"y" * 3000
    with H2Client(weir.address) as client:
        client.frame(h2.HEADERS, 5, 1, h2.literal(get()) + entry + b"\xbe" * 20)
        assert client.answer(1).status == 431
        client.frame(h2.HEADERS, 5, 3, h2.literal(get()) + b"\xbe")
        answer = client.answer(3)
        assert answer.status == 200
        assert b"y" * 3000 in answer.body


def test_streams_that_are_opened_and_left():
    """Bodies that never come: each has its deadline, and the connection its streams."""
    with Origin() as origin, \
            proxy(origin, listener={**H2C, "timeouts": {"body": "1s"}}) as weir, \
            H2Client(weir.address) as client:
        for stream in range(1, 201, 2):
            client.headers(stream, get(method="POST"), end=False)
        for stream in range(1, 201, 2):
            assert client.answer(stream).status == 408
        assert client.request(stream=301).status == 200


def test_answers_that_nobody_reads_do_not_fill_the_memory():
    def serve(conn):
        while conn.read_request() is not None:
            conn.answer(b"x" * 1_000_000)

    limits = {"timeouts": {"send": "2s"}}
    with Origin(serve) as origin, proxy(origin, listener={**H2C, **limits},
                                        memory={"buffers": "16MiB"}) as weir:
        before = weir.rss_bytes()
        with H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 1}) as client:
            client.give_windows = False
            for stream in range(1, 201, 2):
                client.headers(stream)
            time.sleep(1)
            assert weir.rss_bytes() < before + 150 * (1 << 20)
            assert weir.get("/").status in (200, 503)
            for stream in range(1, 201, 2):
                answer = client.answer(stream)
                assert answer.reset == h2.CANCEL or answer.status == 503
        weir.wait_metric("requests_in_flight", 0)


def test_a_busy_client_is_no_flood(pair):
    """Windows and pings for every piece of data, as some clients do."""
    def serve(conn):
        while conn.read_request() is not None:
            conn.answer(b"x" * 2_000_000)

    with Origin(serve) as origin, proxy(origin, listener=H2C) as weir, \
            H2Client(weir.address) as client:
        client.headers(1)
        pings = 0
        while not (client.answers.get(1) and client.answers[1].over):
            assert client.step()
            body = len(client.answers[1].body) if 1 in client.answers else 0
            if body // 16000 > pings:
                pings += 1
                client.frame(h2.PING, 0, 0, b"bdpprobe")
        assert client.answers[1].reset is None
        assert len(client.answers[1].body) == 2_000_000
        assert client.goaways == []


def test_clients_that_leave_everywhere():
    """At every byte of a conversation, by FIN and by RST: nothing is left behind."""
    conversation = (h2.PREFACE + h2.frame(h2.SETTINGS, payload=h2.settings({3: 100})) +
                    h2.frame(h2.HEADERS, 4, 1, h2.literal(get(method="POST"))) +
                    h2.frame(h2.DATA, 0, 1, b"abc") +
                    h2.frame(h2.HEADERS, 5, 3, h2.literal(get("/y"))) +
                    h2.frame(h2.DATA, 1, 1, b"def") +
                    h2.frame(h2.RST_STREAM, 0, 3, code(h2.CANCEL)))
    with Origin() as origin, proxy(origin, listener=H2C) as weir:
        def leave(end, how):
            client = H2Client(weir.address, hello=False)
            client.send(conversation[:end])
            if end % 3 == 0:
                time.sleep(0.002)
            how(client)

        for how in (lambda c: c.sock.close(), lambda c: c.reset()):
            for end in range(len(conversation) + 1):
                leave(end, how)
        weir.wait_metric("requests_in_flight", 0)
        weir.wait_metric("active_connections", 0)
        assert threading.active_count() < 1000
        assert weir.get("/").status == 200


def test_an_end_behind_a_shut_window_has_its_time():
    """Not a byte waits, but the end of the stream does: nghttp2 sends none without a window."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    listener = {**H2C, "timeouts": {"send": "1s"}}
    with Origin(canned(chunked)) as origin, proxy(origin, listener=listener) as weir:
        with H2Client(weir.address, own_settings={h2.INITIAL_WINDOW_SIZE: 0}) as client:
            client.headers(1)
            assert client.answer(1).reset == h2.CANCEL
            assert client.answers[1].status == 200 and not client.answers[1].ended

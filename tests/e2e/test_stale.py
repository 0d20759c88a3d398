"""Servers that close while weir writes: connections kept too long."""
import threading

from support.h2_origin import MAX_CONCURRENT_STREAMS, Peer, edge, h2
from support.origin import Origin
from support.waiting import in_threads, wait_for
from support.weir import proxy

BATCH = 8


# ---- keep-alive connections --------------------------------------------------------------------

def fill_pool(weir, origin, release):
    """So many idle connections, of which the server answers nothing more."""
    threading.Thread(target=lambda: (wait_for(lambda: len(origin.requests) == BATCH, 30),
                                     release.set()), daemon=True).start()
    assert set(in_threads(BATCH, lambda _: weir.get().status)) == {200}
    weir.wait_metric("weir_upstream_connections", BATCH, state="idle")


def test_the_retry_takes_no_second_stale_connection():
    release = threading.Event()

    def answers_once(conn):
        conn.origin.requests.append(conn.read_request())
        assert release.wait(30)
        conn.answer()
        if conn.read_request():
            conn.reset()

    with Origin(answers_once) as origin, proxy(origin) as weir:
        fill_pool(weir, origin, release)
        for _ in range(BATCH):
            assert weir.get().status == 200
        assert weir.metric("weir_upstream_failures_total") == 0


def test_the_retry_takes_no_second_stale_connection_over_http2():
    release = threading.Event()

    def answers_once(peer, request):
        if len(peer.requests) > 1:
            return False
        assert release.wait(30)
        return Peer.answer(peer, request)

    with Origin(h2(answers_once, settings={MAX_CONCURRENT_STREAMS: 1})) as origin:
        with edge(origin) as weir:
            fill_pool(weir, origin, release)
            for _ in range(BATCH):
                assert weir.get().status == 200


def test_what_a_lost_connection_sends_away_shares_the_next_one():
    all_here = threading.Event()

    def answer(peer, request):
        if peer is not server.peers[0] or len(peer.requests) == 1:
            return Peer.answer(peer, request)
        if len(peer.requests) < 1 + BATCH:
            return None
        all_here.set()
        return False

    server = h2(answer)
    with Origin(server) as origin, edge(origin) as weir:
        assert weir.get().status == 200
        assert set(in_threads(BATCH, lambda _: weir.get().status)) == {200}
        assert all_here.is_set() and origin.accepted == 2

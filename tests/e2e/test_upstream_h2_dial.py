"""What happens between the dial of an HTTP/2 connection and the server's SETTINGS."""
import signal
import threading

from support.h2_origin import GOAWAY, SETTINGS, edge, frame, h2
from support.origin import Origin, canned
from support.waiting import wait_for
from support.weir import proxy

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def slow_to_greet():
    """(server, greet): SETTINGS come once `greet` is set."""
    server = h2(settings=None)
    greet = threading.Event()
    taken = server.take

    def take(peer, kind, flags, stream, payload):
        if kind == SETTINGS and peer.acked == 0 and not flags:
            assert greet.wait(30)
            peer.settings()
        return taken(peer, kind, flags, stream, payload)

    server.take = take
    return server, greet


def test_a_drain_sends_what_waits():
    server, greet = slow_to_greet()
    own = {"path": "/own", "respond": {"status": 200}}
    site = {"routes": [own, {"path": "/", "upstream": "app"}]}
    with Origin(server) as origin, proxy(origin, {"protocol": "h2c"}, site=site) as weir:
        with weir.client() as client, weir.client() as idle:
            assert idle.request("GET", "/own").status == 200
            client.send(GET)
            wait_for(lambda: origin.accepted == 1)
            weir.signal(signal.SIGTERM)
            idle.assert_closed()
            greet.set()
            assert client.response().body == b"ok"
        assert weir.process.wait(10) == 0
        assert origin.accepted == 1 and len(origin.requests) == 1


def test_a_new_protocol_leaves_what_waits_where_it_is():
    server, greet = slow_to_greet()

    def both(conn):
        if conn.origin.accepted == 1:
            server(conn)
        else:
            canned(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1")(conn)

    with Origin(both) as origin, edge(origin) as weir, weir.client() as client:
        client.send(GET)
        wait_for(lambda: origin.accepted == 1)
        weir.config["upstreams"]["app"]["protocol"] = "http/1.1"
        weir.write_config()
        weir.reload()
        assert weir.get().body == b"h1"
        greet.set()
        assert client.response().body == b"ok"
        assert origin.accepted == 2


def test_a_server_that_takes_no_streams_is_not_dialled_for_ever():
    def take(peer, kind, flags, stream, payload):
        if kind == SETTINGS and not flags:
            peer.send_raw(frame(SETTINGS) + frame(GOAWAY, payload=bytes(8)))

    server = h2(settings=None)
    server.take = take
    with Origin(server) as origin, edge(origin) as weir:
        assert weir.get().status == 502
        assert weir.access_log()[-1]["error"] == "upstream: connect: takes no streams"
        assert origin.accepted == 2, "the retry's as well"

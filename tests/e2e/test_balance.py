"""Who gets a request: random_two, hashing by every kind of key, and max_connections."""
import threading
import time
from collections import Counter

import pytest
from support.origin import Origin
from support.weir import Weir


def named(conn):
    """Answers with the server's own name, `/held` only when the test releases it."""
    while True:
        request = conn.read_request()
        if request is None:
            return
        conn.origin.requests.append(request)
        if request.target.startswith("/held"):
            assert conn.origin.release.wait(15)
        conn.answer(conn.origin.address)


class Servers:
    """`count` origins that answer with their address."""

    def __init__(self, count):
        self.origins = [Origin(named) for _ in range(count)]
        for origin in self.origins:
            origin.release = threading.Event()

    def release(self):
        for origin in self.origins:
            origin.release.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
        for origin in self.origins:
            origin.stop()


def weir_for(servers, upstream=None, server=None, **options):
    listed = [{"address": o.address, **(server or {})} for o in servers.origins]
    return Weir(upstreams={"app": {"servers": listed, **(upstream or {})}},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}],
                trusted_proxies=["127.0.0.0/8"], **options)


def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hold(weir, servers, count, target="/held", **options):
    """So many requests that are under way at the servers."""
    seen = sum(len(o.requests) for o in servers.origins)
    clients = [weir.client() for _ in range(count)]
    for at, client in enumerate(clients):
        head = f"GET {target} HTTP/1.1\r\nHost: a\r\n" + "".join(
            f"{n}: {v}\r\n" for n, v in options.get("headers", ()))
        client.send(head.encode() + b"\r\n")
        until(lambda wanted=seen + at + 1: sum(len(o.requests) for o in servers.origins) == wanted)
    return clients


def finish(clients):
    for client in clients:
        assert client.response().status == 200
        client.sock.close()


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("weights, shares", [((3, 2, 1), [6, 4, 2]), ((1, 1, 1), [4, 4, 4])])
def test_least_conn_shares_what_is_held_exactly(workers, weights, shares):
    with Servers(3) as servers:
        listed = [{"address": o.address, "weight": w} for o, w in zip(servers.origins, weights)]
        with weir_for(servers, {"balance": "least_conn", "servers": listed},
                      workers=workers) as weir:
            clients = hold(weir, servers, 12)
            assert [len(o.requests) for o in servers.origins] == shares
            servers.release()
            finish(clients)


def test_random_two_spreads_what_is_held():
    with Servers(3) as servers, weir_for(servers, {"balance": "random_two"}, workers=2) as weir:
        clients = hold(weir, servers, 30)
        counts = [len(o.requests) for o in servers.origins]
        assert sum(counts) == 30 and max(counts) - min(counts) <= 6
        servers.release()
        finish(clients)


KEYS = {
    "header:X-User": lambda i: {"headers": [("X-User", f"u{i}")]},
    "cookie:sid": lambda i: {"headers": [("Cookie", f"theme=dark; sid=s{i}")]},
    "query:user": lambda i: {"target": f"/?a=b&user=q{i}"},
    "path": lambda i: {"target": f"/p{i}?x={time.monotonic()}"},
    "uri": lambda i: {"target": f"/p?x={i}"},
    "client_ip": lambda i: {"headers": [("X-Forwarded-For", f"192.0.2.{i}")]},
}


def home(client, options):
    options = dict(options)
    return client.request("GET", options.pop("target", "/"), **options).body


@pytest.mark.parametrize("key", KEYS)
def test_a_key_stays_with_one_server(key):
    with Servers(3) as servers:
        upstream = {"balance": "hash", "hash_key": key}
        with weir_for(servers, upstream, workers=2) as weir, weir.client() as client:
            homes = [home(client, KEYS[key](i)) for i in range(60)]
            assert min(Counter(homes).values()) >= 8 and len(set(homes)) == 3
            with weir.client() as other:
                assert [home(other, KEYS[key](i)) for i in range(60)] == homes
            weir.reload()
            assert [home(client, KEYS[key](i)) for i in range(60)] == homes


def test_ip_hash_counts_the_client_behind_trusted_proxies():
    with Servers(3) as servers:
        with weir_for(servers, {"balance": "ip_hash"}) as weir, weir.client() as client:
            def of(address):
                return home(client, {"headers": [("X-Forwarded-For", address)]})

            assert len({of(f"198.51.100.{i}") for i in range(40)}) == 3
            assert {of(f"2001:db8:1:2::{i:x}") for i in range(1, 20)} == {of("2001:db8:1:2::1")}
            assert len({of(f"2001:db8:1:{i:x}::1") for i in range(1, 40)}) == 3


def test_a_request_without_the_key_goes_to_the_least_loaded():
    with Servers(2) as servers:
        with weir_for(servers, {"balance": "hash", "hash_key": "header:X-User"}) as weir:
            clients = hold(weir, servers, 10)
            assert [len(o.requests) for o in servers.origins] == [5, 5]
            servers.release()
            finish(clients)


def test_a_server_that_dies_gives_its_keys_away_and_the_rest_stay():
    with Servers(3) as servers:
        upstream = {"balance": "hash", "hash_key": "header:X-User"}
        with weir_for(servers, upstream, {"fail_timeout": "30s"}) as weir, weir.client() as client:
            before = [home(client, KEYS["header:X-User"](i)) for i in range(90)]
            servers.origins[1].stop()
            gone = servers.origins[1].address.encode()
            after = [home(client, KEYS["header:X-User"](i)) for i in range(90)]
            assert gone not in after
            assert all(a == b for a, b in zip(after, before) if b != gone)
            assert len({a for a, b in zip(after, before) if b == gone}) == 2


def test_bounded_load_spills_a_hot_key():
    with Servers(3) as servers:
        upstream = {"balance": "hash", "hash_key": "header:X-User", "bounded_load": 1.5}
        with weir_for(servers, upstream, workers=2) as weir:
            clients = hold(weir, servers, 12, headers=[("X-User", "hot")])
            assert sorted(len(o.requests) for o in servers.origins)[-1] == 6  # 1.5 * 12 / 3
            servers.release()
            finish(clients)


def test_max_connections_over_all_workers():
    with Servers(2) as servers:
        with weir_for(servers, server={"max_connections": 3}, workers=2) as weir:
            clients = hold(weir, servers, 6)
            assert [len(o.requests) for o in servers.origins] == [3, 3]
            answer = weir.get()
            assert answer.status == 503 and answer.get("retry-after") == "1"
            assert answer.get("proxy-status") == "weir; error=connection_limit_reached"
            assert weir.metric("weir_upstream_refused_total", upstream="app",
                               reason="max_connections") == 1
            assert weir.log_of("/")[0]["error"].endswith("all servers are full")
            assert weir.metric("weir_upstream_server_up", upstream="app") == 2
            servers.release()
            finish(clients)
            assert weir.get().status == 200


def test_connections_to_servers_notice_a_peer_that_is_gone():
    """SO_KEEPALIVE and TCP_USER_TIMEOUT, as the kernel shows them (ss may be missing: /proc)."""
    with Servers(1) as servers, weir_for(servers) as weir:
        assert weir.get().status == 200
        port = "%04X" % servers.origins[0].port
        with open(f"/proc/{weir.process.pid}/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        timers = [row[5] for row in rows if row[2].endswith(":" + port) and row[3] == "01"]
        assert timers and all(timer.startswith("02:") for timer in timers)  # keepalive is armed

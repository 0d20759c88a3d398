"""Sticky upstreams: who is bound, for how long, and what happens when the server cannot."""
import json
import re
import subprocess
import threading
import time
from collections import Counter

import pytest
from support.origin import Origin, by_request
from support.tls import Certificate, TlsClient
from support.waiting import wait_for
from support.weir import Weir, binary

VALUE = re.compile(r"weir_srv=([0-9a-f]{56}); Path=/; Max-Age=(\d+); HttpOnly; SameSite=Lax"
                   r"(; Secure)?$")
SECRET = "0123456789abcdef0123456789abcdef"


def named(conn, request):
    conn.served = getattr(conn, "served", 0) + 1
    if conn.served == conn.origin.close_on:
        conn.reset()
        return False
    if request.target == "/held":
        assert conn.origin.go_on.wait(20)
        return conn.answer("held")
    status = request.target.strip("/").replace("-", " ") or "200 OK"
    return conn.answer(conn.origin.address, status=status)


class World:
    """Three servers that answer with their address; `/503-Busy` with that status, `/held` when
    they may go on."""

    def __init__(self, upstream=None, server=None, **options):
        self.origins = [Origin(by_request(named)) for _ in range(3)]
        for origin in self.origins:
            origin.go_on = threading.Event()
            origin.close_on = 0
        servers = [{"address": o.address, **(server or {})} for o in self.origins]
        upstreams = {"app": {"servers": servers, "sticky": {}, "balance": "round_robin",
                             **(upstream or {})}}
        self.weir = Weir(upstreams, [{"hosts": ["*"], "routes": [{"path": "/",
                                                                  "upstream": "app"}]}], **options)

    def get(self, cookie=None, target="/", **options):
        headers = [("Cookie", f"a=b; weir_srv={cookie}")] if cookie else []
        return self.weir.get(target, headers=headers + options.pop("headers", []), **options)

    def bind(self):
        """(the value of a new cookie, the origin that it stands for)"""
        answer = self.get()
        return cookie_of(answer), self.origin_of(answer)

    def origin_of(self, answer):
        return next(o for o in self.origins if o.address == answer.body.decode())

    def __enter__(self):
        self.weir.__enter__()
        return self

    def __exit__(self, *info):
        self.weir.__exit__(*info)
        for origin in self.origins:
            origin.stop()


def cookie_of(answer):
    return VALUE.match(answer.get("set-cookie"))[1]


def assert_bound(world, cookie, origin, times=6):
    for _ in range(times):
        answer = world.get(cookie)
        assert world.origin_of(answer) is origin
        assert answer.all("set-cookie") == []


def drain(world, origin, *options):
    done = subprocess.run([binary(), "drain", "--admin", world.weir.admin_address, "app",
                           origin.address, *options], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workers", [1, 4])
def test_a_client_stays_with_its_server_and_over_a_reload(workers):
    with World(workers=workers) as world:
        # Of nine, one worker has three, and each worker begins with the same server.
        bound = [world.bind() for _ in range(9)]
        assert len({origin.address for _, origin in bound}) == 3
        for cookie, origin in bound:
            assert_bound(world, cookie, origin)
        world.weir.reload()
        for cookie, origin in bound:
            assert_bound(world, cookie, origin, times=2)


def test_the_cookie_of_a_client():
    with World({"sticky": {"cookie": "weir_srv", "ttl": "90s"}},
               trusted_proxies=["127.0.0.0/8"]) as world:
        plain = VALUE.match(world.get().get("set-cookie"))
        assert plain[2] == "90" and plain[3] is None
        behind_tls = world.get(headers=[("X-Forwarded-Proto", "https")])
        assert VALUE.match(behind_tls.get("set-cookie"))[3]
        for origin in world.origins:
            assert str(origin.port).encode().hex() not in plain[1]


def test_the_cookie_is_secure_over_tls(tmp_path):
    certificate = Certificate(tmp_path, "a")
    with World(certificates=[certificate.entry()], listener={"tls": {}}) as world:
        with TlsClient(world.weir.address) as client:
            assert VALUE.match(client.request(host="localhost").get("set-cookie"))[3]


def test_a_forged_cookie_binds_nobody():
    with World() as world:
        cookie, _ = world.bind()
        for forged in (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), "0" * 56, cookie.upper(),
                       cookie + "0", ""):
            answers = [world.get(forged) for _ in range(6)]
            assert len({a.body for a in answers}) == 3
            assert all(VALUE.match(a.get("set-cookie")) for a in answers)


def test_a_bond_is_renewed_and_ends():
    with World({"sticky": {"ttl": "6s"}}) as world:
        cookie, origin = world.bind()
        first = time.monotonic()
        while not (answer := world.get(cookie)).all("set-cookie"):
            assert time.monotonic() - first < 10
            time.sleep(0.05)
        assert time.monotonic() - first > 1
        assert world.origin_of(answer) is origin  # renewed, not new
        assert world.origin_of(world.get(cookie_of(answer))) is origin
        wait_for(lambda: len({world.get(cookie).body for _ in range(6)}) == 3)


def test_a_server_that_dies_hands_its_clients_on():
    with World(server={"fail_timeout": "30s"}, workers=2) as world:
        cookie, origin = world.bind()
        origin.stop()
        answer = world.get(cookie)
        assert answer.status == 200
        moved = world.origin_of(answer)
        assert moved is not origin
        assert_bound(world, cookie_of(answer), moved)


def test_a_kept_connection_that_was_closed_moves_nobody():
    with World() as world:
        cookie, origin = world.bind()
        for other in world.origins:
            other.close_on = 2  # the second request of each connection
        assert_bound(world, cookie, origin)
        assert max(line["attempts"] for line in world.weir.access_log(7)) == 2
        origin.stop()  # that one is really gone
        answer = world.get(cookie)
        assert answer.status == 200 and world.origin_of(answer) is not origin


def test_drained_its_own_stay_and_nobody_comes():
    with World(workers=2) as world:
        cookie, origin = world.bind()
        drain(world, origin)
        assert_bound(world, cookie, origin)
        for _ in range(12):
            assert world.origin_of(world.get()) is not origin
        drain(world, origin, "--down")
        answer = world.get(cookie)
        assert answer.status == 200 and world.origin_of(answer) is not origin
        drain(world, origin, "--undo")
        assert_bound(world, cookie_of(answer), world.origin_of(answer))
        assert_bound(world, cookie, origin)  # the old one is as good as before


def test_a_server_whose_check_fails_hands_its_clients_on():
    with World({"health_check": {"type": "tcp", "interval": "50ms", "timeout": "1s",
                                 "unhealthy_after": 1}}) as world:
        cookie, origin = world.bind()
        origin.stop()
        address = origin.address
        wait_for(lambda: "down" in [
            s["state"] for s in json.loads(world.weir.admin("/health")[1])["upstreams"]["app"][
                "servers"] if s["address"] == address])
        answer = world.get(cookie)
        assert answer.status == 200 and cookie_of(answer) != cookie
        assert world.weir.log_of("/", 2)[-1]["attempts"] == 1  # nobody tried the dead one


def test_a_full_server_hands_its_clients_on():
    with World(server={"max_connections": 1}) as world:
        cookie, origin = world.bind()
        held = world.weir.client()
        before = len(origin.requests)
        held.send(f"GET /held HTTP/1.1\r\nHost: a\r\nCookie: weir_srv={cookie}\r\n\r\n".encode())
        wait_for(lambda: len(origin.requests) > before)
        answer = world.get(cookie)
        assert answer.status == 200 and world.origin_of(answer) is not origin
        assert cookie_of(answer)
        origin.go_on.set()
        assert held.response().body == b"held"
        held.sock.close()
        assert_bound(world, cookie, origin)


def test_an_error_binds_nobody():
    with World() as world:
        assert world.get(target="/503-Busy").all("set-cookie") == []
        assert world.get(target="/404-No").get("set-cookie")


def test_upgrades_bind_too():
    def upgrade(conn, _):
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
        return False

    with World() as world:
        for origin in world.origins:
            origin.handler = by_request(upgrade)
        with world.weir.client() as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n")
            status, _, headers = client.head()
            assert status == 101
            assert [v for n, v in headers if n.lower() == "set-cookie" and VALUE.match(v)]


def test_instances_that_share_a_secret_know_each_others_cookies():
    with World({"sticky": {"secret": SECRET}}) as one:
        cookie, origin = one.bind()
        config = {**one.weir.config, "admin": {"address": "127.0.0.1:0"}}
        with Weir(config["upstreams"], config["sites"]) as other:
            for _ in range(6):
                answer = other.get(headers=[("Cookie", f"weir_srv={cookie}")])
                assert answer.body.decode() == origin.address
        with Weir({"app": {**config["upstreams"]["app"], "sticky": {}}}, config["sites"]) as other:
            answers = [other.get(headers=[("Cookie", f"weir_srv={cookie}")]) for _ in range(6)]
            assert len(Counter(a.body for a in answers)) == 3
        assert SECRET not in one.weir.admin("/config")[1]

"""Reloads: sockets, connections and logs that come, stay and go."""
import contextlib
import json
import os
import signal
import socket
import stat
import threading
import time

import pytest
from support.load import Load
from support.origin import Origin, echo
from support.raw import RawClient
from support.waiting import wait_for
from support.weir import Weir, binary, proxy

RESPOND = [{"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200, "body": "own"}}]}]
ASK = (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
       b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def port_of(weir, name, since=0):
    line = weir.wait_line(rf"listener {name}: listening on ", since=since)
    return ("127.0.0.1", int(line.rpartition(":")[2].split(",")[0]))


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % free.getsockname()[1]


def hold(conn):
    while conn.read_request():
        conn.origin.held.set()
        conn.origin.release.wait(10)
        conn.answer(b"late")


def upgrade_or_echo(conn):
    """Tunnels give bytes back, other requests are answered."""
    while True:
        request = conn.read_request()
        if request is None:
            return
        if request.get("upgrade"):
            conn.send(SWITCH)
            while conn.buffer or conn.recv():
                data, conn.buffer = conn.buffer, b""
                conn.send(data)
            return
        conn.answer("ok")


def test_listeners_come_and_go():
    with Weir(sites=RESPOND, workers=2) as weir:
        kept = weir.client()
        assert kept.request().body == b"own"
        since = len(weir.lines)
        weir.config["listeners"]["second"] = {"address": "127.0.0.1:0"}
        weir.write_config()
        weir.reload()
        second = port_of(weir, "second", since)
        with RawClient(second) as client:
            assert client.request().body == b"own"
            # Renamed, and in another place: the same socket.
            weir.config["listeners"] = {"again": {"address": "%s:%d" % second},
                                        **weir.config["listeners"]}
            del weir.config["listeners"]["second"]
            weir.config["listeners"]["http"]["address"] = "%s:%d" % weir.address
            weir.write_config()
            since = len(weir.lines)
            weir.reload()
            weir.wait_line("reload: done", since=since)
        with RawClient(second) as client:
            assert client.request().status == 200
            del weir.config["listeners"]["again"]
            weir.write_config()
            weir.reload()
            client.assert_closed()
        with pytest.raises(ConnectionRefusedError):
            RawClient(second)
        assert weir.get().status == 200


def test_unchanged_listeners_keep_sockets_and_connections():
    with Origin(echo) as origin, proxy(origin, workers=2) as weir:
        weir.config["listeners"]["http"]["address"] = "%s:%d" % weir.address
        with weir.client() as kept:
            assert kept.request().status == 200
            for _ in range(5):
                weir.write_config()
                since = len(weir.lines)
                weir.reload()
                assert not [line for line in weir.lines[since:] if "listening" in line]
                assert kept.request().status == 200
        assert origin.accepted == 1  # the pool's connection as well


def test_a_removed_listener_serves_what_it_has():
    with Origin(hold) as origin:
        origin.held, origin.release = threading.Event(), threading.Event()
        with proxy(origin, workers=2) as weir:
            since = len(weir.lines)
            weir.config["listeners"]["gone"] = {"address": "127.0.0.1:0"}
            weir.write_config()
            weir.reload()
            gone = port_of(weir, "gone", since)
            with RawClient(gone) as busy, RawClient(gone) as fresh, RawClient(gone) as silent:
                busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert origin.held.wait(10)
                weir.pause()  # so that these wait in the queue
                queued = [RawClient(gone) for _ in range(10)]
                del weir.config["listeners"]["gone"]
                weir.write_config()
                weir.signal(signal.SIGHUP)
                since = len(weir.lines)
                weir.signal(signal.SIGCONT)
                weir.wait_line("reload: done", since=since)
                origin.release.set()
                for client in [busy, fresh, *queued]:
                    if client is not busy:
                        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    answer = client.response()
                    assert answer.body == b"late" and answer.get("connection") == "close"
                    client.assert_closed()
                silent.assert_closed()
            with pytest.raises(ConnectionRefusedError):
                RawClient(gone)
            assert weir.get().body == b"late"


def test_a_tunnel_on_a_removed_listener_keeps_no_configuration():
    with Origin(upgrade_or_echo) as origin, proxy(origin) as weir:
        def has_old():
            return any('upstream="old"' in series for series in weir.metrics())

        since = len(weir.lines)
        weir.config["listeners"]["gone"] = {"address": "127.0.0.1:0"}
        weir.config["upstreams"]["old"] = {"servers": [{"address": "127.0.0.1:1"}]}
        weir.write_config()
        weir.reload()
        gone = port_of(weir, "gone", since)
        with RawClient(gone) as first, RawClient(gone) as second:
            for tunnel in (first, second):
                tunnel.send(ASK)
                assert tunnel.head()[0] == 101
            assert has_old()
            del weir.config["listeners"]["gone"], weir.config["upstreams"]["old"]
            weir.write_config()
            weir.reload()
            wait_for(lambda: not has_old())
            for tunnel in (first, second):
                tunnel.send(b"alive")
                assert tunnel.read_exactly(5) == b"alive"
                tunnel.half_close()
                tunnel.assert_closed()


def test_the_memory_of_old_configurations_is_given_back():
    begun, go_on = threading.Semaphore(0), threading.Event()

    def stream(conn):
        while conn.read_request():
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            begun.release()
            go_on.wait(60)
            conn.send(b"cde")

    routes = [{"path": f"/{i}/", "upstream": "app", "timeout": "5m"} for i in range(2000)]
    with Origin(stream) as origin, proxy(origin, site={"routes": routes}) as weir, \
            contextlib.ExitStack() as stack:
        clients = []
        before = weir.rss_bytes()
        for number in range(1, 9):
            assert weir.metric("weir_config_snapshots") == number
            clients.append(stack.enter_context(weir.client()))
            clients[-1].send(b"GET /1/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert begun.acquire(timeout=10)
            assert clients[-1].head()[0] == 200
            weir.reload()
        peak = weir.rss_bytes()
        go_on.set()
        for client in clients:
            assert client.read_exactly(5) == b"abcde"
        weir.wait_metric("weir_config_snapshots", 1)
        if not any(word in binary() for word in ("asan", "tsan")):  # which keep what is freed
            wait_for(lambda: weir.rss_bytes() < (before + peak) / 2)


def test_many_reloads_under_load_with_tunnels():
    with Origin(upgrade_or_echo) as origin, proxy(origin, workers=2) as weir:
        tunnels = [weir.client() for _ in range(20)]
        for tunnel in tunnels:
            tunnel.send(ASK)
            assert tunnel.head()[0] == 101
        with Load(lambda: weir.client().request) as load:
            weir.config["listeners"]["http"]["address"] = "%s:%d" % weir.address
            for i in range(20):
                weir.config["sites"][0]["routes"][0]["timeout"] = f"{i + 10}s"
                weir.config["listeners"].pop("extra", None)
                if i % 2:
                    weir.config["listeners"]["extra"] = {"address": "127.0.0.1:0"}
                weir.write_config()
                weir.reload()
                for tunnel in tunnels[i % 4::4]:
                    tunnel.send(b"%03d" % i)
                    assert tunnel.read_exactly(3) == b"%03d" % i
        assert not load.failures and len(load.done) > 20
        for tunnel in tunnels:
            tunnel.sock.close()


def test_pools_of_removed_servers_are_let_go():
    with Origin(echo) as old, Origin(echo) as new, proxy(old) as weir:
        assert weir.get().status == 200
        weir.wait_metric("weir_upstream_connections", 1, state="idle")
        weir.config["upstreams"]["app"]["servers"] = [{"address": new.address}]
        weir.write_config()
        weir.reload()
        weir.wait_metric("weir_upstream_connections", 0, state="idle")
        assert weir.get().status == 200
        assert new.accepted == 1


def test_the_access_log_follows_a_reload():
    with Weir(sites=RESPOND) as weir:
        assert weir.get("/one").status == 200
        weir.log_of("/one")
        first, second = weir.log_path, os.path.join(weir.dir, "second.log")
        access = weir.config["log"]["access"]
        access["path"] = second
        weir.write_config()
        weir.reload()
        weir.log_path = second
        assert weir.get("/two").status == 200
        weir.log_of("/two")
        access["path"] = os.path.join(weir.dir, "none", "x.log")
        weir.write_config()
        since = len(weir.lines)
        weir.reload(expect="failed")
        assert any("No such file" in line for line in weir.lines[since:])
        access["path"] = "off"
        weir.write_config()
        weir.reload()
        assert weir.get("/three").status == 200
        access["path"] = first
        weir.write_config()
        weir.reload()
        weir.log_path = first
        assert weir.get("/four").status == 200
        weir.log_of("/four")
        for path in (first, second):
            with open(path, encoding="utf-8") as file:
                assert "/three" not in file.read()


def test_the_admin_listener_follows_a_reload():
    with Weir(sites=RESPOND) as weir:
        assert weir.admin("/health/live")[0] == 200
        before = weir.admin_address
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            moved = "127.0.0.1:%d" % free.getsockname()[1]
        weir.config["admin"]["address"] = moved
        weir.write_config()
        weir.reload()
        weir.admin_address = moved
        assert weir.admin("/health/live")[0] == 200
        host, port = before.split(":")
        deadline = time.monotonic() + 5
        while True:  # its worker hears of the reload after it is done
            try:
                RawClient((host, int(port))).sock.close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        admin = weir.config.pop("admin")
        weir.write_config()
        weir.reload()
        weir.config["admin"] = admin
        weir.write_config()
        weir.reload()
        assert weir.admin("/health/live")[0] == 200


def test_what_a_reload_takes_a_start_takes():
    """A narrow and a wide address of one port, added together or one after the other."""
    with Weir(sites=RESPOND) as weir:
        port = weir.address[1]
        weir.config["listeners"]["http"]["address"] = f"127.0.0.1:{port}"
        weir.config["listeners"]["any"] = {"address": f"0.0.0.0:{port}"}
        weir.write_config()
        weir.reload()
        assert weir.get().status == 200
        config = weir.config
    again = Weir(sites=RESPOND)
    again.config["listeners"] = config["listeners"]
    again.write_config()
    with again:
        assert again.get().status == 200


def test_an_address_goes_and_comes_back():
    with Weir(sites=RESPOND, workers=2) as weir:
        weir.config["listeners"]["http"]["address"] = "%s:%d" % weir.address
        address = free_address()
        for i in range(30):
            weir.config["listeners"].pop("more", None)
            if i % 2 == 0:
                weir.config["listeners"]["more"] = {"address": address}
            weir.write_config()
            weir.reload()
        assert weir.get().status == 200


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_addresses_change_places_between_admin_and_listeners(kind, tmp_path):
    if kind == "tcp":
        first, second = free_address(), free_address()
    else:
        first, second = f"unix:{tmp_path}/a", f"unix:{tmp_path}/b"

    def ask(address, path):
        host, _, port = address.partition(":")
        with RawClient(port if host == "unix" else (host, int(port))) as client:
            return client.request("GET", path, host="localhost")

    with Weir(sites=RESPOND, workers=2) as weir:
        for listener, admin in [(first, second), (second, first), (first, second)]:
            weir.config["listeners"]["moves"] = {"address": listener}
            weir.config["admin"] = {"address": admin}
            weir.write_config()
            weir.reload()
            # Both sockets may be watched for a moment; the file of a unix socket is one.
            deadline = time.monotonic() + 10
            while ask(listener, "/health/live").body != b"own" or (
                    ask(admin, "/health/live").get("content-type") != "application/json"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            if kind == "unix":
                mask = os.umask(0)
                os.umask(mask)
                assert stat.S_IMODE(os.stat(admin.partition(":")[2]).st_mode) == 0o660
                assert stat.S_IMODE(os.stat(listener.partition(":")[2]).st_mode) == 0o777 & ~mask
        weir.signal(signal.SIGTERM)
        assert weir.process.wait(20) == 0
        for address in (first, second):
            with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
                ask(address, "/")


def test_a_failed_reload_takes_no_unix_socket_away(tmp_path):
    path = f"{tmp_path}/admin"
    with Weir(sites=RESPOND, admin={"address": f"unix:{path}"}) as weir, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        weir.config["admin"] = {"address": "127.0.0.1:%d" % taken.getsockname()[1]}
        weir.config["listeners"]["moves"] = {"address": f"unix:{path}"}
        weir.write_config()
        weir.reload(expect="failed")
        with RawClient(path) as client:
            assert client.request("GET", "/health/live", host="localhost").status == 200
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_a_reload_makes_a_deleted_unix_socket_again(tmp_path):
    paths = [f"{tmp_path}/web", f"{tmp_path}/admin"]
    with Weir(sites=RESPOND, workers=2, admin={"address": f"unix:{paths[1]}"}) as weir:
        weir.config["listeners"]["unix"] = {"address": f"unix:{paths[0]}"}
        weir.write_config()
        weir.reload()
        inodes = [os.stat(path).st_ino for path in paths]
        since = len(weir.lines)
        weir.reload()  # nothing to do
        assert [os.stat(path).st_ino for path in paths] == inodes
        assert not [line for line in weir.lines[since:] if "listening" in line]
        for path in paths:
            os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:  # bound, and left behind
            other.bind(paths[0])
        weir.reload()
        for path in paths:
            with RawClient(path) as client:
                assert client.request("GET", "/health/live", host="localhost").status == 200


def test_status_shows_where_listeners_really_listen():
    with Weir(sites=RESPOND) as weir:
        def shown():
            listeners = json.loads(weir.admin("/status")[1])["listeners"]
            return {listener["name"]: listener["address"] for listener in listeners}

        assert shown() == {"http": "%s:%d" % weir.address}
        since = len(weir.lines)
        weir.config["listeners"] = {"first": {"address": "127.0.0.1:0"},
                                    **weir.config["listeners"]}
        weir.write_config()
        weir.reload()
        assert shown() == {"first": "%s:%d" % port_of(weir, "first", since),
                           "http": "%s:%d" % weir.address}


def test_a_log_that_could_not_be_opened_is_tried_again():
    weir = Weir(sites=RESPOND)
    folder = os.path.join(weir.dir, "logs")
    weir.log_path = os.path.join(folder, "access.log")
    weir.config["log"]["access"]["path"] = weir.log_path
    weir.write_config()
    with weir:  # it goes to stderr
        weir.reload()
        os.mkdir(folder)
        weir.reload()
        assert weir.get("/now").status == 200
        weir.log_of("/now")


def test_what_needs_a_restart_is_said():
    with Weir(sites=RESPOND, workers=1) as weir:
        for workers, is_said in ((2, True), (2, True), (1, False)):
            weir.config["workers"] = workers
            weir.write_config()
            since = len(weir.lines)
            weir.reload()
            said = any("workers takes effect at the next start" in li for li in weir.lines[since:])
            assert said == is_said

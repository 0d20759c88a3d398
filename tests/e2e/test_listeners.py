"""What listeners do with many clients, old connections, both address families, and no files."""
import os
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
from support.origin import Origin, echo
from support.raw import Closed, RawClient
from support.weir import Weir, proxy

REFUSED = "weir_connections_refused_total"


def connect_from(weir, source):
    """A client with an address of its own, of 127.0.0.0/8."""
    return RawClient(("127.0.0.1", weir.address[1]), source=source)


def is_served(client):
    try:
        return client.request().status == 200
    except (OSError, Closed):
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_max_connections_is_one_number_for_all_workers_and_survives_a_reload():
    with Origin(echo) as origin:
        with proxy(origin, workers=4, listener={"max_connections": 6}) as weir:
            clients = [weir.client() for _ in range(20)]
            served = [client for client in clients if is_served(client)]
            assert len(served) == 6
            assert weir.metric(REFUSED, reason="max_connections") == 14
            weir.reload()
            assert not is_served(weir.client()), "those that are open still count"
            served[0].sock.close()
            weir.wait_metric("active_connections", 5)
            assert is_served(weir.client())


def test_client_connections_are_counted_by_address():
    with Origin(echo) as origin:
        with proxy(origin, workers=3, listener={"client_connections": 3},
                   trusted_proxies=["127.0.0.9"]) as weir:
            mine = [client for client in (connect_from(weir, "127.0.0.2") for _ in range(10))
                    if is_served(client)]
            assert len(mine) == 3
            assert weir.metric(REFUSED, reason="client_connections") == 7
            assert is_served(connect_from(weir, "127.0.0.3")), "another address is another client"
            proxied = [connect_from(weir, "127.0.0.9") for _ in range(10)]
            assert all(is_served(client) for client in proxied), "a proxy brings many clients"
            open_now = weir.metric("active_connections")
            mine.pop().sock.close()
            weir.wait_metric("active_connections", open_now - 1)
            again = connect_from(weir, "127.0.0.2")
            assert is_served(again)
            assert not is_served(connect_from(weir, "127.0.0.2"))
            weir.config["listeners"]["http"]["client_connections"] = "off"
            weir.write_config()
            weir.reload()
            assert is_served(connect_from(weir, "127.0.0.2"))


def test_old_connections_are_closed():
    listener = {"connection": {"age": "700ms"}}
    with Origin(echo) as origin, proxy(origin, listener=listener) as weir:
        with weir.client() as idle, weir.client() as busy:
            began = time.monotonic()
            assert idle.request().get("connection") is None
            while True:
                answer = busy.request()
                assert answer.status == 200
                if answer.get("connection") == "close":
                    break
                assert time.monotonic() - began < 5
                time.sleep(0.02)
            assert time.monotonic() - began > 0.6
            busy.assert_closed()
            idle.assert_closed()
            assert time.monotonic() - began < 3


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")


@needs_ipv6
def test_one_listener_for_both_families():
    with Origin(echo) as origin:
        with proxy(origin, listener={"address": "[::]:0"}, trusted_proxies=["127.0.0.1"]) as weir:
            port = weir.address[1]
            with RawClient(("127.0.0.1", port)) as client:
                answer = client.request(headers=[("X-Forwarded-For", "10.1.2.3")])
                seen = dict(answer.json()["headers"])
                # An IPv4 client is one everywhere: trusted as such, and named as such.
                assert seen["X-Forwarded-For"] == "10.1.2.3, 127.0.0.1"
                assert seen["X-Real-IP"] == "10.1.2.3"
            with connect_from(weir, "127.0.0.7") as client:
                seen = dict(client.request(target="/v4").json()["headers"])
                assert seen["X-Forwarded-For"] == "127.0.0.7"
            with RawClient(("::1", port)) as client:
                seen = dict(client.request(target="/v6").json()["headers"])
                assert seen["X-Forwarded-For"] == "::1"
            assert weir.log_of("/v4")[0]["client"] == "127.0.0.7"
            assert weir.log_of("/v6")[0]["client"] == "::1"


@needs_ipv6
def test_a_listener_for_each_family_on_one_port():
    port = free_port()
    listeners = {"http": {"address": f"0.0.0.0:{port}"}, "six": {"address": f"[::]:{port}"}}
    sites = [{"hosts": ["*"], "listeners": [name],
              "routes": [{"path": "/", "respond": {"body": name}}]} for name in listeners]
    with Weir(sites=sites, workers=2, listeners=listeners):
        for host, name in (("127.0.0.1", b"http"), ("::1", b"six")):
            for _ in range(8):  # whichever worker takes it
                with RawClient((host, port)) as client:
                    assert client.request().body == name


def keepalive_timers(port):
    """Of each connection that this port has accepted, in s; None where no timer runs."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    found = []
    for row in rows:
        local, state, timer = row[1], row[3], row[5]
        if local.endswith(f":{port:04X}") and state == "01":
            kind, _, ticks = timer.partition(":")
            found.append(int(ticks, 16) / os.sysconf("SC_CLK_TCK") if kind == "02" else None)
    return found


def test_tcp_keepalive():
    for setting, low_s, high_s in (("20s", 10, 20), (True, 50, 60), (False, None, None)):
        with Origin(echo) as origin:
            listener = {"tcp_keepalive": setting}
            with proxy(origin, listener=listener) as weir, weir.client() as client:
                client.request()
                deadline = time.monotonic() + 5  # until the answer is acknowledged
                while True:
                    timers = keepalive_timers(weir.address[1])
                    assert len(timers) == 1
                    if timers[0] is None and low_s is None:
                        break
                    if None not in (timers[0], low_s) and low_s <= timers[0] <= high_s:
                        break
                    assert time.monotonic() < deadline, timers
                    time.sleep(0.05)


def test_backlog_bounds_those_who_wait():
    with Origin(echo) as origin, proxy(origin, listener={"backlog": 3}) as weir:
        weir.pause()
        waiting = []
        try:
            for _ in range(12):
                sock = socket.socket()
                sock.settimeout(0.2)
                try:
                    sock.connect(weir.address)
                    waiting.append(sock)
                except socket.timeout:
                    sock.close()
        finally:
            weir.signal(signal.SIGCONT)
        assert 3 <= len(waiting) <= 5
        for sock in waiting:
            sock.close()
        assert weir.get().status == 200


def start_with_open_files(weir, count):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    original = subprocess.Popen
    try:
        subprocess.Popen = lambda *a, **k: original(*a, preexec_fn=limit, **k)
        return weir.start()
    finally:
        subprocess.Popen = original


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 4096), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_thousand_clients_and_256_files(many_files):
    """Those who got in are served, those who wait cost nothing, and it all goes on by itself."""
    with Origin(echo) as origin:
        weir = start_with_open_files(proxy(origin, workers=2), 256)
        assert any("the limit of 256 leaves room for 192 clients" in line for line in weir.lines)
        clients = [weir.client() for _ in range(1000)]
        weir.wait_line("pausing")
        inside = weir.metric("active_connections")  # the admin listener has files left
        assert 100 < inside < 256
        served = 0
        for client in clients:  # there are files left for a connection to the server, too
            client.sock.settimeout(0.2)
            try:
                served += client.request().status == 200
            except (OSError, Closed):
                pass
            if served == 50:
                break
        assert served == 50
        used = weir.cpu_s()
        time.sleep(3)
        assert weir.cpu_s() - used < 0.05 * 3, "accepting spins"
        for client in clients[:900]:
            client.sock.close()
        began = time.monotonic()
        with weir.client() as client:
            assert client.request().status == 200
        assert time.monotonic() - began < 5
        for client in clients[900:]:
            client.sock.settimeout(10)
            assert client.request().status == 200, "whoever waited gets in"
            client.sock.close()
        weir.wait_metric("active_connections", 0)
        weir.stop()


def test_no_file_for_a_connection_to_a_server_is_no_fault_of_the_server():
    release = threading.Event()

    def hold(conn):
        while conn.read_request():
            release.wait(10)
            conn.answer()

    with Origin(hold) as origin:
        weir = start_with_open_files(proxy(origin), 64)
        clients = [weir.client() for _ in range(24)]
        for client in clients:  # each asks for a second file: too many
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)
        release.set()
        statuses = [client.response().status for client in clients]
        assert set(statuses) == {200, 503}
        for client in clients:
            client.sock.close()
        assert weir.metric("weir_upstream_failures_total") == 0
        assert any("overload" in line["error"] for line in weir.access_log(24))
        assert weir.get().status == 200, "the server was never marked down"
        weir.stop()


def test_enough_open_files_are_no_warning():
    with Origin(echo) as origin, proxy(origin, listener={"max_connections": 100}) as weir:
        assert not any("open files" in line for line in weir.lines)

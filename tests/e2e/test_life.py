"""The daemon's life: signals, reload, drain, logs that cannot be written, limits of clients."""
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
from support.h2 import H2Client
from support.h2 import get as h2_get
from support.load import Load
from support.origin import Origin, echo
from support.raw import Closed
from support.waiting import wait_for
from support.weir import Weir, binary, proxy


def run(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=20,
                          check=False)


def hold(conn):
    while conn.read_request():
        conn.origin.requests.append(1)
        conn.origin.release.wait(10)
        conn.answer(b"late")


@pytest.fixture(name="holding")
def holding_origin():
    with Origin(hold) as origin:
        origin.release = threading.Event()
        yield origin
        origin.release.set()


def test_drain_lets_requests_finish(holding):
    with proxy(holding, workers=2) as weir:
        idle, busy = weir.client(), weir.client()
        busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        weir.wait_metric("requests_in_flight", 1)
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain:")
        idle.assert_closed()
        assert weir.admin("/health/ready")[0] == 503
        assert weir.admin("/health/live")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            weir.client()
        holding.release.set()
        answer = busy.response()
        assert answer.status == 200 and answer.get("connection") == "close"
        busy.assert_closed()
        assert weir.process.wait(10) == 0


def test_drain_past_its_grace_cuts_and_says_so(holding):
    weir = proxy(holding, shutdown={"grace": "300ms"}, expect_exit=1)
    with weir, weir.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        weir.wait_metric("requests_in_flight", 1)
        weir.signal(signal.SIGINT)
        assert weir.process.wait(5) == 1


def test_the_log_says_that_it_was_weir_who_cut(holding):
    listener = {"protocols": ["h2c", "http/1.1"]}
    with proxy(holding, shutdown={"grace": "300ms"}, listener=listener, expect_exit=1) as weir:
        with weir.client() as one, H2Client(weir.address) as two:
            one.send(b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
            two.headers(1, h2_get("/two"))
            weir.wait_metric("requests_in_flight", 2)
            weir.signal(signal.SIGTERM)
            assert weir.process.wait(5) == 1
        for uri in ("/one", "/two"):
            assert weir.log_of(uri)[0]["error"] == "weir: shutdown: grace is over"


def test_second_signal_exits_at_once(holding):
    with proxy(holding, expect_exit=1) as weir, weir.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        weir.wait_metric("requests_in_flight", 1)
        weir.signal(signal.SIGTERM)
        weir.wait_line("drain:")
        weir.signal(signal.SIGTERM)
        assert weir.process.wait(5) == 1


def test_a_second_signal_loses_no_line_of_the_log(holding):
    own = {"path": "/own", "respond": {"status": 200}}
    hold_all = {"path": "/", "upstream": "app"}
    with proxy(holding, workers=2, expect_exit=1, site={"routes": [own, hold_all]}) as weir:
        with weir.client() as busy:
            busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            weir.wait_metric("requests_in_flight", 1)
            for _ in range(10):
                assert weir.get("/own").status == 200
            weir.signal(signal.SIGTERM)
            weir.signal(signal.SIGINT)
            assert weir.process.wait(5) == 1
        weir.log_of("/own", 10, seconds=0)


def test_reload_swaps_the_snapshot_and_keeps_the_old_one_on_errors(holding):
    with Origin(echo) as other, proxy(holding) as weir:
        busy, kept = weir.client(), weir.client()
        busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        weir.wait_metric("requests_in_flight", 1)
        weir.config["upstreams"]["app"]["servers"] = [{"address": other.address}]
        weir.write_config()
        weir.reload()
        assert kept.request().json()["method"] == "GET"  # the new server, on an old connection
        holding.release.set()
        assert busy.response().body == b"late"           # finished as it began
        weir.config["sites"][0]["routes"][0]["upstream"] = "ap"
        weir.config["wokers"] = 1
        weir.write_config()
        since = len(weir.lines)
        weir.reload(expect="failed")
        errors = "\n".join(weir.lines[since:])
        assert 'no upstream "ap"; did you mean "app"?' in errors
        assert 'did you mean "workers"?' in errors and "sites[0].routes[0].upstream" in errors
        assert kept.request().status == 200
        assert weir.metric("weir_config_reloads_total", result="failed") == 1
        weir.config.pop("wokers")
        weir.config["sites"][0]["routes"][0]["upstream"] = "app"
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            weir.config["listeners"]["more"] = {"address": "127.0.0.1:0"}
            weir.config["listeners"]["http"]["address"] = address
            weir.write_config()
            since = len(weir.lines)
            weir.reload(expect="failed")
            assert f"cannot listen on {address}" in "\n".join(weir.lines[since:])
        assert kept.request().status == 200 and weir.get().status == 200


def test_reload_under_load_fails_no_request():
    with Origin(echo) as origin, proxy(origin, workers=2) as weir:
        with Load(lambda: weir.client().request) as load:
            for _ in range(20):
                weir.reload()
        assert not load.failures and len(load.done) > 20


def test_bind_failure_names_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        weir = Weir(listener={"address": "127.0.0.1:%d" % taken.getsockname()[1]},
                    sites=[{"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200}}]}])
        done = run("run", "-c", weir.path)
        assert done.returncode == 1 and "127.0.0.1:" in done.stderr


def test_command_line(tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("listeners: {http: {address: '127.0.0.1:0'}}\n"
                    "upstreams: {app: {servers: [{address: '127.0.0.1:1'}]}}\n"
                    "sites: [{hosts: [a], routes: [{path: /, upstream: app}]}]\n")
    assert run("check", "-c", str(good)).returncode == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text("listeners: {http: {address: '127.0.0.1:0', tls: {}}}\nlisteners: 3\nx: 1\n")
    done = run("check", "-c", str(bad))
    assert done.returncode == 1
    assert re.search(r"bad.yaml:2:1: listeners: .*duplicate|twice", done.stderr)
    assert "bad.yaml:3:1: x: " in done.stderr
    assert run("run", "-c", str(tmp_path / "none.yaml")).returncode == 1
    version = run("version")
    assert version.returncode == 0 and "libuv" in version.stdout
    assert run("nonsense").returncode != 0


def test_stuck_log_pipe_loses_lines_and_no_traffic(tmp_path):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with Origin(echo) as origin:
        log = {"format": "text", "access": {"path": pipe}}
        with proxy(origin, log=log) as weir, weir.client() as client:
            filler = "/" + "f" * 7000
            deadline = time.monotonic() + 60
            while weir.metric("weir_access_log_dropped_total") == 0:
                assert time.monotonic() < deadline
                for _ in range(100):
                    assert client.request("GET", filler).status == 200
            assert client.request().status == 200
            weir.wait_line(r"access log: it takes less than there is; \d+ lines dropped so far")
            # Whoever looks after it moves the log elsewhere.
            file = str(tmp_path / "access.log")
            log["access"]["path"] = file
            weir.write_config()
            weir.reload()
            wait_for(lambda: client.request("GET", "/moved").status == 200 and
                     "/moved" in pathlib.Path(file).read_text(encoding="utf-8"))
            dropped = weir.metric("weir_access_log_dropped_total")
            for _ in range(100):
                assert client.request("GET", filler).status == 200
            time.sleep(0.5)
            assert weir.metric("weir_access_log_dropped_total") == dropped
    told = f"access log: {dropped:.0f} lines were not written since the start"
    assert told in "\n".join(weir.lines)
    os.close(reader)


def test_full_disk_loses_lines_and_no_traffic():
    with Origin(echo) as origin:
        log = {"format": "text", "access": {"path": "/dev/full"}}
        with proxy(origin, log=log) as weir, weir.client() as client:
            for _ in range(20):
                assert client.request().status == 200
            deadline = time.monotonic() + 5
            while weir.metric("weir_access_log_dropped_total") < 20:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert client.request().status == 200


def test_unwritable_log_goes_to_stderr():
    with Origin(echo) as origin:
        log = {"format": "text", "access": {"path": "/no/such/folder/access.log"}}
        with proxy(origin, log=log) as weir:
            assert weir.get().status == 200
            weir.wait_line(r'"status":200')


def test_log_rotation():
    with Origin(echo) as origin, proxy(origin) as weir:
        weir.get("/before")
        weir.access_log(1)
        os.rename(weir.log_path, weir.log_path + ".1")
        weir.signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while not os.path.exists(weir.log_path):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        weir.get("/after")
        assert weir.access_log(1)[0]["uri"] == "/after"
        with open(weir.log_path + ".1", encoding="utf-8") as file:
            assert json.loads(file.readline())["uri"] == "/before"
        weir.signal(signal.SIGUSR2)  # not fatal
        assert weir.get().status == 200


def test_slow_clients_are_ended():
    timeouts = {"header": "300ms", "body": "300ms", "keepalive": "300ms"}
    with Origin(echo) as origin, proxy(origin, listener={"timeouts": timeouts}) as weir:
        with weir.client() as client:  # a head that never ends
            client.send(b"GET / HT")
            assert client.response().status == 408
            client.half_close()
            client.assert_closed()
        with weir.client() as client:  # a body that never comes
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            assert client.response().status == 408
        with weir.client() as client:  # nothing at all
            client.assert_closed()
        with weir.client() as client:  # idle after an answer
            client.request()
            started = time.monotonic()
            client.assert_closed()
            assert 0.25 < time.monotonic() - started < 3


def test_limits_of_a_listener():
    listener = {"max_connections": 2, "limits": {"body": "1KiB"}, "connection": {"requests": 3}}
    with Origin(echo) as origin, proxy(origin, listener=listener) as weir:
        first, second = weir.client(), weir.client()
        assert first.request().status == 200 and second.request().status == 200
        with weir.client() as third:
            try:
                third.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                third.assert_closed()
            except (OSError, Closed):
                pass
        assert weir.metric("weir_connections_refused_total", reason="max_connections") == 1
        assert first.request("POST", body=b"x" * 1024).status == 200
        last = first.request()
        assert last.get("connection") == "close"
        first.assert_closed()
        first.sock.close()
        assert second.request("POST", body=b"x" * 1025).status == 413
        with weir.client() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n")
            assert client.response().status == 413


def test_out_of_descriptors_pauses_and_recovers():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))

    with Origin(echo) as origin:
        weir = proxy(origin)
        original = subprocess.Popen
        try:
            subprocess.Popen = lambda *a, **k: original(*a, preexec_fn=limit, **k)
            weir.start()
        finally:
            subprocess.Popen = original
        clients = [weir.client() for _ in range(100)]
        weir.wait_line("pausing")
        used = weir.cpu_s()
        time.sleep(1)
        assert weir.cpu_s() - used < 0.3, "accepting spins"
        for client in clients:
            client.sock.close()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert weir.get().status == 200
                break
            except (OSError, Closed):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        weir.stop()


def test_admin_pages_and_bounded_labels(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        series = None
        for i in range(300):
            client.request("GET", f"/random/{i}")
            if i == 20:
                series = len(weir.metrics())
        assert len(weir.metrics()) <= series + 2
    status, text = weir.admin("/health")
    health = json.loads(text)
    assert status == 200 and health["status"] == "healthy"
    server = health["upstreams"]["app"]["servers"][0]
    assert server["state"] == "up" and ":" in server["address"]
    assert json.loads(weir.admin("/health/ready")[1])["status"] == "ready"
    assert weir.admin("/nothing")[0] == 404
    assert weir.admin("/metrics", method="POST")[0] == 405
    assert "workers" in weir.admin("/status")[1]
    names = weir.metrics()
    commit = re.search(r"\((.*)\)", run("version").stdout)[1]
    assert names[f'weir_build_info{{version="0.1.0",commit="{commit}"}}'] == 1


def test_admin_token():
    site = [{"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200}}]}]
    admin = {"address": "127.0.0.1:0", "token": "s3cret-token"}
    with Weir(sites=site, admin=admin) as weir:
        assert weir.admin("/metrics")[0] == 401
        assert weir.admin("/metrics", token="wrong")[0] == 401
        assert weir.admin("/metrics", token="s3cret-token")[0] == 200
        assert not any("s3cret" in line for line in weir.lines)


def test_routes_and_own_answers():
    routes = [
        {"path": "=/health", "respond": {"status": 200, "body": "healthy\n",
                                         "headers": {"Content-Type": "text/plain"}},
         "access_log": False},
        {"path": "/seg", "respond": {"status": 200, "body": "seg $path"}},
        {"path": "/pre/", "respond": {"status": 201, "body": "pre"}},
        {"path": "=/old", "redirect": {"to": "https://example.com$uri", "status": 308}},
    ]
    sites = [{"hosts": ["Example.com", "*.wild.org"], "routes": routes},
             {"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200, "body": "any"}}]}]
    with Weir(sites=sites) as weir, weir.client() as client:
        def get(target, host="example.com", method="GET"):
            answer = client.request(method, target, host=host)
            return answer.status, answer.body
        assert get("/health") == (200, b"healthy\n") == get("/health", host="EXAMPLE.com:8080")
        assert get("/health", host="example.com.") == (200, b"healthy\n")
        assert get("/health", method="HEAD") == (200, b"")
        assert get("/health/ready")[0] == 404 and get("/healthz")[0] == 404  # T23
        assert get("/seg/x") == (200, b"seg /seg/x") and get("/seg") == (200, b"seg /seg")
        assert get("/segx")[0] == 404 and get("/pre")[0] == 404 and get("/pre/x")[0] == 201
        # Matched normalised, passed on as it came.
        assert get("/a/../seg/%7e") == (200, b"seg /a/../seg/%7e")
        assert get("/", host="a.b.wild.org")[0] == 404
        assert get("/", host="wild.org") == (200, b"any")
        moved = client.request("GET", "/old?a=b", host="example.com")
        assert moved.status == 404 or moved.get("location") == "https://example.com/old?a=b"
        lines = weir.access_log(10)
        assert all(line["uri"] != "/health" for line in lines)
    only = [{"hosts": ["example.com"], "routes": routes}]
    with Weir(sites=only) as weir:
        answer = weir.get("/", host="evil.com")
        assert answer.status == 421

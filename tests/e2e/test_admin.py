"""The admin endpoint of a running daemon, and the commands that speak to it."""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest
from support.origin import Origin, echo
from support.raw import RawClient
from support.weir import Weir, binary, proxy

TOKEN = "tok-4f9a-never-shown"
SECRET = "sec-77c1-never-shown"


def command(*arguments, token=None):
    environment = {k: v for k, v in os.environ.items() if k != "WEIR_ADMIN_TOKEN"}
    if token:
        environment["WEIR_ADMIN_TOKEN"] = token
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=30,
                          check=False, env=environment)


def responding(**options):
    routes = [{"path": "=/a", "respond": {"status": 200, "body": "a"}},
              {"name": "rest", "path": "/", "respond": {"status": 204}}]
    return Weir(sites=[{"hosts": ["*"], "routes": routes}], **options)


@contextlib.contextmanager
def variable(name, value):
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def raw_admin(weir, method, path, headers=(), body=b""):
    host, _, port = weir.admin_address.rpartition(":")
    with RawClient((host, int(port))) as client:
        return client.request(method, path, headers=headers, body=body, host=weir.admin_address)


@pytest.mark.parametrize("admin", [
    {"address": "127.0.0.1:{port}"},
    {"address": "0.0.0.0:{port}", "token": "${PROBED}"},
    {"address": "unix:{folder}/admin"},
])
def test_a_probe_asks_the_admin_that_the_file_names(admin, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    admin = {**admin, "address": admin["address"].format(port=port, folder=tmp_path)}
    with responding(admin=admin, environment={"PROBED": TOKEN}) as weir:
        probe = ["status", "--live", "-c", weir.path]
        assert command(*probe).returncode == 0
        weir.config["admin"] = {"address": f"unix:{tmp_path}/nobody"}
        weir.write_config()
        assert command(*probe).returncode == 1
        # Nobody can be asked: a reload would change nothing either.
        weir.write_config("admin: [")
        done = command(*probe)
        assert done.returncode == 0 and "not valid YAML" in done.stderr
        del weir.config["admin"]
        weir.write_config()
        done = command(*probe)
        assert done.returncode == 0 and "has no admin" in done.stderr
    assert command("status", "-c", weir.path).returncode != 0


def test_reload_answers_with_what_changed():
    with Origin(echo) as origin, proxy(origin) as weir:
        status, text = weir.admin("/reload")
        assert status == 200
        first = json.loads(text)
        assert (first["number"], first["cause"], first["ok"]) == (1, "start", True)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])

        weir.config["upstreams"]["app"]["servers"].append(
            {"address": "127.0.0.1:9", "backup": True})
        weir.config["upstreams"]["new"] = {"servers": [{"address": "127.0.0.1:10"}]}
        weir.config["sites"][0]["routes"].insert(
            0, {"name": "hello", "path": "=/hello", "respond": {"status": 200, "body": "hi"}})
        weir.config["trusted_proxies"] = ["10.0.0.0/8"]
        weir.write_config()
        status, text = weir.admin("/reload", "POST")
        receipt = json.loads(text)
        assert status == 200 and receipt["ok"] and receipt["errors"] == []
        assert (receipt["number"], receipt["cause"]) == (2, "admin")
        changes = receipt["changes"]
        assert changes["servers"]["added"] == ["app/127.0.0.1:9", "new/127.0.0.1:10"]
        assert changes["upstreams"]["added"] == ["new"]
        assert changes["routes"]["added"] == ["* hello"]
        assert changes["sites"]["changed"] == ["*"]
        assert changes["settings"]["added"] == ["trusted_proxies"]
        assert changes["listeners"] == {"added": [], "removed": [], "changed": [], "left_out": 0}
        assert json.loads(weir.admin("/reload")[1]) == receipt
        assert json.loads(weir.admin("/status")[1])["last_reload"] == receipt
        assert weir.get("/hello").body == b"hi"
        assert weir.metric("weir_config_reloads_total", result="ok") == 2
        assert weir.metric("weir_config_last_reload_timestamp_seconds") > time.time() - 60
        weir.wait_line(r"admin: reload asked for by 127\.0\.0\.1")


def test_a_receipt_warns_of_what_needs_a_restart():
    with responding(workers=1) as weir:
        weir.config["workers"] = 2
        weir.write_config()
        receipt = json.loads(weir.admin("/reload", "POST")[1])
        assert receipt["ok"] and receipt["changes"]["settings"]["changed"] == ["workers"]
        assert receipt["warnings"] == ["a change of workers takes effect at the next start"]


def test_a_reload_may_move_the_admin_itself(tmp_path):
    path = str(tmp_path / "admin.sock")
    with responding() as weir:
        weir.config["admin"] = {"address": f"unix:{path}"}
        weir.write_config()
        done = command("reload", "--admin", weir.admin_address)
        assert done.returncode == 0 and "  ~ settings   admin\n" in done.stdout
        done = command("reload", "--admin", f"unix:{path}")
        assert done.returncode == 0 and "nothing changed" in done.stdout
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_a_failed_reload_says_why_and_changes_nothing():
    with responding() as weir:
        good = weir.admin("/config")
        weir.config["wokers"] = 1
        weir.config["sites"][0]["routes"][1]["respond"]["status"] = 99
        weir.write_config()
        status, text = weir.admin("/reload", "POST")
        receipt = json.loads(text)
        assert status == 422 and not receipt["ok"] and len(receipt["errors"]) == 2
        assert 'wokers: unknown key; did you mean "workers"?' in text.replace('\\"', '"')
        assert receipt["errors"][0].startswith(weir.path + ":")
        assert json.loads(weir.admin("/reload")[1]) == receipt
        assert weir.admin("/config") == good
        assert weir.get("/x").status == 204
        assert weir.metric("weir_config_reloads_total", result="failed") == 1
        # A signal's reload leaves the same kind of receipt.
        del weir.config["wokers"]
        weir.config["sites"][0]["routes"][1]["respond"]["status"] = 200
        weir.write_config()
        weir.reload()
        receipt = json.loads(weir.admin("/reload")[1])
        assert receipt["ok"] and receipt["cause"] == "signal" and receipt["number"] == 3
        assert receipt["changes"]["routes"]["changed"] == ["* rest"]


def test_reloads_asked_for_at_once_are_all_answered():
    with responding() as weir:
        answers = []

        def ask():
            answers.append(weir.admin("/reload", "POST")[0])

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 16
        assert json.loads(weir.admin("/reload")[1])["number"] <= 17


def test_a_browser_on_another_page_reloads_nothing():
    with responding() as weir:
        own = f"http://{weir.admin_address}"
        assert raw_admin(weir, "POST", "/reload", [("Origin", "http://evil.example")]).status == 403
        assert raw_admin(weir, "POST", "/reload", [("Origin", "null")]).status == 403
        assert raw_admin(weir, "POST", "/reload",
                         [("Sec-Fetch-Site", "cross-site")]).status == 403
        assert raw_admin(weir, "POST", "/reload", body=b"a=b").status == 400
        assert json.loads(weir.admin("/reload")[1])["number"] == 1
        answer = raw_admin(weir, "POST", "/reload",
                           [("Origin", own), ("Sec-Fetch-Site", "same-origin"),
                            ("Content-Type", "application/x-www-form-urlencoded")])
        assert answer.status == 200 and answer.get("access-control-allow-origin") is None
        answer = raw_admin(weir, "OPTIONS", "/reload", [("Origin", own)])
        assert answer.status == 405 and answer.get("allow") == "GET, HEAD, POST"
        answer = raw_admin(weir, "DELETE", "/config")
        assert answer.status == 405 and answer.get("allow") == "GET, HEAD"


def test_no_secret_is_told_to_anybody():
    with variable("ADMIN_TOKEN", TOKEN), variable("API_KEY", SECRET), Origin(echo) as origin:
        route = {"headers": {"request": {"set": {"X-Upstream-Auth": "${API_KEY}",
                                                 "Authorization": "Basic " + SECRET}}}}
        weir = proxy(origin, route=route,
                     admin={"address": "127.0.0.1:0", "token": "${ADMIN_TOKEN}"})
        weir.config["log"]["level"] = "debug"
        weir.config["sites"][0]["routes"].append(
            {"path": "=/r", "redirect": {"to": f"https://user:{SECRET}@example.com/"}})
        weir.write_config()
        seen = []
        with weir:
            weir.get("/")
            seen.append(weir.admin("/config", token=TOKEN)[1])
            config = json.loads(seen[0])
            assert config["admin"]["token"] == "***"
            assert config["admin"]["address"] == "127.0.0.1:0"
            request = config["sites"][0]["routes"][0]["headers"]["request"]["set"]
            assert request == {"X-Upstream-Auth": "***", "Authorization": "***"}
            assert config["sites"][0]["routes"][1]["redirect"]["to"] == "https://***@example.com/"
            first = weir.config["sites"][0]["routes"][0]
            first["headers"]["request"]["set"]["X-New"] = "${API_KEY}"
            weir.write_config()
            assert weir.admin("/reload", "POST", token=TOKEN)[0] == 200
            weir.config["admin"]["token"] = {"wrong": "${ADMIN_TOKEN}"}
            first["path"] = first["upstream"] = "${API_KEY}"
            weir.write_config()
            assert weir.admin("/reload", "POST", token=TOKEN)[0] == 422
            seen += [weir.admin(path, token=TOKEN)[1] for path in
                     ("/", "/metrics", "/health", "/status", "/config", "/reload")]
            for arguments in (("status",), ("reload",), ("status", "--token", "x" + SECRET[1:])):
                done = command(*arguments, "--admin", weir.admin_address, token=TOKEN)
                seen.append(done.stdout + done.stderr)
            seen.append(command("check", "-c", weir.path).stderr)
            seen.append(json.dumps(weir.access_log()))
        seen += weir.lines
        for text in seen:
            assert TOKEN not in text and SECRET not in text and SECRET[1:] not in text
        assert any("${API_KEY}" in text for text in seen)


def test_the_token_guards_everything_but_the_probes():
    with variable("ADMIN_TOKEN", TOKEN):
        weir = responding(admin={"address": "127.0.0.1:0", "token": "${ADMIN_TOKEN}"})
        with weir:
            for path in ("/", "/metrics", "/health", "/status", "/config", "/reload"):
                assert weir.admin(path)[0] == 401
                assert weir.admin(path, token=TOKEN[:-1])[0] == 401
                assert weir.admin(path, token=TOKEN)[0] == 200
            assert weir.admin("/reload", "POST")[0] == 401
            assert weir.admin("/health/live")[0] == 200
            assert weir.admin("/health/ready")[0] == 200
            answer = raw_admin(weir, "GET", "/status")
            assert answer.get("www-authenticate") == 'Bearer realm="weir admin"'

            address = ("--admin", weir.admin_address)
            done = command("status", *address)
            assert done.returncode == 1 and "wants a token" in done.stderr
            done = command("reload", *address, token="wrong")
            assert done.returncode == 1 and "does not take this token" in done.stderr
            assert command("status", *address, token=TOKEN).returncode == 0
            assert command("reload", *address, "--token", TOKEN, token="wrong").returncode == 0
            assert command("status", *address, "--token", "wrong", token=TOKEN).returncode == 1


def test_names_that_anybody_may_point_here_read_nothing(tmp_path):
    """DNS rebinding: a page of evil.example asks evil.example, which is 127.0.0.1 by now."""
    def status(address, path, method="GET", host="evil.example"):
        with RawClient(address) as client:
            return client.request(method, path, host=host).status

    with responding() as weir:
        host, _, port = weir.admin_address.rpartition(":")
        address = (host, int(port))
        for path in ("/", "/status", "/config", "/reload"):
            assert status(address, path) == 403
            assert status(address, path, host=weir.admin_address) == 200
            assert status(address, path, host="localhost") == 200
        for path in ("/metrics", "/health", "/health/live", "/health/ready"):
            assert status(address, path) == 200
        assert status(address, "/reload", "POST") == 403
        assert json.loads(weir.admin("/reload")[1])["number"] == 1
    path = str(tmp_path / "admin.sock")  # no browser gets there
    with responding(admin={"address": f"unix:{path}"}):
        assert status(path, "/status", host="weir") == 200
        assert status(path, "/reload", "POST", host="weir") == 200


def test_a_unix_socket_is_for_owner_and_group(tmp_path):
    path = str(tmp_path / "admin.sock")
    with responding(admin={"address": f"unix:{path}"}) as weir:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        with RawClient(path) as client:
            assert client.request("GET", "/health", host="localhost").json()["status"] == "healthy"
        done = command("status", "--admin", f"unix:{path}")
        assert done.returncode == 0 and "healthy" in done.stdout
        assert command("reload", "--admin", f"unix:{path}").returncode == 0
        assert weir.admin_address == f"unix:{path}"


def test_status_for_people():
    with Origin(echo) as origin, proxy(origin, workers=2) as weir:
        assert weir.get("/").status == 200
        weir.wait_metric("http_requests_total", 1)
        done = command("status", "--admin", weir.admin_address)
        assert done.returncode == 0 and done.stderr == ""
        lines = done.stdout.splitlines()
        assert re.fullmatch(r"weir \S+ \(\S+\): healthy, up \d+s", lines[0])
        assert lines[1].startswith("workers: 2; connections: ")
        assert re.fullmatch(r"configuration: load 1 at \S+Z, asked for by start: ok", lines[2])
        assert re.search(rf"^app +{origin.address} +up +0 +0 +1$", done.stdout, re.M)
        assert re.search(rf"^http +127\.0\.0\.1:{weir.address[1]}$", done.stdout, re.M)
        assert re.search(r"^/ +1 +1 +0 +0 +0 ", done.stdout, re.M)


def test_the_reload_command():
    with responding() as weir:
        address = ("--admin", weir.admin_address)
        done = command("reload", *address)
        assert done.returncode == 0 and "nothing changed" in done.stdout
        weir.config["sites"][0]["routes"][0]["respond"]["body"] = "b"
        weir.write_config()
        done = command("reload", *address)
        assert done.returncode == 0 and "  ~ routes     * =/a\n" in done.stdout
        weir.config["x"] = 1
        weir.write_config()
        done = command("reload", *address)
        assert done.returncode == 1 and done.stdout == ""
        assert "x: unknown key" in done.stderr
        assert "reload failed, the old configuration stays" in done.stderr
        assert "x: unknown key" in command("status", *address).stdout


def test_commands_without_a_weir_to_speak_to(tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % nobody.getsockname()[1]
        for name in ("status", "reload"):
            done = command(name, "--admin", address)
            assert done.returncode == 1 and done.stdout == ""
            assert done.stderr == f"weir: no weir answers at {address}: Connection refused\n"
    done = command("status", "--admin", f"unix:{tmp_path}/none")
    assert done.returncode == 1 and "No such file or directory" in done.stderr
    done = command("status", "--admin", "unix:")
    assert done.returncode == 1 and done.stderr == (
        "weir: unix:: the path of a unix socket begins with /\n")
    done = command("status", "--admin", "nonsense")
    assert done.returncode == 1 and "a port is missing" in done.stderr
    with Origin(echo) as origin:  # somebody else's server
        done = command("status", "--admin", origin.address)
        assert done.returncode == 1 and "is not that of a weir" in done.stderr


def hold(conn):
    while conn.read_request():
        conn.origin.requests.append(1)
        conn.origin.release.wait(10)
        conn.answer(b"late")


def test_a_daemon_that_drains_reloads_nothing():
    with Origin(hold) as origin:
        origin.release = threading.Event()
        with proxy(origin) as weir, weir.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            weir.wait_metric("requests_in_flight", 1)
            weir.signal(signal.SIGTERM)
            weir.wait_line("drain:")
            status, text = weir.admin("/reload", "POST")
            assert status == 409 and json.loads(text)["errors"] == ["the process is ending"]
            done = command("reload", "--admin", weir.admin_address)
            assert done.returncode == 1 and "the process is ending" in done.stderr
            assert ": draining, healthy" in command("status", "--admin", weir.admin_address).stdout
            origin.release.set()
            assert client.response().status == 200
            assert weir.process.wait(10) == 0


def test_health_degrades_before_it_fails():
    with Origin(echo) as origin:
        weir = proxy(origin)
        with socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))
            weir.config["upstreams"]["app"]["servers"].append(
                {"address": "127.0.0.1:%d" % dead.getsockname()[1], "fail_timeout": "1h"})
            weir.write_config()
            with weir:
                for _ in range(4):
                    weir.get("/")
                status, text = weir.admin("/health")
                health = json.loads(text)
                assert status == 200 and health["status"] == "degraded"
                assert set(health) == {"status", "version", "uptime_s", "checks", "upstreams"}
                app = health["upstreams"]["app"]
                assert app["status"] == "degraded"
                assert [server["state"] for server in app["servers"]] == ["up", "down"]
                assert set(app["servers"][1]) == {"address", "state", "reason", "last_check",
                                                  "latency_ms"}
                assert weir.admin("/health/ready")[0] == 200


@pytest.mark.parametrize("path", ["/config", "/reload"])
def test_pages_answer_head(path):
    with responding() as weir:
        answer = raw_admin(weir, "HEAD", path)
        assert answer.status == 200 and answer.body == b"" and int(answer.get("content-length")) > 2
        assert answer.get("cache-control") == "no-store"

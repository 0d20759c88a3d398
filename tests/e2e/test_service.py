"""What the system sees of a daemon: the service manager, user, pid file and restarts."""
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from support.load import Load
from support.raw import RawClient
from support.weir import Weir, binary

RESPOND = [{"hosts": ["*"], "routes": [{"path": "/", "respond": {"status": 200, "body": "own"}}]}]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(10)

    def hear(self):
        return self.sock.recv(4096).decode()


def test_the_service_manager_is_told(monkeypatch, tmp_path):
    manager = Manager(str(tmp_path))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    with Weir(sites=RESPOND) as weir:
        assert manager.hear() == "READY=1"
        weir.reload()
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", manager.hear())
        assert manager.hear() == "READY=1"
        weir.write_config("nonsense")
        weir.reload(expect="failed")
        assert manager.hear().startswith("RELOADING=1") and manager.hear() == "READY=1"
        weir.signal(signal.SIGTERM)
        assert manager.hear() == "STOPPING=1"
        assert weir.process.wait(10) == 0


def test_the_watchdog_hears_of_live_workers(monkeypatch, tmp_path):
    manager = Manager(str(tmp_path))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with Weir(sites=RESPOND, workers=2):
        heard = [manager.hear() for _ in range(4)]
        assert heard[0] == "READY=1" and set(heard[1:]) == {"WATCHDOG=1"}


def test_the_watchdog_hears_of_a_load_before_and_after_it(monkeypatch, tmp_path):
    manager = Manager(str(tmp_path))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "1200000000")  # by the clock alone once in ten minutes
    with Weir(sites=RESPOND) as weir:
        assert [manager.hear() for _ in range(2)] == ["READY=1", "WATCHDOG=1"]
        assert weir.get().status == 200  # its worker has answered the last question
        weir.reload()
        assert manager.hear().startswith("RELOADING=1")
        assert manager.hear() == "WATCHDOG=1"
        heard = manager.hear()
        while heard == "WATCHDOG=1":
            heard = manager.hear()
        assert heard == "READY=1"


def test_readiness_fails_before_anything_else(tmp_path):
    pid_file = str(tmp_path / "weir.pid")
    weir = Weir(sites=RESPOND, shutdown={"delay": "700ms", "grace": "5s"}, pid_file=pid_file)
    with weir:
        with open(pid_file, encoding="utf-8") as file:
            assert int(file.read()) == weir.process.pid
        assert weir.admin("/health/ready")[0] == 200
        started = time.monotonic()
        weir.signal(signal.SIGTERM)
        weir.wait_line("shutdown: not ready")
        assert weir.admin("/health/ready")[0] == 503
        assert weir.get().status == 200  # served as before
        weir.wait_line("drain:")
        assert time.monotonic() - started >= 0.7
        assert weir.process.wait(10) == 0
        assert not os.path.exists(pid_file)


def test_a_second_daemon_on_the_same_address_is_refused():
    with Weir(sites=RESPOND) as weir:
        second = Weir(sites=RESPOND, listener={"address": "%s:%d" % weir.address})
        done = subprocess.run([binary(), "run", "-c", second.path], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 1 and "Address already in use" in done.stderr


def test_a_held_pid_file_is_left_alone(tmp_path):
    pid_file = str(tmp_path / "weir.pid")
    with Weir(sites=RESPOND, pid_file=pid_file) as weir:
        second = Weir(sites=RESPOND, pid_file=pid_file)
        done = subprocess.run([binary(), "run", "-c", second.path], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 1 and "a process that lives holds it" in done.stderr
        with open(pid_file, encoding="utf-8") as file:
            assert int(file.read()) == weir.process.pid


def free_low_port():
    for port in range(600, 1024):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no low port is free")


@AS_ROOT
def test_another_user_binds_low_ports_at_a_reload():
    nobody = pwd.getpwnam("nobody")
    weir = Weir(sites=RESPOND, workers=2, user="nobody")
    os.chmod(weir.dir, 0o755)
    weir.config["log"]["access"]["path"] = "stderr"
    unix_path = os.path.join(weir.dir, "web.sock")
    weir.config["listeners"]["unix"] = {"address": f"unix:{unix_path}"}
    weir.write_config()
    os.chmod(weir.path, 0o644)
    with weir:
        with open(f"/proc/{weir.process.pid}/status", encoding="utf-8") as file:
            status = file.read()
        assert re.search(r"Uid:\t" + r"\t".join([str(nobody.pw_uid)] * 4), status)
        assert re.search(r"CapEff:\t0*400\n", status)  # CAP_NET_BIND_SERVICE alone
        assert os.stat(unix_path).st_uid == nobody.pw_uid
        port = free_low_port()
        weir.config["listeners"]["low"] = {"address": f"127.0.0.1:{port}"}
        weir.write_config()
        weir.reload()
        with RawClient(("127.0.0.1", port)) as client:
            assert client.request().body == b"own"
        os.chmod(weir.path, 0o600)
        checked = subprocess.run([binary(), "check", "-c", weir.path], capture_output=True,
                                 text=True, timeout=20, check=False)
        assert checked.returncode == 0
        assert (f"as user nobody: {weir.path}: cannot be read: Permission denied; "
                "a reload would fail") in checked.stderr
        weir.reload(expect="failed")
        assert weir.get().status == 200


@AS_ROOT
def test_another_user_listens_anew_on_a_port_that_root_has_bound():
    weir = Weir(sites=RESPOND, workers=2, user="nobody")
    os.chmod(weir.dir, 0o755)
    weir.config["log"]["access"]["path"] = "stderr"
    weir.write_config()
    os.chmod(weir.path, 0o644)
    with weir:
        weir.config["listeners"]["http"]["address"] = "0.0.0.0:%d" % weir.address[1]
        weir.write_config()
        weir.reload()
        with RawClient(("127.0.0.2", weir.address[1])) as client:
            assert client.request().body == b"own"


def test_an_unknown_user_is_an_error():
    weir = Weir(sites=RESPOND, user="no-such-user-here")
    done = subprocess.run([binary(), "check", "-c", weir.path], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 1
    assert 'user: there is no user "no-such-user-here" on this system' in done.stderr


LAUNCHER = """
import os, sys
fd = int(sys.argv[1])
os.dup2(fd, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(sys.argv[2], [sys.argv[2], "run", "-c", sys.argv[3]])
"""


def launch(sock, config):
    """As systemd starts a service whose socket it holds."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(sock.fileno()), binary(), config],
        pass_fds=[sock.fileno()], stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "ready: " in line:
            break
    assert lines and "ready: " in lines[-1], lines
    process.reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    process.reader.start()
    process.lines = lines
    return process


def test_a_restart_on_an_inherited_socket_refuses_nobody():
    with socket.socket() as sock, tempfile.TemporaryDirectory() as folder:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1024)
        address = sock.getsockname()
        weir = Weir(sites=RESPOND, workers=2)
        weir.config["listeners"] = {"web": {"address": "127.0.0.1:1"}}  # the name decides
        weir.config["log"]["access"]["path"] = os.path.join(folder, "access.log")
        weir.write_config()

        def ask():
            with RawClient(address) as client:
                return client.request(headers=[("Connection", "close")])

        process = launch(sock, weir.path)
        assert any("inherited" in line for line in process.lines)
        try:
            with Load(lambda: ask) as load:
                for _ in range(3):
                    time.sleep(0.3)
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(20) == 0
                    process = launch(sock, weir.path)
                time.sleep(0.3)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert not load.failures and len(load.done) > 50

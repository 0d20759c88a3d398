"""The real daemon under test, on ports of its own, with its logs and its end looked at."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from support.raw import RawClient
from support.waiting import pause

START_S = 20
STOP_S = 20
FATAL = re.compile(r"Sanitizer|invariant broken|runtime error:", re.IGNORECASE)


def binary():
    path = os.environ.get("WEIR_BIN")
    assert path and os.path.exists(path), "WEIR_BIN must name the daemon to test"
    return path


class Weir:
    """`sites` and `upstreams` are Python values; JSON is YAML. Use as a context manager."""

    def __init__(self, upstreams=None, sites=None, workers=1, listener=None, expect_exit=0,
                 environment=None, **top):
        self.dir = tempfile.mkdtemp(prefix="weir-test-")
        self.log_path = os.path.join(self.dir, "access.log")
        self.expect_exit = expect_exit
        self.environment = environment or {}
        self.config = {
            "workers": workers,
            "log": {"level": "info", "format": "text",
                    "access": {"path": self.log_path, "format": "json"}},
            "admin": {"address": "127.0.0.1:0"},
            "listeners": {"http": {"address": "127.0.0.1:0", **(listener or {})}},
            "upstreams": upstreams or {},
            "sites": sites or [],
            **top,
        }
        self.path = os.path.join(self.dir, "weir.yaml")
        self.write_config()
        self.process = None

    def write_config(self, text=None):
        with open(self.path, "w") as file:
            file.write(text if text is not None else json.dumps(self.config, indent=1))

    def start(self):
        environment = {**os.environ, **self.environment}
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=1:"
                               "quarantine_size_mb=8")
        environment.setdefault("TSAN_OPTIONS", "halt_on_error=1:abort_on_error=1")
        self.process = subprocess.Popen([binary(), "run", "-c", self.path], stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, env=environment)
        self.lines = []
        self.reader = threading.Thread(target=self._read_stderr, daemon=True)
        self.reader.start()
        self.wait_line(r"ready: ", START_S)
        self.ports = {}
        for line in list(self.lines):
            found = re.search(r"listener (\S+): listening on (\S+)", line)
            if found:
                self.ports[found[1]] = found[2]
            found = re.search(r"admin: listening on (\S+)", line)
            if found:
                self.admin_address = found[1]
        host, _, port = self.ports["http"].rpartition(":")
        self.address = (host.strip("[]"), int(port)) if host != "unix" else None
        return self

    def _read_stderr(self):
        for line in self.process.stderr:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def wait_line(self, pattern, seconds=10, since=0):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines[since:]:
                if re.search(pattern, line):
                    return line
            if self.process.poll() is not None:
                self.reader.join(2)
                if any(re.search(pattern, line) for line in self.lines[since:]):
                    continue
                break
            time.sleep(0.01)
        raise AssertionError(f"no line {pattern!r} in:\n" + "\n".join(self.lines))

    def client(self, **options):
        return RawClient(self.address, **options)

    def get(self, target="/", **options):
        with self.client() as client:
            return client.request("GET", target, **options)

    def admin(self, path, method="GET", token=None):
        request = urllib.request.Request(f"http://{self.admin_address}{path}", method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """{"name{labels}": value}"""
        status, text = self.admin("/metrics")
        assert status == 200
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def metric(self, name, **labels):
        """The sum of the series of that name that have these labels."""
        total = 0.0
        for series, value in self.metrics().items():
            if series.partition("{")[0] == name and all(
                    f'{key}="{wanted}"' in series for key, wanted in labels.items()):
                total += value
        return total

    def access_log(self, lines=1, seconds=5):
        """At least so many parsed lines."""
        deadline = time.monotonic() + seconds
        while True:
            text = ""
            if os.path.exists(self.log_path):
                with open(self.log_path, encoding="utf-8") as file:
                    text = file.read()
            whole = text[:text.rfind("\n") + 1]  # the last line may be under way
            found = [json.loads(line) for line in whole.splitlines()]
            if len(found) >= lines or time.monotonic() > deadline:
                assert len(found) >= lines, f"only {len(found)} of {lines} log lines"
                return found
            time.sleep(0.02)

    def log_of(self, uri, lines=1, seconds=5):
        """The parsed lines of requests for `uri`, once there are so many."""
        deadline = time.monotonic() + seconds
        while True:
            found = [line for line in self.access_log(0) if line["uri"] == uri]
            if len(found) >= lines:
                return found
            assert time.monotonic() < deadline, f"only {len(found)} log lines of {uri}"
            time.sleep(0.02)

    def wait_metric(self, name, value, seconds=5, **labels):
        deadline = time.monotonic() + seconds
        while self.metric(name, **labels) != value:
            assert time.monotonic() < deadline, (
                f"{name} is {self.metric(name, **labels)}, not {value}")
            time.sleep(0.02)

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def pause(self):
        pause(self.process)

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, expect="done"):
        since = len(self.lines)
        self.signal(signal.SIGHUP)
        self.wait_line(rf"reload: {expect}", since=since)

    def stop(self):
        """SIGTERM, and everything that has to be true at the end of a process."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("weir did not end:\n" + "\n".join(self.lines)) from None
        self.reader.join(5)
        text = "\n".join(self.lines)
        assert not FATAL.search(text), text
        assert status == self.expect_exit, f"exit status {status}:\n{text}"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
            elif self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        finally:
            if kind is not None and self.process:
                print("\n".join(self.lines[-40:]))
            shutil.rmtree(self.dir, ignore_errors=True)


def proxy(origin, upstream=None, route=None, site=None, **options):
    """A Weir with one site for every host that sends everything to `origin`."""
    servers = [{"address": origin.address}]
    routes = [{"path": "/", "upstream": "app", **(route or {})}]
    return Weir(upstreams={"app": {"servers": servers, **(upstream or {})}},
                sites=[{"hosts": ["*"], "routes": routes, **(site or {})}], **options)

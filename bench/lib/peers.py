"""The programs under measurement: how each is configured, started, watched and stopped."""

import http.client
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import host

CONF = Path(__file__).resolve().parent.parent / "conf"
# HAProxy cannot log to a file; start() sends its stdout to one.
LOG_TO_STDOUT = "log stdout format raw local0"
START_LIMIT_S = 10.0
STOP_LIMIT_S = 5.0

PROXIES = ("weir", "nginx", "haproxy")
EXTRA_PROXIES = ("haproxy-nolog", "haproxy-64k")
FLOORS = ("relay", "relay2", "responder")
KNOWN = PROXIES + EXTRA_PROXIES + FLOORS
DEFAULT = PROXIES + ("relay", "responder")


@dataclass(frozen=True)
class Setup:
    """What a scenario asks of every peer alike."""

    workers: int = 1
    keepalive: int = 64  # idle upstream connections kept
    unix_origins: bool = False
    backend: str = ""  # "h1", "h2c": h2o as the one origin, which speaks both
    tls: bool = False
    tls_sessions: bool = True  # tickets and caches; without them every handshake is a full one


@dataclass
class Rig:
    """Where things are, and on which CPUs they run; the same for a whole run."""

    folder: Path
    tools: Path  # folder of responder, relay_floor and h1_load
    weir: Path
    proxy_cpus: list
    load_cpus: list

    def tool(self, name):
        return str(self.tools / name)

    def certificate(self):
        """(certificate, key, both in one file), ECDSA P-256, made when first asked for."""
        paths = tuple(self.folder / name for name in ("tls.crt", "tls.key", "tls.pem"))
        if not paths[2].exists():
            subprocess.run([host.find_program("openssl"), "req", "-x509", "-newkey", "ec",
                            "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-out", paths[0], "-keyout", paths[1]], check=True,
                           capture_output=True)
            paths[2].write_text(paths[0].read_text() + paths[1].read_text())
        return paths


@dataclass
class Running:
    """A started program. `address` is where the load goes. End it with stop()."""

    name: str
    process: subprocess.Popen
    address: str
    folder: Path
    logs: list = field(default_factory=list)
    tls: bool = False

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def pids(self):
        return host.process_tree(self.process.pid)

    def wait_until_answering(self):
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if answers(self.address, self.tls):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not answer on {self.address}:\n{self.last_words()}")

    def last_words(self):
        texts = [path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log")]
        return "\n".join(text for text in texts if text)

    def truncate_logs(self):
        """Every log is opened for appending, so a proxy goes on at the new end."""
        for path in self.logs:
            if path.exists():
                with open(path, "r+b") as log:
                    log.truncate(0)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            for pid in reversed(self.pids()[1:]):
                subprocess.run(["kill", "-KILL", str(pid)], check=False)
            self.process.kill()
            self.process.wait()


def unverified():
    """The client's side of TLS: the certificate is our own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def answers(address, tls=False):
    client = (http.client.HTTPSConnection(address, timeout=1, context=unverified()) if tls
              else http.client.HTTPConnection(address, timeout=1))
    try:
        client.request("GET", "/1k")
        return client.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def resumes(running):
    """Whether a client that comes back is spared a full handshake: what wrk then measures."""
    context, session = unverified(), None
    where = running.address.rpartition(":")
    for last in (False, True):
        with socket.create_connection((where[0], int(where[2])), timeout=5) as plain:
            with context.wrap_socket(plain, session=session) as client:
                client.sendall(f"GET /1k HTTP/1.1\r\nHost: {running.address}\r\n"
                               "Connection: close\r\n\r\n".encode())
                while client.recv(65536):  # tickets of TLS 1.3 come with the answer
                    pass
                if last:
                    return client.session_reused
                session = client.session
    return False


def available(name, rig):
    if name == "weir":
        return rig.weir.exists()
    if name in FLOORS:
        return True
    return host.find_program(name.partition("-")[0]) is not None


def versions(names, rig):
    """One line per proxy for the head of a report."""
    asks = {"weir": [str(rig.weir), "version"], "nginx": ["nginx", "-v"],
            "haproxy": ["haproxy", "-v"]}
    lines = []
    for name in names:
        if name in asks:
            program = host.find_program(asks[name][0])
            said = subprocess.run([program, *asks[name][1:]], capture_output=True, text=True,
                                  check=False, timeout=10)
            lines.append((said.stdout + said.stderr).strip().splitlines()[0])
    return lines


def render(template, folder, values):
    text = (CONF / template).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    path = folder / template
    path.write_text(text)
    return path


def start_origins(rig):
    """Two responders on the load's CPUs, each on a TCP port and a unix socket."""
    origins = []
    try:
        for number in (1, 2):
            address = f"127.0.0.1:{host.free_port()}"
            command = [rig.tool("responder"), "--listen", address,
                       "--listen", unix_origin(rig, number)]
            process = subprocess.Popen(host.pinned(rig.load_cpus, command))
            origins.append(Running(f"origin {number}", process, address, rig.folder))
        for origin in origins:
            origin.wait_until_answering()
    except BaseException:
        for origin in origins:
            origin.stop()
        raise
    return origins


def start_backend(rig):
    """h2o as an origin on the load's CPUs: (Running, {protocol: address})."""
    folder = rig.folder / "backend"
    (folder / "www").mkdir(parents=True, exist_ok=True)
    (folder / "www/1k").write_bytes(b"x" * 1024)
    port = host.free_port()
    path = render("backend.conf", folder, {"PORT": port, "FOLDER": folder})
    address = f"127.0.0.1:{port}"
    command = [host.find_program("h2o"), "-c", str(path)]
    with open(folder / "error.log", "ab") as log:
        process = subprocess.Popen(host.pinned(rig.load_cpus, command), stdout=log, stderr=log)
    running = Running("backend", process, address, folder)
    try:
        running.wait_until_answering()
    except BaseException:
        running.stop()
        raise
    return running, {"h1": address, "h2c": address}


def unix_origin(rig, number):
    return f"unix:{rig.folder}/origin{number}.sock"


def start(name, setup, rig, origins, backend=None):
    """Starts a peer on the proxy's CPUs and waits until it answers through an origin."""
    folder = rig.folder / f"{name}-{host.free_port()}"
    folder.mkdir()
    address = f"127.0.0.1:{host.free_port()}"
    targets = ([unix_origin(rig, number + 1) for number in range(len(origins))]
               if setup.unix_origins else [origin.address for origin in origins])
    if setup.backend:
        targets = [backend[setup.backend]]
    command = COMMANDS[name](setup, rig, folder, address, targets)
    with open(folder / "stdout.log", "ab") as stdout, open(folder / "stderr.log", "ab") as stderr:
        process = subprocess.Popen(host.pinned(rig.proxy_cpus, command), stdout=stdout,
                                   stderr=stderr, stdin=subprocess.DEVNULL)
    running = Running(name, process, address, folder,
                      [folder / "access.log", folder / "stdout.log"], setup.tls)
    try:
        running.wait_until_answering()
        if setup.tls and resumes(running) != setup.tls_sessions:
            raise RuntimeError(f"{name}: handshakes are not what the scenario is about")
    except BaseException:
        running.stop()
        raise
    return running


def weir_tls(setup, rig):
    """(the listener's lines, the file's)"""
    if not setup.tls:
        return "", ""
    certificate, key, _ = rig.certificate()
    sessions = ("session_tickets: {enabled: true}" if setup.tls_sessions else
                "session_tickets: {enabled: false}, session_cache: {size: 0B}")
    return (f"    protocols: [h2, http/1.1]\n    tls: {{curves: [X25519, P-256], {sessions}}}",
            f'certificates: [{{cert: "{certificate}", key: "{key}"}}]')


def weir_command(setup, rig, folder, address, targets):
    tls, certificates = weir_tls(setup, rig)
    servers = "\n".join(f'      - {{address: "{target}"}}' for target in targets)
    path = render("weir.yaml", folder, {
        "WORKERS": setup.workers, "FOLDER": folder, "ADDRESS": address, "SERVERS": servers,
        "KEEPALIVE": setup.keepalive, "ADMIN": f"127.0.0.1:{host.free_port()}",
        "TLS": tls, "CERTIFICATES": certificates,
        "PROTOCOL": "h2c" if setup.backend == "h2c" else "http/1.1"})
    return [str(rig.weir), "run", "-c", str(path)]


def nginx_tls(setup, rig):
    if not setup.tls:
        return "", ""
    certificate, key, _ = rig.certificate()
    sessions = ("ssl_session_cache shared:tls:50m; ssl_session_tickets on;" if setup.tls_sessions
                else "ssl_session_cache off; ssl_session_tickets off;")
    return "ssl http2", (f"ssl_certificate {certificate}; ssl_certificate_key {key};\n"
                         "        ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:P-256;\n"
                         f"        ssl_session_timeout 1d; {sessions}")


def nginx_command(setup, rig, folder, address, targets):
    listen, tls = nginx_tls(setup, rig)
    servers = "\n".join(f"        server {target};" for target in targets)
    path = render("nginx.conf", folder, {
        "WORKERS": setup.workers, "ADDRESS": f"{address} {listen}".rstrip(), "SERVERS": servers,
        "KEEPALIVE": setup.keepalive, "TLS": tls})
    return [host.find_program("nginx"), "-p", str(folder), "-c", str(path),
            "-e", str(folder / "error.log")]


def haproxy_command(*global_lines):
    def command(setup, rig, folder, address, targets):
        named = (target.replace("unix:", "unix@") for target in targets)
        proto = " proto h2" if setup.backend == "h2c" else ""
        servers = "\n".join(f"    server o{i} {target}{proto}"
                            for i, target in enumerate(named, 1))
        bind, lines = address, list(global_lines)
        if setup.tls:
            bind += (f" ssl crt {rig.certificate()[2]} alpn h2,http/1.1 ssl-min-ver TLSv1.2 "
                     "curves X25519:P-256")
            lines.append("tune.h2.max-concurrent-streams 128")
        if setup.tls and not setup.tls_sessions:
            bind += " no-tls-tickets"
            lines.append("tune.ssl.cachesize 0")
        path = render("haproxy.cfg", folder, {
            "WORKERS": setup.workers, "ADDRESS": bind, "SERVERS": servers,
            "SCHEME": "https" if setup.tls else "http",
            "GLOBAL": "\n".join(f"    {line}" for line in lines)})
        return [host.find_program("haproxy"), "-db", "-f", str(path)]

    return command


def relay_command(origin_count):
    def command(_setup, rig, _folder, address, targets):
        origins = [word for target in targets[:origin_count] for word in ("--origin", target)]
        return [rig.tool("relay_floor"), "--listen", address, *origins]

    return command


def responder_command(_setup, rig, _folder, address, _targets):
    return [rig.tool("responder"), "--listen", address]


COMMANDS = {
    "weir": weir_command,
    "nginx": nginx_command,
    "haproxy": haproxy_command(LOG_TO_STDOUT),
    "haproxy-nolog": haproxy_command(),
    "haproxy-64k": haproxy_command(LOG_TO_STDOUT, "tune.bufsize 65536"),
    "relay": relay_command(1),
    "relay2": relay_command(2),
    "responder": responder_command,
}

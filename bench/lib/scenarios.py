"""What is measured: the table of scenarios, who takes part in each, and what weir aims at."""

from dataclasses import dataclass, replace

from . import peers

CLOSED, RATE, MEMORY, SYSCALLS, SLOW = "closed", "rate", "memory", "syscalls", "slow"
H2LOAD = "h2load"  # CLOSED, with HTTP/2 from clients


@dataclass(frozen=True)
class Metric:
    """The figure that a scenario compares: less is better for all of them."""

    field: str  # of measure.Sample
    title: str
    digits: int


CPU = Metric("cpu_us", "CPU µs/req", 2)
P99 = Metric("p99_us", "p99 µs", 0)
BYTES = Metric("bytes_per_connection", "B/conn", 0)
P99_RATIO = Metric("p99_ratio", "p99 / p99 elsewhere", 2)
CALLS = Metric("calls_per_request", "syscalls/req", 2)


@dataclass(frozen=True)
class Target:
    """`limit` on weir's ratio to `versus`: a label, BEST, BASE (of a scenario with variants: the
    first of them) or OWN (the figure itself)."""

    versus: str
    limit: float


BEST = "the better of nginx and haproxy"
BASE = "base"
OWN = "itself"


@dataclass(frozen=True)
class Contestant:
    """A peer as one row: the same program may stand in several, with other setups."""

    label: str
    peer: str
    setup: peers.Setup


@dataclass(frozen=True)
class Variants:
    """The same peers with several setups side by side; the first is what the others are put to."""

    title: str  # of the column with the ratios
    setups: tuple  # (suffix of the label, changes to the scenario's setup)

    def base_of(self, label):
        return f"{label.split()[0]} {self.setups[0][0]}"


WORKERS = Variants("one worker", tuple((f"×{count}", {"workers": count}) for count in (1, 2, 4)))
BACKEND = Variants("over HTTP/1.1", (("h1", {"backend": "h1"}), ("h2c", {"backend": "h2c"})))


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    kind: str = CLOSED
    path: str = "/1k"
    connections: int = 64
    per_worker: bool = False  # `connections` is what each worker has
    streams: int = 1  # H2LOAD: of one connection at once
    requests: int = 0  # SYSCALLS: how many are counted
    close: bool = False  # a connection per request
    setup: peers.Setup = peers.Setup()
    variants: Variants | None = None
    without: tuple = ()  # peers for whom it means nothing
    metric: Metric = CPU
    targets: tuple = ()

    def contestants(self, names):
        chosen = [name for name in names if name not in self.without]
        if self.variants is None:
            return [Contestant(name, name, self.setup) for name in chosen]
        return [Contestant(f"{name} {suffix}", name, replace(self.setup, **changes))
                for name in chosen for suffix, changes in self.variants.setups]


TLS = peers.Setup(tls=True)

ALL = (
    Scenario("1k", "1 KB bodies, keep-alive, 64 connections",
             targets=(Target(BEST, 0.82), Target("relay", 1.40))),
    Scenario("16k", "16 KB bodies, keep-alive, 64 connections", path="/16k",
             targets=(Target(BEST, 0.85),)),
    Scenario("1m", "1 MB bodies, keep-alive, 16 connections", path="/1m", connections=16,
             targets=(Target(BEST, 0.80),)),
    # The relay would open an origin connection per request here, which no proxy does.
    Scenario("close", "1 KB bodies, a client connection per request, 64 at a time", close=True,
             without=("relay", "relay2"), targets=(Target(BEST, 0.95),)),
    Scenario("c1000", "1 KB bodies, keep-alive, 1000 connections", connections=1000,
             setup=peers.Setup(keepalive=1024)),
    Scenario("unix", "1 KB bodies, keep-alive, 64 connections, origins on unix sockets",
             setup=peers.Setup(unix_origins=True), without=("responder",),
             targets=(Target(BEST, 0.75),)),
    Scenario("rate", "1 KB bodies, 64 connections, at half of nginx's requests/s", kind=RATE,
             without=("responder",), metric=P99, targets=(Target("nginx", 1.10),)),
    Scenario("idle", "memory of an idle connection: 4000 after one request each", kind=MEMORY,
             connections=4000, without=peers.FLOORS, metric=BYTES,
             targets=(Target(OWN, 1024),)),
    Scenario("syscalls", "syscalls per request (strace -c -f), 1 KB bodies, 64 connections",
             kind=SYSCALLS, requests=40000, without=("responder",), metric=CALLS,
             targets=(Target(OWN, 4.2),)),
    Scenario("calls", "syscalls per request as above, with 1, 2 and 4 workers", kind=SYSCALLS,
             requests=40000, variants=WORKERS, without=peers.FLOORS, metric=CALLS,
             targets=(Target(BASE, 1.05),)),
    Scenario("slow", "p99 at 2000 requests/s beside 1000 slow heads, 1000 slow readers and 1000 "
             "silent clients", kind=SLOW, without=tuple(n for n in peers.KNOWN if n != "weir"),
             metric=P99_RATIO, targets=(Target(OWN, 2.0),)),
    Scenario("workers", "1 KB bodies, keep-alive, 64 connections, with 1, 2 and 4 workers",
             variants=WORKERS, without=peers.FLOORS, targets=(Target(BASE, 1.05),)),
    # The same load on every worker: what a wakeup brings depends on it, with one as with four.
    Scenario("workers16", "1 KB bodies, keep-alive, 1, 2 and 4 workers, 16 connections for each",
             connections=16, per_worker=True, variants=WORKERS, without=peers.FLOORS,
             targets=(Target(BASE, 1.05),)),
    Scenario("tls", "TLS: 1 KB bodies, keep-alive, 64 connections", setup=TLS,
             without=peers.FLOORS, targets=(Target(BEST, 0.82),)),
    Scenario("h2", "TLS, HTTP/2: 1 KB bodies, 16 connections with 16 streams each", kind=H2LOAD,
             connections=16, streams=16, setup=peers.Setup(tls=True, keepalive=1024),
             without=peers.FLOORS,
             targets=(Target(BEST, 0.62),)),
    Scenario("h2x64", "TLS, HTTP/2: 1 KB bodies, 64 connections with one stream each", kind=H2LOAD,
             setup=TLS, without=peers.FLOORS, targets=(Target(BEST, 0.92),)),
    Scenario("full", "TLS: a full handshake (ECDSA P-256) and one request per connection, 64 at a "
             "time", close=True, setup=peers.Setup(tls=True, tls_sessions=False),
             without=peers.FLOORS, targets=(Target(BEST, 1.00),)),
    Scenario("resumed", "TLS: a resumed handshake and one request per connection, 64 at a time",
             close=True, setup=TLS, without=peers.FLOORS, targets=(Target(BEST, 0.95),)),
    Scenario("idletls", "memory of an idle TLS connection: 4000 after one request each",
             kind=MEMORY, connections=4000, setup=TLS, without=peers.FLOORS, metric=BYTES,
             targets=(Target(OWN, 15.5 * 1024), Target(BEST, 1.05))),
    Scenario("backend", "1 KB bodies, keep-alive, 64 HTTP/1.1 clients, one backend over HTTP/1.1 "
             "and over HTTP/2 in the clear", variants=BACKEND,
             without=("nginx", *peers.FLOORS), targets=(Target(BASE, 0.70),)),
)

BY_NAME = {scenario.name: scenario for scenario in ALL}

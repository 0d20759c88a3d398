"""One measured window around one peer, and the rounds that make a scenario."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from . import host, peers, scenarios

WARM_UP_S = 1
SETTLE_S = 1.0  # for buffers and logs before memory is read
# With more than this share of the proxy's CPUs idle a closed loop was limited by the load
# generator, and the proxy's batching and wakeups are no longer those of a busy one.
STARVED_IDLE = 0.50
# With more than this share of the proxy's CPUs in other hands a sample is noisy.
NOISY_FOREIGN = 0.05
# A rate that was not reached is another scenario than the one that was asked for.
RATE_REACHED = 0.98
MEMORY_ROUNDS = 3
SYSCALL_ROUNDS = 1  # a count, not a time
SLOW_ROUNDS = 3
SLOW_RATE = 2000
SLOW_WINDOWS = 3  # of either kind, in turn, beside one crowd
CROWD_COUNT = 1000
CROWD = Path(__file__).resolve().parent / "crowd.py"
TLS_HOLD = Path(__file__).resolve().parent / "tls_hold.py"


@dataclass
class Sample:
    """What one window showed. Fields that a kind of scenario does not take stay None."""

    void: str = ""  # why this sample counts for nothing
    requests_per_s: float | None = None
    cpu_us: float | None = None
    user_us: float | None = None
    system_us: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    busy: float | None = None  # share of the proxy's CPUs that the proxy itself used
    foreign: float | None = None  # share that somebody else used
    repeats: int = 0  # noisy samples of this round that were thrown away
    bytes_per_connection: float | None = None
    calls_per_request: float | None = None
    quiet_p99_us: float | None = None
    elsewhere_p99_us: float | None = None  # at the same time, at one that nobody crowds
    p99_ratio: float | None = None  # to that elsewhere
    detail: str = ""


class Bench:
    """Runs scenarios on a rig. Owns nothing that outlives a call but the origins it was given."""

    def __init__(self, rig, origins, rounds, seconds, patience, say):
        self.rig = rig
        self.origins = origins
        self.rounds = rounds
        self.seconds = seconds
        self.patience = patience
        self.say = say
        self.backend = None  # of the present scenario

    def run(self, scenario, names):
        """{label: [Sample per round]}; every round visits every contestant, in turning order."""
        contestants = scenario.contestants(names)
        rounds = min(self.rounds, {scenarios.MEMORY: MEMORY_ROUNDS,
                                   scenarios.SYSCALLS: SYSCALL_ROUNDS,
                                   scenarios.SLOW: SLOW_ROUNDS}.get(scenario.kind, self.rounds))
        samples = {contestant.label: [] for contestant in contestants}
        with ExitStack() as stack:
            running = {}
            self.backend = None
            if any(contestant.setup.backend for contestant in contestants):
                backend, self.backend = peers.start_backend(self.rig)
                stack.callback(backend.stop)
            if scenario.kind != scenarios.MEMORY:
                for contestant in contestants:
                    running[contestant.label] = self.start(contestant, stack)
            rate = self.half_of_nginx(running) if scenario.kind == scenarios.RATE else 0
            for number in range(rounds):
                turn = number % len(contestants)
                for contestant in contestants[turn:] + contestants[:turn]:
                    sample = self.quietest(scenario, contestant, running, rate)
                    samples[contestant.label].append(sample)
                    self.say(scenario, number, contestant.label, sample)
        return samples

    def start(self, contestant, stack):
        running = peers.start(contestant.peer, contestant.setup, self.rig, self.origins,
                              self.backend)
        stack.callback(running.stop)
        return running

    def quietest(self, scenario, contestant, running, rate):
        """Repeats a noisy sample; what it measured has no say in that, only who held the CPU."""
        best = self.sample(scenario, contestant, running, rate)
        repeats = 0
        while (best.foreign or 0) > NOISY_FOREIGN and repeats < self.patience:
            repeats += 1
            again = self.sample(scenario, contestant, running, rate)
            best = min(best, again, key=lambda sample: sample.foreign)
        best.repeats = repeats
        return best

    def sample(self, scenario, contestant, running, rate):
        if scenario.kind == scenarios.MEMORY:
            with ExitStack() as stack:  # a fresh process: freed memory must not hide new
                return self.memory(scenario, self.start(contestant, stack))
        peer = running[contestant.label]
        if scenario.kind == scenarios.SYSCALLS:
            return self.syscalls(scenario, peer)
        if scenario.kind == scenarios.RATE:
            return self.at_rate(scenario, peer, rate)
        if scenario.kind == scenarios.SLOW:
            with ExitStack() as stack:
                elsewhere = self.start(contestant, stack)
                return self.beside_a_crowd(scenario, peer, elsewhere)
        if scenario.per_worker:
            all_of_them = scenario.connections * contestant.setup.workers
            scenario = replace(scenario, connections=all_of_them)
        return self.closed_loop(scenario, peer)

    # ---- load ----

    def wrk(self, peer, path, connections, close, seconds):
        environment = dict(os.environ, WEIR_BENCH_CLOSE="1" if close else "0",
                           WEIR_BENCH_HEADERS=str(peers.CONF / "browser_headers.txt"))
        threads = min(len(self.rig.load_cpus), connections)
        command = [host.find_program("wrk"), "-t", str(threads), "-c", str(connections),
                   "-d", f"{seconds}s", "--timeout", "5s", "-s", str(peers.CONF / "browser.lua"),
                   f"{peer.url}{path}"]
        said = subprocess.run(host.pinned(self.rig.load_cpus, command), env=environment,
                              capture_output=True, text=True, timeout=seconds + 30, check=False)
        for line in said.stdout.splitlines():
            if line.startswith("RESULT "):
                return json.loads(line.removeprefix("RESULT "))
        raise RuntimeError(f"wrk against {peer.name}: {said.stdout}{said.stderr}")

    def h2load(self, peer, scenario, seconds):
        headers = (peers.CONF / "browser_headers.txt").read_text().splitlines()
        command = [host.find_program("h2load"), "-t", str(len(self.rig.load_cpus)),
                   "-c", str(scenario.connections), "-m", str(scenario.streams),
                   "-D", str(seconds), *(word for line in headers for word in ("-H", line)),
                   f"{peer.url}{scenario.path}"]
        said = subprocess.run(host.pinned(self.rig.load_cpus, command), capture_output=True,
                              text=True, timeout=seconds + 30, check=False).stdout
        counts = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, "
                           r"(\d+) timeout$", said, re.MULTILINE)
        statuses = re.search(r"^status codes: (\d+) 2xx", said, re.MULTILINE)
        if not counts or "Application protocol: h2\n" not in said:
            raise RuntimeError(f"h2load against {peer.name}: {said}")
        succeeded, failed, errored, late = map(int, counts.groups())
        return {"requests": succeeded, "seconds": seconds, "p50_us": None, "p99_us": None,
                "errors": {"failed": failed, "errored": errored, "timeout": late,
                           "status": succeeded - int(statuses[1])}}

    def load_command(self, peer, path, connections, **options):
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return host.pinned(self.rig.load_cpus, [
            self.rig.tool("h1_load"), "--target", peer.address, "--path", path,
            "--headers", str(peers.CONF / "browser_headers.txt"),
            "--connections", str(connections), *words])

    def h1_load(self, peer, path, connections, **options):
        said = subprocess.run(self.load_command(peer, path, connections, **options),
                              capture_output=True, text=True, timeout=180, check=False)
        if said.returncode != 0:
            raise RuntimeError(f"h1_load against {peer.name}: {said.stderr}")
        return json.loads(said.stdout)

    def window(self, peer, load):
        """Runs `load` and reads the CPU around it: (result, Sample with the CPU filled in)."""
        pids = peer.pids()
        cpus = self.rig.proxy_cpus
        began, spent = time.monotonic(), host.cpu_of_processes(pids)
        busy = host.busy_seconds_of_cpus(cpus)
        result = load()
        spent = host.cpu_of_processes(pids) - spent
        busy = host.busy_seconds_of_cpus(cpus) - busy
        room = (time.monotonic() - began) * len(cpus)
        peer.truncate_logs()
        requests = max(result["requests"], 1)
        sample = Sample(
            requests_per_s=result["requests"] / result["seconds"],
            cpu_us=spent.total * 1e6 / requests,
            user_us=spent.user * 1e6 / requests,
            system_us=spent.system * 1e6 / requests,
            p50_us=result["p50_us"], p99_us=result["p99_us"],
            busy=spent.total / room, foreign=max(0.0, (busy - spent.total) / room))
        return result, sample

    # ---- kinds ----

    def closed_loop(self, scenario, peer):
        def load(seconds):
            if scenario.kind == scenarios.H2LOAD:
                return self.h2load(peer, scenario, seconds)
            return self.wrk(peer, scenario.path, scenario.connections, scenario.close, seconds)

        load(WARM_UP_S)
        result, sample = self.window(peer, lambda: load(self.seconds))
        errors = {name: count for name, count in result["errors"].items() if count}
        if errors:
            sample.void = "client errors: " + ", ".join(f"{n} {c}" for n, c in errors.items())
        elif result["requests"] == 0:
            sample.void = "no request was answered"
        elif 1 - sample.busy - sample.foreign > STARVED_IDLE:
            sample.void = f"starved: the proxy used {sample.busy:.0%} of its CPU"
        return sample

    def half_of_nginx(self, running):
        if "nginx" not in running:
            raise RuntimeError("the rate scenario needs nginx among the peers")
        scenario = scenarios.BY_NAME["1k"]
        full = self.closed_loop(scenario, running["nginx"])
        if full.void:
            raise RuntimeError(f"no capacity to halve: {full.void}")
        return int(full.requests_per_s / 2)

    def at_rate(self, scenario, peer, rate):
        def load(seconds):
            return self.h1_load(peer, scenario.path, scenario.connections, rate=rate,
                                seconds=seconds)

        load(WARM_UP_S)
        result, sample = self.window(peer, lambda: load(self.seconds))
        sample.detail = f"rate {rate}/s"
        if result["errors"] or result["missed"]:
            sample.void = f"client errors: {result['errors']}, unanswered: {result['missed']}"
        elif sample.requests_per_s < RATE_REACHED * rate:
            sample.void = f"{sample.requests_per_s:.0f}/s of {rate}/s reached"
        return sample

    def beside_a_crowd(self, scenario, peer, elsewhere):
        """The crowd takes CPU time of the load generator and the origins: what it costs the clients
        of a proxy is seen beside a proxy that it leaves alone."""
        def load(to, seconds):
            return self.h1_load(to, scenario.path, scenario.connections, rate=SLOW_RATE,
                                seconds=seconds)

        load(elsewhere, WARM_UP_S)
        load(peer, WARM_UP_S)
        quiet = load(peer, self.seconds)
        command = host.pinned(self.rig.load_cpus, [sys.executable, str(CROWD), peer.address,
                                                   str(CROWD_COUNT), "/1m"])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as crowd:
            if crowd.stdout.readline() != "ready\n":
                raise RuntimeError(f"no crowd around {peer.name}")
            uncrowded, crowded = [], []
            for turn in range(SLOW_WINDOWS):
                if turn % 2 == 0:
                    uncrowded.append(load(elsewhere, self.seconds))
                crowded.append(self.window(peer, lambda: load(peer, self.seconds)))
                if turn % 2 == 1:
                    uncrowded.append(load(elsewhere, self.seconds))
            said, _ = crowd.communicate(timeout=180)
        results = [result for result, _ in crowded]
        sample = crowded[-1][1]
        sample.quiet_p99_us = quiet["p99_us"]
        sample.p99_us = statistics.median(result["p99_us"] for result in results)
        sample.elsewhere_p99_us = statistics.median(result["p99_us"] for result in uncrowded)
        sample.p99_ratio = sample.p99_us / max(sample.elsewhere_p99_us, 1)
        kinds = json.loads(said)
        sample.detail = ", ".join(f"{name}: {seen['ended']} ended, after {seen['longest_s']} s at "
                                  f"most" for name, seen in kinds.items())
        left = sum(seen["left"] for seen in kinds.values())
        errors = sum(result["errors"] for result in results)
        missed = sum(result["missed"] for result in results)
        if errors or missed or left:
            sample.void = (f"client errors: {errors}, unanswered: {missed}, "
                           f"slow clients that were not ended: {left}")
        return sample

    def memory(self, scenario, peer):
        for _ in range(200):
            peers.answers(peer.address, peer.tls)
        time.sleep(SETTLE_S)
        before = host.pss_bytes(peer.pids())
        if peer.tls:
            command = host.pinned(self.rig.load_cpus, [sys.executable, str(TLS_HOLD), peer.address,
                                                       scenario.path, str(scenario.connections)])
        else:
            command = self.load_command(peer, scenario.path, scenario.connections, hold=1)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as holder:
            ready = holder.stdout.readline()
            if not ready:
                raise RuntimeError(f"idle connections to {peer.name} could not be made")
            time.sleep(SETTLE_S)
            after = host.pss_bytes(peer.pids())
            said, _ = holder.communicate(timeout=30)
        closed = json.loads(said)["closed"]
        return Sample(void=f"{closed} connections were closed by the peer" if closed else "",
                      bytes_per_connection=(after - before) / scenario.connections,
                      detail=f"PSS {before / 1024:.0f} → {after / 1024:.0f} KiB")

    def syscalls(self, scenario, peer):
        self.h1_load(peer, scenario.path, scenario.connections, requests=5000)
        with traced(peer, self.rig) as trace:
            result = self.h1_load(peer, scenario.path, scenario.connections,
                                  requests=scenario.requests)
            calls = trace.finish()
        peer.truncate_logs()
        total = sum(calls.values()) / scenario.requests
        often = sorted(calls.items(), key=lambda item: -item[1])
        detail = ", ".join(f"{name} {count / scenario.requests:.2f}" for name, count in often
                           if count >= 0.005 * scenario.requests)
        failed = result["errors"] + result["missed"]
        return Sample(void=f"client errors: {failed}" if failed else "",
                      calls_per_request=total, detail=detail)


class traced:
    """`strace -c -f` on a peer, attached on entry; finish() detaches and returns {call: count}."""

    def __init__(self, peer, rig):
        self.peer = peer
        self.rig = rig
        self.table = peer.folder / "strace.txt"

    def __enter__(self):
        pids = self.peer.pids()
        which = [word for pid in pids for word in ("-p", str(pid))]
        self.process = subprocess.Popen(
            host.pinned(self.rig.load_cpus,
                        [host.find_program("strace"), "-c", "-f", "-o", str(self.table), *which]),
            stderr=subprocess.PIPE, text=True)
        for _ in pids:  # one line "Process N attached" each
            line = self.process.stderr.readline()
            if "attached" not in line:
                self.stop()
                raise RuntimeError(f"strace cannot attach: {line.strip()}")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.communicate(timeout=10)

    def finish(self):
        self.stop()
        calls = {}
        for line in self.table.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
        return calls


def say_progress(scenario, number, label, sample):
    value = getattr(sample, scenario.metric.field)
    shown = "-" if value is None else f"{value:.{scenario.metric.digits}f}"
    noise = f", others {sample.foreign:.0%}" if (sample.foreign or 0) > NOISY_FOREIGN else ""
    void = f"  VOID: {sample.void}" if sample.void else ""
    print(f"  {scenario.name} round {number + 1}: {label:<16} {shown} {scenario.metric.title}"
          f"{noise}{void}", file=sys.stderr, flush=True)

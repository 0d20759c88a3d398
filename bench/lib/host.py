"""What the machine offers and what the proxies cost: pins, CPU time, memory, packages."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SYSTEM_FOLDERS = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin"])

# The Debian package that brings each program.
PACKAGES = {
    "c++": "g++",
    "cmake": "cmake",
    "h2load": "nghttp2-client",
    "h2o": "h2o",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "ninja": "ninja-build",
    "openssl": "openssl",
    "strace": "strace",
    "taskset": "util-linux",
    "wrk": "wrk",
}


def find_program(name):
    """The program's path or None; /usr/sbin counts even where PATH leaves it out."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_FOLDERS)


def lacking_packages(programs):
    return sorted({PACKAGES[name] for name in programs if find_program(name) is None})


def parse_cpus(text):
    """'0' or '0-3' or '0,2' as a sorted list."""
    cpus = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return sorted(cpus)


def pinned(cpus, command):
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_tree(pid):
    """The process and all its descendants (nginx's master and workers)."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
            children.setdefault(parent, []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, []))
    return tree


@dataclass(frozen=True)
class CpuTime:
    """Seconds since boot or start; subtract two of them for a window."""

    user: float = 0.0
    system: float = 0.0

    @property
    def total(self):
        return self.user + self.system

    def __add__(self, other):
        return CpuTime(self.user + other.user, self.system + other.system)

    def __sub__(self, other):
        return CpuTime(self.user - other.user, self.system - other.system)


def cpu_of_processes(pids):
    """utime + stime of all threads of the processes, those that ended included. A process that is
    gone counts nothing: nginx's cache loader ends when it has looked."""
    spent = CpuTime()
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks_user, ticks_system = int(fields[11]), int(fields[12])
        spent += CpuTime(ticks_user / TICKS_PER_SECOND, ticks_system / TICKS_PER_SECOND)
    return spent


def busy_seconds_of_cpus(cpus):
    """Time the CPUs were not idle, stolen time included: it is not the proxy's either."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / TICKS_PER_SECOND


def pss_bytes(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def describe():
    """One line for the head of a report."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return (f"{model}, {os.cpu_count()} CPUs, kernel {os.uname().release}, "
            f"TCP {congestion}, loopback")

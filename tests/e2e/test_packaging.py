"""What is in packaging/: the shipped configurations serve, units and image are well-formed."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from support.weir import Weir, binary

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PACKAGING = os.path.join(ROOT, "packaging")
GRACE_S = 30  # the default of shutdown.grace, which the shipped configurations have
RUN_LIMIT_S = 60


def read(*names):
    with open(os.path.join(PACKAGING, *names), encoding="utf-8") as file:
        return file.read()


def listeners_of(config):
    """{name: address}"""
    section = re.search(r"^listeners:\n((?:  .*\n)+)", config, re.MULTILINE)[1]
    return dict(re.findall(r'^  (\w+): \{address: "([^"]+)"', section, re.MULTILINE))


# ---- configurations ----

@pytest.mark.parametrize("name", ["debian/weir.yaml", "docker.yaml"])
def test_shipped_configuration_serves_without_servers(name, tmp_path):
    config = read(name)
    path = tmp_path / "weir.yaml"
    path.write_text(config)
    done = subprocess.run([binary(), "check", "-c", str(path)], capture_output=True, text=True,
                          check=False, timeout=RUN_LIMIT_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: ok\n", "")

    here = re.sub(r'(address: )"[\d.]+:\d+"', r'\1"127.0.0.1:0"', config)
    here = re.sub(r"^  format: json ", "  format: text ", here, flags=re.MULTILINE)
    here = here.replace("/var/log/weir/access.log", str(tmp_path / "access.log"))
    weir = Weir()
    weir.write_config(here)
    with weir:
        answer = weir.get("/", host="anything.example")
        assert (answer.status, answer.body[:11]) == (200, b"weir works.")
        assert weir.admin("/health/ready")[0] == 200


# ---- systemd ----

def unit(name):
    """{section: {key: [value, ...]}}"""
    sections = {}
    for line in read("systemd", name).splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return sections


def test_unit_agrees_with_what_is_installed():
    service = unit("weir.service")["Service"]
    assert service["Type"] == ["notify"]
    assert service["ExecStart"] == ["/usr/bin/weir run -c /etc/weir/weir.yaml"]
    assert service["ExecReload"][-1] == "/bin/sh -c 'kill -HUP ${MAINPID}'"
    assert int(service["TimeoutStopSec"][0]) >= GRACE_S + 10
    assert service["User"] == ["weir"]
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert service[key] == ["CAP_NET_BIND_SERVICE"]


def test_socket_is_that_of_the_listener():
    socket = unit("weir.socket")["Socket"]
    address = listeners_of(read("debian", "weir.yaml"))[socket["FileDescriptorName"][0]]
    assert socket["ListenStream"] == [address]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_units_are_sound_and_tight(tmp_path):
    for name in ("weir.service", "weir.socket"):
        (tmp_path / name).write_text(read("systemd", name).replace(
            "/usr/bin/weir", os.path.abspath(binary())))
    paths = [str(tmp_path / name) for name in ("weir.service", "weir.socket")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True,
                          text=True, check=False, timeout=RUN_LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    # 0 (nothing allowed) to 10; what a network daemon has to keep makes about 1.7.
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", paths[0]],
        capture_output=True, text=True, check=False, timeout=RUN_LIMIT_S)
    assert done.returncode == 0, done.stdout[-500:]


# ---- the image ----

INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
                "ENTRYPOINT", "CMD"}


def stages():
    """[[(instruction, arguments), ...], ...] of packaging/Dockerfile."""
    lines = [line for line in read("Dockerfile").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = []
    for line in filter(None, text.splitlines()):
        instruction, _, arguments = line.partition(" ")
        assert instruction in INSTRUCTIONS, line
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, arguments))
    return found


def last(stage, instruction):
    return [arguments for name, arguments in stage if name == instruction][-1]


def test_image_is_built_apart_from_what_runs():
    build, final = stages()
    assert last(build, "FROM") == "debian:bookworm AS build"
    assert last(final, "FROM") == "debian:bookworm-slim"
    for instruction, arguments in build + final:
        if instruction == "RUN":  # and the shell can read it
            done = subprocess.run(["sh", "-n", "-c", arguments], check=False, timeout=RUN_LIMIT_S)
            assert done.returncode == 0, arguments
        if instruction == "COPY" and "--from=" not in arguments:
            *sources, _ = [word for word in arguments.split() if not word.startswith("--")]
            for source in sources:
                assert os.path.exists(os.path.join(ROOT, source)), source
    assert [arguments for name, arguments in final if "--from=build" in arguments]
    assert "g++" not in str(final)


def test_image_runs_as_nobody_special_and_is_asked_how_it_is():
    final = stages()[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last(final, "USER"))
    port = listeners_of(read("docker.yaml"))["http"].rpartition(":")[2]
    assert last(final, "EXPOSE") == port and int(port) >= 1024
    assert last(final, "STOPSIGNAL") == "SIGTERM"
    # The forms without a shell: weir is the process that gets the signals.
    entry, command = json.loads(last(final, "ENTRYPOINT")), json.loads(last(final, "CMD"))
    assert (entry, command[0]) == (["/usr/bin/weir"], "run")
    check = json.loads(last(final, "HEALTHCHECK").partition(" CMD ")[2])
    assert check == ["/usr/bin/weir", "status", "--live", *command[1:]]


# ---- the package's scripts ----

STUB = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $1" in
  "systemctl --quiet") exit "$INACTIVE" ;;
  "systemctl reload") exit "$REFUSED" ;;
  "journalctl --no-pager") echo "weir.yaml:1:1: nonsense" ;;
esac
"""


@pytest.mark.parametrize("before, inactive, refused, done", [
    ("", 0, 1, "start"), ("0.0.1", 1, 1, "restart"), ("0.0.1", 0, 0, "restart"),
    ("0.0.1", 0, 1, None)])
def test_an_upgrade_asks_the_new_program_before_it_restarts(before, inactive, refused, done,
                                                            tmp_path):
    bin_folder, calls, script = tmp_path / "bin", tmp_path / "calls", tmp_path / "postinst"
    bin_folder.mkdir()
    for name in ("deb-systemd-helper", "deb-systemd-invoke", "systemctl", "journalctl", "getent",
                 "install", "chown", "chmod"):
        (bin_folder / name).write_text(STUB)
        (bin_folder / name).chmod(0o755)
    script.write_text(read("debian", "postinst").replace("/run/systemd/system", str(tmp_path)))
    ran = subprocess.run(["/bin/sh", script, "configure", before], capture_output=True, text=True,
                         timeout=RUN_LIMIT_S, check=False,
                         env={"PATH": str(bin_folder), "CALLS": str(calls),
                              "INACTIVE": str(inactive), "REFUSED": str(refused)})
    assert ran.returncode == 0, ran.stderr
    invoked = re.findall(r"deb-systemd-invoke (\S+) weir.service", calls.read_text())
    assert invoked == ([done] if done else [])
    assert ("nonsense" in ran.stderr) == (done is None)


# ---- scripts ----

@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
def test_scripts_have_none_of_the_usual_mistakes():
    paths = [os.path.join(ROOT, ".ci", "run")]
    for path in sorted(glob.glob(os.path.join(PACKAGING, "**"), recursive=True)):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                if file.read(2) == b"#!":
                    paths.append(path)
    assert len(paths) >= 9
    done = subprocess.run(["shellcheck", "-x", *paths], capture_output=True, text=True,
                          check=False, timeout=RUN_LIMIT_S, cwd=ROOT)
    assert done.returncode == 0, done.stdout

"""What the documentation shows works: configurations load, links lead somewhere, and the manual
names what the command line has."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from support.tls import Certificate
from support.weir import binary

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PAGES = ["README.md", *sorted(glob.glob("docs/*.md", root_dir=ROOT))]
MANUAL = os.path.join(ROOT, "packaging", "weir.8")
RUN_LIMIT_S = 20


def run(*arguments):
    environment = {**os.environ, "ADMIN_TOKEN": "a-long-random-text", "JWT_SECRET": "s" * 32}
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, check=False,
                          timeout=RUN_LIMIT_S, env=environment)


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("page", PAGES)
def test_every_configuration_loads(page, tmp_path):
    """Files of other programs say so behind the fence's `yaml`."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        for name in re.findall(r"/etc/weir/([\w-]+)\.crt", block):
            Certificate(tmp_path, name)
        (tmp_path / "tickets").write_bytes(os.urandom(160))
        (tmp_path / "staff.htpasswd").write_text(f"anna:$5$saltsalt${'a' * 43}\n")
        for folder in re.findall(r"\broot: (/srv/[\w/-]+)", block):
            os.makedirs(f"{tmp_path}{folder}", exist_ok=True)
        path = tmp_path / "weir.yaml"
        path.write_text(block.replace("/etc/weir/", f"{tmp_path}/")
                        .replace("/srv/", f"{tmp_path}/srv/"))
        done = run("check", "-c", str(path))
        assert (done.returncode, done.stdout) == (0, f"{path}: ok\n"), done.stderr


def test_the_smallest_file_is_one():
    first = [re.search(r"^The smallest useful file.*?^```yaml\n(.*?)^```", read(page),
                       re.DOTALL | re.MULTILINE)[1] for page in ("README.md", "config/README.md")]
    assert first[0] == first[1]


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "config/README.md"])
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), file)) if file else page
        assert os.path.exists(os.path.join(ROOT, path)), target
        assert not anchor or anchor in anchors(path), target


def commands():
    shown = run("--help").stdout.partition("Subcommands:\n")[2]
    return set(re.findall(r"^  (\w+)", shown, re.MULTILINE))


def test_the_manual_names_every_command_and_option():
    manual = read(MANUAL)
    assert set(re.findall(r"^\.It Cm (\w+)$", manual, re.MULTILINE)) == commands()
    for command in commands():
        shown = run(command, "--help").stdout
        assert shown
        for option in re.findall(r"^  (?:-\w,)?--([\w-]+)", shown, re.MULTILINE):
            assert re.search(rf"^\.It .*Fl -{option}\b", manual, re.MULTILINE), (command, option)
        for option in re.findall(r"^  -(\w)\b", shown, re.MULTILINE):
            assert re.search(rf"^\.It .*Fl {option}\b", manual, re.MULTILINE), (command, option)


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_the_manual_renders_without_a_warning():
    done = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", MANUAL], capture_output=True,
                          check=False, timeout=RUN_LIMIT_S)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"weir.yaml" in done.stdout


def test_every_kind_of_error_is_explained():
    """The access log's `error` begins with who and what: docs/logs.md has a row for each pair."""
    kinds = set()
    for path in glob.glob("src/**/*.cc", root_dir=ROOT, recursive=True):
        kinds |= set(re.findall(r"\{Source::k(\w+), ErrorKind::k(\w+)", read(path)))
    assert len(kinds) >= 8
    page = read("docs/logs.md")
    for who, what in kinds:
        kind = re.sub(r"(?<!^)([A-Z])", r"_\1", what).lower()
        source = "" if who == "None" else who.lower()
        assert f"\n| `{source}: {kind}" in page, (who, what)


def test_every_test_of_the_caching_table_exists():
    """Of docs/rfc9111.md: "FILE: CASE; FILE: CASE" in the last column."""
    rows = [line.strip("|").split("|") for line in read("docs/rfc9111.md").splitlines()
            if re.match(r"\| \d", line)]
    named = [test.strip() for row in rows for test in row[4].split(";") if test.strip()]
    assert len(named) > 100
    for test in named:
        file, _, case = test.partition(": ")
        if file == "no test yet":
            continue
        if file.startswith("test_"):
            assert f"def test_{case}(" in read(f"tests/e2e/{file}.py"), test
            continue
        source = read(f"tests/unit/http/{file}_test.cc")
        assert f'TEST_CASE("{case}",' in source, test

"""The action `files`: what of a folder is found by clients, and what never is."""
import os
import re
import resource
import stat
import subprocess

import pytest
from support.folder import LETTERS, OLD_DATE, SECRET, ask, fill, files, put
from support.h2 import H2Client, get as h2_get
from support.weir import Weir, binary

BOTH = {"protocols": ["h2c", "http/1.1"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("files") / "static")
    os.mkdir(path)
    fill(path)
    return path


@pytest.fixture(scope="module")
def edge(root):
    routes = [
        {"path": "/static/", "files": files(root)},
        {"path": "/segment", "files": files(root)},
        {"path": "=/robots.txt", "files": files(os.path.join(root, "bare"), index=[])},
        {"path": "=/letters.txt", "files": files(root)},
        {"path_regex": "^/(sub|bare)/", "files": files(root)},
        {"path": "/links/", "files": files(root, symlinks=True)},
        {"path": "/list/", "files": files(root, listing=True)},
        {"path": "/known/", "files": files(root, hidden=False)},
        {"path": "/year/", "files": files(root), "expires": "1y",
         "headers": {"response": {"set": {"X-One": "1"}}}},
        {"path": "/cached/", "files": files(root), "cache": {}},
        {"path": "/two/", "files": files(root, index=["none.html", "page.html"])},
    ]
    with Weir(sites=[{"hosts": ["*"], "routes": routes}], listener=BOTH,
              defaults={"security_headers": "standard"}) as weir:
        yield weir


# ---- what is found ----

@pytest.mark.parametrize("target, body, kind", [
    ("/static/", b"<p>home</p>", "text/html; charset=utf-8"),
    ("/static/index.html", b"<p>home</p>", "text/html; charset=utf-8"),
    ("/static/letters.txt", LETTERS, "text/plain; charset=utf-8"),
    ("/static/./sub/../letters.txt", LETTERS, "text/plain; charset=utf-8"),
    ("/static/letters.txt?v=1", LETTERS, "text/plain; charset=utf-8"),
    ("/static/empty.txt", b"", "text/plain; charset=utf-8"),
    ("/static/sub/", b"<p>sub</p>", "text/html; charset=utf-8"),
    ("/static/sub/page%2ehtml", b"<p>page</p>", "text/html; charset=utf-8"),
    ("/static/with%20space.txt", b"space", "text/plain; charset=utf-8"),
    ("/static/%C3%BCmlaut.txt", b"umlaut", "text/plain; charset=utf-8"),
    ("/static/100%25.txt", b"percent", "text/plain; charset=utf-8"),
    ("/static/a:b/x.txt", b"colon", "text/plain; charset=utf-8"),
    ("/static/picture.svg", b"<svg/>" * 500, "image/svg+xml"),
    ("/segment/letters.txt", LETTERS, "text/plain; charset=utf-8"),
    ("/letters.txt", LETTERS, "text/plain; charset=utf-8"),
    ("/sub/page.html", b"<p>page</p>", "text/html; charset=utf-8"),
    ("/bare/one.txt", b"1", "text/plain; charset=utf-8"),
    ("/two/sub/", b"<p>page</p>", "text/html; charset=utf-8"),
])
def test_found(edge, target, body, kind):
    answer = ask(edge, target)
    assert (answer.status, answer.body) == (200, body)
    assert answer.get("Content-Type") == kind
    assert answer.get("Content-Length") == str(len(body))
    assert answer.get("Last-Modified") == OLD_DATE
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', answer.get("ETag"))
    assert answer.get("Accept-Ranges") == "bytes"
    assert answer.get("X-Content-Type-Options") == "nosniff"
    assert answer.get("Via") is None and answer.get("Vary") is None
    head = ask(edge, target, method="HEAD")
    drop = ("date", "x-request-id")
    assert sorted(f for f in head.headers if f[0].lower() not in drop) == \
        sorted(f for f in answer.headers if f[0].lower() not in drop)


# ---- what is not ----

@pytest.mark.parametrize("target", [
    "/static/none.txt", "/static/letters.txt/", "/static/letters.txt/x", "/static/bare/",
    "/static//letters.txt", "/static/sub//page.html", "/static//etc/passwd", "/robots.txt",
    # out of it
    "/static/../outside.txt", "/static/%2e%2e/outside.txt", "/static/..%2foutside.txt",
    "/static/%2e%2e%2foutside.txt", "/static/sub/..%2f..%2f..%2foutside.txt",
    "/static/..%5coutside.txt", "/static/..\\outside.txt", "/static/%5c..%5coutside.txt",
    "/static/%252e%252e/outside.txt", "/static/..%252foutside.txt", "/static/..;/outside.txt",
    "/static/.%2e/outside.txt", "/static/....//outside.txt", "/static/%c0%ae%c0%ae/outside.txt",
    "/static/..", "/static/../../../../../../../../etc/passwd", "/segment/../outside.txt",
    "/static-secret/x.txt", "/static../outside.txt", "/segment../static-secret/x.txt",
    "/static/%2fetc%2fpasswd", "/static/file:%2f%2f%2fetc/passwd", "/static/%2e%2e%5coutside.txt",
    # odd names
    "/static/%00", "/static/letters.txt%00.html", "/static/letters.txt%0a", "/static/%7f",
    "/static/back%5cslash.txt", "/static/letters.txt%2f", "/static/%zz", "/static/" + "x" * 300,
    "/static/" + "x/" * 3000, "/static/" + "%20" * 2500,
    # hidden
    "/static/.env", "/static/%2eenv", "/static/.git/config", "/static/.git/", "/static/.git",
    "/static/sub/.hidden", "/static/.well-known/security.txt", "/known/.env",
    "/known/.git/config", "/known/.well-known/.secret", "/known/sub/.well-known/x",
    # neither file nor folder
    "/static/fifo", "/static/socket", "/static/loop", "/links/loop", "/links/fifo",
    # links
    "/static/link-in", "/static/link-folder/page.html", "/static/link-folder",
    "/static/link-out", "/static/link-up", "/static/link-parent/outside.txt",
    "/static/link-magic/etc/passwd", "/links/link-out", "/links/link-up",
    "/links/link-parent/outside.txt", "/links/link-magic/etc/passwd",
])
def test_not_found(edge, target):
    answer = ask(edge, target)
    assert answer.status in (400, 404), answer
    assert SECRET.strip() not in answer.body and b"root:" not in answer.body
    assert "/tmp" not in repr(answer)


def test_a_path_that_is_too_long_is_no_name(edge):
    assert ask(edge, "/static/" + "y" * 5000).status == 404
    assert ask(edge, "/static/letters.txt").status == 200


def test_links_that_stay_inside_when_asked_for(edge):
    assert ask(edge, "/links/link-in").body == LETTERS
    assert ask(edge, "/links/link-folder/page.html").body == b"<p>page</p>"


def test_well_known_when_asked_for(edge):
    assert ask(edge, "/known/.well-known/security.txt").body == b"Contact: x"


def test_a_device_in_the_folder(edge, root):
    path = os.path.join(root, "null")
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices are made by root")
    assert ask(edge, "/static/null").status == 404


def test_without_permission(root):
    """Root may read all: as another user then."""
    path = put(root, "private.txt", SECRET)
    os.chmod(path, 0 if os.geteuid() != 0 else 0o600)
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    config = [{"hosts": ["*"], "routes": [{"path": "/", "files": files(root)}]}]
    weir = Weir(sites=config, **user)
    weir.config["log"]["access"]["path"] = "off"  # of the test's own folder, which is not theirs
    weir.write_config()
    with weir:
        answer = weir.get("/private.txt")
        assert answer.status == 403 and SECRET not in answer.body
        assert weir.get("/letters.txt").status == 200


# ---- folders ----

@pytest.mark.parametrize("target, location", [
    ("/static/sub", "/static/sub/"),
    ("/static/bare?a=b&c", "/static/bare/?a=b&c"),
    ("/static/a:b", "/static/a:b/"),
    ("/segment", "/segment/"),
    ("/static/bare/./deep", "/static/bare/deep/"),
])
def test_a_folder_without_its_slash(edge, target, location):
    answer = ask(edge, target)
    assert (answer.status, answer.get("Location")) == (301, location)


@pytest.mark.parametrize("target", ["//evil.test", "//evil.test/", "//sub", "///evil.test/%2e%2e",
                                    "/\\evil.test/", "//evil.test/..", "//evil.test/%2e%2e/sub"])
def test_no_redirect_leads_to_another_host(root, target):
    with Weir(sites=[{"hosts": ["*"], "routes": [
            {"path": "/", "files": files(root)}]}]) as weir:
        answer = weir.get(target)
        location = answer.get("Location")
        assert answer.status in (301, 400, 404)
        assert location is None or re.match(r"/[^/\\]", location)


def test_a_listing(edge):
    answer = ask(edge, "/list/bare/")
    assert answer.status == 200
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    page = answer.body.decode()
    assert re.findall(r'href="([^"]*)"', page) == [
        "../", "./deep/", "./%3Cb%3E%26%22%27.txt", "./one.txt"]
    assert "<b>" not in page and "&lt;b&gt;&amp;&quot;&#39;.txt" in page
    assert "/list/bare/" in page
    for target in re.findall(r'href="\./([^"]*)"', page):
        assert ask(edge, "/list/bare/" + target).status == 200
    top = ask(edge, "/list/")
    assert top.body == b"<p>home</p>"  # an index comes first
    hidden = ask(edge, "/list/sub/../.git/")
    assert hidden.status == 404
    assert ask(edge, "/list/none/").status == 404


# ---- methods ----

@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_files_are_read_only(edge, method):
    with edge.client() as client:
        answer = client.request(method, "/static/letters.txt", body=b"x")
        assert (answer.status, answer.get("Allow")) == (405, "GET, HEAD")
        assert client.request("GET", "/static/letters.txt").body == LETTERS


def test_options(edge):
    answer = ask(edge, "/static/letters.txt", method="OPTIONS")
    assert (answer.status, answer.get("Allow")) == (200, "GET, HEAD, OPTIONS")


# ---- with filters ----

def test_with_filters(edge):
    answer = ask(edge, "/year/letters.txt")
    assert answer.get("Cache-Control") == "max-age=31536000"
    assert answer.get("X-One") == "1" and answer.get("Expires")
    for target in ("/year/none.js", "/static/none.js"):
        refused = ask(edge, target)
        assert refused.status == 404 and refused.get("X-Content-Type-Options") == "nosniff"
        assert "max-age" not in (refused.get("Cache-Control") or "")
    assert ask(edge, "/cached/letters.txt").body == LETTERS
    assert edge.log_of("/static/letters.txt")[-1]["route"] == "/static/"


def test_http2(edge):
    with H2Client(edge.address) as client:
        for stream, (path, status, body) in enumerate([
                ("/static/letters.txt", 200, LETTERS), ("/static/none", 404, None),
                ("/static/.env", 404, None), ("/static/sub/", 200, b"<p>sub</p>")]):
            answer = client.request(h2_get(path), stream=2 * stream + 1)
            assert answer.status == status
            assert body is None or answer.body == body


# ---- what fails ----

def test_no_descriptor_is_left(root):
    with Weir(sites=[{"hosts": ["*"], "routes": [{"path": "/", "files": files(root)}]}]) as weir:
        with weir.client() as client:
            assert client.request("GET", "/letters.txt").status == 200
            pid = weir.process.pid
            used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            free = min(set(range(len(used) + 1)) - used)
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
            answer = client.request("GET", "/letters.txt")
            assert (answer.status, answer.get("Retry-After")) == (503, "1")
            weir.wait_line("none can be opened now")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert client.request("GET", "/letters.txt").body == LETTERS


def test_a_reload_to_another_folder(root, tmp_path):
    put(str(tmp_path), "letters.txt", b"other")
    with Weir(sites=[{"hosts": ["*"], "routes": [{"path": "/", "files": files(root)}]}]) as weir:
        assert weir.get("/letters.txt").body == LETTERS
        weir.config["sites"][0]["routes"][0]["files"]["root"] = str(tmp_path)
        weir.write_config()
        weir.reload()
        assert weir.get("/letters.txt").body == b"other"
        weir.config["sites"][0]["routes"][0]["files"]["root"] = str(tmp_path / "none")
        weir.write_config()
        weir.reload("failed|refused")
        assert weir.get("/letters.txt").body == b"other"


def test_explain(root, tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text(f"""
listeners: {{http: {{address: "127.0.0.1:8080"}}}}
sites:
  - hosts: ["*"]
    routes: [{{path: /static/, files: {{root: {root}, precompressed: [gzip]}}}}]
""")

    def explain(target, *more):
        done = subprocess.run([binary(), "explain", "-c", str(path), *more,
                               f"http://a:8080{target}"], capture_output=True, text=True,
                              check=False, timeout=20)
        return done.stdout

    shown = explain("/static/app.js", "-H", "Accept-Encoding: gzip")
    assert f"action     files of {root}\n" in shown
    assert 'name "app.js"' in shown and "its sibling in gzip" in shown
    assert "301: a folder" in explain("/static/sub")
    assert "404: no such file" in explain("/static/none")
    assert "404: no file has such a name" in explain("/static/.env")
    assert "405: files are read only" in explain("/static/app.js", "-X", "POST")

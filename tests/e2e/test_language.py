"""The rest of the configuration language, as clients and operators see it."""
import email.utils
import json
import os
import subprocess
import time

import pytest
from support.origin import Origin, canned
from support.waiting import wait_for
from support.weir import Weir, binary, proxy

LARGE = 64 << 20


# ---- include ----


def write(weir, name, text):
    path = os.path.join(weir.dir, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def site(host, body):
    return f'sites: [{{hosts: [{host}], routes: [{{path: /, respond: {{body: "{body}"}}}}]}}]\n'


def body_for(weir, host):
    with weir.client() as client:
        answer = client.request(host=host)
        return answer.body.decode() if answer.status == 200 else answer.status


def test_included_files_are_read_again_by_a_reload():
    weir = Weir(include=["conf.d/*.yaml"],
                sites=[{"hosts": ["main"], "routes": [{"path": "/", "respond": {"body": "main"}}]}])
    write(weir, "conf.d/a.yaml", site("a", "first"))
    with weir:
        assert body_for(weir, "main") == "main" and body_for(weir, "a") == "first"
        assert body_for(weir, "b") == 421
        write(weir, "conf.d/b.yaml", site("b", "new"))
        weir.reload()
        assert body_for(weir, "b") == "new"
        write(weir, "conf.d/c.yaml", site("a", "twice"))
        weir.reload(expect="failed")
        weir.wait_line(r"conf\.d/c\.yaml:1:18: sites\[0\]\.hosts\[0\]: host \"a\" on listener "
                       r"\"http\" is claimed by sites\[0\]\.hosts\[0\] "
                       r"\(.*conf\.d/a\.yaml, line 1\)")
        assert body_for(weir, "a") == "first"
        os.remove(os.path.join(weir.dir, "conf.d/c.yaml"))
        os.remove(os.path.join(weir.dir, "conf.d/a.yaml"))
        weir.reload()
        assert body_for(weir, "a") == 421


def test_a_volume_that_is_swapped_by_its_symlink():
    """As Kubernetes updates a ConfigMap: the files are links through ..data."""
    weir = Weir(include=["conf.d/*.yaml"], sites=[])
    del weir.config["sites"]
    weir.write_config()
    write(weir, "conf.d/..1/a.yaml", site("a", "one"))
    write(weir, "conf.d/..2/a.yaml", site("a", "two"))
    folder = os.path.join(weir.dir, "conf.d")
    os.symlink("..1", os.path.join(folder, "..data"))
    os.symlink("..data/a.yaml", os.path.join(folder, "a.yaml"))
    with weir:
        assert body_for(weir, "a") == "one"
        os.symlink("..2", os.path.join(folder, "..data_tmp"))
        os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))
        weir.reload()
        assert body_for(weir, "a") == "two"


# ---- max_body ----


@pytest.fixture(scope="module")
def bodies():
    routes = [{"path": "/more", "upstream": "app", "max_body": "10KiB"},
              {"path": "/any", "upstream": "app", "max_body": "0B"},
              {"path": "/site", "upstream": "app"}]
    other = [{"path": "/", "upstream": "app"}]
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]}},
            listener={"limits": {"body": "1KiB"}},
            sites=[{"hosts": ["*"], "max_body": "2KiB", "routes": routes},
                   {"hosts": ["other"], "routes": other}]) as weir:
        yield weir


@pytest.mark.parametrize("target,host,most", [
    ("/more", "test", 10 << 10), ("/site", "test", 2 << 10), ("/", "other", 1 << 10)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_nearest_max_body_wins(bodies, target, host, most, chunked):
    for size, status in ((most, 200), (most + 1, 413)):
        with bodies.client() as client:
            head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
            if chunked:
                client.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size
                            + b"x" * size + b"\r\n0\r\n\r\n")
            else:
                client.send(head + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
            assert client.response().status == status


def test_no_max_body_at_all(bodies):
    with bodies.client() as client:
        client.send(b"POST /any HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n")
        client.send(b"x" * 3_000_000)
        assert client.response().status == 200


# ---- expires ----


def test_expires():
    def answer(conn):
        while (request := conn.read_request()) is not None:
            status = request.target.rpartition("/")[2]
            conn.answer(b"" if status == "304" else b"ok", status=f"{status} Some",
                        headers=[("Cache-Control", "private"), ("cache-control", "no-store"),
                                 ("Expires", "0")])

    edit = {"response": {"set": {"Cache-Control": "public, immutable"}}}
    routes = [{"path": "/year", "upstream": "app", "expires": "1y"},
              {"path": "/epoch", "upstream": "app", "expires": "epoch"},
              {"path": "/max", "upstream": "app", "expires": "max"},
              {"path": "/off", "upstream": "app", "expires": "off"},
              {"path": "/edit", "upstream": "app", "headers": edit},
              {"path": "=/own", "respond": {"body": "x"}},
              {"path": "/site", "upstream": "app"}]
    with Origin(answer) as origin:
        with proxy(origin, site={"expires": "10m", "routes": routes}) as weir, \
                weir.client() as client:
            def fields(target):
                answer = client.request(target=target)
                return answer.all("Cache-Control"), answer.all("Expires"), answer.get("Date")

            for status in (200, 201, 206, 301, 302, 303, 304, 307, 308):
                control, expires, now = fields(f"/year/{status}")
                assert control == ["max-age=31536000"] and len(expires) == 1
                then = email.utils.parsedate_to_datetime(expires[0])
                now = email.utils.parsedate_to_datetime(now)
                assert abs((then - now).total_seconds() - 31536000) <= 1
            for status in (202, 400, 404, 500):  # the server's own word stands
                assert fields(f"/year/{status}")[:2] == (["private", "no-store"], ["0"])
            assert fields("/epoch/200")[:2] == (["no-cache"], ["Thu, 01 Jan 1970 00:00:01 GMT"])
            assert fields("/max/200")[:2] == (["max-age=315360000"],
                                              ["Thu, 31 Dec 2037 23:55:55 GMT"])
            assert fields("/off/200")[:2] == (["private", "no-store"], ["0"])
            assert fields("/edit/200")[0] == ["public, immutable"]
            assert fields("/site/200")[0] == ["max-age=600"]
            assert fields("/own")[0] == ["max-age=600"]


# ---- allow, deny ----


def test_allow_and_deny_go_by_the_client_that_trusted_proxies_name():
    routes = [{"path": "/both", "upstream": "app", "allow": ["10.0.0.0/8", "fd00::/8"],
               "deny": ["10.6.6.0/24"]},
              {"path": "/deny", "upstream": "app", "deny": ["10.6.6.0/24"]},
              {"path": "/open", "upstream": "app", "allow": "off"},
              {"path": "/", "upstream": "app"}]
    headers = {"response": {"set": {"X-Frame-Options": "DENY"}}}
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]}},
            trusted_proxies=["127.0.0.1"],
            sites=[{"hosts": ["*"], "allow": ["10.1.0.0/16"], "headers": headers,
                    "routes": routes}]) as weir:
        def ask(target, client):
            return weir.get(target, headers=[("X-Forwarded-For", client)])

        for target, client, status in (
                ("/both", "10.1.2.3", 200), ("/both", "fd00::1", 200), ("/both", "10.6.6.6", 403),
                ("/both", "192.0.2.1", 403), ("/both", "fe80::1", 403),
                ("/deny/", "10.6.6.6", 403),
                ("/deny/", "10.1.6.6", 200),
                ("/deny/", "10.2.6.6", 403),  # the site's allow still holds
                ("/open", "192.0.2.1", 200), ("/", "10.1.255.255", 200), ("/", "10.2.0.0", 403)):
            answer = ask(target, client)
            assert answer.status == status, (target, client)
            assert answer.get("X-Frame-Options") == "DENY"  # edits are for refusals, too
        refused = ask("/both", "10.6.6.6")
        assert refused.get("Cache-Control") == "no-store"
        # The first address is what a client may claim: only the last one is the proxy's word.
        assert ask("/both", "10.1.2.3, 192.0.2.1").status == 403
        entry = weir.log_of("/both", 1)[0]
        assert entry["client"] == "10.1.2.3" and entry["error"] == ""
        errors = {line["error"] for line in weir.log_of("/both", 7) if line["status"] == 403}
        assert errors == {"weir: refused: address not allowed"}


# ---- error_pages ----


def test_error_pages():
    sites = [
        {"hosts": ["a"], "error_pages": {"404": "pages/404.html", "5xx": "pages/5xx.json",
                                         "503": "pages/503.txt"},
         "routes": [{"path": "/dead", "upstream": "dead"},
                    {"path": "/empty", "upstream": "empty"},
                    {"path": "/up", "upstream": "app"},
                    {"path": "/no", "upstream": "app", "deny": ["0.0.0.0/0"]},
                    {"path": "/own", "respond": {"status": 404}},
                    {"path": "/whole", "upstream": "dead",
                     "error_pages": {"404": "pages/404.html"}},
                    {"path": "/off", "upstream": "dead", "error_pages": "off"}]},
        {"hosts": ["b"], "routes": [{"path": "/x", "upstream": "dead"}]}]
    page = "<h1>$status</h1><script>$('#id').text('$request_id $uri $$')</script>"
    with Origin(canned(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nup")) as origin:
        weir = Weir(upstreams={"dead": {"servers": [{"address": "127.0.0.1:1"}]},
                               "app": {"servers": [{"address": origin.address}]},
                               "empty": {"servers": [{"address": "nowhere.invalid:80"}]}},
                    defaults={"error_pages": {"4xx": "pages/4xx.txt"}}, sites=sites)
        write(weir, "pages/404.html", page)
        write(weir, "pages/5xx.json", '{"code": $status, "id": "$request_id"}')
        write(weir, "pages/503.txt", "come back later")
        write(weir, "pages/4xx.txt", "default")
        with weir, weir.client() as client:
            answer = client.request(target="/none", host="a")
            assert answer.status == 404
            assert answer.get("Content-Type") == "text/html; charset=utf-8"
            assert answer.body.decode() == page.replace("$status", "404").replace(
                "$request_id", answer.get("X-Request-Id"))
            answer = client.request(target="/dead", host="a")
            assert (answer.status, answer.get("Content-Type")) == (502, "application/json")
            assert answer.json() == {"code": 502, "id": answer.get("X-Request-Id")}
            assert answer.get("Proxy-Status") and answer.get("Cache-Control") == "no-store"
            answer = client.request(target="/empty", host="a")
            assert (answer.status, answer.body) == (503, b"come back later")
            assert answer.get("Retry-After") == "1"
            head = client.request("HEAD", target="/empty", host="a")
            assert head.status == 503 and head.get("Content-Length") == "15"
            # The server's own 404 and an answer that the operator wrote stay as they are; a level
            # that has pages has no others.
            assert client.request(target="/up", host="a").body == b"up"
            assert client.request(target="/own", host="a").body == b""
            assert b"Request id" in client.request(target="/no", host="a").body
            assert b"Request id" in client.request(target="/whole", host="a").body
            assert b"Request id" in client.request(target="/off", host="a").body
            assert client.request(target="/none", host="b").body == b"default"
            assert b"Request id" in client.request(target="/x", host="b").body
            write(weir, "pages/503.txt", "much later")
            weir.reload()
            assert client.request(target="/empty", host="a").body == b"much later"


# ---- memory ----


def big(conn):
    while (request := conn.read_request()) is not None:
        if request.target != "/big":
            conn.answer()
            continue
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        try:
            for _ in range(LARGE >> 18):
                conn.send(b"z" * (1 << 18))
        except OSError:
            return


def used_bytes(weir):
    status, text = weir.admin("/status")
    assert status == 200
    return json.loads(text)["buffers_bytes"]


def settled_bytes(weir):
    """Once as much is held for a while."""
    seen = []

    def stands():
        seen.append(used_bytes(weir))
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    wait_for(stands)
    return seen[-1]


def test_memory_that_is_used_up_is_a_503_until_some_is_free_again():
    with Origin(big) as origin, proxy(
            origin, memory={"buffers": "2MiB", "per_connection": "1MiB"}) as weir:
        assert weir.get("/").status == 200
        hogs = []
        deadline = time.monotonic() + 20
        while weir.get("/").status == 200:
            assert time.monotonic() < deadline, "the budget was never used up"
            hogs.append(weir.client().send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"))
            time.sleep(0.1)
        answer = weir.get("/")
        assert answer.status == 503 and answer.get("Retry-After") == "1"
        # The admin listener answers all the same. What was under way adds at most a read each.
        assert weir.metric("weir_connections_refused_total", reason="memory") >= 2
        assert used_bytes(weir) < (2 << 20) + len(hogs) * (1 << 20)
        errors = {line["error"] for line in weir.log_of("/", len(hogs) + 2)}
        assert errors == {"", "weir: overload: out of memory budget"}
        for hog in hogs:
            hog.reset()
        weir.wait_metric("requests_in_flight", 0)
        assert weir.get("/").status == 200


def test_per_connection_bounds_what_a_slow_client_makes_weir_hold():
    def held_by_ten(per_connection):
        with Origin(big) as origin, proxy(
                origin, memory={"per_connection": per_connection}) as weir:
            before = used_bytes(weir)
            clients = [weir.client().send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
                       for _ in range(10)]
            time.sleep(1)
            held = used_bytes(weir) - before
            for client in clients:
                client.reset()
            weir.wait_metric("requests_in_flight", 0)
            return held

    # The cap, a block for the head, and what is not full of others.
    for cap_kib in (32, 1024):
        assert 0 < held_by_ten(f"{cap_kib}KiB") <= 10 * (cap_kib + 3 * 16) << 10


def test_per_connection_bounds_what_waits_for_a_server():
    """Bodies that nobody can take yet: as much of each is read as the key allows, and no more."""
    upload = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000
    upstream = {"circuit_breaker": {"max_connections": 1, "max_pending": 20,
                                    "pending_timeout": "30s"}}

    def silent(conn):
        while conn.recv():
            pass

    def held_by_ten(per_connection):
        with Origin(silent) as origin, proxy(
                origin, upstream, memory={"per_connection": per_connection}) as weir:
            holder = weir.client().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_for(lambda: origin.accepted == 1)
            before = used_bytes(weir)
            clients = [weir.client().send(upload) for _ in range(10)]
            weir.wait_metric("weir_upstream_connections", 10, state="pending")
            held = settled_bytes(weir) - before
            for client in [holder, *clients]:
                client.reset()
            weir.wait_metric("requests_in_flight", 0)
            return held

    block = 16 << 10
    little, much = held_by_ten("32KiB"), held_by_ten("1MiB")
    assert little <= 10 * ((32 << 10) + 3 * block), (little, much)
    # A sixteenth, which is a part of the last read.
    assert 10 * (64 << 10) <= much <= 10 * ((1 << 20) + 3 * block), (little, much)
    assert much > little


def test_a_reload_changes_the_budget():
    with Origin() as origin, proxy(origin, memory={"buffers": "1MiB"}) as weir:
        held = [weir.client().send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 20000)
                for _ in range(60)]  # heads that do not end: 20 to 40 KB each
        deadline = time.monotonic() + 10
        while weir.get("/").status != 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        weir.config["memory"]["buffers"] = "64MiB"
        weir.write_config()
        weir.reload()
        assert weir.get("/").status == 200
        for client in held:
            client.send(b"\r\n\r\n")
            assert client.response().status == 200
            client.sock.close()


def test_secrets_are_shown_by_no_check(tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text("listeners: {http: {address: \"${SECRET}\"}}\n"
                    "include: [\"${SECRET}\", \"${SECRET}*\"]\n"
                    "sites: [{hosts: [\"${SECRET}\"], routes: [{path: \"${SECRET}\", "
                    "upstream: \"${SECRET}\", error_pages: {404: \"${SECRET}\"}}]}]\n")
    done = subprocess.run([binary(), "check", "-c", str(path)], capture_output=True, timeout=20,
                          env={**os.environ, "SECRET": "hunter 2"})
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 1 and "(value of ${SECRET})" in text
    assert "hunter" not in text

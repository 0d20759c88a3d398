"""redirect_https: to the same host, path and query, for hosts that a site claims."""
import crypt
import socket
import subprocess

import pytest
from support.origin import Origin
from support.tls import Certificate
from support.weir import Weir

CHALLENGE = "/.well-known/acme-challenge/"
HSTS = "Strict-Transport-Security"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sites():
    return [
        {"hosts": ["example.com", "*.example.com", "[::1]"],
         "headers": {"response": {"set": {HSTS: "max-age=1", "X-Site": "a"}}},
         "routes": [
             {"path": "=/health", "respond": {"status": 200, "body": "healthy\n"}},
             {"path": CHALLENGE, "upstream": "app"},
             {"path": "/respond/", "respond": {"status": 200}},
             {"path": "=/app", "upstream": "app"},
             {"path": "=/old", "redirect": {"to": "/new"}},
             {"path": "/denied/", "deny": ["127.0.0.1"], "upstream": "app"},
             {"path": "/", "upstream": "app", "max_body": "1KiB"}]},
    ]


@pytest.fixture(scope="module", name="weir")
def behind_a_balancer():
    """Whose certificates somebody else has."""
    with Origin() as origin:
        upstreams = {"app": {"servers": [{"address": origin.address}]}}
        with Weir(upstreams, sites(), listener={"redirect_https": True}) as weir:
            weir.origin = origin
            yield weir


def go(weir, target="/", method="GET", host="example.com", headers=(), body=b""):
    with weir.client() as client:
        answer = client.request(method, target, headers, body, host)
        return answer.status, answer.get("location"), answer


@pytest.mark.parametrize("method,status", [
    ("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("DELETE", 308), ("PATCH", 308),
    ("OPTIONS", 308), ("PURGE", 308)])
def test_methods_stay_what_they_are(weir, method, status):
    answer = go(weir, "/a?b=c", method)
    assert answer[:2] == (status, "https://example.com/a?b=c")
    assert answer[2].get("x-site") == "a"  # filters see it


TARGETS = ["/", "/a/b?c=d&e=%2f", "/a%20b?x=%0d%0aSet-Cookie:%20a", "//evil.test/a", "/\\evil.test",
           "/a//b/", "/x?//evil.test", "/?", "/a?b?c", "/%2e%2e%2f%2e%2e", "/a/../b", "/;p=1",
           "/respond/x", "/app", "/old", "/health/", "/healthy", "/health?x=/health", "/HEALTH",
           CHALLENGE[:-1], "/x" + CHALLENGE, "/nothing"]


@pytest.mark.parametrize("target", TARGETS)
def test_path_and_query_are_kept_as_they_came(weir, target):
    status, location, _ = go(weir, target)
    if target == "/%2e%2e%2f%2e%2e":
        assert status == 400 and location is None  # no path of a request that weir takes
    elif target == "/health?x=/health":
        assert status == 200 and location is None
    else:
        assert (status, location) == (301, "https://example.com" + target)


@pytest.mark.parametrize("host,expected", [
    ("example.com:80", "example.com"), ("example.com:8080", "example.com"),
    ("EXAMPLE.com.", "example.com"), ("www.Example.COM:80", "www.example.com"),
    ("[::1]:80", "[::1]")])
def test_the_host_is_the_one_that_was_asked_without_its_port(weir, host, expected):
    assert go(weir, "/a", host=host)[:2] == (301, f"https://{expected}/a")


@pytest.mark.parametrize("host", ["evil.test", "example.com.evil.test", "xexample.com", "[::2]",
                                  "127.0.0.1"])
def test_hosts_that_nobody_claims_are_not_redirected(weir, host):
    status, location, _ = go(weir, "/a", host=host)
    assert status == 421 and location is None


@pytest.mark.parametrize("host", ["example.com@evil.test", "example.com/evil.test", "exa mple.com",
                                  "example.com:80:80", "example.com\tx", "example.com#x"])
def test_hosts_that_are_none_are_refused(weir, host):
    status, location, _ = go(weir, "/a", host=host)
    assert status == 400 and location is None


def test_absolute_targets_name_the_host(weir):
    host = "www.example.com:80"
    assert go(weir, f"http://{host}/a?b", host=host)[:2] == (301, "https://www.example.com/a?b")
    assert go(weir, "http://evil.test/a", host="evil.test")[0] == 421
    assert go(weir, "http://evil.test/a", host="example.com")[0] == 400


def test_without_a_host_there_is_nowhere_to_go():
    every = [{"hosts": ["*"], "routes": [{"path": "=/health", "respond": {}},
                                         {"path": "/", "respond": {}}]}]
    with Weir(sites=every, listener={"redirect_https": True}) as weir:
        with weir.client() as client:
            assert client.send("GET / HTTP/1.0\r\n\r\n").response().status == 421
        with weir.client() as client:
            assert client.send("GET /health HTTP/1.0\r\n\r\n").response().status == 200
        assert go(weir, "/x", host="any.test")[:2] == (301, "https://any.test/x")


def test_challenges_and_health_are_served(weir):
    status, location, answer = go(weir, CHALLENGE + "token_1-2")
    assert (status, location) == (200, None)
    assert answer.json()["target"] == CHALLENGE + "token_1-2"
    assert go(weir, "/health")[:2] == (200, None)
    assert go(weir, "/health", "HEAD")[:2] == (200, None)
    # Judged by the path that routes are chosen by, not by how it is written.
    assert go(weir, CHALLENGE + "../../a")[:2] == (301, f"https://example.com{CHALLENGE}../../a")


def test_filters_come_first(weir):
    assert go(weir, "/denied/x")[0] == 403


def test_nobody_is_asked_for_a_proof_in_the_clear(tmp_path):
    users = tmp_path / "users"
    users.write_text("ann:" + crypt.crypt("secret", "$5$saltsalt") + "\n")
    ways = {"basic": {"users_file": str(users)}, "jwt": {"secret": "s" * 40},
            "forward": {"upstream": "authz", "path": "/verify"}}
    routes = [{"path": f"/{way}", "upstream": "app", "auth": {way: ways[way]}} for way in ways]
    routes.append({**routes[0], "path": "/denied", "deny": ["127.0.0.1"]})
    routes.append({"path": "=/probe", "respond": {}, "auth": {"basic": ways["basic"]}})
    headers = {"response": {"set": {"X-Site": "a"}}}
    with Origin() as origin, Origin() as authz, Weir(
            {name: {"servers": [{"address": one.address}]}
             for name, one in (("app", origin), ("authz", authz))},
            [{"hosts": ["example.com"], "headers": headers, "routes": routes}],
            listener={"redirect_https": True}, trusted_proxies=["127.0.0.1"]) as weir:
        for way in ways:
            for sent in ([], [("Authorization", "Basic YW5uOnNlY3JldA==")]):
                status, location, answer = go(weir, f"/{way}", headers=sent)
                assert (status, location) == (301, f"https://example.com/{way}")
                assert answer.get("www-authenticate") is None and answer.get("x-site") == "a"
        assert not authz.requests and not origin.requests
        assert go(weir, "/denied")[0] == 403
        assert go(weir, "/probe")[0] == 401  # is served in the clear, and so is what guards it
        by_https = [("X-Forwarded-Proto", "https")]
        assert [go(weir, f"/{way}", headers=by_https)[0] for way in ways] == [401, 401, 200]


def test_hsts_is_for_tls_only(weir):
    for target in ("/health", CHALLENGE + "x", "/a"):
        assert not go(weir, target)[2].all(HSTS)


def test_a_post_with_its_body_keeps_the_connection(weir):
    served = len(weir.origin.requests)
    with weir.client() as client:
        for size in (10, 5000):  # too large a body is the matter of the https side
            answer = client.request("POST", "/a", body=b"x" * size, host="example.com")
            assert answer.status == 308
        assert client.request("GET", "/health", host="example.com").status == 200
    assert len(weir.origin.requests) == served


def test_an_upgrade_is_redirected(weir):
    headers = [("Connection", "upgrade"), ("Upgrade", "websocket"),
               ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]
    assert go(weir, "/ws", headers=headers)[:2] == (301, "https://example.com/ws")


def test_only_a_trusted_proxy_may_say_that_it_was_https(weir):
    spoof = [("X-Forwarded-Proto", "https"), ("Forwarded", "proto=https")]
    assert go(weir, "/a", headers=spoof)[0] == 301
    with Origin() as origin:
        upstreams = {"app": {"servers": [{"address": origin.address}]}}
        with Weir(upstreams, sites(), listener={"redirect_https": True},
                  trusted_proxies=["127.0.0.1"]) as trusting:
            status, _, answer = go(trusting, "/a", headers=[("X-Forwarded-Proto", "https")])
            assert status == 200 and answer.get(HSTS) == "max-age=1"
            assert go(trusting, "/a", headers=[("X-Forwarded-Proto", "http")])[0] == 301
            # The host of the target is the one that the request is for.
            forged = [("X-Forwarded-Host", "evil.test")]
            assert go(trusting, "/a", headers=forged)[1] == "https://example.com/a"


def test_the_port_is_that_of_the_sites_tls_listener(tmp_path):
    certificate = Certificate(tmp_path, "crt", "DNS:example.com,DNS:*.example.com")
    ports = [free_port() for _ in range(2)]
    with Origin() as origin:
        every = sites()
        every[0]["listeners"] = ["http", "second"]
        every.append({"hosts": ["other.test"], "listeners": ["http", "second", "first"],
                      "routes": [{"path": "/", "upstream": "app"}]})
        every.append({"hosts": ["plain.test"], "listeners": ["http", "plain"],
                      "routes": [{"path": "/", "respond": {"headers": {HSTS: "max-age=2"}}}]})
        weir = Weir({"app": {"servers": [{"address": origin.address}]}}, every,
                    listener={"redirect_https": True}, certificates=[certificate.entry()])
        for name, port in zip(("first", "second"), ports):
            weir.config["listeners"][name] = {"address": f"127.0.0.1:{port}", "tls": {}}
        weir.config["listeners"]["plain"] = {"address": "127.0.0.1:0"}
        weir.write_config()
        with weir:
            assert go(weir, "/a")[1] == f"https://example.com:{ports[1]}/a"
            assert go(weir, "/a", host="other.test")[1] == f"https://other.test:{ports[1]}/a"
            assert go(weir, "/a", host="plain.test")[1] == "https://plain.test/a"
            resolve = [f"www.example.com:{port}:127.0.0.1" for port in (weir.address[1], ports[1])]
            out = subprocess.run(
                ["curl", "-sSi", "--max-time", "20", "--cacert", certificate.cert, "-L",
                 "--resolve", resolve[0], "--resolve", resolve[1], "-d", "body",
                 f"http://www.example.com:{weir.address[1]}/p?q=1"],
                capture_output=True, text=True, check=True).stdout
            redirect, _, answer = out.partition("\n\n")
            assert redirect.startswith("HTTP/1.1 308 ") and HSTS.lower() not in redirect.lower()
            assert answer.split()[1] == "200" and f"{HSTS}: max-age=1".lower() in answer.lower()
            assert '"method": "POST"' in answer and '"target": "/p?q=1"' in answer
            assert '"body": "body"' in answer
            # Beside TLS the clear is the clear, whoever redirects.
            host, _, port = weir.ports["plain"].rpartition(":")
            headers = subprocess.run(["curl", "-sSi", "--max-time", "20", "-H", "Host: plain.test",
                                      f"http://{host}:{port}/"], capture_output=True, text=True,
                                     check=True).stdout
            assert headers.startswith("HTTP/1.1 200 ") and HSTS.lower() not in headers.lower()

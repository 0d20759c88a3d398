"""security_headers: on every answer, one line each, and HSTS for https only."""
import re
import subprocess

import pytest
from support.origin import Origin, by_request
from support.tls import Certificate, TlsClient
from support.weir import Weir

STANDARD = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
    "X-XSS-Protection": "0",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Content-Security-Policy": "base-uri 'self'; object-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cross-Origin-Resource-Policy": "same-site",
}
HSTS = "Strict-Transport-Security"
STRICT_POLICY = ("default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: "
                 "https:; connect-src 'self'; font-src 'self'; object-src 'none'; media-src "
                 "'self'; frame-src 'none'")
NONCE = r"'nonce-([A-Za-z0-9+/]{24})'"

# What an application says on its own, twice, and in other words than the edge.
CHATTY = [("X-Frame-Options", "SAMEORIGIN"), ("x-frame-options", "ALLOWALL"),
          (HSTS, "max-age=15552000"), (HSTS, "max-age=1"), ("X-Powered-By", "Express"),
          ("Server", "app/1.2.3"), ("X-AspNet-Version", "4"), ("X-XSS-Protection", "1; mode=block"),
          ("Content-Security-Policy", "default-src 'self'"),
          ("content-security-policy", "img-src *")]


def answer(conn, request):
    path = request.target.partition("?")[0]
    if path.endswith("/chatty"):
        conn.answer(b"ok", headers=CHATTY)
    elif path.endswith("/echo"):
        conn.answer(request.get("X-Nonce") or "", headers=[("ETag", '"a"')])
    elif path.endswith("/304"):
        conn.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")
    else:
        status = path.rsplit("/", 1)[-1]
        conn.answer(b"ok", status=f"{status} X" if status.isdigit() else "200 OK")


NONCE_HEADERS = {"Content-Security-Policy": "script-src 'nonce-$csp_nonce'"}
APPENDED = {
    "Content-Security-Policy": {"value": "frame-ancestors 'none'", "mode": "append"},
    "X-Frame-Options": {"value": "DENY", "mode": "set_if_absent"},
    "Server": {"mode": "off"},
    "Cross-Origin-Resource-Policy": "same-origin",
}


def config(origin, certificate):
    return {
        "upstreams": {"app": {"servers": [{"address": origin.address}]},
                      "dead": {"servers": [{"address": "127.0.0.1:1"}]}},
        "listeners": {"http": {"address": "127.0.0.1:0", "limits": {"header_size": "4KiB"}},
                      "https": {"address": "127.0.0.1:0", "tls": {}}},
        "certificates": [certificate.entry()],
        "trusted_proxies": ["127.0.0.2"],
        "defaults": {"security_headers": "standard"},
        "sites": [{
            "hosts": ["localhost"],
            "routes": [
                {"path": "=/own", "respond": {"body": "hello"}, "headers": {"response": {
                    "set": {"X-Other": "1", "Referrer-Policy": "origin"}}}},
                {"path": "=/redirect", "redirect": {"to": "/new"}},
                {"path": "=/dead", "upstream": "dead"},
                {"path": "=/denied", "upstream": "app", "deny": ["127.0.0.0/8"]},
                {"path": "=/post", "methods": ["POST"], "upstream": "app", "max_body": "1KiB"},
                {"path": "/off/", "upstream": "app", "security_headers": "off"},
                {"path": "/strict/", "upstream": "app", "security_headers": "strict"},
                {"path": "/nonce/", "upstream": "app", "security_headers": NONCE_HEADERS,
                 "headers": {"request": {"set": {"X-Nonce": "$csp_nonce"}}}},
                {"path": "/few/", "upstream": "app", "security_headers": {
                    "X-Frame-Options": "SAMEORIGIN", HSTS: {"max_age": "2y", "preload": True,
                                                            "include_subdomains": True}}},
                {"path": "/append/", "upstream": "app",
                 "security_headers": {"base": "standard", **APPENDED}},
                {"path": "/app/", "upstream": "app"},
            ]}],
    }


@pytest.fixture(scope="module", name="weir")
def edge(tmp_path_factory):
    certificate = Certificate(tmp_path_factory.mktemp("tls"), "a")
    with Origin(by_request(answer)) as origin, Weir(**config(origin, certificate)) as weir:
        weir.certificate = certificate
        yield weir


def in_the_clear(weir, target, method="GET", headers=(), body=b"", host="localhost"):
    with weir.client() as client:
        return client.request(method, target, headers, body, host)


def https_port(weir):
    return int(weir.ports["https"].rpartition(":")[2])


def by_https(weir, target, host="localhost"):
    with TlsClient(("127.0.0.1", https_port(weir))) as client:
        return client.request("GET", target, (), b"", host)


def assert_set(response, wanted, hsts=None):
    for name, value in wanted.items():
        assert response.all(name) == [value], name
    assert response.all(HSTS) == ([hsts] if hsts else [])
    for name in ("Server", "X-Powered-By", "X-AspNet-Version"):
        assert response.all(name) == []


@pytest.mark.parametrize("target, status", [
    ("/app/200", 200), ("/app/404", 404), ("/app/500", 500), ("/app/304", 304), ("/app/204", 204),
    ("/redirect", 308), ("/dead", 502), ("/denied", 403), ("/post", 405), ("/nothing", 404),
    ("/%2e%2e%2f", 400)])
def test_the_set_is_on_every_answer_and_hsts_by_https_only(weir, target, status):
    for response, hsts in ((in_the_clear(weir, target), None),
                           (by_https(weir, target), "max-age=31536000; includeSubDomains")):
        assert response.status == status
        assert_set(response, STANDARD, hsts)


def test_answers_to_requests_that_no_site_takes(weir):
    cases = [(421, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n"),
             (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
             (431, "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "x" * 5000 + "\r\n\r\n"),
             (405, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"),
             (200, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    for status, text in cases:
        with weir.client() as client:
            response = client.send(text).response()
        assert response.status == status
        assert_set(response, STANDARD)
        assert len(response.all("X-Request-Id")) == 1
    response = by_https(weir, "/", host="other.test")
    assert response.status == 421
    assert_set(response, STANDARD, "max-age=31536000; includeSubDomains")


def test_a_body_that_is_too_large(weir):
    response = in_the_clear(weir, "/post", "POST", body=b"x" * 2000)
    assert response.status == 413
    assert_set(response, STANDARD)


def test_what_the_server_says_is_replaced_one_line_each(weir):
    response = by_https(weir, "/app/chatty")
    kept = {name: value for name, value in STANDARD.items() if name != "Content-Security-Policy"}
    assert_set(response, kept, "max-age=31536000; includeSubDomains")
    # In the standard set the application's policy stays as it is.
    assert response.all("Content-Security-Policy") == ["default-src 'self'", "img-src *"]
    assert in_the_clear(weir, "/app/chatty").all(HSTS) == []


def test_an_edit_of_headers_has_the_last_word_and_loses_nothing(weir):
    response = in_the_clear(weir, "/own")
    assert_set(response, {**STANDARD, "Referrer-Policy": "origin", "X-Other": "1"})


def test_off_is_for_a_route(weir):
    response = in_the_clear(weir, "/off/chatty")
    assert response.all("X-Powered-By") == ["Express"] and response.all("Referrer-Policy") == []
    assert len(response.all("X-Frame-Options")) == 2


def test_the_strict_set(weir):
    response = by_https(weir, "/strict/chatty")
    assert_set(response, {**STANDARD, "Content-Security-Policy": STRICT_POLICY,
                          "Referrer-Policy": "no-referrer",
                          "Permissions-Policy": response.get("Permissions-Policy"),
                          "Cross-Origin-Opener-Policy": "same-origin",
                          "Cross-Origin-Resource-Policy": "same-origin",
                          "Origin-Agent-Cluster": "?1", "X-DNS-Prefetch-Control": "off"},
               "max-age=63072000; includeSubDomains")
    assert response.get("Permissions-Policy").startswith(STANDARD["Permissions-Policy"] + ", ")
    assert response.all("Cross-Origin-Embedder-Policy") == []


def test_a_map_is_the_whole_set(weir):
    response = by_https(weir, "/few/200")
    assert_set(response, {"X-Frame-Options": "SAMEORIGIN"},
               "max-age=63072000; includeSubDomains; preload")
    for name in ("X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy"):
        assert response.all(name) == []


def test_append_joins_into_one_line(weir):
    response = in_the_clear(weir, "/append/chatty")
    assert response.get("Content-Security-Policy") == (
        "default-src 'self', img-src *, frame-ancestors 'none'")
    assert response.all("X-Frame-Options") == ["SAMEORIGIN", "ALLOWALL"]  # set_if_absent
    assert response.all("Server") == ["app/1.2.3"]
    assert response.all("X-Powered-By") == []
    assert response.all("Cross-Origin-Resource-Policy") == ["same-origin"]
    assert response.all("X-Content-Type-Options") == ["nosniff"]
    plain = in_the_clear(weir, "/append/200")
    assert plain.all("Content-Security-Policy") == ["frame-ancestors 'none'"]
    assert plain.all("X-Frame-Options") == ["DENY"]


def test_a_nonce_is_new_on_every_answer_and_the_one_that_the_server_was_told(weir):
    seen = set()
    with weir.client() as client:
        for _ in range(50):
            response = client.request("GET", "/nonce/echo", (), b"", "localhost")
            nonce = re.fullmatch("script-src " + NONCE, response.get("Content-Security-Policy"))[1]
            assert response.body.decode() == nonce
            seen.add(nonce)
    assert len(seen) == 50
    # The body that the client has already was made with another one.
    assert in_the_clear(weir, "/nonce/304").all("Content-Security-Policy") == []


def test_https_that_a_trusted_proxy_ended(weir):
    said = [("X-Forwarded-Proto", "https")]
    with weir.client(source="127.0.0.2") as client:
        trusted = client.request("GET", "/app/200", said, b"", "localhost")
    assert trusted.all(HSTS) == ["max-age=31536000; includeSubDomains"]
    assert in_the_clear(weir, "/app/200", headers=said).all(HSTS) == []


def test_http2_has_them_as_well(weir):
    done = subprocess.run(
        ["curl", "-skD", "-", "-o", "/dev/null", "--http2", "--resolve",
         f"localhost:{https_port(weir)}:127.0.0.1",
         f"https://localhost:{https_port(weir)}/app/chatty"],
        capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("HTTP/2 200")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines.count("x-frame-options: DENY") == 1
    assert "strict-transport-security: max-age=31536000; includeSubDomains" in lines
    assert not [line for line in lines if line.startswith(("server:", "x-powered-by:"))]

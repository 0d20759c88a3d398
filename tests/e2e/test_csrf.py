"""csrf: what pages of other sites have a browser send does not reach a server where it could change
something."""
import pytest
from support.h2 import H2Client
from support.origin import Origin
from support.weir import Weir

EVIL = "https://evil.example"
APP = "https://app.example.com"
WEBSOCKET = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
OVER_TLS = [("X-Forwarded-Proto", "https")]


@pytest.fixture(scope="module", name="weir")
def edge():
    trusting = {"trusted_origins": [APP, "https://*.example.org"]}
    cors = {"origins": [APP], "credentials": True}
    limit = {"api": {"rate": "1/1h", "burst": 1}}
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]}},
            listener={"protocols": ["h2c", "http/1.1"]},
            trusted_proxies=["127.0.0.1"], rate_limits=limit, defaults={"csrf": {}},
            sites=[{"hosts": ["*"], "routes": [
                {"path": "/trusting", "upstream": "app", "csrf": trusting},
                {"path": "/readable", "upstream": "app", "cors": cors},
                {"path": "/limited", "upstream": "app", "rate_limit": ["api"]},
                {"path": "/hook", "upstream": "app", "csrf": "off"},
                {"path": "/", "upstream": "app"}]}]) as weir:
        weir.origin = origin
        yield weir


def ask(weir, *fields, method="POST", target="/", host="test"):
    seen = len(weir.origin.requests)
    with weir.client() as client:
        answer = client.request(method, target, list(fields), b"", host)
    assert len(weir.origin.requests) - seen == (0 if answer.status == 403 else 1)
    return answer.status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_unsafe_methods_from_elsewhere_are_refused(weir, method):
    assert ask(weir, ("Origin", EVIL), method=method, target=f"/{method}") == 403
    assert ask(weir, ("Origin", "http://test"), method=method) == 200
    assert weir.log_of(f"/{method}")[0]["error"] == "weir: refused: sent by another site"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_pass(weir, method):
    assert ask(weir, ("Origin", EVIL), ("Sec-Fetch-Site", "cross-site"), method=method) == 200


@pytest.mark.parametrize("origin,host,status", [
    ("http://test", "test", 200), ("http://test", "TEST", 200), ("http://test:80", "test", 200),
    ("http://test", "test:80", 200), ("http://test:8080", "test:8080", 200),
    ("http://test:8080", "test", 403), ("http://test", "test:8080", 403),
    ("https://test", "test", 403), ("http://test.evil.example", "test", 403),
    ("http://evil.example/test", "test", 403), ("http://test@evil.example", "test", 403),
    ("http://sub.test", "test", 403), ("null", "test", 403), ("", "test", 403),
    ("test", "test", 403), ("http://", "test", 403), ("http:test", "test", 403),
    ("http://[::1]:81", "[::1]:81", 200)])
def test_an_origin_is_the_site_itself_or_another(weir, origin, host, status):
    assert ask(weir, ("Origin", origin), host=host) == status
    if origin:
        assert ask(weir, ("Referer", origin + "/page?a=b"), host=host) == status


def test_the_scheme_is_the_clients(weir):
    assert ask(weir, ("Origin", "https://test"), *OVER_TLS) == 200
    assert ask(weir, ("Origin", "https://test:443"), *OVER_TLS) == 200
    assert ask(weir, ("Origin", "http://test"), *OVER_TLS) == 403


def test_what_the_browser_says_of_the_site_goes_before_the_origin(weir):
    def from_site(word, *fields, **options):
        return ask(weir, ("Sec-Fetch-Site", word), *fields, **options)

    assert from_site("same-origin") == from_site("none") == 200
    assert from_site("same-origin", ("Origin", "null")) == 200  # Referrer-Policy: no-referrer
    assert from_site("same-site") == from_site("cross-site") == from_site("") == 403
    assert from_site("cross-site", ("Origin", "http://test")) == 403
    assert from_site("cross-site", ("Origin", APP)) == 403
    assert from_site("cross-site", ("Origin", APP), target="/trusting") == 200
    assert from_site("cross-site", ("Referer", APP + "/"), target="/trusting") == 403


def test_trusted_origins(weir):
    for origin in (APP, "https://a.example.org", "http://test"):
        assert ask(weir, ("Origin", origin), target="/trusting") == 200
        assert ask(weir, ("Referer", origin + "/x"), target="/trusting") == 200
    for origin in (EVIL, "https://example.org", "http://app.example.com", "null"):
        assert ask(weir, ("Origin", origin), target="/trusting") == 403
        assert ask(weir, ("Referer", origin + "/x"), target="/trusting") == 403


def test_of_several_fields_each_has_to_be_good(weir):
    assert ask(weir, ("Origin", "http://test"), ("Origin", EVIL)) == 403
    assert ask(weir, ("Origin", EVIL), ("Origin", "http://test")) == 403
    assert ask(weir, ("Origin", APP), ("Origin", EVIL), target="/trusting") == 403
    assert ask(weir, ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", "cross-site")) == 403
    assert ask(weir, ("Referer", "http://test/"), ("Referer", EVIL)) == 403


def test_programs_pass_and_so_does_everybody_where_it_is_off(weir):
    assert ask(weir) == 200
    assert ask(weir, ("Referer", EVIL), ("Origin", EVIL), target="/hook") == 200


def test_websockets_of_other_sites_are_refused(weir):
    seen = len(weir.origin.requests)
    for fields in ([("Origin", EVIL)], [("Sec-Fetch-Site", "cross-site")]):
        with weir.client() as client:
            assert client.request("GET", "/", WEBSOCKET + fields).status == 403
    assert len(weir.origin.requests) == seen
    with weir.client() as client:
        assert client.request("GET", "/", WEBSOCKET + [("Origin", "http://test")]).status == 200


def test_over_http_2(weir):
    def post(*fields):
        with H2Client(weir.address) as client:
            return client.request([(":method", "POST"), (":scheme", "http"), (":path", "/"),
                                   (":authority", "test"), *fields]).status

    assert post(("origin", EVIL)) == 403
    assert post(("origin", "http://test")) == 200
    assert post(("sec-fetch-site", "cross-site")) == 403


def test_refusals_are_readable_by_pages_that_cors_allows_and_use_nothing_up(weir):
    with weir.client() as client:
        refused = client.request("POST", "/readable", [("Origin", APP)])
        assert refused.status == 403 and refused.get("Cache-Control") == "no-store"
        assert refused.get("Access-Control-Allow-Origin") == APP
    assert [ask(weir, ("Origin", EVIL), target="/limited") for _ in range(5)] == [403] * 5
    assert [ask(weir, target="/limited") for _ in range(2)] == [200] * 2

"""cors: what a browser is told, of preflights and of answers, whatever the server says itself."""
import re
import subprocess

import pytest
from support.origin import Origin, by_request
from support.weir import Weir

APP = "https://app.example.com"
PREFLIGHT = "Access-Control-Request-Method"
CORS = re.compile("access-control-", re.IGNORECASE)

# What a server in debug mode says: every site may read everything, with credentials.
CARELESS = [("Access-Control-Allow-Origin", "*"), ("access-control-allow-credentials", "true"),
            ("Access-Control-Expose-Headers", "X-Secret"), ("Access-Control-Max-Age", "9")]


def answer(conn, request):
    status = "404 Not Found" if "404" in request.target else "200 OK"
    vary = [("Vary", "Accept-Encoding, origin")] if "vary" in request.target else []
    conn.answer(request.method, status=status, headers=CARELESS + vary)


def sites():
    named = {"origins": [APP, "https://*.example.com", "http://localhost:5173",
                         "capacitor://localhost", "HTTPS://Shop.Example.ORG:443"],
             "methods": ["GET", "DELETE"], "headers": ["Authorization", "X-Page"],
             "expose_headers": ["X-Total"], "credentials": True, "max_age": "1h"}
    public = {"origins": ["*"]}
    asked = {"origins": "https://a.test, https://b.test", "methods": ["*"], "headers": ["*"],
             "max_age": "0s", "private_network": True}
    return [{"hosts": ["*"], "routes": [
        {"path": "/api/", "methods": ["GET", "DELETE"], "upstream": "app", "cors": named},
        {"path": "/public/", "upstream": "app", "cors": public},
        {"path": "/asked/", "upstream": "app", "cors": asked},
        {"path": "/null/", "upstream": "app", "cors": {"origins": ["null"]}},
        {"path": "/denied/", "upstream": "app", "cors": named, "deny": ["127.0.0.0/8"]},
        {"path": "/dead/", "upstream": "dead", "cors": named},
        {"path": "/own/", "respond": {"body": "hello"}, "cors": named},
        {"path": "/strict/", "upstream": "app", "cors": named, "security_headers": "strict"},
        {"path": "/none/", "upstream": "app"},
    ]}, {"hosts": ["all.test"], "cors": named, "routes": [
        {"path": "/a/", "methods": ["GET"], "upstream": "app"},
        {"path": "/b/", "upstream": "app", "cors": "off"}]}]


@pytest.fixture(scope="module", name="weir")
def edge():
    with Origin(by_request(answer)) as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]},
                       "dead": {"servers": [{"address": "127.0.0.1:1"}]}},
            sites=sites()) as weir:
        weir.origin = origin
        yield weir


def ask(weir, target, origin=None, method="GET", headers=(), host="test"):
    fields = ([("Origin", origin)] if origin is not None else []) + list(headers)
    with weir.client() as client:
        return client.request(method, target, fields, b"", host)


def preflight(weir, target, origin, method="GET", headers=(), host="test"):
    return ask(weir, target, origin, "OPTIONS", [(PREFLIGHT, method), *headers], host)


def cors_of(response):
    fields = {name.lower()[len("access-control-"):]: value for name, value in response.headers
              if CORS.match(name)}
    assert len(fields) == len([name for name, _ in response.headers if CORS.match(name)])
    return fields


ALLOWED = [APP, "https://www.example.com", "https://a.b.example.com", "http://localhost:5173",
           "capacitor://localhost", "https://shop.example.org"]
OTHERS = ["https://example.com", "http://app.example.com", "https://app.example.com:8443",
          "https://app.example.com.evil.test", "https://evil.test/.example.com", "null",
          "https://evilexample.com", "https://evil.test?.example.com", "https://.example.com",
          "https://user@x.example.com", "https://a..example.com", "https://x:1.example.com", "",
          "https://APP.example.com", "http://localhost:51730", "http://localhost", "*"]


@pytest.mark.parametrize("origin", ALLOWED)
def test_allowed_origins(weir, origin):
    response = ask(weir, "/api/x", origin)
    assert response.status == 200 and response.body == b"GET"
    assert cors_of(response) == {"allow-origin": origin, "allow-credentials": "true",
                                 "expose-headers": "X-Total"}
    assert response.all("Vary") == ["Origin"]


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_are_served_and_told_nothing(weir, origin):
    response = ask(weir, "/api/x", origin)
    assert response.status == 200 and cors_of(response) == {}
    assert response.all("Vary") == ["Origin"]
    refused = preflight(weir, "/api/x", origin)
    assert refused.status == 403 and cors_of(refused) == {}
    assert refused.all("Vary") == ["Origin"]


def test_two_origins_are_none(weir):
    response = ask(weir, "/api/x", APP, headers=[("Origin", "https://evil.test")])
    assert cors_of(response) == {}
    response = ask(weir, "/api/x", "https://evil.test", headers=[("origin", APP)])
    assert cors_of(response) == {}


def test_without_an_origin_caches_are_told_that_it_matters(weir):
    response = ask(weir, "/api/x")
    assert cors_of(response) == {} and response.all("Vary") == ["Origin"]
    response = ask(weir, "/api/vary", APP)
    assert response.all("Vary") == ["Accept-Encoding, origin"]


def test_preflights_are_answered_at_the_edge(weir):
    seen = len(weir.origin.requests)
    response = preflight(weir, "/api/x", APP, "DELETE",
                         [("Access-Control-Request-Headers", "authorization,x-page")])
    assert response.status == 204 and response.body == b""
    assert cors_of(response) == {
        "allow-origin": APP, "allow-credentials": "true", "allow-methods": "GET, DELETE",
        "allow-headers": "Authorization, X-Page", "max-age": "3600"}
    assert response.all("Content-Length") == []
    assert len(weir.origin.requests) == seen
    # One that asks for what is not allowed is told what is: the browser draws the line.
    assert cors_of(preflight(weir, "/own/x", APP, "PUT"))["allow-methods"] == "GET, DELETE"
    line = weir.log_of("/api/x")[-1]
    assert (line["status"], line["error"], line["route"]) == (204, "", "/api/")


def test_a_preflight_takes_the_route_of_the_request_that_it_asks_for(weir):
    assert preflight(weir, "/api/x", APP, "DELETE").status == 204
    # No route takes it, neither as OPTIONS nor as what it asks for.
    assert preflight(weir, "/api/x", APP, "POST").status == 405
    # One without Origin, or without what it asks for, is a plain OPTIONS.
    assert ask(weir, "/api/x", None, "OPTIONS", [(PREFLIGHT, "GET")]).status == 405
    assert ask(weir, "/api/x", APP, "OPTIONS").status == 405
    assert ask(weir, "/public/x", APP, "OPTIONS").body == b"OPTIONS"
    # A server that answers preflights itself still gets them.
    response = preflight(weir, "/none/x", APP, "DELETE")
    assert response.status == 200 and response.body == b"OPTIONS"
    assert cors_of(response)["allow-origin"] == "*"


def test_cors_of_a_site(weir):
    assert preflight(weir, "/a/x", APP, host="all.test").status == 204
    for target, status in (("/a/x", 200), ("/nowhere", 404)):
        response = ask(weir, target, APP, host="all.test")
        assert response.status == status and cors_of(response)["allow-origin"] == APP
    assert cors_of(ask(weir, "/b/x", APP, host="all.test"))["allow-origin"] == "*"  # the server's


def test_the_whole_world_without_credentials(weir):
    for origin in (APP, "https://evil.test", None):
        response = ask(weir, "/public/x", origin)
        assert cors_of(response) == {"allow-origin": "*"} and response.all("Vary") == []
    response = preflight(weir, "/public/x", "https://any.test", "POST")
    assert response.status == 204
    assert cors_of(response) == {"allow-origin": "*", "allow-methods": "GET, HEAD, POST",
                                 "allow-headers": "Content-Type", "max-age": "600"}


def test_what_is_asked_for_is_said_back_where_all_is_allowed(weir):
    response = preflight(weir, "/asked/x", "https://b.test", "PURGE",
                         [("Access-Control-Request-Headers", "x-a,x-b"),
                          ("Access-Control-Request-Private-Network", "true")])
    assert cors_of(response) == {
        "allow-origin": "https://b.test", "allow-methods": "PURGE", "allow-headers": "x-a,x-b",
        "max-age": "0", "allow-private-network": "true"}
    assert response.all("Vary") == ["Origin", PREFLIGHT, "Access-Control-Request-Headers"]
    broken = preflight(weir, "/asked/x", "https://a.test", "A B",
                       [("Access-Control-Request-Headers", "x a")])
    assert set(cors_of(broken)) == {"allow-origin", "max-age"}


def test_null_only_where_it_is_named(weir):
    assert cors_of(ask(weir, "/null/x", "null"))["allow-origin"] == "null"
    assert cors_of(ask(weir, "/null/x", "https://null")) == {}
    assert cors_of(ask(weir, "/api/x", "null")) == {}


@pytest.mark.parametrize("target, status", [
    ("/api/404", 404), ("/denied/x", 403), ("/dead/x", 502), ("/own/x", 200)])
def test_errors_can_be_read_by_the_page(weir, target, status):
    response = ask(weir, target, APP)
    assert response.status == status
    assert cors_of(response)["allow-origin"] == APP
    assert preflight(weir, target, APP).status == 204


def test_refused_preflights_say_why_in_the_log(weir):
    assert preflight(weir, "/api/why", "https://evil.test").status == 403
    line = weir.log_of("/api/why")[0]
    assert line["error"] == "weir: refused: origin not allowed", line


def test_security_headers_are_on_preflights_too(weir):
    response = preflight(weir, "/strict/x", APP)
    assert response.status == 204 and response.get("X-Content-Type-Options") == "nosniff"


def test_explain_finds_the_route_of_a_preflight(weir):
    from support.weir import binary
    done = subprocess.run([binary(), "explain", "-c", weir.path, "-X", "OPTIONS", "-H",
                           f"Origin: {APP}", "-H", f"{PREFLIGHT}: DELETE", "http://test/api/x"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert "cors" in done.stdout and "takes it" in done.stdout, done.stdout + done.stderr


PAGE = """<!doctype html><title>cors</title><p id=said>loading</p><script>
const get = async (url, more) => {
  try {
    const answer = await fetch(url, more);
    return answer.status + ':' + await answer.text() + ':' + answer.headers.get('X-Total');
  } catch (error) { return 'refused'; }
};
(async () => {
  const base = 'http://api.localhost:%(port)d';
  const results = [
    await get(base + '/open/a'),
    await get(base + '/open/b', {method: 'DELETE', headers: {'X-Page': '1'}}),
    await get(base + '/open/c', {method: 'PUT'}),
    await get(base + '/shut/d'),
    await get(base + '/shut/e', {method: 'DELETE'}),
    await get(base + '/open/f', {credentials: 'include'}),
  ];
  document.getElementById('said').textContent = results.join(' ');
})();
</script>"""


def test_a_browser_agrees(tmp_path):
    """A page of one origin reads what another allows it, and nothing else."""
    from test_browser import load_page

    def app(conn, request):
        conn.answer(request.method, headers=[*CARELESS[:2], ("X-Total", "7")])

    with Origin(by_request(app)) as origin:
        weir = Weir(upstreams={"app": {"servers": [{"address": origin.address}]}})
        port = free_port()
        page = f"http://page.localhost:{port}"
        weir.config["listeners"]["http"]["address"] = f"127.0.0.1:{port}"
        policy = {"methods": ["GET", "DELETE"], "headers": ["X-Page"],
                  "expose_headers": ["X-Total"], "credentials": True}
        weir.config["sites"] = [
            {"hosts": ["page.localhost"], "routes": [{"path": "/", "respond": {
                "body": (PAGE % {"port": port}).replace("$", "$$").replace("\\", "\\\\"),
                "headers": {"Content-Type": "text/html"}}}]},
            {"hosts": ["api.localhost"], "routes": [
                {"path": "/open/", "methods": ["GET", "DELETE"], "upstream": "app",
                 "cors": {"origins": [page], **policy}},
                {"path": "/shut/", "upstream": "app",
                 "cors": {"origins": ["https://other.test"], **policy}}]}]
        weir.write_config()
        with weir:
            said = load_page(page + "/", tmp_path)
            assert said == "200:GET:7 200:DELETE:7 refused refused refused 200:GET:7"
        # Neither the PUT nor the second DELETE has reached the server: their preflights failed.
        assert [request.method for request in origin.requests] == ["GET", "DELETE", "GET", "GET"]


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

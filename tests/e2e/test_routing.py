"""Routes by pattern, method and condition, rewritten paths, captures: what a client gets and what
the server sees of it."""
import pytest
from support.origin import Origin
from support.weir import Weir

ROUTES = [
    {"name": "v2", "path": "/api", "match": {"header": {"X-Version": "v2"}}, "upstream": "app",
     "rewrite": {"strip_prefix": "/api"}},
    {"name": "beta", "path": "/api/", "upstream": "app",
     "match": {"query": {"beta": "a b"}, "cookie": {"sid": "42"}},
     "rewrite": {"strip_prefix": "/api/", "regex": "^/(\\d+)/(.*)$", "replace": "/n\\1?rest=\\2"}},
    {"name": "read", "path": "/api/", "methods": ["GET"], "upstream": "app"},
    {"name": "write", "path": "/api/things", "methods": ["POST", "PUT"], "upstream": "app"},
    {"name": "patch", "path_regex": "^/api/things/\\d+$", "methods": ["PATCH"],
     "upstream": "app"},
    {"name": "hidden", "path": "/api/", "methods": ["DELETE"], "upstream": "app",
     "match": {"header": {"X-Admin": "yes"}}},
    {"name": "user", "path_regex": "^/u/([a-z]+)/(\\d+)?$", "upstream": "app",
     "redirect": None, "headers": {"request": {"set": {"X-User": "\\1", "X-No": "<\\2>"}},
                                   "response": {"set": {"X-Whole": "\\0"}}}},
    {"name": "moved", "path_regex": "^/old/(.+)\\.html?$",
     "redirect": {"to": "https://$host/new/\\1", "status": 301}},
    {"name": "echo", "path_regex": "^/echo/(.*)$",
     "respond": {"body": "<\\1> \\\\1 $method", "headers": {"X-One": "\\1"}}},
    {"name": "cut", "path": "/cut", "upstream": "app",
     "rewrite": {"regex": "^/cut/up/", "replace": "../.."}},
    {"name": "php", "path": "/php", "upstream": "app",
     "rewrite": {"regex": "^/php/?", "replace": ""}},
    {"name": "slash", "path": "/slash/", "upstream": "app"},
]


@pytest.fixture(scope="module")
def edge():
    routes = [{key: value for key, value in route.items() if value is not None}
              for route in ROUTES]
    merged = [{"path": "/a/b", "upstream": "app"}]
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]}},
            sites=[{"hosts": ["*"], "routes": routes},
                   {"hosts": ["merge.test"], "slashes": "merge", "routes": merged},
                   {"hosts": ["keep.test"], "slashes": "keep", "routes": merged}]) as weir:
        yield weir, origin


def ask(edge, method, target, headers=()):
    with edge[0].client() as client:
        return client.request(method, target, headers)


def route_of(edge, target):
    return edge[0].log_of(target)[-1]["route"]


@pytest.mark.parametrize("number, method, headers, query, route", [
    (1, "GET", [("x-version", "v2")], "", "v2"),
    (2, "DELETE", [("X-Version", "v1"), ("X-Version", "v2")], "", "v2"),
    (3, "GET", [("X-Version", "V2")], "", "read"),
    (4, "POST", [("Cookie", "a=1; sid=42")], "beta=a%20b", "beta"),
    (5, "POST", [("Cookie", "a=1"), ("Cookie", "sid=42")], "x=1&b%65ta=a+b", "beta"),
    (6, "GET", [("Cookie", "sid=421")], "beta=a%20b", "read"),
    (7, "GET", [("Cookie", "sid=42")], "beta=a%2Bb", "read"),
    (8, "GET", [], "", "read"),
    (9, "HEAD", [], "", "read"),
    (10, "POST", [], "", "write"),
    (11, "PUT", [], "", "write"),
    (12, "PATCH", [], "", "patch"),
    (13, "DELETE", [("X-Admin", "yes")], "", "hidden"),
])
def test_the_first_route_whose_conditions_all_hold(edge, number, method, headers, query, route):
    target = f"/api/things/{number}?{query}"
    assert ask(edge, method, target, headers).status == 200
    assert route_of(edge, target) == route


@pytest.mark.parametrize("method, target, headers, allow", [
    ("DELETE", "/api/405/a", [], "GET, HEAD"),
    ("DELETE", "/api/405/b", [("X-Admin", "no")], "GET, HEAD"),
    ("POST", "/api/405/c", [("X-Admin", "yes")], "GET, HEAD, DELETE"),
    ("DELETE", "/api/things", [], "GET, HEAD, POST, PUT"),
    ("DELETE", "/api/things/7", [], "GET, HEAD, POST, PUT, PATCH"),
])
def test_405_names_the_methods_that_another_route_would_take(edge, method, target, headers, allow):
    response = ask(edge, method, target, headers)
    assert response.status == 405
    assert response.get("Allow") == allow
    assert route_of(edge, target) == "unmatched"


def test_404_where_no_method_would_do(edge):
    for method, target in (("GET", "/api"), ("DELETE", "/nothing"), ("GET", "/slash")):
        assert ask(edge, method, target).status == 404


@pytest.mark.parametrize("sent, headers, seen", [
    ("/api/users?x=1", [("X-Version", "v2")], "/users?x=1"),
    ("/api", [("X-Version", "v2")], "/"),
    ("/api?", [("X-Version", "v2")], "/"),
    ("/%61pi/a%2fb/../c", [("X-Version", "v2")], "/c"),
    ("/api//evil.test/x", [("X-Version", "v2")], "/evil.test/x"),
    ("/api/12/a/b?beta=a+b", [("Cookie", "sid=42")], "/n12?rest=a/b"),
    ("/api/x?beta=a+b", [("Cookie", "sid=42")], "/x?beta=a+b"),
    ("/php", [], "/"),
    ("/php/a?q", [], "/a?q"),
    ("/slash//x/%41?q", [], "/slash//x/%41?q"),
])
def test_the_server_gets_the_rewritten_path_and_the_log_the_clients(edge, sent, headers, seen):
    response = ask(edge, "GET", sent, headers)
    assert response.status == 200
    assert response.json()["target"] == seen
    assert edge[0].log_of(sent)


def test_a_rewritten_path_that_climbs_out_is_refused(edge):
    assert ask(edge, "GET", "/cut/up/x").status == 400
    assert ask(edge, "GET", "/cut/x").json()["target"] == "/cut/x"


def test_captures_fill_headers_redirects_and_bodies(edge):
    response = ask(edge, "GET", "/u/kim/")
    assert response.get("X-Whole") == "/u/kim/"
    seen = dict(response.json()["headers"])
    assert seen["X-User"] == "kim"
    assert seen["X-No"] == "<>"
    response = ask(edge, "GET", "/old/a/%62.htm?q")
    assert response.status == 301
    assert response.get("Location") == "https://test/new/a/b"
    response = ask(edge, "GET", "/echo/x%0d%0aY:z")
    assert response.body == b"<x%0D%0AY:z> \\1 GET"
    assert response.get("X-One") == "x%0D%0AY:z"


def test_double_slashes_count_as_one_where_a_site_says_so(edge):
    def ask_host(host):
        with edge[0].client() as client:
            client.send(f"GET //a///b/c HTTP/1.1\r\nHost: {host}\r\n\r\n")
            return client.response()
    response = ask_host("merge.test")
    assert response.status == 200
    assert response.json()["target"] == "//a///b/c"
    assert ask_host("keep.test").status == 404


def test_redirects_lead_to_no_host_of_the_clients_choice():
    routes = [{"path_regex": "^/rd/(.*)$", "redirect": {"to": "/\\1"}},
              {"path_regex": "^(.*)/noslash$", "redirect": {"to": "$path/"}},
              {"path_regex": "^/cdn/(.*)$", "redirect": {"to": "//cdn.example/\\1"}}]
    with Weir(sites=[{"hosts": ["*"], "routes": routes}]) as weir:
        for target, location in (("/rd/a", "/a"), ("/rd//evil.com", "/evil.com"),
                                 ("/rd/\\evil.com", "/evil.com"),
                                 ("/rd///\\/evil.com", "/evil.com"),
                                 ("//evil.com/noslash", "/evil.com/noslash/"),
                                 ("/cdn/x", "//cdn.example/x")):
            assert weir.get(target).get("location") == location, target

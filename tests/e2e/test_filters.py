"""request_id and headers: what the server gets and what the client gets back."""
import re

import pytest
from support.origin import Origin, canned
from support.weir import Weir, proxy

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def at_server(response, name):
    return [v for n, v in response.json()["headers"] if n.lower() == name.lower()]


@pytest.fixture(scope="module")
def pair():
    routes = [
        {"path": "=/trust", "upstream": "app", "request_id": {"trust": True}},
        {"path": "=/named", "upstream": "app", "request_id": {"header": "X-Trace", "trust": True}},
        {"path": "=/off", "upstream": "app", "request_id": "off", "headers": "off"},
        {"path": "=/host", "upstream": "app",
         "headers": {"request": {"set": {"Host": "inner.test"}}}},
        {"path": "=/uri-host", "upstream": "app",
         "headers": {"request": {"set": {"Host": "$uri"}}}},
        {"path": "=/own", "respond": {"status": 404, "body": "id $request_id\n",
                                      "headers": {"X-Absent": "theirs"}}},
        {"path": "=/redirect", "redirect": {"to": "/new"}},
        {"path": "=/dead", "upstream": "dead"},
        {"path": "/", "upstream": "app"},
    ]
    headers = {
        "request": {"set": {"X-Tenant": "acme"}, "add": {"X-Who": "$client_ip $method $host"},
                    "set_if_absent": {"X-Once": "ours"}, "remove": ["X-Debug"]},
        "response": {"set": {"X-Status": "$status"}, "set_if_absent": {"X-Absent": "ours"}},
    }
    with Origin() as origin, Weir(
            upstreams={"app": {"servers": [{"address": origin.address}]},
                       "dead": {"servers": [{"address": "127.0.0.1:1"}]}},
            sites=[{"hosts": ["*"], "headers": headers, "routes": routes}]) as weir:
        yield weir, origin


def get(pair, target, headers=()):
    with pair[0].client() as client:
        return client.request("GET", target, headers)


def test_the_id_is_our_own_and_the_same_on_both_sides(pair):
    response = get(pair, "/", [("X-Request-Id", "theirs"), ("x-request-id", "again")])
    ids = response.all("X-Request-Id")
    assert len(ids) == 1 and UUID4.fullmatch(ids[0])
    assert at_server(response, "X-Request-Id") == ids


def test_every_request_has_another_id(pair):
    with pair[0].client() as client:
        ids = {client.request().get("X-Request-Id") for _ in range(200)}
    assert len(ids) == 200


@pytest.mark.parametrize("good", ["a", "abc-DEF_1.2", "x" * 128])
def test_a_trusted_id_is_kept(pair, good):
    response = get(pair, "/trust", [("X-Request-Id", good)])
    assert response.all("X-Request-Id") == [good]
    assert at_server(response, "X-Request-Id") == [good]


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "a,b", 'a"', "x" * 10_000])
def test_a_doubtful_id_is_replaced_even_where_ids_are_trusted(pair, bad):
    response = get(pair, "/trust", [("X-Request-Id", bad)])
    ids = response.all("X-Request-Id")
    assert len(ids) == 1 and UUID4.fullmatch(ids[0])
    assert at_server(response, "X-Request-Id") == ids


def test_the_header_of_the_id_can_be_named(pair):
    response = get(pair, "/named", [("X-Trace", "t1")])
    assert response.all("X-Trace") == ["t1"]
    assert at_server(response, "X-Trace") == ["t1"]
    assert response.all("X-Request-Id") == []


def test_off_leaves_everything_as_it_came(pair):
    response = get(pair, "/off", [("X-Request-Id", "theirs"), ("X-Debug", "1")])
    assert at_server(response, "X-Request-Id") == ["theirs"]
    assert at_server(response, "X-Debug") == ["1"]
    assert at_server(response, "X-Tenant") == []
    assert response.all("X-Request-Id") == []
    assert response.all("X-Status") == []


def test_the_servers_own_id_does_not_come_twice():
    answer = (b"HTTP/1.1 200 OK\r\nX-Request-Id: s1\r\nx-request-id: s2\r\n"
              b"Content-Length: 2\r\n\r\nok")
    with Origin(canned(answer)) as origin, proxy(origin) as weir:
        ids = weir.get().all("X-Request-Id")
        assert len(ids) == 1 and UUID4.fullmatch(ids[0])


def test_request_edits(pair):
    response = get(pair, "/", [("X-Tenant", "spoofed"), ("X-Debug", "1"), ("x-debug", "2"),
                               ("X-Who", "me"), ("X-Once", "theirs")])
    assert at_server(response, "X-Tenant") == ["acme"]
    assert at_server(response, "X-Debug") == []
    assert at_server(response, "X-Who") == ["me", "127.0.0.1 GET test"]
    assert at_server(response, "X-Once") == ["theirs"]
    assert at_server(get(pair, "/"), "X-Once") == ["ours"]


def test_look_alikes_of_what_weir_sets_do_not_pass(pair):
    headers = [("X_Tenant", "spoofed"), ("x-TENANT", "spoofed"), ("X_Debug", "1"),
               ("X_Request-Id", "theirs"), ("X_Request_Id", "theirs")]
    response = get(pair, "/", [*headers, ("X_Who", "me"), ("X_Once", "theirs"), ("a_b", "1")])
    seen = {name.lower(): value for name, value in response.json()["headers"]}
    assert seen["x-tenant"] == "acme" and UUID4.fullmatch(seen["x-request-id"])
    assert not {"x_tenant", "x_debug", "x_request-id", "x_request_id"} & set(seen)
    # Where the client's own value may stand, so may another name.
    assert (seen["x_who"], seen["x_once"], seen["a_b"]) == ("me", "theirs", "1")
    assert at_server(get(pair, "/off", headers), "X_Tenant") == ["spoofed"]


@pytest.mark.parametrize("target, status, absent", [
    ("/", 200, "ours"), ("/own", 404, "theirs"), ("/redirect", 308, "ours"),
    ("/dead", 502, "ours")])
def test_response_edits_are_on_every_answer(pair, target, status, absent):
    response = get(pair, target)
    assert response.status == status
    assert response.all("X-Status") == [str(status)]
    assert response.all("X-Absent") == [absent]
    assert len(response.all("X-Request-Id")) == 1


def test_the_id_in_a_body_is_the_one_in_the_header(pair):
    response = get(pair, "/own")
    assert response.body.decode() == f"id {response.get('X-Request-Id')}\n"


def test_host_can_be_set_and_the_clients_own_is_passed_on(pair):
    response = get(pair, "/host")
    assert at_server(response, "Host") == ["inner.test"]
    assert at_server(response, "X-Forwarded-Host") == ["test"]
    assert at_server(response, "X-Who") == ["127.0.0.1 GET test"]


def test_a_host_that_a_variable_spoils_is_refused(pair):
    seen = len(pair[1].requests)
    assert get(pair, "/uri-host").status == 400
    assert len(pair[1].requests) == seen

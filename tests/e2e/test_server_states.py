"""What an operator wants of a server: drained, taken down and up again in a running daemon."""
import json
import os
import subprocess
import threading
from urllib.parse import quote

import pytest
from support.load import Load
from support.origin import Origin, by_request, echo
from support.raw import RawClient
from support.waiting import wait_for
from support.weir import Weir, binary, proxy


def weir_for(*origins, **options):
    servers = [{"address": origin.address} for origin in origins]
    return Weir({"app": {"servers": servers}},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}], **options)


def path_of(address, upstream="app"):
    return f"/upstreams/{quote(upstream, safe='')}/servers/{quote(address, safe='')}"


def post(weir, path, body, headers=()):
    host, _, port = weir.admin_address.rpartition(":")
    with RawClient((host, int(port))) as client:
        return client.request("POST", path, body=body, headers=headers, host=weir.admin_address)


def set_state(weir, address, state):
    answer = post(weir, path_of(address), json.dumps({"state": state}).encode())
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def state_of(weir, address):
    status, text = weir.admin(path_of(address))
    assert status == 200
    return json.loads(text)["state"]


def command(weir, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "WEIR_ADMIN_TOKEN"}
    return subprocess.run([binary(), "drain", "--admin", weir.admin_address, *arguments],
                          capture_output=True, text=True, timeout=30, check=False, env=environment)


@pytest.mark.parametrize("state", ["drain", "down"])
def test_nobody_new_and_whoever_is_there_finishes(state):
    held, go_on = threading.Event(), threading.Event()

    def hold(conn, request):
        if request.target == "/held":
            held.set()
            assert go_on.wait(20)
        conn.answer(request.target)

    with Origin(by_request(hold)) as leaving, Origin(echo) as staying, \
            weir_for(leaving, staying, workers=2) as weir:
        for _ in range(20):  # until one has gone there
            client = weir.client(timeout=20)
            client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            if held.wait(0.3):
                break
            client.reset()
        answer = set_state(weir, leaving.address, state)
        assert (answer["state"], answer["reason"]) == (state, "by an operator")
        assert answer["in_flight"] == 1 and "warning" not in answer
        before = len(leaving.requests)
        assert all(weir.get().status == 200 for _ in range(20))
        assert len(leaving.requests) == before
        go_on.set()
        assert client.response().status == 200
        client.reset()
        health = json.loads(weir.admin("/health")[1])
        assert health["status"] == "degraded"
        states = [server["state"] for server in health["upstreams"]["app"]["servers"]]
        assert states == [state, "up"]


def test_no_request_fails_while_servers_go_and_come():
    with Origin(echo) as one, Origin(echo) as other, weir_for(one, other, workers=2) as weir:
        def connect():
            client = weir.client(timeout=20)
            return lambda: client.request("GET", "/")

        with Load(connect) as load:
            for _ in range(5):
                for origin in (one, other):
                    set_state(weir, origin.address, "drain")
                    wait_for(lambda: len(load.done) > 0)
                    set_state(weir, origin.address, "up")
        assert load.failures == [] and load.done


def test_a_state_outlives_reloads_but_not_the_server():
    with Origin(echo) as one, Origin(echo) as other, weir_for(one, other) as weir:
        set_state(weir, one.address, "drain")
        weir.reload()
        assert state_of(weir, one.address) == "drain"
        servers = weir.config["upstreams"]["app"]["servers"]
        gone = servers.pop(0)
        weir.write_config()
        weir.reload()
        assert weir.admin(path_of(one.address))[0] == 404
        servers.append(gone)
        weir.write_config()
        weir.reload()
        assert state_of(weir, one.address) == "up"


def test_the_last_server_is_taken_down_with_a_warning():
    with Origin(echo) as only, proxy(only) as weir:
        answer = set_state(weir, only.address, "down")
        assert answer["warning"] == "no server of this upstream takes new requests now"
        weir.wait_line("no server of this upstream takes new requests now")
        assert weir.get().status == 503
        assert only.requests == []
        assert "warning" not in set_state(weir, only.address, "up")
        assert weir.get().status == 200


def test_errors_say_what_is_wrong():
    with Origin(echo) as origin, proxy(origin) as weir:
        path = path_of(origin.address)
        for where in (path_of(origin.address, "nobody"), path_of("127.0.0.1:1"), "/upstreams/app"):
            answer = post(weir, where, b'{"state":"up"}')
            assert answer.status == 404 and "error" in json.loads(answer.body)
        for body in (b"", b"x", b"[]", b"{}", b'{"state":"away"}', b'{"state":1}',
                     b'{"state":"up","more":1}'):
            answer = post(weir, path, body)
            assert answer.status == 400, body
            assert "drain" in json.loads(answer.body)["error"]
        assert post(weir, path, b'{"state":"up"}' + b" " * 5000).status == 413
        assert weir.admin(path, "PUT")[0] == 405
        elsewhere = post(weir, path, b'{"state":"down"}', [("Sec-Fetch-Site", "cross-site")])
        assert elsewhere.status == 403
        assert state_of(weir, origin.address) == "up"


def test_a_token_is_asked_for_and_a_slow_body_is_waited_for():
    admin = {"address": "127.0.0.1:0", "token": "tok-1"}
    with Origin(echo) as origin, proxy(origin, admin=admin) as weir:
        path, body = path_of(origin.address), b'{"state":"drain"}'
        assert post(weir, path, body).status == 401
        host, _, port = weir.admin_address.rpartition(":")
        with RawClient((host, int(port))) as client:
            client.send(f"POST {path} HTTP/1.1\r\nHost: {weir.admin_address}\r\n"
                        f"Authorization: Bearer tok-1\r\nContent-Length: {len(body)}\r\n\r\n")
            for byte in body:
                client.send(bytes([byte]))
            assert json.loads(client.response().body)["state"] == "drain"


def test_the_command():
    with Origin(echo) as one, Origin(echo) as other, weir_for(one, other) as weir:
        said = command(weir, "app", one.address)
        assert said.returncode == 0
        assert said.stdout == f"app: {one.address}: drain, by an operator; 0 requests under way\n"
        assert command(weir, "app", other.address, "--down").stdout.endswith(
            "warning: no server of this upstream takes new requests now\n")
        assert command(weir, "app", one.address, "--undo").stdout.startswith(
            f"app: {one.address}: up")
        assert state_of(weir, other.address) == "down"
        wrong = command(weir, "app", "nowhere:1")
        assert wrong.returncode == 1 and 'has no server "nowhere:1"' in wrong.stderr

"""An operator has a key of a rate limit begin anew: POST /rate_limits/reset, `weir reset`."""
import json
import os
import subprocess

import pytest
from support.fleet import SLOW, admitted, instance, redis_is, wait_up
from support.raw import RawClient
from support.redis import Redis
from support.waiting import wait_for
from support.weir import Weir, binary

LOGIN = {"rate": "5/15m", "algorithm": "fixed_window", "block_for": "1h"}
OWN = {"login": LOGIN, "api": {"key": ["header:X-Key", "path"], **SLOW, "burst": 2}}
SERVED = {"respond": {"status": 200, "body": "ok"}}


def limited(**options):
    return Weir(sites=[{"hosts": ["*"], "routes": [
        {"path": "/login", "rate_limit": ["login"], **SERVED},
        {"path": "/", "rate_limit": ["api"], **SERVED}]}], rate_limits=OWN, **options)


def post(weir, body, headers=()):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    host, _, port = weir.admin_address.rpartition(":")
    with RawClient((host, int(port))) as client:
        answer = client.request("POST", "/rate_limits/reset", headers, body,
                                host=weir.admin_address)
    return answer.status, answer.body.decode()


def reset(weir, limit, key):
    status, text = post(weir, {"limit": limit, "key": key})
    return status, json.loads(text)


def command(weir, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "WEIR_ADMIN_TOKEN"}
    return subprocess.run([binary(), "reset", "--admin", weir.admin_address, *arguments],
                          capture_output=True, text=True, timeout=30, check=False, env=environment)


def test_who_is_blocked_is_let_in_and_nobody_else():
    def admitted_from(source):
        with RawClient(weir.address, source=source) as client:
            return [client.request("GET", "/login").status for _ in range(6)].count(200)

    with limited(workers=2) as weir:
        assert [admitted_from(f"127.0.0.{n}") for n in (2, 3, 2, 3)] == [5, 5, 0, 0]
        key = "client_ip=127.0.0.2"
        assert reset(weir, "login", key) == (200, {"limit": "login", "key": key, "reset": True})
        assert [admitted_from(f"127.0.0.{n}") for n in (2, 3, 2)] == [5, 0, 0]
        weir.wait_line("admin: rate limit login: a key begins anew; asked for by 127.0.0.1")


def test_a_key_of_several_parts_is_written_as_explain_shows_it():
    with limited() as weir:
        headers = [("X-Key", "a&b")]
        assert admitted(weir, 4, target="/x", headers=headers) == 3
        shown = subprocess.run(
            [binary(), "explain", "-c", weir.path, "-H", "X-Key: a&b", "http://test/x"],
            capture_output=True, text=True, timeout=30, check=False).stdout
        key = shown.partition("counts by ")[2].split()[0]
        assert key == "header:X-Key=a\\&b&path=/x"
        assert reset(weir, "api", "header:X-Key=ab&path=/x")[0] == 200  # another one
        assert admitted(weir, 1, target="/x", headers=headers) == 0
        done = command(weir, "api", key)
        assert (done.returncode, done.stdout) == (0, f"reset: api: {key}\n")
        assert admitted(weir, 4, target="/x", headers=headers) == 3


def test_what_cannot_be_reset():
    with limited() as weir:
        for bad in (b"x", b"{}", {"limit": "login"}, {"limit": "login", "key": 1},
                    {"limit": "login", "key": "client_ip=127.0.0.1", "x": 1},
                    {"limit": "login", "key": "127.0.0.1"}, {"limit": "api", "key": "path=/x"}):
            status, text = post(weir, bad)
            assert status == 400 and json.loads(text)["error"], bad
        assert reset(weir, "nobody", "client_ip=127.0.0.1") == (
            404, {"error": 'no rate limit has the name "nobody"'})
        assert post(weir, b"x" * 5000)[0] == 413
        assert weir.admin("/rate_limits/reset")[0] == 405
        assert "/rate_limits/reset" in weir.admin("/")[1]
        done = command(weir, "login", "127.0.0.1")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("weir: a key of this limit is client_ip=...")
    with Weir(sites=[{"hosts": ["*"], "routes": [{"path": "/", **SERVED}]}]) as weir:
        assert reset(weir, "login", "client_ip=127.0.0.1")[0] == 404


def test_a_token_is_asked_for():
    with limited(admin={"address": "127.0.0.1:0", "token": "secret"}) as weir:
        body = {"limit": "login", "key": "client_ip=127.0.0.1"}
        assert post(weir, body)[0] == 401
        assert post(weir, body, [("Authorization", "Bearer secret"),
                                 ("Origin", "http://elsewhere.example")])[0] == 403
        assert post(weir, body, [("Authorization", "Bearer secret")])[0] == 200
        assert "wants a token" in command(weir, "login", "client_ip=127.0.0.1").stderr


@pytest.mark.parametrize("limit", [LOGIN, {**SLOW, "burst": 4}])
def test_of_a_shared_limit_for_all_instances(limit):
    with Redis() as redis, instance(redis, {"login": limit}, workers=2) as one, \
            instance(redis, {"login": limit}) as two:
        wait_up(one, two)
        assert admitted(one, 6) == 5 and admitted(two, 6) == 0
        assert reset(two, "login", "client_ip=127.0.0.9")[0] == 200
        assert admitted(two, 1) == 0
        assert reset(two, "login", "client_ip=127.0.0.1")[0] == 200
        assert admitted(two, 1) == 1
        # What it was told before it believes for a second.
        wait_for(lambda: admitted(one, 1) == 1, 20)
        assert admitted(two, 6) == 3


def test_of_a_shared_limit_without_redis():
    with Redis() as redis, instance(redis, {"login": LOGIN}, timeout="50ms") as weir:
        wait_up(weir)
        assert admitted(weir, 6) == 5
        redis.pause()
        status, answer = reset(weir, "login", "client_ip=127.0.0.1")
        assert status == 503 and "Redis" in answer["error"]
        done = command(weir, "login", "client_ip=127.0.0.1")
        assert (done.returncode, done.stdout) == (1, "") and "Redis" in done.stderr
        assert admitted(weir, 6) == 5  # it is alone, and has forgotten the block
        redis.go_on()
        wait_for(lambda: redis_is(weir, "healthy"), 20)
        assert reset(weir, "login", "client_ip=127.0.0.1")[0] == 200
        assert admitted(weir, 1) == 1

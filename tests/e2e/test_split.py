"""Traffic splits: who is on which side, who moves, testers, and those without a key."""
import itertools
import math
import re
import subprocess
import time

import pytest
from support.load import Load
from support.origin import Origin, by_request
from support.waiting import wait_for
from support.weir import Weir, binary

USERS = 1000


def named(name):
    return Origin(by_request(lambda conn, _: conn.answer(name)))


class World:
    """`app` and `canary`, each with one server that answers with its name."""

    def __init__(self, split, weights=(90, 10), **options):
        self.origins = {"app": named("app"), "canary": named("canary")}
        self.split = {"key": "header:X-User", **split}
        if self.split["key"] is None:
            del self.split["key"]
        upstreams = {n: {"servers": [{"address": o.address}]} for n, o in self.origins.items()}
        route = {"path": "/", "name": "shop", "split": self.split}
        self.weigh(*weights)
        self.weir = Weir(upstreams, [{"hosts": ["*"], "routes": [route]}], **options)

    def weigh(self, *weights):
        self.split["to"] = [{"upstream": name, "weight": weight}
                            for name, weight in zip(self.origins, weights)]

    def reload(self, *weights):
        self.weigh(*weights)
        self.weir.write_config()
        self.weir.reload()

    def sides(self, users=USERS):
        """The side of each user, asked over several connections."""
        sides = []
        for part in range(0, users, 100):
            with self.weir.client() as client:
                sides += [client.request(headers=[("X-User", f"u{i}")]).body.decode()
                          for i in range(part, min(part + 100, users))]
        return sides

    def __enter__(self):
        self.weir.__enter__()
        return self

    def __exit__(self, *info):
        self.weir.__exit__(*info)
        for origin in self.origins.values():
            origin.stop()


def assert_share(count, percent, total=USERS):
    expected = total * percent / 100
    sigma = math.sqrt(expected * (1 - percent / 100))
    assert abs(count - expected) <= 4 * sigma + 0.5, (count, expected)


def test_shares_and_who_moves_when_they_change():
    with World({}, (100, 0), workers=4) as world:
        before = world.sides()
        assert set(before) == {"app"}
        for percent in (10, 50, 100):
            world.reload(100 - percent, percent)
            sides = world.sides()
            assert_share(sides.count("canary"), percent)
            # Nobody who had it loses it.
            assert all(now == "canary" for now, then in zip(sides, before) if then == "canary")
            before = sides
        world.reload(90, 10)
        assert_share(world.sides().count("canary"), 10)


def test_no_request_fails_while_all_users_are_switched():
    with World({}, (100, 0), workers=2) as world:
        user = itertools.count()

        def connect():
            client = world.weir.client(timeout=20)
            return lambda: client.request("GET", "/", headers=[("X-User", f"u{next(user)}")])

        with Load(connect) as load:
            for percent in (10, 50, 100, 0):
                world.reload(100 - percent, percent)
                before = len(load.done)
                wait_for(lambda wanted=before + 50: len(load.done) > wanted)
        assert load.failures == []
        assert world.origins["canary"].requests and world.weir.get().body == b"app"


def test_a_user_stays_on_every_worker_and_over_a_reload():
    with World({}, (50, 50), workers=4) as world:
        first = world.sides(200)
        for _ in range(3):
            assert world.sides(200) == first
        world.weir.reload()
        assert world.sides(200) == first


def test_weights_that_do_not_total_100_are_refused():
    with World({}) as world:
        world.weigh(90, 9)
        world.weir.write_config()
        world.weir.reload("failed")
        world.weir.wait_line(r"split\.to: the weights total 99; they are percentages")


def test_without_a_key_to_the_control():
    with World({}, (1, 99)) as world:
        for _ in range(30):
            assert world.weir.get().body == b"app"
        answer = world.weir.get()
        assert answer.all("set-cookie") == []
        assert answer.all("vary") == ["X-User"]


COOKIE = re.compile(r"weir_split=([0-9a-f-]{36}); Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax$")


def test_without_a_key_a_random_side_that_is_remembered():
    with World({"missing": "random"}, (50, 50), workers=2) as world:
        sides = []
        for _ in range(100):
            answer = world.weir.get()
            sides.append(answer.body)
            cookie = COOKIE.match(answer.get("set-cookie"))
            for _ in range(3):
                again = world.weir.get(headers=[("Cookie", f"weir_split={cookie[1]}")])
                assert (again.body, again.all("set-cookie")) == (answer.body, [])
        assert_share(sides.count(b"canary"), 50, 100)
        assert len(set(sides)) == 2
        # A key is worth more than what was drawn.
        with_key = world.weir.get(headers=[("X-User", "u1"), ("Cookie", "weir_split=x")])
        assert with_key.body == world.sides(2)[1].encode()
        assert with_key.all("set-cookie") == []


def test_the_cookie_of_a_client_that_came_by_https_is_secure():
    with World({"key": None, "missing": "random", "cookie": "side", "ttl": "1h"},
               trusted_proxies=["127.0.0.0/8"]) as world:
        answer = world.weir.get(headers=[("X-Forwarded-Proto", "https")])
        assert re.match(r"side=[0-9a-f-]{36}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; "
                        r"Secure$", answer.get("set-cookie"))
        assert answer.get("vary") == "Cookie"


def test_testers_name_their_side():
    override = {"header": "X-Side", "cookie": "side"}
    with World({"override": override}, (100, 0)) as world:
        def side(*headers):
            return world.weir.get(headers=headers).body

        assert side(("X-Side", "canary")) == b"canary"
        assert side(("Cookie", "side=canary")) == b"canary"
        assert side(("X-Side", "app"), ("Cookie", "side=canary")) == b"app"
        assert side(("X-Side", "shadow"), ("X-User", "u1")) == b"app"
        assert side(("X-Side", "")) == b"app"


def test_log_and_metrics_tell_the_side():
    with World({}, (50, 50)) as world:
        sides = world.sides(60)
        for name in ("app", "canary"):
            assert world.weir.metric("weir_split_requests_total", route="shop",
                                     upstream=name) == sides.count(name)
        assert [line["upstream"] for line in world.weir.access_log(60)] == sides


def test_a_side_whose_servers_are_gone_is_not_replaced_by_the_other():
    """A canary that fails shows: its users are not moved behind the operator's back."""
    with World({}, (0, 100)) as world:
        world.origins["canary"].stop()
        answer = world.weir.get(headers=[("X-User", "u1")])
        assert answer.status == 502 and answer.all("vary") == ["X-User"]


@pytest.mark.parametrize("total, status", [("100ms", 504), ("0s", 200)])
def test_the_total_time_is_that_of_the_side(total, status):
    with World({}, (0, 100)) as world:
        def late(conn, _):
            time.sleep(0.6)
            conn.answer("canary")

        world.origins["canary"].handler = by_request(late)
        upstreams = world.weir.config["upstreams"]
        upstreams["app"]["timeouts"] = {"total": "200ms"}
        upstreams["canary"]["timeouts"] = {"total": total}
        world.weir.write_config()
        world.weir.reload()
        assert world.weir.get(headers=[("X-User", "u1")]).status == status


def test_explain_tells_the_side(tmp_path):
    path = tmp_path / "weir.yaml"
    path.write_text("""
listeners: {http: {address: "127.0.0.1:8080"}}
upstreams: {app: {servers: [{address: "127.0.0.1:1"}]}, new: {servers: [{address: "127.0.0.1:2"}]}}
sites:
  - hosts: [a.test]
    routes:
      - path: /
        split: {name: checkout, key: header:X-User, missing: random, override: {header: X-Side},
                to: [{upstream: app, weight: 19.31}, {upstream: new, weight: 80.69}]}
""")

    def explain(*headers):
        arguments = [x for header in headers for x in ("-H", header)]
        done = subprocess.run([binary(), "explain", "-c", str(path), *arguments,
                               "http://a.test:8080/"], capture_output=True, text=True, timeout=30,
                              check=False)
        assert done.returncode == 0
        return done.stdout

    shares = 'split      "checkout", by header:X-User: app 19.31 %, new 80.69 %\n'
    assert explain("X-User: user-1").endswith(
        shares + "           app: has bucket 8069\nupstream   app, balance least_conn\n"
        "           127.0.0.1:1, weight 1\n")
    assert "           new: has bucket 502\nupstream   new" in explain("X-User: user-2")
    assert "new: the header x-side says so" in explain("X-Side: new").lower()
    assert "has bucket 8069, of the cookie weir_split" in explain("Cookie: weir_split=user-1")
    drawn = explain()
    assert "no key: one is drawn, and kept by the cookie weir_split" in drawn
    assert "upstream   app" in drawn and "upstream   new" in drawn

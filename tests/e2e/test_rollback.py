"""A canary that is worse than its base goes to 0 %, says so, and stays there."""
import itertools
import threading
import time

import pytest
from support.origin import Origin, by_request
from support.waiting import wait_for
from support.weir import Weir

RULE = {"error_rate_over": "10%", "window": "30s", "min_requests": 20}


def good(name):
    def answer(conn, request):
        if request.target == "/held":
            assert conn.origin.go_on.wait(20)
        conn.answer(name)

    return by_request(answer)


def failing_every(number, name):
    """That one of so many answers is a 500, until the origin is mended."""
    turn = itertools.count()

    def answer(conn, _):
        fails = next(turn) % number == 0 and not hasattr(conn.origin, "mended")
        conn.answer(name, status="500 Broken" if fails else "200 OK")

    return by_request(answer)


class World:
    """`app` and `canary`, half of the users each; every request is another user's."""

    def __init__(self, app, canary, rule=None, **options):
        self.origins = {"app": Origin(app), "canary": Origin(canary)}
        self.origins["app"].go_on = threading.Event()
        self.split = {"key": "header:X-User", "override": {"header": "X-Side"},
                      "rollback": rule or RULE}
        self.weigh(50, 50)
        upstreams = {n: {"servers": [{"address": o.address}]} for n, o in self.origins.items()}
        self.weir = Weir(upstreams, [{"hosts": ["*"], "routes": [
            {"path": "/", "name": "shop", "split": self.split}]}], **options)
        self.users = itertools.count()

    def weigh(self, *weights):
        self.split["to"] = [{"upstream": name, "weight": weight}
                            for name, weight in zip(self.origins, weights)]

    def reload(self):
        self.weir.write_config()
        self.weir.reload()

    def ask(self, count):
        """The bodies of so many answers."""
        with self.weir.client() as client:
            return [client.request(headers=[("X-User", f"u{next(self.users)}")]).body.decode()
                    for _ in range(count)]

    def ask_until_rolled_back(self, seconds=15):
        deadline = time.monotonic() + seconds
        while self.weir.metric("weir_split_rolled_back", route="shop", upstream="canary") == 0:
            assert time.monotonic() < deadline, "it never was"
            self.ask(10)
            time.sleep(0.02)

    def rolled_back(self):
        return self.weir.metric("weir_split_rolled_back", route="shop", upstream="canary") == 1

    def __enter__(self):
        self.weir.__enter__()
        return self

    def __exit__(self, *info):
        self.weir.__exit__(*info)
        for origin in self.origins.values():
            origin.stop()


@pytest.mark.parametrize("workers", [1, 4])
def test_a_canary_that_fails_half_of_its_requests(workers):
    with World(good("app"), failing_every(2, "canary"), workers=workers) as world:
        assert not world.rolled_back()
        world.ask_until_rolled_back()
        world.weir.wait_line(r"split \* shop: upstream canary is rolled back: \d+ of \d+ answers "
                             r"were 5xx, 0 of \d+ of app; its users go to app until the split "
                             r"changes")
        assert set(world.ask(100)) == {"app"}
        # Testers still get there.
        assert world.weir.get(headers=[("X-Side", "canary")]).body == b"canary"


def test_a_canary_that_is_gone():
    with World(good("app"), good("canary")) as world:
        world.origins["canary"].stop()
        world.ask_until_rolled_back()
        assert set(world.ask(100)) == {"app"}


def test_a_canary_that_is_slow():
    def slow(conn, _):
        time.sleep(0.1)
        conn.answer("canary")

    rule = {"p95_over": "300%", "min_requests": 20}
    with World(good("app"), by_request(slow), rule) as world:
        world.ask_until_rolled_back(seconds=30)
        world.weir.wait_line(r"rolled back: its p95 was \d+\.\d ms, that of app \d+\.\d ms")
        assert set(world.ask(50)) == {"app"}


def test_a_canary_that_hangs_until_its_users_leave():
    over = threading.Event()

    def hanging(conn, _):
        over.wait(60)

    rule = {"p95_over": "300%", "min_requests": 10}
    with World(good("app"), by_request(hanging), rule) as world:
        clients = [world.weir.client(timeout=20) for _ in range(60)]
        for user, client in enumerate(clients):
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-User: u{user}\r\n\r\n".encode())
        asked = [origin.requests for origin in world.origins.values()]
        wait_for(lambda: sum(map(len, asked)) == len(clients))
        assert min(map(len, asked)) >= 10
        of_app = [("X-User", world.origins["app"].requests[0].get("x-user"))]
        time.sleep(0.3)  # what those of the canary have waited, at least
        for client in clients:
            client.reset()
        deadline = time.monotonic() + 20
        while not world.rolled_back():
            assert time.monotonic() < deadline, "it never was"
            assert world.weir.get(headers=of_app).body == b"app"
            time.sleep(0.05)
        over.set()
        world.weir.wait_line(r"rolled back: its p95 was \d+\.\d ms")
        assert set(world.ask(50)) == {"app"}


def test_a_canary_as_good_as_its_base_stays():
    with World(failing_every(4, "app"), failing_every(4, "canary"),
               {**RULE, "error_rate_over": "50%"}) as world:
        for _ in range(10):
            world.ask(40)
            time.sleep(0.05)
        assert not world.rolled_back()
        assert set(world.ask(100)) == {"app", "canary"}


def test_it_stays_over_reloads_until_the_split_changes():
    with World(good("app"), failing_every(2, "canary")) as world:
        world.ask_until_rolled_back()
        world.weir.config["upstreams"]["app"]["timeouts"] = {"read": "50s"}
        world.reload()
        assert world.rolled_back() and set(world.ask(50)) == {"app"}
        # A reload that fails changes nothing either.
        world.weigh(60, 30)
        world.weir.write_config()
        world.weir.reload("failed")
        assert world.rolled_back()
        world.origins["canary"].mended = True
        world.weigh(60, 40)
        world.reload()
        assert not world.rolled_back()
        assert set(world.ask(50)) == {"app", "canary"}
        # Weights of before are a new split, too: what was known of them is over.
        world.weigh(50, 50)
        world.reload()
        assert not world.rolled_back()
        for _ in range(5):
            world.ask(20)
            time.sleep(0.05)
        assert not world.rolled_back() and set(world.ask(50)) == {"app", "canary"}


def test_an_earlier_split_that_somebody_still_uses_is_over_too():
    """A request that is under way keeps its configuration, and so what was known in it."""
    with World(good("app"), failing_every(2, "canary")) as world:
        held = world.weir.client(timeout=20)
        held.send(b"GET /held HTTP/1.1\r\nHost: a\r\nX-Side: app\r\n\r\n")
        wait_for(lambda: world.origins["app"].requests)
        world.ask_until_rolled_back()
        for weights in ((100, 0), (50, 50)):
            world.weigh(*weights)
            world.reload()
            assert not world.rolled_back()
        assert "canary" in world.ask(20)
        world.origins["app"].go_on.set()
        assert held.response().body == b"app"
        held.sock.close()

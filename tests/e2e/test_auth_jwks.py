"""auth.jwt.jwks from an upstream: keys that are fetched, kept, and fetched again."""
import json
import time

import pytest
from support import tokens
from support.origin import Origin, by_request
from support.tokens import Key, claims, hs
from support.waiting import in_threads, wait_for
from support.weir import Weir


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("keys"))
    return [Key(kind, folder, kind) for kind in ("RSA", "P-256", "Ed25519")]


class Issuer:
    """Whose keys are what a test says: a list of keys, or bytes, or a status."""

    def __init__(self):
        self.serves = []
        self.slow_s = 0
        self.origin = Origin(by_request(self.answer))

    def answer(self, conn, _):
        time.sleep(self.slow_s)
        if isinstance(self.serves, str):
            return conn.answer(b"oops", self.serves)
        if isinstance(self.serves, bytes):
            return conn.answer(self.serves)
        return conn.answer(json.dumps({"keys": [key.jwk() for key in self.serves]}).encode())

    @property
    def asked(self):
        return len(self.origin.requests)

    def __enter__(self):
        self.origin.__enter__()
        return self

    def __exit__(self, *args):
        self.origin.__exit__(*args)


def weir_for(origin, issuer, jwks=None, jwt=None, **options):
    jwks = {"upstream": "id", "path": "/keys?v=1", "host": "id.test", **(jwks or {})}
    return Weir({"app": {"servers": [{"address": origin.address}]},
                 "id": {"servers": [{"address": issuer.origin.address, "max_fails": 0}],
                        "retry": {"attempts": 1}}},
                [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app", "auth": {
                    "jwt": {"jwks": jwks, **(jwt or {})}}}]}],
                environment={"SECRET": tokens.SECRET}, **options)


def status(weir, token):
    return weir.get("/", headers=[("Authorization", f"Bearer {token}")]).status


def token_of(key):
    return key.token({"RSA": "RS256", "P-256": "ES256"}.get(key.kid, "EdDSA"), claims())


@pytest.mark.parametrize("workers", [1, 4])
def test_keys_are_fetched_once_and_nobody_is_named(keys, workers):
    with Origin() as origin, Issuer() as issuer, \
            weir_for(origin, issuer, workers=workers) as weir:
        issuer.serves, issuer.slow_s = keys, 0.3
        sent = [token_of(key) for key in keys]
        answers = in_threads(8, lambda i: status(weir, sent[i % 3]))
        assert set(answers) == {200}
        (asked,) = issuer.origin.requests
        assert (asked.method, asked.target, asked.get("host")) == ("GET", "/keys?v=1", "id.test")
        for name in ("authorization", "x-forwarded-for", "x-real-ip", "x-forwarded-host"):
            assert asked.get(name) is None, name
        forged = token_of(keys[0])[:-4] + "AAAA"
        assert status(weir, forged) == 401
        assert issuer.asked == 1


def test_a_new_key_is_fetched_when_a_token_names_it_but_not_for_everybody(keys):
    with Origin() as origin, Issuer() as issuer, weir_for(origin, issuer) as weir:
        issuer.serves = keys[:1]
        assert status(weir, token_of(keys[0])) == 200
        assert issuer.asked == 1
        issuer.serves, issuer.slow_s = keys[:2], 0.3
        token = token_of(keys[1])
        assert set(in_threads(8, lambda _: status(weir, token))) == {200}
        assert issuer.asked == 2
        # Not again for half a minute.
        assert [status(weir, token_of(keys[2])) for _ in range(20)] == [401] * 20
        assert issuer.asked == 2


def test_keys_that_are_due_are_fetched_and_those_that_are_gone_are_gone(keys):
    with Origin() as origin, Issuer() as issuer, weir_for(origin, issuer,
                                                          {"refresh": "1s"}) as weir:
        issuer.serves = keys[:1]
        assert status(weir, token_of(keys[0])) == 200
        issuer.serves = keys[1:]
        wait_for(lambda: status(weir, token_of(keys[1])) == 200)
        assert status(weir, token_of(keys[0])) == 401  # known a moment ago


@pytest.mark.parametrize("broken", ["500 Oops", b"no json", b'{"keys": []}', b'{"keys": [{}]}'])
def test_the_last_good_keys_stay(keys, broken):
    with Origin() as origin, Issuer() as issuer, weir_for(origin, issuer,
                                                          {"refresh": "1s"}) as weir:
        issuer.serves = keys[:1]
        assert status(weir, token_of(keys[0])) == 200
        issuer.serves = broken
        wait_for(lambda: status(weir, token_of(keys[0])) != 200 or issuer.asked == 2)
        assert status(weir, token_of(keys[0])) == 200
        assert status(weir, token_of(keys[1])) == 401
        weir.wait_line("auth.jwt: keys of upstream id: .*; those that there are stay")
        assert weir.metric("weir_jwks_failures_total", upstream="id") >= 1


def test_without_any_keys_nobody_passes_but_by_the_secret(keys):
    jwt = {"secret": "${SECRET}", "algorithms": ["HS256", "RS256"]}
    with Origin() as origin, Issuer() as issuer, weir_for(origin, issuer, jwt=jwt) as weir:
        issuer.serves = "500 Oops"
        answer = weir.get("/", headers=[("Authorization", f"Bearer {token_of(keys[0])}")])
        assert answer.status == 503 and answer.get("retry-after") == "1"
        assert answer.get("www-authenticate") is None and answer.get("proxy-status")
        assert status(weir, hs(claims())) == 200
        assert weir.get("/").status == 401
        issuer.serves = keys
        wait_for(lambda: status(weir, token_of(keys[0])) == 200)


def test_keys_outlive_a_reload_without_their_server(keys):
    with Origin() as origin, Issuer() as issuer, weir_for(origin, issuer) as weir:
        issuer.serves = keys
        assert status(weir, token_of(keys[0])) == 200
        issuer.serves = "500 Oops"
        weir.reload()
        assert status(weir, token_of(keys[0])) == 200
        assert issuer.asked == 2


def test_who_leaves_leaves_the_fetch_to_the_next(keys):
    with Origin() as origin, Issuer() as issuer, weir_for(origin, issuer) as weir:
        issuer.serves, issuer.slow_s = keys, 0.5
        with weir.client() as client:
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                        f"{token_of(keys[0])}\r\n\r\n")
            wait_for(lambda: issuer.asked == 1)
            client.reset()
        assert status(weir, token_of(keys[0])) == 200
        weir.wait_metric("weir_upstream_connections", 0, upstream="id", state="active")

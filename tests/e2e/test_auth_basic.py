"""auth.basic: who is let in, what servers see, and what hashing costs the others."""
import base64
import crypt
import threading
import time

import pytest
from support.origin import Origin
from support.weir import Weir

HASHES = {
    "bcrypt": crypt.crypt("secret", "$2b$04$abcdefghijklmnopqrstuu"),
    "yescrypt": crypt.crypt("secret", "$y$j75$saltsalt"),
    "sha256": crypt.crypt("secret", "$5$saltsalt"),
    "sha512": crypt.crypt("secret", "$6$rounds=1000$saltsalt"),
}
# Long enough to be seen waiting: a tenth of a second or so, where nothing else runs.
SLOW = crypt.crypt("secret", "$2b$10$abcdefghijklmnopqrstuu")
PATIENCE_S = 60


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def get_hashed(pair, field):
    """What becomes of a password that is not known, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = get(pair, "/", field).status
        if status != 503:
            return status
        assert time.monotonic() < deadline
        time.sleep(0.1)


def at_server(response, name):
    return [v for n, v in response.json()["headers"] if n.lower() == name.lower()]


def weir_with(origin, users, auth=None, routes=None, **options):
    weir = Weir(upstreams={"app": {"servers": [{"address": origin.address}]}},
                sites=[{"hosts": ["*"], "routes": routes or [
                    {"path": "/", "upstream": "app",
                     "auth": {"basic": {"users_file": "users", **(auth or {})}}}]}], **options)
    write_users(weir, users)
    return weir


def write_users(weir, users):
    with open(f"{weir.dir}/users", "w") as file:
        file.write("".join(f"{name}:{hashed}\n" for name, hashed in users.items()))


@pytest.fixture(scope="module")
def pair():
    routes = [
        {"path": "/free", "upstream": "app", "auth": "off"},
        {"path": "/strip", "upstream": "app",
         "auth": {"basic": {"users_file": "users", "strip": True, "realm": "Staff only"}}},
        {"path": "/plain", "upstream": "app", "auth": {"basic": {"users_file": "users"}},
         "headers": {"request": {"remove": ["Authorization"]}}},
        {"path": "/own", "respond": {"status": 200, "body": "in\n"}},
        {"path": "/", "upstream": "app"},
    ]
    with Origin() as origin:
        weir = weir_with(origin, HASHES)
        weir.config["sites"] = [{"hosts": ["*"], "routes": routes, "auth": {
            "basic": {"users_file": "users", "user_header": "X-User"}}}]
        weir.write_config()
        with weir:
            yield weir


def get(pair, target="/", *fields):
    with pair.client() as client:
        return client.request("GET", target, list(fields))


@pytest.mark.parametrize("user", HASHES)
def test_every_kind_of_hash(pair, user):
    for _ in range(2):  # hashed, and known
        response = get(pair, "/", ("Authorization", basic(user, "secret")))
        assert response.status == 200
        assert at_server(response, "X-User") == [user]
        assert at_server(response, "Authorization") == [basic(user, "secret")]
    assert get(pair, "/", ("Authorization", basic(user, "Secret"))).status == 401


@pytest.mark.parametrize("fields", [
    [], [("Authorization", basic("nobody", "secret"))], [("Authorization", basic("bcrypt", ""))],
    [("Authorization", "Basic")], [("Authorization", "Basic !!!!")],
    [("Authorization", "Bearer " + basic("bcrypt", "secret")[6:])],
    [("Authorization", basic("bcrypt", "secret") + "=")],
    [("Authorization", basic("bcrypt", "secret\0x"))],
    [("Authorization", basic("bcrypt", "secret"))] * 2,
    [("Authorization", basic("bcrypt", "x" * 2000))],
])
def test_the_others_are_told_what_is_asked_for(pair, fields):
    response = get(pair, "/", *fields)
    assert response.status == 401
    assert response.get("WWW-Authenticate") == 'Basic realm="weir", charset="UTF-8"'
    assert response.get("Cache-Control") == "no-store"


def test_own_answers_and_unknown_paths_are_behind_it_too(pair):
    assert get(pair, "/own").status == 401
    response = get(pair, "/own", ("Authorization", basic("sha256", "secret")))
    assert (response.status, response.body) == (200, b"in\n")


def test_the_password_can_be_kept_from_servers(pair):
    fields = [("Authorization", basic("sha256", "secret"))]
    response = get(pair, "/strip", *fields)
    assert response.status == 200 and at_server(response, "Authorization") == []
    response = get(pair, "/plain", *fields)
    assert response.status == 200 and at_server(response, "Authorization") == []
    assert get(pair, "/strip").get("WWW-Authenticate").startswith('Basic realm="Staff only"')


@pytest.mark.parametrize("target", ["/", "/free", "/strip"])
def test_nobody_says_who_he_is_but_with_a_password(pair, target):
    """On the site's other routes as well: they lead to the same servers."""
    spoofed = [("X-User", "root"), ("x_user", "root"), ("X-USER", "root")]
    response = get(pair, target, ("Authorization", basic("sha256", "secret")), *spoofed)
    assert response.status == 200
    seen = [(n.lower(), v) for n, v in response.json()["headers"] if "user" in n.lower()]
    assert seen == ([("x-user", "sha256")] if target == "/" else [])


def test_a_trailer_says_nothing_of_it_either(pair):
    with pair.client() as client:
        client.send("POST /free HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                    "Trailer: X-User\r\n\r\n1\r\na\r\n0\r\nX-User: root\r\nX-Other: 1\r\n\r\n")
        response = client.response()
    assert response.status == 200
    assert "root" not in response.body.decode()


def test_the_log_and_the_metrics_say_why(pair):
    before = pair.metric("weir_auth_refused_total", method="basic", reason="missing")
    assert get(pair, "/own?why").status == 401
    assert "no password" in pair.log_of("/own?why")[0]["error"]
    assert pair.metric("weir_auth_refused_total", method="basic", reason="missing") == before + 1
    assert pair.metric("weir_auth_refused_total", method="basic", reason="wrong") > 0


def test_a_reload_reads_the_file_again():
    with Origin() as origin, weir_with(origin, {"a": HASHES["sha256"], "b": SLOW}) as weir:
        fields = ("Authorization", basic("a", "secret"))
        assert get(weir, "/", fields).status == 200
        write_users(weir, {"b": HASHES["sha256"]})
        assert get(weir, "/", fields).status == 200  # not before
        weir.reload()
        assert get(weir, "/", fields).status == 401
        assert get(weir, "/", ("Authorization", basic("b", "secret"))).status == 200
        write_users(weir, {"a": crypt.crypt("new", "$5$saltsalt")})
        weir.reload()
        assert get(weir, "/", fields).status == 401
        assert get(weir, "/", ("Authorization", basic("a", "new"))).status == 200
        write_users(weir, {"a": "plain"})
        weir.reload(expect="failed")
        assert get(weir, "/", ("Authorization", basic("a", "new"))).status == 200


def test_hashing_keeps_nobody_else_waiting():
    """One worker, and passwords that cost much each: the loop goes on."""
    routes = [{"path": "/free", "respond": {"body": "x"}},
              {"path": "/", "upstream": "app", "auth": {"basic": {"users_file": "users"}}}]
    with Origin() as origin, weir_with(origin, {"a": SLOW}, routes=routes) as weir:
        answers = []
        guesses = [threading.Thread(target=lambda i=i: answers.append(
            get(weir, "/", ("Authorization", basic("a", f"guess{i}"))).status)) for i in range(3)]
        for guess in guesses:
            guess.start()
        served = 0
        while not answers:
            assert get(weir, "/free").status == 200
            served += 1
        assert served > 3  # each would take as long, were it behind one of them
        for guess in guesses:
            guess.join()
        assert set(answers) <= {401, 503}


def test_more_than_helpers_can_do_is_refused_and_those_who_are_known_pass():
    with Origin() as origin, weir_with(origin, {"a": SLOW}) as weir:
        good = ("Authorization", basic("a", "secret"))
        assert get_hashed(weir, good) == 200
        clients = [weir.client() for _ in range(80)]
        for i, client in enumerate(clients):
            client.send("GET / HTTP/1.1\r\nHost: a\r\n"
                        f"Authorization: {basic('a', f'g{i}')}\r\n\r\n")
        deadline = time.monotonic() + PATIENCE_S
        while weir.metric("weir_auth_refused_total", method="basic", reason="busy") == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert get(weir, "/", good).status == 200
        response = clients[-1].response()
        assert response.status == 503 and response.get("Retry-After")
        assert response.get("Proxy-Status") == "weir; error=proxy_internal_error"
        for client in clients:  # whoever leaves is waited for by nobody
            client.reset()
        assert get_hashed(weir, ("Authorization", basic("a", "again"))) == 401


def test_a_stop_waits_for_nobody_who_is_being_checked():
    with Origin() as origin:
        weir = weir_with(origin, {"a": SLOW}, shutdown={"grace": "100ms"})
        weir.expect_exit = 1  # what is under way is cut
        with weir:
            clients = [weir.client() for _ in range(30)]
            for i, client in enumerate(clients):
                client.send("GET / HTTP/1.1\r\nHost: a\r\n"
                            f"Authorization: {basic('a', f'g{i}')}\r\n\r\n")
            weir.wait_metric("requests_in_flight", 30)
            weir.stop()

"""Who the client is, what the server and the log are told of it, and what weir adds to answers."""
import json
import re

import pytest
from support.h2_origin import h2
from support.origin import Origin, by_target
from support.weir import Weir, proxy

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRUSTED = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]


@pytest.fixture(scope="module", name="trusting")
def trusting_pair():
    with Origin() as origin, proxy(origin, trusted_proxies=TRUSTED) as weir:
        yield weir, origin


def exchange(weir, *headers, target="/", host="a"):
    """What the server saw, {lower-case name: [values]}, and the log line."""
    lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
    with weir.client() as client:
        answer = client.request(target=target, headers=headers, host=host)
        assert answer.status == 200, answer
    seen = {}
    for name, value in answer.json()["headers"]:
        seen.setdefault(name.lower(), []).append(value)
    return seen, weir.access_log(lines + 1)[lines]


# ---- a peer that nobody vouches for --------------------------------------------------------------

SPOOFS = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Real-IP", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "443"),
    ("Forwarded", "for=6.6.6.6;proto=https;host=evil.example"),
    ("x-forwarded-for", "6.6.6.6, 7.7.7.7"),
    ("X_Forwarded_For", "6.6.6.6"),
    ("X-Forwarded_Proto", "https"),
    ("X_REAL_IP", "6.6.6.6"),
]


@pytest.mark.parametrize("spoof", SPOOFS, ids=lambda s: s[0])
def test_untrusted_peers_say_nothing(echo_pair, spoof):
    weir, _ = echo_pair
    seen, line = exchange(weir, spoof)
    assert seen["x-forwarded-for"] == ["127.0.0.1"] and seen["x-real-ip"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"] and seen["x-forwarded-host"] == ["a"]
    assert "forwarded" not in seen and "x-forwarded-port" not in seen
    assert "6.6.6.6" not in str(seen) and "evil" not in str(seen)
    assert line["client"] == "127.0.0.1"


def test_untrusted_peers_cannot_add_by_repeating(echo_pair):
    weir, _ = echo_pair
    seen, _ = exchange(weir, *SPOOFS, *SPOOFS)
    assert seen["x-forwarded-for"] == ["127.0.0.1"] and seen["x-forwarded-proto"] == ["http"]
    assert "6.6.6.6" not in str(seen) and "evil" not in str(seen)


# ---- a trusted peer ------------------------------------------------------------------------------

# X-Forwarded-For lines: (what the server gets, client)
LISTS = {
    (): ("127.0.0.1", "127.0.0.1"),
    ("1.2.3.4",): ("1.2.3.4, 127.0.0.1", "1.2.3.4"),
    ("6.6.6.6, 1.2.3.4",): ("6.6.6.6, 1.2.3.4, 127.0.0.1", "1.2.3.4"),
    ("6.6.6.6,1.2.3.4,10.0.0.1",): ("6.6.6.6,1.2.3.4,10.0.0.1, 127.0.0.1", "1.2.3.4"),
    ("1.2.3.4", "10.0.0.1"): ("1.2.3.4, 10.0.0.1, 127.0.0.1", "1.2.3.4"),
    ("6.6.6.6", "1.2.3.4"): ("6.6.6.6, 1.2.3.4, 127.0.0.1", "1.2.3.4"),
    ("10.0.0.1, 10.0.0.2",): ("10.0.0.1, 10.0.0.2, 127.0.0.1", "10.0.0.1"),
    ("1.2.3.4:5678",): ("1.2.3.4:5678, 127.0.0.1", "1.2.3.4"),
    ("2001:db8::1",): ("2001:db8::1, 127.0.0.1", "2001:db8::1"),
    ("[2001:DB8::1]:443, fd00::5",): ("[2001:DB8::1]:443, fd00::5, 127.0.0.1", "2001:db8::1"),
    ("garbage, 10.0.0.1",): ("garbage, 10.0.0.1, 127.0.0.1", "10.0.0.1"),
    ("1.2.3.4, unknown",): ("1.2.3.4, unknown, 127.0.0.1", "127.0.0.1"),
    ("1.2.3.4, 300.1.1.1",): ("1.2.3.4, 300.1.1.1, 127.0.0.1", "127.0.0.1"),
    ("::ffff:1.2.3.4",): ("::ffff:1.2.3.4, 127.0.0.1", "1.2.3.4"),
}


@pytest.mark.parametrize("lines", LISTS)
def test_client_behind_trusted_proxies(trusting, lines):
    weir, _ = trusting
    arrives, client = LISTS[lines]
    seen, line = exchange(weir, *(("X-Forwarded-For", text) for text in lines))
    assert seen["x-forwarded-for"] == [arrives]
    assert seen["x-real-ip"] == [client] and line["client"] == client


def test_own_words_of_a_trusted_peer(trusting):
    weir, _ = trusting
    behind = ("X-Forwarded-For", "1.2.3.4")
    for name, value, arrives in (("X-Forwarded-Proto", "https", "https"),
                                 ("X-Forwarded-Proto", "HTTPS", "https"),
                                 ("X-Forwarded-Proto", "http", "http"),
                                 ("X-Forwarded-Proto", "ftp", "http"),
                                 ("X-Forwarded-Host", "public.example", "public.example"),
                                 ("X-Forwarded-Host", "evil/path", "a"),
                                 ("X-Forwarded-Port", "443", "443"),
                                 # Who the client is, is told by lists only.
                                 ("X-Real-IP", "6.6.6.6", "1.2.3.4")):
        seen, _ = exchange(weir, behind, (name, value))
        assert seen[name.lower()] == [arrives], (name, value)
    assert exchange(weir, ("X-Forwarded-Proto", "https"))[0]["x-forwarded-proto"] == ["https"]


# Forwarded lines: (client, proto, host)
FORWARDED = {
    ("for=1.2.3.4",): ("1.2.3.4", "http", "a"),
    ("For=1.2.3.4;Proto=https;Host=pub.example",): ("1.2.3.4", "https", "pub.example"),
    ('for="[2001:db8::1]:8080";proto=https',): ("2001:db8::1", "https", "a"),
    ("for=6.6.6.6, for=1.2.3.4;proto=https",): ("1.2.3.4", "https", "a"),
    ("for=1.2.3.4, for=10.0.0.1",): ("1.2.3.4", "http", "a"),
    ("for=1.2.3.4", "for=10.0.0.1"): ("1.2.3.4", "http", "a"),
    ('for="1.2.3.4, for=6.6.6.6"',): ("127.0.0.1", "http", "a"),
    ("for=1.2.3.4, for=unknown",): ("127.0.0.1", "http", "a"),
    ("for=_hidden",): ("127.0.0.1", "http", "a"),
    ("for=1.2.3.4;host=evil/x",): ("1.2.3.4", "http", "a"),
}


@pytest.mark.parametrize("lines", FORWARDED)
def test_forwarded_of_a_trusted_peer(trusting, lines):
    weir, _ = trusting
    client, proto, host = FORWARDED[lines]
    seen, line = exchange(weir, *(("Forwarded", text) for text in lines))
    assert seen["x-real-ip"] == [client] and line["client"] == client
    assert seen["x-forwarded-proto"] == [proto] and seen["x-forwarded-host"] == [host]
    before = "" if client == "127.0.0.1" else f"{client}, "
    assert seen["x-forwarded-for"] == [f"{before}127.0.0.1"]
    assert seen["forwarded"] == [", ".join(lines) + f", for=127.0.0.1;proto={proto}"]


AGREES = "for=1.2.3.4;proto=https;host=Pub.example"
# (Forwarded, does it go on) of a peer that says X-Forwarded-For: 1.2.3.4, -Proto: https and -Host:
# pub.example as well.
BESIDE = {
    AGREES: True,
    "for=1.2.3.4": True,
    'for=6.6.6.6, for="1.2.3.4:80"': True,
    "for=6.6.6.6": False,
    "for=1.2.3.4;proto=http": False,
    "for=1.2.3.4;host=evil.example": False,
    "for=unknown": False,
    "for=6.6.6.6;for=1.2.3.4": False,
    "for=1.2.3.4;Host=evil.example;host=pub.example": False,
    "for=6.6.6.6;for=7.7.7.7, for=1.2.3.4": False,
    "host=pub.example": False,
    f'{AGREES}, for="1.2.3.4': False,
}


@pytest.mark.parametrize("text", BESIDE)
def test_forwarded_beside_other_words(trusting, text):
    weir, _ = trusting
    seen, line = exchange(weir, ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"),
                          ("X-Forwarded-Host", "pub.example"), ("Forwarded", text))
    assert line["client"] == "1.2.3.4" and seen["x-forwarded-host"] == ["pub.example"]
    goes_on = [f"{text}, for=127.0.0.1;proto=https"] if BESIDE[text] else None
    assert seen.get("forwarded") == goes_on


@pytest.mark.parametrize("text", ['for="1.2.3.4', 'for=6.6.6.6;by="a\\"', '"'])
def test_an_open_quote_swallows_nothing(trusting, text):
    weir, _ = trusting
    seen, line = exchange(weir, ("Forwarded", text))
    assert "forwarded" not in seen
    assert line["client"] == seen["x-real-ip"][0]


OWN = {"X-Forwarded-For": "$client_ip", "X-Forwarded-Proto": "https",
       "X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "443", "X-Real-IP": "0.0.0.0",
       "Forwarded": "for=hidden"}
TOLD = [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "public.example"), ("X-Forwarded-Port", "8080"),
        ("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=1.2.3.4")]


@pytest.mark.parametrize("protocol", ["http/1.1", "h2c"])
@pytest.mark.parametrize("trusted, client", [([], "127.0.0.1"), (TRUSTED, "1.2.3.4")])
def test_the_operators_own_words_win(trusted, client, protocol):
    routes = [{"path": "/", "upstream": "app", "headers": {"request": {"set": OWN}}},
              {"path": "/one", "upstream": "app",
               "headers": {"request": {"set": {"X-Forwarded-Proto": "https"}}}},
              {"path": "/none", "upstream": "app", "headers": {"request": {"remove": [*OWN]}}}]
    wanted = {name.lower(): [value] for name, value in OWN.items()}
    wanted["x-forwarded-for"] = [client]

    def answer(peer, request):
        peer.answer(request, json.dumps({"headers": request.headers}).encode())

    server = Origin(h2(answer)) if protocol == "h2c" else Origin()
    with server as origin, proxy(origin, upstream={"protocol": protocol},
                                 site={"routes": list(reversed(routes))},
                                 trusted_proxies=trusted) as weir:
        for headers in ([], TOLD):
            seen, _ = exchange(weir, *headers)
            believed = headers and trusted
            own = {name: values for name, values in seen.items() if name in wanted}
            assert own == (wanted if believed else {**wanted, "x-forwarded-for": ["127.0.0.1"]})
            assert not set(exchange(weir, *headers, target="/none")[0]) & set(wanted)
            one, _ = exchange(weir, *headers, target="/one")
            assert one["x-forwarded-proto"] == ["https"]
            assert one["x-real-ip"] == [client if believed else "127.0.0.1"]


def test_peers_over_ipv6_and_unix(tmp_path):
    for address, peer, element in (("[::1]:0", "::1", 'for="[::1]"'),
                                   (f"unix:{tmp_path}/weir.sock", "127.0.0.1", "for=127.0.0.1")):
        for trusted in ([], ["::1", "127.0.0.1"]):
            with Origin() as origin, proxy(origin, listener={"address": address},
                                           trusted_proxies=trusted) as weir:
                if address.startswith("unix:"):
                    weir.address = f"{tmp_path}/weir.sock"
                seen, line = exchange(weir, ("X-Forwarded-For", "1.2.3.4"),
                                      ("Forwarded", "for=1.2.3.4"))
                assert seen["x-forwarded-for"] == ([f"1.2.3.4, {peer}"] if trusted else [peer])
                assert line["client"] == ("1.2.3.4" if trusted else peer)
                assert seen.get("forwarded") == (
                    [f"for=1.2.3.4, {element};proto=http"] if trusted else None)


def test_host_goes_on_as_it_came(echo_pair):
    weir, _ = echo_pair
    for host in ("MiXed.Example", "a.example:8080", "a.example.", "[::1]:80", "1.2.3.4"):
        seen, line = exchange(weir, host=host)
        assert seen["host"] == [host] and seen["x-forwarded-host"] == [host]
        assert line["host"] == host


def test_redirects_follow_the_believed_scheme():
    routes = [{"path": "/", "redirect": {"to": "$scheme://$host$uri", "status": 308}}]
    with Origin() as origin:
        for trusted, scheme in ((TRUSTED, "https"), ([], "http")):
            with proxy(origin, site={"routes": routes}, trusted_proxies=trusted) as weir:
                answer = weir.get("/x?y=%20z", headers=[("X-Forwarded-Proto", "https")])
                assert answer.get("location") == f"{scheme}://test/x?y=%20z"


# ---- request ids and header edits: what goes beyond one filter (test_filters.py) -----------------


def test_log_and_error_bodies_carry_the_request_id():
    with Origin() as origin, proxy(origin, route={"request_id": {"trust": True}}) as weir:
        for sent, kept in (("abc-1.2_X", True), ("a" * 129, False), ("\xe9", False),
                           ("a\tb", False), ("<script>", False), ("../x", False)):
            lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
            one = weir.get(headers=[("X-Request-Id", sent)]).get("x-request-id")
            assert one == sent if kept else UUID.fullmatch(one)
            assert weir.access_log(lines + 1)[lines]["request_id"] == one
        origin.stop()
        for accept, wrapped in (("text/plain", "Request id: {}"), ("text/html", "<code>{}</code>"),
                                ("application/json", '"request_id":"{}"')):
            answer = weir.get(headers=[("Accept", accept)])
            assert answer.status == 502 and answer.get("content-type").startswith(accept)
            assert wrapped.format(answer.get("x-request-id")) in answer.body.decode()


EDITS = {
    "response": {"set": {"X-Set": "weir", "X-From": "$client_ip"}, "add": {"X-Add": "weir"},
                 "set_if_absent": {"X-Absent": "weir"}, "remove": ["Server", "X-Powered-By"]},
}


def values(answer, *names):
    return [answer.all(name) for name in names]


def test_response_edits():
    head = b"Server: secret/1\r\nX-Powered-By: x\r\nX-Set: 1\r\nX-Set: 2\r\nX-Add: 1\r\n"
    answers = {"plain": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
               "full": b"HTTP/1.1 404 Not Found\r\nX-Absent: 1\r\nContent-Length: 0\r\n" + head
                       + b"\r\n"}
    with Origin(by_target(answers)) as origin, proxy(origin, route={"headers": EDITS}) as weir:
        names = ("x-set", "x-add", "x-absent", "server", "x-powered-by", "x-from")
        assert values(weir.get("/plain"), *names) == [["weir"], ["weir"], ["weir"], [], [],
                                                      ["127.0.0.1"]]
        assert values(weir.get("/full"), *names) == [["weir"], ["1", "weir"], ["1"], [], [],
                                                     ["127.0.0.1"]]


def test_edits_are_on_every_answer():
    """No status and no author of an answer escapes them (T2)."""
    statuses = (200, 204, 206, 301, 304, 400, 401, 404, 429, 500, 503)
    answers = {str(s): f"HTTP/1.1 {s} X\r\nContent-Length: 0\r\n\r\n".encode() for s in statuses}
    routes = [{"path": "=/own", "respond": {"status": 418, "body": "x"}},
              {"path": "=/moved", "redirect": {"to": "/x", "status": 308}},
              {"path": "=/dead", "upstream": "dead"},
              {"path": "=/ws", "upstream": "app", "websocket": False},
              {"path": "/app/", "upstream": "app"}]
    site = {"routes": routes, "headers": {"response": {"set": {"X-Frame-Options": "DENY"}}}}
    by_path = {f"app/{name}": answer for name, answer in answers.items()}
    with Origin(by_target(by_path)) as origin, Origin() as dead:
        weir = Weir({"app": {"servers": [{"address": origin.address}]},
                     "dead": {"servers": [{"address": dead.address}]}},
                    [{"hosts": ["*"], **site}])
        dead.stop()
        with weir:
            check_every_answer(weir, statuses)


def check_every_answer(weir, statuses):
    expected = {f"/app/{s}": s for s in statuses}
    expected.update({"/own": 418, "/moved": 308, "/dead": 502, "/none": 404})
    for target, status in expected.items():
        answer = weir.get(target)
        assert answer.status == status, target
        assert answer.all("x-frame-options") == ["DENY"], target
    answer = weir.get("/ws", headers=[("Connection", "upgrade"), ("Upgrade", "websocket")])
    assert answer.status == 403 and answer.all("x-frame-options") == ["DENY"]


def test_edits_merge_name_by_name():
    """A route's own block never loses the outer ones (T1)."""

    def response(**sets):
        return {"headers": {"response": {"set": sets}}}

    routes = [{"path": "=/plain", "upstream": "app"},
              {"path": "=/own", "upstream": "app", **response(B="route", C="route")},
              {"path": "=/less", "upstream": "app", "headers": {"response": {"remove": ["A"]}}},
              {"path": "=/off", "upstream": "app", "headers": "off"}]
    answers = {name: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
               for name in ("plain", "own", "less", "off")}
    with Origin(by_target(answers)) as origin, proxy(
            origin, site={"routes": routes, **response(B="site")},
            defaults=response(A="defaults", B="defaults")) as weir:
        assert values(weir.get("/plain"), "a", "b", "c") == [["defaults"], ["site"], []]
        assert values(weir.get("/own"), "a", "b", "c") == [["defaults"], ["route"], ["route"]]
        assert values(weir.get("/less"), "a", "b", "c") == [[], ["site"], []]
        assert values(weir.get("/off"), "a", "b", "c") == [[], [], []]


# ---- the access log ------------------------------------------------------------------------------

ODD = 'a"b\\c\td<>&\' {"x":1} \\u0041 %0a'
RAW = b"\xff\xfe\xc3\x28 \xc3\xa9 \xed\xa0\x80"


def test_json_log_is_escaped(echo_pair):
    weir, _ = echo_pair
    with weir.client() as client:
        lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
        client.send(b'GET /"x"?<y>\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: ' + ODD.encode()
                    + b"\r\nReferer: " + RAW + b"\r\n\r\n")
        assert client.response().status == 200
        line = weir.access_log(lines + 1)[lines]  # one line, valid UTF-8, valid JSON
    assert line["uri"] == '/"x"?<y>\\' and line["user_agent"] == ODD
    assert "\xe9" in line["referer"] and "(" in line["referer"]
    with open(weir.log_path, "rb") as file:
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", file.read())


def test_combined_log_is_escaped(tmp_path):
    path = tmp_path / "combined.log"
    log = {"level": "info", "format": "text",
           "access": {"path": str(path), "format": "combined"}}
    with Origin() as origin, proxy(origin, log=log) as weir:
        with weir.client() as client:
            client.send(b'GET /"x" HTTP/1.1\r\nHost: a\r\nUser-Agent: ' + ODD.encode()
                        + b"\r\nReferer: " + RAW + b"\r\n\r\n")
            assert client.response().status == 200
            client.send(b"garbage\r\n\r\n")
            assert client.response().status == 400
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == 3 and lines[2] == b""
    form = rb'127\.0\.0\.1 - - \[[^]]+\] "([^"]*)" (\d+) \d+ "([^"]*)" "([^"]*)"'
    request, status, _, agent = re.fullmatch(form, lines[0]).groups()
    assert request == rb"GET /\x22x\x22 HTTP/1.1" and status == b"200"
    assert agent.startswith(rb"a\x22b\x5cc\x09d") and not re.search(rb"[\x00-\x1f\x7f]", lines[0])
    assert re.fullmatch(form, lines[1])[2] == b"400"


def test_log_line_of_a_plain_request(echo_pair):
    weir, origin = echo_pair
    lines = len(weir.access_log(int(weir.metric("http_requests_total"))))
    with weir.client() as client:
        answer = client.request("POST", "/x?y", [("Referer", "r"), ("User-Agent", "u")], b"12345")
    line = weir.access_log(lines + 1)[lines]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    expected = {"client": "127.0.0.1", "method": "POST", "host": "test", "uri": "/x?y",
                "protocol": "HTTP/1.1", "status": 200, "bytes_in": 5, "route": "/",
                "upstream": "app", "server": origin.address, "attempts": 1, "user_agent": "u",
                "referer": "r", "error": ""}
    assert {name: line[name] for name in expected} == expected
    assert line["bytes_out"] > len(answer.body) and line["duration_ms"] >= line["upstream_ms"] > 0

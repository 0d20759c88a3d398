"""weir explain: exact output, exit status, and that it agrees with the daemon."""
import os
import subprocess

import pytest
from support.weir import binary

CONFIG = r"""
listeners:
  http: {address: "127.0.0.1:8080"}
  other: {address: "127.0.0.1:8081", limits: {uri: 64B}}
  plain: {address: "127.0.0.1:8082", redirect_https: true}
upstreams:
  app:
    balance: round_robin
    servers:
      - {address: "127.0.0.1:3000", weight: 3}
      - {address: "127.0.0.1:3001", backup: true}
sites:
  - hosts: [shop.example.com, "*.example.com"]
    listeners: [http]
    headers: {response: {set: {X-A: b}}}
    routes:
      - {path: =/health, respond: {status: 203, body: "up $status\n", headers: {X-H: "$host"}}}
      - {name: v2, path: /api, match: {header: {X-Version: "${SECRET}"}}, upstream: app}
      - {name: write, path: /api/, methods: [POST], upstream: app}
      - {name: api, path: /api/, match: {query: {page: "2"}}, upstream: app,
         rewrite: {strip_prefix: /api}}
      - {path_regex: '^/old/(\w+)', redirect: {to: '$scheme://$host/new/\1?by=$client_ip'}}
      - {name: ws, path: /ws, websocket: false, upstream: app, request_id: off}
  - hosts: [plain.test]
    listeners: [plain]
    routes:
      - {path: =/health, respond: {}, request_id: off}
      - {path: /.well-known/acme-challenge/, respond: {}, request_id: off}
      - {path: /, upstream: app, request_id: off}
  - hosts: ["*"]
    listeners: [other]
    slashes: merge
    routes: [{path: /, upstream: app, headers: off, request_id: off}]
"""

HEAD = """listener   http at 127.0.0.1:8080: has port 8080
site       sites[0]: "*.example.com" claims a.example.com
"""

CASES = {
    "taken by an upstream": (
        ["http://a.example.com:8080/%61pi/x?page=2#top"], 0,
        "request    GET http://a.example.com:8080/%61pi/x?page=2#top\n" + HEAD +
        """path       /api/x, normalised from /%61pi/x
routes     sites[0].routes[0] "=/health": the path is not /health
           sites[0].routes[1] "v2": header "x-version" is missing
           sites[0].routes[2] "write": the method is not one of POST
           sites[0].routes[3] "api": takes it
filters    request_id, headers
rewrite    /%61pi/x?page=2 is sent as /x?page=2
upstream   app, balance round_robin
           127.0.0.1:3000, weight 3
           127.0.0.1:3001, weight 1, backup
"""),
    "answered by weir": (
        ["http://shop.example.com:8080/health"], 0,
        """request    GET http://shop.example.com:8080/health
listener   http at 127.0.0.1:8080: has port 8080
site       sites[0]: "shop.example.com" claims shop.example.com
path       /health
routes     sites[0].routes[0] "=/health": takes it
filters    request_id, headers
action     respond 203
           X-H: shop.example.com
           "up 203\\x0a"
"""),
    "redirected": (
        ["-X", "PUT", "-H", "Host: a.example.com", "http://127.0.0.1:8080/old/page"], 0,
        "request    PUT http://127.0.0.1:8080/old/page\n" + HEAD +
        """path       /old/page
routes     sites[0].routes[0] "=/health": the path is not /health
           sites[0].routes[1] "v2": the path is neither /api nor below it
           sites[0].routes[2] "write": the path does not begin with /api/
           sites[0].routes[3] "api": the path does not begin with /api/
           sites[0].routes[4] "^/old/(\\w+)": takes it
filters    request_id, headers
action     redirect 308 to http://a.example.com/new/page?by=$client_ip
"""),
    "sent to https": (
        ["-X", "POST", "-H", "Host: PLAIN.test:8082", "http://127.0.0.1:8082/a%20b?c=d"], 0,
        """request    POST http://127.0.0.1:8082/a%20b?c=d
listener   plain at 127.0.0.1:8082: has port 8082
site       sites[1]: "plain.test" claims plain.test
path       /a%20b
routes     sites[1].routes[0] "=/health": the path is not /health
           sites[1].routes[1] "/.well-known/acme-challenge/": the path does not begin with """
        """/.well-known/acme-challenge/
           sites[1].routes[2] "/": takes it
filters    none
action     redirect_https 308 to https://plain.test/a%20b?c=d
"""),
    "not sent to https": (
        ["http://plain.test:8082/health"], 0,
        """request    GET http://plain.test:8082/health
listener   plain at 127.0.0.1:8082: has port 8082
site       sites[1]: "plain.test" claims plain.test
path       /health
routes     sites[1].routes[0] "=/health": takes it
filters    none
action     respond 200
"""),
    "405": (
        ["-H", "X-Version: v3", "http://a.example.com:8080/api/x?page=3"], 1,
        "request    GET http://a.example.com:8080/api/x?page=3\n" + HEAD +
        """path       /api/x
routes     sites[0].routes[0] "=/health": the path is not /health
           sites[0].routes[1] "v2": header "x-version" has another value
           sites[0].routes[2] "write": the method is not one of POST
           sites[0].routes[3] "api": query parameter "page" has another value
           sites[0].routes[4] "^/old/(\\w+)": the path does not match "^/old/(\\w+)"
           sites[0].routes[5] "ws": the path is neither /ws nor below it
filters    request_id, headers
answer     405: no route takes the method; Allow: POST
"""),
    "no upgrade": (
        ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
         "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "http://a.example.com:8080/ws"], 1,
        "request    GET http://a.example.com:8080/ws\n" + HEAD +
        """path       /ws
routes     sites[0].routes[0] "=/health": the path is not /health
           sites[0].routes[1] "v2": the path is neither /api nor below it
           sites[0].routes[2] "write": the path does not begin with /api/
           sites[0].routes[3] "api": the path does not begin with /api/
           sites[0].routes[4] "^/old/(\\w+)": the path does not match "^/old/(\\w+)"
           sites[0].routes[5] "ws": takes it
filters    headers
answer     403: the route has websocket: false
"""),
    "421": (
        ["http://example.com:8080/"], 1,
        """request    GET http://example.com:8080/
listener   http at 127.0.0.1:8080: has port 8080
answer     421: no site claims example.com
"""),
    "no listener of that port": (
        ["http://x.test//a"], 0,
        """request    GET http://x.test//a
listener   other at 127.0.0.1:8081: none has port 80; the first that serves the host
site       sites[2]: "*" claims x.test
path       /a, normalised from //a
routes     sites[2].routes[0] "/": takes it
filters    none
upstream   app, balance round_robin
           127.0.0.1:3000, weight 3
           127.0.0.1:3001, weight 1, backup
"""),
    "a limit of the listener": (
        ["http://x.test:8081/" + "a" * 64], 1,
        "request    GET http://x.test:8081/" + "a" * 64 + """
listener   other at 127.0.0.1:8081: has port 8081
answer     414: uri_too_long
"""),
    "CONNECT": (
        ["-X", "CONNECT", "http://shop.example.com:8080/health"], 1,
        """request    CONNECT http://shop.example.com:8080/health
listener   http at 127.0.0.1:8080: has port 8080
answer     405: weir passes no CONNECT on
"""),
    "CONNECT without a port": (
        ["-X", "CONNECT", "https://[::1]"], 1,
        """request    CONNECT https://[::1]
listener   other at 127.0.0.1:8081: none has port 443; the first that serves the host
answer     405: weir passes no CONNECT on
"""),
    "no control characters": (
        ["-X", "G\x1b[7m", "-H", "X\r: \x9b", "http://x.test:8081/\x1b]0;t\x07\u009b"], 1,
        """request    G\\x1b[7m http://x.test:8081/\\x1b]0;t\\x07\\xc2\\x9b
listener   other at 127.0.0.1:8081: has port 8081
answer     400: control_byte
"""),
    "no URL": (
        ["x.test/"], 1,
        """request    GET x.test/
answer     none: the URL must be http://host[:port]/path?query
"""),
    "climbing out": (
        ["http://x.test:8081/../a"], 1,
        """request    GET http://x.test:8081/../a
listener   other at 127.0.0.1:8081: has port 8081
answer     400: the path is broken or climbs out
"""),
    "404": (
        ["http://shop.example.com:8080"], 1,
        """request    GET http://shop.example.com:8080
listener   http at 127.0.0.1:8080: has port 8080
site       sites[0]: "shop.example.com" claims shop.example.com
path       /
routes     sites[0].routes[0] "=/health": the path is not /health
           sites[0].routes[1] "v2": the path is neither /api nor below it
           sites[0].routes[2] "write": the path does not begin with /api/
           sites[0].routes[3] "api": the path does not begin with /api/
           sites[0].routes[4] "^/old/(\\w+)": the path does not match "^/old/(\\w+)"
           sites[0].routes[5] "ws": the path is neither /ws nor below it
filters    request_id, headers
answer     404: no route takes it
"""),
}


def explain(tmp_path, *arguments, config=CONFIG):
    path = tmp_path / "weir.yaml"
    path.write_text(config)
    environment = {**os.environ, "SECRET": "s3cr3t"}
    done = subprocess.run([binary(), "explain", "-c", str(path), *arguments], timeout=30,
                          capture_output=True, text=True, env=environment, check=False)
    return done


@pytest.mark.parametrize("name", CASES)
def test_explain(tmp_path, name):
    arguments, status, text = CASES[name]
    done = explain(tmp_path, *arguments)
    assert done.stdout == text
    assert done.stderr == ""
    assert done.returncode == status


def test_a_secret_of_a_condition_is_not_shown(tmp_path):
    for header in ("X-Version: s3cr3", "X-Version: v2"):
        done = explain(tmp_path, "-H", header, "http://a.example.com:8080/api")
        assert "s3cr3t" not in done.stdout + done.stderr
    done = explain(tmp_path, "-H", "X-Version: s3cr3t", "http://a.example.com:8080/api")
    assert '"v2": takes it' in done.stdout and done.returncode == 0


def test_of_many_routes_only_some_with_other_paths_are_named(tmp_path):
    routes = "".join(f"      - {{path: /r{i}, respond: {{}}}}\n" for i in range(500))
    config = ('listeners: {http: {address: "127.0.0.1:8080"}}\nsites:\n  - hosts: ["*"]\n'
              f"    routes:\n{routes}")
    done = explain(tmp_path, "http://x:8080/r450/", config=config)
    lines = done.stdout.splitlines()
    assert len(lines) < 35
    assert lines[24] == "           430 more with other paths"
    assert lines[25] == '           sites[0].routes[450] "/r450": takes it'
    assert done.returncode == 0


def test_a_bad_file_is_an_error(tmp_path):
    done = explain(tmp_path, "http://x/", config="a: 1\n")
    assert done.returncode == 1
    assert "weir.yaml:1:1: a: unknown key" in done.stderr
    assert done.stdout == ""

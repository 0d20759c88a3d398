"""The PROXY protocol: who the client is, heard from a balancer and told to a server."""
import contextlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time

import pytest
from support.origin import Origin, echo
from support.raw import Closed, RawClient
from support.tls import Certificate, client_context
from support.waiting import wait_for
from support.weir import Weir, proxy

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TRUSTED = {"trusted_proxies": ["127.0.0.0/8", "::1"]}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n"


def v2(source="192.0.2.1", destination="198.51.100.2", command=1, family=None, body=None, tlvs=b""):
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    if body is None:
        body = (socket.inet_pton(kind, source) + socket.inet_pton(kind, destination) +
                struct.pack(">HH", 50000, 443))
    if family is None:
        family = 0x21 if ":" in source else 0x11
    body += tlvs
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body)) + body


@pytest.fixture(scope="module", name="behind")
def behind_balancer():
    with Origin() as origin, proxy(origin, listener={"proxy_protocol": True}, **TRUSTED) as weir:
        yield weir, origin


def seen_client(answer):
    """The client as the server was told of it."""
    headers = {n.lower(): v for n, v in answer.json()["headers"]}
    assert headers["x-forwarded-for"] == headers["x-real-ip"]
    return headers["x-real-ip"]


HEADERS = {
    "v1": (LINE, "192.0.2.1"),
    "v1_v6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\n", "2001:db8::1"),
    "v1_unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v2": (v2(), "192.0.2.1"),
    "v2_v6": (v2("2001:db8::1", "2001:db8::2"), "2001:db8::1"),
    "v2_tlvs": (v2(tlvs=b"\x04\x00\x10" + b"x" * 16 + b"\xea\x00\x01\x01"), "192.0.2.1"),
    "v2_local": (v2(command=0, family=0, body=b""), "127.0.0.1"),
    "v2_unix": (v2(family=0x31, body=b"p" * 216), "127.0.0.1"),
    "v2_datagram": (v2(family=0x12), "127.0.0.1"),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("how", ["at_once", "apart", "byte_by_byte"])
def test_the_header_names_the_client(behind, name, how):
    weir, _ = behind
    header, expected = HEADERS[name]
    target = f"/{name}-{how}"
    request = GET.replace(b"/ ", target.encode() + b" ")
    with weir.client() as client:
        if how == "at_once":
            client.send(header + request)
        elif how == "apart":
            client.send(header)
            time.sleep(0.02)
            client.send(request)
        else:
            client.send_slowly(header + request)
        assert seen_client(client.response()) == expected
        # The connection is that client's for good.
        assert seen_client(client.request()) == expected
    assert weir.log_of(target)[0]["client"] == expected


BAD = {
    "none": (GET, "no header"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01", "no header"),
    "second_line": (LINE.replace(b"50000", b"050000"), "malformed line"),
    "family": (b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "unknown family"),
    "endless": (b"PROXY UNKNOWN " + b"x" * 200, "line too long"),
    "v2_version": (v2(command=0x11), "unknown version or command"),
    "v2_short": (v2(body=b"1234"), "length too short for its family"),
    "v2_huge": (SIGNATURE + b"\x21\x11\xff\xff", "header too long"),
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_headers_close(behind, name):
    weir, origin = behind
    data, reason = BAD[name]
    before = weir.metric("weir_protocol_errors_total", protocol="proxy", reason=reason)
    served = len(origin.requests)
    with weir.client() as client:
        client.send(data)
        client.assert_closed()
    weir.wait_metric("weir_protocol_errors_total", before + 1, protocol="proxy", reason=reason)
    assert len(origin.requests) == served
    weir.wait_line("PROXY header from 127.0.0.1")


def test_a_second_header_is_no_request(behind):
    weir, _ = behind
    with weir.client() as client:
        assert client.send(LINE + LINE + GET).response().status == 400


def test_a_port_scan_is_no_error_but_a_torn_header_is(behind):
    weir, _ = behind
    reason = {"protocol": "proxy", "reason": "closed in the header"}
    before = weir.metric("weir_protocol_errors_total", **reason)
    with weir.client() as client:
        client.half_close()
        client.assert_closed()
    with weir.client() as client:
        client.send(LINE[:20]).half_close()
        client.assert_closed()
    weir.wait_metric("weir_protocol_errors_total", before + 1, **reason)


def test_the_header_has_a_deadline():
    with Origin() as origin:
        with proxy(origin, listener={"proxy_protocol": True, "timeouts": {"header": "300ms"}},
                   **TRUSTED) as weir:
            with weir.client() as silent, weir.client() as slow:
                slow.send(LINE[:10])
                silent.assert_closed()
                slow.assert_closed()
            weir.wait_metric("weir_protocol_errors_total", 2, protocol="proxy",
                             reason="header timeout")


def test_strangers_are_closed_as_they_connect():
    with Origin() as origin:
        with proxy(origin, listener={"proxy_protocol": True},
                   trusted_proxies=["192.0.2.0/24"]) as weir:
            with weir.client() as client:
                with contextlib.suppress(OSError):
                    client.send(LINE + GET)
                client.assert_closed()
            weir.wait_metric("weir_connections_refused_total", 1, reason="untrusted_proxy")
            weir.wait_line("listener http: 127.0.0.1 is none of trusted_proxies; closed")
        assert not origin.requests


def test_a_client_that_the_header_names_is_trusted_no_further(behind):
    weir, _ = behind
    spoof = GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\n\r\n"
    with weir.client() as client:
        assert seen_client(client.send(LINE + spoof).response()) == "192.0.2.1"
    # A trusted proxy behind the balancer still is one.
    with weir.client() as client:
        answer = client.send(v2("127.0.0.5", "127.0.0.1") + spoof).response().json()
        assert ["X-Real-IP", "6.6.6.6"] in answer["headers"]
        assert ["X-Forwarded-For", "6.6.6.6, 127.0.0.5"] in answer["headers"]
    # Nor is the balancer any less where it speaks for itself.
    for header in (b"PROXY UNKNOWN\r\n", v2(command=0, body=b"")):
        with weir.client() as client:
            answer = client.send(header + spoof).response().json()
            assert ["X-Forwarded-For", "6.6.6.6, 127.0.0.1"] in answer["headers"]


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_client_connections_counts_who_is_behind(unix):
    folder = tempfile.mkdtemp(prefix="weir-test-")
    listener = {"proxy_protocol": True, "client_connections": 2}
    if unix:
        listener["address"] = f"unix:{folder}/l.sock"
    try:
        with Origin() as origin, proxy(origin, listener=listener, **TRUSTED) as weir:
            address = f"{folder}/l.sock" if unix else weir.address
            with contextlib.ExitStack() as open_ones:
                def connect(header):
                    client = open_ones.enter_context(RawClient(address))
                    client.send(header + GET)
                    return client
                mine = [connect(LINE) for _ in range(2)]
                assert [seen_client(c.response()) for c in mine] == ["192.0.2.1"] * 2
                with pytest.raises(Closed):
                    connect(v2()).response()
                weir.wait_metric("weir_connections_refused_total", 1, reason="client_connections")
                assert seen_client(connect(v2("192.0.2.9")).response()) == "192.0.2.9"
                for _ in range(3):  # health checks of the balancer's own
                    assert connect(v2(command=0, family=0, body=b"")).response().status == 200
            weir.wait_metric("active_connections", 0)
            with RawClient(address) as client:
                assert client.send(LINE + GET).response().status == 200
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuses(address):
    try:
        socket.create_connection(address, 5).close()
    except OSError:
        return True
    return False


def test_a_drain_waits_for_no_silent_balancer():
    with Origin() as origin, proxy(origin, listener={"proxy_protocol": True}, **TRUSTED) as weir:
        with weir.client() as silent, weir.client() as asking:
            asking.send(LINE)
            time.sleep(0.05)
            weir.signal(15)
            wait_for(lambda: refuses(weir.address))  # it drains
            asking.send(GET)
            answer = asking.response()
            assert answer.status == 200 and answer.get("connection") == "close"
            silent.assert_closed()
        assert weir.process.wait(10) == 0


def test_reload_switches_it():
    with Origin() as origin, proxy(origin, **TRUSTED) as weir:
        with weir.client() as before:
            assert before.request().status == 200
            weir.config["listeners"]["http"]["proxy_protocol"] = True
            weir.config["listeners"]["http"]["address"] = "%s:%d" % weir.address
            weir.write_config()
            weir.reload()
            assert before.request().status == 200  # accepted without
            with weir.client() as client:
                assert seen_client(client.send(LINE + GET).response()) == "192.0.2.1"


def test_curl_speaks_to_it(behind):
    weir, _ = behind
    out = subprocess.run(["curl", "-sS", "--max-time", "10", "--haproxy-protocol",
                          "http://%s:%d/curl" % weir.address],
                         capture_output=True, text=True, check=True).stdout
    assert "127.0.0.1" in out and weir.log_of("/curl")[0]["status"] == 200


@pytest.mark.parametrize("how", ["at_once", "apart", "byte_by_byte"])
def test_the_header_comes_before_tls(tmp_path, how):
    listener = {"proxy_protocol": True, "tls": {}}
    certificate = Certificate(tmp_path, "edge")
    with Origin() as origin, proxy(origin, listener=listener, certificates=[certificate.entry()],
                                   **TRUSTED) as weir:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        with weir.client() as client:
            if how == "at_once":
                client.send(v2() + hello)
            elif how == "apart":
                client.send(v2())
                time.sleep(0.02)
                client.send(hello)
            else:
                client.send_slowly(v2() + hello)
            answer, asked = b"", False
            while b"X-Real-IP" not in answer:
                piece = client.sock.recv(65536)
                assert piece, "closed"
                incoming.write(piece)
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                    if not asked:
                        asked = bool(tls.write(GET.replace(b": a", b": localhost")))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        answer += tls.read()
                if outgoing.pending:
                    client.send(outgoing.read())
        assert b'["X-Real-IP", "192.0.2.1"]' in answer
        assert b'["X-Forwarded-Proto", "https"]' in answer
        # In the clear behind the header: TLS's own answer to that.
        with weir.client() as client:
            assert client.send(LINE + GET).response().status == 400
        line = weir.log_of("/")[0]
        assert line["client"] == "192.0.2.1"


def test_the_header_comes_before_http2(tmp_path):
    """The preface of HTTP/2 behind a header, at every border of reads."""
    listener = {"proxy_protocol": True, "protocols": ["h2c", "http/1.1"]}
    with Origin() as origin, proxy(origin, listener=listener, **TRUSTED) as weir:
        for data in (v2() + GET, LINE + GET.replace(b"GET", b"POST")):
            with weir.client() as client:
                assert seen_client(client.send_slowly(data).response()) == "192.0.2.1"
        out = subprocess.run(["curl", "-sS", "--max-time", "20", "--haproxy-protocol",
                              "--http2-prior-knowledge", "http://%s:%d/h2" % weir.address],
                             capture_output=True, text=True, check=True).stdout
        assert '["X-Real-IP", "127.0.0.1"]' in out
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
        with weir.client() as client:
            client.send_slowly(v2() + preface)
            settings = client.read_exactly(9)
            assert len(settings) == 9 and settings[3] == 4
    # Where HTTP/2 is not spoken, its preface is no request.
    with Origin() as origin, proxy(origin, listener={"proxy_protocol": True}, **TRUSTED) as weir:
        with weir.client() as client:
            assert client.send(v2() + preface).response().status in (400, 505)


# ---- to servers ----------------------------------------------------------------------------------

def headed(conn):
    """An origin that wants a PROXY header; echoes with it."""
    conn.origin.headers = getattr(conn.origin, "headers", [])
    first = conn.read_whole(12)
    if first == SIGNATURE:
        rest = conn.read_whole(4)
        header = first + rest + conn.read_whole(struct.unpack(">H", rest[2:])[0])
    else:
        header = first + conn.read_line()
    conn.origin.headers.append(header)
    echo(conn)


def ends_of(header):
    """(source, source port, destination, destination port)"""
    if not header.startswith(SIGNATURE):
        word, family, source, destination, from_port, to_port = header.decode().split()
        assert word == "PROXY" and family == ("TCP6" if ":" in source else "TCP4")
        return source, int(from_port), destination, int(to_port)
    assert header[12] == 0x21
    kind, size = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}[header[13]]
    body = header[16:]
    assert len(body) == 2 * size + 4
    return (socket.inet_ntop(kind, body[:size]), *struct.unpack(">H", body[-4:-2]),
            socket.inet_ntop(kind, body[size:2 * size]), *struct.unpack(">H", body[-2:]))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_servers_are_told_the_client_once_per_request(version):
    with Origin(headed) as origin, proxy(origin, {"proxy_protocol": version}) as weir:
        with weir.client() as client:
            for _ in range(3):
                assert client.request().status == 200
            own = client.sock.getsockname()
        assert [ends_of(h) for h in origin.headers] == [
            ("127.0.0.1", own[1], "127.0.0.1", weir.address[1])] * 3
        assert origin.accepted == 3
        weir.wait_metric("weir_upstream_connections_idle", 0)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_a_header_told_is_told_on(version):
    with Origin(headed) as origin, proxy(origin, {"proxy_protocol": version},
                                         listener={"proxy_protocol": True}, **TRUSTED) as weir:
        for header in (LINE, v2("2001:db8::1", "2001:db8::2")):
            with weir.client() as client:
                assert client.send(header + GET).response().status == 200
        assert [ends_of(h) for h in origin.headers] == [
            ("192.0.2.1", 50000, "198.51.100.2", 443),
            ("2001:db8::1", 50000, "2001:db8::2", 443)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_goes_before_tls(tmp_path, version):
    certificate = Certificate(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)

    def headed_tls(conn):
        header = b""
        if version == "v1":
            while not header.endswith(b"\r\n"):
                header += conn.sock.recv(1)
        else:
            while len(header) < 28:
                header += conn.sock.recv(28 - len(header))
        conn.origin.headers = [*getattr(conn.origin, "headers", []), header]
        conn.sock = context.wrap_socket(conn.sock, server_side=True)
        echo(conn)

    upstream = {"proxy_protocol": version, "protocol": "https", "tls": {"ca": certificate.cert}}
    with Origin(headed_tls) as origin, proxy(origin, upstream) as weir:
        with weir.client() as client:
            for _ in range(2):
                assert client.request().status == 200
            own = client.sock.getsockname()
        assert [ends_of(h) for h in origin.headers] == [
            ("127.0.0.1", own[1], "127.0.0.1", weir.address[1])] * 2


def test_a_client_behind_trusted_proxies_has_no_port():
    with Origin(headed) as origin, proxy(origin, {"proxy_protocol": "v2"}, **TRUSTED) as weir:
        for client in ("192.0.2.7", "2001:db8::7"):
            assert weir.get(headers=[("X-Forwarded-For", client)]).status == 200
        (first, second) = [ends_of(h) for h in origin.headers]
        assert first == ("192.0.2.7", 0, "127.0.0.1", weir.address[1])
        # Two families in one header: both as IPv6.
        assert second == ("2001:db8::7", 0, "::ffff:127.0.0.1", weir.address[1])


def test_websockets_and_retries_have_headers():
    seen = []

    def flaky(conn):
        """Hangs up on the first request, answers the next one."""
        seen.append(conn.read_line())
        if conn.read_request() is None or len(seen) == 1:
            return
        conn.answer("late")

    with Origin(flaky) as origin, proxy(origin, {"proxy_protocol": "v1"}) as weir:
        assert weir.get().body == b"late"
        assert len(seen) == 2 and all(h.startswith(b"PROXY TCP4 127.0.0.1 ") for h in seen)

    def upgrading(conn):
        seen.append(conn.read_line())
        conn.read_request()
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                  "Upgrade: websocket\r\n\r\n")
        conn.send(conn.read_whole(4))

    with Origin(upgrading) as origin, proxy(origin, {"proxy_protocol": "v1"}) as weir:
        with weir.client() as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                        "Upgrade: websocket\r\n\r\nping")
            assert client.response().status == 101
            assert client.read_exactly(4) == b"ping"
        assert len(seen) == 3 and seen[2].startswith(b"PROXY TCP4 127.0.0.1 ")


def test_reload_mixes_no_connections():
    def either(conn):
        """With or without a header, as long as all of a connection is alike."""
        line = conn.read_line()
        told = line.startswith(b"PROXY")
        conn.origin.kinds = getattr(conn.origin, "kinds", []) + [told]
        if told:
            echo(conn)
            return
        conn.read_line()  # Host
        while conn.read_line() != b"\r\n":
            pass
        conn.answer()
        echo(conn)

    with Origin(either) as origin, proxy(origin) as weir:
        assert weir.get().status == 200
        for version in ("v1", None, "v1"):
            if version:
                weir.config["upstreams"]["app"]["proxy_protocol"] = version
            else:
                del weir.config["upstreams"]["app"]["proxy_protocol"]
            weir.write_config()
            weir.reload()
            for _ in range(2):
                assert weir.get().status == 200
        # What one configuration left idle is of no use to the next.
        assert origin.kinds == [False, True, True, False, True, True]
        assert not origin.errors


# ---- with other proxies --------------------------------------------------------------------------

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, port, folder):
    """A proxy that listens on `port` once it is up."""
    log = open(os.path.join(folder, "log"), "wb")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, \
                open(os.path.join(folder, "log")).read()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@pytest.fixture(name="folder")
def folder_of_its_own():
    path = tempfile.mkdtemp(prefix="weir-test-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen front
  bind 127.0.0.1:{port} {bind}
  server s {server} {send}
"""


def haproxy(folder, port, server, bind="", send=""):
    path = os.path.join(folder, "haproxy.cfg")
    with open(path, "w") as file:
        file.write(HAPROXY.format(port=port, server=server, bind=bind, send=send))
    return running(["haproxy", "-db", "-f", path], port, folder)


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn check"])
def test_behind_haproxy(behind, folder, send):
    weir, _ = behind
    port = free_port()
    with haproxy(folder, port, "127.0.0.1:%d" % weir.address[1], send=send):
        with RawClient(("127.0.0.1", port), source="127.0.0.77") as client:
            for _ in range(2):
                assert seen_client(client.request()) == "127.0.0.77"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_in_front_of_haproxy(folder, version):
    """weir tells haproxy, haproxy tells the origin on: what arrives is what weir said."""
    port = free_port()
    with Origin(headed) as origin:
        with haproxy(folder, port, origin.address, bind="accept-proxy", send="send-proxy"):
            upstreams = {"app": {"servers": [{"address": f"127.0.0.1:{port}"}],
                                 "proxy_protocol": version}}
            sites = [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}]
            with Weir(upstreams=upstreams, sites=sites) as weir:
                with RawClient(weir.address, source="127.0.0.88") as client:
                    assert client.request().status == 200
                    own = client.sock.getsockname()
            assert ends_of(origin.headers[-1])[:2] == ("127.0.0.88", own[1])


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} proxy_protocol;
    location / {{ return 200 "$proxy_protocol_addr $proxy_protocol_port"; }}
  }}
}}
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_in_front_of_nginx(folder, version):
    port = free_port()
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX.format(folder=folder, port=port))
    with running(["nginx", "-p", folder, "-c", path, "-e", f"{folder}/error.log"], port, folder):
        upstreams = {"app": {"servers": [{"address": f"127.0.0.1:{port}"}],
                             "proxy_protocol": version}}
        sites = [{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}]
        with Weir(upstreams=upstreams, sites=sites) as weir:
            with RawClient(weir.address, source="127.0.0.99") as client:
                for _ in range(2):
                    answer = client.request()
                    own = client.sock.getsockname()
                    assert answer.body.decode() == f"127.0.0.99 {own[1]}"

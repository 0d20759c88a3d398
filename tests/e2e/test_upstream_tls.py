"""TLS towards servers: whom weir believes, who it says it is, and what a reload changes."""
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from support.h2_origin import h2
from support.origin import Origin, echo
from support.tls import Certificate
from support.weir import Weir, proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("ca"), "ca", None, is_ca=True)


def server_context(certificate, alpn=None, client_ca=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    if alpn:
        context.set_alpn_protocols(alpn)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca.cert)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def secure(context, handler=echo, handlers=None, seen=None):
    """A handler inside TLS; `handlers` by the protocol that ALPN chose."""

    def run(conn):
        conn.sock = context.wrap_socket(conn.sock, server_side=True)
        if seen is not None:
            seen.append(conn.sock)
        chosen = (handlers or {}).get(conn.sock.selected_alpn_protocol(), handler)
        chosen(conn)

    return run


@pytest.mark.parametrize("protocol", ["https", "h2"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_and_bodies(tmp_path, authority, protocol, version):
    context = server_context(Certificate(tmp_path, "s", issuer=authority), ["h2", "http/1.1"],
                             version=version)
    echo_h2 = h2(lambda peer, request: peer.answer(request, request.body or b"ok"))

    def echo_h1(conn):
        while (request := conn.read_request()) is not None:
            conn.answer(request.body or b"ok")

    with Origin(secure(context, handlers={"h2": echo_h2, "http/1.1": echo_h1})) as origin:
        with proxy(origin, {"protocol": protocol, "tls": {"ca": authority.cert}}) as weir:
            with weir.client() as client:
                for _ in range(3):
                    assert client.request("GET", "/").body == b"ok"
                body = bytes(range(256)) * 8000
                client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
                            .encode() + body)
                assert client.response().body == body
            assert origin.accepted == 1
            if protocol == "h2":
                assert origin.requests[0].get(":scheme") == "https"


def test_h2_falls_back_to_http1(tmp_path, authority):
    for alpn in (["http/1.1"], None):
        context = server_context(Certificate(tmp_path, "s", issuer=authority), alpn)
        with Origin(secure(context)) as origin:
            with proxy(origin, {"protocol": "h2", "tls": {"ca": authority.cert}}) as weir:
                with weir.client() as one, weir.client() as two:
                    for client in (one, two):
                        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    assert [c.response().status for c in (one, two)] == [200, 200]
                for _ in range(3):
                    assert weir.get().json()["method"] == "GET"
                assert origin.accepted <= 2, "kept as every HTTP/1.1 connection"


@pytest.mark.parametrize("protocol", ["https", "h2"])
@pytest.mark.parametrize("name,alternative,believed,reason", [
    ("unknown issuer", "IP:127.0.0.1", False, "unable to get local issuer certificate"),
    ("other address", "IP:127.0.0.2", True, "IP address mismatch"),
    ("only a name", "DNS:localhost", True, "IP address mismatch"),
])
def test_certificates_that_do_not_hold(tmp_path, authority, protocol, name, alternative, believed,
                                       reason):
    certificate = Certificate(tmp_path, "s", alternative, issuer=authority)
    tls = {"ca": authority.cert} if believed else {}
    with Origin(secure(server_context(certificate, ["h2", "http/1.1"]))) as origin:
        with proxy(origin, {"protocol": protocol, "tls": tls}) as weir:
            answer = weir.get()
            assert answer.status == 502, name
            assert answer.get("proxy-status") == "weir; error=tls_certificate_error"
            assert weir.access_log()[-1]["error"] == f"upstream: certificate: {reason}"
            assert weir.metric("weir_upstream_failures_total", reason="certificate") >= 1
        assert origin.requests == []


def test_server_name(tmp_path, authority):
    asked = []
    context = server_context(Certificate(tmp_path, "s", "DNS:app.internal", issuer=authority))
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    with Origin(secure(context)) as origin:
        tls = {"ca": authority.cert, "server_name": "app.internal"}
        with proxy(origin, {"protocol": "https", "tls": tls}) as weir:
            assert weir.get().status == 200
        assert asked == ["app.internal"]
        tls["server_name"] = "other.internal"
        with proxy(origin, {"protocol": "https", "tls": tls}) as weir:
            assert weir.get().status == 502
            assert weir.access_log()[-1]["error"] == "upstream: certificate: hostname mismatch"


def test_verify_false_believes_everybody(tmp_path):
    with Origin(secure(server_context(Certificate(tmp_path, "s", "DNS:x.test")))) as origin:
        with proxy(origin, {"protocol": "https", "tls": {"verify": False}}) as weir:
            assert weir.get().status == 200


def test_client_certificate(tmp_path, authority):
    server = Certificate(tmp_path, "s", issuer=authority)
    own = Certificate(tmp_path, "weir", None, issuer=authority)
    seen = []
    context = server_context(server, client_ca=authority)
    with Origin(secure(context, seen=seen)) as origin:
        tls = {"ca": authority.cert, "cert": own.cert, "key": own.key}
        with proxy(origin, {"protocol": "https", "tls": tls}) as weir:
            assert weir.get().status == 200
            subject = dict(pair[0] for pair in seen[0].getpeercert()["subject"])
            assert subject["commonName"] == "weir"
        with proxy(origin, {"protocol": "https", "tls": {"ca": authority.cert}}) as weir:
            assert weir.get().status == 502, "it was asked for one and has none"


def test_sessions_are_resumed(tmp_path, authority):
    resumed = []

    def note(conn):
        resumed.append(conn.sock.session_reused)
        echo(conn)

    context = server_context(Certificate(tmp_path, "s", issuer=authority))
    with Origin(secure(context, note)) as origin:
        upstream = {"protocol": "https", "tls": {"ca": authority.cert}, "keepalive": {"idle": 0}}
        with proxy(origin, upstream) as weir:
            for _ in range(3):
                assert weir.get().status == 200
        assert resumed == [False, True, True]


def test_a_server_that_speaks_no_tls():
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
        with Origin(lambda conn: (conn.recv(), conn.send(answer))) as origin:
            with proxy(origin, {"protocol": "https"}) as weir:
                answer = weir.get()
                assert answer.status == 502
                error = weir.access_log()[-1]["error"]
                assert error.startswith(("upstream: tls: ", "upstream: connect: ")), error


def test_handshake_counts_as_connecting():
    with Origin(lambda conn: conn.recv() and conn.recv()) as origin:
        with proxy(origin, {"protocol": "https", "timeouts": {"connect": "300ms"}}) as weir:
            assert weir.get().status == 504


def test_truncated_body_is_a_cut(tmp_path, authority):
    def handler(conn):
        conn.read_request()
        conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        raw = socket.socket(fileno=conn.sock.detach())  # no close_notify
        raw.close()

    context = server_context(Certificate(tmp_path, "s", issuer=authority))
    with Origin(secure(context, handler)) as origin:
        with proxy(origin, {"protocol": "https", "tls": {"ca": authority.cert}}) as weir:
            with weir.client() as client:
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert not client.response().complete


def test_reload_takes_other_authorities(tmp_path, authority):
    ca = tmp_path / "trusted.pem"
    shutil.copy(authority.cert, ca)
    stranger = Certificate(tmp_path, "stranger", None, is_ca=True)
    context = server_context(Certificate(tmp_path, "s", issuer=authority))
    with Origin(secure(context)) as origin:
        with proxy(origin, {"protocol": "https", "tls": {"ca": str(ca)}}) as weir:
            assert weir.get().status == 200
            weir.reload()
            assert weir.get().status == 200
            assert origin.accepted == 1, "the same files: the same connections"
            shutil.copy(stranger.cert, ca)
            weir.reload()
            assert weir.get().status == 502
            shutil.copy(authority.cert, ca)
            weir.reload()
            weir.config["upstreams"]["app"]["servers"][0]["max_fails"] = 0
            weir.write_config()
            weir.reload()
            assert weir.get().status == 200


# ---- real servers ----

def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_open(port, process):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended"
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


NODE = """
const http2 = require('http2'), fs = require('fs');
const options = {cert: fs.readFileSync(process.argv[2]), key: fs.readFileSync(process.argv[3])};
const server = http2.createSecureServer(options);
server.on('stream', (stream, headers) => {
  stream.respond({':status': 200}, {waitForTrailers: true});
  stream.on('wantTrailers', () => stream.sendTrailers({'x-version': '2'}));
  stream.pipe(stream);
});
server.listen(+process.argv[4], '127.0.0.1');
"""


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_node_http2(tmp_path, authority):
    certificate = Certificate(tmp_path, "s", issuer=authority)
    port = free_port()
    script = tmp_path / "server.js"
    script.write_text(NODE)
    process = subprocess.Popen(["node", script, certificate.cert, certificate.key, str(port)])
    try:
        wait_open(port, process)
        upstream = {"protocol": "h2", "tls": {"ca": authority.cert},
                    "servers": [{"address": f"localhost:{port}"}]}
        with Weir(upstreams={"app": upstream}, sites=[
                {"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}]) as weir:
            body = b"0123456789" * 50000
            for _ in range(5):
                with weir.client() as client:  # an answer amid the body ends its connection
                    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
                                .encode() + body)
                    answer = client.response()
                    assert answer.body == body and answer.trailers == [("x-version", "2")]
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_nginx_over_http2(tmp_path, authority):
    certificate = Certificate(tmp_path, "s", issuer=authority)
    port = free_port()
    (tmp_path / "nginx.conf").write_text(f"""
daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; worker_processes 1;
events {{ worker_connections 200; }}
http {{
  access_log off;
  client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
  uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  server {{
    listen 127.0.0.1:{port} ssl http2; keepalive_requests 40; http2_max_concurrent_streams 4;
    ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};
    location / {{ return 200 "$server_protocol $ssl_session_reused"; }}
  }}
}}
""")
    process = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
                               stderr=subprocess.DEVNULL)
    try:
        wait_open(port, process)
        upstream = {"protocol": "h2", "tls": {"ca": authority.cert},
                    "servers": [{"address": f"127.0.0.1:{port}"}]}
        with Weir(upstreams={"app": upstream}, sites=[
                {"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}]) as weir:
            with weir.client() as client:
                for _ in range(300):
                    answer = client.request("GET", "/")
                    assert answer.status == 200 and answer.body.startswith(b"HTTP/2.0")
            assert weir.metric("weir_upstream_failures_total") == 0, "GOAWAYs are no failures"
    finally:
        process.terminate()
        process.wait()

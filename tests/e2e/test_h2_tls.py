"""HTTP/2 under TLS: agreed on by ALPN, and bound to the names of the certificate."""
import json
import ssl
import subprocess

import pytest
from support.h2 import H2Client, get
from support.origin import Origin, echo
from support.tls import Certificate, TlsClient, client_context
from support.weir import proxy


@pytest.fixture(name="certificate", scope="module")
def made_certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("h2"), "a", "DNS:localhost,DNS:a.test,DNS:*.w.test")


def tls_pair(origin, certificate, protocols=None):
    listener = {"tls": {}}
    if protocols:
        listener["protocols"] = protocols
    return proxy(origin, certificates=[certificate.entry()], listener=listener)


def test_both_protocols_are_the_default(certificate):
    with Origin(echo) as origin, tls_pair(origin, certificate) as weir:
        with H2Client(weir.address, tls="localhost") as client:
            assert client.sock.selected_alpn_protocol() == "h2"
            answer = client.request(get("/h2", authority="localhost"))
            seen = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
            assert (answer.status, seen["x-forwarded-proto"]) == (200, "https")
        with TlsClient(weir.address) as client:  # no ALPN
            assert client.request("GET", "/h1", host="localhost").status == 200
        line = weir.log_of("/h2")[-1]
        assert (line["protocol"], line["tls"]) == ("HTTP/2.0", "TLSv1.3")


def test_the_order_of_protocols_is_the_listeners(certificate):
    with Origin(echo) as origin, \
            tls_pair(origin, certificate, ["http/1.1", "h2"]) as weir:
        with TlsClient(weir.address, context=client_context(alpn=["h2", "http/1.1"])) as client:
            assert client.sock.selected_alpn_protocol() == "http/1.1"
            assert client.request("GET", "/", host="localhost").status == 200


def test_http2_alone(certificate):
    with Origin(echo) as origin, tls_pair(origin, certificate, ["h2"]) as weir:
        with H2Client(weir.address, tls="localhost") as client:
            assert client.request(get(authority="localhost")).status == 200
        with pytest.raises(ssl.SSLError):
            TlsClient(weir.address, context=client_context(alpn=["http/1.1"]))
        with TlsClient(weir.address) as client:  # a client without ALPN is told nothing
            assert client.read_all() == b""
        weir.wait_metric("weir_tls_handshakes_total", 2, result="failed")


def test_a_host_that_the_certificate_does_not_cover_is_421(certificate):
    with Origin(echo) as origin, tls_pair(origin, certificate) as weir, \
            H2Client(weir.address, tls="localhost") as client:
        assert client.request(get(authority="x.w.test"), 1).status == 200
        assert client.request(get(authority="other.test"), 3).status == 421
        assert client.request(get(authority="a.test"), 5).status == 200


def test_real_clients(certificate):
    with Origin(echo) as origin, tls_pair(origin, certificate) as weir:
        base = f"https://localhost:{weir.address[1]}"
        done = subprocess.run(["curl", "-s", "-m", "20", "--cacert", certificate.cert, "-w",
                               "%{http_version}", "--resolve",
                               f"localhost:{weir.address[1]}:127.0.0.1", base + "/c"],
                              capture_output=True, check=True)
        assert done.stdout.endswith(b"}2")
        done = subprocess.run(["h2load", "-n", "300", "-c", "3", "-m", "10", "-T", "20",
                               f"https://127.0.0.1:{weir.address[1]}/l"], capture_output=True,
                              check=True)
        assert b"300 succeeded, 0 failed" in done.stdout

"""Client certificates: who must show one, and what servers and logs are told of it."""
import json
import ssl
import threading

import pytest
from support.h2 import H2Client, get
from support.origin import Origin, echo
from support.raw import Closed, RawClient
from support.tls import Certificate, TlsClient, client_context
from support.weir import proxy

SPOOFED = [("X-Client-Subject", "CN=root"), ("x-client-verify", "SUCCESS"),
           ("X-CLIENT-SAN", "DNS:root")]


@pytest.fixture(name="made", scope="module")
def made_certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    ca = Certificate(folder, "ca", "", is_ca=True)
    return {
        "ca": ca,
        "server": Certificate(folder, "server", "DNS:localhost,DNS:b.test"),
        "alice": Certificate(folder, "alice", "DNS:alice.test,URI:spiffe://alice", issuer=ca),
        "stranger": Certificate(folder, "stranger", "DNS:stranger.test"),
    }


def weir_with(origin, made, auth, **options):
    listeners = {"listeners": {
        "http": {"address": "127.0.0.1:0",
                 "tls": {"client_auth": {"ca": made["ca"].cert, **auth}}},
        "plain": {"address": "127.0.0.1:0"}}}
    return proxy(origin, certificates=[made["server"].entry()], **listeners, **options)


def identity(weir, context, target="/", session=None):
    """What the server was told, as (verify, subject, san), of a client that lies about it."""
    with TlsClient(weir.address, context=context, session=session) as client:
        seen = client.request("GET", target, headers=SPOOFED, host="localhost").json()
        told = [(name.lower(), value) for name, value in seen["headers"]
                if name.lower().startswith("x-client-")]
        assert len(told) == len(dict(told)), told
        told = dict(told)
        return (told.get("x-client-verify"), told.get("x-client-subject"),
                told.get("x-client-san"), client.sock.session, client.sock.session_reused)


def test_optional_certificates_are_told_and_never_believed_from_headers(made):
    with Origin(echo) as origin, weir_with(origin, made, {"mode": "optional"}) as weir:
        alice = client_context(certificate=made["alice"])
        first = identity(weir, alice, "/alice")
        assert first[:3] == ("SUCCESS", "CN=alice", "DNS:alice.test, URI:spiffe://alice")
        again = identity(weir, alice, "/alice", session=first[3])
        assert again[4] and again[:3] == first[:3]
        assert identity(weir, client_context(), "/nobody")[:3] == ("NONE", None, None)
        verify, subject, san = identity(weir, client_context(certificate=made["stranger"]))[:3]
        assert verify.startswith("FAILED:") and subject is None and san is None
        line = weir.log_of("/alice")[0]
        assert line["tls_client_verify"] == "SUCCESS"
        assert line["tls_client_subject"] == "CN=alice"
        assert line["tls_client_san"] == "DNS:alice.test, URI:spiffe://alice"
        assert weir.log_of("/nobody")[0]["tls_client_verify"] == "NONE"
        # A listener in the clear is no way around.
        host, _, port = weir.ports["plain"].rpartition(":")
        with RawClient((host, int(port))) as client:
            seen = client.request("GET", "/", headers=SPOOFED).json()
            assert not [name for name, _ in seen["headers"] if name.lower().startswith("x-client")]


LOOK_ALIKES = [("X_Client_Subject", "CN=root"), ("x-client_verify", "SUCCESS"),
               ("X_CLIENT-SAN", "DNS:root")]


def test_neither_look_alikes_nor_trailers_say_who_a_client_is(made):
    spoofed = [(name.lower(), value) for name, value in SPOOFED + LOOK_ALIKES]
    trailers = [*spoofed, ("x-sum", "7")]

    def told(answer):
        seen = json.loads(answer.body)
        assert seen["trailers"] in ([["X-Sum", "7"]], [["x-sum", "7"]])
        return [(name.lower(), value) for name, value in seen["headers"]
                if "client" in name.lower()]

    with Origin(echo) as origin, weir_with(origin, made, {"mode": "optional"}) as weir:
        with TlsClient(weir.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" +
                        lines_of(spoofed) + b"\r\n2\r\nok\r\n0\r\n" + lines_of(trailers) + b"\r\n")
            assert told(client.response()) == [("x-client-verify", "NONE")]
        with H2Client(weir.address, tls="localhost") as client:
            client.headers(1, get("/", *spoofed, method="POST", authority="localhost"), end=False)
            client.data(1, b"ok")
            client.headers(1, trailers)
            assert told(client.answer(1)) == [("x-client-verify", "NONE")]


def lines_of(fields):
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def stranger_waits(weir):
    """A client without a certificate that has had its first answer."""
    client = TlsClient(weir.address)
    assert client.request("GET", "/first", host="localhost").status == 200
    return client


def test_a_reload_that_asks_for_other_certificates_ends_who_came_before(made):
    begun, go_on = threading.Event(), threading.Event()

    def answer(conn):
        while (request := conn.read_request()) is not None:
            if request.target == "/slow":
                begun.set()
                assert go_on.wait(10)
            conn.answer(b"ok")

    with Origin(answer) as origin, weir_with(origin, made, {"mode": "optional"}) as weir:
        weir.config["listeners"]["http"]["address"] = weir.ports["http"]
        weir.config["listeners"]["plain"]["address"] = weir.ports["plain"]
        auth = weir.config["listeners"]["http"]["tls"]["client_auth"]
        with stranger_waits(weir) as idle, stranger_waits(weir) as busy, \
                H2Client(weir.address, tls="localhost") as streams:
            assert streams.request(get(authority="localhost")).status == 200
            host, _, port = weir.ports["plain"].rpartition(":")
            with RawClient((host, int(port))) as plain:
                assert plain.request("GET", "/plain").status == 200
                auth["headers"] = {"subject": "X-Dn"}
                weir.write_config()
                weir.reload()
                # Who is let in is the same as before.
                assert idle.request("GET", "/second", host="localhost").status == 200
                busy.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert begun.wait(10)
                auth["mode"] = "require"
                weir.write_config()
                weir.reload()
                idle.assert_closed()
                go_on.set()
                last = busy.response()
                assert (last.status, last.get("connection")) == (200, "close")
                busy.assert_closed()
                while not streams.closed:
                    streams.step()
                assert streams.goaways
                assert plain.request("GET", "/plain").status == 200
        with pytest.raises((ssl.SSLError, Closed, OSError)):
            stranger_waits(weir)


def test_required_certificates(made):
    with Origin(echo) as origin, weir_with(origin, made, {}) as weir:
        assert identity(weir, client_context(certificate=made["alice"]))[0] == "SUCCESS"
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for certificate in (None, made["stranger"]):
                context = client_context(version=version, certificate=certificate)
                with pytest.raises((ssl.SSLError, Closed, OSError)):
                    identity(weir, context)
        assert weir.metric("weir_protocol_errors_total", reason="no_certificate") == 2
        assert weir.metric("weir_protocol_errors_total", reason="bad_certificate") == 2


def test_fields_may_have_other_names(made):
    names = {"subject": "X-Dn", "verify": "X-Ok", "san": "X-Names"}
    with Origin(echo) as origin, weir_with(origin, made, {"headers": names}) as weir:
        with TlsClient(weir.address, context=client_context(certificate=made["alice"])) as client:
            answer = client.request("GET", "/", headers=[("x-dn", "CN=root")], host="localhost")
            told = {name.lower(): value for name, value in answer.json()["headers"]}
            assert (told["x-dn"], told["x-ok"]) == ("CN=alice", "SUCCESS")
            assert told["x-names"] == "DNS:alice.test, URI:spiffe://alice"

"""TLS at the listener: what clients are shown, what goes through, and what does not."""
import hashlib
import os
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
from support.origin import Origin, canned, echo
from support.raw import RawClient
from support.tls import Certificate, MemoryTls, TlsClient, client_context, run_openssl
from support.weir import Weir, binary, proxy

SAY = [{"hosts": ["*"], "routes": [
    {"path": "/", "respond": {"status": 200, "body": "$scheme $host"}}]}]


@pytest.fixture(name="made", scope="module")
def made_certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {
        "ec": Certificate(folder, "ec", "DNS:localhost,DNS:a.test,IP:127.0.0.1"),
        "rsa": Certificate(folder, "rsa", "DNS:localhost", key="RSA"),
        "wild": Certificate(folder, "wild", "DNS:*.w.test"),
    }


def tls_weir(*certificates, tls=None, listener=None, sites=None, **options):
    return Weir(sites=sites or SAY, certificates=[one.entry() for one in certificates],
                listener={"tls": tls or {}, **(listener or {})}, **options)


def leaf_of(certificate):
    with open(certificate.cert, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def s_client(weir, *arguments, stdin=b"", ok=False):
    return run_openssl("s_client", "-connect", "%s:%d" % weir.address, *arguments, stdin=stdin,
                       ok=ok)


def test_requests_are_https_everywhere(made):
    with Origin(echo) as origin, proxy(origin, certificates=[made["ec"].entry()],
                                       listener={"tls": {}}) as weir:
        with TlsClient(weir.address) as client:
            for _ in range(3):
                seen = client.request("GET", "/x", host="localhost").json()
                headers = {name.lower(): value for name, value in seen["headers"]}
                assert headers["x-forwarded-proto"] == "https"
            assert client.sock.version() == "TLSv1.3"
            assert client.sock.selected_alpn_protocol() is None
        line = weir.log_of("/x", lines=3)[0]
        assert line["tls"] == "TLSv1.3"
        assert line["tls_cipher"].startswith("TLS_AES_")
        assert "tls_client_verify" not in line
        assert weir.metric("weir_tls_handshakes_total", result="full") == 1
    with tls_weir(made["ec"]) as weir:
        context = client_context(alpn=["http/1.1"], version=ssl.TLSVersion.TLSv1_2)
        with TlsClient(weir.address, context=context) as client:
            assert client.request("GET", "/", host="localhost").body == b"https localhost"
            assert client.sock.selected_alpn_protocol() == "http/1.1"
        days = weir.metrics()['weir_certificate_expiry_seconds{name="localhost"}'] / 86400
        assert 89 < days <= 90


def test_large_bodies_pass_both_ways(made):
    body = os.urandom(1 << 20) * 4

    def give_back(conn):
        while conn.read_request() is not None:
            conn.answer(body)

    with Origin(give_back) as origin, proxy(origin, certificates=[made["ec"].entry()],
                                            listener={"tls": {}}) as weir:
        def ask(slow):
            with TlsClient(weir.address, timeout=40) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                            % len(body))
                client.send(body)
                if slow:
                    time.sleep(0.5)
                return hashlib.sha256(client.response().body).digest()

        digests = []
        threads = [threading.Thread(target=lambda slow=slow: digests.append(ask(slow)))
                   for slow in (False, True, False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert digests == [hashlib.sha256(body).digest()] * 3
        # What waits for a slow client is bounded, encrypted or not.
        assert weir.rss_bytes() < 400 << 20


def test_a_client_may_send_byte_by_byte(made):
    with tls_weir(made["ec"]) as weir, MemoryTls(weir.address) as client:
        client.send(client.begin(), step=1)
        client.drive(client.tls.do_handshake, step=1)
        ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.drive(lambda: client.tls.write(ask), step=1)
        answer = b""
        while not answer.endswith(b"https localhost"):
            answer += client.drive(lambda: client.tls.read(65536))
        assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("notify", [True, False])
def test_half_closing_leaves_the_answer(made, notify):
    """A client's end, with or without a close_notify, is that of its own direction only."""
    with tls_weir(made["ec"]) as weir, MemoryTls(weir.address) as client:
        client.send(client.begin())
        client.drive(client.tls.do_handshake)
        client.tls.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        asked = client.records()
        if notify:
            try:
                client.tls.unwrap()
            except ssl.SSLWantReadError:
                pass
        client.send(asked + client.records())
        client.sock.shutdown(socket.SHUT_WR)
        data = b""
        while piece := client.sock.recv(65536):
            data += piece
        # the ticket, the answer and weir's own close_notify
        assert len(data) > 200


def test_plain_http_is_told_what_the_port_speaks(made):
    with tls_weir(made["ec"]) as weir:
        with RawClient(weir.address) as client:
            answer = client.request("GET", "/")
            assert answer.status == 400
            assert answer.get("connection") == "close"
            assert b"HTTPS" in answer.body
            client.assert_closed()
        assert weir.metric("weir_protocol_errors_total", protocol="tls", reason="plain_http") == 1


def test_garbage_and_silence_end_and_are_counted(made):
    with tls_weir(made["ec"], listener={"timeouts": {"handshake": "400ms"}}) as weir:
        hello = MemoryTls(weir.address).begin()
        for sent in (b"\x00", b"\x80\x2e\x01\x03\x01", b"\x16\x03\x01\xff\xff" + b"x" * 70000,
                     b"\x16\x03\x01\x00\x05hello", hello[:60] + b"\xff" * 200):
            with RawClient(weir.address) as client:
                try:
                    client.send(sent)
                except OSError:
                    pass
                client.read_all()  # an alert, and the end in time
        # Names that are none: with a NUL, of 10 KB, of an unknown kind, longer than said.
        at = hello.index(b"localhost")
        for broken in (hello[:at + 3] + b"\0" + hello[at + 4:],
                       hello[:at - 3] + b"\x07" + hello[at - 2:],
                       hello[:at - 2] + b"\x27\x10" + hello[at:]):
            with RawClient(weir.address) as client:
                client.send(broken)
                client.read_all()
        for sent in (b"", hello[:100]):
            with RawClient(weir.address) as client:
                client.send(sent)
                client.read_all()  # an alert, and the end in time
        assert weir.metric("weir_protocol_errors_total", protocol="tls", reason="timeout") >= 2
        assert weir.metric("weir_protocol_errors_total", protocol="tls", reason="malformed") >= 4
        assert weir.metric("weir_tls_handshakes_total", result="failed") >= 6
        weir.wait_line(r"listener http: TLS handshake with 127\.0\.0\.1: ")
        with TlsClient(weir.address) as client:
            assert client.request("GET", "/", host="localhost").status == 200


def test_clients_leave_at_every_byte_of_a_handshake(made):
    with tls_weir(made["ec"]) as weir:
        with MemoryTls(weir.address) as first:
            hello = first.begin()
        for i in range(0, len(hello) + 1, 5):
            with RawClient(weir.address) as client:
                client.send(hello[:i])
                if i % 2:
                    client.reset()
        for left in (0, 1, 10, 40):  # of the second flight
            with MemoryTls(weir.address) as client:
                client.send(client.begin())
                client.incoming.write(client.sock.recv(65536))
                try:
                    client.tls.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                flight = client.records()
                client.send(flight[:len(flight) - left])
        weir.wait_metric("active_connections", 0)
        with TlsClient(weir.address) as client:
            assert client.request("GET", "/", host="localhost").status == 200


def test_the_certificate_is_chosen_by_name_and_key(made):
    with tls_weir(made["ec"], made["rsa"], made["wild"]) as weir:
        def shown(name, *arguments):
            named = ["-servername", name] if name else ["-noservername"]
            text = s_client(weir, *named, *arguments)
            return re.search(r"subject=CN = (\w+)", text)[1]

        assert shown("localhost") == "ec"
        assert shown("localhost", "-sigalgs", "RSA-PSS+SHA256") == "rsa"
        assert shown("localhost", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256") == "rsa"
        assert shown("x.w.test") == "wild"
        assert shown("x.y.w.test") == "ec"
        assert shown(None) == "ec"
        assert shown("unknown.test", "-sigalgs", "RSA-PSS+SHA256") == "rsa"
        with TlsClient(weir.address, name="X.w.Test") as client:
            assert client.shown() == leaf_of(made["wild"])
            assert client.request("GET", "/", host="x.w.test").status == 200
            # RFC 9110 7.4: this host's certificate was not shown on this connection.
            answer = client.request("GET", "/", host="localhost")
            assert answer.status == 421
            assert client.request("GET", "/", host="y.w.test").status == 200


def test_versions_ciphers_and_what_is_off(made):
    with tls_weir(made["ec"], made["rsa"]) as weir:
        assert "alert protocol version" in s_client(weir, "-tls1_1", "-cipher",
                                                     "DEFAULT@SECLEVEL=0")
        for suite in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256",
                      "ECDHE-RSA-AES256-SHA384"):
            assert "alert handshake failure" in s_client(weir, "-tls1_2", "-cipher", suite)
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
                      "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"):
            assert f"Cipher is {suite}" in s_client(weir, "-tls1_2", "-cipher", suite)
        assert "no application protocol" in s_client(weir, "-alpn", "spdy/3")
        text = s_client(weir, "-tls1_2")
        assert "Compression: NONE" in text
        text = s_client(weir, "-tls1_2", stdin=b"R\n")
        assert "no renegotiation" in text
        text = s_client(weir, "-tls1_3")
        assert "Max Early Data: 0" in text or "Max Early Data" not in text
    with tls_weir(made["ec"], tls={"min_version": "1.3", "curves": ["P-256"],
                                   "ciphers": ["TLS_CHACHA20_POLY1305_SHA256"]}) as weir:
        assert "alert protocol version" in s_client(weir, "-tls1_2")
        text = s_client(weir, "-tls1_3")
        assert "TLS_CHACHA20_POLY1305_SHA256" in text
        assert "Server Temp Key: ECDH, prime256v1" in text
    order = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    for prefer, chosen in ((False, "AES256"), (True, "AES128")):
        with tls_weir(made["ec"], tls={"prefer_server_ciphers": prefer}) as weir:
            text = s_client(weir, "-tls1_2", "-cipher", order)
            assert f"Cipher is ECDHE-ECDSA-{chosen}-GCM" in text


@pytest.mark.parametrize("tickets", [True, False])
def test_sessions_are_resumed_on_every_worker_and_over_a_reload(made, tickets):
    tls = {"session_cache": {"size": "1MiB", "timeout": "1h"},
           "session_tickets": {"enabled": tickets}}
    with tls_weir(made["ec"], tls=tls, workers=4) as weir:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(version=version)
            session = None
            for i in range(12):
                if i == 8:
                    weir.reload()
                with TlsClient(weir.address, context=context, session=session) as client:
                    assert client.request("GET", "/", host="localhost").status == 200
                    assert client.sock.session_reused == (i > 0)
                    session = client.sock.session
                    # TLS 1.3 has tickets of either kind.
                    assert session.has_ticket == (tickets or version != ssl.TLSVersion.TLSv1_2)
        assert weir.metric("weir_tls_handshakes_total", result="full") == 2
        assert weir.metric("weir_tls_handshakes_total", result="resumed") == 22


def test_tickets_of_a_fleet(made, tmp_path):
    keys = tmp_path / "tickets"
    keys.write_bytes(os.urandom(80))
    tls = {"session_cache": "off", "session_tickets": {"key_file": str(keys)}}
    context = client_context()
    with tls_weir(made["ec"], tls=tls) as one, tls_weir(made["ec"], tls=tls) as other:
        with TlsClient(one.address, context=context) as client:
            client.request("GET", "/", host="localhost")
            session = client.sock.session
        with TlsClient(other.address, context=context, session=session) as client:
            client.request("GET", "/", host="localhost")
            assert client.sock.session_reused
        keys.write_bytes(os.urandom(80) + keys.read_bytes())
        other.reload()
        with TlsClient(other.address, context=context, session=session) as client:
            client.request("GET", "/", host="localhost")
            assert client.sock.session_reused
        keys.write_bytes(os.urandom(80))
        other.reload()
        with TlsClient(other.address, context=context, session=session) as client:
            client.request("GET", "/", host="localhost")
            assert not client.sock.session_reused


def test_a_reload_takes_renewed_files(made, tmp_path):
    def put(certificate):
        for name, source in (("s.crt", certificate.cert), ("s.key", certificate.key)):
            with open(source, "rb") as file:
                (tmp_path / name).write_bytes(file.read())

    put(made["ec"])
    paths = {"cert": str(tmp_path / "s.crt"), "key": str(tmp_path / "s.key")}
    with Weir(sites=SAY, certificates=[paths], listener={"tls": {}}, workers=2) as weir:
        with TlsClient(weir.address) as old:
            old.request("GET", "/", host="localhost")
            put(made["rsa"])
            weir.reload()
            with TlsClient(weir.address) as client:
                assert client.shown() == leaf_of(made["rsa"])
            assert old.request("GET", "/", host="localhost").status == 200
            # One file of two: the old pair stays.
            (tmp_path / "s.key").write_bytes(open(made["ec"].key, "rb").read())
            weir.reload(expect="failed")
            weir.wait_line(r"certificates\[0\]\.key: .*s\.key\" is not the key of the "
                           r"certificate \".*s\.crt\"")
            with TlsClient(weir.address) as client:
                assert client.shown() == leaf_of(made["rsa"])
                assert client.request("GET", "/", host="localhost").status == 200
            assert old.request("GET", "/", host="localhost").status == 200


def test_a_reload_may_take_tls_off_a_listener_and_put_it_on(made):
    with tls_weir(made["ec"]) as weir:
        listener = weir.config["listeners"]["http"]
        listener["address"] = weir.ports["http"]

        def reload_with(tls):
            listener.pop("tls", None)
            listener.update(tls)
            weir.write_config()
            weir.reload()

        with RawClient(weir.address) as silent, TlsClient(weir.address) as known:
            assert known.request("GET", "/", host="localhost").status == 200
            with MemoryTls(weir.address) as other:
                hello = other.begin()
            reload_with({})
            known.assert_closed()
            silent.send(hello)
            # Closed when it took too long to say so.
            assert re.match(rb"HTTP/1.1 400 |$", silent.read_all())
        assert weir.process.poll() is None
        with RawClient(weir.address) as known:
            assert known.request("GET", "/", host="localhost").body == b"http localhost"
            reload_with({"tls": {}})
            known.assert_closed()
        with TlsClient(weir.address) as client:
            assert client.request("GET", "/", host="localhost").body == b"https localhost"


def test_check_names_file_and_reason(made, tmp_path):
    broken = tmp_path / "broken.crt"
    broken.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    config = tmp_path / "weir.yaml"
    config.write_text(f"""
listeners: {{https: {{address: "127.0.0.1:0", tls: {{}}}}}}
certificates:
  - {{cert: {made["ec"].cert}, key: {made["rsa"].key}}}
  - {{cert: {broken}, key: {made["rsa"].key}}}
  - {{cert: {tmp_path}/none.crt, key: {made["rsa"].key}}}
sites: [{{hosts: ["*"], routes: [{{path: /, respond: {{}}}}]}}]
""")
    done = subprocess.run([binary(), "check", "-c", str(config)], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 1
    lines = (done.stdout + done.stderr).splitlines()
    assert any(f'certificates[0].key: "{made["rsa"].key}" is not the key of the certificate '
               f'"{made["ec"].cert}"' in line for line in lines)
    assert any(f'certificates[1].cert: "{broken}" is no certificate' in line for line in lines)
    assert any(f'certificates[2].cert: "{tmp_path}/none.crt" cannot be read: No such file'
               in line for line in lines)
    assert "PRIVATE" not in done.stdout + done.stderr


def test_an_ocsp_answer_is_stapled(made, tmp_path):
    ca = Certificate(tmp_path, "ca", "", is_ca=True)
    leaf = Certificate(tmp_path, "leaf", "DNS:localhost", issuer=ca)
    serial = run_openssl("x509", "-in", leaf.cert, "-noout", "-serial").strip().partition("=")[2]
    index = tmp_path / "index.txt"
    index.write_text(f"V\t491231235959Z\t\t{serial}\tunknown\t/CN=leaf\n")
    answer = str(tmp_path / "leaf.ocsp")
    run_openssl("ocsp", "-index", str(index), "-CA", ca.cert, "-rsigner", ca.cert, "-rkey", ca.key,
                "-issuer", ca.cert, "-cert", leaf.cert, "-respout", answer, "-ndays", "7",
                "-noverify")
    with Weir(sites=SAY, listener={"tls": {}},
              certificates=[leaf.entry(ocsp=answer), made["wild"].entry()]) as weir:
        text = s_client(weir, "-status", "-servername", "localhost")
        assert "OCSP Response Status: successful" in text
        assert "Cert Status: good" in text
        text = s_client(weir, "-status", "-servername", "x.w.test")
        assert "OCSP response: no response sent" in text


def test_a_client_that_never_reads_is_ended(made):
    body = b"x" * (8 << 20)

    def give(conn):
        while conn.read_request() is not None:
            conn.answer(body)

    with Origin(give) as origin, proxy(origin, certificates=[made["ec"].entry()],
                                       listener={"tls": {}, "timeouts": {"send": "1s"}}) as weir:
        with TlsClient(weir.address) as client:
            client.send(b"GET /stuck HTTP/1.1\r\nHost: localhost\r\n\r\n")
            line = weir.log_of("/stuck", seconds=20)[0]
            assert line["error"].startswith("client: timeout")
            weir.wait_metric("active_connections", 0)


def test_a_client_may_ask_for_small_records(made):
    """RFC 6066 4: 16 KiB are 32 records then, each with its own head and tag."""
    body = os.urandom(100_000).hex()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Origin(canned(head + body.encode())) as origin, \
            proxy(origin, certificates=[made["ec"].entry()], listener={"tls": {}}) as weir:
        for version in ("-tls1_2", "-tls1_3"):
            for size in ("512", "4096"):
                said = s_client(weir, version, "-maxfraglen", size, "-quiet", "-ign_eof", ok=True,
                                stdin=b"GET / HTTP/1.1\r\nHost: localhost\r\n"
                                      b"Connection: close\r\n\r\n")
                assert body in said


def test_a_flood_of_handshakes_does_not_starve_who_is_connected(made):
    with tls_weir(made["rsa"]) as weir, TlsClient(weir.address) as client:
        client.request("GET", "/", host="localhost")
        over = threading.Event()
        hello = MemoryTls(weir.address).begin()

        def flood():
            while not over.is_set():
                some = []
                try:
                    for _ in range(50):
                        some.append(socket.create_connection(weir.address, timeout=5))
                        some[-1].sendall(hello)
                except OSError:
                    pass
                for sock in some:
                    sock.close()

        threads = [threading.Thread(target=flood) for _ in range(3)]
        for thread in threads:
            thread.start()
        slowest = 0
        try:
            for _ in range(100):
                began = time.monotonic()
                assert client.request("GET", "/", host="localhost").status == 200
                slowest = max(slowest, time.monotonic() - began)
        finally:
            over.set()
            for thread in threads:
                thread.join(20)
        assert slowest < 5

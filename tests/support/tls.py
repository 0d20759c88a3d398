"""Certificates made on the spot, and clients that speak TLS."""
import os
import socket
import ssl
import subprocess

from support.raw import RawClient

TIMEOUT_S = 20


def run_openssl(*arguments, stdin=b"", ok=True):
    """stdout and stderr of one openssl command."""
    done = subprocess.run(["openssl", *arguments], input=stdin, timeout=TIMEOUT_S,
                          capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0 or not ok, text
    return text


class Certificate:
    """Files NAME.crt and NAME.key in `folder`; self-signed, or signed by `issuer`."""

    def __init__(self, folder, name, alternative="DNS:localhost,IP:127.0.0.1", key="EC",
                 issuer=None, is_ca=False, days=90):
        self.cert = os.path.join(str(folder), name + ".crt")
        self.key = os.path.join(str(folder), name + ".key")
        kind = (["rsa:2048"] if key == "RSA" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        extensions = ["-addext", f"basicConstraints=critical,CA:{'TRUE' if is_ca else 'FALSE'}"]
        if alternative:
            extensions += ["-addext", f"subjectAltName={alternative}"]
        signer = ["-CA", issuer.cert, "-CAkey", issuer.key] if issuer else []
        run_openssl("req", "-x509", "-newkey", *kind, "-nodes", "-days", str(days), "-subj",
                    f"/CN={name}", "-keyout", self.key, "-out", self.cert, *extensions, *signer)

    def entry(self, **more):
        return {"cert": self.cert, "key": self.key, **more}


def client_context(alpn=None, version=None, certificate=None):
    """Believes everybody: what is shown is looked at by the tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(certificate.cert, certificate.key)
    return context


class TlsClient(RawClient):
    """A RawClient inside TLS."""

    def __init__(self, address, name="localhost", context=None, session=None, **options):
        super().__init__(address, **options)
        try:
            self.sock = (context or client_context()).wrap_socket(
                self.sock, server_hostname=name, session=session)
        except BaseException:
            self.sock.close()
            raise

    def shown(self):
        """The server's certificate, in DER."""
        return self.sock.getpeercert(binary_form=True)


class MemoryTls:
    """A client's TLS whose records the test carries itself."""

    def __init__(self, address, name="localhost", context=None):
        self.sock = socket.create_connection(address, timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(self.incoming, self.outgoing,
                                                          server_hostname=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def records(self):
        """What has to be sent next."""
        return self.outgoing.read()

    def begin(self):
        """The first flight."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.records()

    def send(self, records, step=None):
        for i in range(0, len(records), step or len(records) or 1):
            self.sock.sendall(records[i:i + (step or len(records))])

    def drive(self, action, step=None):
        """Calls `action` until it wants nothing more from the server."""
        while True:
            try:
                result = action()
                self.send(self.records(), step)
                return result
            except ssl.SSLWantReadError:
                self.send(self.records(), step)
                data = self.sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

"""A name server on a free port of 127.0.0.1, UDP and TCP, that answers what a test says."""
import ipaddress
import socket
import struct
import threading

A, AAAA, SRV = 1, 28, 33
NXDOMAIN, SERVFAIL = 3, 2
TRUNCATED = 0x0200
UDP_MAX_BYTES = 512  # RFC 1035 4.2.1; weir sends no EDNS


def _read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii").lower())
        at += 1 + packet[at]
    return ".".join(labels), at + 1


def _pack_name(name):
    labels = name.split(".") if name else []
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"


def _sockets():
    """UDP and TCP of one port."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
            tcp.listen()
            return udp, tcp
        except OSError:  # somebody else's port
            udp.close()
            tcp.close()


class Dns:
    """names: {"app.test": (["127.0.0.1", "::1"], ttl)}; other names do not exist. A number in place
    of the pair is the response code of a failure; None is silence. In place of an address, a tuple
    (priority, weight, port, target) is an SRV record. What UDP cannot hold is truncated there."""

    def __init__(self, names=None):
        self.names = dict(names or {})
        self.asked = []  # names of A and SRV questions, in order
        self.asked_by_tcp = []  # all names
        self.cuts_tcp = False   # closes in the middle of an answer
        self.sock, self.listener = _sockets()
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.threads = [threading.Thread(target=target, daemon=True)
                        for target in (self._serve, self._serve_tcp)]
        for thread in self.threads:
            thread.start()

    def environment(self):
        return {"WEIR_DNS_SERVERS": self.address}

    def _serve(self):
        while True:
            packet, peer = self.sock.recvfrom(4096)
            if not packet:  # stop()
                return
            answer = self._answer(packet)
            if answer and len(answer) > UDP_MAX_BYTES:
                flags, questions = struct.unpack("!2xHH", answer[:6])
                end = _read_name(packet, 12)[1] + 4
                answer = packet[:2] + struct.pack("!HHHHH", flags | TRUNCATED, questions, 0, 0, 0) \
                    + packet[12:end]
            if answer:
                self.sock.sendto(answer, peer)

    def _serve_tcp(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:  # stop()
                return
            with conn, conn.makefile("rb") as stream:
                conn.settimeout(10)
                try:
                    while len(head := stream.read(2)) == 2:
                        packet = stream.read(struct.unpack("!H", head)[0])
                        self.asked_by_tcp.append(_read_name(packet, 12)[0])
                        answer = self._answer(packet) or b""
                        framed = struct.pack("!H", len(answer)) + answer
                        if self.cuts_tcp:
                            conn.sendall(framed[:len(framed) // 2])
                            break
                        conn.sendall(framed)
                except OSError:
                    pass

    def _answer(self, packet):
        name, end = _read_name(packet, 12)
        kind, _ = struct.unpack("!HH", packet[end:end + 4])
        if kind in (A, SRV):
            self.asked.append(name)
        known = self.names.get(name, NXDOMAIN)
        if known is None:
            return None
        code, records = (known, []) if isinstance(known, int) else (0, self._records(known, kind))
        head = packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return head + packet[12:end + 4] + b"".join(records)

    @staticmethod
    def _records(known, kind):
        entries, ttl = known
        if kind == SRV:
            data = [struct.pack("!HHH", *srv[:3]) + _pack_name(srv[3])
                    for srv in entries if isinstance(srv, tuple)]
        else:
            addresses = [ipaddress.ip_address(a) for a in entries if isinstance(a, str)]
            data = [a.packed for a in addresses if a.version == (4 if kind == A else 6)]
        return [struct.pack("!HHHIH", 0xc00c, kind, 1, ttl, len(one)) + one for one in data]

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.sock.getsockname())
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(15)
        self.sock.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

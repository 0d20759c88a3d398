"""A name server on a free UDP port of 127.0.0.1 that answers what a test says."""
import ipaddress
import socket
import struct
import threading

A, AAAA, SRV = 1, 28, 33
NXDOMAIN, SERVFAIL = 3, 2


def _read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii").lower())
        at += 1 + packet[at]
    return ".".join(labels), at + 1


def _pack_name(name):
    labels = name.split(".") if name else []
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"


class Dns:
    """names: {"app.test": (["127.0.0.1", "::1"], ttl)}; other names do not exist. A number in place
    of the pair is the response code of a failure; None is silence. In place of an address, a tuple
    (priority, weight, port, target) is an SRV record."""

    def __init__(self, names=None):
        self.names = dict(names or {})
        self.asked = []  # names of A and SRV questions, in order
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def environment(self):
        return {"WEIR_DNS_SERVERS": self.address}

    def _serve(self):
        while True:
            packet, peer = self.sock.recvfrom(4096)
            if not packet:  # stop()
                return
            answer = self._answer(packet)
            if answer:
                self.sock.sendto(answer, peer)

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
        self.thread.join(5)
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

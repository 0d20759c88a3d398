"""An HTTP/2 client that speaks in frames: what it sends is exactly what the test wrote."""
import socket
import ssl
import struct

from hpack import Decoder  # of answers only: what is sent is encoded here, literally

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM, END_HEADERS, ACK, PADDED, WITH_PRIORITY = 1, 4, 1, 8, 32
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
    MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8
GET = ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
TIMEOUT_S = 15


def get(path="/", *more, method="GET", authority="a"):
    return [(":method", method), (":scheme", "http"), (":path", path),
            (":authority", authority), *more]


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def integer(value, bits, first=0):
    """RFC 7541 5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out = bytearray([first | limit])
    value -= limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def literal(fields, first=0):
    """A header block of literals without indexing, and without Huffman codes."""
    out = b""
    for name, value in fields:
        name = name if isinstance(name, bytes) else name.encode("latin-1")
        value = value if isinstance(value, bytes) else value.encode("latin-1")
        out += bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value
    return out


def settings(values):
    return b"".join(struct.pack(">HI", name, value) for name, value in values.items())


class Answer:
    def __init__(self):
        self.status = None
        self.headers = []
        self.interim = []  # (status, headers)
        self.body = b""
        self.trailers = []
        self.ended = False
        self.reset = None  # the code of a RST_STREAM

    def get(self, name):
        found = [v for n, v in self.headers if n == name]
        assert len(found) <= 1, f"{name} more than once: {found}"
        return found[0] if found else None

    @property
    def over(self):
        return self.ended or self.reset is not None

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:80]!r} reset={self.reset}>"


class H2Client:
    """Reads until what it waits for has come, and remembers everything else by stream."""

    def __init__(self, address, hello=True, tls=None, own_settings=None, window=1 << 20,
                 acknowledge=True):
        self.sock = socket.create_connection(address, timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname=tls)
        self.decoder = Decoder()
        self.decoder.max_header_list_size = 1 << 24
        self.buffer = b""
        self.answers = {}
        self.settings = None
        self.goaways = []  # (last stream, code)
        self.pongs = []
        self.windows = []  # (stream, increment)
        self.acknowledged = 0
        self.closed = False
        self.give_windows = window > 0
        self.acknowledge = acknowledge
        if hello:
            self.send(PREFACE + frame(SETTINGS, payload=settings(own_settings or {})))
            if window > 65535:
                self.send(frame(WINDOW_UPDATE, payload=struct.pack(">I", window - 65535)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def send_if_open(self, data):
        """For floods: the other side may have had enough."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def frame(self, kind, flags=0, stream=0, payload=b""):
        return self.send(frame(kind, flags, stream, payload))

    def headers(self, stream, fields=GET, end=True, more=0):
        block, flags = literal(fields), (END_STREAM if end else 0) | more
        parts = [block[i:i + 16384] for i in range(0, len(block), 16384)] or [b""]
        for i, part in enumerate(parts):
            last = END_HEADERS if i == len(parts) - 1 else 0
            if i == 0:
                self.frame(HEADERS, flags | last, stream, part)
            else:
                self.frame(CONTINUATION, last, stream, part)
        return self

    def data(self, stream, data=b"", end=False):
        return self.frame(DATA, END_STREAM if end else 0, stream, data)

    # ---- what comes ----

    def read_frame(self):
        """(type, flags, stream, payload), or None at the end."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + self._length():
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.closed = True
                return None
            self.buffer += data
        length = self._length()
        kind, flags = self.buffer[3], self.buffer[4]
        stream = struct.unpack(">I", self.buffer[5:9])[0]
        payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        return kind, flags, stream, payload

    def _length(self):
        return int.from_bytes(self.buffer[:3], "big")

    def step(self):
        """Takes one frame in. False at the end of the connection."""
        got = self.read_frame()
        if got is None:
            return False
        kind, flags, stream, payload = got
        answer = self.answers.setdefault(stream, Answer()) if stream else None
        if kind == SETTINGS:
            if flags & ACK:
                self.acknowledged += 1
            else:
                pairs = struct.iter_unpack(">HI", payload)
                self.settings = dict(pairs)
                if self.acknowledge:
                    self.send_if_open(frame(SETTINGS, ACK))
        elif kind == HEADERS:
            assert flags & END_HEADERS, "weir splits no heads of this size"
            self._head(answer, self.decoder.decode(payload))
        elif kind == DATA:
            answer.body += payload
            if payload and self.give_windows:
                credit = struct.pack(">I", len(payload))
                self.send_if_open(frame(WINDOW_UPDATE, 0, 0, credit) +
                                  frame(WINDOW_UPDATE, 0, stream, credit))
        elif kind == RST_STREAM:
            answer.reset = struct.unpack(">I", payload)[0]
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack(">II", payload[:8]))
        elif kind == PING:
            if flags & ACK:
                self.pongs.append(payload)
            else:
                self.send_if_open(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self.windows.append((stream, struct.unpack(">I", payload)[0]))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            answer.ended = True
        return True

    @staticmethod
    def _head(answer, fields):
        if fields[0][0] != ":status":
            answer.trailers = fields
            return
        status = int(fields[0][1])
        if status < 200:
            answer.interim.append((status, fields[1:]))
        else:
            answer.status, answer.headers = status, fields[1:]

    def until(self, done):
        while not done(self):
            assert self.step(), f"closed before it: {self.answers} {self.goaways}"
        return self

    def answer(self, stream):
        """All of it: to its end or its reset."""
        self.answers.setdefault(stream, Answer())
        self.until(lambda _: self.answers[stream].over)
        return self.answers[stream]

    def request(self, fields=GET, stream=1, body=None):
        self.headers(stream, fields, end=body is None)
        if body is not None:
            self.data(stream, body, end=True)
        return self.answer(stream)

    def sync(self):
        """What was sent until now has been read by the other side."""
        count = len(self.pongs)
        self.frame(PING, payload=b"in order")
        return self.until(lambda _: len(self.pongs) > count)

    def end(self):
        """Reads to the end. The code of the last GOAWAY, or None when there was none."""
        while self.step():
            pass
        return self.goaways[-1][1] if self.goaways else None

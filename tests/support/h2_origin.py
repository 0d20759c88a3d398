"""Application servers that speak HTTP/2 frame by frame, so that a test decides what each holds.

    Origin(h2(answer))

runs answer(peer, request) once a request is whole. What a peer sends is put together here, by
hand; only header blocks of the other side are decoded by a library.
"""
import struct
import threading

import hpack
from support.weir import proxy

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, ENABLE_CONNECT_PROTOCOL = 3, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 2, 7, 8
OK = [(":status", "200")]


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def number(value, bits):
    """RFC 7541 5.1"""
    if value < (1 << bits) - 1:
        return bytes([value])
    out = [(1 << bits) - 1]
    value -= (1 << bits) - 1
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def block(fields, first=b"\x00"):
    """Literals without indexing, without Huffman: any bytes may be in them."""
    out = b""
    for pair in fields:
        out += first
        for text in pair:
            raw = text if isinstance(text, bytes) else text.encode("latin-1")
            out += number(len(raw), 7) + raw
    return out


class Request:
    def __init__(self, stream, headers):
        self.stream = stream
        self.headers = headers
        self.trailers = []
        self.body = b""
        self.ended = False
        self.reset = None  # the code of its RST_STREAM
        self.window = 65535
        self.queue = []  # frames that wait for a window: (kind, flags, payload)

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def path(self):
        return self.get(":path")


class Peer:
    """One connection. Sending is safe from several threads; reading is the serving thread's."""

    def __init__(self, conn):
        self.conn = conn
        self.requests = {}
        self.pings = 0
        self.goaway = None
        self.acked = 0  # of our SETTINGS
        self.decoder = hpack.Decoder()
        self.lock = threading.RLock()
        self.window = 65535
        self.stream_window = 65535  # that streams begin with

    def send(self, *args, **kwargs):
        with self.lock:
            self.conn.send(frame(*args, **kwargs))

    def send_raw(self, data):
        with self.lock:
            self.conn.send(data)

    def settings(self, values=()):
        payload = b"".join(struct.pack(">HI", key, value) for key, value in dict(values).items())
        self.send(SETTINGS, payload=payload)

    def headers(self, request, fields, end=False):
        flags = END_HEADERS | (END_STREAM if end else 0)
        with self.lock:
            request.queue.append((HEADERS, flags, block(fields)))
            self.pump(request)

    def data(self, request, data, end=False):
        """Leaves as windows allow, and what is sent after it behind it."""
        with self.lock:
            request.queue.append((DATA, END_STREAM if end else 0, memoryview(data)))
            self.pump(request)

    def pump(self, request):
        while request.queue and request.reset is None:
            kind, flags, data = request.queue[0]
            part = data
            if kind == DATA:
                part = data[:min(len(data), 16384, self.window, request.window)]
                if data and not part:
                    return
                self.window -= len(part)
                request.window -= len(part)
            if len(part) < len(data):
                request.queue[0] = (kind, flags, data[len(part):])
                self.send(kind, 0, request.stream, bytes(part))
            else:
                request.queue.pop(0)
                self.send(kind, flags, request.stream, bytes(part))

    def open_windows(self, stream, size):
        with self.lock:
            if stream == 0:
                self.window += size
            elif stream in self.requests:
                self.requests[stream].window += size
            for request in list(self.requests.values()):
                self.pump(request)

    def take_settings(self, payload):
        for at in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[at:at + 6])
            if key == INITIAL_WINDOW_SIZE:
                self.stream_window = value

    def answer(self, request, body=b"ok", fields=OK):
        self.headers(request, fields, end=not body)
        if body:
            self.data(request, body, end=True)

    def rst(self, request, code):
        self.send(RST_STREAM, 0, request.stream, struct.pack(">I", code))

    def go_away(self, last, code=NO_ERROR):
        self.send(GOAWAY, payload=struct.pack(">II", last, code))

    def credit(self, stream, size):
        if size:
            self.send(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def read_frame(self):
        head = self.conn.read_exactly(9)
        if len(head) < 9:
            return None
        size = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = self.conn.read_exactly(size)
        return (kind, flags, stream, payload) if len(payload) == size else None


class H2Server:
    """See h2(). Called with each connection, in a thread of its own."""

    def __init__(self, answer, settings, on_head, credit, pong):
        self.answer = answer
        self.initial = settings
        self.on_head = on_head
        self.credit = credit
        self.pong = pong
        self.peers = []

    def __call__(self, conn):
        peer = Peer(conn)
        if conn.read_exactly(len(PREFACE)) != PREFACE:
            return
        self.peers.append(peer)
        if self.initial is not None:
            peer.settings(self.initial)
        while True:
            got = peer.read_frame()
            if got is None or self.take(peer, *got) is False:
                return

    def take(self, peer, kind, flags, stream, payload):
        if kind == SETTINGS:
            if flags & ACK:
                peer.acked += 1
            else:
                peer.take_settings(payload)
                peer.send(SETTINGS, ACK)
        elif kind == WINDOW_UPDATE:
            peer.open_windows(stream, int.from_bytes(payload, "big"))
        elif kind == PING and not flags & ACK:
            peer.pings += 1
            if self.pong:
                peer.send(PING, ACK, payload=payload)
        elif kind == GOAWAY:
            peer.goaway = struct.unpack(">II", payload[:8])
        elif kind == RST_STREAM and stream in peer.requests:
            peer.requests[stream].reset = struct.unpack(">I", payload)[0]
        elif kind == HEADERS:
            return self.take_headers(peer, flags, stream, payload)
        elif kind == DATA:
            request = peer.requests[stream]
            request.body += payload
            if self.credit:
                peer.credit(0, len(payload))
                peer.credit(stream, len(payload))
            if flags & END_STREAM:
                return self.end(peer, request)
        return None

    def take_headers(self, peer, flags, stream, payload):
        while not flags & END_HEADERS:
            kind, more, _, part = peer.read_frame()
            assert kind == CONTINUATION
            payload += part
            flags |= more & END_HEADERS
        fields = peer.decoder.decode(payload)
        known = peer.requests.get(stream)
        if known is not None:
            known.trailers = fields
        else:
            known = peer.requests[stream] = Request(stream, fields)
            known.window = peer.stream_window
            peer.conn.origin.requests.append(known)
            if self.on_head is not None and self.on_head(peer, known) is False:
                return False
        return self.end(peer, known) if flags & END_STREAM else None

    def end(self, peer, request):
        request.ended = True
        return self.answer(peer, request)


def h2(answer=Peer.answer, settings=(), on_head=None, credit=True, pong=True):
    """A handler for Origin. `settings`: of the first frame, None for no such frame. `on_head` is
    called when a request's head has come, `answer` when its end has; False from either closes.
    `credit`: windows open again as bodies come. `pong`: PINGs are answered."""
    return H2Server(answer, settings, on_head, credit, pong)


def by_path(table):
    """For h2(): answers `/name` by table[name](peer, request), else with 200."""
    return lambda peer, request: table.get(request.path[1:].partition("?")[0],
                                           Peer.answer)(peer, request)


def held_answers():
    """(answer, release): answers wait until `release` is set."""
    release = threading.Event()

    def answer(peer, request):
        def later():
            assert release.wait(30)
            peer.answer(request, request.path.encode())

        threading.Thread(target=later, daemon=True).start()

    return answer, release


def edge(origin, **upstream):
    """A Weir that speaks HTTP/2 in the clear to `origin`."""
    return proxy(origin, {"protocol": "h2c", **upstream})

"""A client that speaks in bytes: what it sends is exactly what the test wrote."""
import json
import socket
import struct
import time

TIMEOUT_S = 10


class Response:
    def __init__(self, status, version, headers, body, trailers=(), complete=True):
        self.status = status
        self.version = version
        self.headers = headers  # list of (name, value), in order
        self.body = body
        self.trailers = list(trailers)
        self.complete = complete  # False: the connection ended inside the body

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} more than once: {values}"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r} complete={self.complete}>"


class Closed(Exception):
    """The peer closed before a whole head came."""


class RawClient:
    def __init__(self, address, timeout=TIMEOUT_S, source=None):
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, timeout=timeout,
                                                 source_address=source and (source, 0))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def send_slowly(self, data, step=1, pause_s=0.0):
        for i in range(0, len(data), step):
            self.send(data[i:i + step])
            if pause_s:
                time.sleep(pause_s)
        return self

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _fill(self):
        if self.eof:
            return False
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
            self.was_reset = True
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    was_reset = False

    def read_exactly(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                break
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                raise Closed(f"closed before {mark!r}; had {self.buffer[:300]!r}")
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def read_all(self):
        while self._fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def assert_closed(self):
        """The server closed, and sent nothing more before it did."""
        rest = self.read_all()
        assert rest == b"", f"unexpected bytes: {rest[:300]!r}"

    def head(self):
        text = self.read_until(b"\r\n\r\n").decode("latin-1")
        lines = text[:-4].split("\r\n")
        assert "\n" not in "".join(lines) and "\r" not in "".join(lines), f"bare CR or LF: {text!r}"
        version, status, _ = (lines[0] + " ").split(" ", 2)
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon and name and " " not in name, f"bad field {line!r}"
            headers.append((name, value.strip(" \t")))
        return int(status), version, headers

    def response(self, method="GET", skip_1xx=True):
        status, version, headers = self.head()
        while skip_1xx and 100 <= status < 200 and status != 101:
            status, version, headers = self.head()
        result = Response(status, version, headers, b"")
        if method == "HEAD" or status in (204, 304) or status < 200:
            return result
        lengths = result.all("content-length")
        codings = result.all("transfer-encoding")
        assert not (lengths and codings), f"both framings: {headers}"
        if codings:
            assert codings == ["chunked"]
            return self._chunked(result)
        if lengths:
            assert len(lengths) == 1
            want = int(lengths[0])
            result.body = self.read_exactly(want)
            result.complete = len(result.body) == want
            return result
        result.body = self.read_all()
        result.complete = not self.was_reset
        return result

    def _chunked(self, result):
        try:
            while True:
                size = int(self.read_until(b"\r\n")[:-2].split(b";")[0], 16)
                if size == 0:
                    break
                result.body += self.read_exactly(size)
                assert self.read_exactly(2) in (b"\r\n", b"")
            while True:
                line = self.read_until(b"\r\n")[:-2].decode("latin-1")
                if not line:
                    return result
                name, _, value = line.partition(":")
                result.trailers.append((name, value.strip()))
        except (Closed, ValueError):
            result.complete = False
            return result

    def request(self, method="GET", target="/", headers=(), body=b"", host="test"):
        head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n"
        head += "".join(f"{n}: {v}\r\n" for n, v in headers)
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        self.send(head.encode("latin-1") + b"\r\n" + body)
        return self.response(method)

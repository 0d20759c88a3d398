"""Application servers that do what a test says, and remember exactly what they were sent."""
import json
import os
import socket
import struct
import threading
import time

TIMEOUT_S = 15


class Cut(Exception):
    """The peer closed inside a message."""


class OriginConnection:
    """One accepted connection, in the hands of the test's handler."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT_S)
        self.buffer = b""

    def recv(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, socket.timeout):
            return False
        self.buffer += data
        return bool(data)

    def read_head(self):
        """The raw bytes of the next request head, or None when the peer closed."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.recv():
                return None
        end = self.buffer.index(b"\r\n\r\n") + 4
        head, self.buffer = self.buffer[:end], self.buffer[end:]
        return head

    def read_exactly(self, count):
        while len(self.buffer) < count:
            if not self.recv():
                break
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_whole(self, count):
        data = self.read_exactly(count)
        if len(data) < count:
            raise Cut
        return data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            if not self.recv():
                raise Cut
        end = self.buffer.index(b"\r\n") + 2
        line, self.buffer = self.buffer[:end], self.buffer[end:]
        return line

    def read_request(self):
        """The next request, or None when the peer closed before its last byte."""
        head = self.read_head()
        if head is None:
            return None
        try:
            return Request(head, self)
        except Cut:
            self.origin.cut.append(head)
            return None

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def answer(self, body=b"ok", status="200 OK", headers=()):
        if isinstance(body, str):
            body = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{n}: {v}\r\n" for n, v in headers)
        self.send(head.encode("latin-1") + b"\r\n" + body)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Request:
    def __init__(self, head, conn):
        self.raw_head = head
        lines = head[:-4].decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
        self.trailers = []
        self.body = b""
        if self.get("transfer-encoding") == "chunked":
            while True:
                size = int(conn.read_line(), 16)
                if size == 0:
                    break
                self.body += conn.read_whole(size)
                assert conn.read_whole(2) == b"\r\n"
            while True:
                line = conn.read_line().strip()
                if not line:
                    break
                name, _, value = line.decode("latin-1").partition(":")
                self.trailers.append((name, value.strip()))
        elif self.get("content-length"):
            self.body = conn.read_whole(int(self.get("content-length")))

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None


def by_request(answer):
    """Calls answer(conn, request) for each request, which the origin remembers; False closes."""

    def handler(conn):
        while (request := conn.read_request()) is not None:
            conn.origin.requests.append(request)
            if answer(conn, request) is False:
                return

    return handler


def _as_json(conn, request):
    conn.answer(json.dumps({
        "method": request.method, "target": request.target, "headers": request.headers,
        "body": request.body.decode("latin-1"), "trailers": request.trailers,
    }), headers=[("Content-Type", "application/json")])


# Answers every request with what it was.
echo = by_request(_as_json)


def canned(*answers):
    """Answers the n-th request of a connection with the n-th of these bytes, then closes."""

    def handler(conn):
        for answer in answers:
            request = conn.read_request()
            if request is None:
                return
            conn.origin.requests.append(request)
            conn.send(answer)

    return handler


def by_target(table):
    """Answers `/name` with table[name]: bytes, or callable(conn, request); False from it closes."""

    def answer(conn, request):
        found = table[request.target.lstrip("/").partition("?")[0]]
        return found(conn, request) if callable(found) else conn.send(found)

    return by_request(answer)


def then_close(data):
    """For by_target: sends the bytes, then closes."""

    def answer(conn, _):
        conn.send(data)
        return False

    return answer


def then_later(first, rest, pause_s=0.03):
    """For by_target: the second part comes in a read of its own."""

    def answer(conn, _):
        conn.send(first)
        time.sleep(pause_s)
        conn.send(rest)

    return answer


class Origin:
    """Listens on a free port (or a unix path); `handler(conn)` runs in a thread per connection."""

    def __init__(self, handler=echo, path=None, port=0, host="127.0.0.1"):
        self.handler = handler
        self.requests = []
        self.cut = []  # heads of requests that ended before their last byte
        self.accepted = 0
        self.errors = []
        self.path = path
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = f"unix:{path}"
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
            self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.listener.listen(512)
        self.connections = []
        self.stopped = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.stopped:
                sock.close()
                return
            self.accepted += 1
            conn = OriginConnection(sock)
            conn.origin = self
            self.connections.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            self.handler(conn)
        except (OSError, ValueError) as error:
            self.errors.append(error)
        finally:
            try:
                conn.sock.close()
            except OSError:
                pass

    def stop(self):
        """Closes the listener and every connection, as a process that dies does."""
        self.stopped = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in self.connections:
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

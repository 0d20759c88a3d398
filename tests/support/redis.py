"""A real redis-server on a port of its own, and a fake one that answers what it likes."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from support.waiting import pause

# What a hardened deployment renames away (requirepass and so on are options of each test).
RENAMED = [word for name in ("EVAL", "CONFIG", "KEYS", "FLUSHDB", "FLUSHALL", "DEBUG")
           for word in ("--rename-command", name, "")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisError(Exception):
    pass


class Redis:
    """`options` are words of redis-server's command line. Use as a context manager."""

    def __init__(self, *options, password=None, port=None, tls=None):
        self.dir = tempfile.mkdtemp(prefix="weir-redis-")
        self.port = port or free_port()
        self.socket_path = os.path.join(self.dir, "redis.sock")
        self.options = list(options)
        self.password = password
        self.tls = tls  # files: {"cert": …, "key": …, "ca": …}; then in the clear by socket only
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        clear, secure = (0, self.port) if self.tls else (self.port, 0)
        command = ["redis-server", "--port", str(clear), "--bind", "127.0.0.1", "--save", "",
                   "--dir", self.dir, "--unixsocket", self.socket_path, "--daemonize", "no"]
        if self.tls:
            command += ["--tls-port", str(secure), "--tls-cert-file", self.tls["cert"],
                        "--tls-key-file", self.tls["key"], "--tls-ca-cert-file", self.tls["ca"],
                        "--tls-auth-clients", "no"]
        if self.password:
            command += ["--requirepass", self.password]
        self.process = subprocess.Popen(command + self.options, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.ask("PING")
                return self
            except (OSError, RedisError) as error:
                assert self.process.poll() is None, "redis-server did not start"
                assert time.monotonic() < deadline, error
                time.sleep(0.02)

    def ask(self, *words):
        """One command over the unix socket; its reply."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.socket_path)
            with connection.makefile("rb") as replies:
                if self.password:
                    connection.sendall(command_bytes("AUTH", self.password))
                    read_reply(replies)
                connection.sendall(command_bytes(*words))
                return read_reply(replies)

    def pause(self):
        pause(self.process)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def calls(self, command):
        """How often it was called, by INFO."""
        for line in self.ask("INFO", "commandstats").decode().splitlines():
            if line.startswith(f"cmdstat_{command}:calls="):
                return int(line.partition("calls=")[2].partition(",")[0])
        return 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def command_bytes(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


def read_reply(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the connection ended")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return None if rest == b"-1" else [read_reply(file) for _ in range(int(rest))]
    return rest


class FakeRedis:
    """Answers by `answer(words, connection)`: bytes; None says nothing. Counts connections."""

    def __init__(self, answer):
        self.answer = answer
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection, connection.makefile("rb") as commands:
                while True:
                    answer = self.answer(read_reply(commands), connection)
                    if answer is not None:
                        connection.sendall(answer)
        except (OSError, ValueError):
            pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def good_answer(words):
    """What a Redis answers to one that greets it; its scripts all give 1."""
    word = words[0].upper()
    if word == b"SCRIPT":
        return b"$40\r\n" + b"%040d" % (hash(words[2]) % 10**12) + b"\r\n"
    return b":1\r\n" if word == b"EVALSHA" else b"+OK\r\n"

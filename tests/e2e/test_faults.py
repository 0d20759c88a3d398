"""One of three servers breaks under load, as in bench/faults: how many requests fail, not when."""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from support.load import Load
from support.origin import Origin, by_request
from support.waiting import wait_for
from support.weir import Weir

SO_ATTACH_FILTER = 26

# A server in a process of its own, for what is done to processes.
SERVER = """
import socketserver
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            if line == b"\\r\\n":
                self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Answer)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


# What weir does by itself, and what an operator adds for no fault to be seen.
BY_ITSELF = {}
RETRIES = {"retry": {"attempts": 3, "on": ["connect", "reset", "timeout", "502"]}}


def weir_for(servers, settings):
    """No trial comes while the test runs, and checks are not needed: what fails is seen at once."""
    listed = [{"address": address, "max_fails": 1, "fail_timeout": "1h"} for address in servers]
    app = {"servers": listed, "balance": "round_robin",
           "timeouts": {"connect": "1s", "read": "1s"}, **settings}
    return Weir(upstreams={"app": app},
                listener={"connection": {"requests": 1000000}},
                sites=[{"hosts": ["*"], "routes": [{"path": "/", "upstream": "app"}]}])


def failures_of(servers, broken, break_it, settings):
    """The failed requests of a load during which one of the servers breaks."""
    with weir_for(servers, settings) as weir:
        with Load(lambda: weir.client().request) as load:
            wait_for(lambda: len(load.done) >= 100, 15)
            break_it()
            wait_for(lambda: weir.metric("weir_upstream_server_up", server=broken) == 0, 15)
            served = len(load.done)
            wait_for(lambda: len(load.done) >= served + 100, 15)
        return load.failures


class FaultyOrigin:
    """Well until `answer` is set; then that is called instead."""

    def __init__(self):
        self.answer = None
        self.origin = Origin(by_request(self._answer))

    def _answer(self, conn, request):
        if self.answer is None:
            return conn.answer("ok")
        return self.answer(conn, request)


def reset(conn, _):
    conn.reset()
    return False


def garbage(conn, _):
    conn.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n")


def no_status(conn, _):
    conn.send(b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n")


def slow_loris(conn, _):
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 400:
        conn.send(bytes([byte]))
        time.sleep(0.05)
    return False


def failures_with(fault, settings):
    faulty = FaultyOrigin()
    with Origin(by_request(lambda conn, _: conn.answer("ok"))) as one, faulty.origin as two, \
            Origin(by_request(lambda conn, _: conn.answer("ok"))) as three:
        servers = [one.address, two.address, three.address]
        return failures_of(servers, two.address, lambda: setattr(faulty, "answer", fault), settings)


def only_those_under_way(failures, status):
    """What weir does not retry fails those that were with the server, and nobody after them."""
    return set(failures) <= {status} and len(failures) <= Load.THREADS


@pytest.mark.parametrize("settings", [BY_ITSELF, RETRIES])
def test_no_get_fails_for_a_server_that_resets(settings):
    assert failures_with(reset, settings) == []


@pytest.mark.parametrize("fault", [garbage, no_status])
def test_nonsense_fails_those_that_were_with_the_server_at_most(fault):
    failures = failures_with(fault, BY_ITSELF)
    assert failures and only_those_under_way(failures, 502), failures


def test_a_dripping_server_fails_those_that_were_with_it_at_most():
    failures = failures_with(slow_loris, BY_ITSELF)
    assert failures and only_those_under_way(failures, 504), failures


@pytest.mark.parametrize("fault", [garbage, no_status, slow_loris])
def test_no_get_fails_for_bad_answers_where_they_are_retried(fault):
    assert failures_with(fault, RETRIES) == []


def of_its_own(order, settings):
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    try:
        address = f"127.0.0.1:{int(process.stdout.readline())}"
        with Origin(by_request(lambda conn, _: conn.answer("ok"))) as one, \
                Origin(by_request(lambda conn, _: conn.answer("ok"))) as three:
            return failures_of([one.address, address, three.address], address,
                               lambda: os.kill(process.pid, order), settings)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("settings", [BY_ITSELF, RETRIES])
def test_no_get_fails_for_a_server_that_is_killed(settings):
    assert of_its_own(signal.SIGKILL, settings) == []


def test_a_stopped_server_fails_those_that_were_with_it_at_most():
    assert only_those_under_way(of_its_own(signal.SIGSTOP, BY_ITSELF), 504)


def test_no_get_fails_for_a_stopped_server_where_silence_is_retried():
    assert of_its_own(signal.SIGSTOP, RETRIES) == []


def drop_what_comes(sock):
    """As if the host were gone: no acknowledgement, no reset, no end."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET: keep nothing
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("HL", 1, ctypes.addressof(code)))


def failures_when_one_vanishes(settings):
    with Origin(by_request(lambda conn, _: conn.answer("ok"))) as one, \
            Origin(by_request(lambda conn, _: conn.answer("ok"))) as two, \
            Origin(by_request(lambda conn, _: conn.answer("ok"))) as three:

        def vanish():
            drop_what_comes(two.listener)
            for conn in list(two.connections):
                if conn.sock.fileno() >= 0:
                    drop_what_comes(conn.sock)

        servers = [one.address, two.address, three.address]
        return failures_of(servers, two.address, vanish, settings)


def test_a_vanished_server_fails_those_that_were_with_it_at_most():
    assert only_those_under_way(failures_when_one_vanishes(BY_ITSELF), 504)


def test_no_get_fails_for_a_vanished_server_where_silence_is_retried():
    assert failures_when_one_vanishes(RETRIES) == []

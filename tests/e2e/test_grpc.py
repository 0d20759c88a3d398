"""gRPC through weir, the real library on both sides: calls of all four kinds, deadlines, errors."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest
from support.tls import Certificate
from support.weir import Weir

SERVER = os.path.join(os.path.dirname(__file__), "..", "support", "grpc_server.py")
WAIT_S = 30
Code = grpc.StatusCode


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def grpc_server(port=None):
    port = port or free_port()
    process = subprocess.Popen([sys.executable, "-B", SERVER, str(port)], stdout=subprocess.PIPE,
                               text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.port = port
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


ROUTES = [
    {"path": "/test.Test/", "upstream": "app"},
    {"path": "/slow/", "rewrite": {"strip_prefix": "/slow"}, "upstream": "app",
     "timeout": "400ms"},
    {"path": "/denied/", "deny": ["127.0.0.1"], "upstream": "app"},
    {"path": "/small/", "upstream": "app", "max_body": "1KiB"},
    {"path": "/down/", "upstream": "down"},
]


def edge(port, tls=None, **options):
    listener = {"protocols": ["h2c", "http/1.1"]}
    if tls:
        listener = {"protocols": ["h2", "http/1.1"], "tls": {}}
        options["certificates"] = [tls.entry()]
    return Weir({"app": {"protocol": "h2c", "servers": [{"address": f"127.0.0.1:{port}"}]},
                 "down": {"protocol": "h2c", "servers": [{"address": f"127.0.0.1:{free_port()}"}]}},
                [{"hosts": ["grpc.test"], "routes": ROUTES}], listener=listener, **options)


def channel_to(weir, tls=None, authority="grpc.test"):
    address = "%s:%d" % weir.address
    options = [("grpc.enable_http_proxy", 0), ("grpc.default_authority", authority),
               ("grpc.enable_retries", 0), ("grpc.max_receive_message_length", 64 << 20)]
    if not tls:
        return grpc.insecure_channel(address, options)
    with open(tls.cert, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(
        address, credentials, [*options, ("grpc.ssl_target_name_override", "grpc.test")])


@pytest.fixture(scope="module", name="backend")
def backend_of_all():
    with grpc_server() as process:
        yield process


@pytest.fixture(scope="module", name="over", params=["h2c", "tls"])
def weir_and_channel(request, backend, tmp_path_factory):
    tls = None
    if request.param == "tls":
        tls = Certificate(tmp_path_factory.mktemp("tls"), "grpc", "DNS:grpc.test")
    with edge(backend.port, tls) as weir, channel_to(weir, tls) as channel:
        yield weir, channel


@pytest.fixture(name="channel")
def channel_of(over):
    return over[1]


@pytest.fixture(scope="module", name="plain")
def weir_in_the_clear(backend):
    with edge(backend.port) as weir, channel_to(weir) as channel:
        weir.channel = channel
        yield weir


def error_of(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


# ---- calls ---------------------------------------------------------------------------------------

def test_unary(channel):
    call = channel.unary_unary("/test.Test/Unary")
    answer, rpc = call.with_call(b"hello", timeout=WAIT_S, metadata=[("x-mine", "v")])
    assert answer == b"hello" and rpc.code() == Code.OK
    assert ("initial", "one") in [tuple(m) for m in rpc.initial_metadata()]
    trailing = [tuple(m) for m in rpc.trailing_metadata()]
    assert ("trailing", "two") in trailing and ("binary-bin", b"\x00\xff") in trailing
    assert call(b"", timeout=WAIT_S) == b""


def test_what_the_server_sees(channel):
    seen = json.loads(channel.unary_unary("/test.Test/Metadata")(
        b"", timeout=WAIT_S, metadata=[("x-mine", "v"), ("x-bytes-bin", b"\x01\xfe")]))
    metadata = dict(seen["metadata"])
    assert metadata["x-mine"] == "v" and metadata["x-bytes-bin"] == "01fe"
    assert metadata["x-forwarded-for"] == "127.0.0.1"
    assert 0 < seen["left_s"] <= WAIT_S + 1  # grpc-timeout goes on


def test_large_messages(channel):
    message = os.urandom(5 << 20)
    assert channel.unary_unary("/test.Test/Unary")(message, timeout=WAIT_S) == message


def test_server_streaming(channel):
    got = list(channel.unary_stream("/test.Test/Count")(b"2000", timeout=WAIT_S))
    assert got == [str(i).encode() for i in range(2000)]
    assert list(channel.unary_stream("/test.Test/Count")(b"0", timeout=WAIT_S)) == []


def test_client_streaming(channel):
    pieces = [bytes([i % 256]) * 1000 for i in range(2000)]
    assert channel.stream_unary("/test.Test/Collect")(
        iter(pieces), timeout=WAIT_S) == b"".join(pieces)
    assert channel.stream_unary("/test.Test/Collect")(iter(()), timeout=WAIT_S) == b""


def test_streams_both_ways_are_not_held_back(channel):
    """Each message goes out only when the last one has come back."""
    came_back = threading.Semaphore(1)

    def questions():
        for i in range(200):
            assert came_back.acquire(timeout=WAIT_S)
            yield f"message {i}".encode()

    answers = []
    for answer in channel.stream_stream("/test.Test/Chat")(questions(), timeout=WAIT_S):
        answers.append(answer)
        came_back.release()
    assert answers == [f"message {i}".encode() for i in range(200)]


def test_many_calls_on_one_connection(over):
    weir, channel = over
    call = channel.unary_unary("/test.Test/Unary")
    futures = [call.future(str(i).encode() * 100, timeout=WAIT_S) for i in range(300)]
    assert [f.result() for f in futures] == [str(i).encode() * 100 for i in range(300)]
    assert weir.metric("active_connections") <= 2  # the channel's, and a request for metrics


# ---- errors --------------------------------------------------------------------------------------

def test_errors_of_the_server_go_through(channel):
    for code in (Code.NOT_FOUND, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL):
        error = error_of(lambda: channel.unary_unary("/test.Test/Fail")(
            str(code.value[0]).encode(), timeout=WAIT_S))
        assert error.code() == code and error.details() == "no such thing: \u00e9 100%"
        assert ("why", "because") in [tuple(m) for m in error.trailing_metadata()]
    error = error_of(lambda: channel.unary_unary("/test.Test/Nothing")(b"", timeout=WAIT_S))
    assert error.code() == Code.UNIMPLEMENTED and "request id" not in error.details()


@pytest.mark.parametrize("path,size,code,says", [
    ("/other.Service/Call", 1, Code.UNIMPLEMENTED, "404 Not Found"),
    ("/denied/Call", 1, Code.PERMISSION_DENIED, "403 Forbidden"),
    ("/small/Call", 100_000, Code.RESOURCE_EXHAUSTED, "413 "),
    ("/down/Call", 1, Code.UNAVAILABLE, "502 Bad Gateway"),
    ("/slow/test.Test/HangAtOnce", 1, Code.DEADLINE_EXCEEDED, "504 Gateway Timeout"),
])
def test_errors_of_weir_are_a_grpc_status(channel, path, size, code, says):
    error = error_of(lambda: channel.unary_unary(path)(b"x" * size, timeout=WAIT_S))
    assert error.code() == code
    assert error.details().startswith(says) and "; request id: " in error.details()


def test_an_unknown_host_is_one_too(plain):
    with channel_to(plain, authority="other.test") as channel:
        error = error_of(lambda: channel.unary_unary("/test.Test/Unary")(b"", timeout=WAIT_S))
    assert error.code() == Code.UNIMPLEMENTED and error.details().startswith("421 ")


def ask(weir, *arguments, path="/test.Test/HangAtOnce", body=b"\0\0\0\0\0"):
    """Status line and headers, in the order that they came, and trailers as curl has them."""
    out = subprocess.run(
        ["curl", "-sSi", "--http2-prior-knowledge", "--max-time", str(WAIT_S),
         "--data-binary", "@-", "-H", "Host: grpc.test", "-H", "TE: trailers", *arguments,
         "http://%s:%d%s" % (*weir.address, path)], input=body, capture_output=True, check=True)
    return out.stdout.decode().split("\r\n")


def frames_of(weir, content_type, path):
    """The answer as nghttp saw it."""
    return subprocess.run(
        ["nghttp", "-v", "-t", str(WAIT_S), "-H", ":authority: grpc.test", "-H", ":method: POST",
         "-H", f"content-type: {content_type}", "http://%s:%d%s" % (*weir.address, path)],
        capture_output=True, text=True, check=True).stdout


def test_an_error_is_headers_alone(plain):
    seen = frames_of(plain, "application/grpc+proto", "/nowhere")
    assert ":status: 200" in seen and "content-type: application/grpc\n" in seen
    assert "grpc-status: 12" in seen and "grpc-message: 404 Not Found; request id: " in seen
    assert "recv DATA frame" not in seen and "recv RST_STREAM" not in seen
    # What is no call of gRPC has the status of HTTP.
    for kind in ("application/grpc-web", "application/grpcx", "text/plain"):
        seen = frames_of(plain, kind, "/nowhere")
        assert ":status: 404" in seen and "grpc-status" not in seen and "recv DATA frame" in seen


# ---- deadlines -----------------------------------------------------------------------------------

@pytest.mark.parametrize("value", ["300m", "1S", "300000u", "90000000n"])
def test_grpc_timeout_is_a_deadline_of_weir(plain, value):
    lines = ask(plain, "-H", "Content-Type: application/grpc", "-H", f"grpc-timeout: {value}")
    assert lines[0] == "HTTP/2 200 " and "grpc-status: 4" in lines
    assert plain.metric("weir_upstream_failures_total", upstream="app") == 0, "it was in no hurry"


def test_the_route_bounds_it(plain):
    lines = ask(plain, "-H", "Content-Type: application/grpc", "-H", "grpc-timeout: 1H",
                path="/slow/test.Test/HangAtOnce")
    assert "grpc-status: 4" in lines


def test_a_deadline_of_the_client_ends_the_call_at_the_server(channel):
    state = channel.unary_unary("/test.Test/Metadata")
    before = json.loads(state(b"", timeout=WAIT_S))["cancelled"]
    error = error_of(lambda: channel.unary_unary("/test.Test/HangAtOnce")(b"", timeout=0.3))
    assert error.code() == Code.DEADLINE_EXCEEDED
    deadline = time.monotonic() + WAIT_S
    while json.loads(state(b"", timeout=WAIT_S))["cancelled"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_deadline_in_a_stream_is_told_in_its_trailers(channel):
    call = channel.unary_stream("/slow/test.Test/Hang")(b"", timeout=WAIT_S)
    assert next(call) == b"begun"
    error = error_of(lambda: next(call))
    assert error.code() == Code.DEADLINE_EXCEEDED
    assert error.details().startswith("504 Gateway Timeout; request id: ")


def test_a_cancelled_call_ends_at_the_server(channel):
    state = channel.unary_unary("/test.Test/Metadata")
    before = json.loads(state(b"", timeout=WAIT_S))["cancelled"]
    call = channel.unary_stream("/test.Test/Hang")(b"", timeout=WAIT_S)
    assert next(call) == b"begun"
    call.cancel()
    deadline = time.monotonic() + WAIT_S
    while json.loads(state(b"", timeout=WAIT_S))["cancelled"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- the end of things ---------------------------------------------------------------------------

def test_a_killed_server():
    with grpc_server() as first:
        with edge(first.port) as weir, channel_to(weir) as channel:
            call = channel.unary_stream("/test.Test/Hang")(b"", timeout=WAIT_S)
            assert next(call) == b"begun"
            first.kill()
            error = error_of(lambda: next(call))
            assert error.code() == Code.UNAVAILABLE
            assert error.details().startswith("502 Bad Gateway; request id: ")
            unary = channel.unary_unary("/test.Test/Unary")
            assert error_of(lambda: unary(b"", timeout=WAIT_S)).code() == Code.UNAVAILABLE
            with grpc_server(first.port):
                deadline = time.monotonic() + WAIT_S
                while True:
                    with contextlib.suppress(grpc.RpcError):
                        assert unary(b"again", timeout=WAIT_S) == b"again"
                        break
                    assert time.monotonic() < deadline
                    time.sleep(0.05)


def test_a_drain_lets_streams_end(backend):
    with edge(backend.port) as weir, channel_to(weir) as channel:
        go_on = threading.Semaphore(1)

        def questions():
            for i in range(20):
                assert go_on.acquire(timeout=WAIT_S)
                yield str(i).encode()

        call = channel.stream_stream("/test.Test/Chat")(questions(), timeout=WAIT_S)
        answers = []
        for answer in call:
            answers.append(answer)
            if len(answers) == 5:
                weir.signal(signal.SIGTERM)
                time.sleep(0.1)
            go_on.release()
        assert len(answers) == 20 and call.code() == Code.OK
        assert weir.process.wait(WAIT_S) == 0

"""A gRPC server of bytes, without protoc: `python3 grpc_server.py PORT` serves until it is killed.

/test.Test/METHOD, by method: Unary (echo), Count (the request is a number: so many messages),
Collect (all messages, joined), Chat (echo of each message as it comes), Metadata (what came
besides, as JSON), Fail (the request is a status code), Hang (one message, then nothing until
cancelled), HangAtOnce (nothing at all), Health (the request is the number that the health service
answers from now on: 1 is SERVING).
"""
import json
import sys
import threading
import time
from concurrent import futures

import grpc

CANCELLED = []


def unary(request, context):
    context.send_initial_metadata((("initial", "one"),))
    context.set_trailing_metadata((("trailing", "two"), ("binary-bin", b"\x00\xff")))
    return request


def count(request, context):
    for i in range(int(request)):
        yield str(i).encode()


def collect(requests, context):
    return b"".join(requests)


def chat(requests, context):
    for request in requests:
        yield request


def metadata(request, context):
    left = context.time_remaining()
    return json.dumps({"metadata": [[k, v if isinstance(v, str) else v.hex()]
                                    for k, v in context.invocation_metadata()],
                       "left_s": left, "cancelled": len(CANCELLED)}).encode()


def fail(request, context):
    context.set_trailing_metadata((("why", "because"),))
    code = {c.value[0]: c for c in grpc.StatusCode}[int(request)]
    context.abort(code, "no such thing: \u00e9 100%")


def hang(request, context):
    context.add_callback(lambda: CANCELLED.append(1))
    yield b"begun"
    while context.is_active():
        time.sleep(0.02)


def hang_at_once(request, context):
    context.add_callback(lambda: CANCELLED.append(1))
    while context.is_active():
        time.sleep(0.02)
    return b""


HEALTH = {"status": 1, "asked": []}


def set_health(request, context):
    HEALTH["status"] = int(request)
    return json.dumps([asked.hex() for asked in HEALTH["asked"]]).encode()


def check_health(request, context):
    HEALTH["asked"].append(request)
    return bytes([0x08, HEALTH["status"]])


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Hang": grpc.unary_stream_rpc_method_handler(hang),
    "HangAtOnce": grpc.unary_unary_rpc_method_handler(hang_at_once),
    "Health": grpc.unary_unary_rpc_method_handler(set_health),
}
HEALTH_METHODS = {"Check": grpc.unary_unary_rpc_method_handler(check_health)}


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64),
                         options=[("grpc.max_receive_message_length", 64 << 20),
                                  ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler("test.Test", METHODS),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", HEALTH_METHODS)))
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))

"""An origin of answers that may be kept: /1k, /16k.json, /1m, and /o/N of sizes from 1 to 64 KB;
and of ones that may not: /made/N.json, of 16 KB, 64 different ones. /fetched tells how many of all
these it has given."""

import itertools
import json
import random
import socket
import sys
import threading


def varied_json(size, seed=7):
    """Records as an API has them: keys repeat, values do not."""
    draw = random.Random(seed)
    words = ["amber", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "indigo"]
    records = []
    while len(json.dumps(records)) < size:
        records.append({"id": draw.randrange(10**9), "name": " ".join(draw.sample(words, 3)),
                        "price": round(draw.random() * 1000, 2), "active": draw.random() < 0.5,
                        "tags": draw.sample(words, 2), "sku": f"{draw.getrandbits(64):016x}"})
    return json.dumps(records)[:size].encode()


# An image, because the peers do not compress the same other types.
FIXED = {"/1k": ("image/png", b"x" * 1024), "/16k.json": ("application/json", varied_json(16384)),
         "/1m": ("application/octet-stream", random.Random(1).randbytes(1 << 20))}

MADE = {f"/made/{n}.json": varied_json(16384, n) for n in range(64)}


FETCHED = itertools.count()


def answer_to(path):
    path = path.partition("?")[0]
    number = next(FETCHED)
    if path == "/fetched":
        body = str(number).encode()
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    kind, body = FIXED.get(path, (None, None))
    if path in MADE:
        body = MADE[path]
        return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    if kind is None:
        number = int(path.rpartition("/")[2] or 0)
        kind = "application/octet-stream"
        body = b"z" * (1024 + number * 2654435761 % 64 * 1024)
    head = (f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nCache-Control: public, max-age=86400\r\n"
            f"ETag: \"t{len(body)}\"\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def serve(connection):
    buffer = b""
    try:
        while True:
            while b"\r\n\r\n" not in buffer:
                more = connection.recv(65536)
                if not more:
                    return
                buffer += more
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            connection.sendall(answer_to(head.split(b" ", 2)[1].decode()))
    except OSError:
        pass
    finally:
        connection.close()


def main():
    host, _, port = sys.argv[1].rpartition(":")
    with socket.create_server((host, int(port)), backlog=512) as listener:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()

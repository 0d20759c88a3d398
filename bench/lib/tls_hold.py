"""`tls_hold.py HOST:PORT PATH COUNT`: what `h1_load --hold` does, over TLS.

One request on each connection, then all stay open until stdin ends. Prints {"ready": COUNT}, and at
the end {"closed": how many the server has closed meanwhile}.
"""

import json
import socket
import ssl
import sys


def connect(context, where, path):
    plain = socket.create_connection(where, timeout=10)
    client = context.wrap_socket(plain)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {where[0]}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = client.recv(65536)
        if not piece:
            raise RuntimeError("closed in the head")
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += client.recv(65536)
    return client


def is_closed(client):
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True


def main():
    host, _, port = sys.argv[1].rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    clients = [connect(context, (host, int(port)), sys.argv[2]) for _ in range(int(sys.argv[3]))]
    print(json.dumps({"ready": len(clients)}), flush=True)
    sys.stdin.read()
    print(json.dumps({"closed": sum(is_closed(client) for client in clients)}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A crowd of slow clients: heads of a byte each 5 s, readers of a byte a second, silent ones.

    crowd.py ADDRESS COUNT PATH     so many of each kind

They come evenly over 6 s: a crowd that comes at once also goes and comes back at once, and what is
measured then is where its waves fall. Says "ready" when all are connected. Whoever is ended comes
back until stdin ends; then nobody does, and when the last one is gone (or after 120 s) a line of
JSON says, by kind, how many were ended, how long the longest-lived lived, and how many are left.
"""

import json
import os
import select
import socket
import sys
import time
from collections import deque

TICK_S = 0.02
PATIENCE_S = 120
ARRIVAL_S = 6.0
SMALL_BUFFER_BYTES = 4096
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Kind:
    """`first` is sent at once, `step(sock)` is done every `pause_s` (0: never)."""

    def __init__(self, name, first, step, pause_s, events):
        self.name = name
        self.first = first
        self.step = step
        self.pause_s = pause_s
        self.events = events
        self.due = deque()  # (time, descriptor), in order: the pause is the same for all
        self.ended = 0
        self.longest_s = 0.0


class Crowd:
    def __init__(self, address, kinds):
        self.address = address
        self.kinds = kinds
        self.poll = select.epoll()
        self.members = {}  # by descriptor: (socket, kind, time of birth)

    def connect(self, kind):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        sock.connect(self.address)
        sock.sendall(kind.first)
        sock.setblocking(False)
        now = time.monotonic()
        self.members[sock.fileno()] = (sock, kind, now)
        self.poll.register(sock.fileno(), kind.events)
        if kind.pause_s:
            kind.due.append((now + kind.pause_s, sock))

    def drop(self, descriptor):
        sock, kind, born = self.members.pop(descriptor)
        self.poll.unregister(descriptor)
        sock.close()
        kind.ended += 1
        kind.longest_s = max(kind.longest_s, time.monotonic() - born)
        return kind

    def move(self, kind):
        now = time.monotonic()
        while kind.due and kind.due[0][0] <= now:
            _, sock = kind.due.popleft()
            if sock.fileno() < 0:
                continue  # dropped meanwhile
            try:
                kind.step(sock)
            except OSError:
                pass  # its end is seen by the poll
            kind.due.append((now + kind.pause_s, sock))

    def turn(self, again):
        for descriptor, _ in self.poll.poll(TICK_S):
            kind = self.drop(descriptor)
            if again:
                self.connect(kind)
        for kind in self.kinds:
            self.move(kind)

    def arrive(self, count):
        began = time.monotonic()
        for i in range(count):
            for kind in self.kinds:
                self.connect(kind)
            while time.monotonic() < began + ARRIVAL_S * (i + 1) / count:
                self.turn(True)

    def stay(self, comes_back):
        """Until `comes_back()` is false and nobody is left."""
        while comes_back():
            self.turn(True)
        until = time.monotonic() + PATIENCE_S
        while self.members and time.monotonic() < until:
            self.turn(False)


def stdin_is_open():
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return not readable or sys.stdin.read(1) != ""


def give_way():
    """To the load on the same CPU: the crowd's own work must not look like the proxy's."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main():
    give_way()
    host, _, port = sys.argv[1].rpartition(":")
    count, path = int(sys.argv[2]), sys.argv[3]
    request = f"GET {path} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode()
    kinds = [
        Kind("heads", b"G", lambda sock: sock.send(b"E"), 5.0, select.EPOLLIN | HUNG_UP),
        Kind("readers", request, lambda sock: sock.recv(1), 1.0, HUNG_UP),
        Kind("silent", b"", None, 0, select.EPOLLIN | HUNG_UP),
    ]
    crowd = Crowd((host, int(port)), kinds)
    crowd.arrive(count)
    print("ready", flush=True)
    crowd.stay(stdin_is_open)
    left = [kind.name for _, kind, _ in crowd.members.values()]
    print(json.dumps({kind.name: {"ended": kind.ended, "longest_s": round(kind.longest_s, 1),
                                  "left": left.count(kind.name)} for kind in kinds}), flush=True)


if __name__ == "__main__":
    main()

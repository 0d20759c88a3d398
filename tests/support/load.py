"""Requests without end from several threads, while a test does something to weir."""
import threading

from support.raw import Closed

FAILURES = (OSError, Closed, AssertionError)


class Load:
    """`ask()` makes one request and returns its answer; `connect()`, for each thread, makes such a
    function. As a context manager; `done` has the statuses that were 200, `failures` all else."""

    THREADS = 4

    def __init__(self, connect):
        self.connect = connect
        self.done = []
        self.failures = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(self.THREADS)]

    def _run(self):
        ask = self.connect()
        while not self.over.is_set():
            try:
                status = ask().status
            except FAILURES as error:
                self.failures.append(repr(error))
                return
            (self.done if status == 200 else self.failures).append(status)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

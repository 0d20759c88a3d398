"""Waiting for what other threads do."""
import os
import signal
import threading
import time


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def pause(process):
    """SIGSTOP, until no thread of it runs: its first one has to get a CPU for that."""
    process.send_signal(signal.SIGSTOP)
    folder = f"/proc/{process.pid}/task"

    def stopped(thread):
        with open(f"{folder}/{thread}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "tT"

    wait_for(lambda: all(stopped(thread) for thread in os.listdir(folder)))


def in_threads(count, work):
    results = [None] * count

    def run(index):
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results

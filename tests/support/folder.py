"""Folders for the action `files`: what is served, and what must never be."""
import gzip
import os
import socket

OLD = 1_600_000_000  # Sun, 13 Sep 2020 12:26:40 GMT
OLD_DATE = "Sun, 13 Sep 2020 12:26:40 GMT"
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
SCRIPT = b"let a = 1;\n" * 400
SECRET = b"not for clients\n"


def put(root, name, content=b"", mtime=OLD):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (mtime, mtime))
    return path


def fill(root):
    put(root, "index.html", b"<p>home</p>")
    put(root, "letters.txt", LETTERS)
    put(root, "empty.txt")
    put(root, "sub/index.html", b"<p>sub</p>")
    put(root, "sub/page.html", b"<p>page</p>")
    put(root, "bare/one.txt", b"1")
    put(root, "bare/<b>&\"'.txt", b"2")
    put(root, "bare/deep/x.txt", b"3")
    put(root, "with space.txt", b"space")
    put(root, "ümlaut.txt", b"umlaut")
    put(root, "100%.txt", b"percent")
    put(root, "a:b/x.txt", b"colon")
    put(root, "back\\slash.txt", SECRET)
    put(root, ".env", SECRET)
    put(root, ".git/config", SECRET)
    put(root, "sub/.hidden", SECRET)
    put(root, ".well-known/security.txt", b"Contact: x")
    put(root, ".well-known/.secret", SECRET)
    put(root, "app.js", SCRIPT)
    put(root, "app.js.br", b"br bytes", OLD + 1)
    put(root, "app.js.gz", gzip.compress(SCRIPT), OLD)
    put(root, "late.js", SCRIPT, OLD + 100)
    put(root, "late.js.gz", gzip.compress(b"of an older one"), OLD)
    put(root, "plain.js", SCRIPT)
    put(root, "picture.svg", b"<svg/>" * 500)
    outside = put(os.path.dirname(root), "outside.txt", SECRET)
    put(os.path.dirname(root), "static-secret/x.txt", SECRET)
    os.symlink("letters.txt", os.path.join(root, "link-in"))
    os.symlink("sub", os.path.join(root, "link-folder"))
    os.symlink(outside, os.path.join(root, "link-out"))
    os.symlink("../outside.txt", os.path.join(root, "link-up"))
    os.symlink("..", os.path.join(root, "link-parent"))
    os.symlink("/proc/self/root", os.path.join(root, "link-magic"))
    os.symlink("loop", os.path.join(root, "loop"))
    os.mkfifo(os.path.join(root, "fifo"))
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(os.path.join(root, "socket"))
    sock.close()


def files(root, **more):
    return {"root": root, **more}


def ask(weir, target, headers=(), method="GET"):
    with weir.client() as client:
        return client.request(method, target, list(headers))

"""An origin for tests of the cache."""
from support.origin import Origin, by_request
from support.weir import proxy

FRESH = [("Cache-Control", "max-age=60")]


class Library:
    """An origin whose answers are set by path; counts who asked for what."""

    def __init__(self):
        self.answers = {}
        self.origin = Origin(by_request(self._answer))

    def _answer(self, conn, request):
        path = request.target.partition("?")[0]
        answer = self.answers.get(path, {"status": "404 Not Found", "body": b"nothing"})
        if callable(answer):
            return answer(conn, request)
        return conn.answer(**answer)

    def set(self, path, body=b"text", headers=FRESH, status="200 OK"):
        self.answers[path] = {"body": body, "headers": headers, "status": status}

    def count(self, path):
        return sum(r.target.partition("?")[0] == path for r in self.origin.requests)

    def last(self):
        return self.origin.requests[-1]


def cached(library, keep=None, route=None, **options):
    return proxy(library.origin, route={"cache": keep or {}, **(route or {})}, **options)


def result(response):
    return response.get("X-Cache")


def conditional(etag, body, headers):
    def answer(conn, request):
        if request.get("If-None-Match") == etag:
            conn.send(f"HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\n".encode() + b"".join(
                f"{n}: {v}\r\n".encode() for n, v in headers) + b"\r\n")
        else:
            conn.answer(body, headers=[("ETag", etag), *headers])
    return answer

"""An origin for tests of the cache."""
from support.origin import Origin, by_request

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

"""A weir with a mirror, and what its metrics say of it."""
import threading

from support.origin import by_request
from support.waiting import wait_for
from support.weir import Weir

MARK = "x-weir-mirror"


def weir_for(origin, shadow, mirror=None, upstream=None, route=None, server=None, **options):
    """All goes to `origin` and, as `mirror` says, to `shadow` (an Origin or an address)."""
    address = shadow if isinstance(shadow, str) else shadow.address
    servers = [{"address": address, "max_fails": 0, **(server or {})}]
    routes = [{"name": "all", "path": "/", "upstream": "app",
               "mirror": {"upstream": "shadow", **(mirror or {})}, **(route or {})}]
    return Weir({"app": {"servers": [{"address": origin.address}]},
                 "shadow": {"servers": servers, **(upstream or {})}},
                [{"hosts": ["*"], "routes": routes}], **options)


def results(weir):
    """{"same": 3, ...}, without what is 0."""
    words = ("same", "different", "failed", "skipped", "uncompared")
    counts = {word: weir.metric("weir_mirror_requests_total", route="all", upstream="shadow",
                                result=word) for word in words}
    return {word: count for word, count in counts.items() if count}


def wait_results(weir, **expected):
    wait_for(lambda: sum(results(weir).values()) >= sum(expected.values()))
    assert results(weir) == expected


def assert_nothing_held(weir):
    """Every place was given back."""
    for upstream in ("app", "shadow"):
        weir.wait_metric("weir_upstream_connections", 0, upstream=upstream, state="active")


def fields(request):
    return sorted((n.lower(), v) for n, v in request.headers if n.lower() != MARK)


def answering(status, body=b"ok"):
    return by_request(lambda conn, request: conn.answer(body, status))


def holding():
    """(handler, release): answers wait until `release` is set."""
    release = threading.Event()

    def hold(conn, request):
        release.wait(30)
        conn.answer(b"late")

    return by_request(hold), release

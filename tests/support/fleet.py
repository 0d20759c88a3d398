"""Instances of weir that share limits through one Redis."""
import json

from support.waiting import wait_for
from support.weir import Weir

SLOW = {"rate": "10/1h"}


def instance(redis, limits, upstreams=None, routes=None, workers=1, timeout="1s", password=None,
             url=None, **options):
    """One of a fleet: answers 200 itself where there is no server."""
    routes = routes or [{"path": "/", "respond": {"status": 200, "body": "ok"},
                         "rate_limit": list(limits)}]
    url = url or f"redis://{f':{password}@' if password else ''}{redis.address}"
    return Weir(upstreams=upstreams, sites=[{"hosts": ["*"], "routes": routes}], workers=workers,
                redis={"url": url, "timeout": timeout}, rate_limits=limits, **options)


def redis_is(weir, word):
    return json.loads(weir.admin("/health")[1])["checks"]["redis"]["status"] == word


def wait_up(*weirs):
    for weir in weirs:
        wait_for(lambda weir=weir: redis_is(weir, "healthy"), 20)


def statuses(weir, count, target="/", headers=()):
    with weir.client() as client:
        return [client.request("GET", target, headers).status for _ in range(count)]


def admitted(weir, count, **options):
    return statuses(weir, count, **options).count(200)

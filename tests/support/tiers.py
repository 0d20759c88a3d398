"""Instances of weir that share the cache's second tier in one Redis."""
import json

from support.fleet import redis_is
from support.raw import RawClient
from support.waiting import wait_for
from support.weir import proxy


def tiered(library, redis, keep=None, tier=None, timeout="1s", url=None, **options):
    return proxy(library.origin, route={"cache": {"tags": "Cache-Tag", **(keep or {})}},
                 redis={"url": url or f"redis://{redis.address}", "timeout": timeout},
                 cache={"memory": "32MiB", "redis": tier or {}}, **options)


def wait_up(redis, *weirs):
    """Until all of them may read and write: Redis is asked, and each has a place in its list of
    purges. One that has stored something before distrusts that, and rightly."""
    for weir in weirs:
        wait_for(lambda weir=weir: redis_is(weir, "healthy"), 20)
        wait_for(lambda weir=weir: weir.metric("weir_cache_redis_up") == 1, 20)
        purge(weir, redis, url="http://nobody/")


def values(redis):
    """The keys of answers, and of names of Vary."""
    return [key for key in redis.ask("KEYS", "weir:cache:*")
            if not key.startswith(b"weir:cache:url:")]


def fill(weir, redis, target="/a", count=1, **options):
    """What comes is in Redis then; its body."""
    answer = weir.get(target, **options)
    assert answer.get("X-Cache") == "MISS"
    wait_for(lambda: len(values(redis)) >= count)
    return answer.body


def told(answer):
    return answer.get("Cache-Status")


FROM_REDIS = "weir; hit; detail=redis"


def checksum(text):
    """As weir makes it of all that stands before it (filters/cache/tier_value.h)."""
    state, mask = 0, 2**64 - 1
    padded = text + b"\0" * (-len(text) % 8)
    words = [int.from_bytes(padded[at:at + 8], "little") for at in range(0, len(padded), 8)]
    for word in words + ([] if len(text) % 8 else [0]) + [len(text)]:
        state = ((state ^ word) * 0x9e3779b97f4a7c15) & mask
        state ^= state >> 32
    return state.to_bytes(8, "little")


def forged(value, old, new):
    """`value` with other bytes of the same number in it, and a checksum that is right."""
    assert len(old) == len(new) and value.count(old) == 1
    text = value[:-8]
    assert checksum(text) == value[-8:]
    text = text.replace(old, new)
    return text + checksum(text)


def send_purge(weir, **what):
    host, _, port = weir.admin_address.rpartition(":")
    with RawClient((host, int(port))) as client:
        answer = client.request("POST", "/cache/purge", (), json.dumps(what).encode(),
                                host=weir.admin_address)
    assert answer.status == 200, answer.body


def purge(weir, redis, **what):
    """Returns once Redis has it: others may not have heard of it."""
    before = redis.ask("ZCARD", "weir:purges")
    send_purge(weir, **what)
    wait_for(lambda: redis.ask("ZCARD", "weir:purges") > before)
    # Replies leave Redis at the end of its turn: by the next one's, weir's has been sent as well.
    redis.ask("PING")

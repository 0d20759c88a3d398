"""The script that Redis runs for shared limits, at times that no test waits for: its clock is put
into its text."""
import os
import re

import pytest

from support.redis import Redis

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "../../filters/rate_limit/shared_script.cc")
START_2026 = 1767225600
BUCKET = ("b", 1_000_000, 2_000_000, 0)  # one a second, three at once
WINDOW = ("w", 10_000_000, 3, 0)         # three in ten seconds


@pytest.fixture(scope="module", name="redis")
def one_redis():
    with Redis() as redis:
        yield redis


def run(redis, what, limits, at=START_2026 + 1000.0, want=1, debt=0, stamps=(0, 0)):
    """One call, at that time of Redis's clock; `limits`: by key."""
    with open(SOURCE) as file:
        text = re.search(r'R"\((.*)\)"', file.read(), re.DOTALL).group(1)
    assert "'DEL'" not in text  # docs/redis.md gives no right to it
    clock = "{'%d', '%d'}" % (int(at), round(at % 1 * 1e6))
    text = text.replace("redis.call('TIME')", clock)
    words = [word for limit, stamp in zip(limits.values(), stamps)
             for word in (*limit, want, debt, stamp)]
    return redis.ask("EVAL", text, len(limits), *limits, what, *words)


@pytest.mark.parametrize("limit", [BUCKET, WINDOW])
@pytest.mark.parametrize("at", [0.0, 5.0, START_2026 - 0.5, START_2026 + 0.5, 4e9])
def test_whatever_the_clock_says(redis, limit, at):
    redis.ask("FLUSHALL")
    stamps = []
    for _ in range(3):
        (given, _, _, stamp), = run(redis, "take", {"k": limit}, at)
        assert given == 1
        assert 1 < stamp < 1 << 53
        stamps.append(stamp)
    assert run(redis, "take", {"k": limit}, at)[0][0] == 0
    run(redis, "back", {"k": limit}, at, stamps=[stamps[-1]])
    assert [run(redis, "take", {"k": limit}, at)[0][0] for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("limit", [BUCKET, WINDOW])
@pytest.mark.parametrize("value", ["", "x", "xyz", "x:", "y", "a:b", "1:", ":1"])
def test_values_that_no_script_has_written(redis, limit, value):
    for at in (5.0, START_2026 + 1000.0):
        redis.ask("SET", "k", value)
        assert [run(redis, "take", {"k": limit}, at)[0][0] for _ in range(4)] == [1, 1, 1, 0]
        assert 0 < redis.ask("PTTL", "k") <= 10_000


def test_all_that_a_bucket_had_comes_back(redis):
    redis.ask("FLUSHALL")
    stamp = run(redis, "take", {"k": BUCKET})[0][3]
    run(redis, "back", {"k": BUCKET}, stamps=[stamp])
    assert run(redis, "take", {"k": BUCKET}, want=9)[0][0] == 3


def test_who_is_hardly_ahead_is_given_one(redis):
    at = START_2026 + 1000
    redis.ask("SET", "k", "%.3f" % (1000e6 + 2_000_000.008))
    assert run(redis, "take", {"k": BUCKET}, at)[0][0] == 1


@pytest.mark.parametrize("limit", [BUCKET, WINDOW, (*BUCKET[:3], 5_000_000),
                                   (*WINDOW[:3], 5_000_000)])
def test_a_key_that_is_reset_begins_anew(redis, limit):
    redis.ask("FLUSHALL")
    for _ in range(2):
        assert [run(redis, "take", {"k": limit})[0][0] for _ in range(5)] == [1, 1, 1, 0, 0]
        assert run(redis, "reset", {"k": limit}) == 1
        assert redis.ask("PTTL", "k") <= 1


def test_a_block_of_a_window_does_not_end_before_it(redis):
    """It would begin a new one, with all of the quota."""
    redis.ask("FLUSHALL")
    short, long = (*WINDOW[:3], 2_000_000), (*WINDOW[:3], 15_000_000)
    start = START_2026 + 1000.0
    for key, limit, ends in (("short", short, 10), ("long", long, 16)):
        def take(after):
            return run(redis, "take", {key: limit}, at=start + after)[0]

        assert [take(0)[0] for _ in range(3)] == [1, 1, 1]
        assert take(1)[0::2] == [0, (ends - 1) * 1_000_000]
        for after in (2, 4, 9):
            assert take(after)[0::2] == [0, (ends - after) * 1_000_000]
        assert take(ends + 0.5)[:2] == [1, 1]


@pytest.mark.parametrize("limit", [BUCKET, WINDOW])
def test_a_refusal_says_whether_it_is_a_block(redis, limit):
    redis.ask("FLUSHALL")
    for block, wanted in ((0, 0), (5_000_000, 1)):
        limits = {"k": (*limit[:3], block)}
        while run(redis, "take", limits)[0][0] == 1:
            pass
        assert run(redis, "take", limits)[0][0::3] == [0, wanted]
        assert run(redis, "take", limits)[0][0::3] == [0, wanted]

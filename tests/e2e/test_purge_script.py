"""The script by which instances tell each other of purges, run by itself: what is appended, what is
heard, and when an instance is told that it may have missed something."""
import os
import re

import pytest

from support.redis import Redis

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "../../src/proxy/purge_log.cc")
KEEP = 10_000


@pytest.fixture(scope="module", name="redis")
def one_redis():
    with Redis() as redis:
        yield redis


@pytest.fixture(autouse=True)
def empty(redis):
    redis.ask("FLUSHALL")


class Instance:
    def __init__(self, redis, name):
        self.redis, self.name, self.at, self.last, self.sent = redis, name, 0, b"", 0

    def ask(self, *orders, renews=0):
        """(whether something may be missed, whether there is more, entries)"""
        with open(SOURCE) as file:
            text = re.search(r'R"\((.*)\)"', file.read(), re.DOTALL).group(1)
        entries = []
        for order in orders:
            self.sent += 1
            entries.append(f"{self.name}.{self.sent} {order}")
        known, self.at, self.last, more, *news = self.redis.ask(
            "EVAL", text, 1, "list", self.at, self.last, f"{self.name}.0-1", renews, *entries)
        return known == 0, more == 1, [entry.decode() for entry in news]


def test_an_instance_hears_what_comes_after_its_first_question(redis):
    one, two = Instance(redis, "one"), Instance(redis, "two")
    assert one.ask("th a") == (True, False, [])
    assert two.ask() == (True, False, [])
    assert one.ask("th b", "th c") == (False, False, ["one.2 th b", "one.3 th c"])
    assert two.ask("th d") == (False, False, ["one.2 th b", "one.3 th c", "two.1 th d"])
    assert two.ask() == (False, False, [])
    assert one.ask() == (False, False, ["two.1 th d"])


def test_what_was_told_twice_stands_once(redis):
    one, two = Instance(redis, "one"), Instance(redis, "two")
    one.ask()
    two.ask()
    one.ask("th a")
    one.sent = 0  # the reply got lost
    one.ask("th a", "th b")
    assert two.ask() == (False, False, ["one.1 th a", "one.2 th b"])
    assert one.ask() == (False, False, [])


def test_long_news_come_in_parts(redis):
    one, two = Instance(redis, "one"), Instance(redis, "two")
    two.ask()
    one.ask()
    for _ in range(10):
        one.ask(*["th x"] * 64)
    heard = []
    for _ in range(20):
        lost, more, news = two.ask()
        assert not lost and len(news) <= 256
        heard += news
        if not more:
            break
    assert heard == [f"one.{i} th x" for i in range(1, 641)]
    for _ in range(3):
        one.ask(*["th " + "x" * 8000] * 4)
    sizes = []
    while True:
        lost, more, news = two.ask()
        assert not lost and sum(len(entry) for entry in news) <= 48_000
        sizes.append(len(news))
        if not more:
            break
    assert sum(sizes) == 12 and len(sizes) > 1


def test_one_that_stayed_away_for_too_long_is_told(redis):
    one, two = Instance(redis, "one"), Instance(redis, "two")
    one.ask()
    two.ask()
    for _ in range(KEEP // 100):
        one.ask(*["th x"] * 100)
    assert redis.ask("ZCARD", "list") == KEEP
    lost, more, news = two.ask()
    assert lost and not more and not news
    assert two.ask() == (False, False, [])
    assert one.ask("th a")[2][-1].endswith("th a")
    assert two.ask()[0] is False


@pytest.mark.parametrize("others", [0, 1, 5, 20])
def test_a_list_that_is_not_the_one_that_was_known(redis, others):
    one, two = Instance(redis, "one"), Instance(redis, "two")
    one.ask()
    two.ask()
    one.ask(*["th x"] * 5)
    assert len(two.ask()[2]) == 5
    redis.ask("FLUSHALL")
    for _ in range(others):
        Instance(redis, f"new{_}").ask("th y")
    assert two.ask()[0] is True
    assert two.ask() == (False, False, [])


def test_the_list_ends_by_itself(redis):
    one = Instance(redis, "one")
    one.ask()
    day = 86_400_000
    assert day - 60_000 < redis.ask("PTTL", "list") <= day
    redis.ask("PEXPIRE", "list", 5000)
    one.ask()
    assert redis.ask("PTTL", "list") <= 5000
    one.ask(renews=1)
    assert redis.ask("PTTL", "list") > 5000


@pytest.mark.parametrize("entry", ["", " ", "x", "a b c", "\n"])
def test_entries_that_no_instance_has_written(redis, entry):
    one = Instance(redis, "one")
    one.ask()
    redis.ask("ZADD", "list", one.at + 1, entry)
    assert one.ask() == (False, False, [entry])
    one.ask("th a")
    for score in ("-5", "0.5", "inf"):
        redis.ask("ZADD", "list", score, "odd" + score)
        one.ask("th b")
        one.ask()

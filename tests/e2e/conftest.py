"""Makes tests/support importable and gives the usual pairs of daemon and application server."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# pylint: disable=wrong-import-position
from support.library import Library  # noqa: E402
from support.origin import Origin  # noqa: E402
from support.weir import proxy  # noqa: E402


@pytest.fixture(scope="module")
def echo_pair():
    """(weir, origin): one daemon for a whole file of tests that leave no traces."""
    with Origin() as origin, proxy(origin) as weir:
        yield weir, origin


@pytest.fixture
def library():
    """An origin for tests of the cache."""
    made = Library()
    yield made
    made.origin.stop()

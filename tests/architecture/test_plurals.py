"""``1 turns`` is what a program says that nobody read: a count and its noun are joined in one place."""

from __future__ import annotations

import re

from tests.architecture.sources import SRC

_BY_HAND = re.compile(r"""\{['"]s['"] (?:\*|if) """)
_VERBS = {"dock.py"}
"""``1 more waits``: no noun."""


def test_a_count_and_its_noun_are_joined_by_the_one_function_for_it() -> None:
    found = [path.name for path in SRC.rglob("*.py") if path.name not in {"amounts.py", *_VERBS} and _BY_HAND.search(path.read_text())]
    assert found == []

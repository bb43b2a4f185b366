"""The rules of a session: from where they come, changed by several at once, and those for sub-agents."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ml_intern.config.load import load_settings
from ml_intern.config.rule_sources import RuleSources
from ml_intern.protocol.permission_operations import ChangeRule, RuleScope
from ml_intern.session.kept_rules import KeptRules
from ml_intern.session.permissions import RuleTexts
from ml_intern.session.project_rules import ProjectRules
from ml_intern.session.rule_book import RuleBook


def book_in(folder: Path, *own: tuple[str, str]) -> RuleBook:
    """Of a session in ``folder``; all of them have the same settings and the same state."""
    loaded = load_settings(frontend="cli", cwd=folder, environ={"HOME": str(folder / "home")})
    return RuleBook(KeptRules(RuleSources(loaded), ProjectRules(folder / "state", folder)), lambda: own)


@pytest.mark.parametrize("scope", ["user", "project"])
async def test_a_rule_of_one_session_holds_in_another_that_is_open(tmp_path: Path, scope: RuleScope) -> None:
    one, other = book_in(tmp_path), book_in(tmp_path)
    await one.change(ChangeRule(outcome="deny", rule="bash(rm *)", scope=scope))
    assert other.texts() == RuleTexts()
    await other.refresh()
    assert other.texts() == RuleTexts(deny=("bash(rm *)",))
    await other.change(ChangeRule(outcome="deny", rule="bash(rm *)", scope=scope, remove=True))
    await one.refresh()
    assert one.texts() == RuleTexts()


async def test_a_file_that_cannot_be_read_leaves_the_rules_as_they_were(tmp_path: Path) -> None:
    book = book_in(tmp_path)
    await book.change(ChangeRule(outcome="deny", rule="bash(rm *)", scope="user"))
    (tmp_path / "home/.config/ml-intern/cli_agent_config.json").write_text("{")
    await book.refresh()
    assert book.texts() == RuleTexts(deny=("bash(rm *)",))


async def test_changes_at_once_are_all_kept_and_known(tmp_path: Path) -> None:
    book = book_in(tmp_path)
    changes = [ChangeRule(outcome="ask", rule=f"bash(echo {n})", scope=scope) for n in range(5) for scope in ("user", "project")]
    assert all(await asyncio.gather(*map(book.change, changes)))
    assert len(book.texts().ask) == len(book_in(tmp_path).texts().ask) == 10


async def test_what_would_ask_is_denied_to_a_subagent_and_nothing_is_allowed_to_it(tmp_path: Path) -> None:
    book = book_in(tmp_path, ("ask", "read"), ("deny", "bash"), ("allow", "write"))
    assert book.for_subagents() == RuleTexts(deny=("bash", "read"))

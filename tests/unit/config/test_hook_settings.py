"""Which hooks a name is for."""

from __future__ import annotations

import msgspec
import pytest

from ml_intern.config.hook_settings import HookRule, HookSettings


@pytest.mark.parametrize(
    ("matcher", "name", "covers"),
    [
        ("", "bash", True),
        ("*", "bash", True),
        ("bash", "bash", True),
        ("Bash", "bash", True),  # as hooks of Claude Code write it
        ("bash", "bash_output", False),
        ("Write|Edit", "edit", True),
        ("write, edit", "edit", True),
        ("hf_", "hf_jobs", False),  # a whole name
        ("^hf_", "hf_jobs", True),
        ("github__.*", "github__create_issue", True),
        ("mcp__github__.*", "github__create_issue", True),
        ("mcp__github__create_issue", "github__create_issue", True),
        ("mcp__.*", "bash", False),
    ],
)
def test_a_matcher_is_a_list_of_names_or_a_regular_expression(matcher: str, name: str, covers: bool) -> None:
    assert HookRule(matcher=matcher, command="x").covers(name) is covers


def test_both_ways_of_writing_a_hook_know_the_background_and_a_time_limit() -> None:
    short = {"command": "a", "timeout": 2, "async": True}
    settings = msgspec.convert({"Stop": [short, {"hooks": [{"type": "command", **short}]}]}, HookSettings)
    for rule in settings.stop:
        (command,) = rule.commands
        assert (command.command, command.timeout, command.in_background) == ("a", 2.0, True)

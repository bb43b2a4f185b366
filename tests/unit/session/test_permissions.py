"""Rules: deny wins over ask, ask over allow; a rule for one part of a command never covers the rest of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.errors import ConfigError
from ml_intern.session.permissions import Mode, Outcome, Permissions, Rule, rule_for
from ml_intern.tools.base import READ_ONLY, Effect, PermissionSubject, Risk

CODE = Risk(effects=frozenset({Effect.RUNS_CODE, Effect.WRITES_WORKSPACE}))
CONFINED = Risk(effects=CODE.effects, confined=True)
OUTSIDE = Risk(effects=frozenset({Effect.WRITES_OUTSIDE}))
RECURRING = Risk(effects=frozenset({Effect.RECURRING, Effect.SPENDS}), cost_usd=1.0)


def subject(*parts: str, simple: bool = True) -> PermissionSubject:
    return PermissionSubject(parts=parts, simple=simple)


@pytest.mark.parametrize(
    ("rule", "tool", "part", "covered"),
    [
        ("bash(pytest *)", "bash", "pytest -q tests", True),
        ("bash(pytest *)", "bash", "pytest", True),
        ("bash(pytest *)", "bash", "pytester", False),
        ("bash(pytest *)", "write", "pytest -q", False),
        ("bash", "bash", "anything", True),
        ("bash(*)", "bash", "anything", True),
        ("write(src/*.py)", "write", "src/a.py", True),
        ("write(src/*.py)", "write", "lib/a.py", False),
        ("mcp:github:*", "mcp:github:create_issue", "", True),
        ("mcp:github:*", "mcp:gitlab:create_issue", "", False),
        ("*", "anything", "at all", True),
        ("bash(a[b]c)", "bash", "a[b]c", True),
        ("bash(a[b]c)", "bash", "abc", False),
        ("bash(echo (x))", "bash", "echo (x)", True),
    ],
)
def test_what_a_rule_covers(rule: str, tool: str, part: str, covered: bool) -> None:
    assert Rule.parse(rule).covers(tool, part) is covered


@pytest.mark.parametrize("text", ["", "()", "bash(", "two words", "(x)"])
def test_what_is_no_rule_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="no permission rule"):
        Rule.parse(text)


def test_deny_wins_over_ask_and_ask_over_allow() -> None:
    everything = {"allow": ["bash"], "ask": ["bash(git push *)"], "deny": ["bash(git push --force *)"]}
    permissions = Permissions(**everything)
    judge = lambda text: permissions.judge("bash", subject(text), CODE, Mode.YOLO).outcome  # noqa: E731
    assert judge("git push --force origin") is Outcome.DENY
    assert judge("git push origin") is Outcome.ASK
    assert judge("git status") is Outcome.ALLOW


def test_an_allow_rule_must_cover_every_part() -> None:
    permissions = Permissions(allow=["bash(pytest *)"])
    assert permissions.judge("bash", subject("pytest -q"), CODE, Mode.ASK).outcome is Outcome.ALLOW
    assert permissions.judge("bash", subject("pytest -q", "rm -rf ~"), CODE, Mode.ASK).outcome is Outcome.ASK


def test_one_denied_part_denies_the_call() -> None:
    permissions = Permissions(allow=["bash"], deny=["bash(rm *)"])
    assert permissions.judge("bash", subject("ls", "rm -rf x"), CODE, Mode.ASK).outcome is Outcome.DENY


def test_what_a_shell_hides_cannot_be_covered_by_a_pattern() -> None:
    permissions = Permissions(allow=["bash(echo *)"])
    assert permissions.judge("bash", subject("echo $(rm -rf ~)", simple=False), CODE, Mode.ASK).outcome is Outcome.ASK
    assert Permissions(allow=["bash"]).judge("bash", subject("x", simple=False), CODE, Mode.ASK).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("risk", "mode", "outcome"),
    [
        (READ_ONLY, Mode.ASK, Outcome.ALLOW),
        (CONFINED, Mode.ASK, Outcome.ALLOW),
        (CODE, Mode.ASK, Outcome.ASK),
        (CODE, Mode.CONTAINED, Outcome.ASK),
        (CODE, Mode.YOLO, Outcome.ALLOW),
        (OUTSIDE, Mode.ASK, Outcome.ASK),
        (OUTSIDE, Mode.CONTAINED, Outcome.ASK),
        (OUTSIDE, Mode.YOLO, Outcome.ALLOW),
        (RECURRING, Mode.YOLO, Outcome.ASK),
        (Risk(effects=frozenset({Effect.SPENDS}), cost_usd=1.0), Mode.CONTAINED, Outcome.ALLOW),
        (Risk(effects=frozenset({Effect.SPENDS}), cost_usd=1.0), Mode.ASK, Outcome.ASK),
        (Risk(effects=frozenset({Effect.WRITES_HUB})), Mode.CONTAINED, Outcome.ASK),
    ],
)
def test_without_a_rule_the_risk_decides(risk: Risk, mode: Mode, outcome: Outcome) -> None:
    assert Permissions().judge("tool", subject("x"), risk, mode).outcome is outcome


def test_no_sandbox_by_the_users_word_lets_code_run() -> None:
    assert Permissions(unconfined_ok=True).judge("bash", subject("make"), CODE, Mode.CONTAINED).outcome is Outcome.ALLOW


def test_read_only_refuses_whatever_does_more_than_read() -> None:
    permissions = Permissions(read_only=True, allow=["*"])
    for risk in (CODE, CONFINED, OUTSIDE, RECURRING):
        assert permissions.judge("tool", subject("x"), risk, Mode.YOLO).outcome is Outcome.DENY
    assert permissions.judge("read", subject("x"), READ_ONLY, Mode.ASK).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("git push origin main", "bash(git push *)"),
        ("pytest -q tests", "bash(pytest *)"),
        ("make", "bash(make)"),
        ("rm -rf build dist", "bash(rm *)"),
        ("awk '{print}' a b", "bash(awk *)"),
    ],
)
def test_always_describes_the_command_and_not_more_than_its_program(part: str, rule: str) -> None:
    assert rule_for("bash", subject(part)) == rule
    assert Rule.parse(rule).covers("bash", part)


def test_always_is_not_offered_for_what_no_rule_can_describe() -> None:
    assert rule_for("bash", subject("a", "b")) == ""
    assert rule_for("bash", subject("echo $(x)", simple=False)) == ""


@given(st.text(max_size=60), st.lists(st.text(alphabet="abc *()[].\\", max_size=12), max_size=3))
def test_a_denied_part_is_denied_whatever_else_is_allowed(part: str, others: list[str]) -> None:
    permissions = Permissions(allow=["*", *[f"bash({other})" for other in others if other.strip()]], deny=["bash(rm *)"])
    judged = permissions.judge("bash", subject(part, "rm -rf /"), READ_ONLY, Mode.YOLO)
    assert judged.outcome is Outcome.DENY

"""Rules: deny wins over ask, ask over allow; a rule for one part of a command never covers the rest of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.errors import ConfigError
from ml_intern.session.permissions import Mode, Outcome, Permissions, Rule, RuleTexts, rule_for
from ml_intern.tools.base import READ_ONLY, Effect, PermissionSubject, Risk
from ml_intern.tools.bash.command_parts import subject as shell
from ml_intern.tools.bash.families import family

CODE = Risk(effects=frozenset({Effect.RUNS_CODE, Effect.WRITES_WORKSPACE}))
CONFINED = Risk(effects=CODE.effects, confined=True)
OUTSIDE = Risk(effects=frozenset({Effect.WRITES_OUTSIDE}))
RECURRING = Risk(effects=frozenset({Effect.RECURRING, Effect.SPENDS}), cost_usd=1.0)


def subject(*parts: str, simple: bool = True) -> PermissionSubject:
    return PermissionSubject(parts=parts, simple=simple)


def command(part: str) -> PermissionSubject:
    return PermissionSubject(parts=(part,), families=(family(part),))


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
    permissions = Permissions(allow=["bash"], ask=["bash(git push *)"], deny=["bash(git push --force *)"])
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
        ("git push origin main", "bash(git push origin ...)"),
        ("uv pip install torch", "bash(uv pip install torch)"),
        ("pytest -q tests", "bash(pytest -q tests)"),
        ("make", "bash(make)"),
        ("rm -rf build dist", "bash(rm -rf build dist)"),
        ("awk '{print}' a b", "bash(awk '{print}' a b)"),
        ("rm build/*.o", r"bash(rm build/\*.o)"),
        ("rm -r *", r"bash(rm -r \*)"),
        (r"grep -r a\*b .", r"bash(grep -r a\\\*b .)"),
        ("python -c 'x=1 y'", "bash(python -c 'x=1 y')"),
        ("python train.py --lr 1", "bash(python train.py --lr 1)"),
        ("kill -9 1", "bash(kill -9 1)"),
        ("git -C . push", "bash(git -C . push)"),
        ("git reset --hard HEAD", "bash(git reset --hard HEAD)"),
        ("uv run python -c x", "bash(uv run python -c x)"),
    ],
)
def test_always_grants_the_command_and_more_only_where_it_is_of_a_known_family(part: str, rule: str) -> None:
    assert rule_for("bash", command(part)) == rule
    assert Rule.parse(rule).covers("bash", part)


def test_the_star_of_a_remembered_command_stands_for_itself() -> None:
    rule = Rule.parse(rule_for("bash", command("rm build/*.o")))
    assert rule.covers("bash", "rm build/*.o")
    assert not rule.covers("bash", "rm build/ -rf /home/me/important.o")


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_always_for_what_is_no_command_line_grants_exactly_that(part: str, other: str) -> None:
    rule = rule_for("write", subject(part))
    if part.strip() and rule:
        assert Rule.parse(rule).covers("write", part)
        assert Rule.parse(rule).covers("write", other) is (other.strip() == part.strip())


def test_always_is_not_offered_for_a_tool_whose_name_no_rule_can_hold() -> None:
    assert rule_for("a/b", subject("")) == ""
    assert rule_for("echo", subject("")) == rule_for("echo", subject()) == "echo"


def test_a_grant_that_does_not_parse_grants_nothing_and_stops_nothing() -> None:
    permissions = Permissions(current=lambda: RuleTexts(allow=("a/b", "bash(make *)")))
    assert permissions.judge("a/b", subject(""), CODE, Mode.ASK).outcome is Outcome.ASK
    assert permissions.judge("bash", subject("make x"), CODE, Mode.ASK).outcome is Outcome.ALLOW


def test_always_is_not_offered_for_what_no_rule_can_describe() -> None:
    assert rule_for("bash", subject("a", "b")) == ""
    assert rule_for("bash", shell("# nothing")) == rule_for("bash", shell("git -C . push")) == ""
    assert rule_for("bash", subject("echo $(x)", simple=False)) == ""


# ── what a command does not show ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line",
    [
        "git push origin",
        "git -C . push",
        "git -c color.ui=never --git-dir .git push origin",
        "env A=1 timeout 5 nohup git push",
        "sudo -u me git push",
        "command git push",
        "FOO=1 git push",
        "time -p git push",
        "bash -c 'cd x; git push'",
        "echo origin | xargs git push",
        "(cd x && git push) > log",
        "cat <(git push)",
    ],
)
def test_a_denied_command_is_found_behind_options_and_wrappers(line: str) -> None:
    permissions = Permissions(allow=["bash"], deny=["bash(git push *)"])
    assert permissions.judge("bash", shell(line), CONFINED, Mode.YOLO).outcome is Outcome.DENY


@pytest.mark.parametrize(
    "line",
    [
        "g=git; $g push",
        "x=push; git $x origin",
        "git p$x",
        "git {push,origin}",
        "git pus?",
        "$(echo git) push",
        "eval $(echo git push)",
        "eval $x",
        "echo push | xargs git",
        "echo push | xargs -I X git X",
        "bash run.sh",
        "echo git push | sh",
        'bash -c "$x"',
        "source x.sh",
        "cat <<E\n$(git push)\nE",
        "git -c alias.p=push p",
        "sudo --user root git push",
        "env -S 'A=1 git push'",
        "find . -exec git push ;",
        "function g { git push; }; g",
    ],
)
@pytest.mark.parametrize("kind", ["deny", "ask"])
def test_where_a_deny_or_ask_rule_might_match_a_person_is_asked(line: str, kind: str) -> None:
    rules = ["bash(git push *)"]
    permissions = Permissions(allow=["bash"], deny=rules if kind == "deny" else (), ask=rules if kind == "ask" else ())
    for mode in Mode:
        judged = permissions.judge("bash", shell(line), CONFINED, mode)
        assert judged.outcome is Outcome.ASK, line
        assert "`bash(git push *)`" in judged.reason
        assert "A person decides" in judged.blocked or "asks for a person" in judged.blocked


@pytest.mark.parametrize(
    "line",
    [
        "python train.py --lr $LR > log 2>&1",
        "for seed in 1 2; do python train.py --seed $seed; done",
        "(cd x && make) && ls *.py",
        "cat > a.py <<'E'\nprint(`$(x)`)\nE",
        "find . -name '*.py' | xargs grep foo",
        "git add *.py",
        "timeout 5 python x.py",
    ],
)
def test_what_cannot_match_a_rule_still_runs_unasked_in_the_sandbox(line: str) -> None:
    permissions = Permissions(ask=["bash(git push *)"], deny=["bash(rm *)", "write(*.lock)"])
    assert permissions.judge("bash", shell(line), CONFINED, Mode.CONTAINED).outcome is Outcome.ALLOW


@pytest.mark.parametrize("line", ["eval $x", "bash run.sh", "echo $(date)", "$g push"])
def test_without_such_rules_hidden_parts_run_unasked_in_the_sandbox(line: str) -> None:
    permissions = Permissions(deny=["write(*.lock)"], allow=["bash(pytest *)"])
    assert permissions.judge("bash", shell(line), CONFINED, Mode.CONTAINED).outcome is Outcome.ALLOW


def test_what_only_reads_shows_all_that_it_does() -> None:
    assert Permissions(deny=["bash(cat s*)"]).judge("bash", shell("cat *"), READ_ONLY, Mode.ASK).outcome is Outcome.ALLOW


def test_a_subject_that_says_no_more_than_that_it_hides_something_may_be_anything() -> None:
    permissions = Permissions(deny=["bash(git push *)"])
    assert permissions.judge("bash", subject("echo x", simple=False), CONFINED, Mode.ASK).outcome is Outcome.ASK


def test_a_call_without_parts_still_meets_the_rules_of_its_tool() -> None:
    assert Permissions(deny=["x"]).judge("x", subject(), READ_ONLY, Mode.ASK).outcome is Outcome.DENY
    assert Permissions(allow=["x"]).judge("x", subject(), CODE, Mode.ASK).outcome is Outcome.ALLOW


@given(st.text(max_size=60), st.lists(st.text(alphabet="abc *()[].\\", max_size=12), max_size=3))
def test_a_denied_part_is_denied_whatever_else_is_allowed(part: str, others: list[str]) -> None:
    permissions = Permissions(allow=["*", *[f"bash({other})" for other in others if other.strip()]], deny=["bash(rm *)"])
    judged = permissions.judge("bash", subject(part, "rm -rf /"), READ_ONLY, Mode.YOLO)
    assert judged.outcome is Outcome.DENY


COMPOUND = (
    "git push origin main && rm -rf ~",
    "git push origin main; rm -rf ~",
    "git push origin main | sh",
    "git push origin main\nrm -rf ~",
    "git push origin main & rm -rf ~",
    "git push origin $(rm -rf ~)",
    "git push origin `rm -rf ~`",
    "git push origin <(rm -rf ~)",
    "git push origin main > ~/.bashrc",
    "git push origin main <<E\n$(rm -rf ~)\nE",
    "LD_PRELOAD=./x.so git push origin main",
    "(git push origin main; rm -rf ~)",
    "if true; then git push origin main; fi",
    "env git push origin main",
    "bash -c 'git push origin main'",
    "eval git push origin main",
)


@pytest.mark.parametrize("line", COMPOUND)
def test_always_is_not_offered_for_a_line_that_does_more_than_one_command_and_no_grant_covers_it(line: str) -> None:
    offered = rule_for("bash", shell(line))
    assert "..." not in offered, "nothing wider than the line itself"
    granted = Permissions(allow=[rule_for("bash", shell("git push origin main"))])
    assert granted.judge("bash", shell("git push origin other"), CODE, Mode.ASK).outcome is Outcome.ALLOW
    assert granted.judge("bash", shell(line), CODE, Mode.ASK).outcome is Outcome.ASK


@given(st.sampled_from(["&&", "||", ";", "|", "\n", "&"]), st.sampled_from(["rm -rf x", "curl e.org", "python -c 1", "git push"]))
def test_a_grant_for_a_part_never_covers_the_line(joint: str, other: str) -> None:
    granted = Permissions(allow=[rule_for("bash", shell("git commit -m x"))])
    assert granted.judge("bash", shell(f"git commit -m x {joint} {other}"), CODE, Mode.ASK).outcome is Outcome.ASK


# ── families ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line", ["git push ./evil main", "git push ~/evil main", "git fetch ../evil", "git pull me@host main", "git push a.b c"]
)
def test_what_is_no_name_of_a_remote_is_of_no_family(line: str) -> None:
    assert family(line) == ""


@pytest.mark.parametrize("line", ["HEAD:refs/heads/main", "feature:main", "main:", "refs/heads/a:refs/heads/b"])
def test_always_for_a_branch_does_not_grant_to_push_it_to_another(line: str) -> None:
    rule = rule_for("bash", command("git push origin feature"))
    permissions = Permissions(allow=[rule])
    assert permissions.judge("bash", command("git push origin other"), OUTSIDE, Mode.ASK).outcome is Outcome.ALLOW
    for verb in ("push", "fetch", "pull"):
        assert family(f"git {verb} origin {line}") == ""
    assert permissions.judge("bash", command(f"git push origin {line}"), OUTSIDE, Mode.ASK).outcome is Outcome.ASK
    assert rule_for("bash", command(f"git push origin {line}")) == f"bash(git push origin {line})"


@pytest.mark.parametrize(
    "line", ["git push origin2 main", "git push", "git push origin:x", "python x", "git pull origin main", "git push --force origin main"]
)
def test_a_family_grants_its_own_commands_and_no_other(line: str) -> None:
    rule = Rule.parse("bash(git push origin ...)")
    assert rule.allows("bash", "git push origin main", family("git push origin main"))
    assert not rule.allows("bash", line, family(line))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("bash(kubectl get ...)", "`kubectl get NAME ...`"),
        ("bash(git push ...)", "`git push NAME ...`"),
        ("bash(pytest ...)", "not known to be harmless behind `pytest`"),
        ("bash(git push origin main ...)", "not known"),
        ("read(git add ...)", "for commands of bash"),
    ],
)
def test_a_rule_that_could_never_allow_anything_is_refused_with_the_right_form(rule: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as raised:
        Rule.wanted(rule)
    assert rule.replace("...", "*") in raised.value.hint
    assert Rule.parse(rule).never, "one that is written somewhere is read, and shown to be without effect"


@pytest.mark.parametrize("rule", ["bash(kubectl get pods ...)", "bash(git log ...)", "*(ruff check ...)", "bash(x *)"])
def test_a_rule_for_a_family_that_there_is_is_taken(rule: str) -> None:
    assert Rule.wanted(rule).never == ""

"""``/permissions``: what is in force, from where, in which order; changes go to the session, which tells them."""

from __future__ import annotations

from ml_intern.frontends.tui.app import TuiApp
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.permission_events import RuleInForce
from tests.tui.pilots import command, until
from tests.tui.scripted import ScriptedHost, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import FakeHost

DENY = RuleInForce(outcome="deny", rule="bash(rm *)", scope="user", origin="your settings")
FOLDER = RuleInForce(outcome="allow", rule="bash(pytest *)", scope="project", origin="this folder")
GRANT = RuleInForce(outcome="allow", rule="bash(make *)", scope="session", origin="this session")
UNTRUSTED = RuleInForce(outcome="allow", rule="bash(curl *)", origin="/home/shop/.ml-intern/config.json", idle="this folder is not trusted")


def session_with(*rules: RuleInForce, mode: str = "ask", another_error: bool = False) -> ScriptedHost:
    """A session that keeps rules and says so, as ``session/rules.py`` does."""
    kept = list(rules)

    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        match operation:
            case op.ShowRules():
                host.emit(e.RulesInForce(rules=tuple(kept), mode=mode))
            case op.ChangeRule(outcome=outcome, rule=text, scope=scope, remove=remove, replaces=replaced):
                kept[:] = [rule for rule in kept if (rule.outcome, rule.rule, rule.scope) != (outcome, replaced or text, scope)]
                if another_error:
                    host.emit(e.ErrorRaised(error="The model is not there.", ends_turn=False))
                kept.extend([] if remove else [RuleInForce(outcome=outcome, rule=text, scope=scope, origin="kept")])
                host.emit(e.RuleChanged(outcome=outcome, rule=text, scope=scope, removed=remove))
            case op.TryCall(call=call):
                host.emit(e.CallTried(call=call, outcome="deny", reason="The rule `bash(rm *)` forbids it.", rules=(DENY,)))
            case _:
                pass

    return scripted(play=play)


def changes(host: ScriptedHost) -> list[op.ChangeRule]:
    return [operation for operation in host.operations if isinstance(operation, op.ChangeRule)]


def shows(app: TuiApp, words: str) -> bool:
    return any(words in row for row in screen_text(app))


async def test_each_rule_is_shown_with_where_it_comes_from_and_which_has_no_effect() -> None:
    host = session_with(DENY, GRANT, FOLDER, UNTRUSTED)
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "bash(rm *)"))
        rows = screen_text(app)
        order = [
            next(i for i, row in enumerate(rows) if rule.rule in row and rule.origin[:9] in row)
            for rule in (DENY, GRANT, FOLDER, UNTRUSTED)
        ]
        assert order == sorted(order)
        for rule in (DENY, GRANT, FOLDER):
            assert any(rule.outcome in row and rule.rule in row and rule.origin in row for row in rows)
        assert any("bash(curl *)" in row and "no effect" in row for row in rows)
        await pilot.press(*"curl")
        await until(pilot, lambda: shows(app, "It has no effect"))
        await pilot.press("escape")


async def test_a_grant_of_the_session_is_taken_back() -> None:
    host = session_with(GRANT)
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "bash(make *)"))
        await pilot.press(*"make", "enter")
        await until(pilot, lambda: shows(app, "remove it"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "Remove this rule?"))
        await pilot.press("y")
        await until(pilot, lambda: changes(host) != [] and shows(app, "add a rule"))
        assert not shows(app, "bash(make *)  this session")
        await pilot.press("escape")
        await settled(app, pilot, host)
        assert shows(app, "rule removed: allow bash(make *) (this session)")
    assert changes(host) == [op.ChangeRule(outcome="allow", rule="bash(make *)", scope="session", remove=True)]


async def test_a_rule_is_edited_in_its_place() -> None:
    host = session_with(DENY)
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "bash(rm *)"))
        await pilot.press(*"rm", "enter")
        await until(pilot, lambda: shows(app, "remove it"))
        await pilot.press("down", "enter")
        await until(pilot, lambda: shows(app, "The rule"))
        await pilot.press("end", "x", "enter")
        await until(pilot, lambda: shows(app, "is no permission rule"))
        await pilot.press("end", "backspace", "left", "left", *"-r ", "enter")
        await until(pilot, lambda: changes(host) != [] and shows(app, "add a rule"))
        await pilot.press("escape")
    assert changes(host) == [op.ChangeRule(outcome="deny", rule="bash(rm -r *)", scope="user", replaces="bash(rm *)")]


async def test_an_error_of_something_else_is_not_the_answer_to_a_change() -> None:
    host = session_with(DENY, another_error=True)
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "bash(rm *)"))
        await pilot.press(*"rm", "enter")
        await until(pilot, lambda: shows(app, "remove it"))
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "Remove this rule?"))
        await pilot.press("y")
        await until(pilot, lambda: changes(host) != [] and shows(app, "add a rule"))
        assert not shows(app, "bash(rm *)"), "the list waits for what the change made of it"
        await pilot.press("escape")


async def test_a_rule_is_added_where_the_user_wants_it() -> None:
    host = session_with()
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions bash(git push *)")
        await until(pilot, lambda: shows(app, "deny in this session"))
        await pilot.press(*"deny every", "enter")
        await until(pilot, lambda: changes(host) != [])
        await settled(app, pilot, host)
        assert shows(app, "rule added: deny bash(git push *) (your settings)")
    assert changes(host) == [op.ChangeRule(outcome="deny", rule="bash(git push *)", scope="user")]


async def test_a_rule_of_another_file_is_not_changed_here() -> None:
    host = session_with(UNTRUSTED)
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "bash(curl *)"))
        await pilot.press(*"curl", "enter")
        await until(pilot, lambda: len([x for x in host.operations if isinstance(x, op.ShowRules)]) == 2)
        await pilot.press("escape")
        await settled(app, pilot, host)
        assert shows(app, "cannot be changed here")
    assert changes(host) == []


async def test_what_is_no_rule_is_refused_before_anything_is_sent() -> None:
    host = session_with()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/permissions rm -rf (")
        await until(pilot, lambda: shows(app, "is no permission rule"))
    assert changes(host) == []


async def test_a_call_is_tested_against_the_rules() -> None:
    host = session_with(DENY)
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions test bash: rm -r x")
        await until(pilot, lambda: shows(app, "deny: The rule `bash(rm *)` forbids it. (from your settings)"))
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "test a call"))
        await pilot.press("down", "enter")
        await until(pilot, lambda: shows(app, "Which call?"))
        await pilot.press(*"bash: rm x", "enter")
        await until(pilot, lambda: shows(app, "bash: rm x → deny"))
        await pilot.press("escape")
    assert [x.call for x in host.operations if isinstance(x, op.TryCall)] == ["bash: rm -r x", "bash: rm x"]


async def test_the_mode_is_said() -> None:
    host = session_with(mode="yolo")
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/permissions")
        await until(pilot, lambda: shows(app, "yolo is on"))
        await pilot.press("escape")

"""A hook that may not run is told of, and what it guards does not happen meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.hook_settings import HookRule, HookSettings
from ml_intern.config.project_programs import HookPlace
from ml_intern.session.hooks.contract import HookEvent, Moment
from ml_intern.session.hooks.runner import HookRunner

RULES = (HookRule(command="touch ran"),)


@pytest.mark.parametrize(("event", "blocks"), [("PreToolUse", True), ("PreJob", True), ("PrePublish", True), ("Stop", False)])
async def test_a_hook_that_is_not_what_was_trusted_is_not_run_and_a_guard_blocks(tmp_path: Path, event: HookEvent, blocks: bool) -> None:
    settings = HookSettings(pre_tool_use=RULES, pre_job=RULES, pre_publish=RULES, stop=RULES)
    runner = HookRunner(settings, cwd=tmp_path, env={}, common={}, why_not=lambda line: f"{line} has changed.")
    verdict = await runner.run(Moment(event=event))
    assert not (tmp_path / "ran").exists()
    assert bool(verdict.blocked) is blocks
    assert "touch ran has changed." in verdict.told[0].message


@pytest.mark.parametrize(("event", "blocks"), [("PreToolUse", True), ("PreJob", True), ("PrePublish", True), ("Stop", False)])
@pytest.mark.parametrize("line", ["./no-such-guard.sh", "/"])
async def test_a_guard_that_cannot_be_run_blocks_and_says_so(tmp_path: Path, event: HookEvent, blocks: bool, line: str) -> None:
    rules = (HookRule(command=line),)
    settings = HookSettings(pre_tool_use=rules, pre_job=rules, pre_publish=rules, stop=rules)
    verdict = await HookRunner(settings, cwd=tmp_path, env={}, common={}).run(Moment(event=event))
    assert bool(verdict.blocked) is blocks
    assert "could not be run" in verdict.told[0].message and verdict.told[0].outcome == ("blocked" if blocks else "failed")


async def test_a_projects_hook_runs_in_its_folder_and_is_told_it(tmp_path: Path) -> None:
    (tmp_path / "guard.sh").write_text('echo "$CLAUDE_PROJECT_DIR" "$ML_INTERN_PROJECT_DIR" >&2; exit 2')
    below = tmp_path / "below"
    below.mkdir()
    settings = HookSettings(pre_tool_use=(HookRule(command='sh ./guard.sh && sh "$CLAUDE_PROJECT_DIR"/guard.sh'),))
    runner = HookRunner(settings, cwd=below, env={}, common={}, place=lambda _: HookPlace(tmp_path, tmp_path))
    verdict = await runner.run(Moment(event="PreToolUse"))
    assert f"{tmp_path} {tmp_path}" in verdict.blocked

"""A hook that may not run is told of, and what it guards does not happen meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.hook_settings import HookRule, HookSettings
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

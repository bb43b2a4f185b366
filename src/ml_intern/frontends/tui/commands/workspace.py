"""``/diff`` and ``/init``: the folder that is worked in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.compute.untrusted_git import NoRepository, looking_at
from ml_intern.frontends.headless.text import Line, Style, line
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.protocol import operations as op
from ml_intern.protocol.ran_words import asked_words

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty")
_MORE = "\n… and more: this is the beginning. /diff with a path shows the changes below it."

INIT_PROMPT = """\
Write an AGENTS.md for this project: what an engineer who works on it for the first time needs, and nothing that is plain from
the code. Look at the project first: its README, configuration, scripts, tests and, if there are any, the rules of other agents
(CLAUDE.md, .cursorrules, copilot instructions). Then write, in this order and only what is true here:

- how to set it up, run it and test it, one test alone too, as commands that you have tried;
- how it is laid out, and where the data, the training and evaluation code, and the configuration are;
- conventions of the code that are not obvious;
- for machine learning: where datasets and checkpoints come from and go to, what hardware runs need, how results are measured;
- what must not be done here.

Keep it under 150 lines."""
IMPROVE = "\n\nThere is an AGENTS.md already: keep what is right in it, correct what is not, and say what you changed."


async def show_diff(app: TuiApp, rest: str) -> None:
    """``/diff [path]``: what has changed in the workspace since the last commit, new files included."""
    if app.loaded.settings.tool_runtime == "sandbox":
        app.say("The workspace is in a sandbox, which /diff cannot see.", hint="Ask the model for `git diff`.", bad=True)
        return
    cwd = Path(app.status.figures.cwd or app.loaded.cwd)
    paths = ("--", rest) if rest else ()
    try:
        async with looking_at(cwd, app.loaded.environ.as_dict()) as git:
            changed = await git.run(*_DIFF, git.head or "--cached", *paths, if_cut=_MORE)
            new = (await git.run("ls-files", "--others", "--exclude-standard", *paths)).splitlines()
    except NoRepository as error:
        app.say(await asyncio.to_thread(_why_no_repository, cwd, error.message), hint="/diff needs a git repository.", bad=True)
        return
    if not changed and not new:
        app.say(f"Nothing has changed in {cwd}{f' below {rest}' if rest else ''}.")
        return
    rows = diff_rows(changed)
    if new:
        rows += [
            *([line()] if rows else []),
            line(("bold", "New files that git does not know yet")),
            *(line(("added", f"  {path}")) for path in new),
        ]
    await app.push_screen_wait(Pager(f"Changes in {cwd}", rows))


def _why_no_repository(cwd: Path, complaint: str) -> str:
    if any((folder / ".git").exists() for folder in (cwd, *cwd.parents)):
        return f"git does not read the repository of {cwd}: {complaint}."
    return f"{cwd} is in no git repository."


def diff_rows(unified: str) -> list[Line]:
    """A unified diff in colours."""
    return [line((_style(row), row)) for row in unified.splitlines()]


def _style(row: str) -> Style:
    if row.startswith(("diff --git", "--- ", "+++ ")):
        return "bold"
    if row.startswith("@@"):
        return "accent"
    return "added" if row.startswith("+") else "removed" if row.startswith("-") else ""


async def init(app: TuiApp, rest: str) -> None:
    """``/init [what matters]``: asks the model to write AGENTS.md."""
    there = await asyncio.to_thread((Path(app.status.figures.cwd or app.loaded.cwd) / "AGENTS.md").exists)
    prompt = INIT_PROMPT + (IMPROVE if there else "") + (f"\n\nMind this: {rest}" if rest else "")
    app.send(op.UserInput(text=asked_words(f"/init {rest}".rstrip(), prompt)))

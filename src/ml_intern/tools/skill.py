"""``skill``: the instructions for a special task, loaded when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.config.brought_file import read_brought
from ml_intern.config.skills import Skill
from ml_intern.errors import ConfigError, ToolError
from ml_intern.tools.base import PermissionSubject, Tool, ToolArgs, ToolContext, ToolOutput

MAX_CHARS = 40_000
MAX_BYTES = 4 * (MAX_CHARS + 1)
"""A character takes at most four."""
LISTED_FILES = 50
_NEEDED = "a name and a description as text"
_EXAMPLE = "It must begin with the lines `---`, `name: …`, `description: …` and `---`. Its text can be read as a file."


class SkillArgs(ToolArgs, frozen=True):
    name: Annotated[str, Meta(description="A skill of the list in your instructions.")]
    file: Annotated[str, Meta(description="A file of the skill's folder that its text refers to; default: its SKILL.md.")] = ""


class SkillTool(Tool[SkillArgs]):
    """Reads only what lies in a skill's own folder."""

    name: ClassVar[str] = "skill"
    description: ClassVar[str] = "Load a skill: its instructions, and the list of files that come with it."
    args = SkillArgs

    def __init__(self, skills: Callable[[], Sequence[Skill]], unusable: Callable[[str], Path | None] = lambda name: None) -> None:
        """``unusable`` finds the ``SKILL.md`` in a folder of that name that is no skill."""
        self._skills = skills
        self._unusable = unusable

    def subject(self, args: SkillArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.name,))

    async def run(self, args: SkillArgs, ctx: ToolContext) -> ToolOutput:
        skills = {skill.name: skill for skill in self._skills()}
        if (skill := skills.get(args.name)) is None:
            if (file := await asyncio.to_thread(self._unusable, args.name)) is not None:
                raise ToolError(f"{file} is no skill: its front matter does not give {_NEEDED}.", hint=_EXAMPLE)
            known = ", ".join(skills) or "there are none; they would lie in .agents/skills"
            raise ToolError(f"There is no skill '{args.name}'.", hint=f"Known: {known}.")
        return ToolOutput(text=await asyncio.to_thread(_load, skill, args.file))


def _load(skill: Skill, name: str) -> str:
    root = skill.folder.resolve()
    path = (root / name).resolve() if name else root / "SKILL.md"
    if not path.is_relative_to(root):
        raise ToolError(f"'{name}' is not in the folder of the skill '{skill.name}'.")
    try:
        data = read_brought(path, MAX_BYTES)
    except ConfigError as error:
        raise ToolError(error.message) from error
    if data is None:
        raise ToolError(f"'{name or 'SKILL.md'}' of the skill '{skill.name}' cannot be read: is it there?")
    text = data.decode("utf-8", "replace")
    if len(text) > MAX_CHARS:
        text = f"{text[:MAX_CHARS]}\n[cut here; read the rest from {path}]"
    if name:
        return text
    files = [str(p.relative_to(root)) for p in _files(root)]
    return f"{text.rstrip()}\n\nFolder: {root}" + (f"\nFiles: {', '.join(files)}" if files else "")


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != "SKILL.md")[:LISTED_FILES]

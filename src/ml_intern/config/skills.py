"""Skills: folders with a ``SKILL.md`` whose front matter has a name and a description (https://agentskills.io/specification)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from ml_intern.config.brought_file import read_brought
from ml_intern.config.instructions import folders_up, nobody_hears
from ml_intern.errors import ConfigError

MAX_SKILLS = 50
MAX_DESCRIPTION_CHARS = 300
_HEAD_BYTES = 16 * 1024


class Skill(Struct, frozen=True):
    """``folder`` holds ``SKILL.md`` and whatever it refers to."""

    name: str
    description: str
    folder: Path

    @property
    def file(self) -> Path:
        """The text to load when the skill is used."""
        return self.folder / "SKILL.md"


def find_skills(cwd: Path, home: Path, config_dir: Path, tell: Callable[[str], None] = nobody_hears) -> tuple[Skill, ...]:
    """The project's (``.agents/skills`` from ``cwd`` up to its root), then the user's; by name, the nearest one of each name.

    ``tell`` hears of what is there and is no plain file of that folder. Blocks.
    """
    found: dict[str, Skill] = {}
    for folder, project in _folders(cwd, home, config_dir):
        if (skill := _read(folder, project, tell)) is not None:
            found.setdefault(skill.name, skill)
    return tuple(found[name] for name in sorted(found))[:MAX_SKILLS]


def unusable_skill(name: str, cwd: Path, home: Path, config_dir: Path) -> Path | None:
    """The nearest ``SKILL.md`` in a folder of that name whose front matter makes no skill of it."""
    return next(
        (
            folder / "SKILL.md"
            for folder, project in _folders(cwd, home, config_dir)
            if folder.name == name and _read(folder, project, nobody_hears) is None
        ),
        None,
    )


def _folders(cwd: Path, home: Path, config_dir: Path) -> Iterable[tuple[Path, Path | None]]:
    """Those with a ``SKILL.md``, the nearest place first, and the project that each belongs to."""
    up = folders_up(cwd)
    places = [(folder / ".agents" / "skills", up[-1]) for folder in up if folder != home]
    for place, project in (*places, (home / ".agents" / "skills", None), (config_dir / "skills", None)):
        try:
            yield from sorted((path, project) for path in place.iterdir() if os.path.lexists(path / "SKILL.md"))
        except OSError:
            continue


def _read(folder: Path, project: Path | None, tell: Callable[[str], None]) -> Skill | None:
    """None for a file whose front matter says neither what it is nor when to use it."""
    try:
        data = read_brought(folder / "SKILL.md", _HEAD_BYTES, project)
    except ConfigError as error:
        tell(error.message)
        return None
    if data is None:
        return None
    head = data.decode("utf-8", "ignore")
    _, fence, rest = head.partition("---\n")
    front, end, _ = rest.partition("\n---")
    if not fence or not end or head.split("---", 1)[0].strip():
        return None
    import yaml  # 15 ms: only where there is a skill

    try:
        values = yaml.safe_load(front)
    except yaml.YAMLError:
        return None
    if not isinstance(values, dict):
        return None
    name, description = values.get("name"), values.get("description")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(name, str) or not isinstance(description, str) or not name.strip() or not description.strip():
        return None
    return Skill(" ".join(name.split())[:64], " ".join(description.split())[:MAX_DESCRIPTION_CHARS], folder)

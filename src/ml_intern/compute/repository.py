"""The workspace's git repository as a way out of the sandbox: git outside runs what ``config`` and ``hooks`` name.

A repository that was there before the first command is walled: ``.git`` is a mount point of its own (it cannot be renamed or
removed), and in it what git would run or follow is read-only. What could be planted because it is missing gets a harmless
placeholder, which goes when the session closes. A repository that a command made is tamed after each command instead.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

DISABLED = ".disabled-by-ml-intern"
PROTECTED_NAMES = (".git/hooks", ".git/config", ".git/config.worktree", ".git/commondir", ".git/modules", ".ml-intern")
"""In the workspace, but run or believed by programs outside the sandbox: commands cannot change them."""

_SAME_FOLDER = "."
"""As ``commondir`` it says what holds without it: all of the repository is here (gitrepository-layout(5))."""
_MAX_CONFIG_BYTES = 64 * 1024
_HARMLESS_KEYS = {
    "core": {
        "repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "precomposeunicode", "symlinks", "autocrlf",
    },
    "user": {"name", "email"},
    "init": {"defaultbranch"},
    "remote": {"url", "fetch", "promisor", "partialclonefilter"},
    "branch": {"remote", "merge", "rebase"},
    "pull": {"rebase", "ff"},
    "extensions": {"objectformat", "partialclone"},
    "submodule": {"url", "active"},
}  # fmt: skip
"""Settings that start no program and lead to no other file; whatever is not known to be harmless is taken out."""
_SECTION = re.compile(r'\[([A-Za-z0-9-]+)(?: "[^"\\]*")?\]')
_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*=\s*([^\\]*)")


class Repository:
    """Watches over one workspace, from before its first command on."""

    def __init__(self, root: Path, protected: Sequence[Path] = ()) -> None:
        """``protected``: more files of the workspace that are run outside, links followed."""
        self._root = str(root)
        self._protected = [str(path) for path in protected if path.is_relative_to(root)]
        self._git = f"{root}/.git"
        self._trusted = _is_repository(self._git)
        self._had_head = os.path.lexists(f"{root}/HEAD")
        names = (".git", *PROTECTED_NAMES)
        self._links = {path: os.readlink(path) for name in names if os.path.islink(path := f"{root}/{name}")}
        self._placeholders: dict[str, str | None] = {}
        self._notes: list[str] = []

    # ── walls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def pinned(self) -> list[str]:
        """Folders that stay writable but cannot be renamed or removed; to be mounted before ``read_only``."""
        above = self._above_protected()
        if os.path.islink(self._git) or not os.path.isdir(self._git):
            return above
        return [*above, self._git, *([f"{self._git}/worktrees"] if os.path.isdir(f"{self._git}/worktrees") else []), *self._worktrees()]

    def _above_protected(self) -> list[str]:
        """The folders from the workspace down to each file: renamed, another could stand in its place."""
        above = {str(parent) for path in self._protected for parent in Path(path).parents if str(parent).startswith(f"{self._root}/")}
        return sorted(path for path in above if os.path.isdir(path))

    def read_only(self) -> list[str]:
        """What commands may not change; placeholders are made for what is missing."""
        self._make_placeholders()
        protected = [path for path in self._protected if os.path.isfile(path)]
        if os.path.isfile(self._git):
            return [self._git, *self._existing([".ml-intern"]), *protected]
        linked = [f"{folder}/{name}" for folder in self._worktrees() for name in ("commondir", "gitdir", "config.worktree")]
        return self._existing(PROTECTED_NAMES) + [path for path in linked if os.path.isfile(path)] + protected

    def _existing(self, names: tuple[str, ...] | list[str]) -> list[str]:
        return [path for name in names if os.path.exists(path := f"{self._root}/{name}")]

    def _worktrees(self) -> list[str]:
        """The administrative folders of linked worktrees."""
        try:
            with os.scandir(f"{self._git}/worktrees") as entries:
                return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            return []

    def _make_placeholders(self) -> None:
        self._place(f"{self._root}/.ml-intern", None)
        if os.path.islink(self._git) or not os.path.isdir(self._git) or not _is_repository(self._git):
            return
        self._place(f"{self._git}/hooks", None)
        self._place(f"{self._git}/config", "")
        self._place(f"{self._git}/commondir", _SAME_FOLDER)
        for folder in (self._git, *self._worktrees()):
            self._place(f"{folder}/config.worktree", "")

    def _place(self, path: str, content: str | None) -> None:
        """``content`` None: a folder. One that a session left behind when it was killed counts as ours."""
        if os.path.lexists(path):
            if content == _SAME_FOLDER and _read(path) == content:
                self._placeholders[path] = content
            return
        with contextlib.suppress(OSError):  # A read-only workspace: then nobody can plant anything either.
            if content is None:
                os.mkdir(path)
            else:
                _write_new(path, content)
            self._placeholders[path] = content

    def remove_placeholders(self) -> None:
        """When no command is left that they hold back."""
        for path, content in self._placeholders.items():
            with contextlib.suppress(OSError):  # Somebody outside put something there: it is theirs.
                if content is None:
                    os.rmdir(path)
                elif _read(path) == content:
                    os.unlink(path)
        self._placeholders.clear()

    # ── what commands made ───────────────────────────────────────────────────────────────────────────────────────

    def tame(self) -> None:
        """Put aside what commands made that git outside would run or follow."""
        try:
            self._restore_links()
            if not self._had_head and os.path.lexists(f"{self._root}/HEAD") and self._looks_bare():
                self._disable(f"{self._root}/HEAD", "with it git takes the workspace itself for a repository")
            if not os.path.lexists(self._git):
                self._trusted = False
            elif not self._trusted:
                self._tame_new()
        except OSError as error:
            self._notes.append(f"The repository that a command made could not be checked ({error}): run no git in it outside the sandbox.")

    def take_notes(self) -> str:
        """What was done since the last time, for the model and the user to read."""
        notes, self._notes = "\n".join(self._notes), []
        return notes

    def _looks_bare(self) -> bool:
        return any(os.path.lexists(f"{self._root}/{name}") for name in ("objects", "commondir"))

    def _restore_links(self) -> None:
        """Nothing can be mounted over a link, so that one may have been replaced."""
        for path, target in self._links.items():
            if os.path.islink(path) and os.readlink(path) == target:
                continue
            if os.path.lexists(path):
                self._disable(path, "a command replaced the link that was there")
            os.symlink(target, path)

    def _tame_new(self) -> None:
        if os.path.islink(self._git) or not os.path.isdir(self._git):
            self._disable(self._git, "it leads git to another folder")
            return
        if os.path.lexists(path := f"{self._git}/commondir") and (os.path.islink(path) or _read(path) != _SAME_FOLDER):
            self._disable(path, "it leads git to another configuration")
        if os.path.lexists(path := f"{self._git}/config.worktree") and (os.path.islink(path) or _read(path) != ""):
            self._disable(path, "it can name programs")
        hooks = f"{self._git}/hooks"
        if os.path.islink(hooks) or (os.path.isdir(hooks) and not all(name.endswith(".sample") for name in os.listdir(hooks))):
            self._disable(hooks, "git outside the sandbox would run what is in it")
        self._tame_config(f"{self._git}/config")

    def _tame_config(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        text = None if os.path.islink(path) else _read(path)
        kept = "" if text is None else harmless_settings(text)
        if text == kept:
            return
        self._disable(path, "it holds settings that may start programs; the harmless ones were kept")
        _write_new(path, kept)

    def _disable(self, path: str, reason: str) -> None:
        number = 1
        while os.path.lexists(aside := f"{path}{DISABLED}{f'-{number}' if number > 1 else ''}"):
            number += 1
        os.rename(path, aside)
        shown = os.path.relpath(aside, self._root)
        self._notes.append(f"{os.path.relpath(path, self._root)}, made by a command, was renamed to {shown}: {reason}.")


def harmless_settings(text: str) -> str:
    """A git configuration less what is not known to be harmless: equal to ``text`` when all of it is."""
    section, kept = "", list[str]()
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if found := _SECTION.fullmatch(stripped):
            section = found[1].lower()
            if section not in _HARMLESS_KEYS:
                continue
        elif stripped.startswith("["):
            section = ""
            continue
        elif stripped and not _is_harmless(section, stripped):
            continue
        kept.append(line)
    return "".join(kept)


def _is_harmless(section: str, line: str) -> bool:
    found = _SETTING.fullmatch(line)
    if found is None or found[1].lower() not in _HARMLESS_KEYS.get(section, ()):
        return False
    return found[1].lower() != "url" or "::" not in found[2]  # ``ext::sh -c …`` is a program.


def _is_repository(git: str) -> bool:
    return os.path.isfile(git) or os.path.lexists(f"{git}/HEAD")


def _read(path: str) -> str | None:
    """None for what is no small regular text file."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MAX_CONFIG_BYTES:
            return None
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _write_new(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(fd, "w", encoding="utf-8", newline="") as file:
        file.write(text)

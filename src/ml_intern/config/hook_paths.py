"""Which files of a project the words of its hooks name: from each folder that they may be run in, patterns for the shell included."""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ml_intern.config.hook_lines import HOME, ROOT, Word

MAX_BASES = 20
MAX_LOOKED_AT = 20_000
"""Entries of folders that patterns are compared with, all patterns together."""
_PATTERN = re.compile(r"[*?\[]")


class Looking:
    """In one project, for one answer: what it saw once it does not look at again. ``missed``: the bounds that were reached."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._below = os.path.join(self._folder, "")
        self._home = os.path.expanduser("~")
        self._done: set[Word] = set()  # means the same in every folder, and is no folder
        self._modes: dict[str, int] = {}
        self._listed: dict[str, tuple[str, ...]] = {}
        self._left = MAX_LOOKED_AT
        self.missed: list[str] = []

    def named(self, words: list[Word], bases: list[Path], runs: Callable[[Path, int], bool]) -> Iterator[Path]:
        """What the words run; ``runs`` says it of a file, by its mode, that a program may only be given to read."""
        texts = [self._whole(word) for word in dict.fromkeys(words) if word not in self._done]
        places = list(map(str, bases))
        for word in texts:  # ``cd scripts && ./check.sh``, ``make -C tools``
            for base in tuple(places)[: 1 if os.path.isabs(word.text) else None] if len(places) < MAX_BASES else ():
                places += (path for path in self._paths(word.text, base) if path not in places and stat.S_ISDIR(self._mode(path)))
        for word in texts:
            for base in places[: 1 if os.path.isabs(word.text) else None]:
                for name in self._paths(word.text, base):
                    mode = self._mode(name)
                    if stat.S_ISREG(mode) and (word.runs or runs(Path(name), mode)):
                        yield Path(name)

        whole = (word for word in words if word.runs and os.path.isabs(word.text) and not _PATTERN.search(word.text))
        self._done.update(word for word in whole if not stat.S_ISDIR(self._mode(os.path.normpath(word.text))))

    def _whole(self, word: Word) -> Word:
        return Word(word.text.replace(ROOT, self._folder).replace(HOME, self._home), word.runs) if "\0" in word.text else word

    def _paths(self, text: str, base: str) -> Iterator[str]:
        """What a word names in the project."""
        path = os.path.normpath(os.path.join(base, text))
        if _PATTERN.search(text) and not self._mode(path):
            yield from self._matches(path)
        elif path.startswith(self._below):
            yield path

    def _matches(self, pattern: str) -> Iterator[str]:
        """Only below the project's folder: a pattern that leads elsewhere would walk the whole machine."""
        above, parts = Path(self._folder).parts, Path(pattern).parts
        if len(parts) <= len(above) or not all(map(_fits, above, parts)):
            return
        found = [self._folder]
        for part in parts[len(above) :]:
            if _PATTERN.search(part):
                found = [os.path.join(place, name) for place in found for name in self._names(place) if _fits(name, part)]
            else:
                found = [path for place in found if self._mode(path := os.path.join(place, part))]
        yield from sorted(found)

    def _names(self, place: str) -> tuple[str, ...]:
        if place not in self._listed:
            try:
                with os.scandir(place) as entries:
                    self._listed[place] = tuple(entry.name for entry in itertools.islice(entries, self._left + 1))
            except (OSError, ValueError):
                self._listed[place] = ()
            self._left -= len(self._listed[place]) or 1
            if self._left < 0:
                self._left = 0
                self._miss("a pattern for which there are too many files")
        return self._listed[place]

    def _miss(self, what: str) -> None:
        if what not in self.missed:
            self.missed.append(what)

    def _mode(self, path: str) -> int:
        """0 where there is nothing."""
        if path not in self._modes:
            try:
                self._modes[path] = os.stat(path).st_mode
            except (OSError, ValueError):
                self._modes[path] = 0
        return self._modes[path]


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or (fnmatch.fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith(".")))

"""Rules that the user granted "always in this project". Kept with the user's own state, not in the project: a cloned repository
must not be able to bring permissions of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ml_intern.config.private_file import replace_private
from ml_intern.errors import ConfigError
from ml_intern.session.permissions import Rule


class ProjectRules:
    """The granted rules of one folder."""

    def __init__(self, state_dir: Path, cwd: Path) -> None:
        name = hashlib.sha256(str(cwd.resolve()).encode()).hexdigest()[:24]
        self._path = state_dir / "projects" / f"{name}.json"
        self._cwd = cwd

    def load(self) -> tuple[str, ...]:
        """Raises ``ConfigError`` for a file that is not ours."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            rules = msgspec.json.decode(data, type=_Stored).allow
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self._path} does not hold permission rules: {error}.", hint="Delete it to start afresh.") from error
        for rule in rules:
            try:
                Rule.parse(rule)
            except ConfigError as error:
                hint = "Take that rule out of the file, or delete the file to start afresh."
                raise ConfigError(f"{self._path} holds '{rule}', which is no permission rule.", hint=hint) from error
        return rules

    def add(self, rule: str) -> None:
        """Keep one more rule. Raises ``ConfigError`` for what is none: it would lock the folder."""
        Rule.parse(rule)
        self._keep((*(r for r in self.load() if r != rule), rule))

    def remove(self, rule: str) -> bool:
        """Forget one; False when it is not there."""
        rules = self.load()
        if rule not in rules:
            return False
        self._keep(tuple(r for r in rules if r != rule))
        return True

    def _keep(self, rules: tuple[str, ...]) -> None:
        replace_private(self._path, msgspec.json.encode(_Stored(folder=str(self._cwd), allow=rules)))


class _Stored(msgspec.Struct, frozen=True):
    folder: str
    allow: tuple[str, ...] = ()

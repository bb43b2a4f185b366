"""Rules that the user granted "always in this project", or added for it. Kept with the user's own state, not in the project: a cloned repository
must not be able to bring permissions of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ml_intern.config.private_file import replace_private
from ml_intern.errors import ConfigError
from ml_intern.protocol.permission_operations import RuleOutcome
from ml_intern.session.permissions import Rule


class ProjectRules:
    """The granted rules of one folder, and those that the user added for it."""

    def __init__(self, state_dir: Path, cwd: Path) -> None:
        name = hashlib.sha256(str(cwd.resolve()).encode()).hexdigest()[:24]
        self._path = state_dir / "projects" / f"{name}.json"
        self._cwd = cwd

    def load(self, outcome: RuleOutcome = "allow") -> tuple[str, ...]:
        """Those of one outcome. Raises ``ConfigError`` for a file that is not ours."""
        return self._load().of(outcome)

    def add(self, rule: str, outcome: RuleOutcome = "allow") -> None:
        """Keep one more rule. Raises ``ConfigError`` for what is none: it would lock the folder."""
        Rule.parse(rule)
        stored = self._load()
        self._keep(stored.having(outcome, (*(r for r in stored.of(outcome) if r != rule), rule)))

    def remove(self, rule: str, outcome: RuleOutcome = "allow") -> bool:
        """Forget one; False when it is not there."""
        stored = self._load()
        if rule not in stored.of(outcome):
            return False
        self._keep(stored.having(outcome, tuple(r for r in stored.of(outcome) if r != rule)))
        return True

    def _load(self) -> _Stored:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return _Stored(folder=str(self._cwd))
        try:
            stored = msgspec.json.decode(data, type=_Stored)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self._path} does not hold permission rules: {error}.", hint="Delete it to start afresh.") from error
        for rule in (*stored.allow, *stored.ask, *stored.deny):
            try:
                Rule.parse(rule)
            except ConfigError as error:
                hint = "Take that rule out of the file, or delete the file to start afresh."
                raise ConfigError(f"{self._path} holds '{rule}', which is no permission rule.", hint=hint) from error
        return stored

    def _keep(self, stored: _Stored) -> None:
        replace_private(self._path, msgspec.json.encode(stored))


class _Stored(msgspec.Struct, frozen=True):
    folder: str
    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def of(self, outcome: RuleOutcome) -> tuple[str, ...]:
        """The rules of one outcome."""
        return {"allow": self.allow, "ask": self.ask, "deny": self.deny}[outcome]

    def having(self, outcome: RuleOutcome, rules: tuple[str, ...]) -> _Stored:
        """The same with other rules of one outcome."""
        return msgspec.structs.replace(self, **{outcome: rules})

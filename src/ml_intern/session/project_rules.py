"""Rules that the user granted "always in this project", or added for it.

Kept with the user's own state, not in the project: a cloned repository must not be able to bring permissions of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ml_intern.config.private_file import change_private
from ml_intern.config.rule_sources import with_change
from ml_intern.errors import ConfigError
from ml_intern.protocol.permission_operations import RuleOutcome
from ml_intern.session.permissions import Rule


class ProjectRules:
    """The granted rules of one folder, and those that the user added for it."""

    def __init__(self, state_dir: Path, cwd: Path) -> None:
        name = hashlib.sha256(str(cwd.resolve()).encode()).hexdigest()[:24]
        self.path = state_dir / "projects" / f"{name}.json"
        self._cwd = cwd

    def load(self, outcome: RuleOutcome = "allow") -> tuple[str, ...]:
        """Those of one outcome. Raises ``ConfigError`` for a file that is not ours."""
        return self._load().of(outcome)

    def add(self, rule: str, outcome: RuleOutcome = "allow") -> None:
        """Keep one more rule. Raises ``ConfigError`` for what is none: it would lock the folder."""
        self.change(outcome, rule, wanted=True)

    def remove(self, rule: str, outcome: RuleOutcome = "allow") -> bool:
        """Forget one; False when it is not there."""
        return self.change(outcome, rule, wanted=False)

    def change(self, outcome: RuleOutcome, rule: str, *, wanted: bool, replaces: str = "") -> bool:
        """Keep one more, in the place of another if that is said, or forget one; False when what is to go is not there."""
        if wanted:
            Rule.parse(rule)
        found = True

        def changed(data: bytes | None) -> bytes | None:
            nonlocal found
            stored = self._decoded(data)
            after = with_change(stored.of(outcome), rule, wanted=wanted, replaces=replaces)
            found = after is not None
            return None if after is None else msgspec.json.encode(stored.having(outcome, after))

        change_private(self.path, changed)
        return found

    def _load(self) -> _Stored:
        try:
            return self._decoded(self.path.read_bytes())
        except FileNotFoundError:
            return self._decoded(None)

    def _decoded(self, data: bytes | None) -> _Stored:
        if data is None:
            return _Stored(folder=str(self._cwd))
        try:
            stored = msgspec.json.decode(data, type=_Stored)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self.path} does not hold permission rules: {error}.", hint="Delete it to start afresh.") from error
        for rule in (*stored.allow, *stored.ask, *stored.deny):
            try:
                Rule.parse(rule)
            except ConfigError as error:
                hint = "Take that rule out of the file, or delete the file to start afresh."
                raise ConfigError(f"{self.path} holds '{rule}', which is no permission rule.", hint=hint) from error
        return stored


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

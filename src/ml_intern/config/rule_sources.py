"""Where each permission rule of the settings comes from, and changing those that stand in the user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from ml_intern.config.edit import put_value, read_user
from ml_intern.config.json_values import Json, JsonDict, Layer, lookup, read_object
from ml_intern.config.load import LoadedSettings, user_file
from ml_intern.config.project import PROJECT_FILE
from ml_intern.config.substitute import Substitution
from ml_intern.config.trust import needs_trust

RuleKind = Literal["deny", "ask", "allow"]
KINDS: tuple[RuleKind, ...] = get_args(RuleKind)
"""In the order in which rules are looked at."""


class WrittenRule(Struct, frozen=True, kw_only=True):
    """A rule of a settings file, or of a flag. ``idle`` says why it has no effect; empty for one that has."""

    kind: RuleKind
    rule: str
    source: str
    is_users: bool = False
    """It stands in the user's own file, where ``RuleSources`` can change it."""
    idle: str = ""


class RuleSources:
    """The rules of one process's settings. Of the user's file what stands there at the moment, of all else what was loaded."""

    def __init__(self, loaded: LoadedSettings) -> None:
        self._path = user_file(loaded.environ)
        self._environ = loaded.environ
        self._layers = _with_users(loaded.layers, str(self._path))
        self._untrusted = tuple(_left_out(layer) for layer in loaded.layers if layer.source.endswith(str(PROJECT_FILE)))
        self._users: JsonDict = next(layer.data for layer in self._layers if layer.source == str(self._path))
        self._was = {kind: self._parts(kind) for kind in KINDS}

    def read(self) -> tuple[WrittenRule, ...]:
        """Deny before ask before allow; in each, as the layers add up."""
        return tuple(rule for kind in KINDS for rule in (*self._of(kind), *self._idle(kind)))

    def change(self, kind: RuleKind, rule: str, *, wanted: bool) -> bool:
        """Add it to the user's file, or take it out; False when it is not there to be taken. Raises ``ConfigError``. Blocks."""
        self._users = read_user(self._path)
        there = _rules(self._users, kind) or ()
        others: list[Json] = [other for other in there if self._meant(other) != rule]
        if not wanted and len(others) == len(there):
            return False
        put_value(self._path, ("permissions", kind), [*others, rule] if wanted else others)
        self._users = read_user(self._path)
        return True

    def _of(self, kind: RuleKind) -> list[WrittenRule]:
        rules: list[WrittenRule] = []
        for layer, (adds, own) in zip(self._layers, self._was[kind], strict=True):
            is_users = layer.source == str(self._path)
            written = _rules(self._users, kind) if is_users else own
            if written is None:
                continue
            if not adds:
                rules = [_replaced(rule, layer.source) for rule in rules]
            meant = map(self._meant, written) if is_users else written
            rules += [WrittenRule(kind=kind, rule=rule, source=layer.source, is_users=is_users) for rule in meant]
        return rules

    def _meant(self, rule: str) -> str:
        """With its variables in it, as for every value of the user's file."""
        if "${" not in rule:
            return rule
        substitution = Substitution(self._environ, lambda _: str(self._path), ())
        value = substitution.apply({"rule": rule})["rule"]
        return value if isinstance(value, str) else rule

    def _parts(self, kind: RuleKind) -> list[tuple[bool, tuple[str, ...] | None]]:
        """For each layer whether it adds to those below, and what is its own. A project's layer holds the lists below it as well."""
        below: tuple[str, ...] = ()
        parts: list[tuple[bool, tuple[str, ...] | None]] = []
        for layer in self._layers:
            rules = _rules(layer.data, kind)
            if rules is None:
                parts.append((False, None))
                continue
            adds = rules[: len(below)] == below
            parts.append((adds, rules[len(below) :] if adds else rules))
            below = tuple(map(self._meant, rules)) if layer.source == str(self._path) else rules
        return parts

    def _idle(self, kind: RuleKind) -> list[WrittenRule]:
        why = "this folder is not trusted: `ml-intern trust` shows what its file asks for"
        return [
            WrittenRule(kind=kind, rule=rule, source=layer.source, idle=why)
            for layer in self._untrusted
            for rule in _rules(layer.data, kind) or ()
        ]


def _left_out(project: Layer) -> Layer:
    """What the project's file allows and what is not in its layer, because the folder is not trusted."""
    return Layer(project.source, {} if _rules(project.data, "allow") else needs_trust(read_object(Path(project.source))))


def _with_users(layers: tuple[Layer, ...], source: str) -> tuple[Layer, ...]:
    """The user's file has its place, above what is packaged, also while it is not there."""
    if any(layer.source == source for layer in layers):
        return layers
    return (*layers[:1], Layer(source, {}), *layers[1:])


def _replaced(rule: WrittenRule, by: str) -> WrittenRule:
    idle = rule.idle or f"{by} stands over it"
    return WrittenRule(kind=rule.kind, rule=rule.rule, source=rule.source, is_users=rule.is_users, idle=idle)


def _rules(data: JsonDict, kind: RuleKind) -> tuple[str, ...] | None:
    """None when nothing is said of them."""
    there, value = lookup(data, ("permissions", kind))
    return tuple(map(str, value)) if there and isinstance(value, list) else None

"""Where each permission rule of the settings comes from, and changing those that stand in the user's own file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ml_intern.config.edit import change_value, read_user
from ml_intern.config.json_values import Json, JsonDict, Layer, lookup, read_object
from ml_intern.config.load import LoadedSettings, user_file
from ml_intern.config.project import PROJECT_FILE
from ml_intern.config.substitute import Substitution, escaped
from ml_intern.config.trust import needs_trust
from ml_intern.protocol.permission_operations import OUTCOMES, RuleOutcome


class WrittenRule(Struct, frozen=True, kw_only=True):
    """A rule of a settings file, or of a flag. ``idle`` says why it has no effect; empty for one that has."""

    kind: RuleOutcome
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
        self._was = {kind: self._parts(kind) for kind in OUTCOMES}

    @property
    def path(self) -> Path:
        """The user's own file."""
        return self._path

    def read(self) -> tuple[WrittenRule, ...]:
        """Deny before ask before allow; in each, as the layers add up. Raises ``ConfigError``. Blocks."""
        self._users = read_user(self._path)
        return tuple(rule for kind in OUTCOMES for rule in (*self._of(kind), *self._idle(kind)))

    def change(self, kind: RuleOutcome, rule: str, *, wanted: bool, replaces: str = "") -> bool:
        """Add it to the user's file, or take it out; False when what is to go is not there. Raises ``ConfigError``. Blocks."""

        def changed(value: Json) -> Json:
            written = {self._meant(each): each for each in map(str, value if isinstance(value, list) else ())}
            after = with_change(tuple(written), rule, wanted=wanted, replaces=replaces)
            return None if after is None else [written.get(each, escaped(each)) for each in after]

        found = True

        def watched(value: Json) -> Json:
            nonlocal found
            after = changed(value)
            found = after is not None
            return after

        change_value(self._path, ("permissions", kind), watched, self._environ)
        return found

    def _of(self, kind: RuleOutcome) -> list[WrittenRule]:
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

    def _parts(self, kind: RuleOutcome) -> list[tuple[bool, tuple[str, ...] | None]]:
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

    def _idle(self, kind: RuleOutcome) -> list[WrittenRule]:
        why = "this folder is not trusted: `ml-intern trust` shows what its file asks for"
        return [
            WrittenRule(kind=kind, rule=rule, source=layer.source, idle=why)
            for layer in self._untrusted
            for rule in _rules(layer.data, kind) or ()
        ]


def with_change(rules: tuple[str, ...], rule: str, *, wanted: bool, replaces: str = "") -> tuple[str, ...] | None:
    """With ``rule``, in the place of the one that it replaces, or without it; None when what is to go is not there."""
    gone = replaces or ("" if wanted else rule)
    if gone and gone not in rules:
        return None
    if replaces:
        return tuple(rule if each == replaces else each for each in rules if each == replaces or each != rule)
    others = tuple(each for each in rules if each != rule)
    return (*others, rule) if wanted else others


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


def _rules(data: JsonDict, kind: RuleOutcome) -> tuple[str, ...] | None:
    """None when nothing is said of them."""
    there, value = lookup(data, ("permissions", kind))
    return tuple(map(str, value)) if there and isinstance(value, list) else None

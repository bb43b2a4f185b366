"""``--output-schema``: the final answer is JSON that fits a schema, or the run has failed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ml_intern.errors import ConfigError
from ml_intern.frontends.sanitize import plain
from ml_intern.protocol.messages import JsonObject

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_PROBLEMS_SHOWN = 5
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Keywords whose schemas look at the very value that their parent looks at."""
_FENCED = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fitting:
    """The answer as one line of JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """The answer does not fit; ``problem`` says where, for the model to read."""

    problem: str


class JsonAnswer:
    """A schema, and the words that ask for it. Raises ``ConfigError`` when it is no JSON Schema."""

    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema
        self._validator = _validator(schema)

    @property
    def instruction(self) -> str:
        """What is added to the prompt."""
        return (
            "\n\nWhen the task is done, your final message must be one JSON value and nothing else: no words around it, "
            f"no code fence. It must fit this JSON Schema:\n{msgspec.json.encode(self._schema).decode()}"
        )

    @staticmethod
    def repair(unfit: Unfit) -> str:
        """What is said to a model whose answer did not fit."""
        return (
            f"Your final message does not fit the JSON Schema that was asked for:\n{unfit.problem}\n"
            "Answer again with the corrected JSON value and nothing else. Do not repeat work that is done."
        )

    def read(self, answer: str) -> Fitting | Unfit:
        """The JSON value of an answer, with or without a code fence around it."""
        text = answer.strip()
        if not text:
            return Unfit("- the message is empty")
        fenced: list[tuple[str, str]] = _FENCED.findall(text)
        try:
            return self._judged(msgspec.json.decode(fenced[0][1] if len(fenced) == 1 else text))
        except msgspec.DecodeError as error:
            return Unfit(f"- it is not JSON: {error}")
        except RecursionError:
            return Unfit("- it is nested too deeply to be checked")

    def _judged(self, value: Any) -> Fitting | Unfit:
        problems = sorted(self._validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        if problems:
            return Unfit(_listed(problems))
        encoded = msgspec.json.encode(value).decode()
        # Characters that a terminal would obey go out as ASCII escapes: the same JSON.
        return Fitting(encoded if plain(encoded) == encoded else json.dumps(value, separators=(",", ":")))


def _listed(problems: list[ValidationError]) -> str:
    shown = [f"- at {problem.json_path}: {problem.message[:300]}" for problem in problems[:_PROBLEMS_SHOWN]]
    more = [f"- and {len(problems) - _PROBLEMS_SHOWN} more"] if len(problems) > _PROBLEMS_SHOWN else []
    return "\n".join([*shown, *more])


def _validator(schema: JsonObject) -> Validator:
    try:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--output-schema needs the package 'jsonschema', which is not installed.", hint="pip install jsonschema"
        ) from error
    if not isinstance(schema.get("$schema", ""), str):
        raise ConfigError("The output schema is no JSON Schema: at $.$schema: it must be a string.")
    validator_class = validator_for(schema, default=Draft202012Validator)
    try:
        validator_class.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(f"The output schema is no JSON Schema: at {error.json_path}: {error.message}") from error
    except RecursionError as error:
        raise ConfigError("The output schema is nested too deeply to be checked.") from error
    resolver = EMPTY_REGISTRY.resolver_with_root(DRAFT202012.create_resource(schema))
    targets: dict[str, object] = {}
    for reference in _references(schema):
        try:
            targets[reference] = resolver.lookup(reference).contents
        except Unresolvable as error:
            hint = "Put what it refers to into the schema itself, under $defs, without an $id."
            raise ConfigError(f"The output schema refers to {reference}, which is not in it.", hint=hint) from error
    if reference := _endless(targets):
        raise ConfigError(f"The output schema never ends: what {reference} refers to is the same schema again, for the same value.")
    # Without a registry of ours, references that lead elsewhere would be fetched from the network.
    return validator_class(schema, registry=EMPTY_REGISTRY)


def _endless(targets: Mapping[str, object]) -> str:
    """A reference that leads back to itself without a step into the value: to follow it would never end. Empty when there is none."""
    beside = {reference: _applied(target) for reference, target in targets.items()}
    done: set[str] = set()
    for start in targets:
        reached: set[str] = set()
        ahead = list(beside[start])
        while ahead:
            reference = ahead.pop()
            if reference == start:
                return start
            if reference not in reached and reference not in done:
                reached.add(reference)
                ahead += beside.get(reference, [])
        done.add(start)
    return ""


def _applied(schema: object) -> list[str]:
    """The references that a schema applies to the same value as itself."""
    found: list[str] = []
    ahead = [schema]
    while ahead:
        node = ahead.pop()
        if not isinstance(node, dict):
            continue
        for key, value in cast("dict[str, object]", node).items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                found.append(value)
            elif key in _SAME_VALUE:
                ahead += cast("list[object]", value) if isinstance(value, list) else [value]
            elif key in ("dependentSchemas", "dependencies") and isinstance(value, dict):
                ahead += cast("dict[str, object]", value).values()
    return found


def _references(schema: JsonObject) -> list[str]:
    """Every reference in it, in the order that they stand there."""
    found: list[str] = []
    open_nodes: list[object] = [schema]
    while open_nodes:
        node = open_nodes.pop(0)
        if isinstance(node, list):
            open_nodes += cast("list[object]", node)
        elif isinstance(node, dict):
            for key, value in cast("dict[str, object]", node).items():
                if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                    found.append(value)
                elif key not in ("const", "enum", "default", "examples"):
                    open_nodes.append(value)
    return found

"""``--output-schema``: standard output is JSON that fits, or the run has failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml_intern.errors import ConfigError
from ml_intern.frontends.headless.json_answer import Fitting, JsonAnswer, Unfit
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.unit.frontends.fake_host import FakeHost, Play, done, plays, reply, started
from tests.unit.frontends.headless_run import headless

SCHEMA = {
    "type": "object",
    "properties": {"accuracy": {"type": "number", "maximum": 1}, "note": {"type": "string"}},
    "required": ["accuracy"],
    "additionalProperties": False,
}


def replies(*texts: str) -> Play:
    """One reply per message, the last one again and again."""
    left = list(texts)

    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            text = left.pop(0) if len(left) > 1 else left[0]
            host.emit(*started(operation.text), reply(text), done(text))

    return play


def asked(host: FakeHost) -> list[str]:
    return [operation.text for operation in host.operations if isinstance(operation, op.UserInput)]


async def test_the_model_is_asked_for_json_that_fits_the_schema() -> None:
    result = await headless(replies('{"accuracy": 0.9}'), output_schema=SCHEMA)
    (prompt,) = asked(result.host)
    assert prompt.startswith("do it\n\n")
    assert json.dumps(SCHEMA, separators=(",", ":")) in prompt


@pytest.mark.parametrize(
    "text",
    ['{"accuracy": 0.9}', '\n {"accuracy":0.9}\n', '```json\n{"accuracy": 0.9}\n```', 'Here it is:\n\n~~~\n{"accuracy": 0.9}\n~~~\nDone.'],
)
async def test_standard_output_is_the_json_alone(text: str) -> None:
    result = await headless(replies(text), output_schema=SCHEMA)
    assert (result.code, result.out) == (0, '{"accuracy":0.9}\n')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("It is 0.9.", "not JSON"),
        ('{"accuracy": 90}', "$.accuracy"),
        ('{"note": "x"}', "'accuracy' is a required property"),
        ('{"accuracy": NaN}', "not JSON"),
        ('```\n{"accuracy": 1}\n```\n```\n{"accuracy": 0}\n```', "not JSON"),
    ],
)
async def test_an_answer_that_does_not_fit_is_sent_back_with_what_is_wrong(text: str, problem: str) -> None:
    result = await headless(replies(text, '{"accuracy": 0.9}'), output_schema=SCHEMA)
    assert (result.code, result.out) == (0, '{"accuracy":0.9}\n')
    assert problem in asked(result.host)[1]


async def test_what_is_rejected_is_said_to_be() -> None:
    result = await headless(replies("no", '{"accuracy": 90}', '{"accuracy": 0.9}'), output_schema=SCHEMA)
    assert "no\n↑ rejected: this does not fit the output schema (asking again, 1 of 2)\n- it is not JSON" in result.err
    assert '{"accuracy": 90}\n↑ rejected: this does not fit the output schema (asking again, 2 of 2)\n- at $.accuracy' in result.err


async def test_after_two_repairs_the_run_has_failed() -> None:
    result = await headless(replies("no"), output_schema=SCHEMA)
    assert (result.code, result.out) == (1, "")
    assert len(asked(result.host)) == 3
    assert "does not fit the output schema" in result.err


async def test_a_turn_that_a_limit_stopped_is_not_asked_again() -> None:
    result = await headless(plays(reply("half"), done(None, "iteration_limit")), output_schema=SCHEMA)
    assert (result.code, result.out) == (3, "")
    assert len(asked(result.host)) == 1


async def test_a_terminal_gets_the_json_alone_too() -> None:
    result = await headless(replies('{"accuracy": 0.9}'), output_schema=SCHEMA, terminal=True)
    assert result.out.replace("\r\n", "\n") == '{"accuracy":0.9}\n'


async def test_json_lines_and_a_schema_go_together() -> None:
    result = await headless(replies("no"), output_schema=SCHEMA, json=True)
    ends = [json.loads(row)["data"] for row in result.out.splitlines() if json.loads(row)["type"] == "turn_complete"]
    assert (result.code, len(ends)) == (1, 3)
    assert "does not fit" in result.err


async def test_a_schema_that_is_none_is_a_configuration_error_before_anything_is_opened() -> None:
    with pytest.raises(ConfigError, match="no JSON Schema"):
        await headless(replies("x"), output_schema={"type": "objet"})


@pytest.mark.parametrize("reference", ["https://example.org/schema.json", "other.json#/$defs/n", "#/$defs/missing"])
def test_a_schema_that_leads_out_of_itself_is_refused_before_anything_is_asked_and_nothing_is_fetched(reference: str) -> None:
    with pytest.raises(ConfigError, match="which is not in it"):
        JsonAnswer({"type": "array", "items": {"anyOf": [{"$ref": reference}]}})


DEEP: dict[str, Any] = {}
for _ in range(3000):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"a": {"anyOf": [{"type": "string"}, {"$ref": "#/properties/a"}]}}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
        {"$schema": []},
        {"pattern": "("},
        DEEP,
    ],
    ids=["root", "property", "two", "dependent", "dialect", "pattern", "deep"],
)
def test_a_schema_that_cannot_be_used_is_refused_before_anything_is_asked(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="output schema"):
        JsonAnswer(schema)


def test_an_answer_that_is_nested_too_deeply_does_not_fit() -> None:
    tree = JsonAnswer({"type": "array", "items": {"$ref": "#"}})
    assert tree.read("[[[]]]") == Fitting("[[[]]]")
    assert isinstance(tree.read("[" * 5000 + "]" * 5000), Unfit)
    assert isinstance(tree.read("[" * 900 + "]" * 900), Unfit)


def test_references_inside_the_schema_resolve() -> None:
    schema = {
        "$defs": {"n": {"type": "integer"}, "tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        "prefixItems": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/tree"}],
        "enum": [[1, [[]]], [{"$ref": "is data here"}]],
    }
    assert JsonAnswer(schema).read("[1, [[]]]") == Fitting("[1,[[]]]")
    assert isinstance(JsonAnswer(schema).read('["a"]'), Unfit)


@pytest.mark.parametrize("value", ["\x9b31m", "\u202etxet", "é日"])
def test_json_text_that_a_terminal_would_obey_goes_out_escaped(value: Any) -> None:
    read = JsonAnswer({}).read(json.dumps(value))
    assert isinstance(read, Fitting)
    assert json.loads(read.text) == value
    assert not {"\x9b", "\u202e"} & set(read.text)


def test_many_problems_are_told_in_part() -> None:
    read = JsonAnswer({"items": {"type": "string"}}).read(json.dumps(list(range(50))))
    assert isinstance(read, Unfit)
    assert read.problem.count("\n- at") == 4
    assert "and 45 more" in read.problem


async def test_an_interrupted_run_is_not_repaired() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        match operation:
            case op.UserInput():
                host.emit(*started(operation.text))
            case op.Interrupt():
                host.emit(reply("half"), done("half"))
            case _:
                host.emit(e.Interrupted())

    result = await headless(play, output_schema=SCHEMA, timeout_s=0.01)
    assert result.code == 3
    assert len(asked(result.host)) == 1

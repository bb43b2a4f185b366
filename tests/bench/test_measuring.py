"""The benchmark measures what it says: its server sees every request, its floor is a real client, its figures are judged rightly."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bench.figures import Figure, as_json, as_table, attempted
from bench.programs import Place, place
from bench.server import Run, end_of_messages


def body(*messages: str, tail: str = '"stream":true') -> bytes:
    listed = [{"role": "user", "content": message} for message in messages]
    return f'{{"model":"m","messages":{json.dumps(listed, separators=(",", ":"))},{tail}}}'.encode()


def test_what_has_to_come_again_ends_with_the_last_message() -> None:
    sent = body("hällo", "two ] brackets [")
    assert sent[end_of_messages(sent) :] == b'],"stream":true}'


def test_a_request_that_grows_at_its_end_keeps_its_prefix() -> None:
    run = Run()
    run.request(body("one"), 0.0)
    run.request(body("one", "two"), 1.0)
    run.request(body("one", "two", "three", tail='"stream":false'), 2.0)
    assert run.broken_prefixes == []


@pytest.mark.parametrize("second", [body("ONE", "two"), body("two"), body("one", "two").replace(b'"m"', b'"n"')])
def test_a_changed_prefix_is_noticed(second: bytes) -> None:
    run = Run()
    run.request(body("one"), 0.0)
    run.request(second, 1.0)
    assert run.broken_prefixes == [2]


@pytest.fixture
def at() -> Iterator[Place]:
    with place() as somewhere:
        yield somewhere


def test_the_floor_runs_every_command_and_the_server_times_every_step(at: Place) -> None:
    seen = at.floor("steps-4")
    assert seen.process.stdout.split() == ["word"] * 5
    assert "step 4" in seen.report["last_answer"]
    assert len(seen.report["arrived_at"]) == 5
    assert len(seen.gaps_ms) == 4
    assert all(gap > 0 for gap in seen.gaps_ms)
    assert seen.first_request_ms > 0
    assert seen.report["broken_prefixes"] == []


def test_the_floor_reads_every_chunk(at: Place) -> None:
    assert len(at.floor("chunks-3000").process.stdout.split()) == 3000


def test_a_missed_target_is_said_in_words() -> None:
    figures = [
        Figure(name="fast", unit="ms", ours=2.0, floor=1.0, target="≤ 3×", met=True),
        Figure(name="slow", unit="ms", ours=200.0, floor=10.0, target="≤ 3×", met=False),
        Figure(name="told", unit="s", ours=1.5),
    ]
    lines = as_table(figures).splitlines()[2:]
    assert lines[0].split() == ["fast", "2", "ms", "1", "ms", "2.00×", "≤", "3×", "met"]
    assert lines[1].endswith("NOT MET")
    assert lines[2].split() == ["told", "1.50", "s", "–"]
    assert as_json(figures)[0]["ratio"] == 2.0


def test_a_measurement_that_fails_is_a_line_of_the_table_and_the_others_are_still_taken() -> None:
    def never_drew() -> list[Figure]:
        raise RuntimeError("it never drew b'Q';\nthe end of what it drew: …")

    figures = [*attempted("app: start", never_drew), *attempted("app: keys", lambda: [Figure(name="app: keys", unit="ms", ours=3.0)])]
    failed, taken = as_table(figures).splitlines()[2:]
    assert failed.split("  ")[0] == "app: start" and failed.endswith("FAILED: it never drew b'Q'; the end of what it drew: …")
    assert taken.split() == ["app:", "keys", "3", "ms", "–"]
    assert [figure.met for figure in figures] == [False, None] and json.dumps(as_json(figures))

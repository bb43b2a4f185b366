"""Every event and operation once, as bytes: the wire does not change by accident.

A deliberate change: raise ``SCHEMA_VERSION``, keep the old file beside the new one, say in ``UPGRADES`` how to read it, and write
the new golden with ``python tests/wire/samples.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from ml_intern.errors import ProtocolError
from ml_intern.protocol import codec
from ml_intern.protocol.events import AnyEvent
from ml_intern.protocol.operations import AnyOperation
from ml_intern.protocol.subagent_events import SubagentProgress

from .samples import EVENTS, OPERATIONS, envelopes, lines

GOLDEN = Path(__file__).parent / "golden"


def test_there_is_a_sample_of_every_event_and_operation() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(AnyEvent))
    assert {type(operation) for operation in OPERATIONS} == set(get_args(AnyOperation))


def test_the_wire_is_what_it_was() -> None:
    golden = (GOLDEN / f"v{codec.SCHEMA_VERSION}.jsonl").read_text().splitlines()
    assert lines() == golden


def test_the_progress_of_a_sub_agent_has_no_field_that_versions_refuse_which_only_showed_it() -> None:
    """One that has its default is not in a golden line, yet a single event that has it keeps an older version out of the session."""
    line = next(msgspec.json.decode(row) for row in lines() if f'"type":"{SubagentProgress.wire}"' in row)
    assert set(line["data"]) == set(SubagentProgress.__struct_fields__)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*.jsonl")), ids=lambda path: path.stem)
def test_every_version_ever_written_can_be_read(path: Path) -> None:
    for line in path.read_text().splitlines():
        if '"v":' in line:
            codec.decode(line)


def test_what_is_encoded_decodes_to_the_same() -> None:
    for envelope in envelopes():
        assert codec.decode(codec.encode(envelope)) == envelope
    for operation in OPERATIONS:
        assert codec.decode_operation(codec.encode_operation(operation)) == operation


def test_the_schema_accepts_what_is_sent_and_nothing_else() -> None:
    schema = codec.json_schema()
    for name, samples in (
        ("Envelope", [codec.encode(envelope) for envelope in envelopes()]),
        ("Operation", [codec.encode_operation(operation) for operation in OPERATIONS]),
    ):
        validator = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
        for sample in samples:
            validator.validate(msgspec.json.decode(sample))
        assert not validator.is_valid({"type": "no such thing"})


#: wire name → the keys of core.md §3, which users of the original know
ORIGINAL_KEYS = {
    "ready": {"message", "tool_count"},
    "processing": {"message"},
    "assistant_chunk": {"content"},
    "assistant_stream_end": set(),
    "assistant_message": {"content"},
    "tool_call": {"tool", "arguments", "tool_call_id"},
    "tool_output": {"tool", "tool_call_id", "output", "success"},
    "tool_log": {"tool", "log"},
    "tool_state_change": {"tool_call_id", "tool", "state"},
    "approval_required": {"tools", "count"},
    "turn_complete": {"history_size", "final_response"},
    "interrupted": set(),
    "error": {"error"},
    "compacted": {"old_tokens", "new_tokens"},
    "session_terminated": {"reason", "context_usage", "context_threshold", "error", "user_message"},
    "undo_complete": set(),
    "new_complete": {
        "session_id", "previous_session_id", "previous_turn_count", "previous_message_count", "saved_path", "clear_screen",
    },
    "resume_complete": {
        "path", "restored_count", "dropped_count", "model_name", "invalid_saved_model", "forked", "had_redacted_content",
    },
    "shutdown": set(),
    "plan_update": {"plan"},
    "session_update": {"session_id", "auto_approval"},
    "llm_call": {
        "model", "latency_ms", "finish_reason", "cost_usd", "kind", "prompt_tokens", "completion_tokens", "total_tokens",
        "cache_read_tokens", "cache_creation_tokens",
    },
    "hf_job_submit": {"job_id", "job_url", "flavor", "timeout", "job_type", "image", "namespace", "push_to_hub"},
    "hf_job_complete": {
        "job_id", "flavor", "final_status", "wall_time_s", "billable_seconds_estimate", "price_usd_per_hour", "estimated_cost_usd",
        "cost_estimate_source",
    },
    "sandbox_create": {"sandbox_id", "hardware", "create_latency_s"},
    "sandbox_destroy": {"sandbox_id", "hardware", "lifetime_s", "estimated_cost_usd"},
    "feedback": {"rating", "turn_index", "message_id", "comment"},
    "pro_cta_click": {"source", "target"},
    "pro_conversion": {"first_seen_at"},
    "credits_topped_up": {"namespace"},
    "resumed_from": {"path", "original_session_id", "original_event_count", "forked"},
}  # fmt: skip


@pytest.mark.parametrize("wire", sorted(ORIGINAL_KEYS))
def test_the_originals_keys_are_always_there(wire: str) -> None:
    event_type = codec.EVENT_TYPES[wire]
    required = {field.encode_name for field in msgspec.structs.fields(event_type) if field.required}
    assert required == ORIGINAL_KEYS[wire]


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[1]", b'{"v":1,"session":"s","seq":1,"at":"2026-01-01T00:00:00Z","type":"nope","data":{}}',
     b'{"v":1,"session":"s","seq":1,"at":"2026-01-01T00:00:00Z","type":"processing","data":{"bogus":1}}',
     b'{"v":999,"session":"s","seq":1,"at":"2026-01-01T00:00:00Z","type":"processing","data":{"message":""}}'],
)  # fmt: skip
def test_nonsense_is_an_error_with_a_sentence(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        codec.decode(line)

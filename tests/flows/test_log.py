"""The log's readers: they get everything once, in order, whatever the store and their own speed are; and they hear of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from ml_intern.errors import StoreError
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.ran_words import ran_words
from ml_intern.session import log as log_module
from ml_intern.session.clock import SystemClock
from ml_intern.session.log import EventLog
from ml_intern.stores.base import SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.memory import MemoryStore


class AwkwardStore(MemoryStore):
    """Full when told so; an append that is durable returns only when ``slow_s`` have passed."""

    full = False
    slow_s = 0.0

    async def append(self, session_id: str, events: Sequence[StoredEvent], patch: SessionPatch | None = None) -> None:
        if self.full:
            raise StoreError("The disk is full.", hint="Free some space.")
        await super().append(session_id, events, patch)
        await asyncio.sleep(self.slow_s)


async def _open(store: MemoryStore) -> EventLog:
    now = datetime.now(UTC)
    await store.create(SessionRecord(id="s1", created_at=now, updated_at=now, cwd="/w", model="m"))
    await store.acquire("s1")
    log = EventLog(store, "s1", clock=SystemClock())
    await log.append(e.SessionStarted(session_id="s1", cwd="/w", model="m"))
    return log


async def _rest(events: AsyncIterator[Envelope]) -> list[Envelope]:
    async with asyncio.timeout(5):
        return [envelope async for envelope in events]


def _said(n: int) -> e.UserMessageAdded:
    return e.UserMessageAdded(content=str(n))


async def test_a_failure_is_the_last_thing_that_readers_hear() -> None:
    store = AwkwardStore()
    log = await _open(store)
    live, behind = log.events(after_seq=1), log.events(after_seq=0)
    store.full = True
    with pytest.raises(StoreError) as failed:
        await log.append(_said(1))
    log.fail(failed.value)
    for reader, before in ((live, []), (behind, ["session_started"]), (log.events(after_seq=1), [])):
        *events, last = await _rest(reader)
        assert [envelope.event.wire for envelope in events] == before
        assert last.seq is None
        assert last.event == e.ErrorRaised(error="The disk is full.", hint="Free some space.", kind="StoreError")


async def test_after_a_failure_nothing_is_appended_and_the_first_failure_counts() -> None:
    log = await _open(AwkwardStore())
    first = StoreError("The lease is gone.")
    log.fail(first)
    log.fail(StoreError("another"))
    with pytest.raises(StoreError) as raised:
        await log.append(_said(1))
    assert raised.value is first
    (last,) = await _rest(log.events(after_seq=1))
    assert isinstance(last.event, e.ErrorRaised) and last.event.error == "The lease is gone."


async def test_a_reader_that_waits_hears_of_a_failure() -> None:
    log = await _open(AwkwardStore())
    reading = asyncio.create_task(_rest(log.events(after_seq=1)))
    await asyncio.sleep(0.01)
    log.fail(OSError("gone"))
    assert [envelope.event.wire for envelope in await reading] == ["error"]


async def test_a_failed_store_that_cannot_be_read_either_ends_readers_that_are_behind() -> None:
    store = AwkwardStore()
    log = await _open(store)
    behind = log.events(after_seq=0)
    log.fail(StoreError("The disk is gone."))
    await store.aclose()
    assert [envelope.event.wire for envelope in await _rest(behind)] == ["error"]


async def test_an_event_that_a_reader_found_in_the_store_is_not_shown_again() -> None:
    store = AwkwardStore()
    log = await _open(store)
    reader = log.events(after_seq=0)
    store.slow_s = 0.05
    appending = asyncio.create_task(log.append(_said(1)))
    await asyncio.sleep(0.01)  # durable, and not folded yet
    assert [(await anext(reader)).seq, (await anext(reader)).seq] == [1, 2]
    waiting = asyncio.create_task(_rest(reader))
    await appending
    await log.append(_said(2))
    log.close()
    assert [envelope.seq for envelope in await waiting] == [3]


async def test_what_happens_between_the_subscription_and_its_first_use_is_read() -> None:
    log = await _open(MemoryStore())
    reader = log.events(after_seq=1)
    log.show_text(e.AssistantChunk(content="hello"))
    await log.append(_said(1))
    log.close()
    assert [envelope.event.wire for envelope in await _rest(reader)] == ["assistant_chunk", "user_message"]


async def test_a_reader_that_is_behind_at_the_close_still_gets_the_rest() -> None:
    store = MemoryStore()
    log = await _open(store)
    await log.append(*map(_said, range(1200)))
    fresh, midway = log.events(after_seq=0), log.events(after_seq=100)
    first = [await anext(midway) for _ in range(10)]
    log.close()
    await log.hand_over()
    await store.aclose()
    assert [envelope.seq for envelope in await _rest(fresh)] == list(range(1, 1202))
    assert [envelope.seq for envelope in (*first, *await _rest(midway))] == list(range(101, 1202))


async def test_what_is_handed_over_at_the_close_is_bounded_and_a_reader_is_told() -> None:
    store = MemoryStore()
    log = await _open(store)
    text = "x" * (log_module.HANDED_OVER_BYTES // 400)
    for _ in range(3):
        await log.append(*(e.UserMessageAdded(content=text) for _ in range(log_module.PAGE)))
    reader = log.events(after_seq=0)
    log.close()
    await log.hand_over()
    await store.aclose()
    *stored, last = await _rest(reader)
    assert 0 < len(stored) < 1501
    assert isinstance(last.event, e.ErrorRaised) and "sessions show s1" in last.event.hint


async def test_pieces_that_wait_for_a_slow_reader_are_joined_up_to_a_limit() -> None:
    log = await _open(MemoryStore())
    reader = log.events(after_seq=1)
    for _ in range(200):
        log.show(e.ToolLog(tool="bash", log="x" * 100, tool_call_id="c"))
        log.show(e.AssistantChunk(content=""))
    for _ in range(200):
        log.show(e.ToolLog(tool="bash", log="x" * 100, tool_call_id="c"))
    log.close()
    logs = [envelope.event.log for envelope in await _rest(reader) if isinstance(envelope.event, e.ToolLog)]
    assert sum(map(len, logs)) == 40_000
    assert 200 < len(logs) < 210 and max(map(len, logs)) <= log_module.JOIN_LIMIT + 100


async def test_the_oldest_pieces_go_when_too_much_waits_and_nothing_stored_does() -> None:
    log = await _open(MemoryStore())
    reader = log.events(after_seq=1)
    for n in range(100):
        log.show(e.ToolLog(tool="bash", log=f"{n:06}" * 30_000, tool_call_id="c"))
        if n % 10 == 0:
            await log.append(_said(n))
    log.close()
    seen = await _rest(reader)
    assert [envelope.seq for envelope in seen if envelope.seq] == list(range(2, 12))
    kept = [envelope.event.log for envelope in seen if isinstance(envelope.event, e.ToolLog)]
    assert sum(map(len, kept)) <= log_module.WAITING_CHARS
    assert [text[:6] for text in kept] == [f"{n:06}" for n in range(100 - len(kept), 100)]


async def test_a_reader_that_nobody_reads_any_more_costs_nothing() -> None:
    log = await _open(MemoryStore())
    reader = log.events(after_seq=1)
    log.show_text(e.AssistantChunk(content="one"))
    del reader
    log.show_text(e.AssistantChunk(content="two"))
    assert not log._readers  # pyright: ignore[reportPrivateUsage]


async def test_the_list_of_sessions_follows_the_model_and_what_was_taken_back() -> None:
    store = MemoryStore()
    log = await _open(store)
    turn = (_said(1), e.Processing(message=""), e.TurnComplete(history_size=1, final_response=""))
    await log.append(*turn)
    await log.append(*turn, e.ModelSwitched(model="other", previous="m"))
    record = await store.record("s1")
    assert (record.model, record.turn_count) == ("other", 2)
    await log.append(e.UndoComplete(cut_seq=0))
    assert (await store.record("s1")).turn_count == 2
    await log.append(e.UndoComplete(cut_seq=log.state.history.user_seqs()[1]))
    assert (await store.record("s1")).turn_count == log.state.turn_count == 1
    await log.append(e.UndoComplete(cut_seq=2), *turn)
    assert (await store.record("s1")).turn_count == log.state.turn_count == 1


async def test_the_title_of_a_session_is_what_its_user_said_and_not_what_was_run_before() -> None:
    store = AwkwardStore()
    log = await _open(store)
    ran = ran_words("ls -l", "(exit code 0)", "a\n\nb")
    await log.append(e.UserMessageAdded(content=f"{ran}\n\nwhy  so\n\nmany"))
    (record,) = await store.sessions()
    assert record.preview == "why so many"
    assert log.state.first_user_text == "why  so\n\nmany"


def _called(cost_usd: float | None) -> e.LlmCall:
    return e.LlmCall(
        model="m", latency_ms=1, finish_reason="stop", cost_usd=cost_usd, kind="main", prompt_tokens=1, completion_tokens=1,
        total_tokens=2, cache_read_tokens=0, cache_creation_tokens=0,
    )  # fmt: skip


async def test_the_list_of_sessions_counts_what_jobs_cost_also_where_the_model_has_no_price() -> None:
    store = MemoryStore()
    log = await _open(store)
    await log.append(_called(None), e.BudgetReserved(reservation_id="c1", amount_usd=2.0, kind="hf_jobs"))
    record = await store.record("s1")
    assert (record.cost_usd, record.unpriced_calls) == (0.0, 1)
    await log.append(e.BudgetSettled(reservation_id="c1", actual_usd=0.5))
    await log.append(
        e.BudgetReserved(reservation_id="c2", amount_usd=0.25, kind="sandbox"), e.BudgetSettled(reservation_id="c2", actual_usd=None)
    )
    record = await store.record("s1")
    assert (record.cost_usd, record.unpriced_calls) == (0.75, 1) == (log.state.spending.spent_usd, log.state.spending.unpriced_calls)


async def test_the_list_of_sessions_knows_what_is_set_aside_and_no_more_once_it_is_settled() -> None:
    store = MemoryStore()
    log = await _open(store)
    await log.append(e.BudgetReserved(reservation_id="c1", amount_usd=2.0, kind="hf_jobs"))
    await log.append(e.BudgetReserved(reservation_id="c2", amount_usd=0.25, kind="sandbox"))
    record = await store.record("s1")
    assert (record.cost_usd, record.reserved_usd) == (0.0, 2.25)
    await log.append(e.BudgetSettled(reservation_id="c1", actual_usd=0.5))
    await log.append(e.BudgetSettled(reservation_id="c2", actual_usd=None))
    record = await store.record("s1")
    assert (record.cost_usd, record.reserved_usd) == (0.75, 0.0)


async def test_a_fork_shows_its_own_spending_only() -> None:
    store = MemoryStore()
    log = await _open(store)
    forked = e.ResumedFrom(path="s0", original_session_id="s0", original_event_count=3, forked=True)
    await log.append(_called(1.0), _called(None))
    await log.append(forked, e.UserMessageAdded(content="Go on."))
    assert ((await store.record("s1")).cost_usd, (await store.record("s1")).unpriced_calls) == (0.0, 0)
    await log.append(_called(0.5), _called(None))
    assert ((await store.record("s1")).cost_usd, (await store.record("s1")).unpriced_calls) == (0.5, 1)
    assert log.state.spending.spent_usd == 1.5

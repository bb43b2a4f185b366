"""Events become notices; what is sent never holds up the session or its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime

import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import AppriseDestination, Destination, Messaging
from ml_intern.errors import ServiceRefused
from ml_intern.gateways.notice import Notice
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.session.clock import SystemClock
from ml_intern.session.log import EventLog
from ml_intern.sinks.notifications import WAITING, EventNotices, Notifier, notice_of
from ml_intern.stores.base import SessionRecord
from ml_intern.stores.memory import MemoryStore

ALL = ("approval_required", "error", "turn_complete")
DONE = e.TurnComplete(history_size=1, final_response="accuracy 0.9")


class Recorder:
    """A service. ``gate``: nothing is taken before it is set."""

    def __init__(self, gate: asyncio.Event | None = None, *, failing: bool = False) -> None:
        self.notices: list[Notice] = []
        self.arrived = asyncio.Event()
        self.closed = False
        self._gate = gate
        self._failing = failing

    async def send(self, notice: Notice) -> None:
        self.arrived.set()
        if self._gate is not None:
            await self._gate.wait()
        if self._failing:
            raise ServiceRefused("no")
        self.notices.append(notice)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
async def log() -> AsyncIterator[EventLog]:
    store = MemoryStore()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    await store.create(SessionRecord(id="s1", created_at=now, updated_at=now, cwd="/", model="m"))
    await store.acquire("s1")
    yield EventLog(store, "s1", clock=SystemClock())
    await store.aclose()


def notifier(service: Recorder, *, auto: bool = True, enabled: bool = True) -> Notifier:
    destinations: dict[str, Destination] = {
        "ops": AppriseDestination(url=SecretStr("json://x"), allow_auto_events=auto),
        "other": AppriseDestination(url=SecretStr("json://x")),
    }
    return Notifier(Messaging(enabled=enabled, destinations=destinations), lambda destination: service, scrub=lambda text: text)


async def test_events_of_the_wanted_kinds_are_sent_and_the_rest_of_the_queue_goes_out_at_the_end(log: EventLog) -> None:
    service = Recorder()
    sink = EventNotices(notifier(service), log.events())
    sink.start()
    await log.append(e.Processing(message="x"), e.ErrorRaised(error="no key", hint="Set one."), DONE)
    log.close()
    await sink.aclose()
    assert [(n.title, n.text, n.severity) for n in service.notices] == [
        ("Agent error", "no key Set one.", "error"),
        ("Agent task complete", "accuracy 0.9", "success"),
    ]
    assert service.notices[1].facts == (("event_type", "turn_complete"),)


async def test_a_service_that_hangs_is_dropped_at_the_end_and_that_is_logged(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    """core W4.10: the original waited for it at the end, 47 s for each message."""
    service = Recorder(gate=asyncio.Event())
    sink = EventNotices(notifier(service), log.events(), closing_s=0.05)
    sink.start()
    await log.append(DONE)
    await service.arrived.wait()
    log.close()
    with caplog.at_level(logging.WARNING):
        await sink.aclose()
    assert service.notices == [] and "dropped" in caplog.text


async def test_a_service_that_hangs_slows_no_event_and_the_queue_keeps_the_newest(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    gate = asyncio.Event()
    service = Recorder(gate)
    sink = EventNotices(notifier(service), log.events())
    sink.start()
    await log.append(DONE)
    await service.arrived.wait()
    many = [e.TurnComplete(history_size=n, final_response=str(n)) for n in range(WAITING * 2)]
    with caplog.at_level(logging.WARNING):
        await log.append(*many)
        log.close()
        gate.set()
        await sink.aclose()
    assert service.notices[-1].text == str(WAITING * 2 - 1)
    assert len(service.notices) <= WAITING + 2 and "the oldest is dropped" in caplog.text


async def test_a_failure_is_logged_and_the_next_event_is_sent(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    service = Recorder(failing=True)
    sink = EventNotices(notifier(service), log.events())
    sink.start()
    with caplog.at_level(logging.WARNING):
        await log.append(DONE, DONE)
        log.close()
        await sink.aclose()
    assert caplog.text.count("did not reach ops: no") == 2


async def test_a_reader_that_breaks_still_lets_the_session_end(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncGenerator[Envelope]:
        raise ServiceRefused("the store is gone")
        yield

    service = Recorder()
    sink = EventNotices(notifier(service), broken())
    sink.start()
    await sink.aclose()
    assert service.notices == []


def test_only_destinations_that_say_so_get_events_and_none_when_messaging_is_off() -> None:
    service = Recorder()
    assert notifier(service).automatic() == ("ops",)
    assert notifier(service, auto=False).automatic() == ()
    assert notifier(service, enabled=False).automatic() == ()
    assert notifier(service).allowed() == ()


async def test_connections_are_given_back() -> None:
    service = Recorder()
    sender = notifier(service)
    await sender.send(["ops"], Notice(text="x"))
    await sender.aclose()
    assert service.closed


def test_a_question_names_the_calls_that_wait() -> None:
    tools = (e.PendingTool(tool="hf_jobs", arguments={}, tool_call_id="1", reason="It costs $3."),)
    notice = notice_of(e.ApprovalRequired(tools=tools, count=1), ALL)
    assert notice is not None and (notice.title, notice.severity) == ("Agent approval required", "warning")
    assert notice.text == "1 call waits for your decision:\n- `hf_jobs`: It costs $3."
    usage = notice_of(e.ApprovalRequired(tools=tools, count=1, usage_threshold=True, block_reason="$5 are spent."), ALL)
    assert usage is not None and (usage.title, usage.text) == ("Usage approval required", "$5 are spent.")


def test_a_turn_that_did_not_finish_is_not_called_complete() -> None:
    notice = notice_of(e.TurnComplete(history_size=1, final_response=None, reason="spend_cap", detail="$5 were spent."), ALL)
    assert notice is not None and notice.title == "Agent stopped" and notice.text == "Stopped: spend cap. $5 were spent."


@pytest.mark.parametrize("event", [DONE, e.ErrorRaised(error="x"), e.ApprovalRequired(tools=(), count=0)])
def test_events_that_were_not_asked_for_are_silent(event: e.AnyEvent) -> None:
    assert notice_of(event, ()) is None
    assert notice_of(e.ErrorRaised(error="a server is away", ends_turn=False), ALL) is None


def test_long_texts_are_cut() -> None:
    error = notice_of(e.ErrorRaised(error="x" * 9000), ALL)
    turn = notice_of(e.TurnComplete(history_size=1, final_response="x" * 90_000), ALL)
    assert error is not None and len(error.text) == 500
    assert turn is not None and len(turn.text) == 39_000

"""The session log alone: ``python -m bench.store FOLDER APPENDS EVENTS`` prints the times as JSON.

Append: one event through the log (stored in the file, folded into the state) as a running session does it. Resume: a fresh
store and a fresh log, until the state of the whole session is there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import AssistantMessageAdded, LlmCall, SessionStarted, ToolCalled, ToolFinished, ToolLog, UserMessageAdded
from ml_intern.protocol.messages import ToolCall
from ml_intern.session.clock import SystemClock
from ml_intern.session.log import EventLog
from ml_intern.stores.base import SessionRecord
from ml_intern.stores.sqlite import SqliteStore

OUTPUT = "a line of output as a command prints it, about as long as they are\n" * 12
REPEATS = 5


def step(number: int) -> list[Event]:
    """The events of one step of a turn."""
    call = ToolCall(f"call_{number}", "bash", json.dumps({"command": f"echo step {number}"}))
    return [
        AssistantMessageAdded(content=f"Step {number}: looking at the next thing.", tool_calls=(call,)),
        LlmCall(
            model="bench/model",
            latency_ms=900,
            finish_reason="tool_calls",
            cost_usd=0.001,
            kind="main",
            prompt_tokens=20_000,
            completion_tokens=60,
            total_tokens=20_060,
            cache_read_tokens=19_000,
            cache_creation_tokens=0,
        ),
        ToolCalled(tool="bash", arguments={"command": f"echo step {number}"}, tool_call_id=call.id),
        ToolFinished(tool="bash", tool_call_id=call.id, output=OUTPUT, success=True, duration_s=0.01),
    ]


async def open_log(path: Path, session_id: str, *, new: bool) -> tuple[SqliteStore, EventLog]:
    store = SqliteStore(path)
    if new:
        at = datetime.now(UTC)
        await store.create(SessionRecord(id=session_id, created_at=at, updated_at=at, cwd="/", model="bench/model"))
    await store.acquire(session_id)
    return store, EventLog(store, session_id, clock=SystemClock())


async def appends(path: Path, count: int) -> list[float]:
    """Milliseconds of each append of one event."""
    store, log = await open_log(path, "appends", new=True)
    times: list[float] = []
    for number in range(count):
        event = ToolLog(tool="bash", log=f"line {number} of what a running command reports")
        started = time.perf_counter()
        await log.append(event)
        times.append((time.perf_counter() - started) * 1000)
    await store.aclose()
    return times


async def write_session(path: Path, events: int) -> None:
    store, log = await open_log(path, "resumed", new=True)
    await log.append(SessionStarted(session_id="resumed", cwd="/", model="bench/model"), UserMessageAdded(content="go"))
    number = 0
    while log.state.last_seq < events:
        await log.append(*step(number := number + 1))
    await store.aclose()


async def resume(path: Path) -> tuple[float, int]:
    """Milliseconds until the state is there, and how many events it was folded from."""
    started = time.perf_counter()
    store, log = await open_log(path, "resumed", new=False)
    count = await log.load()
    taken = (time.perf_counter() - started) * 1000
    await store.aclose()
    return taken, count


def main() -> None:
    folder, append_count, event_count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    append_ms = asyncio.run(appends(folder / "appends.db", append_count))
    asyncio.run(write_session(folder / "resume.db", event_count))
    resumed = [asyncio.run(resume(folder / "resume.db")) for _ in range(REPEATS)]
    assert all(count >= event_count for _, count in resumed)
    print(json.dumps({"append_ms": append_ms, "resume_ms": [taken for taken, _ in resumed]}))


if __name__ == "__main__":
    main()

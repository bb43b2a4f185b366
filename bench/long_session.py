"""The terminal app with much to show: thousands of messages beside a few, and a command that floods it."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, attempted
from bench.programs import ML_INTERN, Place
from bench.store import step
from bench.terminal import KEYS, PAINTED_CHARACTERS, Terminal, key_ms, markdown, script, terminal
from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from
from ml_intern.protocol.codec import SCHEMA_VERSION, encode_data
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import AssistantMessageAdded, Processing, SessionStarted, TurnComplete, UserMessageAdded
from ml_intern.stores.base import SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore

MESSAGES, FEW_MESSAGES = 5_000, 40
PAGES = 15
PAGE_CHARACTERS = 150
"""Of a page that was turned: a cursor that blinks draws less."""
PAGE_UP, PAGE_DOWN = b"\x1b[5~", b"\x1b[6~"
MOST_KEY_MS = 16
AS_SMOOTH = 1.5
"""How much longer a page may take in a long session than in a short one."""
FLOOD_LINES = 125_000
"""Of 80 bytes each: 10 MB."""
MOST_FROZEN_MS = 250
END = b"thatwasall"


class Session:
    """One session, opened again, typed in and paged through. ``rss_mb`` is what the process holds then."""

    def __init__(self, at: Place, mark: str, messages: int) -> None:
        session = mark * 32
        asyncio.run(_write_session(paths_from(Environ(at.env())).sessions_db, str(at.workspace), session, messages))
        with terminal([ML_INTERN, "--model", "scripted/hello.yaml", "--resume", session], at) as screen:
            screen.until(f"answer{messages // 2 - 1}.".encode())
            self.shown_ms = (time.perf_counter() - screen.started_at) * 1000
            screen.drain(1.0)
            self.keys_ms = [key_ms(screen, number) for number in range(KEYS)]
            self.pages_ms = [_page_ms(screen, key) for key in [PAGE_UP] * PAGES + [PAGE_DOWN] * (PAGES // 2)]
            self.rss_mb = screen.rss_mb()


def figures(at: Place) -> list[Figure]:
    """Of long sessions, and of the flood."""
    return [
        *attempted("app: a long session", lambda: _long(at)),
        *attempted("app: keys while a command writes 10 MB", lambda: _flood(at)),
    ]


def _long(at: Place) -> list[Figure]:
    script(at, "hello.yaml", "Hello.", 0)
    few, many = Session(at, "4", FEW_MESSAGES), Session(at, "5", MESSAGES)
    keys, keys_few = statistics.median(many.keys_ms), statistics.median(few.keys_ms)
    pages, pages_few = statistics.median(many.pages_ms), statistics.median(few.pages_ms)
    beside = f"(floor: {FEW_MESSAGES})"
    return [
        Figure(name=f"app: start → the end of {MESSAGES:,} messages {beside}", unit="ms", ours=many.shown_ms, floor=few.shown_ms),
        Figure(
            name=f"app: key → screen at {MESSAGES:,} messages {beside}",
            unit="ms",
            ours=keys,
            floor=keys_few,
            target=f"≤ {MOST_KEY_MS} ms",
            met=keys <= MOST_KEY_MS,
            samples={"ours": many.keys_ms, "floor": few.keys_ms},
        ),
        Figure(
            name=f"app: page → screen at {MESSAGES:,} messages {beside}",
            unit="ms",
            ours=pages,
            floor=pages_few,
            target=f"≤ {AS_SMOOTH}×",
            met=pages <= AS_SMOOTH * pages_few,
            samples={"ours": many.pages_ms, "floor": few.pages_ms},
        ),
        Figure(
            name=f"app: memory at {MESSAGES:,} messages {beside}",
            unit="MB",
            ours=many.rss_mb,
            floor=few.rss_mb,
            target="≤ 250 MB",
            met=many.rss_mb <= 250,
        ),
    ]


def _page_ms(screen: Terminal, key: bytes) -> float:
    screen.drain(0.06)
    screen.write(key)
    return screen.until_drawn(PAGE_CHARACTERS) * 1000


def _flood(at: Place) -> list[Figure]:
    """Keys are typed all the while that a command writes 10 MB: the slowest of them says how long the app stood still."""
    command = f"yes {'x' * 79} | head -n {FLOOD_LINES}"
    (at.workspace / "flood.yaml").write_text(
        f'steps:\n  - text: Now.\n    calls:\n      - bash: {{command: "{command}"}}\n  - text: {END.decode()}\n'
    )
    settings = at.folder / "flood.json"
    settings.write_text(json.dumps({"yolo_mode": True}))
    with terminal([ML_INTERN, "--model", "scripted/flood.yaml"], at, {"ML_INTERN_CLI_CONFIG": str(settings)}) as screen:
        screen.until(characters=PAINTED_CHARACTERS)
        screen.drain(1.0)
        since = len(screen.drawn)
        screen.write(b"go\r")
        times: list[float] = []
        while not screen.has_drawn(END, since):
            times.append(key_ms(screen, len(times), pause_s=0.0))
        if not screen.has_drawn(b"x" * 40, since):
            raise RuntimeError("the command that floods the app was not run")
    return [
        Figure(
            name="app: slowest key while a command writes 10 MB",
            unit="ms",
            ours=max(times),
            target=f"≤ {MOST_FROZEN_MS} ms",
            met=max(times) <= MOST_FROZEN_MS,
            samples={"ours": times},
        ),
        Figure(
            name="  the median key",
            unit="ms",
            ours=statistics.median(times),
            target=f"≤ {MOST_KEY_MS} ms",
            met=statistics.median(times) <= MOST_KEY_MS,
        ),
    ]


async def _write_session(path: Path, cwd: str, session: str, messages: int) -> None:
    """Each turn: a question, a call with its output, an answer in Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(path)
    at = datetime.now(UTC)
    await store.create(SessionRecord(id=session, created_at=at, updated_at=at, cwd=cwd, model="scripted/hello.yaml"))
    await store.acquire(session)
    events: list[Event] = [SessionStarted(session_id=session, cwd=cwd, model="scripted/hello.yaml")]
    for number in range(messages // 2):
        question = [UserMessageAdded(content=f"Question {number}: what now?"), Processing(message="Processing user input")]
        answer = AssistantMessageAdded(content=f"{markdown(600)}\n\nanswer{number}.")
        events += [*question, *step(number), answer, TurnComplete(history_size=1, final_response=None)]
    rows = [StoredEvent(i, at, event.wire, encode_data(event), SCHEMA_VERSION) for i, event in enumerate(events, 1)]
    await store.append(session, rows)
    await store.release(session)
    await store.aclose()

"""What every ``EventStore`` must do, run over each of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_intern.errors import SessionBusy, SessionNotFound, StoreError
from ml_intern.stores.base import EventStore, SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.memory import MemoryStore
from ml_intern.stores.sqlite import SqliteStore

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass
class Stores:
    """A store, and others beside it: what a second process would hold."""

    make: Callable[[], EventStore]
    spill_dir: Path
    made: list[EventStore] = field(default_factory=list)

    def another(self) -> EventStore:
        self.made.append(self.make())
        return self.made[-1]


@pytest.fixture(params=["sqlite", "memory"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    spill_dir = tmp_path / "spill"
    if request.param == "sqlite":
        made = Stores(lambda: SqliteStore(tmp_path / "sessions.db"), spill_dir)
    else:
        made = Stores(MemoryStore(spill_dir=spill_dir).beside, spill_dir)
    yield made
    for store in made.made:
        await store.aclose()


@pytest.fixture
def store(stores: Stores) -> EventStore:
    return stores.another()


def a_record(session_id: str, *, minutes: int = 0, title: str = "", preview: str = "") -> SessionRecord:
    at = START + timedelta(minutes=minutes)
    return SessionRecord(id=session_id, created_at=at, updated_at=at, cwd="/w", model="m", title=title, preview=preview)


def an_event(seq: int, text: str = "hello", *, type: str = "user_message", minutes: int = 0) -> StoredEvent:
    key = "output" if type == "tool_output" else "content"
    data = json.dumps({key: text}, ensure_ascii=False).encode()
    return StoredEvent(seq, START + timedelta(minutes=minutes, microseconds=seq), type, data)


async def a_session(store: EventStore, session_id: str = "aaaa-1", *events: StoredEvent, minutes: int = 0) -> str:
    await store.create(a_record(session_id, minutes=minutes))
    await store.acquire(session_id)
    if events:
        await store.append(session_id, events)
    return session_id


async def test_what_was_appended_is_loaded_in_order_and_whole(store: EventStore) -> None:
    events = [StoredEvent(seq, START + timedelta(seconds=seq), "t", b'{"x":"\xc3\xa9"}', 3) for seq in (1, 2, 3)]
    await a_session(store, "s", *events[:1])
    await store.append("s", events[1:])
    assert await store.load("s") == events


async def test_loading_starts_after_a_seq_and_stops_at_a_limit(store: EventStore) -> None:
    await a_session(store, "s", *(an_event(seq) for seq in range(1, 11)))
    assert [event.seq for event in await store.load("s", after_seq=7)] == [8, 9, 10]
    assert [event.seq for event in await store.load("s", after_seq=2, limit=3)] == [3, 4, 5]
    assert await store.load("s", after_seq=10) == []


async def test_last_seq_is_zero_for_an_empty_log_and_then_that_of_the_last_event(store: EventStore) -> None:
    await a_session(store, "s")
    assert await store.last_seq("s") == 0
    await store.append("s", [an_event(1), an_event(2)])
    assert await store.last_seq("s") == 2


async def test_logs_do_not_mix(store: EventStore) -> None:
    await a_session(store, "a", an_event(1, "of a"))
    await a_session(store, "b", an_event(1, "of b"), an_event(2, "of b"))
    assert [len(await store.load(name)) for name in ("a", "b")] == [1, 2]


async def test_an_unknown_session_is_not_found(store: EventStore) -> None:
    for call in (store.load("no"), store.last_seq("no"), store.record("no"), store.delete("no"), store.acquire("no"), store.find("no")):
        with pytest.raises(SessionNotFound, match="no"):
            await call
    with pytest.raises(SessionNotFound):
        await store.append("no", [an_event(1)])


async def test_an_id_is_given_once(store: EventStore) -> None:
    await store.create(a_record("s"))
    with pytest.raises(StoreError, match="already"):
        await store.create(a_record("s"))


async def test_the_record_keeps_count_of_what_is_appended(store: EventStore) -> None:
    """Core W4.9: the list reads these columns; the original parsed every whole log for its previews."""
    await a_session(store, "s")
    events = [an_event(1, "one", minutes=5), an_event(2, "two", minutes=6)]
    patch = SessionPatch(title="T", preview="P", model="n", turn_count=2, cost_usd=0.25)
    await store.append("s", events, patch)
    await store.append("s", [], SessionPatch(turn_count=3))
    record = await store.record("s")
    assert (record.event_count, record.size_bytes) == (2, sum(len(event.data) for event in events))
    assert (record.title, record.preview, record.model, record.turn_count, record.cost_usd) == ("T", "P", "n", 3, 0.25)
    assert (record.created_at, record.updated_at) == (START, events[-1].at)


async def test_sessions_are_listed_newest_first_by_what_happened_last(store: EventStore) -> None:
    await a_session(store, "old", minutes=0)
    await a_session(store, "new", minutes=1)
    assert [record.id for record in await store.sessions()] == ["new", "old"]
    await store.append("old", [an_event(1, minutes=2)])
    assert [record.id for record in await store.sessions()] == ["old", "new"]
    assert [record.id for record in await store.sessions(limit=1)] == ["old"]


async def test_a_session_is_found_by_id_prefix_index_and_last(store: EventStore) -> None:
    for minutes, session_id in enumerate(("abc-1", "abd-2", "7777-3")):
        await store.create(a_record(session_id, minutes=minutes))
    names = {"abc-1": "abc-1", "abd": "abd-2", "ABC": "abc-1", "1": "7777-3", "3": "abc-1", "last": "7777-3", "77": "7777-3"}
    assert {name: (await store.find(name)).id for name in names} == names


@pytest.mark.parametrize("name", ["", "  ", "zz", "0", "4", "%", "_", "*"])
async def test_a_name_that_fits_nothing_is_not_found(store: EventStore, name: str) -> None:
    for minutes, session_id in enumerate(("abc-1", "abd-2", "fed-3")):
        await store.create(a_record(session_id, minutes=minutes))
    with pytest.raises(SessionNotFound, match="list"):
        await store.find(name)


async def test_an_ambiguous_prefix_lists_the_candidates(store: EventStore) -> None:
    await store.create(a_record("abc-1", title="Train a model"))
    await store.create(a_record("abd-2", preview="look at the data"))
    with pytest.raises(SessionNotFound) as caught:
        await store.find("ab")
    for part in ("abc-1", "Train a model", "abd-2", "look at the data"):
        assert part in str(caught.value)


async def test_last_in_an_empty_store_says_how_to_start(store: EventStore) -> None:
    with pytest.raises(SessionNotFound, match="Start one"):
        await store.find("last")


async def test_an_append_without_the_lease_is_refused_and_writes_nothing(store: EventStore) -> None:
    await store.create(a_record("s"))
    with pytest.raises(SessionBusy):
        await store.append("s", [an_event(1)])
    assert await store.load("s") == []


@pytest.mark.parametrize("seqs", [(2,), (1,), (3, 3), (4, 3), (0,)])
async def test_a_taken_seq_is_refused_and_the_whole_append_with_it(store: EventStore, seqs: tuple[int, ...]) -> None:
    await a_session(store, "s", an_event(1), an_event(2))
    with pytest.raises(SessionBusy):
        await store.append("s", [an_event(seq) for seq in seqs], SessionPatch(title="no"))
    assert await store.last_seq("s") == 2
    record = await store.record("s")
    assert (record.title, record.event_count) == ("", 2)


async def test_a_refused_append_takes_none_of_its_neighbours_with_it(store: EventStore) -> None:
    await a_session(store, "a")
    await a_session(store, "b", an_event(1))
    answers = await asyncio.gather(
        store.append("a", [an_event(1)]),
        store.append("b", [an_event(1)]),
        store.append("a", [an_event(2)]),
        store.append("missing", [an_event(1)]),
        store.append("a", [an_event(3)]),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), SessionBusy, type(None), SessionNotFound, type(None)]
    assert [event.seq for event in await store.load("a")] == [1, 2, 3]


async def test_many_appends_at_once_are_all_there_in_order(store: EventStore) -> None:
    await a_session(store, "s")
    await asyncio.gather(*(store.append("s", [an_event(seq)]) for seq in range(1, 1001)))
    assert [event.seq for event in await store.load("s")] == list(range(1, 1001))


async def test_a_second_owner_is_told_who_owns_the_session_and_what_to_do(stores: Stores) -> None:
    first, second = stores.another(), stores.another()
    await a_session(first, "abcdefgh-1")
    with pytest.raises(SessionBusy) as caught:
        await second.acquire("abcdefgh-1")
    said = str(caught.value)
    for part in ("process ", " on ", " since ", "ml-intern sessions show abcdefgh --follow"):
        assert part in said
    with pytest.raises(SessionBusy):
        await second.append("abcdefgh-1", [an_event(1)])


async def test_others_read_what_the_owner_writes(stores: Stores) -> None:
    first, second = stores.another(), stores.another()
    await a_session(first, "s", an_event(1))
    assert await second.last_seq("s") == 1
    await first.append("s", [an_event(2)])
    assert [event.seq for event in await second.load("s")] == [1, 2]
    assert "process" in (await second.record("s")).owner
    assert [bool(record.owner) for record in await second.sessions()] == [True]


async def test_a_released_session_can_be_taken_by_another(stores: Stores) -> None:
    first, second = stores.another(), stores.another()
    await a_session(first, "s")
    await first.release("s")
    assert (await first.record("s")).owner == ""
    await second.acquire("s")
    with pytest.raises(SessionBusy):
        await first.append("s", [an_event(1)])
    await second.append("s", [an_event(1)])


async def test_closing_gives_every_lease_back(stores: Stores) -> None:
    first, second = stores.another(), stores.another()
    await a_session(first, "s")
    await first.aclose()
    await second.acquire("s")


async def test_acquiring_twice_and_releasing_what_is_not_held_do_nothing(stores: Stores) -> None:
    first, second = stores.another(), stores.another()
    await a_session(first, "s")
    await first.acquire("s")
    await second.release("s")
    await second.release("unknown")
    await first.append("s", [an_event(1)])
    with pytest.raises(SessionBusy):
        await second.acquire("s")


async def test_a_session_in_use_is_not_deleted(stores: Stores) -> None:
    first, second = stores.another(), stores.another()
    await a_session(first, "s", an_event(1))
    for store in (first, second):
        with pytest.raises(SessionBusy):
            await store.delete("s")
    assert await second.last_seq("s") == 1


async def test_deleting_removes_the_log_the_search_and_the_spilled_outputs(stores: Stores) -> None:
    """W41: spilled outputs were never removed."""
    store = stores.another()
    for name in ("gone", "kept"):
        await a_session(store, name, an_event(1, "the walrus sleeps"), an_event(2, "more", type="tool_output"))
        (stores.spill_dir / name).mkdir(parents=True)
        (stores.spill_dir / name / "1.txt").write_text("long")
    assert len(await store.search("walrus")) == 2
    await store.release("gone")
    await store.delete("gone")
    assert [hit.session_id for hit in await store.search("walrus")] == ["kept"]
    assert [record.id for record in await store.sessions()] == ["kept"]
    assert [folder.name for folder in stores.spill_dir.iterdir()] == ["kept"]
    with pytest.raises(SessionNotFound):
        await store.load("gone")


async def test_a_session_made_after_a_deletion_is_empty(store: EventStore) -> None:
    await a_session(store, "s", an_event(1, "walrus"))
    await store.release("s")
    await store.delete("s")
    await a_session(store, "s")
    assert await store.load("s") == []
    assert await store.search("walrus") == []


@pytest.mark.parametrize("session_id", ["..", ".", "a/b", "/"])
async def test_an_odd_session_id_removes_no_other_folder(stores: Stores, session_id: str) -> None:
    store = stores.another()
    victim = stores.spill_dir / "a" / "b"
    victim.mkdir(parents=True)
    await store.create(a_record(session_id))
    await store.delete(session_id)
    assert victim.is_dir()


async def test_a_spill_folder_that_is_a_link_is_unlinked_not_followed(stores: Stores, tmp_path: Path) -> None:
    store = stores.another()
    outside = tmp_path / "outside"
    outside.mkdir()
    stores.spill_dir.mkdir()
    (stores.spill_dir / "s").symlink_to(outside)
    await store.create(a_record("s"))
    await store.delete("s")
    assert outside.is_dir()
    assert not (stores.spill_dir / "s").is_symlink()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("walrus", True),
        ("WALRUS", True),
        ("wal", True),  # the last word may go on
        ("wal sleeps", False),  # the others may not
        ("sleeps walrus", True),
        ('"walrus sleeps"', True),
        ('"sleeps walrus"', False),
        ('"walrus sle"', False),
        ("learning_rate", True),
        ("learning rate", True),
        ("rate_learning", False),
        ("cafe", True),
        ("tiger", False),
        ("walrus tiger", False),
        ("walrus AND (", False),
        ("", False),
        ("!!! ---", False),
        ("walrus !!!", True),
        ('"unclosed walrus', False),
        ("content", False),  # a key of the JSON, not a word of the text
        ("walrus*", True),
        ("text:walrus", False),
    ],
)
async def test_searching_finds_words_and_never_trips_over_its_own_syntax(store: EventStore, query: str, found: bool) -> None:
    await a_session(store, "s", an_event(1, "nothing"), an_event(2, "The walrus sleeps at learning_rate=3e-4 in a café"))
    assert [(hit.session_id, hit.seq) for hit in await store.search(query)] == ([("s", 2)] if found else [])


@pytest.mark.parametrize("type", ["user_message", "assistant_message", "tool_output"])
async def test_words_of_users_models_and_tools_are_searched(store: EventStore, type: str) -> None:
    await a_session(store, "s", an_event(1, "walrus", type=type))
    assert len(await store.search("walrus")) == 1


async def test_other_events_and_nonsense_are_not_searched_and_do_no_harm(store: EventStore) -> None:
    await a_session(store, "s", an_event(1, "walrus", type="tool_log"), StoredEvent(2, START, "tool_output", b'{"success":true}'))
    await store.append("s", [an_event(3, "tiger")])
    assert await store.search("walrus") == []
    assert len(await store.search("tiger")) == 1


async def test_a_search_shows_the_words_around_the_match_on_one_line(store: EventStore) -> None:
    text = " ".join(f"before{i}" for i in range(100)) + "\nthe\twalrus\nsleeps " + " ".join(f"after{i}" for i in range(100))
    await a_session(store, "s", an_event(1, text))
    (hit,) = await store.search("walrus")
    assert "the walrus sleeps" in hit.snippet
    assert len(hit.snippet) < 250
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")


async def test_a_search_gives_one_hit_per_session_up_to_the_limit(store: EventStore) -> None:
    for name in ("a", "b", "c"):
        await a_session(store, name, *(an_event(seq, f"walrus {seq}") for seq in range(1, 6)))
    assert {hit.session_id for hit in await store.search("walrus")} == {"a", "b", "c"}
    assert len(await store.search("walrus", limit=2)) == 2


async def test_only_the_beginning_of_a_giant_output_is_searched(store: EventStore) -> None:
    await a_session(store, "s", an_event(1, "first " + "x " * 30_000 + "tail", type="tool_output"))
    assert len(await store.search("first")) == 1
    assert await store.search("tail") == []


async def test_a_closed_store_says_so_and_closing_twice_is_fine(store: EventStore) -> None:
    await a_session(store, "s")
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreError, match="closed"):
        await store.append("s", [an_event(1)])
    with pytest.raises(StoreError, match="closed"):
        await store.sessions()


async def test_what_is_set_aside_is_kept_until_it_is_settled(store: EventStore) -> None:
    await a_session(store, "aside")
    await store.append("aside", [], SessionPatch(cost_usd=0.4, reserved_usd=0.13))
    await store.append("aside", [], SessionPatch(title="t"))
    assert [(record.cost_usd, record.reserved_usd) for record in await store.sessions()] == [(0.4, 0.13)]
    await store.append("aside", [], SessionPatch(reserved_usd=0.0))
    assert (await store.record("aside")).reserved_usd == 0.0


async def test_calls_without_a_price_are_counted(store: EventStore) -> None:
    await store.create(a_record("unpriced"))
    await store.acquire("unpriced")
    await store.append("unpriced", [], SessionPatch(unpriced_calls=3))
    assert (await store.record("unpriced")).unpriced_calls == 3

"""``ml-intern sessions …`` over a real store."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ml_intern.frontends.cli import main
from ml_intern.frontends.commands.session_table import age, as_table
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import decode, encode_data
from ml_intern.stores.base import SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold]red[/bold]\u202egpj.exe"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """The command, in this process: exit code, standard output, standard error."""

    async def never(**_: object) -> NoReturn:
        raise AssertionError("a session was opened")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["sessions", *arguments], never)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def path(home: Path) -> Path:
    return home / ".local" / "share" / "ml-intern" / "sessions.db"


def with_store(path: Path, work: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        store = SqliteStore(path)
        await work(store)
        await store.aclose()

    asyncio.run(all_of_it())


def fill(path: Path, *ids: str, cwd: str = "/home/ada", text: str = "Compare digits.") -> None:
    async def work(store: SqliteStore) -> None:
        for minutes, session_id in enumerate(ids):
            at = NOW + timedelta(minutes=minutes)
            await store.create(SessionRecord(id=session_id, created_at=at, updated_at=at, cwd=cwd, model="org/model"))
            await store.acquire(session_id)
            events: list[e.AnyEvent] = [
                e.SessionStarted(session_id=session_id, cwd=cwd, model="org/model"),
                e.UserMessageAdded(content=text),
                e.ToolCalled(tool="bash", arguments={"command": "ls"}, tool_call_id="c1"),
                e.ToolFinished(tool="bash", tool_call_id="c1", output="walrus.csv", success=False),
                e.AssistantMessageAdded(content=f"All done in {session_id}."),
                e.ToolCalled(tool="bash", arguments={"command": "sleep 9"}, tool_call_id="c2"),
            ]
            rows = [StoredEvent(seq, at, event.wire, encode_data(event)) for seq, event in enumerate(events, 1)]
            await store.append(session_id, rows, SessionPatch(preview=text[:72], turn_count=1, cost_usd=0.0123))

    with_store(path, work)


def test_without_a_store_nothing_is_listed_and_nothing_is_made(run: Run, path: Path) -> None:
    assert run() == (0, "", "No sessions yet.\n")
    assert run("list", "--json") == (0, "[]\n", "")
    assert run("search", "x")[0] == 0
    assert run("show", "last")[0] == 2
    assert not path.parent.exists()


def test_the_list_shows_the_newest_first_with_the_number_that_names_it(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa", "bbbbbbbbbb")
    code, out, _ = run("list")
    head, first, second = out.splitlines()
    assert code == 0
    assert head.split() == ["#", "open", "id", "age", "turns", "cost", "size", "model", "folder", "title"]
    assert first.split()[:2] == ["1", "bbbbbbbb"]
    assert second.split()[:2] == ["2", "aaaaaaaa"]
    for part in ("$0.0123", "org/model", "/home/ada", "Compare digits."):
        assert part in first
    assert run()[1] == out


def test_the_list_as_json_has_every_field(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    (row,) = json.loads(run("list", "--json")[1])
    assert (row["index"], row["id"], row["event_count"], row["turn_count"], row["owner"]) == (1, "aaaaaaaaaa", 6, 1, "")
    assert datetime.fromisoformat(row["updated_at"]) == NOW


def test_the_list_is_cut_to_the_newest_and_says_so(run: Run, path: Path) -> None:
    fill(path, *(f"session{n:03}" for n in range(25)))
    _, out, err = run("list")
    assert len(out.splitlines()) == 21
    assert err == "… and 5 older ones: --all\n"
    assert len(run("list", "--all")[1].splitlines()) == 26
    assert len(json.loads(run("list", "--json")[1])) == 25


def test_the_list_of_a_folder_keeps_the_numbers(run: Run, path: Path, tmp_path: Path) -> None:
    fill(path, "aaaaaaaaaa", cwd=str(tmp_path / "x" / "y"))
    fill(path, "bbbbbbbbbb", cwd="/elsewhere")
    rows = json.loads(run("list", "--json", "--cwd", str(tmp_path / "x"))[1])
    places = {row["id"]: row["index"] for row in json.loads(run("list", "--json")[1])}
    assert [(row["id"], row["index"]) for row in rows] == [("aaaaaaaaaa", places["aaaaaaaaaa"])]
    assert run("list", "--cwd", str(tmp_path / "z"))[1] == ""


def test_a_session_in_use_is_marked(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa")

    async def work(store: SqliteStore) -> None:
        await store.acquire("aaaaaaaaaa")
        table = as_table(list(enumerate(await store.sessions(), 1)), now=NOW)
        assert "in use" in table.splitlines()[1]

    with_store(path, work)
    assert "●" not in run("list")[1]


def test_showing_tells_what_was_said_and_done(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    code, out, _ = run("show", "aaaa")
    assert code == 0
    places = [
        out.index(part) for part in ("❯ Compare digits.", "✗ bash  ls", "walrus.csv", "All done in aaaaaaaaaa.", "sleep 9  no answer")
    ]
    assert places == sorted(places)


def kept(path: Path, *events: e.AnyEvent) -> None:
    """A session that holds these behind its beginning."""

    async def work(store: SqliteStore) -> None:
        await store.create(SessionRecord(id="bbbb", created_at=NOW, updated_at=NOW, cwd="/home/ada", model="org/model"))
        await store.acquire("bbbb")
        begun = e.SessionStarted(session_id="bbbb", cwd="/home/ada", model="org/model")
        rows = [StoredEvent(seq, NOW, event.wire, encode_data(event)) for seq, event in enumerate((begun, *events), 1)]
        await store.append("bbbb", rows, SessionPatch())

    with_store(path, work)


def asked(*keys: str) -> list[e.AnyEvent]:
    """Calls, and the question whether they may run."""
    calls = [e.ToolCalled(tool="hf_jobs", arguments={"command": f"train {key}"}, tool_call_id=key) for key in keys]
    pending = [e.PendingTool(tool="hf_jobs", arguments=call.arguments, tool_call_id=call.tool_call_id, reason="a job") for call in calls]
    return [*calls, e.ApprovalRequired(tools=tuple(pending), count=len(keys))]


def decided(state: str, **more: Any) -> e.ToolStateChange:
    return e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state=state, **more)


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (decided("approved"), "  hf_jobs approved\n"),
        (decided("approved", sent_by="terminal 2"), "  hf_jobs approved by terminal 2\n"),
        (
            decided("approved", arguments={"command": "train less"}),
            "  hf_jobs approved (edited)\n▸ hf_jobs  train less  as edited\n",
        ),
        (decided("rejected", note="Use a smaller one."), "  hf_jobs rejected: Use a smaller one.\n"),
        (decided("rejected", note="Refused: this needs …", reason="expired"), "  hf_jobs refused, not answered in time\n"),
        (decided("rejected", note="Refused: this needs …", reason="nobody"), "  hf_jobs refused, not answered: nobody is there\n"),
    ],
)
def test_showing_tells_what_was_decided_of_a_call_and_guesses_nothing(run: Run, path: Path, decision: e.AnyEvent, told: str) -> None:
    kept(path, *asked("c1"), decision)
    _, out, _ = run("show", "last")
    assert f"  needs an approval: a job\n{told}" in out
    assert "headless" not in out


def test_showing_tells_the_call_that_ran_where_it_was_edited(run: Run, path: Path) -> None:
    ran = e.ToolFinished(tool="hf_jobs", tool_call_id="c1", output="ok", success=True)
    kept(path, *asked("c1"), decided("approved", arguments={"command": "train less"}), ran)
    assert "✓ hf_jobs  train less" in run("show", "last")[1]


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ({"answer": "blue", "reason": "answered"}, "  answered: blue\n"),
        ({"answer": None, "reason": "nobody"}, "  not answered: nobody is there\n"),
    ],
)
def test_showing_tells_how_a_question_ended(run: Run, path: Path, ending: dict[str, Any], told: str) -> None:
    question = e.QuestionAsked(question_id="q1", question="Which one?", options=("red", "blue"))
    kept(path, question, e.QuestionAnswered(question_id="q1", **ending))
    _, out, _ = run("show", "last")
    assert f"? Which one?\n  - red\n  - blue\n{told}" in out
    assert "headless" not in out


@pytest.mark.parametrize(("sent_by", "told"), [("process 7", "in another terminal"), ("bea (U1) on Slack", "by bea (U1) on Slack")])
def test_showing_says_who_decided_in_words_and_never_by_the_number_of_a_process(run: Run, path: Path, sent_by: str, told: str) -> None:
    kept(path, e.ToolStateChange(tool_call_id="c", tool="bash", state="approved", sent_by=sent_by))
    _, out, _ = run("show", "last")
    assert f"bash approved {told}\n" in out and "process" not in out


def test_the_list_shows_what_is_set_aside_beside_what_is_spent(run: Run, path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        for name, aside in (("aaaa", 0.13), ("bbbb", 0.0)):
            await store.create(
                SessionRecord(id=name, created_at=NOW, updated_at=NOW, cwd="/w", model="m", cost_usd=0.4, reserved_usd=aside)
            )

    with_store(path, work)
    _, out, _ = run("list")
    assert [" ".join(row.split()).count("$0.40 + ≤$0.13") for row in sorted(out.splitlines()[1:], key=lambda row: "aaaa" not in row)] == [
        1,
        0,
    ]
    rows = {row["id"]: (row["cost_usd"], row["reserved_usd"]) for row in json.loads(run("list", "--json")[1])}
    assert rows == {"aaaa": (0.4, 0.13), "bbbb": (0.4, 0.0)}


@pytest.mark.parametrize(
    ("spent", "aside", "unpriced", "kept"), [(0.0, 0.13, 0, "$0.00"), (103.25, 12.5, 1, "≥ $103.25"), (0.4, 0.0, 0, "$0.40")]
)
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_in_a_narrow_terminal_everything_else_gives_way_before_the_title(
    columns: int, spent: float, aside: float, unpriced: int, kept: str
) -> None:
    title = "Train a model on the letters of 1890"
    one = SessionRecord(
        id="a" * 32, created_at=NOW, updated_at=NOW, cwd="/home/ada/projects/letters", model="moonshotai/Kimi-K2.6-Instruct", title=title,
        turn_count=12, size_bytes=3_400_000, cost_usd=spent, reserved_usd=aside, unpriced_calls=unpriced, owner="",
    )  # fmt: skip
    head, row = as_table([(1, one)], now=NOW + timedelta(hours=3), columns=columns).splitlines()
    assert title[:20] in row and kept in row and "aaaaaaaa" in row and "3 h" in row
    assert max(len(head), len(row)) <= columns
    whole = as_table([(1, one)], now=NOW + timedelta(hours=3), columns=0).splitlines()[1]
    assert title in whole and "moonshotai/Kimi-K2.6-Instruct" in whole and "3.4 MB" in whole and ("≤" in whole) == (aside > 0)


def test_what_is_set_aside_is_told_where_it_takes_nothing_of_the_title() -> None:
    one = SessionRecord(id="a" * 32, created_at=NOW, updated_at=NOW, cwd="/w", model="m", title="Train", reserved_usd=0.13)
    assert "$0.00 + ≤$0.13" in as_table([(1, one)], now=NOW, columns=80)


def test_showing_tells_the_end_of_research_and_not_each_of_its_steps(run: Run, path: Path) -> None:
    now = {"agent_id": "c", "label": "find it", "steps": 3, "tokens": 900, "tool_calls": 2, "cost_usd": 0.5}
    kept(path, e.SubagentProgress(**now, activity="read a"), e.SubagentFinished(**now, outcome="interrupted", duration_s=9.0))
    _, out, _ = run("show", "last")
    assert out.count("find it") == 1 and "find it · interrupted · 3 steps, 2 calls, 900 tokens, $0.50 · 9.0 s" in out


def test_showing_tells_no_duration_of_research_that_a_crash_cut_off(run: Run, path: Path) -> None:
    kept(path, e.SubagentFinished("c", "find it", "interrupted", steps=3, tokens=900, tool_calls=2, cost_usd=0.5, duration_s=0.0))
    assert "find it · interrupted · 3 steps, 2 calls, 900 tokens, $0.50\n" in run("show", "last")[1]


@pytest.mark.parametrize(
    ("cut_seq", "told"),
    [(3, "↶ the turn “Try B.” was taken back\n"), (2, "↶ the turn “Try A.” and 1 turn behind it were taken back\n")],
)
def test_showing_names_the_turns_that_were_taken_back_by_their_words(run: Run, path: Path, cut_seq: int, told: str) -> None:
    kept(path, e.UserMessageAdded(content="Try A."), e.UserMessageAdded(content="Try B."), e.UndoComplete(cut_seq=cut_seq))
    assert told in run("show", "last")[1]


def test_showing_as_json_prints_the_envelopes_and_nothing_else(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    code, out, err = run("show", "last", "--json")
    assert (code, err) == (0, "")
    assert [decode(line).seq for line in out.splitlines()] == [1, 2, 3, 4, 5, 6]


def test_following_what_nobody_works_on_shows_it_and_ends(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    code, out, err = run("show", "1", "--follow")
    assert code == 0
    assert "All done" in out
    assert "Nobody works on this session now." in err


@pytest.mark.parametrize("arguments", [("list",), ("show", "1"), ("search", "walrus"), ("export", "1"), ("list", "--json")])
def test_stored_control_sequences_never_reach_the_terminal(run: Run, path: Path, arguments: tuple[str, ...]) -> None:
    fill(path, "aaaaaaaaaa", text=f"{HOSTILE} walrus", cwd=f"/w{HOSTILE}")
    code, out, err = run(*arguments)
    assert code == 0
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
    if "--json" not in arguments:
        assert "\u202e" not in out + err
        assert "[bold]red[/bold]" in out, "markup is text"


def test_searching_names_the_session_and_the_words(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa", "bbbbbbbbbb")
    code, out, _ = run("search", "walrus")
    assert code == 0
    assert "aaaaaaaa" in out
    assert "bbbbbbbb" in out
    assert out.count("walrus.csv") == 2
    assert len(json.loads(run("search", "walrus", "--json", "-n", "1")[1])) == 1
    assert run("search", "tiger") == (0, "", "Nothing found.\n")


def test_exporting_writes_a_private_file_and_replaces_none_unasked(run: Run, path: Path, tmp_path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    target = tmp_path / "out.jsonl"
    assert run("export", "1", "--format", "jsonl", "-o", str(target))[0] == 0
    assert len(target.read_text().splitlines()) == 6
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    code, _, err = run("export", "1", "-o", str(target))
    assert code == 2
    assert "--force" in err
    assert run("export", "1", "-o", str(target), "--force")[0] == 0
    assert target.read_text().startswith("# Compare digits.")
    assert run("export", "1", "-o", str(tmp_path / "no" / "x"))[0] == 1


def test_what_an_export_replaces_is_private_too_and_a_link_to_it_stays(run: Run, path: Path, tmp_path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    target, link = tmp_path / "out.md", tmp_path / "link.md"
    target.write_text("anybody may read this")
    target.chmod(0o644)
    link.symlink_to(target)
    assert run("export", "1", "-o", str(link), "--force")[0] == 0
    assert target.read_text().startswith("# Compare digits.") and link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_deleting_asks_only_where_somebody_can_answer(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")
    code, _, err = run("delete", "aaa", "bbb")
    assert code == 2
    assert "--yes" in err
    assert run("delete", "aaa", "1", "aaa", "--yes")[0] == 0
    assert [row["id"] for row in json.loads(run("list", "--json")[1])] == ["bbbbbbbbbb"]


def test_a_wrong_name_among_several_deletes_nothing(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa", "bbbbbbbbbb")
    code, _, err = run("delete", "aaa", "zzz", "--yes")
    assert code == 2
    assert "zzz" in err
    assert len(json.loads(run("list", "--json")[1])) == 2


def test_renaming_shows_in_the_list_and_an_empty_title_is_refused(run: Run, path: Path) -> None:
    fill(path, "aaaaaaaaaa")
    assert run("rename", "1", f"My {HOSTILE}\ntitle")[0] == 0
    (row,) = json.loads(run("list", "--json")[1])
    assert row["title"] == "My [bold]red[/bold]gpj.exe title"
    assert run("rename", "1", " \n ")[0] == 2


def test_an_ambiguous_name_lists_the_candidates(run: Run, path: Path) -> None:
    fill(path, "abc1111111", "abc2222222")
    code, _, err = run("show", "abc")
    assert code == 2
    assert "abc1111111" in err
    assert "abc2222222" in err


def test_a_damaged_store_is_said_in_a_sentence(run: Run, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("notes\n" * 1_000)
    code, _, err = run("list")
    assert code == 1
    assert str(path) in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "now"), (59, "now"), (60, "1 min"), (3_600, "1 h"), (86_400, "1 d"), (40 * 86_400, "2026-01-02")]
)
def test_ages_are_told_in_the_largest_unit(seconds: float, text: str) -> None:
    assert age(seconds, NOW + timedelta(hours=12)) == text

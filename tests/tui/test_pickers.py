"""Pickers and screens: searching, moving, taking, leaving; what they ask for, and what is drawn at two sizes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from
from ml_intern.errors import ToolError
from ml_intern.frontends.headless.text import bare, line
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.rewind import plan_rows
from ml_intern.frontends.tui.screens.search import best
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.rewind_events import RewindComplete, RewindPlanned
from tests.tui.picker_world import PLAN, asked, model_picker, shown, text_of
from tests.tui.pilots import command, kept_session, running_turn, until
from tests.tui.scripted import STARTED, running, scripted, settled
from tests.unit.frontends.fake_host import SESSION, FakeHost

OTHER = "fedcba9876543210"


def numbers(count: int) -> list[Choice[int]]:
    words = ["alpha", "beta", "gamma", "delta"]
    return [
        Choice(value=i, row=line(f"{words[i % 4]} {i}"), words=f"{words[i % 4]} {i}", about=(line(f"about {i}"),)) for i in range(count)
    ]


# ── search ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_word_must_be_there_and_beginnings_count_most() -> None:
    texts = ["fine-tune a llama", "tune the fine details", "llama tuning", "something else"]
    assert best("tune", texts, key=str) == ["tune the fine details", "fine-tune a llama"]
    assert best("llama tun", texts, key=str)[0] in ("llama tuning", "fine-tune a llama")
    assert best("zebra", texts, key=str) == []


def test_letters_in_order_fit_when_they_are_close() -> None:
    assert best("kmk2", ["moonshotai/Kimi-K2", "deepseek-ai/V4"], key=str) == ["moonshotai/Kimi-K2"]


# ── the picker ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("enter",), 0),
        (("down", "down", "enter"), 2),
        (("g", "a", "m", "enter"), 2),
        (("escape",), None),
        (("z", "z", "enter", "escape"), None),
    ],
)
async def test_a_picker_is_searched_moved_in_taken_and_left(keys: tuple[str, ...], value: int | None) -> None:
    async with running(scripted()) as (app, pilot):
        answer = await asked(app, Picker("Numbers", numbers(4)))
        await pilot.press(*keys)
        await pilot.pause()
        assert await answer == value


async def test_what_is_beside_the_list_follows_the_cursor() -> None:
    async with running(scripted()) as (app, pilot):
        await asked(app, Picker("Numbers", numbers(4)))
        await pilot.press("down")
        await pilot.pause()
        assert "about 1" in text_of(app)


async def test_rows_are_no_markup() -> None:
    evil = [Choice(value=1, row=line("[red]x[/red] \x1b[31m"), words="x", about=(line("[b]y"),))]
    async with running(scripted()) as (app, pilot):
        await asked(app, Picker("[blink]t", evil))
        await pilot.pause()
        text = text_of(app)
    assert "[red]x[/red]" in text
    assert "[b]y" in text
    assert "[blink]t" in text
    assert "\x1b" not in text


async def test_other_choices_leave_the_cursor_where_it_was() -> None:
    async with running(scripted()) as (app, pilot):
        picker = Picker("Numbers", numbers(4))
        answer = await asked(app, picker)
        await pilot.press("down", "down")
        picker.offer(list(reversed(numbers(6))))
        await pilot.press("enter")
        await pilot.pause()
        assert await answer == 2


async def test_a_long_page_scrolls_and_is_copied_whole() -> None:
    async with running(scripted()) as (app, pilot):
        await asked(app, Pager("Long", [line(f"row {i}") for i in range(5_000)]))
        await shown(app, pilot, "row 3")
        await pilot.press("end")
        await pilot.pause()
        await until(pilot, lambda: "row 4999" in text_of(app))
        await pilot.press("c", "q")
        await pilot.pause()
    assert app.clipboard.splitlines()[-1] == "row 4999"


# ── /resume ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_resume_lists_sessions_and_enter_goes_on_with_one(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    db = paths_from(Environ(environ)).sessions_db
    said = (e.UserMessageAdded(content="Train a [bold]tokenizer[/bold]"), e.AssistantMessageAdded(content="It reached 0.93."))
    await kept_session(db, OTHER, *said, title="Tokenizer", cwd="/data/nlp")
    await kept_session(db, SESSION, title="This very one")
    host = scripted()
    async with running(host, environ=environ) as (app, pilot):
        await command(app, pilot, host, "/resume")
        text = await shown(app, pilot, "It reached 0.93.")
        assert "Train a [bold]tokenizer[/bold]" in text
        assert "/data/nlp" in text
        assert "This very one" not in text
        await pilot.press("enter")
        await settled(app, pilot, host)
    assert host.operations == [op.Resume(path=OTHER)]


async def test_resume_finds_a_session_by_what_was_said_in_it(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    db = paths_from(Environ(environ)).sessions_db
    await kept_session(db, OTHER, e.UserMessageAdded(content="the zymurgy corpus is broken"), title="Alpha")
    await kept_session(db, "aa" * 8, e.UserMessageAdded(content="nothing of interest"), title="Beta")
    host = scripted()
    async with running(host, environ=environ, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/resume")
        await shown(app, pilot, "Beta")
        await pilot.press(*"zymurgy")
        text = await shown(app, pilot, "found: ")
        assert "Alpha" in text
        assert "Beta" not in text


async def test_resume_with_a_name_asks_nothing_and_escape_changes_nothing(tmp_path: Path) -> None:
    host = scripted()
    async with running(host, environ={"HOME": str(tmp_path)}) as (app, pilot):
        await command(app, pilot, host, "/resume")
        await shown(app, pilot, "There is no other session yet.")
        await pilot.press("escape")
        await settled(app, pilot, host)
        assert host.operations == []
        await command(app, pilot, host, "/resume last")
    assert host.operations == [op.Resume(path="last")]


# ── /model ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_model_picker_begins_at_the_model_in_use_and_shows_its_providers() -> None:
    async with running(scripted(), size=(120, 40)) as (app, pilot):
        await asked(app, model_picker())
        text = await shown(app, pilot, "Providers")
    assert "In use: moonshotai/Kimi-K2.6" in text
    assert "262,144 tokens" in text
    assert "novita" in text
    assert "not now" in text
    assert "no key · /setup" in text


async def test_ctrl_t_asks_the_model_and_shows_what_came_of_it() -> None:
    async with running(scripted(), size=(120, 40)) as (app, pilot):
        await asked(app, model_picker())
        await shown(app, pilot, "Providers")
        await pilot.press("ctrl+t")
        assert "takes effort high" in await shown(app, pilot, "answered in 0.4 s")


async def test_a_model_that_cannot_be_asked_says_why() -> None:
    async def refuses(model_id: str) -> str:
        raise ToolError("No credits.", hint="Top up.")

    async with running(scripted(), size=(120, 40)) as (app, pilot):
        await asked(app, model_picker(refuses))
        await shown(app, pilot, "Providers")
        await pilot.press("ctrl+t")
        assert "Top up." in await shown(app, pilot, "No credits.")


async def test_an_id_that_is_not_listed_can_be_written() -> None:
    async with running(scripted(), size=(120, 40)) as (app, pilot):
        answer = await asked(app, model_picker())
        await shown(app, pilot, "Providers")
        await pilot.press(*"my/own:x")
        await shown(app, pilot, "use my/own:x")
        await pilot.press("enter")
        await pilot.pause()
        assert await answer == "my/own:x"


async def test_model_with_an_id_switches_after_a_look_at_its_key() -> None:
    host = scripted()
    async with running(host, environ={"HOME": "/nowhere", "OLLAMA_BASE_URL": "http://127.0.0.1:9"}) as (app, pilot):
        await command(app, pilot, host, "/model ollama/qwen3")
        await until(pilot, lambda: bool(host.operations))
        await command(app, pilot, host, "/model anthropic/claude-opus-4-8")
        await shown(app, pilot, "needs a key")
        await command(app, pilot, host, "/model nonsense")
        await shown(app, pilot, "names no provider")
        await command(app, pilot, host, "/model org/model and more")  # core W5.16: white space in an id was taken
        await shown(app, pilot, "is not a model id")
    assert host.operations == [op.SwitchModel(model="ollama/qwen3")]


# ── /rewind ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TALK = (STARTED, *(e.UserMessageAdded(content=text) for text in ("one apple", "two pears", "three plums")))


def rewinds(*answers: e.AnyEvent) -> Callable[[FakeHost, op.AnyOperation], Awaitable[None]]:
    left = list(answers)

    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.Rewind) and left:
            host.emit(left.pop(0))

    return play


async def test_rewind_shows_what_would_change_before_it_does_it() -> None:
    done = RewindComplete(before_message=1, conversation=True, files=True, restored=2, deleted=1, saved="c0ffee")
    host = scripted(past=TALK, play=rewinds(PLAN, done))
    async with running(host, size=(100, 40)) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        assert text_of(app).index("three plums") < text_of(app).index("two pears") < text_of(app).index("one apple")
        await pilot.press("down", "enter")
        await shown(app, pilot, "conversation and files")
        await pilot.press("enter")
        text = await shown(app, pilot, "You made, changed or deleted 1 of these files yourself.")
        assert "goes back to before “two pears”." in text and "2 files would be restored and 1 deleted." in text
        assert "+lr = 3" in text
        assert "data/[x].csv" in text
        assert host.operations == [op.Rewind(before_message=1)]
        await pilot.press("y")
        await until(pilot, lambda: app.composer.text == "two pears")
        assert app.composer.cursor_location == (0, len("two pears"))
        await command(app, pilot, host, "/rewind back")
    confirmed = op.Rewind(before_message=1, confirmed_changes="tree1")
    assert host.operations == [op.Rewind(before_message=1), confirmed, op.Rewind(conversation=False, to_snapshot="c0ffee")]


def test_a_rewind_says_of_each_file_of_the_users_what_became_of_it_and_what_happens_to_it() -> None:
    texts = {
        "made.txt": "@@ -0,0 +1 @@\n+a",
        "changed.txt": "@@ -1 +1 @@\n-a\n+b",
        "gone.txt": "@@ -1,2 +0,0 @@\n-a\n-b",
        "gone.png": "Binary files a/gone.png and /dev/null differ\n",
        "empty.txt": "",
        "many.txt": "[its diff is left out]",
    }
    own = tuple(d.Diff(path=path, unified=text, added=0, removed=0) for path, text in texts.items())
    plan = RewindPlanned(
        before_message=0, conversation=False, files=True, confirm="t", restored=tuple(texts)[1:], deleted=("made.txt",), own_changes=own
    )
    rows = [bare(row) for row in plan_rows(plan)]
    assert "You made, changed or deleted 6 of these files yourself. y takes that back, m leaves such files alone:" in rows
    fates = {path: next(row for row in rows if row.startswith(f"{path}  ")).partition("−0  ")[2] for path in texts}
    assert fates == {
        "made.txt": "made since: y deletes it",
        "changed.txt": "changed since: y puts it back as it was",
        "gone.txt": "deleted since: y brings it back",
        "gone.png": "deleted since: y brings it back",
        "empty.txt": "y puts it back as it was",
        "many.txt": "y puts it back as it was",
    }


async def test_what_is_or_may_be_the_users_own_can_be_kept_and_the_last_rewind_taken_back_from_the_list() -> None:
    done = RewindComplete(before_message=1, conversation=False, files=True, restored=1, saved="c0ffee")
    host = scripted(past=TALK, play=rewinds(PLAN, done))
    async with running(host, size=(100, 50)) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        await pilot.press("enter")
        await shown(app, pilot, "the files only")
        await pilot.press("down", "down", "enter")
        text = await shown(app, pilot, "While a tool ran, it or you made, changed or deleted 1 of these files.")
        assert text.index("train.py") < text.index("notes.md") and "m but keep mine" in text
        await pilot.press("m")
        await until(pilot, lambda: bool(app.recall.rewound))
        await command(app, pilot, host, "/rewind")
        await shown(app, pilot, "the last rewind")
        await pilot.press("up", "enter")  # the last message is chosen: who goes back again and again undoes nothing by Enter
        await until(pilot, lambda: len(host.operations) == 3)
    files = op.Rewind(before_message=2, conversation=False)
    kept = op.Rewind(before_message=2, conversation=False, confirmed_changes="tree1", keep=("train.py", "notes.md"))
    assert host.operations == [files, kept, op.Rewind(conversation=False, to_snapshot="c0ffee")]


async def test_the_rewind_of_a_running_turn_says_that_the_turn_is_interrupted() -> None:
    host = scripted(past=(*TALK, *running_turn()))
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        await shown(app, pilot, "The turn that runs is interrupted.")


async def test_enter_on_the_question_rewinds_nothing() -> None:
    host = scripted(past=TALK, play=rewinds(PLAN))
    async with running(host, size=(100, 40)) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        await pilot.press("enter", "enter")
        await shown(app, pilot, "Go back?")
        await pilot.press("enter")
        await settled(app, pilot, host)
        assert app.composer.text == ""
    assert host.operations == [op.Rewind(before_message=2)]


async def test_files_that_changed_meanwhile_are_shown_anew() -> None:
    again = RewindPlanned(before_message=2, conversation=True, files=True, confirm="tree2", restored=("other.py",))
    host = scripted(past=TALK, play=rewinds(PLAN, again, RewindComplete(before_message=2, conversation=True, files=True)))
    async with running(host, size=(100, 40)) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        await pilot.press("enter", "enter")
        await shown(app, pilot, "Go back?")
        await pilot.press("y")
        await shown(app, pilot, "other.py")
        await pilot.press("y")
        await until(pilot, lambda: app.composer.text == "three plums")
    assert [o.confirmed_changes for o in host.operations if isinstance(o, op.Rewind)] == [None, "tree1", "tree2"]


async def test_the_conversation_alone_goes_back_at_once() -> None:
    host = scripted(past=TALK)
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        await pilot.press("enter")
        await shown(app, pilot, "the conversation only")
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(host.operations))
    assert host.operations == [op.Rewind(before_message=2, files=False, confirmed_changes="")]


async def test_messages_that_were_taken_back_are_not_offered() -> None:
    host = scripted(past=(*TALK, e.UndoComplete(cut_seq=3)))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/rewind")
        text = await shown(app, pilot, "one apple")
    assert "two pears" not in text

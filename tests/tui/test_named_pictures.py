"""Pictures that the model's Markdown names: each where it stands, or named there and shown below."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ml_intern.frontends.tui.blocks.named_pictures import MOST_PICTURES
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.theme import palette
from ml_intern.protocol import events as e
from tests.tui.scripted import app_on, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION, done, reply


def drawn(text: str) -> list[str]:
    return [row.text for row in Pen(60, palette("ml-intern-dark")).markdown(text)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("The plot: ![loss](plot.png) shows X", ["The plot:", "loss  plot.png", "shows X"]),
        ("![loss](plot.png)", ["loss  plot.png"]),
        ("![](my%20plot.png)", ["picture  my plot.png"]),
        ("One\n![a](a.png)\n![b](b.png)\ntwo\n\nthree", ["One", "a  a.png", "b  b.png", "two", "", "three"]),
        ("**The ![loss](plot.png) plot**", ["The loss (plot.png) plot", "loss  plot.png"]),
        ("- one\n- two ![a](a.png) more\n\nafter", [" • one", " • two a (a.png) more", "a  a.png", "", "after"]),
        ("See ![logo](https://x.org/a.png) here", ["See logo (https://x.org/a.png) here"]),
        ("[![badge](https://x.org/a.png)](https://x.org) here", ["badge (https://x.org) here"]),
        ("See ![dot](data:image/png;base64,AAAA) here", ["See dot here"]),
        ("See ![broken](pl", ["See ![broken](pl"]),
    ],
)
def test_a_picture_in_a_sentence_stands_between_what_is_before_and_after_it(text: str, rows: list[str]) -> None:
    assert drawn(text) == rows


def test_a_picture_in_a_table_is_named_in_its_cell_and_comes_below_the_table() -> None:
    rows = drawn("| run | plot |\n|---|---|\n| 1 | ![a](a.png) |\n| 2 | none |")
    assert [row.split() for row in rows if "a.png" in row] == [["1", "a", "(a.png)"], ["a", "a.png"]]
    assert rows[-1] == "a  a.png"


def test_of_very_many_pictures_the_first_are_drawn_and_the_others_named() -> None:
    rows = drawn(" ".join(f"![p](p{number}.png)" for number in range(MOST_PICTURES + 2)))
    assert rows == [*(f"p  p{number}.png" for number in range(MOST_PICTURES)), "p (p8.png) p (p9.png)"]


async def test_a_picture_that_the_model_names_is_shown_in_its_place_while_the_reply_streams_and_after(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (255, 0, 0)).save(tmp_path / "plot.png")
    host = scripted(past=(e.SessionStarted(session_id=SESSION, cwd=str(tmp_path), model="fake/model"),))
    text = "The plot: ![loss](plot.png) shows X"
    app = app_on(host)
    async with app.run_test(size=(80, 40)) as pilot:
        host.emit(*(e.AssistantChunk(content=piece) for piece in (text[:20], text[20:])))
        while not any("▀" in row for row in screen_text(app)):
            await settled(app, pilot, host)
        streamed = [row.strip() for row in screen_text(app)]
        host.emit(reply(text), done(text))
        await settled(app, pilot, host)
        ended = [row.strip() for row in screen_text(app)]
    for rows in (streamed, ended):
        first, note, after = rows.index("The plot:"), rows.index("loss  plot.png · 40 × 40 pixels"), rows.index("shows X")
        assert (note - first, after - note) == (17, 1)
        assert set(rows[first + 1 : note]) == {"▀" * 32}

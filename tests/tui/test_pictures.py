"""Pictures: what is read of files, what a terminal is sent of them, and what happens while one is loaded."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset, Region
from textual.strip import Strip

from ml_intern.config.settings import Settings
from ml_intern.config.terminal_settings import TerminalSettings
from ml_intern.frontends.tui.pictures.file import MAX_PIXELS, load
from ml_intern.frontends.tui.pictures.gallery import KEPT, PLACE, Gallery, Shown
from ml_intern.frontends.tui.pictures.kitty import CHUNK, placeholders, transmission
from ml_intern.frontends.tui.pictures.overlay import SixelOverlay, standing_in
from ml_intern.frontends.tui.pictures.sixel import encode
from ml_intern.frontends.tui.pictures.wish import Wish
from ml_intern.frontends.tui.terminal.abilities import Way
from ml_intern.frontends.tui.terminal.answers import Answer, Attributes, Background, KittyGraphics, Program
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from tests.tui.scripted import ScriptedHost, app_on, screen_text, scripted, settled
from tests.tui.terminal_pictures import SIXEL, kitty_commands, pixels_of
from tests.unit.frontends.fake_host import SESSION, started

BLACK, RED = (0, 0, 0), (255, 0, 0)


def saved(path: Path, picture: Image.Image, kind: str = "PNG", **options: object) -> str:
    picture.save(path, kind, **options)
    return str(path)


def wish(
    path: Path | str, way: Way = "blocks", *, columns: int = 20, rows: int = 10, background: tuple[int, int, int] | None = BLACK
) -> Wish:
    return Wish(path=str(path), columns=columns, rows=rows, way=way, cell=(10, 20), background=background)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

MODES = {"1": 1, "L": 180, "LA": (180, 255), "P": 0, "RGB": (180, 180, 180), "RGBA": (180, 180, 180, 255), "I;16": 180 * 257}


@pytest.mark.parametrize(("mode", "colour"), MODES.items())
def test_png_of_every_depth_is_drawn(tmp_path: Path, mode: str, colour: int | tuple[int, ...]) -> None:
    picture = Image.new(mode, (8, 8), colour)
    if mode == "P":
        picture.putpalette([180, 180, 180])
    (first, *_), *_ = load(wish(saved(tmp_path / "a.png", picture))).pixels
    assert first == ((255, 255, 255) if mode == "1" else (180, 180, 180))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_the_other_formats_are_drawn(tmp_path: Path, kind: str) -> None:
    loaded = load(wish(saved(tmp_path / "a", Image.new("RGB", (400, 300), RED), kind)))
    assert (loaded.size, loaded.columns, loaded.rows, loaded.problem) == ((400, 300), 20, 8, "")
    assert all(abs(part - whole) < 5 for part, whole in zip(loaded.pixels[3][3], RED, strict=True))


def test_of_a_film_the_first_picture_is_shown(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    assert load(wish(saved(tmp_path / "a.gif", frames[0], "GIF", save_all=True, append_images=frames[1:]))).pixels[0][0] == RED


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load(wish(saved(tmp_path / "a.jpg", Image.new("RGB", (40, 20)), "JPEG", exif=exif))).size == (20, 40)


def test_what_is_transparent_shows_the_background(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGBA", (8, 8), (255, 255, 255, 0)))
    assert load(wish(path, background=(1, 2, 3))).pixels[0][0] == (1, 2, 3)


@given(st.binary(max_size=200), st.sampled_from(("PNG", "JPEG", "WEBP", "GIF")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_a_damaged_file_is_a_reason_and_nothing_else(tmp_path: Path, rubbish: bytes, kind: str) -> None:
    whole = io.BytesIO()
    Image.effect_noise((30, 30), 50).save(whole, kind)
    data = whole.getvalue()
    path = tmp_path / "a"
    for damaged in (rubbish, data[: len(rubbish)], data[:40] + rubbish, data[:60] + rubbish + data[60:]):
        path.write_bytes(damaged)
        loaded = load(wish(path))
        assert bool(loaded.pixels) is not bool(loaded.problem)


def test_a_small_file_that_says_it_is_huge_is_not_unpacked(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    for width, height in ((10_000, MAX_PIXELS // 10_000 + 1), (10_000, 10_000), (60_000, 60_000)):
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))))
        loaded = load(wish(tmp_path / "a.png"))
        assert "pixels" in loaded.problem or "too large" in loaded.problem


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert load(wish(tmp_path / "missing.png")).problem == "No such file or directory"
    assert load(wish(tmp_path)).problem == "Is a directory"


# ── what the terminal is sent ────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_sixels_are_the_picture_again(width: int, height: int, seed: int, colours: int) -> None:
    shades = [((seed >> number) & 255, number * 20, 255 - number * 20) for number in range(colours)]
    data = [shades[(seed >> (at % 29)) % colours] for at in range(width * height)]
    picture = Image.new("RGB", (width, height))
    picture.putdata(data)
    (sixels,) = SIXEL.findall(encode(picture))
    read = [pixel for row in pixels_of(sixels) for pixel in row]
    assert len(read) == width * height
    for pixel, asked in zip(read, data, strict=True):
        assert pixel is not None
        assert max(abs(part - whole) for part, whole in zip(pixel, asked, strict=True)) <= 3  # they say colours in per cent


def test_kitty_is_sent_a_picture_in_small_pieces_and_asked_for_no_answer(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.effect_noise((400, 300), 90).convert("RGB"))
    loaded = load(wish(path, "kitty"))
    (command,) = kitty_commands(transmission(77, loaded.png, loaded.columns, loaded.rows, multiplexed=False))
    assert command.keys == {"a": "T", "U": "1", "q": "2", "f": "100", "i": "77", "c": "20", "r": "8", "m": "1"}
    assert len(command.chunks) > 1
    assert max(command.chunks) <= CHUNK
    with Image.open(io.BytesIO(command.data)) as sent:
        assert (sent.format, sent.size) == ("PNG", (200, 150))


def test_through_tmux_control_data_is_wrapped() -> None:
    wrapped = transmission(77, b"x" * 4000, 2, 1, multiplexed=True)
    parts = wrapped.split("\x1bPtmux;")[1:]
    assert all(part.endswith("\x1b\x1b\\\x1b\\") and part.startswith("\x1b\x1b_G") for part in parts)
    assert [len(command.data) for command in kitty_commands(wrapped.replace("\x1b\x1b", "\x1b"))] == [4000]


def test_placeholders_name_their_place_by_kittys_marks() -> None:
    # rowcolumn-diacritics.txt of the protocol: 0 is U+0305, 1 U+030D, 2 U+030E, 17 U+0363, 30 U+0483, 71 U+06D8
    assert placeholders(1, 3) == "\U0010eeee\u030d\u0305\U0010eeee\u030d\u030d\U0010eeee\u030d\u030e"
    assert placeholders(30, 72)[-3:] == "\U0010eeee\u0483\u06d8"
    assert Strip([Segment(placeholders(17, 72))]).cell_length == 72


# ── the gallery ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class FakeTerminal:
    """Keeps what it is sent; answers when a test says so."""

    written: list[str] = field(default_factory=list)
    asked: str = ""
    ours: bool = True

    def raw(self, text: str) -> bool:
        if self.ours:
            self.written.append(text)
        return self.ours

    def ask(self, questions: str) -> None:
        self.asked += questions

    def cell_pixels(self) -> tuple[int, int] | None:
        return 8, 16

    @property
    def commands(self) -> list[dict[str, str]]:
        return [command.keys for command in kitty_commands("".join(self.written))]


async def there(gallery: Gallery, path: str, *, columns: int = 20) -> Shown:
    loaded = asyncio.Event()
    while (shown := gallery.picture(path, columns, 10, BLACK, loaded.set)) is None:
        await loaded.wait()
    return shown


async def test_a_picture_is_loaded_once_however_many_ask_for_it(tmp_path: Path) -> None:
    path = Path(saved(tmp_path / "a.png", Image.new("RGB", (8, 8), RED)))
    gallery, told, loaded = Gallery(folder=tmp_path), [], asyncio.Event()
    assert gallery.picture("a.png", 20, 10, BLACK, lambda: told.append(1)) is None
    assert gallery.picture("a.png", 20, 10, BLACK, loaded.set) is None
    await loaded.wait()
    path.unlink()
    assert told == [1]
    shown = await there(gallery, "a.png")
    assert [row.text for row in shown.rows] == ["▀" * 8] * 4
    assert shown.note == "8 × 8 pixels"
    await gallery.aclose()


async def test_kitty_gets_each_picture_once_and_forgets_those_that_are_no_longer_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 1):
        saved(tmp_path / f"{number}.png", Image.new("RGB", (8, 8), (number, 0, 0)))
    terminal = FakeTerminal()
    gallery = Gallery(way="kitty", write=terminal.raw, folder=tmp_path)
    shown = [await there(gallery, f"{number}.png") for number in range(KEPT) for _ in range(2)]
    assert [keys["a"] for keys in terminal.commands] == ["T"] * KEPT
    assert len({keys["i"] for keys in terminal.commands}) == KEPT
    await there(gallery, f"{KEPT}.png")
    assert terminal.commands[-1] == {"a": "d", "d": "I", "q": "2", "i": str(shown[0].number)}
    gallery.take_back()
    await gallery.aclose()
    gone = [keys["i"] for keys in terminal.commands if keys["a"] == "d"]
    assert sorted(gone) == sorted(keys["i"] for keys in terminal.commands if keys["a"] == "T")


async def test_an_editor_that_has_the_terminal_in_between_costs_no_picture(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", Image.new("RGB", (8, 8), RED))
    saved(tmp_path / "b.png", Image.new("RGB", (8, 8), BLACK))
    terminal = FakeTerminal()
    gallery = Gallery(way="kitty", write=terminal.raw, folder=tmp_path)
    await there(gallery, "a.png")
    gallery.take_back()
    terminal.ours = False
    await there(gallery, "b.png")
    assert [keys["a"] for keys in terminal.commands] == ["T", "d"]
    terminal.ours = True
    gallery.send_again()
    assert [keys["a"] for keys in terminal.commands] == ["T", "d", "T", "T"]
    await gallery.aclose()


# ── sixels over cells ────────────────────────────────────────────────────────────────────────────────────────────────


def cells(row: int, *, number: int = 5, height: int = 3) -> Strip:
    return Strip([Segment("  "), Segment("▀▀▀▀", Style(meta={PLACE: (number, row, height, 4)}))])


def painted(rows: list[Strip], *, covered: bool = False, known: bool = True) -> list[str]:
    """What is written for those rows of a view that begins in column 10 of row 20."""
    written: list[str] = []
    overlay = SixelOverlay(lambda number: f"<{number}>" * known, written.append)
    overlay.paint(standing_in(rows, Offset(10, 20), lambda _: covered))
    return written


EMPTY = Strip([Segment("      ")])
WHOLE = [EMPTY, cells(0), cells(1), cells(2), EMPTY]


def test_a_sixel_is_painted_over_the_cells_of_its_picture() -> None:
    assert painted(WHOLE) == ["\x1b7\x1b[22;13H<5>\x1b8"]


def test_a_sixel_that_is_cut_off_or_covered_or_forgotten_is_not_painted() -> None:
    assert painted(WHOLE[:3]) == []
    assert painted(WHOLE[2:]) == []
    assert painted(WHOLE, covered=True) == []
    assert painted(WHOLE, known=False) == []


async def test_sixels_are_painted_again_when_the_view_is_drawn_and_not_for_a_clock_that_ticks_elsewhere() -> None:
    written: list[str] = []
    overlay = SixelOverlay(str, written.append)
    standing = ((5, Region(1, 2, 4, 3)),)
    for _ in range(3):
        overlay.displayed(lambda: standing)
    assert len(written) == 1
    overlay.moved()
    for _ in range(3):  # the first is too soon after what was painted; the ticks behind it put nothing off
        overlay.displayed(lambda: standing)
    while len(written) < 2:
        overlay.displayed(lambda: standing)
        await asyncio.sleep(0.01)
    overlay.close()


async def test_a_sixel_that_was_covered_is_painted_when_it_is_free_again() -> None:
    written: list[str] = []
    overlay = SixelOverlay(str, written.append)
    for standing in ((), ((5, Region(1, 2, 4, 3)),)):
        overlay.displayed(lambda standing=standing: standing)
    while not written:
        await asyncio.sleep(0.01)
    overlay.close()


# ── in the conversation ──────────────────────────────────────────────────────────────────────────────────────────────


def showing(folder: Path, host: ScriptedHost) -> None:
    """A call that shows ``plot.png``."""
    host.emit(*started(), e.ToolCalled(tool="read", arguments={"path": "plot.png"}, tool_call_id="1"))
    picture = d.Picture("plot.png", "image/png")
    host.emit(e.ToolFinished(tool="read", tool_call_id="1", output="", success=True, display=(picture,)))


ABLE: dict[Way, tuple[Answer, ...]] = {
    "kitty": (KittyGraphics(True), Program("kitty(0.42.1)"), Attributes(frozenset({62}))),
    "sixel": (Attributes(frozenset({62, 4})),),
    "blocks": (Attributes(frozenset({62})),),
    "link": (),
}


async def shown_in(folder: Path, way: Way, terminal: FakeTerminal, *, until: str) -> list[str]:
    """The rows of the app on that terminal once ``until`` is on its screen; what it wrote is kept by the terminal."""
    saved(folder / "plot.png", Image.new("RGB", (160, 80), RED))
    host = scripted(past=(e.SessionStarted(session_id=SESSION, cwd=str(folder), model="fake/model"),))
    chosen = Settings(terminal=TerminalSettings(pictures="link")) if way == "link" else None
    app = app_on(host, environ={"TERM": "xterm-256color"}, settings=chosen)
    app.console = Console(file=io.StringIO(), color_system="truecolor", force_terminal=True, legacy_windows=False, _environ={})
    app.terminal_open(terminal)
    async with app.run_test(size=(80, 30)) as pilot:
        await settled(app, pilot, host)
        for answer in ABLE[way]:
            app.terminal_answered(answer)
        showing(folder, host)
        while way == "sixel" and not any("\x1bP" in text for text in terminal.written):
            await pilot.pause(0.05)  # to look at the screen draws it, and a view that is drawn is not calm
        while not any(until in row for row in screen_text(app)):
            await settled(app, pilot, host)
        return screen_text(app)


async def test_a_plot_is_shown_in_half_blocks_above_its_link(tmp_path: Path) -> None:
    rows = await shown_in(tmp_path, "blocks", FakeTerminal(), until="▀")
    at = rows.index("    picture  plot.png · 160 × 80 pixels")
    assert {row.strip() for row in rows[at - 16 : at]} == {"▀" * 64}


async def test_a_plot_is_sent_to_kitty_and_named_in_its_cells(tmp_path: Path) -> None:
    terminal = FakeTerminal()
    rows = await shown_in(tmp_path, "kitty", terminal, until="\U0010eeee")
    at = rows.index("    picture  plot.png · 160 × 80 pixels")
    assert [row.strip() for row in rows[at - 5 : at]] == [placeholders(row, 20) for row in range(5)]
    assert [(keys["a"], keys.get("c"), keys.get("r")) for keys in terminal.commands] == [("T", "20", "5")]


async def test_a_plot_is_painted_as_sixels_where_its_cells_stand(tmp_path: Path) -> None:
    terminal = FakeTerminal()
    rows = await shown_in(tmp_path, "sixel", terminal, until="▀")
    first = next(y for y, row in enumerate(rows) if "▀" in row)
    sent = [text for text in terminal.written if "\x1bP" in text]
    assert sent[-1].startswith(f"\x1b7\x1b[{first + 1};5H\x1bP")
    (sixels,) = SIXEL.findall(sent[-1])
    painted = pixels_of(sixels)
    assert (len(painted[0]), len(painted)) == (20 * 8, 5 * 16)
    assert {pixel for row in painted for pixel in row} == {RED}


async def test_a_terminal_that_shows_no_pictures_gets_the_link(tmp_path: Path) -> None:
    terminal = FakeTerminal()
    rows = await shown_in(tmp_path, "link", terminal, until="160 × 80 pixels")
    assert not any("▀" in row for row in rows)
    assert terminal.written == []


async def test_a_picture_that_cannot_be_read_is_a_link_with_the_reason(tmp_path: Path) -> None:
    host = scripted(past=(e.SessionStarted(session_id=SESSION, cwd=str(tmp_path), model="fake/model"),))
    app = app_on(host)
    async with app.run_test(size=(80, 30)) as pilot:
        showing(tmp_path, host)
        while not any("No such file" in row for row in screen_text(app)):
            await settled(app, pilot, host)
        assert "    picture  plot.png · No such file or directory" in screen_text(app)


async def test_colours_follow_the_background_that_the_terminal_says_unless_others_were_chosen() -> None:
    host = scripted()
    app = app_on(host, environ={"TERM": "xterm"})
    app.terminal_open(FakeTerminal())
    async with app.run_test() as pilot:
        await settled(app, pilot, host)
        app.wear("auto")
        app.terminal_answered(Background((250, 250, 240)))
        assert app.theme == "ml-intern-light"
        app.terminal_answered(Background((10, 10, 10)))
        assert app.theme == "ml-intern-dark"
        app.wear("ansi")
        app.terminal_answered(Background((250, 250, 240)))
        assert app.theme == "ml-intern-ansi"
        app.wear("auto")
        assert app.theme == "ml-intern-light"

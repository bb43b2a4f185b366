"""``ml-intern demo`` as a process: a real experiment, whose report says what was measured."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import struct
import sys
from pathlib import Path

import pytest

from ml_intern.protocol.codec import decode_data
from ml_intern.protocol.events import ErrorRaised, SessionStarted, ToolFinished, TurnComplete
from ml_intern.stores.sqlite import SqliteStore

pytest.importorskip("sklearn", reason="the demo extra is not installed")
pytest.importorskip("matplotlib", reason="the demo extra is not installed")


async def _demo(*arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ml_intern", "demo", "--fast", *arguments),
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(300)
async def test_the_demo_trains_compares_and_reports_what_it_measured(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "demo"
    code, out, err = await _demo("--keep", str(folder))
    assert code == 0, err
    results = json.loads((folder / "results.json").read_text())["accuracy"]
    report = (folder / "report.md").read_text()
    _, baseline, candidate = results
    for name, values in results.items():
        measured = f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
        assert len(values) == 8
        assert f"| {name} | {measured} |" in report
        assert f"| {name} | {measured} |" in out
    difference = 100 * (statistics.mean(results[candidate]) - statistics.mean(results[baseline]))
    assert f"{difference:+.2f} points on average" in report
    assert f"{difference:+.2f} points on average" in out
    assert "its words were written beforehand" in err
    assert "HF_TOKEN, ANTHROPIC_API_KEY or OPENAI_API_KEY" in err
    assert not re.search(r"<\w+>", out), "every figure that the script quotes was found in an output"
    _is_a_picture(folder / "plot.png")
    await _the_session_is_kept(home)


def _is_a_picture(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 1000
    assert height > 400
    assert len(data) > 20_000, "something is drawn on it"


async def _the_session_is_kept(home: Path) -> None:
    store = SqliteStore(home / ".local/share/ml-intern/sessions.db")
    record = await store.find("last")
    events = [decode_data(row.type, row.data, row.version) for row in await store.load(record.id)]
    await store.aclose()
    assert isinstance(events[0], SessionStarted)
    assert events[0].model.startswith("scripted/")
    assert [event.reason for event in events if isinstance(event, TurnComplete)] == ["done"]
    assert not [event for event in events if isinstance(event, ErrorRaised)]
    failed = [event for event in events if isinstance(event, ToolFinished) and not event.success]
    assert [re.search("ValueError: .* number of classes", event.output) is not None for event in failed] == [True], "the one honest snag"


async def test_the_demo_overwrites_nobodys_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    code, out, err = await _demo("--keep", str(tmp_path))
    assert (code, out) == (2, "")
    assert "not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


async def test_the_demo_says_how_to_get_the_packages_that_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name in ('sklearn', 'matplotlib') else found(name, package)\n"
    )
    code, out, err = await _demo(environ={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (code, out) == (2, "")
    assert "scikit-learn and matplotlib" in err
    assert "pip install 'ml-intern[demo]'" in err

"""Trackio's local store: one SQLite file per project (https://github.com/gradio-app/trackio, ``sqlite_storage.py``, 0.43). Only read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from ml_intern.config.environ import Environ
from ml_intern.config.paths import expand_home, home_dir
from ml_intern.errors import NotFoundError, ToolError
from ml_intern.gateways.trackio_store import MAX_LOGS, Alert, Log, Run, file_stem, numbers, public_config

WAIT_S = 5.0
MAX_ALERTS = 10_000
T = TypeVar("T")


def trackio_folder(environ: Environ) -> Path:
    """Where Trackio writes on this machine: ``TRACKIO_DIR``, else ``trackio`` in the Hugging Face folder."""
    if own := environ.get("TRACKIO_DIR"):
        return expand_home(own, environ)
    if hf_home := environ.get("HF_HOME"):
        return expand_home(hf_home, environ) / "trackio"
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home_dir(environ) / ".cache") / "huggingface" / "trackio"


class TrackioFolder:
    """A folder of Trackio's. Files are opened for each question and for reading only, so that a training goes on undisturbed."""

    def __init__(self, folder: Path, check: Callable[[Path], object]) -> None:
        """``check`` raises for a file that may not be read; it is asked of each before it is opened, and follows links."""
        self._folder = folder
        self._check = check

    @property
    def place(self) -> str:
        return str(self._folder)

    async def projects(self) -> list[str]:
        return await asyncio.to_thread(self._projects)

    async def runs(self, project: str) -> list[Run]:
        return await self._ask(project, _runs)

    async def details(self, project: str, runs: Sequence[Run]) -> list[Run]:
        return list(runs)

    async def logs(self, project: str, run: Run) -> list[Log]:
        return await self._ask(project, lambda db: _logs(db, run))

    async def alerts(self, project: str, run: Run | None, level: str, since: str) -> list[Alert]:
        return await self._ask(project, lambda db: _alerts(db, run, level, since))

    async def _ask(self, project: str, question: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._answer, project, question)

    def _projects(self) -> list[str]:
        self._demand_folder()
        return sorted(path.stem for path in self._folder.glob("*.db"))

    def _demand_folder(self) -> None:
        if not self._folder.is_dir():
            raise NotFoundError(
                f"There is no project: there is no folder {self._folder}.",
                hint="Nothing was logged there yet, or Trackio's folder (TRACKIO_DIR) is another: give folder, or space_id for a Space.",
            )

    def _answer(self, project: str, question: Callable[[sqlite3.Connection], T]) -> T:
        path = self._folder / f"{file_stem(project)}.db"
        if not path.is_file():
            self._demand_folder()
            raise NotFoundError(f"Trackio has no project '{project}' in {self._folder}.", hint="Operation projects lists them.")
        self._check(path)
        try:
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=WAIT_S)) as db:
                db.row_factory = sqlite3.Row
                return question(db)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise ToolError(f"{path} cannot be read as a project of Trackio: {error}.") from error


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {str(row["name"]) for row in db.execute(f"PRAGMA table_info({table})")}


def _identity(columns: set[str]) -> str:
    """Files of early versions know runs by name alone."""
    return "run_id" if "run_id" in columns else "run_name"


def _runs(db: sqlite3.Connection) -> list[Run]:
    columns = _columns(db, "metrics")
    if not columns:
        return []
    key = _identity(columns)
    configs = _configs(db)
    rows = db.execute(
        f"SELECT {key} AS id, MAX(run_name) AS name, MIN(timestamp) AS at, COUNT(*) AS logs, MAX(step) AS step "
        f"FROM metrics GROUP BY {key} ORDER BY MIN(id)"
    )
    return [
        Run(
            id=row["id"], name=row["name"], created_at=row["at"], logs=row["logs"], last_step=row["step"], config=configs.get(row["id"], {})
        )
        for row in rows
    ]


def _configs(db: sqlite3.Connection) -> dict[str, dict[str, object]]:
    columns = _columns(db, "configs")
    if not columns:
        return {}
    rows = db.execute(f"SELECT {_identity(columns)} AS id, config FROM configs")
    return {row["id"]: public_config(_object(row["config"])) for row in rows}


def _logs(db: sqlite3.Connection, run: Run) -> list[Log]:
    key = _identity(_columns(db, "metrics"))
    # The newest, should there be more than anybody reads.
    rows = db.execute(f"SELECT step, timestamp, metrics FROM metrics WHERE {key} = ? ORDER BY id DESC LIMIT ?", (run.id, MAX_LOGS))
    logs = [Log(step=row["step"], at=row["timestamp"], values=numbers(_object(row["metrics"]))) for row in rows]
    logs.reverse()
    return logs


def _alerts(db: sqlite3.Connection, run: Run | None, level: str, since: str) -> list[Alert]:
    columns = _columns(db, "alerts")
    if not columns:
        return []
    wanted = {f"{_identity(columns)} = ?": run.id if run else "", "level = ?": level, "timestamp > ?": since}
    asked = {condition: value for condition, value in wanted.items() if value}
    where = f"WHERE {' AND '.join(asked)}" if asked else ""
    rows = db.execute(f"SELECT * FROM alerts {where} ORDER BY timestamp DESC LIMIT ?", (*asked.values(), MAX_ALERTS))
    return [
        Alert(at=row["timestamp"], run=row["run_name"], title=row["title"], text=row["text"] or "", level=row["level"], step=row["step"])
        for row in rows
    ]


def _object(stored: str | bytes) -> Mapping[str, object]:
    return msgspec.json.decode(stored, type=dict[str, object])

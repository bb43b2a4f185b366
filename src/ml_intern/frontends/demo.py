"""``ml-intern demo``: a scripted model drives the real loop and the real tools through a small, honest experiment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.headless.options import Host

MODEL = "scripted/demo"
TASK = """Is an SVM worth it for recognising handwritten digits?
Compare it with simpler baselines, and write a report with a plot."""
NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}
RESULTS = ("report.md", "plot.png")

_ABOUT = """\
A demo. The model is a script ({model}): its words were written beforehand.
The loop, the tools, the training and every figure are real.

  folder  {folder}
  task    {task}
"""
_REAL_MODEL = """\
To work with a real model, set HF_TOKEN, ANTHROPIC_API_KEY or OPENAI_API_KEY, or
start a local server (Ollama, vLLM, llama.cpp, LM Studio). Then say what you want:

  ml-intern "Compare two classifiers on data.csv and write a report"
  ml-intern doctor      shows what is set up and what is missing
"""


@click.command("demo", help="Watch a scripted model do a small ML task with the real loop and tools. Needs no key, costs nothing.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Work in DIR (new or empty).")
@click.option("--fast", is_flag=True, help="Without the pauses that let you read along.")
@click.pass_context
def demo_command(ctx: click.Context, keep: Path | None, fast: bool) -> int:
    """The exit code: that of the run, or 1 when it left no report."""
    import asyncio

    from ml_intern.frontends.cli import Invocation
    from ml_intern.frontends.headless import HeadlessOptions, run_headless

    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    flags = invocation.options
    _check_packages()
    folder = _folder(keep)
    loaded = _settings(folder, fast=fast, sandbox=not flags.get("no_sandbox"))
    opened: list[str] = []

    async def open_host(*, loaded: LoadedSettings, resume: str | None, auto_approve: bool, read_only: bool) -> Host:
        host = await invocation.open_session(loaded=loaded, resume=resume, auto_approve=auto_approve, read_only=read_only)
        opened.append(host.session_id)
        return host

    click.echo(_ABOUT.format(model=MODEL, folder=folder, task=TASK.replace("\n", "\n" + " " * 10)), err=True)
    options = HeadlessOptions(prompt=TASK, json=bool(flags.get("json")), verbose=bool(flags.get("verbose")))
    code = asyncio.run(run_headless(open_host, loaded, options))
    return _conclusion(code, folder, opened)


def _check_packages() -> None:
    from importlib.util import find_spec

    from ml_intern.errors import ConfigError

    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"The demo trains a real model and needs {' and '.join(missing)}.",
            hint="Install with  pip install 'ml-intern[demo]'  or, in a checkout,  uv sync --extra demo",
        )


def _folder(keep: Path | None) -> Path:
    if keep is None:
        import tempfile

        return Path(tempfile.mkdtemp(prefix="ml-intern-demo-")).resolve()
    if keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"The folder {keep} is not empty: the demo writes into a new or an empty one.")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _settings(folder: Path, *, fast: bool, sandbox: bool) -> LoadedSettings:
    """Nothing of the user's settings but where sessions are kept: the demo must run the same everywhere."""
    from ml_intern.config.load import load_settings, process_environ

    environ = dict(process_environ())
    # The commands say `python`: this one, for it has the packages.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    environ["MPLCONFIGDIR"] = str(folder / ".cache" / "matplotlib")  # the home folder is read-only inside the sandbox
    environ["OMP_NUM_THREADS"] = "1"  # so little data is slower with more: they would wait for one another
    flags: dict[str, object] = {
        "model_name": _unhurried(folder) if fast else MODEL,
        # Whoever starts the demo wants its scripts to run, also where the system has no sandbox.
        "permissions.allow": ["bash(python *)"],
    }
    if not sandbox:
        flags["sandbox.enabled"] = False
    return load_settings(frontend="cli", cwd=folder, environ=environ, flags=flags, include_user=False)


def _unhurried(folder: Path) -> str:
    """The model id of a copy of the script that waits for nobody."""
    from importlib.resources import files

    script = files("ml_intern.testing").joinpath("scripts", "demo.yaml").read_text(encoding="utf-8")
    rows = [row for row in script.splitlines() if not row.strip().startswith(("delay_s:", "piece_delay_s:"))]
    copy = folder / ".cache" / "demo.yaml"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"scripted/{os.path.relpath(copy)}"  # an id has no empty parts, so no absolute path


def _conclusion(code: int, folder: Path, opened: list[str]) -> int:
    missing = [name for name in RESULTS if not (folder / name).is_file()]
    if code == 0 and missing:
        click.echo(f"The demo left no {' and no '.join(missing)}: something failed on the way, see above.", err=True)
        code = 1
    rows = [(name.partition(".")[0], folder / name) for name in RESULTS if name not in missing]
    if rows or opened:
        click.echo(err=True)
    for what, path in rows:
        click.echo(f"  {what:8}{path}", err=True)
    for session_id in opened:
        click.echo(f"  {'session':8}ml-intern sessions show {session_id[:8]}", err=True)
    click.echo(f"\n{_REAL_MODEL}", err=True)
    return code

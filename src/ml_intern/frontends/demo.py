"""``ml-intern demo``: a scripted model drives the real loop and the real tools through a small, honest piece of work.

There are two stories. The plain one compares classifiers in a folder. ``--offline-hub`` fine-tunes a model, from the paper to the card,
against services on loopback (``ml_intern.testing.fake_world``): no key, no internet, no money.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.headless.options import Host, Progress
    from ml_intern.frontends.invocation import Invocation
    from ml_intern.protocol.codec import Envelope
    from ml_intern.protocol.operations import AnyOperation
    from ml_intern.testing.fake_world import FakeWorld

CAP_USD = 0.25
"""What the story on the fake Hub may spend, of money that is as fake as the Hub."""
_ABOUT_DIGITS = """\
A demo. The model is a script ({model}): its words were written beforehand.
The loop, the tools, the training and every figure are real.

  folder  {folder}
  task    {task}
"""
_ABOUT_HUB = """\
A demo. The model is a script ({model}): its words were written beforehand.
The Hub is fake too, and so are the paper, the dataset, the base model and GitHub:
they are small servers on this machine, made up for this story. No account, no money
and no internet are used. The loop, the tools, the Hugging Face client, the training
job (a process of this machine) and every figure are real.

  folder  {folder}
  task    {task}
  cap     ${cap:g} of the fake Hub's money; what stays below it is approved by itself
"""
_REAL_MODEL = """\
To work with a real model, set HF_TOKEN, ANTHROPIC_API_KEY or OPENAI_API_KEY, or
start a local server (Ollama, vLLM, llama.cpp, LM Studio). Then say what you want:

  ml-intern "Compare two classifiers on data.csv and write a report"
  ml-intern doctor      shows what is set up and what is missing
"""
_OF_THE_REAL_ONES = re.compile(r"HF_.*|HUGGING.*|GITHUB_TOKEN|GH_TOKEN|S2_API_KEY")
"""Variables that tell clients how to use the user's accounts: the fake services must not see them."""


class Story(Struct, frozen=True, kw_only=True):
    """``script`` is played. ``needed`` maps modules of its own scripts to packages; ``results``: the files that it leaves."""

    script: str
    task: str
    about: str
    needed: Mapping[str, str]
    results: Mapping[str, str]

    @property
    def model(self) -> str:
        """The id of the model that plays it."""
        return f"scripted/{self.script}"


DIGITS = Story(
    script="demo",
    task="Is an SVM worth it for recognising handwritten digits?\nCompare it with simpler baselines, and write a report with a plot.",
    about=_ABOUT_DIGITS,
    needed={"sklearn": "scikit-learn", "matplotlib": "matplotlib"},
    results={"report": "report.md", "plot": "plot.png"},
)
OFFLINE_HUB = Story(
    script="offline_hub",
    task="Fine-tune a model that says which team answers a support message (acme/support-messages).\n"
    "Rare messages matter. Train it as a job on the Hub, and push it with a card.",
    about=_ABOUT_HUB,
    needed={"numpy": "numpy"},
    results={
        "script": "train.py",
        "card": "hub/demo/support-router/README.md",
        "model": "hub/demo/support-router/model.safetensors",
    },
)


@click.command("demo", help="Watch a scripted model do a small ML task with the real loop and tools. Needs no key, costs nothing.")
@click.option("--offline-hub", is_flag=True, help="Fine-tune from paper to model card, against a fake Hub on this machine.")
@click.option("--lose-machine", is_flag=True, help="With --offline-hub: the job's machine is lost half-way. See how that is told.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Work in DIR (new or empty).")
@click.option("--fast", is_flag=True, help="Without the pauses that let you read along.")
@click.pass_context
def demo_command(ctx: click.Context, offline_hub: bool, lose_machine: bool, keep: Path | None, fast: bool) -> int:
    """The exit code: that of the run, or 1 when it did not leave what it should."""
    from ml_intern.frontends.invocation import Invocation

    if lose_machine and not offline_hub:
        raise click.UsageError("--lose-machine goes with --offline-hub.")
    story = OFFLINE_HUB if offline_hub else DIGITS
    _check_packages(story.needed)
    if offline_hub:
        _check_online()
    folder = _folder(keep)
    run = _Run(Invocation.of(ctx), story, folder, fast=fast)
    with _world(lose_machine) if offline_hub else nullcontext() as world:
        code = run.play(world)
    return run.conclude(code)


class _Run:
    """One story, played in one folder."""

    def __init__(self, invocation: Invocation, story: Story, folder: Path, *, fast: bool) -> None:
        self._invocation = invocation
        self._story = story
        self._folder = folder
        self._fast = fast
        self._hosts: list[Overheard] = []
        self._more: list[tuple[str, str]] = []
        given: float | None = invocation.options.get("max_cost")
        self._cap_usd = CAP_USD if given is None else given

    def play(self, world: FakeWorld | None) -> int:
        """The exit code of the run. What was put on the fake Hub is in the folder afterwards."""
        import asyncio

        from ml_intern.frontends.headless.options import HeadlessOptions
        from ml_intern.frontends.headless.run import run_headless

        story, flags = self._story, self._invocation.options
        loaded = self._settings(world)
        shown = story.task.replace("\n", "\n" + " " * 10)
        click.echo(story.about.format(model=story.model, folder=self._folder, task=shown, cap=self._cap_usd), err=True)
        as_json, verbose = bool(flags.get("json")), bool(flags.get("verbose"))
        options = HeadlessOptions(prompt=story.task, json=as_json, verbose=verbose, resumable=False)
        code = asyncio.run(run_headless(self._open, loaded, options))
        if world is not None:
            self._more += [("log", str(path)) for path in world.keep(self._folder / "hub") if path.suffix == ".log"]
        return code

    async def _open(self, *, loaded: LoadedSettings, resume: str | None, auto_approve: bool, read_only: bool) -> Host:
        host = await self._invocation.open_session(loaded=loaded, resume=resume, auto_approve=auto_approve, read_only=read_only)
        overheard = Overheard(host)
        self._hosts.append(overheard)
        return overheard

    def _settings(self, world: FakeWorld | None) -> LoadedSettings:
        """Nothing of the user's settings but where sessions are kept: the demo must run the same everywhere."""
        from ml_intern.config.load import load_settings, process_environ

        folder = self._folder
        environ = dict(process_environ())
        # The commands say `python`: this one, for it has the packages.
        environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
        environ["MPLCONFIGDIR"] = str(folder / ".cache" / "matplotlib")  # the home folder is read-only inside the sandbox
        environ["OMP_NUM_THREADS"] = "1"  # so little data is slower with more: they would wait for one another
        flags: dict[str, object] = {
            "model_name": _unhurried(self._story, folder) if self._fast else self._story.model,
            # Whoever starts the demo wants its scripts to run, also where the system has no sandbox.
            "permissions.allow": ["bash(python *)", "inspect_package"],
        }
        if self._invocation.options.get("no_sandbox"):
            flags["sandbox.enabled"] = False
        if world is not None:
            environ = {name: value for name, value in environ.items() if not _OF_THE_REAL_ONES.fullmatch(name)}
            environ |= {"XDG_CACHE_HOME": str(folder / ".cache"), **world.variables(folder / ".cache")}
            flags |= {"max_cost_usd": self._cap_usd, **world.settings}
        return load_settings(frontend="cli", cwd=folder, environ=environ, flags=flags, include_user=False)

    def conclude(self, code: int) -> int:
        """Say what is where, and what it cost."""
        results = {what: self._folder / name for what, name in self._story.results.items()}
        missing = [path.name for path in results.values() if not path.is_file()]
        if code == 0 and missing:
            click.echo(f"The demo left no {' and no '.join(missing)}: something failed on the way, see above.", err=True)
            code = 1
        rows = [(what, str(path)) for what, path in results.items() if path.is_file()]
        rows += self._more
        rows += [("money", host.money) for host in self._hosts if host.money]
        rows += [("session", f"ml-intern sessions show {short_id(host.session_id)}") for host in self._hosts]
        if rows:
            click.echo(err=True)
        for what, shown in rows:
            click.echo(f"  {what:8}{shown}", err=True)
        click.echo(f"\n{_REAL_MODEL}", err=True)
        return code


class Overheard:
    """A session whose money is counted as it goes by."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reserved: dict[str, float] = {}
        self._settled: dict[str, float] = {}

    @property
    def money(self) -> str:
        """What was set aside, and what it came to; empty when nothing cost anything."""
        if not self._reserved:
            return ""
        reserved, settled = sum(self._reserved.values()), sum(self._settled.values())
        still = len(self._reserved.keys() - self._settled.keys())
        open_words = f", {still} of {len(self._reserved)} not settled: the fake Hub ended first" if still else ""
        return f"${reserved:.6f} reserved, ${settled:.6f} settled{open_words} (the fake Hub's prices)"

    @property
    def session_id(self) -> str:
        return self._host.session_id

    @property
    def state(self) -> Progress:
        return self._host.state

    @property
    def busy(self) -> bool:
        return self._host.busy

    @property
    def context_window(self) -> int | None:
        return self._host.context_window

    @property
    def sender(self) -> str:
        """See ``Host``: it is this process's own."""
        return ""

    @property
    def owner(self) -> str:
        """Nobody else: the session was opened here."""
        return ""

    @property
    def last_words(self) -> tuple[str, ...]:
        return self._host.last_words

    async def submit(self, operation: AnyOperation) -> None:
        await self._host.submit(operation)

    async def aclose(self) -> None:
        await self._host.aclose()

    async def events(self, *, after_seq: int | None = None) -> AsyncGenerator[Envelope, None]:
        stream: AsyncIterator[Envelope] = self._host.events(after_seq=after_seq)
        try:
            async for envelope in stream:
                self._count(envelope)
                yield envelope
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    def _count(self, envelope: Envelope) -> None:
        match envelope.event:
            case BudgetReserved(reservation_id=key, amount_usd=amount):
                self._reserved[key] = amount
            case BudgetSettled(reservation_id=key, actual_usd=actual):
                self._settled[key] = self._reserved.get(key, 0.0) if actual is None else actual
            case _:
                pass


def _world(lose_machine: bool) -> FakeWorld:
    from ml_intern.testing.fake_world import FakeWorld

    world = FakeWorld()
    if lose_machine:  # once it has begun to train
        world.hub.jobs.machines_lost_after.append(12)
    return world


def _check_packages(needed: Mapping[str, str]) -> None:
    from importlib.util import find_spec

    from ml_intern.errors import ConfigError

    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"The demo trains a real model and needs {' and '.join(missing)}.",
            hint="Install with  pip install 'ml-intern[demo]'  or, in a checkout,  uv sync --extra demo",
        )


def _check_online() -> None:
    """The library reads this variable of the process when it is imported, and then speaks to no Hub, ours on this machine included."""
    from ml_intern.config.load import process_environ
    from ml_intern.errors import ConfigError

    if (process_environ().get("HF_HUB_OFFLINE") or "").upper() in ("1", "ON", "YES", "TRUE"):
        hint = "Start it as  HF_HUB_OFFLINE=0 ml-intern demo --offline-hub : it uses no internet anyway."
        raise ConfigError("HF_HUB_OFFLINE is set, so the Hugging Face client would refuse the demo's Hub too.", hint=hint)


def _folder(keep: Path | None) -> Path:
    if keep is None:
        import tempfile

        return Path(tempfile.mkdtemp(prefix="ml-intern-demo-")).resolve()
    if keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"The folder {keep} is not empty: the demo writes into a new or an empty one.")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _unhurried(story: Story, folder: Path) -> str:
    """The model id of a copy of the script that waits for nobody."""
    from importlib.resources import files

    from ml_intern.models.scripted import HURRIED

    script = files("ml_intern.testing").joinpath("scripts", f"{story.script}.yaml").read_text(encoding="utf-8")
    rows = [row for row in script.splitlines() if not row.strip().startswith(("delay_s:", "piece_delay_s:"))]
    copy = folder / ".cache" / f"{story.script}{HURRIED}"
    copy.parent.mkdir(exist_ok=True)
    copy.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"scripted/{os.path.relpath(copy)}"  # an id has no empty parts, so no absolute path

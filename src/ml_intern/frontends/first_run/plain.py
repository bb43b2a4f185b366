"""The first run in plain text: a few lines on standard error, two questions at most, and Ctrl-C leaves at any of them."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Protocol

import click

from ml_intern.config.load import LoadedSettings, hf_token
from ml_intern.config.secret import SecretStr
from ml_intern.frontends.first_run.due import asks_about_traces, has_key, mark_asked
from ml_intern.frontends.first_run.steps import (
    MOST_TRIES,
    TOKEN_PAGE,
    Found,
    TokenCheck,
    check_token,
    found_token,
    keep,
    look,
    share_traces,
)
from ml_intern.frontends.sanitize import plain
from ml_intern.models.key_check import MAKERS, Maker
from ml_intern.models.routes import HF_TOKEN

LATER = "`ml-intern setup` asks again."
NARROWEST = 20


class Talk(Protocol):
    """Whoever is asked. Both raise ``KeyboardInterrupt``; at the end of input the answer is empty, or None."""

    def say(self, text: str) -> None: ...

    def secret(self, prompt: str) -> str: ...

    def yes_or_no(self, prompt: str) -> bool | None: ...


class TerminalTalk:
    """Standard error and the keyboard."""

    def say(self, text: str) -> None:
        """Broken at words only: an address in two rows is none."""
        columns = max(shutil.get_terminal_size().columns, NARROWEST)
        for row in plain(text).split("\n"):
            indent = " " * (len(row) - len(row.lstrip(" ")))
            broken = textwrap.wrap(row, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
            click.echo("\n".join(broken), err=True)

    def secret(self, prompt: str) -> str:
        """What is typed is not shown."""
        try:
            return getpass.getpass(prompt, stream=sys.stderr).strip()
        except EOFError:
            click.echo(err=True)
            return ""

    def yes_or_no(self, prompt: str) -> bool | None:
        """Enter alone means no; None: nobody answers any more."""
        for _ in range(MOST_TRIES):
            click.echo(f"{prompt} [y/N] ", nl=False, err=True)
            typed = sys.stdin.readline()
            if not typed:
                click.echo(err=True)
                return None
            if (word := typed.strip().lower()) in ("y", "yes", "n", "no", ""):
                return word in ("y", "yes")
        return False


def set_up(loaded: LoadedSettings, talk: Talk, *, again: bool = False, makers: Sequence[Maker] = MAKERS) -> None:
    """Ask what is missing; ``again``: the user wants to be asked, whatever is there. Raises ``click.Abort`` when they leave.

    A key is asked for at every start as long as there is no model to work with, traces are asked about once.
    """
    try:
        if again or not has_key(loaded):
            found = asyncio.run(look(loaded))
            if again or not found.ready:  # a local server that answers is enough
                _greet(loaded, found, talk)
                _ask_for_key(loaded, found, talk, makers)
        elif asks_about_traces(loaded) and (token := asyncio.run(found_token(loaded))):
            talk.say(f"Found {token}")
        # Asked once, so not before there is an account to share them with.
        if asks_about_traces(loaded) or (again and hf_token(loaded.environ) is not None):
            _ask_about_traces(loaded, talk)
    except KeyboardInterrupt:
        talk.say(f"\nLeft. {LATER}")
        raise click.Abort from None


def _greet(loaded: LoadedSettings, found: Found, talk: Talk) -> None:
    talk.say("Setting up ml-intern. Ctrl-C leaves at any question.")
    if found.keys:
        talk.say(f"  found in the environment: {', '.join(found.keys)}")
    for variable, place in found.kept:
        talk.say(f"  found {variable}: in {place}")
    if token := asyncio.run(found_token(loaded)):
        talk.say(f"  found {token}")
    for model_id in found.local_models:
        talk.say(f"  found a local server: {model_id}")


def _ask_for_key(loaded: LoadedSettings, found: Found, talk: Talk, makers: Sequence[Maker]) -> None:
    if found.token_from:
        talk.say("A token that you paste here is used in place of that one, unless HF_TOKEN is set.")
    others = ", ".join(maker.name for maker in makers[:-1])
    talk.say(f"A Hugging Face token opens models, jobs and the Hub; make one at {TOKEN_PAGE}")
    talk.say(f"A key of {others} or {makers[-1].name} can be pasted in its place: it opens models alone.")
    for _ in range(MOST_TRIES):
        text = talk.secret("Token or key (not shown; Enter alone: none): ")
        if not text:
            if not found.ready:
                talk.say(f"Without one there is no model, unless a local server runs. {LATER} `ml-intern demo` needs none.")
            return
        check = asyncio.run(check_token(loaded, text, makers))
        if check.problem:
            talk.say(check.problem)
        if check.token is not None and (not check.unchecked or talk.yes_or_no("Keep it unchecked?")):
            _keep(loaded, check, check.token, talk)
            return
    talk.say(f"That was {MOST_TRIES} times. {LATER}")


def _keep(loaded: LoadedSettings, check: TokenCheck, token: SecretStr, talk: Talk) -> None:
    where = asyncio.run(keep(loaded, token, check.variable))
    what = "token" if check.variable == HF_TOKEN else f"key ({check.variable})"
    talk.say(f"{f'Hello {check.user}. ' if check.user else ''}The {what} is kept in {where}.")


def _ask_about_traces(loaded: LoadedSettings, talk: Talk) -> None:
    """Once, whatever the answer is: also none, or Ctrl-C."""
    mark_asked(loaded)
    talk.say("Sessions can be uploaded, scrubbed of secrets, to a private dataset of yours on the Hub. Off unless you say yes.")
    answer = talk.yes_or_no("Share traces?")
    if answer is not None:
        share_traces(loaded, answer)
        talk.say(f"Trace sharing is {'on' if answer else 'off'}; /share-traces in the app changes it.")

"""``ml-intern setup``: the questions of the first run, again."""

from __future__ import annotations

import sys

import click

from ml_intern.config.kept_token import KEPT, forget_token
from ml_intern.frontends.first_run.plain import TerminalTalk, set_up
from ml_intern.frontends.invocation import Invocation


@click.command("setup")
@click.option("--forget", "--forget-token", "forget", is_flag=True, help="Remove every key that was given to ml-intern, and ask nothing.")
@click.pass_context
def setup_command(ctx: click.Context, forget: bool) -> None:
    """Find what is there, take a Hugging Face token or a key of a model's maker, ask about trace sharing."""
    loaded = Invocation.of(ctx).load()
    if forget:
        removed = [variable for variable in KEPT if forget_token(loaded.environ, variable)]
        click.echo(f"Removed: {', '.join(removed)}." if removed else "There was no key of ml-intern's own.", err=True)
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("There is nobody to ask: standard input or error is no terminal. Set HF_TOKEN instead.")
    set_up(loaded, TerminalTalk(), again=True)

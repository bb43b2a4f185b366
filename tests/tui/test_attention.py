"""How the app calls its user: the bell, and a notification where the terminal is known to show one."""

from __future__ import annotations

import pytest

from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.cards.attention import Attention
from ml_intern.protocol import events as e
from tests.tui.scripted import envelopes, running, scripted

QUESTION = e.QuestionAsked(question_id="q", question="Which data?")
BARE = "\x1b]9;ml-intern asks: Which data?\x07"
WRAPPED = "\x1bPtmux;\x1b\x1b]9;ml-intern asks: Which data?\x07\x1b\\"


@pytest.mark.parametrize(
    ("how", "environ", "written"),
    [
        ("auto", {"TERM": "xterm-kitty"}, BARE),
        ("auto", {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, BARE),
        ("auto", {"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0", "KITTY_WINDOW_ID": "1"}, WRAPPED),
        ("auto", {"TERM": "xterm-256color"}, ""),
        ("auto", {"TERM": "linux"}, ""),
        ("desktop", {"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, WRAPPED),
        ("bell", {"TERM": "xterm-kitty"}, ""),
    ],
)
async def test_a_notification_goes_where_the_terminal_shows_it_also_through_tmux(how: str, environ: dict[str, str], written: str) -> None:
    host = scripted()
    async with running(host, environ=environ) as (app, _):
        sent: list[str] = []
        reader = Attention(app, how, write=sent.append)
        (question,) = envelopes(QUESTION)
        reader.read(question, live=True)
    assert "".join(sent) == written


def test_unless_the_user_says_otherwise_it_does_both_where_that_works() -> None:
    assert Settings().terminal_notifications == "auto"

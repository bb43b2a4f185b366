"""``/share-traces``: whether traces of sessions are shared, what would go out, who can see it, and changing that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ml_intern.frontends.commands.traces import OpenedTraces, exposure_lines, opened_traces
from ml_intern.frontends.first_run import steps
from ml_intern.frontends.tui.screens.questions import Confirm
from ml_intern.protocol import operations as op
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.gateways.hub.traces import TraceRepo

WANTED = ("on", "off", "public", "private")
_ON = "This session is sent, from its beginning, when its next turn ends."
_OFF = "Nothing of this session goes out any more, from now on."
_ELSEWHERE = "Sessions that other terminals have open keep to what they began with."


async def share_traces(app: TuiApp, rest: str) -> None:
    """``/share-traces [on|off|public|private]``; without a word it shows how it is, and asks where sharing is off."""
    if rest not in ("", *WANTED):
        app.say(f"'{rest}' is nothing that /share-traces knows.", hint=f"/share-traces {', '.join(WANTED)}", bad=True)
        return
    if rest == "off":
        await _set(app, False)
        return
    async with opened_traces(app.loaded) as world:
        from ml_intern.session.trace_sharing import own_dataset

        with app.hinting("asking the Hub …"):
            repo_id = await own_dataset(app.loaded.settings, world.sharing.hub)
            repo = await world.sharing.hub.find(repo_id)
            sessions = len(await world.store.sessions())
        if rest in ("public", "private") and repo is not None:
            await _show_to(app, world, repo, rest)
            return
        if rest == "public":
            app.say(f"{repo_id} is not there yet, so nothing can be made public. It is made with the first upload, private at first.")
        await _ask(app, world, repo, repo_id, sessions)


async def _ask(app: TuiApp, world: OpenedTraces, repo: TraceRepo | None, repo_id: str, sessions: int) -> None:
    """How it is; where sharing is off, whether it shall be on."""
    seen = f"{repo_id}, which is made, private, with the first upload"
    if repo is not None:
        seen = f"{world.sharing.hub.page(repo_id)}, which is {'private' if repo.private else 'public: everybody reads it'}"
    what = f"Sessions go to {seen}. Secrets and pictures are taken out first."
    if app.loaded.settings.share_traces:
        app.say(f"Traces are shared. {what}", hint="/share-traces off ends it; /share-traces public shows first what everybody could read.")
        return
    count = f"Sessions of before, {sessions} of them, stay here until you send them with `ml-intern traces push`."
    if await app.push_screen_wait(Confirm("Share traces of your sessions?", f"{what}\n{_ON}\n{count}\n/share-traces off ends it.")):
        await _set(app, True)
    else:
        app.say(f"Traces are not shared, and nothing was sent. {what}", hint="/share-traces asks again.")


async def _set(app: TuiApp, yes: bool) -> None:
    await asyncio.to_thread(steps.share_traces, app.loaded, yes)
    app.loaded = await asyncio.to_thread(app.loaded.again)
    if app.loaded.settings.share_traces is not yes:
        app.send(op.ReviewTraceSharing())
        app.say("It is in your settings, but something above them says otherwise.", hint="`ml-intern config` shows what.", bad=True)
        return
    app.send(op.ReviewTraceSharing())
    app.say(f"Trace sharing is on. {_ON}" if yes else f"Trace sharing is off. {_OFF}", hint=_ELSEWHERE)


async def _show_to(app: TuiApp, world: OpenedTraces, repo: TraceRepo, rest: str) -> None:
    if rest == "public" and not await _agreed(app, world, repo):
        app.say("Nothing was changed.")
        return
    await world.set_public(repo.repo_id, rest == "public")
    app.say(f"{world.sharing.hub.page(repo.repo_id)} is {rest}.")


async def _agreed(app: TuiApp, world: OpenedTraces, repo: TraceRepo) -> bool:
    from ml_intern.session.trace_exposure import exposure

    with app.hinting("looking at the files …") as change:
        hub, scrubber = world.sharing.hub, world.scrubber
        found = await exposure(hub, repo, scrubber, lambda done, count: change(f"looking at {done} of {counted(count, 'file')} …"))
    told = "\n".join(text for text, _ in exposure_lines(found))
    return await app.push_screen_wait(Confirm("Make all of this visible to everybody?", told))

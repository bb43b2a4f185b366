"""What was spent and on what, and how far the cap will reach, as tables."""

from __future__ import annotations

from datetime import UTC, datetime

from ml_intern.frontends.headless.table import table
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.spending.ledger import Account, Ledger
from ml_intern.frontends.spending.tool_shares import MAIN
from ml_intern.protocol.amounts import at_most, cost, count_text, counted, usd

_NUMBERS = ("calls", "in", "cached", "out", "cost", "set aside")
_TOOL_HEADS = (
    "tokens sent: what the tool's outputs added to the requests to the model, counted again with each request.",
    "model: what that share of the requests cost. started: jobs, sandboxes and research that the tool started, which come on top.",
)
_KINDS = {
    "main": "the conversation",
    "compaction": "summaries",
    "effort_probe": "asking a model for its effort",
    "hf_jobs": "jobs",
    "sandbox": "sandboxes",
}
"""Kinds of calls and reservations in words; others go by their own name."""


def cost_rows(ledger: Ledger, now: datetime | None = None) -> list[Line]:
    """The tables. ``now`` tells how long what runs has been running."""
    rows = [line(("bold", f"Spent: {cost(ledger.spent_usd, ledger.unpriced)}"))]
    if ledger.inherited_usd:
        own = usd(ledger.spent_usd - ledger.inherited_usd)
        rows.append(line(f"Of that, {usd(ledger.inherited_usd)} was spent by the session that this is a fork of, and {own} by this one."))
    if ledger.reserved_usd:
        pace = f"; it costs {usd(ledger.usd_per_minute)} a minute now" if ledger.usd_per_minute else ""
        rows.append(line(f"Set aside, the most that what runs may still cost: {at_most(ledger.reserved_usd)}{pace}"))
    if ledger.unpriced:
        rows.append(
            line(("warn", f"{counted(ledger.unpriced, 'call')} of unknown price: the cost is at least that. Set `prices` of the provider."))
        )
    rows += _forecast(ledger)
    if cached := _cached(ledger):
        rows.append(line(cached))
    if ledger.by_model:
        rows += [line(), line(("bold", "By model")), *_calls(ledger.by_model, "model")]
    if ledger.by_kind:
        kinds = {_KINDS.get(kind, kind.replace("_", " ")): account for kind, account in ledger.by_kind.items()}
        rows += [line(), line(("bold", "By what it was for")), *_calls(kinds, "for")]
    if ledger.by_tool.by_tool:
        rows += [line(), line(("bold", "By tool")), *_tools(ledger)]
        rows += [line(("dim", words)) for words in _TOOL_HEADS]
    if ledger.by_holder:
        rows += [line(), line(("bold", "Jobs, sandboxes, research")), *_holders(ledger, now or datetime.now(UTC))]
        rows.append(line(("dim", "Research is part of its models' cost above; jobs and sandboxes are part of theirs.")))
    return rows


def _cached(ledger: Ledger) -> str:
    read = sum(account.cached_tokens for account in ledger.by_model.values())
    prompt = sum(account.prompt_tokens for account in ledger.by_model.values())
    if not read:
        return ""
    share = f"{read / max(prompt, 1):.0%}"
    return f"From the providers' caches: {count_text(read)} of {count_text(prompt)} tokens that were sent ({share}){_saved(ledger)}"


def _saved(ledger: Ledger) -> str:
    if (saved := ledger.cache_saved_usd) is None:
        return ""
    unknown = f", and of {counted(ledger.unknown_savings, 'call')} nobody knows it" if ledger.unknown_savings else ""
    if saved < 0:
        return f"; writing them cost {usd(-saved)} more than they have spared so far{unknown}"
    return f": that spared {usd(saved)}{unknown}"


def _tools(ledger: Ledger) -> list[Line]:
    shares = ledger.by_tool
    unpriced = ledger.by_kind[MAIN].unpriced if MAIN in ledger.by_kind else 0
    rows = [
        (
            name,
            str(account.calls),
            count_text(account.tokens),
            cost(account.model_usd, unpriced),
            usd(account.own_usd) if account.own_usd else "",
        )
        for name, account in sorted(shares.by_tool.items(), key=lambda item: -(item[1].model_usd + item[1].own_usd))
    ]
    rest = shares.conversation
    rows.append(("the conversation itself", "", count_text(rest.tokens), cost(rest.model_usd, unpriced), ""))
    total = rest.model_usd + sum(account.model_usd for account in shares.by_tool.values())
    rows.append(("together", "", "", cost(total, unpriced), ""))
    heads = ("calls", "tokens sent", "model", "started")
    return table(("tool", *heads), rows, right=heads, widest={"tool": 44})


def _forecast(ledger: Ledger) -> list[Line]:
    if (forecast := ledger.forecast()) is None:
        return [line(("dim", "There is no cap: /yolo 5 or --max-cost 5 sets one of $5."))]
    rows = [line(f"Cap: {usd(ledger.cap_usd or 0.0)}, of which {usd(forecast.remaining_usd)} is left")]
    if forecast.turns is not None:
        time = f", {_hours(forecast.hours)} of work" if forecast.hours is not None else ""
        rows.append(line(("accent", f"At the pace of the last turns that is about {_count(forecast.turns, 'more turn')}{time}.")))
    if forecast.running and forecast.steps is not None:
        time = f", in about {_hours(forecast.minutes / 60)}" if forecast.minutes is not None else ""
        rows.append(
            line(("accent", f"At the pace of the last steps this turn meets it after about {_count(forecast.steps, 'more step')}{time}."))
        )
    return rows


def _count(number: float, noun: str) -> str:
    return counted(round(number), noun) if number >= 3 else f"{number:.1f} {noun}s"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _calls(accounts: dict[str, Account], head: str) -> list[Line]:
    ordered = sorted(accounts.items(), key=lambda item: -(item[1].usd + item[1].reserved_usd))
    rows = [
        (
            name,
            str(account.calls),
            count_text(account.prompt_tokens),
            count_text(account.cached_tokens),
            count_text(account.completion_tokens),
            at_most(account.reserved_usd) if account.reserved_usd > 0 else "",
            cost(account.usd, account.unpriced),
        )
        for name, account in ordered
    ]
    return table((head, "calls", "in", "cached", "out", "set aside", "cost"), rows, right=_NUMBERS, widest={head: 44})


def _note(account: Account, now: datetime) -> str:
    if account.since is None:
        return account.note
    return f"{account.note}, running for {_hours(max((now - account.since).total_seconds(), 0) / 3600)}"


def _holders(ledger: Ledger, now: datetime) -> list[Line]:
    """What each is stands below it: beside it there is no room in a narrow window."""
    accounts = list(ledger.by_holder.items())
    rows = [
        (
            name,
            account.tool,
            usd(account.usd_per_minute) if account.usd_per_minute else "",
            at_most(account.reserved_usd) if account.reserved_usd > 0 else "",
            usd(account.usd),
        )
        for name, account in accounts
    ]
    head, *told = table(("what", "started by", "a minute", "set aside", "cost"), rows, right=(*_NUMBERS, "a minute"), widest={"what": 32})
    notes = [_note(account, now) for _, account in accounts]
    return [head, *(each for row, note in zip(told, notes, strict=True) for each in (row, *([line(("dim", f"  {note}"))] if note else [])))]

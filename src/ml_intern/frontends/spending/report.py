"""What was spent and on what, for programs. Nothing is rounded; what nobody knows is null."""

from __future__ import annotations

from msgspec import Struct

from ml_intern.frontends.spending.ledger import Account, Ledger


class Calls(Struct, frozen=True, kw_only=True):
    """Of one model, or of one purpose; jobs and sandboxes have no tokens."""

    calls: int
    unpriced_calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cache_saved_usd: float
    reserved_usd: float
    cost_usd: float


class Tool(Struct, frozen=True, kw_only=True):
    """``in_steps_usd``: its outputs' share of the steps that carried them; ``beside_usd``: the jobs, sandboxes and research it started."""

    calls: int
    carried_tokens: int
    in_steps_usd: float
    beside_usd: float


class Holder(Struct, frozen=True, kw_only=True):
    """A job, a sandbox or research. ``running_since`` is ISO 8601; ``tool`` started it, empty where nobody knows."""

    tool: str
    note: str
    running_since: str | None
    usd_per_minute: float | None
    reserved_usd: float
    cost_usd: float


class CostReport(Struct, frozen=True, kw_only=True):
    """``cache_saved_usd`` None: nobody knows. ``cost_usd`` leaves out the ``unpriced_calls``.

    ``inherited_usd`` is the part of it that the session had spent that this one is a fork of.
    """

    session: str
    cost_usd: float
    inherited_usd: float
    unpriced_calls: int
    reserved_usd: float
    usd_per_minute: float
    cap_usd: float | None
    remaining_usd: float | None
    cache_saved_usd: float | None
    by_model: dict[str, Calls]
    by_purpose: dict[str, Calls]
    by_tool: dict[str, Tool]
    conversation_usd: float
    """The steps' cost that is no tool's."""
    by_holder: dict[str, Holder]


def report(session_id: str, ledger: Ledger) -> CostReport:
    """The same accounts as the tables."""
    forecast = ledger.forecast()
    return CostReport(
        session=session_id,
        cost_usd=ledger.spent_usd,
        inherited_usd=ledger.inherited_usd,
        unpriced_calls=ledger.unpriced,
        reserved_usd=ledger.reserved_usd,
        usd_per_minute=ledger.usd_per_minute,
        cap_usd=ledger.cap_usd,
        remaining_usd=forecast.remaining_usd if forecast is not None else None,
        cache_saved_usd=ledger.cache_saved_usd,
        by_model={name: _calls(account) for name, account in ledger.by_model.items()},
        by_purpose={name: _calls(account) for name, account in ledger.by_kind.items()},
        by_tool={
            name: Tool(calls=each.calls, carried_tokens=each.tokens, in_steps_usd=each.model_usd, beside_usd=each.own_usd)
            for name, each in ledger.by_tool.by_tool.items()
        },
        conversation_usd=ledger.by_tool.conversation.model_usd,
        by_holder={name: _holder(account) for name, account in ledger.by_holder.items()},
    )


def _calls(account: Account) -> Calls:
    return Calls(
        calls=account.calls,
        unpriced_calls=account.unpriced,
        prompt_tokens=account.prompt_tokens,
        cached_tokens=account.cached_tokens,
        completion_tokens=account.completion_tokens,
        cache_saved_usd=account.cache_saved_usd,
        reserved_usd=account.reserved_usd,
        cost_usd=account.usd,
    )


def _holder(account: Account) -> Holder:
    return Holder(
        tool=account.tool,
        note=account.note,
        running_since=account.since.isoformat() if account.since is not None else None,
        usd_per_minute=account.usd_per_minute,
        reserved_usd=account.reserved_usd,
        cost_usd=account.usd,
    )

"""What one check of ``ml-intern doctor`` found."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Check(NamedTuple):
    """``fix`` is what to do next, as a sentence; empty when all is well."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def ok(name: str, detail: str) -> Check:
    """All is well."""
    return Check(name, "ok", detail)


def warn(name: str, detail: str, fix: str) -> Check:
    """It works, but something is worse than it could be."""
    return Check(name, "warn", detail, fix)


def fail(name: str, detail: str, fix: str) -> Check:
    """A run would not work."""
    return Check(name, "fail", detail, fix)

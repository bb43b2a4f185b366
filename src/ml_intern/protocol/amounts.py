"""Amounts in words, for the user and the model alike: one way to write money, time, sizes and counts."""

from __future__ import annotations


def usd(amount: float) -> str:
    """Two places, and four below ten cents: ``$12.34``, ``$0.40``, ``$0.0123``. Little is not nothing: ``<$0.0001``."""
    if 0 < amount < 0.0001:
        return "<$0.0001"
    return f"${amount:.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def cost(amount: float, unpriced_calls: int) -> str:
    """Unknown is not free: ``unknown`` when no call had a price, ``≥ $0.12`` when some had none."""
    if not unpriced_calls:
        return usd(amount)
    return f"≥ {usd(amount)}" if amount else "unknown"


def spent_and_aside(spent_usd: float, aside_usd: float, unpriced_calls: int) -> str:
    """What is gone, and what runs may cost at most on top: ``$0.40 + ≤$0.13``. What is set aside is not spent."""
    spent = cost(spent_usd, unpriced_calls)
    return f"{spent} + {at_most(aside_usd)}" if aside_usd > 0 else spent


def at_most(amount: float) -> str:
    """Of what is set aside: ``≤$0.13``."""
    return f"≤{usd(amount)}"


def duration(seconds: float) -> str:
    """Such as ``12 ms``, ``0.3 s``, ``42 s``, ``3:07``, ``1:02:03``."""
    if seconds < 0.0995:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{round(seconds)} s" if seconds < 59.5 else clock(seconds)


def clock(seconds: float) -> str:
    """Such as ``0:42``, ``3:07``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span(seconds: float) -> str:
    """For a sentence: ``1 h 02 min``, ``3 min 05 s``, ``12 s``."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"


def size_text(size_bytes: int) -> str:
    """Decimal units, as the Hub and disks count: ``812 B``, ``5.2 kB``, ``640 MB``."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1_000
    return f"{amount:.1f} TB"


def count_text(number: int) -> str:
    """Of tokens, parameters, downloads, in three figures: ``812``, ``12.4k``, ``128k``, ``7.24B``."""
    amount = float(number)
    for unit in ("", "k", "M", "B"):
        if amount < 999.5:
            return f"{amount:.3g}{unit}" if unit else str(number)
        amount /= 1_000
    return f"{amount:.3g}T"


def counted(number: int, noun: str) -> str:
    """With the noun: ``1 turn``, ``1,200 turns``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"

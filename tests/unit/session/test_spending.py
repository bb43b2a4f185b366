from __future__ import annotations

import math

import pytest

from ml_intern.session.state import Spending


@pytest.mark.parametrize("amount_usd", [-5.0, math.inf, -math.inf, math.nan])
def test_what_is_no_amount_of_money_gives_nothing_back_and_counts_as_unpriced(amount_usd: float) -> None:
    spending = Spending(1.0)
    spending.spend("model", 0.25)
    spending.spend("model", amount_usd)
    assert (spending.spent_usd, spending.by_kind["model"], spending.unpriced_calls) == (0.25, 0.25, 1)

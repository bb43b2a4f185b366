"""One way to write amounts; the steps between units are where such functions go wrong."""

from __future__ import annotations

import pytest

from ml_intern.protocol.amounts import clock, cost, count_text, counted, duration, size_text, span, usd


@pytest.mark.parametrize(("amount", "words"), [(0, "$0.00"), (4e-5, "<$0.0001"), (0.0123, "$0.0123"), (0.1, "$0.10"), (12.34, "$12.34")])
def test_money_has_more_places_where_they_say_something(amount: float, words: str) -> None:
    assert usd(amount) == words


@pytest.mark.parametrize(("amount", "unpriced", "words"), [(0.5, 0, "$0.50"), (0.5, 2, "≥ $0.50"), (0, 2, "unknown"), (0, 0, "$0.00")])
def test_what_has_no_price_is_not_free(amount: float, unpriced: int, words: str) -> None:
    assert cost(amount, unpriced) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.012, "12 ms"),
        (0.0995, "0.1 s"),
        (9.94, "9.9 s"),
        (9.95, "10 s"),
        (59.4, "59 s"),
        (59.5, "1:00"),
        (187, "3:07"),
        (3723, "1:02:03"),
    ],
)
def test_durations_of_a_screen(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (42, "0:42"), (3599.6, "1:00:00")])
def test_a_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(12.9, "12 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")])
def test_durations_in_a_sentence(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (3_100_000_000, "3.1 GB"),
        (2_000_000_000_000, "2.0 TB"),
    ],
)
def test_sizes_are_told_in_decimal_units(size: int, words: str) -> None:
    assert size_text(size) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (999, "999"), (1_000, "1k"), (12_430, "12.4k"), (999_600, "1M"), (7_240_000_000, "7.24B"), (3 * 10**12, "3T")],
)
def test_counts_are_told_in_three_figures(number: int, words: str) -> None:
    assert count_text(number) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 turns"), (1, "1 turn"), (2, "2 turns"), (1_200, "1,200 turns")])
def test_a_noun_is_counted(number: int, words: str) -> None:
    assert counted(number, "turn") == words

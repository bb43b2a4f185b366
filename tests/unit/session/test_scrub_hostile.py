"""Scrubbing stands before every append: no text makes it slow, and none ends it."""

from __future__ import annotations

import pytest

from ml_intern.session.scrub import Scrubber

SIZE = 4_000_000


@pytest.mark.timeout(30)
@pytest.mark.parametrize("repeated", ["wandb key ", "eyJ", "eyJ.", "curl -u x ", "machine a.b login "])
def test_a_text_that_repeats_the_beginning_of_a_secret_is_looked_through_once(repeated: str) -> None:
    """With a pattern that starts anew at each of them it took minutes, or hours."""
    text = repeated * (SIZE // len(repeated))
    assert Scrubber().scrub(text) is text


@pytest.mark.parametrize("text", ["where is my private key - on disk?", "-- private key", "a private key\n-----BEGIN CERTIFICATE-----\n"])
def test_the_words_private_key_without_a_key_are_kept(text: str) -> None:
    assert Scrubber().scrub(text) == text


HEAD, BODY, SIGNATURE = "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize("before", ["", "x", "\\n", "a.b.", "eyJ.", "eyJaaaaaaaaaaaa.b."])
def test_a_jwt_is_found_wherever_its_run_of_characters_begins(before: str) -> None:
    scrubbed = Scrubber().scrub(f"see {before}{HEAD}.{BODY}.{SIGNATURE} there")
    assert scrubbed == f"see {before}[REDACTED_JWT] there"


def test_every_key_of_a_line_with_wandb_is_found_and_no_commit_of_another_line() -> None:
    first, second, commit = "0123456789" * 4, "abcdef0123" * 4, "fedcba9876" * 4
    scrubbed = Scrubber().scrub(f"wandb login --key {first} or {second}\ncommit {commit}")
    assert scrubbed == f"wandb login --key [REDACTED] or [REDACTED]\ncommit {commit}"


def test_a_password_for_curl_is_found_on_its_line_only() -> None:
    text = "curl https://a.example -H x -u me:pa55wordx\nsort -u me:other"
    assert Scrubber().scrub(text) == "curl https://a.example -H x -u me:[REDACTED]\nsort -u me:other"

"""Markdown becomes what Slack draws; what Slack would act upon does not get through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.gateways.slack_text import escaped, mrkdwn


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**bold** and *italic* and ~~gone~~", "*bold* and _italic_ and ~gone~"),
        ("__bold__ and _italic_", "*bold* and _italic_"),
        ("# A heading #", "*A heading*"),
        ("## **Bold** heading", "*Bold heading*"),
        ("[label](https://x.org/a?b=1&c=2)", "<https://x.org/a?b=1&amp;c=2|label>"),
        ("[a & b](https://x.org/y_(z))", "<https://x.org/y_(z)|a &amp; b>"),
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("`a < **b**`", "`a &lt; **b**`"),
        ("```python\nx = a**2 * b\n```", "```\nx = a**2 * b\n```"),
        ("```\nopen", "```\nopen\n```"),
        ("> quoted **x**", "> quoted *x*"),
        ("- one\n* two", "• one\n• two"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("see <https://x.org/a?b=1&c=2> and <mailto:a@x.org>", "see <https://x.org/a?b=1&amp;c=2> and <mailto:a@x.org>"),
        ("[x.org](https://x.org/deep)", "<https://x.org/deep|x.org>"),
        ("[`code`](https://x.org)", "<https://x.org|`code`>"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, expected: str) -> None:
    assert mrkdwn(markdown) == expected


CALLS = ["<!channel>", "<!here>", "<!everyone>", "<!subteam^S1>", "<@U1>", "<@U1|boss>", "<#C1>", "<https://x.y|l>", "<mailto:a@x.y|l>"]


@pytest.mark.parametrize("call", CALLS)
def test_a_text_can_call_nobody_and_put_no_label_of_slacks_on_a_link(call: str) -> None:
    # core W2.9
    assert mrkdwn(f"done {call}") == f"done {escaped(call)}"


@pytest.mark.parametrize("label", ["https://bank.example", "bank.example/login", "boss@bank.example"])
def test_a_label_that_looks_like_another_address_shows_where_its_link_leads(label: str) -> None:
    assert mrkdwn(f"[{label}](https://evil.example/x)") == f"{label} (<https://evil.example/x>)"


@given(st.text(alphabet="ab*_~`<>&[]()#! \n\x00\x010123|:/@https", max_size=80))
def test_any_text_is_taken_and_no_mark_of_ours_is_left(text: str) -> None:
    shown = mrkdwn(text)
    assert "\x00" not in shown and "\x01" not in shown
    assert not re.search("<[!@#]", shown)

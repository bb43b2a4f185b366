"""The patterns of the ``detect-secrets`` package beside our own: its maintainers hear of new key formats.

Taken are its pattern plugins, not those that guess from entropy or from a keyword: they call most of a program secret. Only the
patterns are used, around their anchors, so that a pattern that is slow on long lines never sees one. Importing the package
costs about 0.15 s, so it is done in the background (``Scrubber.warm``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ml_intern.session.secret_marks import REDACTED, lower
from ml_intern.session.secret_patterns import Rule

BEFORE = 200
AFTER = 400
SHORTEST = 8
_GROUP_IS_SECRET = 16
"""A group shorter than this is a prefix, not the secret."""


def load_detectors() -> tuple[Rule, ...]:
    """One rule per plugin. Slow the first time: imports the package."""
    from detect_secrets.plugins.artifactory import ArtifactoryDetector
    from detect_secrets.plugins.aws import AWSKeyDetector
    from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
    from detect_secrets.plugins.cloudant import CloudantDetector
    from detect_secrets.plugins.discord import DiscordBotTokenDetector
    from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
    from detect_secrets.plugins.ibm_cloud_iam import IbmCloudIamDetector
    from detect_secrets.plugins.ibm_cos_hmac import IbmCosHmacDetector
    from detect_secrets.plugins.mailchimp import MailchimpDetector
    from detect_secrets.plugins.npm import NpmDetector
    from detect_secrets.plugins.openai import OpenAIDetector
    from detect_secrets.plugins.pypi_token import PypiTokenDetector
    from detect_secrets.plugins.sendgrid import SendGridDetector
    from detect_secrets.plugins.slack import SlackDetector
    from detect_secrets.plugins.softlayer import SoftlayerDetector
    from detect_secrets.plugins.square_oauth import SquareOAuthDetector
    from detect_secrets.plugins.stripe import StripeDetector
    from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
    from detect_secrets.plugins.twilio import TwilioKeyDetector

    return (
        _rule("", "akc", ArtifactoryDetector),
        _rule("", "aws a3t abia acca", AWSKeyDetector),
        _rule("=", "accountkey=", AzureStorageKeyDetector),
        _rule("", "cloudant", CloudantDetector),
        _rule(".", "discord", DiscordBotTokenDetector),
        _rule("-", "glpat- gldt- glft- glsoat- glrt- glcbt- glimt- glptt- glagent- gloas-", GitLabTokenDetector),
        _rule("", "gr1348941", GitLabTokenDetector),
        _rule("", "ibm cloud_iam", IbmCloudIamDetector),
        _rule("", "ibm cos_", IbmCosHmacDetector),
        _rule("-", "-us", MailchimpDetector),
        _rule("=", ":_authtoken=", NpmDetector),
        _rule("", "t3blbkfj", OpenAIDetector),
        _rule("-", "pypi-", PypiTokenDetector),
        _rule(".", "sg.", SendGridDetector),
        _rule("", "xox hooks.slack.com", SlackDetector),
        _rule("", "softlayer", SoftlayerDetector),
        _rule("-", "sq0csp-", SquareOAuthDetector),
        _rule("_", "k_live_", StripeDetector),
        _rule(":", ":aa", TelegramBotTokenDetector),
        _rule("", "twilio", TwilioKeyDetector),
    )


def _rule(required: str, anchors: str, plugin: type[Any]) -> Rule:
    names = tuple(anchors.split())
    return Rule(required, names, _redactor(names, tuple(plugin.denylist)))


def _redactor(anchors: tuple[str, ...], patterns: tuple[re.Pattern[str], ...]) -> Callable[[str], str]:
    anywhere = re.compile("|".join(map(re.escape, anchors)))

    def apply(text: str) -> str:
        spans = sorted(span for start, end in _windows(anywhere, text) for span in _secrets(patterns, text[start:end], start))
        return _cut(text, spans) if spans else text

    return apply


def _windows(anywhere: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Pieces of lines around the anchors. Anchors close together share one, so that the pieces are not much longer than the text."""
    covered = 0
    for match in anywhere.finditer(lower(text)):
        if match.end() + BEFORE < covered:
            continue
        line_start = text.rfind("\n", max(0, match.start() - BEFORE), match.start()) + 1
        line_end = text.find("\n", match.end(), match.end() + AFTER)
        start = max(line_start, match.start() - BEFORE)
        covered = line_end if line_end >= 0 else match.end() + AFTER
        yield start, covered


def _secrets(patterns: tuple[re.Pattern[str], ...], piece: str, offset: int) -> Iterator[tuple[int, int]]:
    for pattern in patterns:
        for match in pattern.finditer(piece):
            longest = max(range(pattern.groups + 1), key=lambda group: (group > 0) * len(match[group] or ""), default=0)
            group = longest if len(match[longest] or "") >= _GROUP_IS_SECRET else 0
            found = match[group]
            if len(found) >= SHORTEST and "REDACTED" not in found and any(char.isdigit() for char in found):
                yield match.start(group) + offset, match.end(group) + offset


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    kept: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            kept += [text[done:start], REDACTED]
        done = max(done, end)
    return "".join(kept) + text[done:]

"""The patterns of the ``detect-secrets`` package beside our own: its maintainers hear of new key formats.

Taken are its pattern plugins, not those that guess from entropy or from a keyword: they call most of a program secret. Only the
patterns are used, around their anchors, so that a pattern that is slow on long lines never sees one. Importing the package
costs about 0.15 s, so it waits until a text holds one of the anchors: most sessions never pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from ml_intern.session.secret_marks import REDACTED, lower
from ml_intern.session.secret_patterns import Rule

BEFORE = 200
AFTER = 400
SHORTEST = 8
_GROUP_IS_SECRET = 16
"""A group shorter than this is a prefix, not the secret."""


_DETECTORS = (
    ("", "akc", "artifactory", "ArtifactoryDetector"),
    ("", "aws a3t abia acca", "aws", "AWSKeyDetector"),
    ("=", "accountkey=", "azure_storage_key", "AzureStorageKeyDetector"),
    ("", "cloudant", "cloudant", "CloudantDetector"),
    (".", "discord", "discord", "DiscordBotTokenDetector"),
    ("-", "glpat- gldt- glft- glsoat- glrt- glcbt- glimt- glptt- glagent- gloas-", "gitlab_token", "GitLabTokenDetector"),
    ("", "gr1348941", "gitlab_token", "GitLabTokenDetector"),
    ("", "ibm cloud_iam", "ibm_cloud_iam", "IbmCloudIamDetector"),
    ("", "ibm cos_", "ibm_cos_hmac", "IbmCosHmacDetector"),
    ("-", "-us", "mailchimp", "MailchimpDetector"),
    ("=", ":_authtoken=", "npm", "NpmDetector"),
    ("", "t3blbkfj", "openai", "OpenAIDetector"),
    ("-", "pypi-", "pypi_token", "PypiTokenDetector"),
    (".", "sg.", "sendgrid", "SendGridDetector"),
    ("", "xox hooks.slack.com", "slack", "SlackDetector"),
    ("", "softlayer", "softlayer", "SoftlayerDetector"),
    ("-", "sq0csp-", "square_oauth", "SquareOAuthDetector"),
    ("_", "k_live_", "stripe", "StripeDetector"),
    (":", ":aa", "telegram_token", "TelegramBotTokenDetector"),
    ("", "twilio", "twilio", "TwilioKeyDetector"),
)
"""What a text must hold (a character, one of the anchors) for a plugin to be asked, the plugin's module, and its class."""


def detector_rules() -> tuple[Rule, ...]:
    """One rule per plugin. The package is imported when a text holds an anchor for the first time."""
    return tuple(
        Rule(required, tuple(anchors.split()), _asked_late(tuple(anchors.split()), module, name))
        for required, anchors, module, name in _DETECTORS
    )


def _asked_late(anchors: tuple[str, ...], module: str, name: str) -> Callable[[str], str]:
    loaded: list[Callable[[str], str]] = []

    def apply(text: str) -> str:
        if not loaded:
            plugin: Any = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
            loaded.append(_redactor(anchors, tuple(plugin.denylist)))
        return loaded[0](text)

    return apply


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

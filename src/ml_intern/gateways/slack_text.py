"""Markdown as Slack's mrkdwn: https://docs.slack.dev/messaging/formatting-message-text."""

from __future__ import annotations

import re

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_ADDRESS = re.compile(r"<(?:https?://|mailto:)[^<>|\s]+>")
_LIKE_ADDRESS = re.compile(r"://|\w\.[a-z]{2,}\b|@\w", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]\n]+)\]\((https?://[^\s()]*(?:\([^\s()]*\)[^\s()]*)*|mailto:[^\s)]+)(?:\s+\"[^\"\n]*\")?\)")
_KEPT = re.compile("\x00(\\d+)\x00")
_BOLD = "\x01"


def escaped(text: str) -> str:
    """The three characters that mean something everywhere."""
    return text.replace("\0", "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(text: str) -> str:
    """Headings and ``**`` become bold, ``*`` and ``_`` italic, ``~~`` struck, links ``<url|label>``; code is kept as it is.

    The text is a model's or a tool's: what calls somebody (``<@U1>``, ``<!here>``), names a channel (``<#C1>``) or puts Slack's label on
    a link becomes plain text, and a link whose label looks like another address shows where it leads (core W2.9). ``<https://…>`` stays.
    """
    kept: list[str] = []

    def keep(piece: str) -> str:
        kept.append(piece)
        return f"\0{len(kept) - 1}\0"

    text = text.replace("\0", "").replace(_BOLD, "")
    text = _CODE.sub(lambda match: keep(_code(match.group())), text)
    text = _LINK.sub(lambda match: keep(_link(match.group(1), match.group(2))), text)
    text = _ADDRESS.sub(lambda match: keep(f"<{_url(match.group()[1:-1])}>"), text)
    lines = [_line(line) for line in text.split("\n")]
    shown = "\n".join(lines).replace(_BOLD, "*")
    while _KEPT.search(shown):  # code inside a link's label is kept twice
        shown = _KEPT.sub(lambda match: kept[int(match.group(1))], shown)
    return shown


def _line(line: str) -> str:
    quote = re.match(r"(?:> ?)+", line)
    head, rest = (quote.group(), line[quote.end() :]) if quote else ("", line)
    rest = escaped_but_kept(rest)
    if heading := re.fullmatch(r"\s{0,3}#{1,6}\s+(.+?)\s*#*\s*", rest):
        return f"{head}{_BOLD}{re.sub(r'[*]{2}|__', '', heading.group(1))}{_BOLD}"
    if bullet := re.match(r"(\s*)[*+-]\s+", rest):
        return f"{head}{bullet.group(1)}• {_inline(rest[bullet.end() :])}"
    return head + _inline(rest)


def escaped_but_kept(text: str) -> str:
    """``escaped``, with the marks of what is kept left in their place."""
    return "".join(part if _KEPT.fullmatch(part) else escaped(part) for part in re.split("(\x00\\d+\x00)", text))


def _inline(text: str) -> str:
    text = re.sub(r"\*\*(?=\S)(.+?)(?<=\S)\*\*|(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)", lambda m: f"{_BOLD}{m[1] or m[2]}{_BOLD}", text)
    text = re.sub(r"(?<![\w*])\*(?=[^\s*])([^*\n]*?)(?<=[^\s*])\*(?![\w*])", r"_\1_", text)
    return re.sub(r"~~(?=\S)(.+?)(?<=\S)~~", r"~\1~", text)


def _code(piece: str) -> str:
    closed = piece if not piece.startswith("```") or (len(piece) >= 6 and piece.endswith("```")) else f"{piece}\n```"
    return escaped(re.sub(r"\A```[\w+-]+\n", "```\n", closed))


def _link(label: str, url: str) -> str:
    if _LIKE_ADDRESS.search(label) and not url.removeprefix("https://").removeprefix("mailto:").startswith(label.removeprefix("https://")):
        return f"{escaped_but_kept(label)} (<{_url(url)}>)"
    return f"<{_url(url)}|{escaped_but_kept(label).replace('|', '¦')}>"


def _url(url: str) -> str:
    return url.replace("&", "&amp;").replace("|", "%7C").replace(">", "%3E").replace("<", "%3C")

"""The Slack variables of the environment: a destination for notifications without a line of configuration."""

from __future__ import annotations

from ml_intern.config.environ import Environ
from ml_intern.config.json_values import Json, JsonDict, lookup

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def slack_defaults(environ: Environ, below: JsonDict) -> JsonDict:
    """The settings that ``SLACK_BOT_TOKEN`` and ``SLACK_CHANNEL_ID`` (or ``SLACK_CHANNEL``) stand for, or none.

    ``below`` are the settings of the files: where they say that messaging is off, it stays off.
    """
    token = environ.get("SLACK_BOT_TOKEN")
    channel = environ.get("SLACK_CHANNEL_ID") or environ.get("SLACK_CHANNEL")
    wanted = _boolean(environ, "ML_INTERN_SLACK_NOTIFICATIONS", default=True)
    switched_off = lookup(below, ("messaging", "enabled")) == (True, False)
    if not token or not channel or not wanted or switched_off:
        return {}
    destination: JsonDict = {
        "provider": "slack",
        "token": token,
        "channel": channel,
        "allow_agent_tool": _boolean(environ, "ML_INTERN_SLACK_ALLOW_AGENT_TOOL", default=True),
        "allow_auto_events": _boolean(environ, "ML_INTERN_SLACK_ALLOW_AUTO_EVENTS", default=True),
    }
    name = environ.get("ML_INTERN_SLACK_DESTINATION") or "slack.default"
    messaging: JsonDict = {"enabled": True, "destinations": {name: destination}}
    if events := environ.get("ML_INTERN_SLACK_AUTO_EVENTS"):
        listed: list[Json] = [event.strip() for event in events.split(",") if event.strip()]
        messaging["auto_event_types"] = listed
    return {"messaging": messaging}


def _boolean(environ: Environ, name: str, *, default: bool) -> bool:
    value = (environ.get(name) or "").strip().lower()
    if value in _TRUE:
        return True
    return False if value in _FALSE else default

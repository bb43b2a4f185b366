"""The settings of answers from elsewhere."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ml_intern.config.secret import SecretStr
from ml_intern.config.section import Section, SettingError


class AnswerSettings(Section, frozen=True):
    """Approvals and questions that can be answered in Slack, with buttons (extra ``ml-intern[slack]``)."""

    enabled: bool = False
    """Ask there what the session asks here."""
    app_token: SecretStr | None = None
    """The app-level token (``xapp-…``, scope ``connections:write``) for Socket Mode; write ``${SLACK_APP_TOKEN}``."""
    allowed_users: tuple[str, ...] = ()
    """Ids of the Slack members who may answer, such as ``U012AB3CD``. Clicks of others are refused, and audited."""
    expires_s: Annotated[float, Meta(gt=0)] = 3600.0
    """How long a question can be answered there."""
    allow_remember: bool = False
    """Offer "always in this session" there too, where an approval has a rule for it."""
    destination: str = ""
    """The Slack destination of ``messaging.destinations`` to ask in; empty: the first."""

    def __post_init__(self) -> None:
        if self.enabled and not self.app_token:
            raise SettingError("app_token", "is missing: clicks arrive by Socket Mode, which needs an app-level token")
        if self.enabled and not self.allowed_users:
            raise SettingError("allowed_users", "is empty: name the members who may answer")

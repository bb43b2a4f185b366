"""How long a run without a person at its terminal waits for an answer from elsewhere, and where one may come from."""

from __future__ import annotations

from ml_intern.config.settings import Settings


def answers_elsewhere(settings: Settings) -> bool:
    """Whether questions are asked on a service."""
    messaging = settings.messaging
    return messaging.enabled and messaging.answers.enabled and messaging.answers.app_token is not None and messaging.answers_in is not None


def approval_wait_s(settings: Settings) -> float:
    """Seconds; 0: nothing is waited for. Without a word of the user's it is as long as a service can be answered on."""
    if settings.wait_for_approval_s is not None:
        return settings.wait_for_approval_s
    return settings.messaging.answers.expires_s if answers_elsewhere(settings) else 0.0

"""Questions with buttons in Slack, and the clicks and words that answer them, by Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode.

The library (extra ``ml-intern[slack]``) works with threads; what it brings is handed to the event loop here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import SlackDestination
from ml_intern.errors import ConfigError, ServiceAuthError, ServiceDown, ServiceError, ServiceRefused
from ml_intern.gateways.http import LOOPBACK_HOSTS
from ml_intern.gateways.remote_answers import Card, Click, OnClick, Reply
from ml_intern.gateways.slack_blocks import CODE_LIMIT_CHARS, WORDS, card_blocks, closed_blocks, words_form
from ml_intern.gateways.slack_text import escaped

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.socket_mode.builtin import SocketModeClient
    from slack_sdk.socket_mode.client import BaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

T = TypeVar("T")

SERVICE = "slack"
TIMEOUT_S = 10
CLOSING_S = 5.0
WAITING_CLICKS = 100
_AUTH = frozenset({"account_inactive", "invalid_auth", "not_authed", "not_allowed_token_type", "token_expired", "token_revoked"})


class _Web(Protocol):
    """What is used of the library's ``WebClient``, whose own types are loose."""

    def api_call(self, api_method: str, *, json: dict[str, object]) -> Any: ...


class _Message(Struct):
    """The answer to what posts or changes a message."""

    ts: str = ""
    channel: str = ""


class _Named(Struct):
    id: str


class _User(Struct):
    id: str
    username: str = ""
    name: str = ""

    @property
    def shown(self) -> str:
        return self.username or self.name


class _Action(Struct):
    value: str = ""
    block_id: str = ""


class _Clicked(Struct, tag="block_actions", tag_field="type"):
    """https://docs.slack.dev/reference/interaction-payloads/block_actions-payload, as far as we use it."""

    user: _User
    channel: _Named
    actions: tuple[_Action, ...]
    trigger_id: str = ""

    def clicks(self) -> list[Click]:
        return [
            Click(
                user=self.user.id,
                name=self.user.shown,
                where=self.channel.id,
                key=action.block_id,
                value=action.value,
                form=self.trigger_id,
            )
            for action in self.actions
        ]


class _Choice(Struct):
    """What our form is about, in its metadata."""

    where: str
    key: str
    value: str


class _Value(Struct):
    value: str | None = None


class _State(Struct):
    values: dict[str, dict[str, _Value]]


class _View(Struct):
    private_metadata: str
    state: _State


class _Submitted(Struct, tag="view_submission", tag_field="type"):
    """https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload, as far as we use it."""

    user: _User
    view: _View

    def clicks(self) -> list[Click]:
        about = msgspec.json.decode(self.view.private_metadata, type=_Choice)
        words = self.view.state.values[WORDS][WORDS].value or ""
        return [Click(user=self.user.id, name=self.user.shown, where=about.where, key=about.key, value=about.value, words=words)]


class SlackAnswers:
    """One channel, by a bot token for its messages and an app token for the clicks. See ``RemoteAnswers``."""

    service = SERVICE
    code_limit_chars = CODE_LIMIT_CHARS

    def __init__(self, destination: SlackDestination, app_token: SecretStr, url: str) -> None:
        """``url`` is where Slack's Web API answers."""
        self._destination = destination
        self._app_token = app_token
        self._url = url.rstrip("/") + "/"
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="slack")
        self._clicks: asyncio.Queue[Click] = asyncio.Queue(WAITING_CLICKS)
        self._answering: asyncio.Task[None] | None = None
        self._web: WebClient | None = None
        self._socket: SocketModeClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel = destination.channel

    async def start(self, on_click: OnClick) -> None:
        """See ``RemoteAnswers``."""
        if find_spec("slack_sdk") is None:
            raise ConfigError(
                "Answers from Slack need the package slack_sdk.", hint="Install it: pip install 'ml-intern[slack]', or switch answers off."
            )
        self._loop = asyncio.get_running_loop()
        await self._in_thread(self._connect)
        self._answering = asyncio.create_task(self._answer(on_click), name="slack clicks")

    async def ask(self, card: Card) -> str:
        """See ``RemoteAnswers``."""
        text = f"{card.title}: {card.text}"
        blocks = msgspec.to_builtins(card_blocks(card))
        posted = await self._call("chat.postMessage", channel=self._channel, text=escaped(text), blocks=blocks)
        self._channel = posted.channel or self._channel  # a name may have been given: updates want the id
        return posted.ts

    async def close_card(self, message: str, title: str, outcome: str) -> None:
        """See ``RemoteAnswers``."""
        text = escaped(f"{title} — {outcome}")
        blocks = msgspec.to_builtins(closed_blocks(f"{title} — {outcome}"))
        await self._call("chat.update", channel=self._channel, ts=message, text=text, blocks=blocks)

    async def aclose(self) -> None:
        """See ``RemoteAnswers``."""
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.wait([self._answering])
        if (client := self._socket) is not None:
            self._socket = None
            closing = asyncio.get_running_loop().run_in_executor(self._threads, _hang_up, client)
            await asyncio.wait([closing], timeout=CLOSING_S)
        self._threads.shutdown(wait=False)

    # ── what people click ────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, on_click: OnClick) -> None:
        while True:
            click = await self._clicks.get()
            reply = await on_click(click)
            try:
                await self._reply(click, reply)
            except ServiceError as error:
                logging.getLogger(__name__).warning("somebody could not be told on Slack: %s", error)

    async def _reply(self, click: Click, reply: Reply) -> None:
        if reply.asks:
            try:
                await self._open_form(click, reply.asks)
            except ServiceRefused as error:
                await self._tell(click, f"The form could not be opened ({error.code}). Click again.")
        if reply.text:
            await self._tell(click, reply.text)

    async def _open_form(self, click: Click, label: str) -> None:
        """Slack takes the click's trigger for three seconds."""
        about = msgspec.json.encode(_Choice(where=click.where, key=click.key, value=click.value)).decode()
        await self._call("views.open", trigger_id=click.form, view=msgspec.to_builtins(words_form("ml-intern", label, about)))

    async def _tell(self, click: Click, text: str) -> None:
        """To the one who clicked alone."""
        await self._call("chat.postEphemeral", channel=click.where, user=click.user, text=escaped(text))

    def _came(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        """In a thread of the library's. Acknowledged at once, as Slack wants it; what it means is decided in the loop."""
        from slack_sdk.socket_mode.response import SocketModeResponse

        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.type != "interactive" or self._loop is None or self._loop.is_closed():
            return
        try:
            clicks = msgspec.convert(cast("Any", request).payload, _Clicked | _Submitted).clicks()
        except (msgspec.ValidationError, msgspec.DecodeError, KeyError):
            return  # another of the app's buttons or forms
        for click in clicks:
            self._loop.call_soon_threadsafe(self._enqueue, click)

    def _enqueue(self, click: Click) -> None:
        if not self._clicks.full():  # so many at once are no person's
            self._clicks.put_nowait(click)

    # ── the library ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self) -> None:
        from slack_sdk import WebClient
        from slack_sdk.socket_mode.builtin import SocketModeClient

        logger = logging.getLogger(__name__)
        self._web = WebClient(self._destination.token.reveal(), base_url=self._url, timeout=TIMEOUT_S, logger=logger)
        client = SocketModeClient(self._app_token.reveal(), web_client=self._web, concurrency=1, logger=logger)
        if urlsplit(self._url).hostname in LOOPBACK_HOSTS:  # the library knows HTTPS_PROXY, and not NO_PROXY
            self._web.proxy = client.proxy = None
        client.socket_mode_request_listeners.append(self._came)
        self._socket = client
        client.connect()

    async def _call(self, method: str, **fields: object) -> _Message:
        web = cast("_Web | None", self._web)
        if web is None:
            raise ServiceDown("Slack is not connected.", service=SERVICE)
        answer = await self._in_thread(lambda: web.api_call(method, json=fields))
        try:
            return msgspec.convert(answer.data, _Message)
        except msgspec.ValidationError as error:
            raise ServiceDown(f"Slack's answer is not understood: {error}.", service=SERVICE) from error

    async def _in_thread(self, action: Callable[[], T]) -> T:
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, action)
        except SlackApiError as error:
            raise _refused(str(cast("Any", error).response.get("error", "unknown_error"))) from error
        except (SlackClientError, OSError) as error:
            raise ServiceDown(f"Slack does not answer: {type(error).__name__}.", service=SERVICE) from error


def _hang_up(client: SocketModeClient) -> None:
    """The library's own ``close`` waits for its reading thread, which wakes every three seconds: here it is woken."""
    client.auto_reconnect_enabled = False
    client.current_session_state.terminated = True
    if client.current_session is not None and client.current_session.sock is not None:
        with suppress(OSError):
            client.current_session.sock.shutdown(socket.SHUT_RDWR)
    client.close()


def _refused(code: str) -> ServiceError:
    message = f"Slack refused: {code}."
    if code in _AUTH:
        hint = "Check the bot token (xoxb-…) of the destination, and messaging.answers.app_token (xapp-…, scope connections:write)."
        return ServiceAuthError(message, hint=hint, service=SERVICE, status=200, code=code)
    return ServiceRefused(message, service=SERVICE, status=200, code=code)

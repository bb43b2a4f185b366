"""The one client of the Hub: its methods run in a bounded pool of threads of their own, its failures become ``ServiceError``.

``HF_ENDPOINT`` is respected everywhere, so that a private Hub (and our fake one) works. The token goes to that endpoint
alone: it is handed to each ``HfApi``, never left to be found. huggingface_hub (170 ms) is imported by the first call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from ml_intern.config.load import set_unset_variables
from ml_intern.config.secret import SecretStr
from ml_intern.errors import NotFoundError, ServiceAuthError, ServiceDown, ServiceError, ServiceRefused
from ml_intern.gateways.http import ServiceHttp, ServiceOptions
from ml_intern.gateways.refusals import refusal, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx2
    from huggingface_hub import HfApi

PUBLIC_HUB = "https://huggingface.co"
THREADS = 8
WHOAMI_KEPT_S = 600.0
LONGEST_WAIT_S = 10.0
"""What a thread may wait for the Hub's limit of requests to end. After a longer wait it is for the caller to ask again."""
SERVICE = "the Hub"
BEFORE_IMPORT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_EXPERIMENTAL_WARNING": "1",
}
"""What the library reads once, when it is imported; the user's own values win."""

T = TypeVar("T")


class Account(Struct, frozen=True, kw_only=True):
    """Who a token belongs to. ``orgs`` are sorted; ``plan`` is ``pro``, ``free``, or ``org`` for an organisation's own token."""

    name: str
    orgs: tuple[str, ...] = ()
    plan: str = "free"
    can_pay: bool | None = None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where this account may run jobs and create repositories: its own name first."""
        return (self.name, *(org for org in self.orgs if org != self.name))


class _Org(Struct):
    name: str


class _WhoAmI(Struct, rename="camel"):
    """``GET /api/whoami-v2``, as far as we use it."""

    name: str
    type: str = "user"
    is_pro: bool | None = None
    can_pay: bool | None = None
    orgs: list[_Org] = []


class HubClient:
    """One per folder's settings. ``endpoint`` is the Hub's address without a slash at the end."""

    def __init__(
        self, endpoint: str = PUBLIC_HUB, token: SecretStr | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.token = token
        self._monotonic = monotonic
        self._pool: ThreadPoolExecutor | None = None
        self._account: Account | None = None
        self._account_until = 0.0
        self._asking = asyncio.Lock()

    @cached_property
    def http(self) -> ServiceHttp:
        """For routes that ``huggingface_hub`` has no method for, and for streams that must not hold a thread."""
        return ServiceHttp(SERVICE, self.endpoint, token=self.token, options=ServiceOptions(timeout_s=30.0))

    @cached_property
    def public_http(self) -> ServiceHttp:
        """The same without the token, for what is public (docs, papers, the API's description)."""
        return ServiceHttp(SERVICE, self.endpoint, options=ServiceOptions(timeout_s=30.0))

    async def call(self, action: Callable[[HfApi], T]) -> T:
        """Run ``action`` with an ``HfApi`` in the pool. A cancelled wait leaves the request to end by itself.

        Iterators that the library returns lazily must be used up inside ``action``. Raises ``ServiceError``.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads(), self._run, action)

    def require_token(self) -> SecretStr:
        """The token. Raises ``ServiceAuthError`` that says how to get one."""
        if self.token is None:
            hint = "Set HF_TOKEN, or run `hf auth login`; tokens are made at https://huggingface.co/settings/tokens."
            raise ServiceAuthError("This needs a Hugging Face token, and there is none.", hint=hint, service=SERVICE)
        return self.token

    async def whoami(self) -> Account:
        """The token's account, kept for ten minutes. Raises ``ServiceError``: nobody is never mistaken for somebody."""
        self.require_token()
        async with self._asking:
            if self._account is None or self._monotonic() > self._account_until:
                self._account = _account(await self.http.get_json("/api/whoami-v2"))
                self._account_until = self._monotonic() + WHOAMI_KEPT_S
            return self._account

    async def namespace(self, wanted: str | None) -> str:
        """The account's own namespace, or the wanted one if it may use it. Raises ``ServiceError`` that lists the choices."""
        account = await self.whoami()
        if not wanted:
            return account.name
        if wanted not in account.namespaces:
            choices = ", ".join(account.namespaces)
            raise ServiceRefused(f"This token may not use the namespace '{wanted}'.", hint=f"It may use: {choices}.", service=SERVICE)
        return wanted

    def page(self, repo_id: str, repo_type: str = "model") -> str:
        """The address of a repository's page."""
        folder = {"model": "", "dataset": "datasets/", "space": "spaces/"}[repo_type]
        return f"{self.endpoint}/{folder}{repo_id}"

    async def aclose(self) -> None:
        """Close connections; threads end when their request does."""
        for name in ("http", "public_http"):
            if (client := self.__dict__.pop(name, None)) is not None:
                await client.aclose()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hub")
        return self._pool

    def _run(self, action: Callable[[HfApi], T]) -> T:
        api = self.api()
        with mapped_errors():
            return action(api)

    def api(self) -> HfApi:
        """A client of the library with our endpoint and our token; never the token that lies in a cache."""
        set_unset_variables(BEFORE_IMPORT)
        from huggingface_hub import HfApi

        _keep_off_the_screen()
        _wait_no_longer()
        token = self.token.reveal() if self.token is not None else False
        return HfApi(endpoint=self.endpoint, token=token, library_name="ml-intern")


def _wait_no_longer() -> None:
    """The library sleeps in our thread, five times, for as long as a 429 says; nobody can wake it, and the process's end waits for it.

    Its client, which all threads share and which it makes anew after a broken connection, is told to raise instead.
    """
    from huggingface_hub import get_session

    client = get_session()
    hooks = client.event_hooks
    if _refuse_long_waits not in hooks["response"]:
        client.event_hooks = {**hooks, "response": [*hooks["response"], _refuse_long_waits]}


def _refuse_long_waits(answer: httpx2.Response) -> None:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if answer.status_code == 429 and (retry_after_s(headers) or 0.0) > LONGEST_WAIT_S:
        raise refusal(SERVICE, str(answer.url), answer.status_code, headers, b"")


def _keep_off_the_screen() -> None:
    """The library writes its warnings and retries to stderr; they go to our log instead, like everybody's."""
    library = logging.getLogger("huggingface_hub")
    screens: list[logging.Handler] = [one for one in library.handlers if type(one) is logging.StreamHandler]
    for handler in screens:
        library.removeHandler(handler)
    library.propagate = True


@contextmanager
def mapped_errors() -> Generator[None, None, None]:
    """The library's exceptions as ours: by type and status code."""
    import httpx2
    from huggingface_hub import errors as hub

    try:
        yield
    except hub.HfHubHTTPError as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if error.server_message and "x-error-message" not in headers:
            headers["x-error-message"] = error.server_message
        raise refusal(SERVICE, str(answer.url), answer.status_code, headers, b"") from error
    except hub.EntryNotFoundError as error:
        raise NotFoundError(f"The Hub has no such file: {error}.", service=SERVICE, status=404) from error
    except (hub.HFValidationError, hub.RevisionResolutionError) as error:
        raise ServiceRefused(f"The Hub's client refuses this: {error}", service=SERVICE) from error
    except hub.OfflineModeIsEnabled as error:
        raise ServiceDown("HF_HUB_OFFLINE is set.", hint="Unset it to use the Hub.", service=SERVICE) from error
    except httpx2.TransportError as error:
        why = str(error).rstrip(". ") or type(error).__name__
        raise ServiceDown(f"The Hub cannot be reached: {why}.", service=SERVICE) from error


def _account(answer: object) -> Account:
    try:
        who = msgspec.convert(answer, _WhoAmI)
    except msgspec.ValidationError as error:
        raise ServiceError(f"The Hub's answer about this token is not understood: {error}.", service=SERVICE) from error
    plan = "org" if who.type == "org" else "pro" if who.is_pro is True else "free"
    return Account(name=who.name, orgs=tuple(sorted({org.name for org in who.orgs})), plan=plan, can_pay=who.can_pay)

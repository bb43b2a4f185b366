"""The Hub's one door, against the fake one and through the real library."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.errors import AccessGated, NoCreditsError, NotFoundError, ServiceAuthError, ServiceDown, ServiceLimited, ServiceRefused
from ml_intern.gateways.hub.client import THREADS, WHOAMI_KEPT_S, HubClient
from ml_intern.testing.fake_hub import FakeHub


class Time:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def hub(fake: FakeHub, time: Time) -> AsyncIterator[HubClient]:
    client = HubClient(fake.url, SecretStr(FakeHub.TOKEN), monotonic=time)
    yield client
    await client.aclose()


async def test_whoami_is_asked_once_in_ten_minutes_also_by_many_at_once(fake: FakeHub, hub: HubClient, time: Time) -> None:
    """W15: the original asked at every call."""
    accounts = await asyncio.gather(*(hub.whoami() for _ in range(5)))
    assert {account.name for account in accounts} == {"alice"}
    assert len(fake.seen("whoami")) == 1
    time.now = WHOAMI_KEPT_S + 1
    await hub.whoami()
    assert len(fake.seen("whoami")) == 2


@pytest.mark.parametrize("header", [{"RateLimit": '"api";r=0;t=300'}, {"Retry-After": "300"}])
async def test_no_thread_sleeps_until_a_far_limit_ends(fake: FakeHub, hub: HubClient, header: dict[str, str]) -> None:
    """The library waited five times as long as it was told, deaf to an interrupt, and the end of the process waited for it."""
    from huggingface_hub import close_session

    fake.repos.create("alice/x", files={"a": "1"})
    for _ in range(2):
        fake.fail("GET .*/tree/", status=429, headers=header)
        with pytest.raises(ServiceLimited) as limited:
            await hub.call(lambda api: list(api.list_repo_tree("alice/x")))
        assert limited.value.retry_after_s == 300
        close_session()  # as the library does after a connection that broke
    assert len(fake.seen("GET .*/tree/")) == 2
    assert [entry.path for entry in await hub.call(lambda api: list(api.list_repo_tree("alice/x")))] == ["a"]


async def test_a_namespace_is_ones_own_or_that_of_an_organisation(hub: HubClient) -> None:
    assert await hub.namespace(None) == "alice"
    assert await hub.namespace("acme") == "acme"
    with pytest.raises(ServiceRefused, match="It may use: alice, acme"):
        await hub.namespace("bob")


async def test_nobody_to_ask_means_no(fake: FakeHub, hub: HubClient) -> None:
    """W15: when whoami was down, the original took any namespace."""
    fake.fail("whoami", times=99, status=503)
    with pytest.raises(ServiceDown):
        await hub.namespace("bob")


async def test_without_a_token_it_says_how_to_get_one(fake: FakeHub) -> None:
    with pytest.raises(ServiceAuthError, match="HF_TOKEN"):
        await HubClient(fake.url).whoami()
    assert fake.seen("whoami") == []


async def test_a_token_that_lies_in_a_cache_is_never_found(fake: FakeHub) -> None:
    """The caller decides which token is sent: none is none (W26)."""
    hub = HubClient(fake.url)
    with pytest.raises((NotFoundError, ServiceAuthError)):
        await hub.call(lambda api: api.model_info("nobody/nothing"))
    assert fake.seen("/api/models")[0].token == ""
    await hub.aclose()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401, "headers": {"x-error-code": "RepoNotFound", "x-error-message": "Repository not found"}}, NotFoundError),
        ({"status": 401, "headers": {"x-error-message": "Invalid token"}}, ServiceAuthError),
        ({"status": 403, "headers": {"x-error-code": "GatedRepo", "x-error-message": "Access is restricted"}}, AccessGated),
        ({"status": 404, "headers": {"x-error-code": "RepoNotFound"}}, NotFoundError),
        ({"status": 402, "body": {"error": "Pre-paid credit balance is insufficient"}}, NoCreditsError),
        ({"cut": True, "times": 99}, ServiceDown),
    ],
)
async def test_the_librarys_exceptions_are_mapped_by_type_and_status(
    fake: FakeHub, hub: HubClient, fault: dict[str, object], kind: type[Exception]
) -> None:
    fake.fail("GET /api/models", **fault)
    with pytest.raises(kind):
        await hub.call(lambda api: api.model_info("alice/x"))


async def test_a_wrong_name_is_refused_with_the_librarys_reason(hub: HubClient) -> None:
    with pytest.raises(ServiceRefused, match="client refuses this: Repo id"):
        await hub.call(lambda api: api.create_repo("a b c/!!"))


async def test_calls_run_beside_the_event_loop_in_few_threads(fake: FakeHub, hub: HubClient) -> None:
    """W10, W38, core W4.4: neither the loop nor the pool that everybody shares is held."""
    names: set[str] = set()
    all_in = threading.Barrier(THREADS)

    def meet(api: object) -> None:
        names.add(threading.current_thread().name)
        all_in.wait(5)

    await asyncio.gather(*(hub.call(meet) for _ in range(THREADS)))
    assert len(names) == THREADS and all(name.startswith("hub") for name in names)


def test_what_the_library_logs_goes_to_our_log_and_not_to_the_screen(hub: HubClient, caplog: pytest.LogCaptureFixture) -> None:
    hub.api()
    library = logging.getLogger("huggingface_hub")
    assert not [handler for handler in library.handlers if type(handler) is logging.StreamHandler]
    library.warning("Retrying in 8s")
    assert "Retrying in 8s" in caplog.text

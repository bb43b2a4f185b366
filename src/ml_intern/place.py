"""A folder to work in, and what all sessions of a process share: what ``assembly`` and ``equipment`` are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ml_intern.config.load import LoadedSettings, hf_token
from ml_intern.config.paths import Paths
from ml_intern.config.project_programs import ProjectPrograms
from ml_intern.config.secret import SecretStr
from ml_intern.gateways.outside import Outside
from ml_intern.models.catalog import ModelCatalog
from ml_intern.session.clock import Clock
from ml_intern.session.log import EventLog
from ml_intern.session.policies.base import Policy
from ml_intern.session.scrub import Scrubber
from ml_intern.tools.base import Tool, ToolSpec

if TYPE_CHECKING:
    from ml_intern.compute.job_backends import JobBackends
    from ml_intern.compute.local_jobs import LocalJobs


class Place:
    """A folder's settings, and the models, the services and the secrets that they name."""

    def __init__(self, loaded: LoadedSettings, *, more_secrets: Iterable[SecretStr] = ()) -> None:
        self.loaded = loaded
        self.settings = loaded.settings
        self.catalog = ModelCatalog(loaded.settings, loaded.environ, cache_dir=loaded.paths.cache_dir)
        self.scrubber = Scrubber((*loaded.secrets, *more_secrets))
        self.outside = Outside(loaded.settings, loaded.environ, loaded.paths.cache_dir)

    @cached_property
    def hub_token(self) -> SecretStr | None:
        """The Hugging Face token, if there is one."""
        return hf_token(self.loaded.environ)

    @cached_property
    def jobs(self) -> JobBackends:
        """Where jobs run."""
        from ml_intern.compute.hf_jobs import HubJobs
        from ml_intern.compute.job_backends import JobBackends

        hub = HubJobs(self.outside.hub, lambda: self.outside.hub.http)
        return JobBackends(hub=hub, local=self._local_jobs, choice=self.settings.jobs.backend, has_token=self.hub_token is not None)

    @cached_property
    def _local_jobs(self) -> LocalJobs:
        from ml_intern.compute.local_setup import local_jobs

        loaded, own = self.loaded, self.settings
        return local_jobs(own.jobs, own.sandbox, loaded.environ, loaded.paths, root=loaded.cwd, protected=self.programs.files())

    @cached_property
    def programs(self) -> ProjectPrograms:
        """What the folder's own hooks run. Blocks at first, where there are any."""
        return ProjectPrograms(self.loaded)

    def hourly_usd(self, flavor: str) -> float | None:
        """The price of a flavour as it was last heard of; None when nobody knows it. Never blocks."""
        found = self.jobs.named("hub").known_hardware().find(flavor)
        return found.usd_per_hour if found is not None else None

    def flavors(self) -> tuple[str, ...]:
        """The flavours that were last heard of."""
        return tuple(item.name for item in self.jobs.named("hub").known_hardware().items)

    async def aclose(self) -> None:
        """Close connections; jobs go on."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.catalog.aclose)
            stack.push_async_callback(self.outside.aclose)
            if "jobs" in self.__dict__:
                stack.push_async_callback(self.jobs.aclose)


class Shared(Struct, frozen=True, kw_only=True):
    """What all sessions of the process have in common. ``leave`` gives a log back; ``at_end`` takes what is to be said after that.

    ``refuses_too_long``: see ``Entrance``.
    """

    paths: Paths
    clock: Clock
    outside: tuple[Tool[Any] | ToolSpec, ...]
    auto_approve: bool
    read_only: bool
    refuses_too_long: bool
    policies: Callable[[int], tuple[Policy, ...]]
    leave: Callable[[EventLog], Awaitable[None]]
    at_end: Callable[[str], None]

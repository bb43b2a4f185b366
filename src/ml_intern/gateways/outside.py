"""The gateways of one folder's settings, each made when it is first asked for, all closed together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config.credentials import hf_token
from ml_intern.config.environ import Environ
from ml_intern.config.hub_address import PUBLIC, hub_address
from ml_intern.config.settings import Settings

if TYPE_CHECKING:
    from ml_intern.gateways.arxiv import PaperTexts
    from ml_intern.gateways.doc_index import DocIndex
    from ml_intern.gateways.github import Github
    from ml_intern.gateways.hub.client import HubClient
    from ml_intern.gateways.hub.dataset_files import DatasetFiles
    from ml_intern.gateways.hub.datasets_server import DatasetsServer
    from ml_intern.gateways.hub.discussions import HubDiscussions
    from ml_intern.gateways.hub.docs import HubDocs
    from ml_intern.gateways.hub.openapi import HubApi
    from ml_intern.gateways.hub.papers import HubPapers
    from ml_intern.gateways.hub.repos import HubRepos
    from ml_intern.gateways.hub.search import HubSearch
    from ml_intern.gateways.hub.trackio_places import TrackioPlaces
    from ml_intern.gateways.readable import Readable
    from ml_intern.gateways.search_engines.web_search import WebSearch
    from ml_intern.gateways.semantic_scholar import SemanticScholar
    from ml_intern.gateways.web import Web


class Outside:
    """Makes each client once. Nothing is imported or connected before its first use."""

    def __init__(self, settings: Settings, environ: Environ, cache_dir: Path) -> None:
        """``cache_dir`` is for what can be fetched again."""
        self._settings = settings
        self._environ = environ
        self._cache_dir = cache_dir

    @property
    def hub_endpoint(self) -> str:
        """The Hub's address. Raises ``ConfigError``."""
        return hub_address(self._settings, self._environ)

    @cached_property
    def hub(self) -> HubClient:
        """The Hub."""
        from ml_intern.gateways.hub.client import HubClient

        return HubClient(self.hub_endpoint, hf_token(self._environ))

    @cached_property
    def hub_repos(self) -> HubRepos:
        """Repositories of the Hub."""
        from ml_intern.gateways.hub.repos import HubRepos

        return HubRepos(self.hub)

    @cached_property
    def hub_discussions(self) -> HubDiscussions:
        """Discussions and pull requests of the Hub."""
        from ml_intern.gateways.hub.discussions import HubDiscussions

        return HubDiscussions(self.hub)

    @cached_property
    def web(self) -> Web:
        """The one guarded fetcher, for every URL that a model or a page names."""
        from ml_intern.gateways.address_guard import AddressGuard
        from ml_intern.gateways.web import Web

        return Web(AddressGuard(self._settings.web.allow_private), readable=self.readable)

    @cached_property
    def web_search(self) -> WebSearch:
        """Web search by the engine of the settings."""
        from ml_intern.gateways.search_engines.web_search import WebSearch

        return WebSearch(self._settings.web, self._environ)

    @cached_property
    def github(self) -> Github:
        """GitHub, with the user's token if there is one."""
        from ml_intern.gateways.github import Github

        token = self._environ.secret("GITHUB_TOKEN") or self._environ.secret("GH_TOKEN")
        return Github(self._settings.services.github, token)

    @cached_property
    def readable(self) -> Readable:
        """Turns PDFs and pages into text: one for all, since PDFium takes one caller at a time."""
        from ml_intern.gateways.readable import Readable

        return Readable()

    @cached_property
    def hub_papers(self) -> HubPapers:
        """The paper pages of the Hub."""
        from ml_intern.gateways.hub.papers import HubPapers

        return HubPapers(self.hub)

    @cached_property
    def semantic_scholar(self) -> SemanticScholar:
        """Semantic Scholar, with the user's key if there is one."""
        from ml_intern.gateways.semantic_scholar import SemanticScholar

        return SemanticScholar(self._settings.services.semantic_scholar, self._environ.secret("S2_API_KEY"))

    @cached_property
    def paper_texts(self) -> PaperTexts:
        """Full texts of papers, kept in the cache folder."""
        from ml_intern.gateways.arxiv import PaperTexts

        services = self._settings.services
        folder = self._cache_dir / "papers"
        return PaperTexts(self.hub_papers, self.readable, folder, arxiv=services.arxiv, ar5iv=services.ar5iv)

    @cached_property
    def datasets_server(self) -> DatasetsServer | None:
        """The viewer of that Hub; None when the only one known is the public Hub's, and this is another."""
        from ml_intern.gateways.hub.datasets_server import viewer_for

        url = self._settings.services.datasets_server
        is_default = url == type(self._settings.services)().datasets_server
        return viewer_for(self.hub_endpoint, url, hf_token(self._environ), is_default=is_default)

    @cached_property
    def dataset_files(self) -> DatasetFiles:
        """Samples of data files, on the Hub and on this machine."""
        from ml_intern.gateways.hub.dataset_files import DatasetFiles

        return DatasetFiles(self.hub)

    @cached_property
    def hub_search(self) -> HubSearch:
        """Search on the Hub."""
        from ml_intern.gateways.hub.search import HubSearch

        return HubSearch(self.hub)

    @cached_property
    def trackio(self) -> TrackioPlaces:
        """Trackio: its dashboards on the Hub, and the folder that it writes to here."""
        from ml_intern.gateways.hub.trackio_places import TrackioPlaces
        from ml_intern.gateways.trackio_files import trackio_folder

        return TrackioPlaces(self.hub, trackio_folder(self._environ))

    @cached_property
    def doc_index(self) -> DocIndex:
        """The documentation that was read, on disk; sites other than the public ones have files of their own."""
        from hashlib import sha256

        from ml_intern.gateways.doc_index import DocIndex

        services, public = self._settings.services, type(self._settings.services)()
        sites = (self.hub_endpoint, services.docs, services.gradio)
        name = "docs" if sites == (PUBLIC, public.docs, public.gradio) else f"docs-{sha256(repr(sites).encode()).hexdigest()[:12]}"
        return DocIndex(self._cache_dir / f"{name}.sqlite")

    @cached_property
    def hub_docs(self) -> HubDocs:
        """The documentation of Hugging Face's libraries, and Gradio's, whose own search knows the public site alone."""
        from ml_intern.gateways.gradio_docs import PUBLIC_SEARCH, GradioDocs
        from ml_intern.gateways.hub.docs import HubDocs

        site = self._settings.services.gradio
        is_public = site == type(self._settings.services)().gradio
        return HubDocs(self._settings.services.docs, self.doc_index, GradioDocs(site, PUBLIC_SEARCH if is_public else ""))

    @cached_property
    def hub_api(self) -> HubApi:
        """The description of the Hub's API."""
        from ml_intern.gateways.hub.openapi import HubApi

        return HubApi(self.hub_endpoint, self._cache_dir, self.doc_index)

    async def aclose(self) -> None:
        """Close what was made."""
        async with AsyncExitStack() as stack:
            for name in [name for name, value in vars(self).items() if hasattr(value, "aclose")]:
                stack.push_async_callback(vars(self).pop(name).aclose)

"""Everything that ml-intern talks to, on loopback: the Hub with its jobs, papers, docs and dataset viewer, arXiv, GitHub, Slack, the web.

It holds one small made-up piece of research (``ml_intern.testing.world``). The demo's story plays in it, and so may a test::

    with FakeWorld() as world:
        loaded = load_settings(…, environ={**mine, **world.variables(folder)}, flags=world.settings)
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ml_intern.testing.fake_arxiv import FakeArxiv
from ml_intern.testing.fake_datasets_server import FakeDatasetsServer
from ml_intern.testing.fake_github import FakeGithub
from ml_intern.testing.fake_github import FakeRepo as GithubRepo
from ml_intern.testing.fake_hub.docs import FakeDocSet, FakeGradio
from ml_intern.testing.fake_hub.papers import hub_paper
from ml_intern.testing.fake_hub.repos import KINDS, info
from ml_intern.testing.fake_hub.server import FakeAccount, FakeHub
from ml_intern.testing.fake_semantic_scholar import FakeSemanticScholar, scholar_paper
from ml_intern.testing.fake_slack import FakeSlack
from ml_intern.testing.fake_web import FakeHit, FakeWeb
from ml_intern.testing.world import base_model, messages, paper

ACCOUNT = "demo"
"""Whose token the world gives."""


class FakeWorld:
    """Use it as a context manager. Jobs really run, as processes of this machine, and end with it."""

    def __init__(self) -> None:
        self.hub = FakeHub(accounts={FakeHub.TOKEN: FakeAccount(name=ACCOUNT)})
        self.hub.jobs.run_for_real = True
        self.viewer = FakeDatasetsServer()
        self.arxiv = FakeArxiv()
        self.scholar = FakeSemanticScholar()
        self.github = FakeGithub()
        self.gradio = FakeGradio()
        self.web = FakeWeb()
        self.slack = FakeSlack("C1")
        self._open = ExitStack()
        self._make_repositories()
        self._make_paper()
        self._make_docs()
        self._make_examples()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for service in (self.hub, self.viewer, self.arxiv, self.scholar, self.github, self.gradio, self.web, self.slack):
                started.enter_context(service)
            self._open = started.pop_all()
        self.web.hits = [FakeHit(title="Rare classes", url=f"{self.web.url}/rare-classes", snippet=paper.ABSTRACT)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    # ── how the real clients find it ─────────────────────────────────────────────────────────────────────────────────

    @property
    def settings(self) -> dict[str, object]:
        """Settings by dotted key, as flags are given."""
        return {
            "services.hub": self.hub.url,
            "services.datasets_server": self.viewer.url,
            "services.arxiv": self.arxiv.url,
            "services.ar5iv": self.arxiv.ar5iv_url,
            "services.semantic_scholar": self.scholar.url,
            "services.github": self.github.url,
            "services.docs": self.hub.url,
            "services.gradio": self.gradio.url,
            "services.slack": self.slack.url,
            "web.search": "searxng",
            "web.search_url": f"{self.web.url}/searxng",
            "web.allow_private": [self.web.url.partition("://")[2]],
        }

    def variables(self, folder: Path) -> dict[str, str]:
        """Variables for our process and its commands. ``folder`` is for the caches of libraries."""
        return {
            "HF_ENDPOINT": self.hub.url,
            "HF_TOKEN": FakeHub.TOKEN,
            "HF_HOME": str(folder / "huggingface"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def keep(self, folder: Path) -> list[Path]:
        """Write what the account has pushed, and the logs of its jobs, below ``folder``. Returns the files."""
        kept: dict[Path, bytes] = {}
        for repo_type in KINDS:
            for repo in self.hub.repos.all(repo_type):
                if repo.namespace == ACCOUNT:
                    kept |= {folder / repo.repo_id / path: data for path, data in self.hub.repos.files(repo.repo_id, repo_type).items()}
        for job in self.hub.jobs.jobs.values():
            kept[folder / "jobs" / f"{job.id}.log"] = "".join(f"{line}\n" for line, _ in job.log).encode()
        for path, data in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return list(kept)

    # ── what it holds ────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_repositories(self) -> None:
        train, test = messages.support_messages()
        parts = {"train": train, "test": test}
        data = {f"{split}.jsonl": messages.as_json_lines(rows) for split, rows in parts.items()}
        dataset = self.hub.repos.create(messages.REPO, "dataset", {"README.md": _text("dataset_card.md"), **data})
        dataset.downloads, dataset.likes = 1_240, 17
        for split, rows in parts.items():
            self.viewer.add(messages.REPO, "default", split, rows)
        files = {"README.md": _text("base_model_card.md").encode(), **base_model.base_model_files()}
        model = self.hub.repos.create(base_model.REPO, "model", files)
        model.downloads, model.likes = 5_310, 42
        about: dict[str, dict[str, list[dict[str, Any]]]] = {"models": self.hub.papers.models, "datasets": self.hub.papers.datasets}
        about["models"].clear()
        about["datasets"].clear()
        about["models"][paper.ARXIV_ID] = [{**info(model, model.head), "trendingScore": 3}]
        about["datasets"][paper.ARXIV_ID] = [{**info(dataset, dataset.head), "trendingScore": 2}]

    def _make_paper(self) -> None:
        told = {
            "summary": paper.ABSTRACT,
            "ai_summary": "A class-weighted loss on averaged word vectors finds rare classes in short messages.",
            "ai_keywords": ["text classification", "class imbalance", "word vectors"],
            "publishedAt": "2026-01-20T00:00:00.000Z",
            "upvotes": 31,
            "githubRepo": f"https://github.com/{paper.GITHUB}",
            "githubStars": 212,
        }
        other = hub_paper("2601.99007", "Tokenizers for Very Long Messages", upvotes=4, ai_keywords=["tokenizer"], githubRepo=None)
        papers = self.hub.papers
        papers.papers = {paper.ARXIV_ID: hub_paper(paper.ARXIV_ID, paper.TITLE, **told), "2601.99007": other}
        papers.daily = {"2026-01-21": list(papers.papers)}
        papers.collections.clear()
        self.arxiv.html = {paper.ARXIV_ID: paper.paper_page()}
        self.arxiv.ar5iv, self.arxiv.pdf, self.arxiv.abstracts = {}, {}, {}
        known = {"title": paper.TITLE, "abstract": paper.ABSTRACT, "year": 2026, "publicationDate": "2026-01-20"}
        numbers = {"ArXiv": paper.ARXIV_ID, "CorpusId": 99_042}
        self.scholar.papers = {paper.ARXIV_ID: scholar_paper(42, **known, externalIds=numbers)}
        self.scholar.snippets = []

    def _make_docs(self) -> None:
        pages = {
            "index": ("Hub Python library", "# Hub Python library\n\nDownload from the Hub, upload to it, run jobs on it.\n"),
            "guides/upload": ("Upload files to the Hub", _text("docs_upload.md")),
            "guides/model-cards": ("Model cards", _text("docs_model_cards.md")),
        }
        self.hub.docs.sets = {"docs/huggingface_hub": FakeDocSet(pages=pages, version="v1.0.0")}

    def _make_examples(self) -> None:
        readme = f"# Rare classes\n\nCode of [{paper.TITLE}](https://arxiv.org/abs/{paper.ARXIV_ID}).\n"
        kept = {"README.md": readme.encode(), "examples/finetune_weighted.py": _text("example.py.txt").encode()}
        repo = GithubRepo(full_name=paper.GITHUB, files=kept, stars=212, forks=19, description="Weighted fine-tuning of word vectors")
        self.github.repos = {repo.full_name: repo}
        self.web.page("/rare-classes", f"<html><body><main><h1>Rare classes</h1><p>{paper.ABSTRACT}</p></main></body></html>")


def _text(name: str) -> str:
    return files("ml_intern.testing").joinpath("world", "texts", name).read_text(encoding="utf-8")


__all__ = ["FakeWorld"]

"""``hf_repo_git`` against the fake Hub, through the real client library."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ml_intern.errors import NotFoundError, ServiceRefused, ToolError
from ml_intern.gateways.hub.client import HubClient
from ml_intern.gateways.hub.discussions import HubDiscussions
from ml_intern.gateways.hub.repos import HubRepos
from ml_intern.protocol.display import Link, Text
from ml_intern.tools.base import Effect
from ml_intern.tools.hub.repo_git import HfRepoGitTool
from tests.contracts.repo_world import BOB, World, call, prepared, world
from tests.workspaces import Calls

__all__ = ["world"]


async def test_branches_and_tags_come_and_go(world: World) -> None:
    repo = world.hub.repos.create("alice/x", repo_type="dataset", files={"a.txt": "1"})
    git = world.git()
    first = repo.head.oid
    world.hub.repos.put("alice/x", "a.txt", "2", "dataset")
    await call(git, operation="create_branch", repo_type="dataset", branch="feature/y", from_rev=first)
    await call(git, operation="create_tag", repo_type="dataset", tag="v1", tag_message="first", revision="feature/y")
    assert repo.branches["feature/y"] == repo.tags["v1"] == first and repo.tag_messages["v1"] == "first"
    listed = await call(git, operation="list_refs", repo_type="dataset")
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["branch", "main"], ["branch", "feature/y"], ["tag", "v1"]]
    await call(git, operation="delete_branch", repo_type="dataset", branch="feature/y")
    await call(git, operation="delete_tag", repo_type="dataset", tag="v1")
    assert list(repo.branches) == ["main"] and repo.tags == {}
    with pytest.raises(ToolError, match="no branch main"):
        await call(git, operation="delete_branch", repo_type="dataset", branch="main")
    with pytest.raises(NotFoundError):
        await call(git, operation="delete_tag", repo_type="dataset", tag="v1")


async def test_many_refs_are_paged(world: World) -> None:
    # W11
    repo = world.hub.repos.create("alice/x", files={})
    repo.tags.update({f"v{i}": repo.head.oid for i in range(500)})
    assert "(more: page 2)" in await call(world.git(), operation="list_refs")
    last = await call(world.git(), operation="list_refs", page=2)
    assert "v499" in last and "more" not in last
    beyond = await call(world.git(), operation="list_refs", page=9)
    assert "501 branches, tags and pull requests" in beyond and "on page 9: there are pages 1 to 2." in beyond


async def test_the_whole_flow_from_a_draft_to_a_merge(world: World) -> None:
    world.hub.repos.create("alice/x", files={"a.txt": "1\n"})
    git, files = world.git(), world.files()
    made = await call(git, operation="create_pr", title="Better a", description="Because **b**.")
    assert "draft pull request #1" in made and "refs/pr/1" in made
    await call(files, operation="upload", path="a.txt", content="2\n", revision="refs/pr/1")
    assert world.artifacts.seen == []
    with pytest.raises(ToolError, match=r"is a draft.*new_status open"):
        await call(git, operation="merge_pr", pr_num=1)
    await call(git, operation="change_pr_status", pr_num=1, new_status="open")
    await call(git, operation="comment_pr", pr_num=1, comment="Please look")
    shown = await call(git, operation="get_pr", pr_num=1)
    assert shown.startswith("[OPEN] #1 [PR] Better a (alice, ")
    assert "Because **b**." in shown and "Please look" in shown and "+2" in shown and "No conflicts." in shown
    judged = await prepared(git, {"operation": "merge_pr", "pr_num": 1, "comment": "Thanks"})
    link, text, comment = git.preview(judged)
    assert isinstance(link, Link) and "Better a" in link.title and isinstance(text, Text) and "+2" in text.text
    assert comment == Text(text="Thanks", language="markdown")
    await git.run(judged, Calls().context)
    assert world.hub.repos.file("alice/x", "a.txt") == b"2\n"
    with pytest.raises(ToolError, match="is merged"):
        await call(git, operation="merge_pr", pr_num=1)


async def test_a_pull_request_that_changed_after_the_approval_is_not_merged(world: World) -> None:
    # W25
    world.hub.repos.create("alice/x", files={"a.txt": "1"})
    await call(world.files(BOB), operation="upload", path="a.txt", content="harmless", create_pr=True)
    git = world.git()
    judged = await prepared(git, {"operation": "merge_pr", "pr_num": 1})
    await call(world.files(BOB), operation="upload", path="evil.py", content="import os", revision="refs/pr/1")
    with pytest.raises(ToolError, match="has changed since"):
        await git.run(judged, Calls().context)
    assert world.hub.repos.files("alice/x") == {"a.txt": b"1"}


async def test_a_conflict_is_said_before_anybody_is_asked_about_the_merge(world: World) -> None:
    world.hub.repos.create("alice/x", files={"a.txt": "1"})
    await call(world.files(), operation="upload", path="a.txt", content="2", create_pr=True)
    world.hub.repos.put("alice/x", "a.txt", "3")
    with pytest.raises(ToolError, match=r"conflicts with main in a.txt"):
        await prepared(world.git(), {"operation": "merge_pr", "pr_num": 1})


async def test_a_pull_request_can_be_closed_and_a_missing_one_is_said(world: World) -> None:
    world.hub.repos.create("alice/x", files={})
    await call(world.git(), operation="create_pr", title="Some title")
    await call(world.git(), operation="close_pr", pr_num=1, comment="No more needed")
    shown = await call(world.git(), operation="get_pr", pr_num=1)
    assert shown.startswith("[CLOSED]") and "No more needed" in shown
    with pytest.raises(NotFoundError):
        await call(world.git(), operation="get_pr", pr_num=2)


async def test_a_list_of_pull_requests_fetches_one_page_alone(world: World) -> None:
    # W52: the original fetched every page to show twenty
    world.hub.repos.create("alice/x", files={})
    git = world.git()
    for number in range(1, 26):
        await call(git, operation="create_pr", title=f"Title {number}")
    await call(git, operation="close_pr", pr_num=25)
    first = await call(git, operation="list_prs")
    assert "1 to 10 of 25" in first and "(more: page 2)" in first and "[CLOSED] #25 [PR] Title 25 (alice, 2026-" in first
    assert len(world.hub.seen("GET /api/models/alice/x/discussions$")) == 1
    last = await call(git, operation="list_prs", page=3, status="all")
    assert "[DRAFT] #1 [PR] Title 1" in last and "more" not in last
    closed = await call(git, operation="list_prs", status="closed")
    assert [line for line in closed.splitlines() if line.startswith("[")] == [closed.splitlines()[1]]
    assert "No pull requests" in await call(git, operation="list_prs", page=9)


async def test_a_huge_pull_request_is_shown_in_pages(world: World) -> None:
    # W11
    world.hub.repos.create("alice/x", files={})
    big = "".join(f"line {i}\n" for i in range(5000))
    await call(world.files(), operation="upload", path="big.txt", content=big, create_pr=True)
    pages = [await call(world.git(), operation="get_pr", pr_num=1, page=n) for n in (1, 2, 3)]
    assert all(len(page) < 25_000 for page in pages) and "more: page 2" in pages[0] and "line 4999" in pages[2]
    with pytest.raises(ToolError, match="has 3 pages"):
        await call(world.git(), operation="get_pr", pr_num=1, page=4)


async def test_a_repository_is_created_private_unless_it_is_said_otherwise(world: World) -> None:
    text = await call(world.git(), operation="create_repo", repo_id="acme/new")
    assert "Created private model acme/new" in text and world.hub.repos.get("acme/new").private
    await call(world.git(), operation="create_repo", repo_id="alice/open", repo_type="dataset", private=False, gated="auto")
    repo = world.hub.repos.get("alice/open", "dataset")
    assert not repo.private and repo.gated == "auto"
    assert world.artifacts.seen == [("acme/new", "model"), ("alice/open", "dataset")]
    with pytest.raises(ServiceRefused, match=r"exists already.*exist_ok"):
        await call(world.git(), operation="create_repo", repo_id="acme/new")
    assert "keeps its settings" in await call(world.git(), operation="create_repo", repo_id="acme/new", exist_ok=True)


async def test_a_space_wants_its_sdk_and_only_a_space_takes_one(world: World) -> None:
    with pytest.raises(ToolError, match=r'needs space_sdk.*"space_sdk": "gradio"'):
        await call(world.git(), operation="create_repo", repo_type="space")
    await call(world.git(), operation="create_repo", repo_type="space", space_sdk="docker")
    assert world.hub.repos.get("alice/x", "space").sdk == "docker"
    with pytest.raises(ToolError, match="only for create_repo"):
        await call(world.git(), operation="create_repo", space_sdk="docker")


@pytest.mark.parametrize("gated", ["false", False])
async def test_a_repository_can_be_ungated(world: World, gated: object) -> None:
    # W52: "false" was always refused
    repo = world.hub.repos.create("alice/x", files={}, gated="manual")
    assert "is now not gated" in await call(world.git(), operation="update_repo", gated=gated)
    assert repo.gated is False


async def test_settings_that_are_not_named_stay_as_they_are(world: World) -> None:
    repo = world.hub.repos.create("alice/x", files={}, gated="auto", private=True)
    await call(world.git(), operation="update_repo", private=False)
    assert repo.gated == "auto" and not repo.private
    await call(world.git(), operation="update_repo", gated="manual", private=True)
    assert repo.gated == "manual" and repo.private


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({"operation": "create_branch"}, "needs branch"),
        ({"operation": "create_tag"}, "needs tag"),
        ({"operation": "create_pr"}, "needs title"),
        ({"operation": "comment_pr"}, "needs pr_num and comment"),
        ({"operation": "change_pr_status", "pr_num": 1}, "needs new_status"),
        ({"operation": "update_repo"}, "needs private or gated"),
    ],
)
async def test_a_call_without_what_it_needs_names_it_and_shows_a_right_call(world: World, arguments: dict[str, Any], missing: str) -> None:
    with pytest.raises(ToolError, match=rf'{missing}\. For example: {{"operation": "{arguments["operation"]}", "repo_id"'):
        await prepared(world.git(), arguments)
    assert not world.hub.requests


async def test_a_hub_that_hangs_holds_up_neither_the_other_calls_nor_an_interrupt(world: World) -> None:
    # W38: whoami, trees and discussions were walked on the event loop
    world.hub.repos.create("alice/x", files={"a.txt": "hi"})
    world.hub.fail("GET /api/models/alice/x/discussions/1", hang=True)
    git, files = world.git(), world.files()
    hanging = asyncio.create_task(call(git, operation="get_pr", pr_num=1))
    while not world.hub.seen("GET /api/models/alice/x/discussions/1"):
        assert (await call(files, operation="read", path="a.txt")).endswith("hi")
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"operation": "list_refs"}, ""),
        ({"operation": "list_prs"}, ""),
        ({"operation": "get_pr", "pr_num": 1}, ""),
        ({"operation": "create_branch", "branch": "b"}, "create_branch alice/x b"),
        ({"operation": "delete_branch", "branch": "b"}, "delete_branch alice/x b"),
        ({"operation": "create_tag", "tag": "t"}, "create_tag alice/x t"),
        ({"operation": "delete_tag", "tag": "t"}, "delete_tag alice/x t"),
        ({"operation": "create_pr", "title": "abc"}, "create_pr alice/x"),
        ({"operation": "merge_pr", "pr_num": 1}, "merge_pr alice/x 1"),
        ({"operation": "close_pr", "pr_num": 1}, "close_pr alice/x 1"),
        ({"operation": "comment_pr", "pr_num": 1, "comment": "c"}, "comment_pr alice/x 1"),
        ({"operation": "change_pr_status", "pr_num": 1, "new_status": "open"}, "change_pr_status alice/x 1"),
        ({"operation": "create_repo", "private": False}, "create_repo alice/x private=false"),
        ({"operation": "update_repo", "gated": "auto"}, "update_repo alice/x gated=auto"),
    ],
)
def test_everything_that_is_seen_by_others_or_changes_something_is_declared(arguments: dict[str, Any], part: str) -> None:
    # W24: comments, pull requests, tags and closing needed no approval
    client = HubClient("http://127.0.0.1:9")
    tool = HfRepoGitTool(HubRepos(client), HubDiscussions(client))
    args = tool.parse_object({"repo_id": "alice/x", **arguments})
    assert tool.risk(args).effects == {Effect.WRITES_HUB if part else Effect.READS}
    assert not part or tool.subject(args).parts == (part,)
    assert bool(tool.risk(args).reason) == (arguments["operation"] in ("delete_branch", "delete_tag", "merge_pr", "create_repo"))


def test_the_schema_stays_small() -> None:
    client = HubClient("http://127.0.0.1:9")
    assert len(msgspec.json.encode(HfRepoGitTool(HubRepos(client), HubDiscussions(client)).schema)) / 3.5 <= 650

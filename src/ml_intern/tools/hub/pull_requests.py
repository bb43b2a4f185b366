"""What the model reads of discussions and pull requests: a page of the list, and one of them in full."""

from __future__ import annotations

from ml_intern.errors import ToolError
from ml_intern.gateways.hub.discussions import Details, HubDiscussions, StatusFilter, Summary
from ml_intern.gateways.hub.repos import Repo
from ml_intern.protocol.amounts import counted

PAGE_CHARS = 20_000


async def list_page(discussions: HubDiscussions, repo: Repo, status: StatusFilter, page: int) -> str:
    """One of the Hub's pages, newest first; the others are not fetched."""
    found = await discussions.listed(repo, status, page - 1)
    what = f"{repo.repo_type} {repo.repo_id}, status {status}"
    if not found.summaries:
        return f"No pull requests or discussions in {what}{f' on page {page}' if page > 1 else ''} ({found.total} in all)."
    header = f"Pull requests (PR) and discussions (D) in {what}: {found.first + 1} to {found.first + len(found.summaries)} of {found.total}"
    more = [f"(more: page {page + 1})"] if found.more else []
    return "\n".join((header, *(_line(one) for one in found.summaries), *more))


def details_page(details: Details, page: int) -> str:
    """Comments, commits and the diff, in pages of characters."""
    text = _all(details)
    pages = max(1, -(-len(text) // PAGE_CHARS))
    if page > pages:
        raise ToolError(f"#{details.summary.num} has {counted(pages, 'page')}; there is no page {page}.")
    part = text[(page - 1) * PAGE_CHARS : page * PAGE_CHARS]
    return part if pages == 1 else f"{part}\n(page {page} of {pages}{f'; more: page {page + 1}' if page < pages else ''})"


def demand_mergeable(details: Details, repo: Repo) -> None:
    """Raises ``ToolError`` that says what keeps it from being merged, and what to do."""
    one = details.summary
    about = f"#{one.num} of {repo.repo_id} ('{_one_line(one.title)}')"
    if not one.is_pull_request:
        raise ToolError(f"{about} is a discussion, not a pull request.")
    if one.status == "draft":
        raise ToolError(f"{about} is a draft.", hint="Open it first with change_pr_status and new_status open.")
    if one.status != "open":
        raise ToolError(f"{about} is {one.status}.")
    if details.conflicts:
        files = ", ".join(details.conflicts)
        raise ToolError(f"{about} conflicts with {details.target_branch or 'main'} in {files}.", hint="Make a new pull request from main.")


def _all(details: Details) -> str:
    one = details.summary
    lines = [_line(one), details.url]
    if one.is_pull_request:
        merged = f", merged as {details.merge_commit[:8]}" if details.merge_commit else ""
        lines.append(f"into {details.target_branch or 'main'} from refs/pr/{one.num}{merged}")
        lines.append(f"Conflicts in: {', '.join(details.conflicts)}" if details.conflicts else "No conflicts.")
    for event in details.happenings:
        lines += ["", f"── {event.at} {event.author}, {event.kind}:", event.text]
    if details.diff:
        lines += ["", "── diff:", details.diff]
    return "\n".join(lines)


def _line(one: Summary) -> str:
    kind = "PR" if one.is_pull_request else "D"
    return f"[{one.status.upper()}] #{one.num} [{kind}] {_one_line(one.title)} ({one.author}, {one.created_at})"


def _one_line(title: str) -> str:
    return " ".join(title.split())

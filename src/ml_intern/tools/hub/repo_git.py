"""``hf_repo_git``: branches, tags, pull requests, and repositories themselves, on the Hub."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta
from msgspec.structs import force_setattr

from ml_intern.errors import ServiceRefused, ToolError
from ml_intern.gateways.hub.discussions import Details, HubDiscussions, StatusFilter
from ml_intern.gateways.hub.repo_address import repo_address
from ml_intern.gateways.hub.repos import Gate, HubRepos, Ref, Repo, RepoType, Sdk
from ml_intern.protocol.display import Display, Link, Text
from ml_intern.tools.base import READ_ONLY, Effect, PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.hub.pull_requests import demand_mergeable, details_page, list_page
from ml_intern.tools.hub.repo_files import Artifacts
from ml_intern.tools.past_end import past_page

REFS_PER_PAGE = 300
READING = frozenset({"list_refs", "list_prs", "get_pr"})
NEEDS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        # operation: the arguments it cannot do without, with an example of each
        "create_branch": {"branch": "dev"},
        "delete_branch": {"branch": "dev"},
        "create_tag": {"tag": "v1.0"},
        "delete_tag": {"tag": "v1.0"},
        "list_refs": {},
        "create_pr": {"title": "Fix the card", "description": "What changes, and why"},
        "list_prs": {},
        "get_pr": {"pr_num": 1},
        "merge_pr": {"pr_num": 1},
        "close_pr": {"pr_num": 1},
        "comment_pr": {"pr_num": 1, "comment": "Looks good"},
        "change_pr_status": {"pr_num": 1, "new_status": "open"},
        "create_repo": {},
        "update_repo": {},
    }
)
_OPTIONAL = frozenset({"description"})


class RepoGitArgs(ToolArgs, frozen=True):
    operation: Literal[
        "create_branch",
        "delete_branch",
        "create_tag",
        "delete_tag",
        "list_refs",
        "create_pr",
        "list_prs",
        "get_pr",
        "merge_pr",
        "close_pr",
        "comment_pr",
        "change_pr_status",
        "create_repo",
        "update_repo",
    ]
    repo_id: Annotated[str, Meta(min_length=1, description="namespace/name.")]
    repo_type: RepoType = "model"
    branch: str = ""
    from_rev: Annotated[str, Meta(description="create_branch: where it starts.")] = "main"
    tag: str = ""
    revision: Annotated[str, Meta(description="create_tag: what is tagged.")] = "main"
    tag_message: str = ""
    title: Annotated[str, Meta(max_length=200)] = ""
    description: Annotated[str, Meta(description="create_pr: Markdown.")] = ""
    pr_num: Annotated[int, Meta(ge=1)] | None = None
    comment: Annotated[str, Meta(description="Also taken by merge_pr, close_pr and change_pr_status.")] = ""
    status: Annotated[StatusFilter, Meta(description="list_prs: which.")] = "all"
    new_status: Literal["open", "closed"] | None = None
    private: Annotated[bool | None, Meta(description="create_repo: private unless false.")] = None
    gated: Annotated[Literal["auto", "manual", "false"] | None, Meta(description="Ask visitors for access.")] = None
    space_sdk: Annotated[Sdk | None, Meta(description="create_repo of a Space: required.")] = None
    exist_ok: Annotated[bool, Meta(description="create_repo: an existing one will do.")] = False
    page: Annotated[int, Meta(ge=1, description="Of list_refs, list_prs, get_pr.")] = 1

    def __post_init__(self) -> None:
        """An address of the Hub counts as the name in it."""
        address = repo_address(self.repo_id)
        force_setattr(self, "repo_id", address.repo_id)
        force_setattr(self, "repo_type", address.kind or self.repo_type)


class PreparedMerge(RepoGitArgs, frozen=True, kw_only=True):
    """The pull request as it was when the merge was judged."""

    details: Details


class HfRepoGitTool(Tool[RepoGitArgs]):
    """Each operation is a method; ``NEEDS`` says what it cannot do without."""

    name: ClassVar[str] = "hf_repo_git"
    description: ClassVar[str] = (
        "Branches, tags, pull requests and settings of Hugging Face repositories; new repositories (private by default). Pull request of "
        "several files: create_pr makes an empty draft N; upload to it by hf_repo_files with revision refs/pr/N; change_pr_status with "
        "new_status open; merge_pr. Of one file: hf_repo_files with create_pr."
    )
    args = RepoGitArgs
    risk_words: ClassVar[str] = "list_refs, list_prs, get_pr: reads; the rest changes the Hub"

    def __init__(self, repos: HubRepos, discussions: HubDiscussions, artifacts: Artifacts | None = None) -> None:
        self._repos = repos
        self._discussions = discussions
        self._artifacts = artifacts
        self._operations: dict[str, Callable[[RepoGitArgs, Repo], Awaitable[str]]] = {
            "create_branch": self._create_branch,
            "delete_branch": self._delete_branch,
            "create_tag": self._create_tag,
            "delete_tag": self._delete_tag,
            "list_refs": self._list_refs,
            "create_pr": self._create_pr,
            "list_prs": self._list_prs,
            "get_pr": self._get_pr,
            "merge_pr": self._merge_pr,
            "close_pr": self._close_pr,
            "comment_pr": self._comment_pr,
            "change_pr_status": self._change_pr_status,
            "create_repo": self._create_repo,
            "update_repo": self._update_repo,
        }

    def parse_object(self, arguments: Mapping[str, Any]) -> RepoGitArgs:
        given = dict(arguments)
        if given.get("gated") is False:  # what the Hub itself calls it
            given["gated"] = "false"
        return super().parse_object(given)

    def parse(self, arguments: str) -> RepoGitArgs:
        import msgspec

        given = msgspec.json.decode(arguments.strip() or "{}")
        return self.parse_object(given) if isinstance(given, dict) else super().parse(arguments)  # pyright: ignore[reportUnknownArgumentType]

    async def prepare(self, args: RepoGitArgs, shown: RepoGitArgs | None = None) -> RepoGitArgs:
        _demand(args)
        if args.operation != "merge_pr":
            return args
        details = await self._discussions.details(_repo(args), args.pr_num or 0)
        demand_mergeable(details, _repo(args))
        given: dict[str, Any] = {name: getattr(args, name) for name in RepoGitArgs.__struct_fields__}
        return PreparedMerge(**given, details=details)

    def risk(self, args: RepoGitArgs) -> Risk:
        if args.operation in READING:
            return READ_ONLY
        what = f"{args.repo_type} {args.repo_id}"
        reason = {
            "delete_branch": f"It deletes the branch {args.branch} of {what}, and the commits that only it has.",
            "delete_tag": f"It deletes the tag {args.tag} of {what}.",
            "merge_pr": f"It merges pull request {args.pr_num} into {what}.",
            "create_repo": f"It creates the public {what}." if args.private is False else "",
            "update_repo": f"It makes {what} public." if args.private is False else "",
        }.get(args.operation, "")
        return Risk(effects=frozenset({Effect.WRITES_HUB}), writes=frozenset({f"hub:{args.repo_type}/{args.repo_id}"}), reason=reason)

    def subject(self, args: RepoGitArgs) -> PermissionSubject:
        settings = [f"private={str(args.private).lower()}"] if args.private is not None else []
        settings += [f"gated={args.gated}"] if args.gated else []
        named: dict[str, object] = {
            "create_branch": args.branch,
            "delete_branch": args.branch,
            "create_tag": args.tag,
            "delete_tag": args.tag,
            "create_repo": " ".join(settings),
            "update_repo": " ".join(settings),
        }
        detail = named.get(args.operation, args.pr_num or "")
        return PermissionSubject(parts=(f"{args.operation} {args.repo_id} {detail}".rstrip(),))

    def preview(self, args: RepoGitArgs) -> tuple[Display, ...]:
        shown: list[Display] = []
        if isinstance(args, PreparedMerge):
            one = args.details.summary
            shown.append(Link(title=f"#{one.num} {one.title}, by {one.author}", url=args.details.url))
            shown += [Text(text=details_page(args.details, 1))]
        elif args.operation == "create_pr":
            shown.append(Text(text=f"{args.title}\n\n{args.description}".rstrip(), language="markdown"))
        if args.comment and args.operation in ("merge_pr", "close_pr", "comment_pr", "change_pr_status"):
            shown.append(Text(text=args.comment, language="markdown"))
        return tuple(shown)

    async def run(self, args: RepoGitArgs, ctx: ToolContext) -> ToolOutput:
        _demand(args)
        return ToolOutput(text=await self._operations[args.operation](args, _repo(args)))

    # ── branches and tags ────────────────────────────────────────────────────────────────────────────────────────────

    async def _create_branch(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._repos.create_branch(repo, args.branch)
        where = self._repos.file_page(Repo(repo_id=repo.repo_id, repo_type=repo.repo_type, revision=args.branch), "", "tree")
        return f"Created branch {args.branch} of {repo.repo_id} from {args.from_rev}: {where}"

    async def _delete_branch(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._repos.delete_branch(repo, args.branch)
        return f"Deleted branch {args.branch} of {repo.repo_id}."

    async def _create_tag(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._repos.create_tag(repo, args.tag, args.tag_message)
        return f"Tagged {args.revision} of {repo.repo_id} as {args.tag}."

    async def _delete_tag(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._repos.delete_tag(repo, args.tag)
        return f"Deleted tag {args.tag} of {repo.repo_id}; the commit stays."

    async def _list_refs(self, args: RepoGitArgs, repo: Repo) -> str:
        refs = await self._repos.refs(repo)
        start = (args.page - 1) * REFS_PER_PAGE
        shown = refs[start : start + REFS_PER_PAGE]
        header = f"{repo.repo_type} {repo.repo_id}: {len(refs)} branches, tags and pull requests"
        more = [f"(more: page {args.page + 1})"] if start + len(shown) < len(refs) else []
        if refs and not shown:
            more = [past_page("branches, tags and pull requests", -(-len(refs) // REFS_PER_PAGE), args.page)]
        return "\n".join((header, *(_ref_line(ref) for ref in shown), *more))

    # ── pull requests ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _create_pr(self, args: RepoGitArgs, repo: Repo) -> str:
        made = await self._discussions.open_draft(repo, args.title, args.description)
        number = made.summary.num
        return (
            f"Created draft pull request #{number}: {made.url}\nNext: upload its files with hf_repo_files and revision refs/pr/{number}, "
            "then change_pr_status with new_status open, then merge_pr."
        )

    async def _list_prs(self, args: RepoGitArgs, repo: Repo) -> str:
        return await list_page(self._discussions, repo, args.status, args.page)

    async def _get_pr(self, args: RepoGitArgs, repo: Repo) -> str:
        return details_page(await self._discussions.details(repo, args.pr_num or 0), args.page)

    async def _merge_pr(self, args: RepoGitArgs, repo: Repo) -> str:
        current = await self._discussions.details(repo, args.pr_num or 0)
        demand_mergeable(current, repo)
        if isinstance(args, PreparedMerge) and current.diff != args.details.diff:
            raise ToolError(
                f"#{args.pr_num} of {repo.repo_id} has changed since the merge was approved.", hint="Look at it again by get_pr."
            )
        await self._discussions.merge(repo, args.pr_num or 0, args.comment)
        return f"Merged #{args.pr_num} of {repo.repo_id}: {self._pr_page(args, repo)}"

    async def _close_pr(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._discussions.change_status(repo, args.pr_num or 0, "closed", args.comment)
        return f"Closed #{args.pr_num} of {repo.repo_id}: {self._pr_page(args, repo)}"

    async def _comment_pr(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._discussions.comment(repo, args.pr_num or 0, args.comment)
        return f"Commented on #{args.pr_num} of {repo.repo_id}: {self._pr_page(args, repo)}"

    async def _change_pr_status(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._discussions.change_status(repo, args.pr_num or 0, args.new_status or "open", args.comment)
        return f"#{args.pr_num} of {repo.repo_id} is now {args.new_status}: {self._pr_page(args, repo)}"

    def _pr_page(self, args: RepoGitArgs, repo: Repo) -> str:
        return f"{self._repos.page(repo)}/discussions/{args.pr_num}"

    # ── repositories ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _create_repo(self, args: RepoGitArgs, repo: Repo) -> str:
        private = args.private is not False
        try:
            url = await self._repos.create(repo, private=private, sdk=args.space_sdk, exist_ok=args.exist_ok)
        except ServiceRefused as error:
            if error.status == 409:
                hint = "Choose another name, or set exist_ok to go on with the one that is there."
                raise ServiceRefused(f"{repo.repo_type} {repo.repo_id} exists already.", hint=hint, status=409) from error
            raise
        if args.exist_ok:
            text = f"There is a {repo.repo_type} {repo.repo_id} now; one that existed keeps its settings: {url}"
        else:
            text = f"Created {'private' if private else 'public'} {repo.repo_type} {repo.repo_id}: {url}"
        if args.gated is not None:
            await self._repos.update(repo, private=None, gated=_gate(args))
            text += f"\nGated: {args.gated}."
        note = await self._artifacts.made(args.repo_id, args.repo_type) if self._artifacts is not None else ""
        return f"{text}\n{note}" if note else text

    async def _update_repo(self, args: RepoGitArgs, repo: Repo) -> str:
        await self._repos.update(repo, private=args.private, gated=_gate(args))
        now = [] if args.private is None else ["private" if args.private else "public"]
        now += [] if args.gated is None else ["not gated" if args.gated == "false" else f"gated ({args.gated} approval)"]
        return f"{repo.repo_type} {repo.repo_id} is now {' and '.join(now)}: {self._repos.page(repo)}"


def _repo(args: RepoGitArgs) -> Repo:
    revision = args.from_rev if args.operation == "create_branch" else args.revision
    return Repo(repo_id=args.repo_id, repo_type=args.repo_type, revision=revision or "main")


def _gate(args: RepoGitArgs) -> Gate | None:
    return False if args.gated == "false" else args.gated


def _ref_line(ref: Ref) -> str:
    name = f"refs/pr/{ref.name}" if ref.kind == "pull request" else ref.name
    return f"{ref.kind:<12} {name}  {ref.oid[:8]}"


def _demand(args: RepoGitArgs) -> None:
    """Raises ``ToolError`` that names what is missing and shows a right call."""
    example = NEEDS[args.operation]
    missing = [name for name in example if name not in _OPTIONAL and not getattr(args, name)]
    if args.operation == "update_repo" and args.private is None and args.gated is None:
        missing, example = ["private or gated"], {"gated": "false"}
    if args.operation == "create_repo" and args.repo_type == "space" and args.space_sdk is None:
        missing, example = ["space_sdk for a Space"], {"repo_type": "space", "space_sdk": "gradio"}
    if missing:
        call = json.dumps({"operation": args.operation, "repo_id": "org/name", **example})
        raise ToolError(f"hf_repo_git {args.operation} needs {' and '.join(missing)}.", hint=f"For example: {call}")
    if args.operation == "delete_branch" and args.branch == "main":
        raise ToolError("The Hub deletes no branch main: it is the repository.", hint="Its files are deleted with hf_repo_files.")
    if args.title and len(args.title.strip()) < 3:
        raise ToolError(f"The title '{args.title}' is too short: the Hub wants three characters at least.")
    if args.space_sdk is not None and (args.operation, args.repo_type) != ("create_repo", "space"):
        raise ToolError("space_sdk is only for create_repo with repo_type space.")

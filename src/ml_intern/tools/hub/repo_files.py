"""``hf_repo_files``: list, read, upload and delete the files of a repository on the Hub."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar

from msgspec import Meta
from msgspec.structs import force_setattr

from ml_intern.compute.base import Place, Workspace
from ml_intern.errors import AccessGated, ToolError
from ml_intern.gateways.hub.repo_address import repo_address
from ml_intern.gateways.hub.repos import Entry, HubRepos, Pushed, Repo, RepoType, Upload
from ml_intern.protocol.amounts import counted, size_text
from ml_intern.protocol.display import Display, Link, Table, Text
from ml_intern.tools.base import READ_ONLY, Effect, PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.files.place import as_tool_error, existing_file, target
from ml_intern.tools.hub.repo_pages import DEFAULT_CHARS, list_page, named, read_page

MAX_UPLOAD_BYTES = 100 * 1024 * 1024
_DIFF_BYTES = 200_000
_SHOWN_BYTES = 2_000_000
_SHOWN_FILES = 500
_LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown", ".toml": "toml", ".sh": "bash"}


class Artifacts(Protocol):
    """Whoever keeps a record of what a session puts on the Hub."""

    async def made(self, repo_id: str, repo_type: str) -> str:
        """A repository was made or changed; returns a note for the model, or ""."""
        ...


class RepoFilesArgs(ToolArgs, frozen=True):
    operation: Literal["list", "read", "upload", "delete"]
    repo_id: Annotated[str, Meta(min_length=1, description="namespace/name.")]
    repo_type: RepoType = "model"
    revision: Annotated[str, Meta(min_length=1, description="Branch, tag, commit or refs/pr/N.")] = "main"
    path: Annotated[str, Meta(description="File in the repository (list: folder).")] = ""
    content: Annotated[str | None, Meta(description="upload: the whole text.")] = None
    local_path: Annotated[str, Meta(description="upload: workspace file, in place of content.")] = ""
    patterns: Annotated[tuple[str, ...], Meta(description="delete: wildcards; * crosses /, 'dir/' is all below it.")] = ()
    create_pr: Annotated[bool, Meta(description="Propose the change as a new pull request.")] = False
    commit_message: str = ""
    offset: Annotated[int, Meta(ge=0, description="list: entries to skip; read: byte to start at.")] = 0
    max_chars: Annotated[int, Meta(ge=200, description="read: page size.")] = DEFAULT_CHARS

    def __post_init__(self) -> None:
        """An address of the Hub counts as the name, revision and path in it."""
        address = repo_address(self.repo_id)
        force_setattr(self, "repo_id", address.repo_id)
        force_setattr(self, "repo_type", address.kind or self.repo_type)
        force_setattr(self, "path", self.path or address.path)
        if self.revision == "main":
            force_setattr(self, "revision", address.revision or "main")


class PreparedUpload(RepoFilesArgs, frozen=True, kw_only=True):
    """Holds the very bytes that were approved, whatever becomes of the local file. ``old``: what they replace."""

    data: bytes
    digest: str
    old: Entry | None
    old_text: str | None


class PreparedDelete(RepoFilesArgs, frozen=True, kw_only=True):
    """The very files that were approved, whatever the patterns match later."""

    found: tuple[str, ...]


Prepared = TypeVar("Prepared", PreparedUpload, PreparedDelete)


class HfRepoFilesTool(Tool[RepoFilesArgs]):
    """Looks up what an approval has to show: the file that is replaced, the files that go."""

    name: ClassVar[str] = "hf_repo_files"
    description: ClassVar[str] = (
        "Files of a Hugging Face model, dataset or Space repository. list: names and sizes, paged. read: a text file in pages (binary "
        "files: size only). upload: one file, from content or local_path; folders with `hf upload` in bash. delete: by "
        "path or patterns. Create the repository first with hf_repo_git."
    )
    args = RepoFilesArgs
    risk_words: ClassVar[str] = "list, read: reads; upload, delete: changes the Hub"

    def __init__(
        self,
        repos: HubRepos,
        artifacts: Artifacts | None = None,
        workspace: Workspace | None = None,
    ) -> None:
        """``workspace`` None: there is no ``local_path``."""
        self._repos = repos
        self._workspace = workspace
        self._artifacts = artifacts

    async def prepare(self, args: RepoFilesArgs, shown: RepoFilesArgs | None = None) -> RepoFilesArgs:
        match args.operation:
            case "upload":
                return await self._prepare_upload(args, shown)
            case "delete":
                return await self._prepare_delete(args, shown)
            case "read":
                _demand(args.path.strip("/"), "read", "path", path="README.md")
                return args
            case "list":
                return args

    def risk(self, args: RepoFilesArgs) -> Risk:
        if args.operation in ("list", "read"):
            return READ_ONLY
        reason = f"It uploads {outside}, which is outside the workspace." if (outside := self._outside(args)) else ""
        if args.operation == "delete":
            count = counted(len(args.found), "file") if isinstance(args, PreparedDelete) else "files"
            reason = f"It deletes {count} from {named(_repo(args))}."
        return Risk(effects=frozenset({Effect.WRITES_HUB}), writes=frozenset({f"hub:{args.repo_type}/{args.repo_id}"}), reason=reason)

    def subject(self, args: RepoFilesArgs) -> PermissionSubject:
        paths = (args.path.strip("/"),)
        if args.operation == "delete":
            paths = args.found if isinstance(args, PreparedDelete) else args.patterns or paths
        parts = [f"{args.operation} {args.repo_id} {path}".rstrip() for path in paths]
        # Parts of their own, so that a rule for uploads covers neither a proposal to somebody else nor a file from elsewhere.
        parts += [f"propose {args.repo_id}"] if args.create_pr and args.operation in ("upload", "delete") else []
        parts += [f"outside {outside}"] if (outside := self._outside(args)) else []
        return PermissionSubject(parts=tuple(parts))

    def _outside(self, args: RepoFilesArgs) -> str:
        """The local file, if it does not lie in the workspace."""
        if not args.local_path or args.operation != "upload" or self._workspace is None:
            return ""
        try:
            path = self._workspace.resolve(args.local_path)
        except (ValueError, OSError):
            return ""  # it will fail with a reason, and send nothing
        return "" if self._workspace.place(path) is Place.WORKSPACE else str(path)

    def preview(self, args: RepoFilesArgs) -> tuple[Display, ...]:
        repo = _repo(args)
        if args.operation == "delete":
            return (_deleted_table(repo, args.found if isinstance(args, PreparedDelete) else args.patterns or (args.path,)),)
        if args.operation != "upload":
            return ()
        how = "As a new pull request to" if args.create_pr else "Into"
        where = Link(title=f"{how} {named(repo)}: {args.path}", url=self._repos.file_page(repo, args.path))
        return (where, _content_shown(args))

    async def run(self, args: RepoFilesArgs, ctx: ToolContext) -> ToolOutput:
        prepared = args if isinstance(args, PreparedUpload | PreparedDelete) else await self.prepare(args)
        repo, path = _repo(args), prepared.path.strip("/")
        if isinstance(prepared, PreparedUpload):
            return await self._upload(repo, prepared)
        if isinstance(prepared, PreparedDelete):
            return await self._delete(repo, prepared)
        if args.operation == "read":
            return ToolOutput(text=await read_page(self._repos, repo, path, args.offset, args.max_chars))
        return ToolOutput(text=await list_page(self._repos, repo, path, args.offset))

    # ── upload ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _prepare_upload(self, args: RepoFilesArgs, shown: RepoFilesArgs | None) -> PreparedUpload:
        path = (args.path or PurePosixPath(args.local_path).name).strip("/").removeprefix("./")
        _demand(path, "upload", "path", path="README.md", content="…")
        if (args.content is None) == (not args.local_path):
            _demand("", "upload", "either content or local_path", path=path, content="…")
        _demand_main(args)
        if args.content is not None:
            data = _encoded(args.content)
        elif isinstance(shown, PreparedUpload) and shown.local_path == args.local_path:
            data = shown.data
        else:
            data = await self._local(args.local_path)
        repo = _repo(args)
        old = await self._repos.entry(repo, path)
        if old is not None and old.size_bytes is None:
            raise ToolError(f"{path} in {named(repo)} is a folder.", hint="Give the path of the file inside it.")
        old_text = await self._old_text(repo, old, data)
        digest = await asyncio.to_thread(_digest, data)
        return _prepared(PreparedUpload, args, path=path, data=data, digest=digest, old=old, old_text=old_text)

    async def _local(self, shown: str) -> bytes:
        if self._workspace is None:
            raise ToolError("There is no workspace to upload files from.", hint="Use content.")
        found = target(self._workspace, shown)
        stat = await existing_file(self._workspace, found)
        if stat.size_bytes > MAX_UPLOAD_BYTES:
            raise ToolError(
                f"{shown} has {size_text(stat.size_bytes)}, and this tool sends {size_text(MAX_UPLOAD_BYTES)} at most.",
                hint="Send it with `hf upload` in bash.",
            )
        try:
            return await self._workspace.read_bytes(found.path)
        except OSError as error:
            raise as_tool_error(error, shown, "read") from error

    async def _old_text(self, repo: Repo, old: Entry | None, data: bytes) -> str | None:
        """The text that is replaced, for the diff, where it costs one small request."""
        if old is None or old.large or not 0 < (old.size_bytes or 0) <= _DIFF_BYTES or _text(data) is None:
            return None
        try:
            return _text((await self._repos.part(repo, old.path, 0, _DIFF_BYTES)).data)
        except AccessGated:
            return None  # one may propose a change to what one may not read

    async def _upload(self, repo: Repo, args: PreparedUpload) -> ToolOutput:
        url = self._repos.file_page(repo, args.path)
        size = size_text(len(args.data))
        if args.old is not None and await asyncio.to_thread(args.old.holds, args.data):
            return ToolOutput(text=f"{args.path} in {named(repo)} has exactly this content already; no commit was made. {url}")
        message = args.commit_message or f"{'Update' if args.old else 'Add'} {args.path}"
        upload = Upload(path=args.path, data=args.data, message=message, create_pr=args.create_pr)
        pushed = await self._repos.upload(repo, upload)
        verb = "Replaced" if args.old else "Created"
        text = _pushed(pushed, f"{verb} {args.path} ({size}) in {named(repo)}: {url}", f"{args.path} ({size}) for {named(repo)}")
        if args.path == "README.md" and not args.data.lstrip().startswith(b"---"):
            text += "\nIts card has no metadata: the Hub reads license, tags and so on from YAML between two '---' lines at the top."
        return ToolOutput(text=text + await self._note(args), display=(_content_shown(args), _link(pushed)))

    # ── delete ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _prepare_delete(self, args: RepoFilesArgs, shown: RepoFilesArgs | None) -> PreparedDelete:
        path = args.path.strip("/")
        _demand(path or "".join(args.patterns), "delete", "path or patterns", patterns=["checkpoint-100/"])
        _demand_main(args)
        if isinstance(shown, PreparedDelete) and _same_files(args, shown):
            return _prepared(PreparedDelete, args, found=shown.found)
        repo = _repo(args)
        found = await self._repos.matching(repo, args.patterns) if args.patterns else []
        if path:
            entry = await self._repos.entry(repo, path)
            if entry is not None and entry.size_bytes is None:
                raise ToolError(f"{path} in {named(repo)} is a folder.", hint=f'To delete all in it use patterns ["{path}/"].')
            found += [path] if entry is not None and path not in found else []
        if not found:
            asked = ", ".join((*args.patterns, *([path] if path else [])))
            raise ToolError(f"No file in {named(repo)} matches {asked}; nothing was deleted.", hint="Use operation list to see its files.")
        return _prepared(PreparedDelete, args, found=tuple(found))

    async def _delete(self, repo: Repo, args: PreparedDelete) -> ToolOutput:
        count = counted(len(args.found), "file")
        message = args.commit_message or (f"Delete {args.found[0]}" if len(args.found) == 1 else f"Delete {count}")
        pushed = await self._repos.delete(repo, args.found, message, create_pr=args.create_pr)
        text = _pushed(pushed, f"Deleted {count} from {named(repo)}:", f"deletion of {count} from {named(repo)}:")
        rest = [f"… and {len(args.found) - _SHOWN_FILES} more"] if len(args.found) > _SHOWN_FILES else []
        return ToolOutput(
            text="\n".join((text, *args.found[:_SHOWN_FILES], *rest)), display=(_deleted_table(repo, args.found), _link(pushed))
        )

    async def _note(self, args: RepoFilesArgs) -> str:
        """What the record of artifacts says of a change that is not only proposed."""
        if self._artifacts is None or args.create_pr or args.revision.startswith("refs/pr/"):
            return ""
        note = await self._artifacts.made(args.repo_id, args.repo_type)
        return f"\n{note}" if note else ""


def _repo(args: RepoFilesArgs) -> Repo:
    return Repo(repo_id=args.repo_id, repo_type=args.repo_type, revision=args.revision)


def _prepared(kind: type[Prepared], args: RepoFilesArgs, **found: Any) -> Prepared:
    """The arguments as the model gave them, and what was found."""
    given: dict[str, Any] = {name: getattr(args, name) for name in RepoFilesArgs.__struct_fields__}
    return kind(**given | found)


def _demand(given: str, operation: str, missing: str, **example: object) -> None:
    if not given:
        import json

        call = json.dumps({"operation": operation, "repo_id": "org/name", **example}, ensure_ascii=False)
        raise ToolError(f"hf_repo_files {operation} needs {missing}.", hint=f"For example: {call}")


def _demand_main(args: RepoFilesArgs) -> None:
    if args.create_pr and args.revision != "main":
        raise ToolError(
            f"create_pr opens a new pull request to main, and revision is {args.revision}.",
            hint="Leave out revision; or leave out create_pr to commit to that branch or pull request.",
        )


def _same_files(args: RepoFilesArgs, shown: RepoFilesArgs) -> bool:
    names = ("repo_id", "repo_type", "revision", "path", "patterns")
    return all(getattr(args, name) == getattr(shown, name) for name in names)


def _encoded(content: str) -> bytes:
    try:
        return content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError(f"content holds half a surrogate pair at character {error.start}, which no file can hold.") from error


def _digest(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()


def _text(data: bytes) -> str | None:
    if b"\0" in data[:8192]:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _content_shown(args: RepoFilesArgs) -> Display:
    if not isinstance(args, PreparedUpload):
        return Text(text=args.content or args.local_path)
    text = _text(args.data) if len(args.data) <= _SHOWN_BYTES else None
    if text is None:
        return Text(text=f"{args.local_path or args.path}: {size_text(len(args.data))}, SHA-256 {args.digest}")
    if args.old_text is not None:
        from ml_intern.tools.files.diff import unified_diff

        return unified_diff(args.path, args.old_text, text)
    return Text(text=text, language=_LANGUAGES.get(PurePosixPath(args.path).suffix, ""))


def _deleted_table(repo: Repo, files: tuple[str, ...]) -> Table:
    rest = ((f"… and {len(files) - _SHOWN_FILES} more",),) if len(files) > _SHOWN_FILES else ()
    return Table(title=f"Deleted from {named(repo)}", columns=("file",), rows=(*((file,) for file in files[:_SHOWN_FILES]), *rest))


def _pushed(pushed: Pushed, done: str, proposed: str) -> str:
    """A commit in words, or the pull request that proposes it."""
    if not pushed.pr_url:
        return f"{done}\nCommit {pushed.oid[:8]}: {pushed.url}"
    number = pushed.pr_url.rpartition("/")[2]
    flow = f"Add to it with revision refs/pr/{number}; merge it with hf_repo_git merge_pr."
    return f"Opened pull request {pushed.pr_url} with {proposed}\n{flow}"


def _link(pushed: Pushed) -> Link:
    return Link(title="Pull request" if pushed.pr_url else "Commit", url=pushed.pr_url or pushed.url)

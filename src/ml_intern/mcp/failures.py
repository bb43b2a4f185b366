"""What a broken connection or a refused call means for the model and the user: the one place where the SDK's exceptions are mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import httpx2
from mcp.client.auth.exceptions import OAuthFlowError
from mcp.shared.exceptions import MCPError

from ml_intern.config.settings import McpServer
from ml_intern.errors import ServiceAuthError, ServiceDown, ServiceError, ServiceRefused
from ml_intern.mcp.listing import shortened
from ml_intern.mcp.message_lines import TOO_LONG
from ml_intern.mcp.surroundings import address

if TYPE_CHECKING:
    from ml_intern.mcp.transport import Seen

_UNAUTHORIZED = (401, 403)
_MAX_CHARS = 1_000


def leaf(error: BaseException) -> BaseException:
    """The first real failure inside the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def was_never_sent(error: BaseException | None) -> bool:
    """Whether the connection broke before a byte of the request left: nobody listened."""
    return error is not None and isinstance(leaf(error), httpx2.ConnectError | httpx2.ConnectTimeout)


def connecting_failed(name: str, server: McpServer, error: BaseException | None, seen: Seen, limit_s: float) -> ServiceError:
    """Why the server cannot be used, as an error with a remedy. ``error`` None: it said nothing within ``limit_s``."""
    service = f"MCP server '{name}'"
    where = address(server)
    if error is not None and isinstance(found := leaf(error), ServiceError):
        return found
    if error is not None and isinstance(found := leaf(error), OAuthFlowError):
        return ServiceAuthError(f"The sign-in to {service} at {where} failed: {found}.", hint=_sign_in(name, server), service=service)
    if seen.status in _UNAUTHORIZED:
        return ServiceAuthError(
            f"{service} at {where} refuses us (HTTP {seen.status}).", hint=_sign_in(name, server), service=service, status=seen.status
        )
    if server.command is not None:
        return ServiceDown(f"{service} ({where}) {_program_failure(error, seen, limit_s)}", hint=_look_at(error, seen), service=service)
    why = f"did not answer in time ({limit_s:g} s)." if error is None else f"cannot be used: {_said(leaf(error))}"
    status = f" (HTTP {seen.status})" if seen.status else ""
    hint = f"`ml-intern mcp test {name}` tries it again."
    return ServiceDown(f"{service} at {where} {why}{status}", hint=hint, service=service, status=seen.status)


def call_failed(name: str, tool: str, error: Exception) -> ServiceError:
    """A call that the server answered with an error of the protocol, with nonsense, or with too much."""
    service = f"MCP server '{name}'"
    if isinstance(error, MCPError) and error.code == TOO_LONG:
        lost = f"{service} answered {tool} with {error.message}; that is not taken in."
        return ServiceError(lost, hint="What it did is done. Ask it for less at a time.", service=service)
    return ServiceRefused(f"{service} did not accept the call of {tool}: {_said(error)}", service=service)


def _sign_in(name: str, server: McpServer) -> str:
    if server.oauth:
        return f"Sign in with `ml-intern mcp login {name}`."
    return (
        f'Give it a header in the settings ("Authorization": "Bearer ${{VARIABLE}}"), or set mcpServers.{name}.oauth to true and sign in.'
    )


def _program_failure(error: BaseException | None, seen: Seen, limit_s: float) -> str:
    found = leaf(error) if error is not None else None
    if isinstance(found, FileNotFoundError):
        return f"cannot be started: {found.strerror}: {found.filename}."
    if isinstance(found, OSError) and found.strerror:
        return f"cannot be started: {found.strerror}."
    nonsense = f" What it printed on its standard output was no MCP ({seen.nonsense} lines)." if seen.nonsense else ""
    if found is None:
        return f"did not answer in time ({limit_s:g} s).{nonsense}"
    return f"ended before it answered.{nonsense}"


def _look_at(error: BaseException | None, seen: Seen) -> str:
    if seen.log is None or (error is not None and isinstance(leaf(error), OSError)):
        return "Check mcpServers in the settings, or try it with `ml-intern mcp test`."
    tail = seen.log.tail
    last = f" It ended with: {shortened(tail[-_MAX_CHARS:], _MAX_CHARS)}" if tail else ""
    return f"Its messages are in {seen.log.path}.{last}"


def _said(error: BaseException) -> str:
    if isinstance(error, MCPError):
        text = f"{error.message} (code {error.code})."
    else:
        text = f"{error or type(error).__name__}."
    return shortened(text, _MAX_CHARS)

"""A server of the SDK over streamable HTTP (protocol 2026-07-28, and older for those who ask). Run as a program; prints its port.

``python mcp_http.py DIARY [MODE…]``: every request's Authorization goes into DIARY. Modes: ``closed`` refuses all with 401,
``oauth`` is its own authorization server, where everybody is let in, ``port=N`` listens there, ``sse`` speaks
by the older server-sent events.
"""

from __future__ import annotations

import secrets
import socket
import sys
import time
from typing import Any

import anyio
import uvicorn
from mcp.server.auth.provider import AccessToken, AuthorizationCode, AuthorizationParams, RefreshToken, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl

DIARY, MODES = sys.argv[1], sys.argv[2:]


class Everybody:
    """An authorization server without a door."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: dict[str, AccessToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id or ""] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = secrets.token_urlsafe(16)
        self.codes[code] = AuthorizationCode(
            code=code, client_id=client.client_id or "", scopes=[], expires_at=time.time() + 60, code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri, redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )  # fmt: skip
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client: OAuthClientInformationFull, authorization_code: str) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode) -> OAuthToken:
        token = f"oauth-{secrets.token_urlsafe(16)}"
        self.tokens[token] = AccessToken(
            token=token,
            client_id=client.client_id or "",
            scopes=[],
            expires_at=int(time.time()) + 600,
            resource=authorization_code.resource,
        )
        return OAuthToken(access_token=token, token_type="Bearer", expires_in=600)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.tokens.get(token)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return None

    async def exchange_refresh_token(self, client: Any, refresh_token: Any, scopes: Any) -> OAuthToken:
        raise NotImplementedError

    async def revoke_token(self, token: Any) -> None:
        return None


def server(port: int) -> MCPServer:
    base = f"http://127.0.0.1:{port}"
    more: dict[str, Any] = {}
    if "oauth" in MODES:
        more["auth_server_provider"] = Everybody()
        more["auth"] = AuthSettings(
            issuer_url=AnyHttpUrl(base),
            resource_server_url=AnyHttpUrl(f"{base}/mcp"),
            client_registration_options=ClientRegistrationOptions(enabled=True),
        )
    made = MCPServer("sdk", version="7", log_level="ERROR", **more)

    @made.tool()
    def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    @made.tool()
    async def steps(context: Context[Any, Any]) -> str:
        """Says how far it is."""
        for done in range(3):
            await context.report_progress(done + 1, 3, f"step {done + 1}")
        return "all three"

    for name in ("hf_jobs", "hf_whoami", "hf_doc_search", "hf_doc_fetch"):
        made.add_tool(add, name=name, description="A duplicate of ours.")
    return made


async def run() -> None:
    wanted = next((int(mode.partition("=")[2]) for mode in MODES if mode.startswith("port=")), 0)
    listening = socket.create_server(("127.0.0.1", wanted))
    port = listening.getsockname()[1]
    made = server(port)
    app = made.sse_app() if "sse" in MODES else made.streamable_http_app()

    async def kept(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {key.decode(): value.decode() for key, value in scope["headers"]}
            with open(DIARY, "a", encoding="utf-8") as file:
                file.write(f"{scope['method']} {headers.get('authorization', '-')}\n")
            if "closed" in MODES:
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b"who are you?"})
                return
        await app(scope, receive, send)

    print(port, flush=True)
    await uvicorn.Server(uvicorn.Config(kept, log_level="error", lifespan="on")).serve(sockets=[listening])


if __name__ == "__main__":
    anyio.run(run)

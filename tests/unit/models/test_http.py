from __future__ import annotations

import ssl
from socket import gaierror

import httpx2
import pytest

from ml_intern.errors import ConnectionFailed, Unreachable
from ml_intern.models.http import HttpOptions, ModelHttp, not_connected
from ml_intern.testing.model_server import ModelServer


async def ask(http: ModelHttp) -> None:
    async with http.post("/chat/completions", b"{}", {}) as answer:
        await answer.read()


@pytest.mark.parametrize(
    ("origin", "cause", "hint"),
    [
        ("https://no-such-host.invalid", gaierror(-2, "Name or service not known"), "address"),
        ("https://box.example", ssl.SSLCertVerificationError("self-signed certificate"), "SSL_CERT_FILE"),
        ("http://localhost:8000", ExceptionGroup("both addresses", [ConnectionRefusedError(111, "refused")]), "running"),
    ],
)
def test_an_address_that_cannot_be_right_is_not_worth_a_long_wait(origin: str, cause: Exception, hint: str) -> None:
    error = httpx2.ConnectError("It failed.")
    error.__cause__ = cause
    found = not_connected(origin, error, reached=False)
    assert type(found) is Unreachable
    assert hint in found.hint
    assert found.message.endswith("It failed.")
    assert not found.message.endswith("..")


def test_a_refusal_by_another_machine_may_pass() -> None:
    error = httpx2.ConnectError("failed")
    error.__cause__ = ConnectionRefusedError(111, "refused")
    assert type(not_connected("https://box.example", error, reached=False)) is ConnectionFailed


async def test_a_server_that_answered_before_is_waited_for() -> None:
    async with ModelServer() as server:
        http = ModelHttp(server.v1, {}, HttpOptions())
        await ask(http)
    await http.aclose()
    with pytest.raises(ConnectionFailed) as caught:
        await ask(http)
    assert type(caught.value) is ConnectionFailed
    await http.aclose()

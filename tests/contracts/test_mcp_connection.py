"""MCP servers through the real SDK: what a connection does when all goes well, and when nothing does."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mcp_types import TextContent

from ml_intern.config.secret import SecretMap
from ml_intern.config.settings import McpServer
from ml_intern.errors import ServiceAuthError, ServiceDown, ServiceError, ServiceRefused
from ml_intern.mcp.client import CONNECT_TIMEOUT_S
from ml_intern.mcp.servers import Pace
from ml_intern.protocol.display import Link
from tests.mcp_support import Hours, at, lines, over_http, session, surroundings, tiny, until, use
from tests.workspaces import Calls, processes_in


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


async def test_a_tool_of_a_program_answers(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        assert (await use(servers, "tiny__echo", text="hello")).text == "hello"
        assert (await servers.connection("tiny").about()).protocol == "2025-11-25"


async def test_a_tool_over_streamable_http_answers_by_the_new_protocol(tmp_path: Path, diary: Path) -> None:
    async with over_http(diary) as url, session({"sdk": at(url)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        assert (await use(servers, "sdk__add", a=2, b=3)).text == "5", "structured content says the same, once is enough"
        assert (await servers.connection("sdk").about()).protocol == "2026-07-28"


async def test_a_server_of_the_older_events_answers_reports_progress_and_gets_its_header(tmp_path: Path, diary: Path) -> None:
    calls = Calls()
    async with over_http(diary, "sse") as url:
        server = at(url, transport="sse", headers={"Authorization": "Bearer mine"})
        async with session({"old": server}, surroundings(tmp_path)) as servers:
            await servers.first_lists(20)
            assert (await use(servers, "old__add", a=2, b=3)).text == "5"
            assert (await use(servers, "old__steps", calls)).text == "all three"
            assert not (await use(servers, "old__add", a="two")).success
            assert (await use(servers, "old__add", a=1, b=1)).text == "2"
    assert sorted(calls.reported) == ["1/3 step 1\n", "2/3 step 2\n", "3/3 step 3\n"]
    assert set(lines(diary)) == {"GET Bearer mine", "POST Bearer mine"}


async def test_a_server_of_the_older_events_that_was_started_again_serves_the_next_call(tmp_path: Path, diary: Path) -> None:
    async with AsyncExitStack() as first:
        url = await first.enter_async_context(over_http(diary, "sse"))
        async with session({"old": at(url, transport="sse")}, surroundings(tmp_path)) as servers:
            await servers.first_lists(20)
            assert (await use(servers, "old__add", a=2, b=3)).text == "5"
            await first.aclose()
            async with over_http(diary, "sse", f"port={urlsplit(url).port}"):
                assert (await use(servers, "old__add", a=2, b=4)).text == "6"


async def test_a_server_of_the_older_events_that_wants_a_key_says_how_to_give_one(tmp_path: Path, diary: Path) -> None:
    async with over_http(diary, "sse", "closed") as url, session({"old": at(url, transport="sse")}, surroundings(tmp_path)) as servers:
        with pytest.raises(ServiceAuthError, match="HTTP 401"):
            await servers.connection("old").list_tools()


async def test_progress_is_shown_while_a_call_runs(tmp_path: Path, diary: Path) -> None:
    calls = Calls()
    async with over_http(diary) as url, session({"sdk": at(url)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        assert (await use(servers, "sdk__steps", calls)).text == "all three"
    assert sorted(calls.reported) == ["1/3 step 1\n", "2/3 step 2\n", "3/3 step 3\n"]


async def test_nothing_of_an_answer_is_dropped(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        output = await use(servers, "tiny__everything")
    assert output.success
    assert [image.media_type for image in output.images] == ["image/png"]
    assert "five things" in output.text and "[resource demo://note]\ninside" in output.text
    assert '{"count": 5}' in output.text and "https://example.com/page" in output.text
    assert output.display == (Link(title="page", url="https://example.com/page"),)
    kept = {path.suffix: path.read_bytes() for path in (tmp_path / "spill").iterdir()}
    assert kept == {".wav": b"RIFF", ".pdf": b"%PDF"}
    assert all(str(path) in output.text for path in (tmp_path / "spill").iterdir())


async def test_a_tool_that_fails_says_so(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        output = await use(servers, "tiny__fail")
        assert not output.success and output.text == "it broke" and output.error_kind == "tool_error"
        with pytest.raises(ServiceRefused, match="not today"):
            await use(servers, "tiny__refuse")


async def test_an_answer_of_fifty_megabytes_comes_whole(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary, "much")}, surroundings(tmp_path)) as servers:
        answer = await servers.connection("tiny").call("much", {"megabytes": 50}, Calls().reported.append)
    (block,) = answer.content
    assert isinstance(block, TextContent) and len(block.text) == 50 * 1024 * 1024


async def test_an_answer_too_long_to_take_in_ends_its_call_and_not_the_connection(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary, "much")}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        with pytest.raises(ServiceError, match="more than 67,108,864 bytes in one message"):
            await use(servers, "tiny__much", megabytes=64)
        assert (await use(servers, "tiny__echo", text="still here")).text == "still here"
    told = lines(diary)
    assert told[told.index("call much") :][:2] == ["call much", "call echo"], "it was not started again in between"


async def test_calls_share_one_connection(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        before = lines(diary).count("start")
        answers = await asyncio.gather(*(use(servers, "tiny__echo", text=str(number)) for number in range(5)))
        assert sorted(answer.text for answer in answers) == ["0", "1", "2", "3", "4"]
        assert lines(diary).count("start") == before + 1


async def test_an_interrupted_call_is_cancelled_at_the_server_and_the_connection_stays(tmp_path: Path, diary: Path) -> None:
    calls = Calls()
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        call = asyncio.create_task(use(servers, "tiny__wait", calls))
        await until(lambda: bool(calls.reported))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        starts = lines(diary).count("start")
        await until(lambda: "cancelled" in lines(diary))
        assert (await use(servers, "tiny__echo", text="still here")).text == "still here"
        assert lines(diary).count("start") == starts


async def test_silence_ends_a_call_and_not_the_connection(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary, timeout_s=0.3)}, surroundings(tmp_path), pace=Pace(connect_timeout_s=20)) as servers:
        await servers.first_lists(20)
        with pytest.raises(ServiceDown, match=r"no answer and no sign of progress for 0\.3 s"):
            await use(servers, "tiny__wait")
        await until(lambda: "cancelled" in lines(diary))
        assert (await use(servers, "tiny__echo", text="x")).text == "x"


async def test_a_call_under_which_the_server_dies_is_not_sent_again(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        with pytest.raises(ServiceDown, match="whether it was carried out is not known"):
            await use(servers, "tiny__die")
        assert lines(diary).count("call die") == 1
        assert (await use(servers, "tiny__echo", text="back")).text == "back", "the next call connects again"


async def test_a_call_that_may_be_repeated_is(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary)}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        assert (await use(servers, "tiny__die_once")).text == "done"
        assert lines(diary).count("call die once") == 2


async def test_a_server_killed_between_two_calls_is_started_again(tmp_path: Path, diary: Path) -> None:
    (tmp_path / "work").mkdir()
    async with session({"tiny": tiny(diary, cwd=str(tmp_path / "work"))}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        await use(servers, "tiny__echo", text="a")
        (pid,) = processes_in(tmp_path / "work")
        os.kill(pid, 9)
        await until(lambda: not processes_in(tmp_path / "work"))
        assert (await use(servers, "tiny__echo", text="b")).text == "b"


async def test_a_web_server_that_was_started_again_serves_the_next_call(tmp_path: Path, diary: Path) -> None:
    async with AsyncExitStack() as stack:
        async with over_http(diary) as url:
            servers = await stack.enter_async_context(session({"sdk": at(url)}, surroundings(tmp_path)))
            await servers.first_lists(20)
            assert (await use(servers, "sdk__add", a=1, b=1)).text == "2"
        with pytest.raises(ServiceDown, match="cannot be used"):
            await use(servers, "sdk__add", a=1, b=2)
        async with over_http(diary, f"port={urlsplit(url).port}"):
            assert (await use(servers, "sdk__add", a=1, b=3)).text == "4"


async def test_no_process_outlives_the_session(tmp_path: Path, diary: Path) -> None:
    (tmp_path / "work").mkdir()
    async with session({"tiny": tiny(diary, cwd=str(tmp_path / "work"))}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        await use(servers, "tiny__echo", text="a")
        hanging = asyncio.create_task(use(servers, "tiny__wait"))
        await until(lambda: "call wait" in lines(diary))
        assert processes_in(tmp_path / "work")
    assert not processes_in(tmp_path / "work")
    with pytest.raises(ServiceError):
        await hanging


async def test_a_banner_on_standard_output_does_no_harm(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary, "banner")}, surroundings(tmp_path)) as servers:
        await servers.first_lists(20)
        assert (await use(servers, "tiny__echo", text="fine")).text == "fine"


@pytest.mark.parametrize(("mode", "says"), [("silent", "did not answer in time"), ("nonsense", r"no MCP \(2 lines\)")])
async def test_a_server_that_never_gets_to_the_point_is_given_up(tmp_path: Path, diary: Path, mode: str, says: str) -> None:
    (tmp_path / "work").mkdir()
    server = tiny(diary, mode, cwd=str(tmp_path / "work"))
    async with session({"tiny": server}, surroundings(tmp_path), pace=Hours().pace(1.0)) as servers:
        with pytest.raises(ServiceDown, match=says):
            await servers.connection("tiny").about()
        assert not processes_in(tmp_path / "work")


async def test_a_server_has_as_long_to_connect_as_its_settings_give_a_call(tmp_path: Path, diary: Path) -> None:
    async with session({"tiny": tiny(diary, "silent", timeout_s=0.2)}, surroundings(tmp_path)) as servers:
        with pytest.raises(ServiceDown, match=r"did not answer in time \(0\.2 s\)"):
            await servers.connection("tiny").about()
    assert Pace().patience_s(tiny(diary, timeout_s=3600)) == CONNECT_TIMEOUT_S, "long calls are no reason for a long start"


async def test_a_server_that_ends_at_once_is_quoted(tmp_path: Path, diary: Path) -> None:
    around = surroundings(tmp_path)
    async with session({"tiny": tiny(diary, "ends")}, around) as servers:
        with pytest.raises(ServiceDown, match=r"ended before it answered\.") as failure:
            await servers.connection("tiny").about()
    log = around.paths.state_dir / "mcp" / "tiny.log"
    assert "cannot find my configuration" in failure.value.hint and str(log) in failure.value.hint
    assert log.read_text() == "cannot find my configuration\n"


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path, diary: Path) -> None:
    async with session({"x": McpServer(command="/no/such/program")}, surroundings(tmp_path)) as servers:
        with pytest.raises(ServiceDown, match="cannot be started: No such file or directory: /no/such/program"):
            await servers.connection("x").about()


async def test_a_program_sees_no_secret_of_ours_but_its_own(tmp_path: Path, diary: Path) -> None:
    around = surroundings(tmp_path, token="hf_ours", HF_TOKEN="hf_ours", AWS_SECRET_ACCESS_KEY="x", MY_OWN="y", LANG="C.UTF-8")
    async with session({"tiny": tiny(diary, env=SecretMap({"ITS_KEY": "z"}))}, around) as servers:
        await servers.first_lists(20)
        seen = json.loads((await use(servers, "tiny__variables")).text)
    assert seen["ITS_KEY"] == "z" and seen["LANG"] == "C.UTF-8"
    assert not {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_OWN"} & seen.keys()


# ── tokens on the wire ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_strangers_server_never_gets_the_hubs_token(tmp_path: Path, diary: Path) -> None:
    """W19: the original put the token into every configured server."""
    async with over_http(diary) as url, session({"sdk": at(url)}, surroundings(tmp_path, token="hf_secret")) as servers:
        await servers.first_lists(20)
        await use(servers, "sdk__add", a=1, b=2)
    assert set(lines(diary)) == {"POST -"}


async def test_the_hubs_own_server_gets_the_token_and_its_duplicates_are_left_out(tmp_path: Path, diary: Path) -> None:
    async with over_http(diary) as url:
        around = surroundings(tmp_path, token="hf_secret", endpoint=url.removesuffix("/mcp"))
        async with session({"hf": at(url)}, around) as servers:
            await servers.first_lists(20)
            assert [tool.name for tool in servers.tools()] == ["hf__add", "hf__steps"]
    assert set(lines(diary)) == {"POST Bearer hf_secret"}


async def test_a_header_of_the_users_own_is_not_replaced(tmp_path: Path, diary: Path) -> None:
    """W19: the original overwrote it."""
    async with over_http(diary) as url:
        around = surroundings(tmp_path, token="hf_secret", endpoint=url.removesuffix("/mcp"))
        async with session({"hf": at(url, headers={"authorization": "Bearer mine"})}, around) as servers:
            await servers.first_lists(20)
    assert set(lines(diary)) == {"POST Bearer mine"}


async def test_a_server_that_wants_a_key_says_how_to_give_one(tmp_path: Path, diary: Path) -> None:
    async with over_http(diary, "closed") as url, session({"sdk": at(url)}, surroundings(tmp_path)) as servers:
        with pytest.raises(ServiceAuthError, match="HTTP 401") as failure:
            await servers.connection("sdk").about()
    assert "Authorization" in failure.value.hint and "oauth" in failure.value.hint

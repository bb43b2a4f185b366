"""The first run: the least is asked, a wrong token is not asked for without end, and one can leave."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import keyring
import msgspec
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from ml_intern.config.credentials import hf_token, provider_key
from ml_intern.config.kept_token import forget_token, token_file
from ml_intern.config.load import LoadedSettings, load_settings, user_file
from ml_intern.config.secret import SecretStr
from ml_intern.frontends.commands.model_checks import tokens
from ml_intern.frontends.first_run.due import has_key, is_due, marker
from ml_intern.frontends.first_run.plain import TerminalTalk, set_up
from ml_intern.frontends.first_run.steps import TOKEN_PAGE, check_token, look
from ml_intern.models.key_check import MAKERS
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.testing.fake_service import Fault
from ml_intern.testing.model_server import ModelServer

NOBODY = "http://127.0.0.1:9"
_LOCAL = ("OLLAMA_BASE_URL", "VLLM_BASE_URL", "LMSTUDIO_BASE_URL", "LLAMACPP_BASE_URL", "LOCAL_LLM_BASE_URL")
Answer = str | bool | None | type[KeyboardInterrupt]


class Person:
    """Answers what it is asked with what was prepared; keeps what it was told."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.told: list[str] = []
        self.asked: list[str] = []

    def say(self, text: str) -> None:
        self.told.append(text)

    def secret(self, prompt: str) -> str:
        answer = self._next(prompt)
        assert isinstance(answer, str)
        return answer

    def yes_or_no(self, prompt: str) -> bool | None:
        answer = self._next(prompt)
        assert answer is None or isinstance(answer, bool)
        return answer

    def _next(self, prompt: str) -> Answer:
        self.asked.append(prompt)
        assert self._answers, f"one question too many: {prompt}"
        answer = self._answers.pop(0)
        if answer is KeyboardInterrupt:
            raise KeyboardInterrupt
        return answer

    @property
    def text(self) -> str:
        return "\n".join(self.told)


@pytest.fixture(autouse=True)
def no_key_store() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


class House:
    """A home folder, and the settings that a start in it would read."""

    def __init__(self, home: Path, hub: FakeHub) -> None:
        self._base = {"HOME": str(home), "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1", **dict.fromkeys(_LOCAL, NOBODY)}
        self.hub = hub
        self.folder = home

    def load(self, **variables: str) -> LoadedSettings:
        return load_settings(frontend="cli", cwd=self.folder, environ={**self._base, **variables})

    @property
    def token(self) -> str:
        return next(iter(self.hub.accounts))

    @property
    def user(self) -> str:
        return self.hub.accounts[self.token].name


@pytest.fixture
def house(home: Path, hub: FakeHub) -> House:
    return House(home, hub)


def test_a_good_token_is_checked_kept_and_said_where_and_traces_are_asked_about_once(house: House) -> None:
    loaded = house.load()
    assert is_due(loaded)
    person = Person(f" {house.token} ", True)
    set_up(loaded, person)
    assert f"Hello {house.user}." in person.text and str(token_file(loaded.environ)) in person.text
    assert house.token not in person.text
    token = hf_token(house.load().environ)
    assert token is not None and token.reveal() == house.token
    assert json.loads(user_file(loaded.environ).read_text()) == {"share_traces": True}
    assert not is_due(house.load())
    again = Person("")  # no token any more: it is asked for
    (house.folder / ".config" / "ml-intern" / "hf_token").unlink()
    set_up(house.load(), again)
    assert len(again.asked) == 1, "what was said about traces is not asked again"


def test_a_wrong_token_is_asked_for_three_times_and_not_for_ever(house: House) -> None:
    """W5.4: a token prompt that cannot be left."""
    person = Person("hf_wrong_token_one", "hf_wrong_token_two", "hf_wrong_token_three")
    set_up(house.load(), person)
    assert person.text.count("does not know this token") == 3 and "`ml-intern setup`" in person.text
    assert not token_file(house.load().environ).exists()
    assert is_due(house.load()), "there is still no model: the next start asks again"


@pytest.mark.parametrize(
    "answers",
    [(KeyboardInterrupt,), ("hf_wrong_token_one", KeyboardInterrupt)],
    ids=["first", "after one"],
)
def test_ctrl_c_leaves_at_every_question(house: House, answers: tuple[Answer, ...]) -> None:
    """W5.4: Ctrl-C at the token prompt asked again."""
    person = Person(*answers)
    with pytest.raises(click.Abort):
        set_up(house.load(), person)
    assert "Left." in person.text and "`ml-intern setup`" in person.text
    assert is_due(house.load()) and not user_file(house.load().environ).exists()


def test_setup_without_a_token_leaves_the_question_about_traces_for_when_there_is_one(house: House) -> None:
    person = Person("")
    set_up(house.load(), person, again=True)
    assert len(person.asked) == 1, "there is nobody's dataset to share them in"
    assert not marker(house.load()).exists()
    with_token = Person("", False)
    set_up(house.load(HF_TOKEN="hf_of_the_environment"), with_token, again=True)
    assert with_token.asked[-1] == "Share traces?"


def test_one_question_about_traces_comes_where_a_token_was_there_already_and_never_again(house: House) -> None:
    for answer in (KeyboardInterrupt, False, None):
        loaded = house.load(HF_TOKEN="hf_of_the_environment")
        marker(loaded).unlink(missing_ok=True)
        assert is_due(loaded)
        person = Person(answer)
        with suppress(click.Abort):
            set_up(loaded, person)
        assert person.asked == ["Share traces?"]
        assert not is_due(house.load(HF_TOKEN="hf_of_the_environment"))
        user_file(loaded.environ).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("token", "said"),
    [("", "It is {user}'s."), ("hf_of_nobody_at_all", f"The Hub does not know this token. Make one at {TOKEN_PAGE}.")],
    ids=["good", "refused"],
)
def test_a_token_of_the_environment_is_checked_and_what_the_hub_says_is_said(house: House, token: str, said: str) -> None:
    person = Person(False)
    set_up(house.load(HF_TOKEN=token or house.token), person)
    assert f"Found a Hugging Face token: from the environment. {said.format(user=house.user)}" in person.text
    again = Person("", False)
    set_up(house.load(HF_TOKEN=token or house.token), again, again=True)
    assert said.format(user=house.user) in again.text


def test_a_start_without_a_network_says_so_and_goes_on(house: House) -> None:
    person = Person(False)
    set_up(house.load(HF_TOKEN="hf_of_the_environment", HF_ENDPOINT=NOBODY), person)
    assert "could not be checked" in person.text and person.asked == ["Share traces?"]


def test_where_traces_are_decided_in_the_settings_nothing_is_asked(house: House) -> None:
    path = user_file(house.load().environ)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"share_traces": False}))
    assert not is_due(house.load(HF_TOKEN="hf_of_the_environment"))


@pytest.mark.parametrize("beginning", [maker.beginning for maker in MAKERS])
def test_a_key_of_a_models_maker_is_checked_kept_read_and_forgotten_like_the_token(house: House, beginning: str) -> None:
    (maker,) = (maker for maker in MAKERS if maker.beginning == beginning)
    key = f"{beginning}abcdefghijklmnop"
    with ModelServer() as server:
        here = [msgspec.structs.replace(each, url=server.v1, path="/models") for each in MAKERS]
        server.models_status = 401
        person = Person(key, KeyboardInterrupt)
        with pytest.raises(click.Abort):
            set_up(house.load(), person, makers=here)
        assert f"{maker.name} does not know this key" in person.text and not token_file(house.load().environ, maker.variable).exists()
        server.models_status = 200
        person = Person(key)
        set_up(house.load(), person, makers=here)
        assert key in str(server.model_list_requests[-1].headers)
    loaded = house.load()
    path = token_file(loaded.environ, maker.variable)
    assert str(path) in person.text and key not in person.text and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not is_due(loaded) and SecretStr(key) in loaded.secrets
    assert provider_key(loaded.environ, maker.variable) == SecretStr(key)
    assert provider_key(house.load(**{maker.variable: "of the environment"}).environ, maker.variable) == SecretStr("of the environment")
    assert str(path) in tokens(loaded, None).detail, "doctor says where it is"
    assert forget_token(loaded.environ, maker.variable) and is_due(house.load())


def test_what_is_said_is_broken_at_words_and_never_in_an_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    TerminalTalk().say(f"A token opens models, jobs and the Hub; make one at {TOKEN_PAGE}")
    rows = capsys.readouterr().err.splitlines()
    assert TOKEN_PAGE in rows and max(len(row) for row in rows if "://" not in row) <= 30


def test_the_end_of_input_is_no_answer_and_no_loop(house: House) -> None:
    """W5.4: a closed standard input made the prompt spin."""
    person = Person("")
    set_up(house.load(), person)
    assert len(person.asked) == 1
    traces = Person(None)
    set_up(house.load(HF_TOKEN="hf_of_the_environment"), traces)
    assert not user_file(house.load().environ).exists(), "nothing is decided for somebody who did not answer"


@pytest.mark.parametrize("name", ["HF_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"])
def test_with_a_key_in_the_environment_no_key_is_asked_for(house: House, name: str) -> None:
    assert has_key(house.load(**{name: "k" * 20}))
    assert is_due(house.load(**{name: "k" * 20})) is (name == "HF_TOKEN"), "without the Hub there are no traces to share"


def test_with_the_login_of_the_hub_no_key_is_asked_for(house: House) -> None:
    login = house.folder / ".cache" / "huggingface" / "token"
    login.parent.mkdir(parents=True)
    login.write_text("hf_from_the_login")
    assert has_key(house.load())


def test_a_local_server_that_answers_is_enough(house: House) -> None:
    with ModelServer(models=[{"id": "qwen3"}]) as server:
        loaded = house.load(OLLAMA_BASE_URL=server.url)
        assert is_due(loaded), "only asking tells"
        set_up(loaded, Person())


async def test_what_is_there_is_found(house: House) -> None:
    async with ModelServer(models=[{"id": "qwen3"}]) as server:
        found = await look(house.load(OPENAI_API_KEY="k" * 20, VLLM_BASE_URL=server.url))
        assert found.keys == ("OPENAI_API_KEY",) and found.local_models == ("vllm/qwen3",) and found.ready
        assert found.token_from == ""
    nothing = await look(house.load())
    assert not nothing.ready and nothing.local_models == ()


@pytest.mark.parametrize("text", ["gsk_abcdefghijkl", "two words", "x", "hf_ä", "hf_a\x1b[2Jbcdefgh"])
async def test_what_is_no_token_of_the_hub_is_not_sent_to_it(house: House, text: str) -> None:
    check = await check_token(house.load(), text)
    assert check.token is None and check.problem
    assert not house.hub.requests


def test_a_token_that_cannot_be_checked_now_is_kept_if_the_user_wants_that(house: House) -> None:
    for keep_it in (False, True):
        house.hub.faults += [Fault(pattern="whoami", status=503, times=9)]
        person = Person(house.token, keep_it, None if keep_it else "")
        set_up(house.load(), person)
        assert "could not be checked" in person.text
        assert token_file(house.load().environ).exists() is keep_it


def test_a_start_is_not_the_first_when_the_users_model_needs_no_key(house: House) -> None:
    path = user_file(house.load().environ)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"model_name": "ollama/qwen3"}))
    assert not is_due(house.load())

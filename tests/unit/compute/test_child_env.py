import pytest

from ml_intern.compute.child_env import child_environment, is_secret


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "PGPASSWORD",
        "MYSQL_PWD",
        "db_password",
        "GITHUBTOKEN",
        "SLACK_BOT_TOKEN",
        "WANDB_API_KEY",
        "NPM_AUTH",
        "SENTRY_DSN",
        "PGPASS",
        "SSHPASS",
        "SLACK_WEBHOOK",
        "TEAMS_WEBHOOK_URL",
        "GITHUB_PAT",
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
        "ML_INTERN_CLI_CONFIG",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "SIGNING_KEY",
        "SESSION_COOKIE",
    ],
)
def test_a_variable_that_is_called_like_a_secret_is_one(name: str) -> None:
    assert is_secret(name, "whatever")


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "LANG",
        "PWD",
        "OLDPWD",
        "TOKENIZERS_PARALLELISM",
        "CUDA_VISIBLE_DEVICES",
        "HF_HOME",
        "MONKEY",
        "AUTHOR",
        "COMPASS",
        "NUMBA_BYPASS",
        "KEYMAP",
    ],
)
def test_ordinary_variables_are_none(name: str) -> None:
    assert not is_secret(name, "whatever")


@pytest.mark.parametrize(
    "value",
    [
        "hf_abcdef",
        "sk-ant-xyz",
        "ghp_1234",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN RSA PRIVATE KEY-----",
        "xoxb-1",
        "https://hooks.slack.com/services/T/B/x",
    ],
)
def test_a_value_that_looks_like_a_key_is_secret_under_any_name(value: str) -> None:
    assert is_secret("HARMLESS", value)


def test_a_login_in_a_url_is_secret_but_where_the_network_or_packages_need_it() -> None:
    assert is_secret("DATABASE_URL", "postgres://user:secret@db/prod")
    assert not is_secret("DATABASE_URL", "postgres://db/prod")
    assert not is_secret("HTTPS_PROXY", "http://user:secret@proxy:3128")
    assert not is_secret("UV_INDEX_URL", "https://user:secret@pypi.example/simple")
    assert not is_secret("NOTE", "see https://example.org/a:b@c")


def test_the_user_may_let_single_secrets_through() -> None:
    env = child_environment({"HF_TOKEN": "t", "OPENAI_API_KEY": "k", "PATH": "/bin"}, ["HF_TOKEN"])
    assert (env.get("HF_TOKEN"), env.get("OPENAI_API_KEY"), env["PATH"]) == ("t", None, "/bin")


def test_programs_are_told_that_nobody_is_there() -> None:
    env = child_environment({"PAGER": "less", "TERM": "xterm-256color"})
    assert env["PAGER"] == env["GIT_PAGER"] == "cat"
    assert (env["GIT_TERMINAL_PROMPT"], env["PIP_NO_INPUT"], env["PYTHONUNBUFFERED"], env["TERM"]) == ("0", "1", "1", "dumb")

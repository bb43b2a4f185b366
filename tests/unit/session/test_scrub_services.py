"""Keys of the services that people train with: by their shape, or by the words beside them."""

from __future__ import annotations

import base64

import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.session.scrub import Scrubber, contains_redaction

# put together here, so that no file of this repository holds anything that looks like a key
LETTERS = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7kL9nP2qR4tU6wX8zA1cD3eF5gH7jK9m"
HEX = "0123456789abcdef" * 4
HF = LETTERS[:34]

SERVICES = [
    ("sk_" + "live_" + "zzzzgEOzdmenCkhvMdgaKjIg", "zzzzgEOzdmenCkhvMdgaKjIg"),  # no digit in it
    (f"wandb login {HEX[:40]}", HEX[:40]),
    (f"python -m wandb login --relogin {HEX[:40]}", HEX[:40]),
    (f"wandb.login(key='{HEX[:40]}')", HEX[:40]),
    (f"wandb: Paste an API key from your profile and hit enter: {HEX[:40]}", HEX[:40]),
    ("wandb" + f"_v1_{LETTERS}", LETTERS),
    (f"machine api.wandb.ai login user password {HEX[:40]}", HEX[:40]),
    (f"machine api.wandb.ai\n  login user\n  password {HEX[:40]}", HEX[:40]),
    (f"machine api.wandb.ai\\n  login user\\n  password {HEX[:40]}", HEX[:40]),
    (f"ENV WANDB_API_KEY {HEX[:40]}", HEX[:40]),
    (f"set -gx HF_TOKEN {LETTERS[:30]}", LETTERS[:30]),
    (f"- name: WANDB_API_KEY\n  value: {HEX[:40]}", HEX[:40]),
    (f'{{"name": "WANDB_API_KEY", "value": "{HEX[:40]}"}}', HEX[:40]),
    (f"comet login --api-key {LETTERS[:25]}", LETTERS[:25]),
    (f"eyJhcGlf{LETTERS}==", LETTERS),  # Neptune
    (f"modal token set --token-id x --token-secret as-{LETTERS[:22]}", LETTERS[:22]),
    (f"rpa_{LETTERS[:44].upper()}", LETTERS[:44].upper()),  # RunPod
    (f"secret_my-box_{HEX[:32]}.{LETTERS[:32]}", LETTERS[:32]),  # Lambda
    (f"tgp_v1_{LETTERS[:43]}", LETTERS[:43]),  # Together
    ("r8" + f"_{LETTERS[:37]}", LETTERS[:37]),
    (f'cohere.Client("{LETTERS[:40]}")', LETTERS[:40]),
    (f"Mistral(api_key='{LETTERS[:32]}')", LETTERS[:32]),
    (f"AccountName=x;AccountKey={LETTERS}{LETTERS[:16]}==;EndpointSuffix=core.windows.net", LETTERS),
    (f"Endpoint=sb://x.example.com/;SharedAccessKeyName=Root;SharedAccessKey={LETTERS[:43]}=", LETTERS[:43]),
    (f"https://x.blob.core.windows.net/c?sv=2022&sig={LETTERS[:43]}%3D", LETTERS[:43]),
    ("AKIA" + f"IOSFODNN7EXAMPLE,{LETTERS[:40]}", LETTERS[:40]),
    (f"aws configure set aws_secret_access_key {LETTERS[:40]}", LETTERS[:40]),
    (f"AWS Secret Access Key [None]: {LETTERS[:40]}", LETTERS[:40]),
    (f"vastai set api-key {HEX}", HEX),
    (base64.b64encode(f"hf_{HF}".encode()).decode(), "aGZf"),
]

CUT_IN_TWO = [
    f"hf_\x1b[0m{HF}",
    f"hf_{HF[:12]}\x1b[1;31m{HF[12:]}",
    f"hf_{HF[:30]}\x1b[0m{HF[30:]}",
    f"hf_{HF[:12]}\x1b]8;;http://x\x07{HF[12:]}",
    f"hf_{HF[:12]}\u200b{HF[12:]}",
    f"hf_{HF[:12]}\ufeff{HF[12:]}",
    f"hf_{HF[:12]}\\u200b{HF[12:]}",
    f"hf_{HF[:12]}\\u001b[0m{HF[12:]}",
    f"hf_{HF[:12]}\n{HF[12:]}",
    f"hf_{HF[:12]}\r\n    {HF[12:]}",
    f"hf_{HF[:12]}\\n{HF[12:]}",
]

HARMLESS = [
    f"commit {HEX[:40]}\nAuthor: x",
    f"wandb: Syncing run at {HEX[:40]}",
    f"wandb login works again\n{HEX[:40]} fixes it",
    f"'wandb @ git+https://example.com/wandb@{HEX[:40]}'",
    "machine learning login page password reset",
    "machine github.com login user password <token>",
    "machine example.com login user password $TOKEN",
    "ENV PYTHONPATH /app",
    "ENV HF_TOKEN $HF_TOKEN",
    "set -gx HF_TOKEN $argv[1]",
    "- name: PRIMARY_KEY\n  value: customer_id_2",
    '{"name": "EOS_TOKEN", "value": "<|endoftext|>"}',
    "- name: HF_TOKEN\n  valueFrom: {secretKeyRef: {name: hf, key: token}}",
    "hf_hub\nTransformers4Ever",
    "hf_hub_download\nsnapshot_download_of_a_model_V2",
    "secret_santa.py",
    "as-internationalizations",
    "\x1b[32mpassed\x1b[0m hf_hub\x1b[0m_download",
    "zero\u200bwidth in 1 text",
    "aGZf is a word",
]


@pytest.mark.parametrize(("text", "secret"), SERVICES)
def test_a_key_of_a_service_is_taken_out(text: str, secret: str) -> None:
    clean = Scrubber().scrub(f"before {text} after")
    assert secret not in clean
    assert contains_redaction(clean)
    assert clean.startswith("before ") and clean.endswith(" after")
    assert Scrubber().scrub(clean) is clean


@pytest.mark.parametrize("text", CUT_IN_TWO)
def test_a_token_that_something_invisible_or_a_line_break_cuts_in_two_is_taken_out(text: str) -> None:
    clean = Scrubber().scrub(f"\x1b[1mline\x1b[0m\nx {text} y\nlast")
    assert HF[:8] not in clean and HF[14:] not in clean and HF[-4:] not in clean
    assert clean.startswith("\x1b[1mline\x1b[0m\nx ") and clean.endswith(" y\nlast"), "what stands around it stays"
    assert Scrubber().scrub(clean) is clean


def test_a_known_secret_between_colours_is_taken_out() -> None:
    assert Scrubber([SecretStr("correct-horse-battery")]).scrub("\x1b[1mcorrect-\x1b[31mhorse-battery\x1b[0m") == "[REDACTED]"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_key_stays_and_is_the_very_same_object(text: str) -> None:
    assert Scrubber().scrub(text) is text


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    ["wandb login ", "wandb key=", "machine a.b login x ", "machine a.b password\n", "ENV A_KEY ", 'name: "A_KEY" ', "AKIA", "&sig=",
     "hf_a\n", "hf_a\\n", "\x1b[0m", "\x1b]", "\u200b", "aGZf", "eyJhcGlf", "secret_a", "secret access key", "set api-key "],
)  # fmt: skip
def test_no_text_makes_it_hang(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + " " + "hf_" + HF
    assert HF not in Scrubber().scrub(text)

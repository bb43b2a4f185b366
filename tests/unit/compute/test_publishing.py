from __future__ import annotations

import pytest

from ml_intern.compute.publishing import publishes
from ml_intern.tools.files.python_check import SAVING_KEYWORDS

PUSHES = [
    "SFTConfig(push_to_hub=True, hub_model_id='me/x')",
    "SFTConfig(push_to_hub = should_push)",
    "trainer.push_to_hub()",
    "model.push_to_hub_merged('me/x', tokenizer)",
    "api.upload_folder(folder_path='out', repo_id='me/x')",
    "upload_file(path_or_fileobj=b'', path_in_repo='a', repo_id='me/x')",
    "api.upload_large_folder('me/x', 'out')",
    "api.create_commit('me/x', operations)",
    "hf upload me/x out",
    "huggingface-cli upload me/x out",
    "hf upload-large-folder me/x out",
    "subprocess.run(['hf', 'upload', 'me/x', 'out'])",
    "os.system('huggingface-cli upload me/x out')",
    "trl sft --model_name_or_path a/b --push_to_hub",
    "trl sft --push_to_hub true",
    "push_to_hub: true",
    '{"push_to_hub": true}',
    "git clone https://huggingface.co/me/x\ncd x && git add . && git push",
    "git -C x push https://me:token@hf.co/me/x main",
    "x = ' # ' ; model.push_to_hub('me/x')",
    "echo $# ; hf upload me/x out",
    "curl a#b ; hf upload me/x out",
    "if x:  # first\n    model.push_to_hub('me/x')  # then",
    "def broken(:\n    model.push_to_hub('me/x')  # no Python, so it counts",
]
DOES_NOT = [
    "",
    "trainer.train()",
    "SFTConfig(push_to_hub=False)",
    "SFTConfig(push_to_hub = False, hub_model_id='me/x')",
    "SFTConfig(hub_model_id='me/x')",
    '{"push_to_hub": false}',
    "push_to_hub: false",
    "trl sft --push_to_hub false",
    "trl sft --no_push_to_hub",
    "# model.push_to_hub('me/x')\ntrainer.train()",
    "trainer.train()  # then hf upload me/x out",
    "hf download me/x  # hf upload me/x",
    "huggingface-cli whoami",
    "git push https://github.com/me/x",
    "git clone https://huggingface.co/me/x",
    "git clone https://hf.co/me/x && push_the_button",
]


@pytest.mark.parametrize("code", PUSHES)
def test_code_that_puts_something_on_the_hub_is_seen(code: str) -> None:
    assert publishes(code)


@pytest.mark.parametrize("code", DOES_NOT)
def test_code_that_puts_nothing_on_the_hub_is_let_be(code: str) -> None:
    assert not publishes(code)


def test_what_the_check_of_training_arguments_asks_for_is_what_counts_as_pushing() -> None:
    assert publishes(f"SFTConfig({', '.join(f'{keyword}=True' for keyword in SAVING_KEYWORDS)})")

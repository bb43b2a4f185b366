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
    'echo "first\n # second" ; hf upload me/x out',
    "trl sft --model_name_or_path a/b --push-to-hub",
    "trl sft --push-to-hub=true --output_dir out",
    "hf --token x upload me/y .",
    "hf --token=x --quiet upload me/y .",
    "hf \\\n  upload me/y .",
    "huggingface-cli -q upload-large-folder me/y .",
    "subprocess.run(['hf', '--token', token, 'upload', 'me/x', 'out'])",
    "df.to_parquet('hf://datasets/me/x/a.parquet')",
    "df.to_parquet(\n    path=f'hf://datasets/{name}/a.parquet',\n)",
    "df.to_csv(os.path.join('hf://datasets/me/x', 'a.csv'))",
    "frame.write_parquet('hf://datasets/me/x/a.parquet')",
    "frame.sink_parquet('hf://datasets/me/x/a.parquet')",
    "df.write.mode('overwrite').parquet('hf://datasets/me/x/a.parquet')",
    "torch.save(model.state_dict(), 'hf://models/me/x/a.pt')",
    "dataset.save_to_disk('hf://datasets/me/x')",
    "with fsspec.open('hf://datasets/me/x/a.txt', 'wb') as file: pass",
    "open('hf://datasets/me/x/a.txt', mode='a')",
    "path = 'hf://datasets/me/x/a.parquet'\ndf.to_parquet(path)",
    "ROOT: str = 'hf://datasets/me/x'  # mine\ndf.to_parquet(f'{ROOT}/a.parquet')",
    "duckdb.sql(\"COPY t TO 'hf://datasets/me/x/a.parquet'\")",
    "HfFileSystem().put('a', 'datasets/me/x/a')",
    "huggingface_hub.HfFileSystem(token=token).put('a', 'datasets/me/x/a')",
    "fs = HfFileSystem()\nfs.pipe('datasets/me/x/a', b'')",
    "fs = fsspec.filesystem('hf')\nfs.put_file('a', 'datasets/me/x/a')",
    "self.fs = HfFileSystem()\nwith self.fs.open('datasets/me/x/a', 'w') as file: pass",
    "fs = HfFileSystem()\nfs.cp('datasets/me/x/a', 'datasets/me/x/b')",
    "fs = HfFileSystem()\npq.write_table(table, 'datasets/me/x/a', filesystem=fs)",
    "scheduler = CommitScheduler(repo_id='me/x', folder_path='out')",
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
    "trl sft --no-push-to-hub",
    "trl sft --push-to-hub false",
    "hf --token x download me/y",
    "hf download me/y --local-dir upload",
    "pd.read_parquet('hf://datasets/me/x/a.parquet')",
    "pd.read_parquet('hf://datasets/me/x/a.parquet').to_parquet('out.parquet')",
    "df = pl.scan_parquet('hf://datasets/me/x/a.parquet')\ndf.write_parquet('out.parquet')\nsave(df, 'out')",
    "load_dataset('parquet', data_files='hf://datasets/me/x/a.parquet').save_to_disk('out')",
    "read(\n    path='hf://datasets/me/x/a',\n)\ndf.to_csv(path='out.csv')",
    "path = 'hf://datasets/me/x/a.parquet'\npd.read_parquet(path).to_csv('out.csv')",
    "with fsspec.open('hf://datasets/me/x/a.txt', 'rb') as file, open('out', 'wb') as out: pass",
    "HfFileSystem().get('datasets/me/x/a', 'a')",
    "fs = HfFileSystem()\nfs.ls('datasets/me/x')\nPath('a').write_text(fs_name)",
    "fs = HfFileSystem()\nwith fs.open('datasets/me/x/a') as file, open('a', 'w') as out: pass",
    "from huggingface_hub import CommitScheduler, HfFileSystem",
]


@pytest.mark.parametrize("code", PUSHES)
def test_code_that_puts_something_on_the_hub_is_seen(code: str) -> None:
    assert publishes(code)


@pytest.mark.parametrize("code", DOES_NOT)
def test_code_that_puts_nothing_on_the_hub_is_let_be(code: str) -> None:
    assert not publishes(code)


def test_what_the_check_of_training_arguments_asks_for_is_what_counts_as_pushing() -> None:
    assert publishes(f"SFTConfig({', '.join(f'{keyword}=True' for keyword in SAVING_KEYWORDS)})")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "code",
    [
        "git " * 20_000 + "huggingface.co",
        "x" * 100_000 + " hf://",
        "open" * 25_000 + " hf://",
        "push_to_hub" + " " * 100_000,
        ("hf" + " -a" + " " * 10_000) * 9,
        "a='hf://x'\n" * 9_000,
    ],
    ids=["git", "one word", "open", "spaces", "options", "names"],
)
def test_a_script_that_is_made_to_be_slow_to_read_is_read(code: str) -> None:
    """Each took from half a minute to hours with a pattern that looks again from each place."""
    assert publishes(code) is code.startswith("push")

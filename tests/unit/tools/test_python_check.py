"""Advice on Python files, read from sources: nothing of the project or its libraries runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.tools.files import python_check
from ml_intern.tools.files.python_check import check

LIBRARY = """
from __future__ import annotations
import abc, dataclasses, functools
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar
from .inner import moved, Base

raise RuntimeError("a library must not be imported by the check")

def plain(a, /, b, *, c=1): ...
def open_ended(a, **kwargs): ...
@functools.lru_cache
def cached(size): ...
@strange
def decorated(a): ...
async def waiting(seconds): ...

class Made:
    def __init__(self, width, *, height=1): ...
class Child(Made): ...
class Own(Child):
    def __init__(self, depth): ...
class Empty: ...
class Meta(metaclass=abc.ABCMeta):
    def __init__(self, a): ...
class New:
    def __new__(cls, a): ...
class Unknown(somewhere.Else):
    pass

@dataclass
class Config(Base):
    shared: ClassVar[int] = 1
    rate: float = 0.1
    hidden: int = field(default=0, init=False)
@dataclasses.dataclass(kw_only=True)
class SubConfig(Config):
    steps: int = 1

if True:
    def twice(a): ...
else:
    def twice(b): ...
assigned = plain
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "lib"
    package.mkdir()
    (package / "__init__.py").write_text(LIBRARY)
    (package / "inner.py").write_text("from dataclasses import dataclass\ndef moved(x): ...\n@dataclass\nclass Base:\n    seed: int = 0\n")
    (package / "heavy.so").touch()
    return tmp_path


def warnings(project: Path, source: str) -> list[str]:
    return check(source, str(project / "script.py"))


@pytest.mark.parametrize(
    ("source", "warning"),
    [
        ("from lib import plain\nplain(1, d=2)", "line 2: plain() takes no argument 'd'"),
        ("from lib import plain\nplain(a=1, b=2)", "line 2: plain() takes no argument 'a'"),
        ("from lib import plain as p\np(1, 2, cc=2)", "line 2: p() takes no argument 'cc'; did you mean 'c'?"),
        ("import lib\nlib.plain(1, x=2)", "line 2: plain() takes no argument 'x'"),
        ("import lib.inner\nlib.inner.moved(y=1)", "line 2: moved() takes no argument 'y'"),
        ("import lib.inner as i\ni.moved(y=1)", "line 2: moved() takes no argument 'y'"),
        ("from lib import inner\ninner.moved(y=1)", "line 2: moved() takes no argument 'y'"),
        ("from lib import moved\nmoved(y=1)", "line 2: moved() takes no argument 'y'"),
        ("from lib import cached\ncached(sise=1)", "line 2: cached() takes no argument 'sise'; did you mean 'size'?"),
        ("from lib import waiting\nwaiting(second=1)", "line 2: waiting() takes no argument 'second'; did you mean 'seconds'?"),
        ("from lib import Child\nChild(1, heigth=2)", "line 2: Child() takes no argument 'heigth'; did you mean 'height'?"),
        ("from lib import Own\nOwn(width=2)", "line 2: Own() takes no argument 'width'"),
        ("from lib import Own\nOwn(self=2)", "line 2: Own() takes no argument 'self'"),
        ("from lib import Empty\nEmpty(a=2)", "line 2: Empty() takes no argument 'a'"),
        ("from lib import Config\nConfig(shared=2)", "line 2: Config() takes no argument 'shared'"),
        ("from lib import Config\nConfig(hidden=2)", "line 2: Config() takes no argument 'hidden'"),
        (
            "from lib import SubConfig\nSubConfig(seed=1, rate=1, step=2)",
            "line 2: SubConfig() takes no argument 'step'; did you mean 'steps'?",
        ),
    ],
)
def test_a_keyword_that_a_callable_does_not_take_is_told(project: Path, source: str, warning: str) -> None:
    (found,) = warnings(project, source)
    assert found.partition(";")[0] == warning.partition(";")[0]
    assert warning in found


@pytest.mark.parametrize(
    "source",
    [
        "from lib import plain\nplain(1, b=2, c=3)",
        "from lib import plain\nplain(1, **options)",
        "from lib import open_ended\nopen_ended(1, z=2)",
        "from lib import decorated\ndecorated(z=2)",
        "from lib import Meta\nMeta(z=2)",
        "from lib import New\nNew(z=2)",
        "from lib import Unknown\nUnknown(z=2)",
        "from lib import twice\ntwice(z=2)",
        "from lib import assigned\nassigned(z=2)",
        "from lib import nothing\nnothing(z=2)",
        "from lib import SubConfig\nSubConfig(seed=1, rate=2, steps=3)",
        "from lib.heavy import x\nx(z=2)",
        "import not_installed\nnot_installed.f(z=1)",
        "from not_installed import f\nf(z=1)",
        "def plain(z): ...\nfrom lib import plain\nplain(z=2)",
        "from lib import plain\nplain = other\nplain(z=2)",
        "from lib import plain\ndef f(plain): plain(z=2)",
        "print(1, sep='')\nlocal(z=1)\nx.y.z(a=1)",
    ],
)
def test_what_cannot_be_told_for_certain_is_not_told(project: Path, source: str) -> None:
    assert warnings(project, source) == []


@pytest.mark.parametrize("name", ["TrainingArguments", "SFTConfig", "DPOConfig", "GRPOConfig"])
def test_training_that_would_lose_its_model_is_told(project: Path, name: str) -> None:
    (bare,) = warnings(project, f"from trl import {name}\nargs = {name}(output_dir='x')")
    assert bare.startswith(f"line 2: {name}(...) sets no push_to_hub and no hub_model_id: ")
    (half,) = warnings(project, f"import trl\nargs = trl.{name}(push_to_hub=True)")
    assert "sets no hub_model_id: " in half
    assert warnings(project, f"{name}(push_to_hub=True, hub_model_id='me/x')") == []
    assert warnings(project, f"{name}(**options)") == []


def test_a_training_class_that_is_only_mentioned_is_no_matter(project: Path) -> None:
    assert warnings(project, "# TrainingArguments(x)\ntext = 'SFTConfig()'\nimport trl\nisinstance(x, trl.SFTConfig)") == []


@pytest.mark.parametrize(
    ("source", "start"),
    [
        ("x = (\n", "syntax error in line 1: "),
        ("a\n  b\n", "syntax error in line 2: unexpected indent: b"),
        ("x = '\\0'\n\0", ""),
        ("(" * 2000 + ")" * 2000, ""),
    ],
)
def test_what_does_not_parse_is_told_with_its_line(project: Path, source: str, start: str) -> None:
    (warning,) = warnings(project, source)
    assert warning.startswith(start)


def test_the_script_runs_by_itself_in_any_interpreter_and_imports_nothing(project: Path) -> None:
    script = project / "script.py"
    script.write_text("import json, lib\nlib.plain(1, z=1)\njson.dumps({}, indnt=1)\nraise SystemExit('the script must not run')\n")
    command = [sys.executable, "-I", "-S", "-W", "ignore", python_check.__file__, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["line 2: plain() takes no argument 'z'"]
    assert done.stderr == ""


def test_callables_of_the_standard_library_are_known(project: Path) -> None:
    assert warnings(project, "import subprocess\nsubprocess.Popen([], shel=True)") == [
        "line 2: Popen() takes no argument 'shel'; did you mean 'shell'?"
    ]

"""``ml-intern "prompt"``: one task, no questions, an exit code that a script can read."""

from ml_intern.frontends.headless.options import ExitCode, HeadlessOptions
from ml_intern.frontends.headless.run import run_headless

__all__ = ["ExitCode", "HeadlessOptions", "run_headless"]

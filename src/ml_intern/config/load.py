"""Files, variables and flags → ``LoadedSettings``. The only module that reads the process's environment.

Later layers win: the packaged file, the user's file, the project's file (which may only make things stricter, see
``project``), the Slack variables, flags. Variables: the process's own, then ``.env`` of the project's root, then ``.env`` of
the working folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import msgspec

from ml_intern.config.credentials import hf_token, known_secrets, provider_key
from ml_intern.config.environ import Environ
from ml_intern.config.hub_address import hub_address
from ml_intern.config.json_values import Json, JsonDict, KeyPath, Layer, leaves, lookup, merge, nested, read_object
from ml_intern.config.kept_token import KEPT
from ml_intern.config.paths import Paths, expand_home, home_dir, paths_from
from ml_intern.config.project import PROJECT_FILE, narrowed
from ml_intern.config.secret import SecretStr, decode_secret
from ml_intern.config.settings import Settings
from ml_intern.config.slack import slack_defaults
from ml_intern.config.substitute import Substitution
from ml_intern.config.trust import TrustedFolders, needs_trust
from ml_intern.errors import ConfigError

if TYPE_CHECKING:
    from ml_intern.config.origins import Origin

__all__ = ["LoadedSettings", "hf_token", "load_settings", "process_environ", "to_settings", "user_file"]

Frontend = Literal["cli", "web"]

CONFIG_VARIABLE = "ML_INTERN_CLI_CONFIG"
CONFIG_NAME = "cli_agent_config.json"
PACKAGED = Path(__file__).parent.parent / "configs"

FLAG_NAMES: Mapping[str, str] = {
    "model_name": "--model",
    "max_iterations": "--max-iterations",
    "max_cost_usd": "--max-cost",
    "stream": "--no-stream",
    "tool_runtime": "--sandbox-tools",
    "sandbox.enabled": "--no-sandbox",
    "reasoning_effort": "--effort",
    "read_only": "--read-only",
    "wait_for_approval_s": "--wait-for-approval",
}
"""The flag that sets a key, for messages."""


class LoadedSettings:
    """The settings of one process and where they came from. Immutable."""

    def __init__(
        self,
        *,
        settings: Settings,
        environ: Environ,
        cwd: Path,
        layers: tuple[Layer, ...] = (),
        variables: Mapping[KeyPath, tuple[str, ...]] | None = None,
        files: tuple[Path, ...] = (),
        warnings: tuple[str, ...] = (),
        reload: Callable[[Path], LoadedSettings] | None = None,
    ) -> None:
        self.settings = settings
        self.environ = environ
        """The process's variables and those of ``.env`` files."""
        self.cwd = cwd
        """The workspace, absolute."""
        self.files = files
        """Every file that was read, in order, ``.env`` included."""
        self.warnings = warnings
        """What the user should hear but what stops nothing."""
        self.layers = layers
        """Every source in order; a project's holds what takes effect, the lists below it included."""
        self._variables = dict(variables or {})
        self._reload = reload

    def __repr__(self) -> str:
        return f"LoadedSettings({self.settings!r}, files={[str(path) for path in self.files]})"

    @cached_property
    def paths(self) -> Paths:
        """Our folders."""
        return paths_from(self.environ)

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """Where each value comes from, by dotted key, in the order of the documentation."""
        from ml_intern.config.origins import origins  # only ``ml-intern config`` asks

        return origins(self.settings, self.layers, self._variables)

    def at(self, cwd: Path) -> LoadedSettings:
        """For a session in another folder: that folder's project file and ``.env`` in place of ours. Raises ``ConfigError``."""
        return self if self._reload is None or cwd == self.cwd else self._reload(cwd)

    def again(self) -> LoadedSettings:
        """Read anew, for what was written meanwhile. Raises ``ConfigError``."""
        return self if self._reload is None else self._reload(self.cwd)

    def with_model(self, model_id: str) -> LoadedSettings:
        """With another model, as its flag would have it."""
        reload = self._reload
        return LoadedSettings(
            settings=msgspec.structs.replace(self.settings, model_name=model_id),
            environ=self.environ,
            cwd=self.cwd,
            layers=(*self.layers, Layer(f"flag {FLAG_NAMES['model_name']}", {"model_name": model_id})),
            variables=self._variables,
            files=self.files,
            warnings=self.warnings,
            reload=None if reload is None else lambda folder: reload(folder).with_model(model_id),
        )

    def is_flag(self, key: str) -> bool:
        """Whether a flag set this top-level key."""
        return any(layer.source.startswith("flag ") and key in layer.data for layer in self.layers)

    @cached_property
    def secrets(self) -> tuple[SecretStr, ...]:
        """Every secret this process knows: what must never be stored, shown or sent."""
        return known_secrets(self.settings, self.environ)


def process_environ() -> Mapping[str, str]:
    """The variables of this process, for ``load_settings``: nobody else looks at ``os.environ``."""
    return os.environ


def set_unset_variables(values: Mapping[str, str]) -> None:
    """For a library that can be configured by variables of the process only, ahead of its import. The user's own values win."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def load_settings(
    *,
    frontend: Frontend,
    cwd: Path,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    include_user: bool = True,
) -> LoadedSettings:
    """Read everything once. ``flags`` maps dotted keys to values. Raises ``ConfigError`` that names file, key and remedy."""
    cwd = Path(os.path.abspath(cwd))
    process = Environ(environ)
    roots = _roots(cwd, home_dir(process))
    variables, dotenv_files, warnings = _with_dotenv(process, roots)
    flag_layers = [_flag_layer(key, value) for key, value in (flags or {}).items()]
    overridden = {path for layer in flag_layers for path, _ in leaves(layer.data)}

    files = [_packaged_file(frontend), *(_user_files(process) if include_user else ())]
    layers = [Layer(str(path), read_object(path)) for path in files]
    substitution = Substitution(variables, lambda path: _source_of(path, layers), overridden)
    merged = substitution.apply(_merged(layers))
    projects = [path for root in roots if _is_file(path := root / PROJECT_FILE)]
    if overridden or projects:
        _check_lower(merged, layers, overridden)
    for path in projects:
        data = read_object(path)
        trusted = _is_trusted(path, data, process, warnings)
        layer = Layer(str(path), narrowed(data, merged, str(path), trusted=trusted))
        merged = merge(merged, layer.data)
        layers.append(layer)
        files.append(path)
    for variable in KEPT:
        provider_key(variables, variable)  # a key store may take its time: asked here, before there is an event loop
    above = [Layer("environment SLACK_BOT_TOKEN", slack_defaults(variables, merged)), *flag_layers]
    layers += above
    settings = to_settings(_merged(above, merged), layers)
    hub_address(settings, variables)  # a mistake in it is told now, by its name, and not by each tool that cannot reach the Hub
    return LoadedSettings(
        settings=settings,
        environ=variables,
        cwd=cwd,
        layers=tuple(layers),
        variables=substitution.used,
        files=(*files, *dotenv_files),
        warnings=tuple(warnings),
        reload=lambda folder: load_settings(
            frontend=frontend, cwd=folder, environ=process.as_dict(), flags=flags, include_user=include_user
        ),
    )


def _is_trusted(path: Path, project: JsonDict, environ: Environ, warnings: list[str]) -> bool:
    """Whether what the file says of hooks and of calls to allow counts; if it says any and they do not, a warning tells."""
    if not (active := needs_trust(project)):
        return False
    folder = path.parent.parent
    folders = TrustedFolders(paths_from(environ).state_dir)
    if folders.covers(folder, active):
        return True
    what = " and ".join(words for key, words in (("hooks", "hooks"), ("permissions", "rules that allow calls")) if key in active)
    changed = " (they, or the files that they run, are not what you trusted)" if folders.knows(folder) else ""
    warnings.append(
        f"{path} brings {what}, which are off{changed}: `ml-intern trust` shows them, and switches them on if you trust {folder}."
    )
    return False


def _check_lower(merged: JsonDict, layers: Sequence[Layer], overridden: Collection[KeyPath]) -> None:
    """A mistake under a flag or a project's rules is a mistake too, and not theirs. What a flag's value stands over was not substituted."""
    kept: JsonDict = {}
    for path, value in leaves(merged):
        if not (path in overridden and isinstance(value, str) and "${" in value):
            kept = merge(kept, nested(path, value))
    to_settings(kept, layers)


def _flag_layer(key: str, value: object) -> Layer:
    return Layer(f"flag {FLAG_NAMES.get(key, key)}", nested(tuple(key.split(".")), cast("Json", value)))


def _packaged_file(frontend: Frontend) -> Path:
    match frontend:
        case "cli":
            return PACKAGED / "cli_agent_config.json"
        case "web":
            return PACKAGED / "frontend_agent_config.json"


def _merged(layers: Iterable[Layer], below: JsonDict | None = None) -> JsonDict:
    merged = below or {}
    for layer in layers:
        merged = merge(merged, layer.data)
    return merged


def to_settings(merged: JsonDict, layers: Sequence[Layer]) -> Settings:
    """The tree from an object. Raises ``ConfigError`` that names every mistake, its key, and the layer it is in."""
    try:
        return msgspec.convert(merged, Settings, strict=False, dec_hook=decode_secret)
    except (msgspec.ValidationError, TypeError) as error:
        from ml_intern.config.diagnose import explain  # only after a mistake

        raise ConfigError(explain(merged, layers, error)) from None


def user_file(environ: Environ) -> Path:
    """Where the user's own settings are, or would be."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(os.path.abspath(expand_home(named, environ)))
    return paths_from(environ).config_dir / CONFIG_NAME


def _user_files(environ: Environ) -> tuple[Path, ...]:
    path = user_file(environ)
    if _is_file(path):
        return (path,)
    if environ.get(CONFIG_VARIABLE):
        raise ConfigError(f"{CONFIG_VARIABLE} names {path}, which is no file.", hint=f"Write the file or unset {CONFIG_VARIABLE}.")
    return ()


def _is_file(path: Path) -> bool:
    """Also for a file that we may not look at: reading it will say so, where skipping it would be silent."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _roots(cwd: Path, home: Path) -> tuple[Path, ...]:
    """The project's root, then ``cwd``; only ``cwd`` when it is the root or in no project.

    The search upwards ends at the home folder and where the owner changes: a stranger's ``/tmp/.env`` is not ours.
    """
    try:
        owner = cwd.stat().st_uid
        for folder in (cwd, *cwd.parents):
            if folder.stat().st_uid != owner or (folder == home and folder != cwd):
                break
            if (folder / ".git").exists() or (folder / ".ml-intern").is_dir():
                return (folder, cwd) if folder != cwd else (cwd,)
    except OSError:
        return (cwd,)
    return (cwd,)


def project_root(loaded: LoadedSettings) -> Path:
    """Where the project of its folder begins; the folder itself in no project."""
    return _roots(loaded.cwd, home_dir(loaded.environ))[0]


def _with_dotenv(process: Environ, roots: tuple[Path, ...]) -> tuple[Environ, list[Path], list[str]]:
    values: dict[str, str] = {}
    files: list[Path] = []
    warnings: list[str] = []
    for root in roots:
        if not (root / ".env").exists():
            continue
        from ml_intern.config import dotenv  # its patterns take longer to compile than all other settings to read

        if (found := dotenv.read(root / ".env", roots[0])) is not None:
            files.append(root / ".env")
            warnings.extend(found.warnings)
            values = {**found.values, **values}
    own = {name: value for name, value in process.as_dict().items() if value or name not in values}
    return Environ({**values, **own}), files, warnings


def _source_of(path: KeyPath, layers: Sequence[Layer]) -> str:
    return next((layer.source for layer in reversed(layers) if lookup(layer.data, path)[0]), "settings")

"""Which datasets the user knows to be public: a dataset that became public by another hand gets nothing more."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ml_intern.config.private_file import replace_private
from ml_intern.errors import StoreError


class PublicConsent:
    """Ids of datasets, in one file. Methods raise ``StoreError``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def allows(self, repo_id: str) -> bool:
        """Whether the user has said that traces may go there although everybody can read them. When in doubt: no."""
        return repo_id in self._load()

    def grant(self, repo_id: str) -> None:
        """Remember it."""
        self._save(self._load() | {repo_id})

    def revoke(self, repo_id: str) -> None:
        """Forget it."""
        self._save(self._load() - {repo_id})

    def _load(self) -> set[str]:
        try:
            return set(msgspec.json.decode(self._path.read_bytes(), type=list[str]))
        except (FileNotFoundError, msgspec.MsgspecError):
            return set()
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}.") from error

    def _save(self, repo_ids: set[str]) -> None:
        try:
            replace_private(self._path, msgspec.json.encode(sorted(repo_ids)))
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}.") from error

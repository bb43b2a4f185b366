"""The default store: one SQLite file that several processes read and write at once. The only door to ``sqlite3``."""

from ml_intern.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]

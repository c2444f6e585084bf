"""What must outlive the daemon: sessions, their queue and the keypairs, in one SQLite file."""

from .sessions import SqliteStore

__all__ = ["SqliteStore"]

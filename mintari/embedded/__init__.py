"""PostgreSQL and Valkey as child processes, so that Mintari starts with nothing installed."""

from mintari.embedded.errors import EmbeddedError, FolderUnusable, PartMissing, ServerFailed
from mintari.embedded.postgres import TEST_SETTINGS, PostgresServer, open_postgres
from mintari.embedded.server import RunningServer, Server
from mintari.embedded.valkey import ValkeyServer, open_valkey

__all__ = [
    "TEST_SETTINGS",
    "EmbeddedError",
    "FolderUnusable",
    "PartMissing",
    "PostgresServer",
    "RunningServer",
    "Server",
    "ServerFailed",
    "ValkeyServer",
    "open_postgres",
    "open_valkey",
]

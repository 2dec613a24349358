"""The data folder of `mintari up`: where it is, its lock, its secrets, what runs in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from mintari.embedded.errors import EmbeddedError, FolderUnusable
from mintari.embedded.folders import check_writable, default_home

if TYPE_CHECKING:
    from collections.abc import Generator

    from mintari.embedded.identity import RunAs

# A new database takes 60 MB; below this, PostgreSQL would soon stop in the middle of something.
_LEAST_FREE_BYTES = 200 * 2**20


class HomeSettings(BaseSettings):
    """What is read before the settings can be: they need addresses that `up` may have to make."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    mintari_home: Path | None = None
    xdg_data_home: Path = Path("~/.local/share")
    database_url: str = ""
    redis_url: str = ""
    storage_url: str = ""
    auth_secret: SecretStr = SecretStr("")
    auth_issuer: str = ""
    auth_audience: str = ""
    auth_role_claim: str = "role"
    url_signing_secret: SecretStr = SecretStr("")
    webhook_secrets_keys: SecretStr = SecretStr("")
    dev_mode: bool | None = None

    def home(self, run_as: RunAs | None) -> Home:
        """The data folder: MINTARI_HOME, else the user's folder for applications' data."""
        if self.mintari_home is not None:
            return Home(self.mintari_home.expanduser().absolute())
        shared = self.xdg_data_home.expanduser()
        # The XDG specification says that relative paths are to be ignored.
        shared = shared if shared.is_absolute() else Path("~/.local/share").expanduser()
        return Home(default_home(shared, run_as))


@dataclass(frozen=True, slots=True)
class Running:
    """What an `up` that runs has written into its lock, for `mintari token` and `doctor`."""

    pid: int
    api_url: str
    database_url: str
    redis_url: str
    storage_url: str


@dataclass(frozen=True, slots=True)
class Home:
    """The data folder."""

    path: Path

    def prepare(self, run_as: RunAs | None) -> None:
        """Create it and see that it can be written. Raises FolderUnusable."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.path.mkdir()
                # The servers' user passes through, see `identity`; nobody else lists it. Only a
                # folder that we have made: another one's mode is its owner's choice.
                self.path.chmod(0o700 if run_as is None else 0o711)
        except OSError as error:
            raise FolderUnusable(
                f"The data folder {self.path} cannot be made ({error.strerror}):"
                " set MINTARI_HOME to a folder that can be written."
            ) from error
        check_writable(self.path)
        free_bytes = shutil.disk_usage(self.path).free
        if free_bytes < _LEAST_FREE_BYTES:
            raise FolderUnusable(
                f"Only {free_bytes // 2**20} MB are free in {self.path}: make room for at least"
                f" {_LEAST_FREE_BYTES // 2**20} MB, or set MINTARI_HOME to another folder."
            )

    @property
    def _lock_path(self) -> Path:
        return self.path / "lock"

    @contextlib.contextmanager
    def lock(self) -> Generator[int]:
        """Hold the folder alone; yields a descriptor for `write_running`.

        The kernel frees the lock when its holder ends, however it ends. Raises FolderUnusable when
        another `up` holds it.
        """
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _lock(descriptor, fcntl.LOCK_EX):
                raise FolderUnusable(self._already_runs())
            yield descriptor
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def _already_runs(self) -> str:
        running = self.running()
        where = "" if running is None else f" as process {running.pid} at {running.api_url}"
        return (
            f"Mintari already runs with the data folder {self.path}{where}:"
            " use that one, stop it, or set MINTARI_HOME to another folder."
        )

    def write_running(self, descriptor: int, running: Running) -> None:
        """Write into the lock who holds it and where it answers."""
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(running)).encode(), 0)

    def running(self) -> Running | None:
        """What runs with this folder now; None when nothing does, or may not be read."""
        try:
            with self._lock_path.open("rb") as file:
                if _lock(file.fileno(), fcntl.LOCK_SH):
                    return None
                values = cast("dict[str, Any]", json.loads(file.read()))
            return Running(**values)
        except (OSError, ValueError, TypeError):
            return None

    def secret(self, name: str) -> str:
        """A secret of 64 hexadecimal digits, made when it is asked for first.

        Raises EmbeddedError when the file is damaged.
        """
        path = self._secret_path(name)
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # Written beside and renamed: a kill in between leaves no half of a secret.
            new = path.with_suffix(".new")
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            new.rename(path)
        value = path.read_text().strip()
        if len(value) < 32:
            raise EmbeddedError(f"The secret in {path} is damaged: remove the file.")
        return value

    def existing_secret(self, name: str) -> str:
        """A secret that an `up` has made; empty when there is none, or it may not be read."""
        try:
            return self._secret_path(name).read_text().strip()
        except OSError:
            return ""

    def _secret_path(self, name: str) -> Path:
        return self.path / "secrets" / name


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

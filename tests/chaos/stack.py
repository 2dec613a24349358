"""The whole product as processes: an API and workers, against real servers and a stand-in."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import httpx

from core.auth import issue_token
from core.settings import Settings
from mintari.standins.running import RunningStandIn
from mintari.standins.settings import SETTINGS
from tests.chaos.processes import Process
from tests.client import Client
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET = "a secret of the chaos suite that is long enough for HS256"
LEASE_S = 3.0
TOKEN_TTL_S = 3600


class StandIn:
    """A provider's stand-in as a process of its own."""

    def __init__(self, provider: str, environment: Mapping[str, str]) -> None:
        arguments = ["-m", "mintari.standins", provider, "--port", "0"]
        self._process = Process(f"{provider} stand-in", arguments, environment)
        self._process.start()
        # A real provider paints on machines of its own.
        os.setpriority(os.PRIO_PROCESS, self._process.pid, 10)
        self.url = self._process.wait_ready("stand-in at").split()[-1]
        self.control = RunningStandIn(self.url)

    def close(self) -> None:
        self.control.close()
        self._process.stop()


class Stack:
    """An API and its workers; `settings` are environment variables.

    `clocks` names the workers, and says how many seconds the clock of each is off.
    """

    def __init__(self, settings: Mapping[str, str], *, clocks: Mapping[str, float]) -> None:
        self.settings = _settings_of(settings)
        self.urls = [self.settings.public_url]
        self.environment = settings
        self.api = Process("api", ["-m", "mintari", "api"], settings)
        self.second_api: Process | None = None
        self.workers = [
            Process(
                name,
                ["-m", "tests.chaos.skewed", str(off_s), "mintari", "worker"],
                {**settings, "WORKER_NAME": name},
            )
            for name, off_s in clocks.items()
        ]

    @property
    def processes(self) -> list[Process]:
        second = [self.second_api] if self.second_api else []
        return [self.api, *second, *self.workers]

    def add_api(self, port: int) -> None:
        """A second API process beside the first one, to be started with the others."""
        settings = {**self.environment, "API_PORT": str(port)}
        self.second_api = Process("second api", ["-m", "mintari", "api"], settings)
        self.urls.append(self.settings.public_url.replace(str(self.settings.api_port), str(port)))

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        for process in self.processes:
            process.start()
        self.wait_ready()

    def revive(self) -> None:
        """Start what an earlier scenario left dead."""
        for process in self.processes:
            if not process.is_running:
                process.crash()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the API answers and all workers take jobs."""
        for url in self.urls:
            until(partial(self._answers, url), within_s=60)
        for worker in self.workers:
            worker.wait_ready("worker ready")

    def _answers(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            assert self.api.is_running, "\n".join(self.api.lines[-30:])
            return False

    def client(self, user_id: str, url: str | None = None) -> Client:
        """A client with a token of this user's, of the first API unless an address is named."""
        token = issue_token(SECRET, user_id=user_id, ttl_s=TOKEN_TTL_S)
        return Client(url or self.urls[0], token)

    def worker(self, name: str) -> Process:
        """A worker by its name."""
        (found,) = [worker for worker in self.workers if worker.name == name]
        return found

    def stop(self) -> None:
        """End everything at once."""
        for process in self.processes:
            process.stop()


def _settings_of(environment: Mapping[str, str]) -> Settings:
    """What the processes read from their environment, for the harness itself."""
    values = {name.lower(): value for name, value in environment.items()}
    return Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue, reportArgumentType]


def python_environment(cache: Path) -> dict[str, str]:
    """Processes that start often compile once, whatever this environment says."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache)}


def product_environment(
    *,
    database_url: str,
    redis_url: str,
    stand_ins: Mapping[str, StandIn],
    pictures: Path,
    api_port: int,
) -> dict[str, str]:
    """Settings of a deployment with quick leases and no limits in the way."""
    return {
        **{
            name: value
            for provider, stand_in in stand_ins.items()
            for name, value in SETTINGS[provider](stand_in.url).items()
        },
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": f"chaos-{os.getpid()}",
        "STORAGE_URL": pictures.as_uri(),
        "AUTH_SECRET": SECRET,
        "API_PORT": str(api_port),
        "GEN_PROVIDER": "gemini",
        "GEN_RETRY_DELAYS_S": "0.2,0.5",
        "GEN_BREAKER_PAUSE_S": "0.5",
        "LEASE_S": str(LEASE_S),
        "WORKER_CONCURRENCY": "16",
        # Many kills hit some jobs three times by chance; the crash loop has a test of its own.
        "MAX_CRASHES": "20",
        "RATE_LIMIT_MAX_REQUESTS": "1000000",
        "MAX_ACTIVE_JOBS": "1000000",
    }

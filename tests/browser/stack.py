"""The API and a worker as processes of their own, as `mintari up` runs them."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from core.auth import issue_token
from tests.programs import Program
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stack:
    """A running Mintari. Its API can be killed and started again on the same port."""

    def __init__(self, command: str, environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = dict(environment)
        self.url = f"http://127.0.0.1:{environment['API_PORT']}"
        self.api = self._start("api")
        self.worker = self._start("worker")
        self.wait_until_ready()

    def _start(self, part: str) -> Program:
        return Program([self._command, "-m", "mintari", part], self._environment)

    def wait_until_ready(self) -> None:
        """Wait for the API's own word."""
        until(self._is_ready, within_s=60)

    def _is_ready(self) -> bool:
        assert self.api.process.poll() is None, self.api.output
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill_api(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        self.api.close()

    def start_api(self) -> None:
        """Start it again, where it was."""
        self.api = self._start("api")
        self.wait_until_ready()

    def token(self, user_id: str, role: str = "") -> str:
        """A token of this user's."""
        secret = self._environment["AUTH_SECRET"]
        return issue_token(secret, user_id=user_id, ttl_s=3600, role=role)

    def address_for(self, user_id: str) -> str:
        """The page's address that signs this user in."""
        return f"{self.url}/#token={self.token(user_id)}"

    def close(self) -> None:
        """End both processes."""
        self.api.close()
        self.worker.close()

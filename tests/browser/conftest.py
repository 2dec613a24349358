"""Debian's Chromium and the stack that it looks at."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright, expect

from mintari import webbuild
from tests.browser.screen import Screen
from tests.browser.stack import Stack
from tests.conftest import SECRET, TEMPLATE, free_port
from tests.servers import create_database_from_template, server_folder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from playwright.async_api import Browser

    from mintari.embedded import RunningServer
    from tests.servers import PostgresForTests

# Of every expectation: painting three frames takes two cores some 15 s when nothing else runs.
expect.set_options(timeout=90_000)

OTHER_PORT = free_port()
OTHER_ORIGIN = f"http://127.0.0.1:{OTHER_PORT}"
"""A site that may use the API."""

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A green picture with a beeping clock, and nobody is asked.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is. Its absence is a reason to skip, never in CI."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        message = "no Chromium on this machine (Debian: apt install chromium)"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def built() -> None:
    """The page as its sources say."""
    webbuild.fetch_for_development()
    webbuild.build()


@pytest.fixture(scope="session")
def start_stack(
    built: None, postgres: PostgresForTests, valkey: RunningServer
) -> Callable[..., AbstractContextManager[Stack]]:
    """Starts a stack with a database of its own; keyword arguments are settings."""

    @contextmanager
    def start(**changes: str) -> Generator[Stack]:
        name = f"browser_{secrets.token_hex(4)}"
        making = create_database_from_template(postgres, TEMPLATE, name)
        # In a thread: tests that start a stack of their own run in an event loop already.
        with ThreadPoolExecutor(1) as thread:
            url = thread.submit(asyncio.run, making).result()
        with server_folder() as pictures:
            stack = Stack(
                sys.executable,
                {
                    "DATABASE_URL": url,
                    "REDIS_URL": valkey.url,
                    "REDIS_PREFIX": name,
                    "STORAGE_URL": pictures.as_uri(),
                    "AUTH_SECRET": SECRET,
                    "API_PORT": str(free_port()),
                    "DEV_MODE": "true",
                    "LOCAL_PROCESSES": "2",
                    "RATE_LIMIT_MAX_REQUESTS": "1000",
                    "ALLOWED_ORIGINS": OTHER_ORIGIN,
                    **changes,
                },
            )
            try:
                yield stack
            finally:
                stack.close()

    return start


@pytest.fixture(scope="session")
def stack(start_stack: Callable[..., AbstractContextManager[Stack]]) -> Generator[Stack]:
    """The stack of most tests: each of them is a user of its own, so they share nothing."""
    with start_stack() as running:
        yield running


@pytest.fixture
async def browser(chromium: str) -> AsyncGenerator[Browser, None]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def open_screen(
    browser: Browser, stack: Stack
) -> Callable[..., AbstractAsyncContextManager[Screen]]:
    """Opens the page for a new user, in a browser profile of their own."""

    @asynccontextmanager
    async def open_one(
        *,
        on: Stack = stack,
        user_id: str = "",
        width: int = 1280,
        height: int = 900,
        theme: str = "light",
    ) -> AsyncGenerator[Screen, None]:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
        )
        screen = Screen(await context.new_page(), on)
        await screen.arrive(user_id or f"user-{secrets.token_hex(4)}")
        yield screen
        screen.assert_clean()
        await context.close()

    return open_one

"""What a person sees when something is in the way, and that it rights itself."""

from __future__ import annotations

import io
import re
import signal
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from tests.browser.screen import Screen
    from tests.browser.stack import Stack

    OpenScreen = Callable[..., AbstractAsyncContextManager[Screen]]

# Chromium writes every answer of 400 or more and every lost connection to the console.
REFUSED = "Failed to load resource"
LOST = "WebSocket connection to"


async def test_nothing_to_paint_is_said_at_the_field(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        await screen.start_button.click()
        await expect(screen.prompt).to_be_focused()
        await expect(screen.prompt).to_have_attribute("aria-invalid", "true")
        await expect(screen.form).to_contain_text("Write what to paint, or add a photo.")
        await screen.prompt.fill("A fox")
        await expect(screen.prompt).to_have_attribute("aria-invalid", "false")
        await screen.page.get_by_label("Seed", exact=True).fill("many")
        await screen.start_button.click()
        await expect(screen.form).to_contain_text("A whole number from 0")
        assert screen.count("Start") == 0


async def test_a_refused_prompt_is_said_at_the_field(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        await screen.prompt.fill("a n4ked woman on a beach")
        await screen.start_button.click()
        await expect(screen.prompt).to_have_attribute("aria-invalid", "true")
        await expect(screen.prompt).to_be_focused()
        await expect(screen.prompt).to_have_accessible_description(
            "Sexual content and nudity are not allowed. Please describe another picture."
        )
        await screen.prompt.fill("a nude statue")
        await expect(screen.prompt).to_have_attribute("aria-invalid", "false")
        # The same when it was sent from the toast that says that the first try did not get through.
        screen.expected_complaints = (REFUSED,)
        await screen.page.context.set_offline(True)
        await screen.start_button.click()
        again = screen.page.get_by_role("button", name="Try again")
        await expect(again).to_be_visible()
        await screen.page.context.set_offline(False)
        await again.click()
        await expect(screen.prompt).to_have_attribute("aria-invalid", "true")
        await expect(screen.prompt).to_be_focused()
        # It is said there and nowhere else; nothing was started, and the words can be mended.
        await expect(screen.page.get_by_role("alert").filter(has_text="nudity")).to_have_count(1)
        await expect(screen.grids).to_have_count(0)
        assert await screen.axe() == []
        await screen.paint("a fox on a beach", frames=1)
        await expect(screen.prompt).to_have_attribute("aria-invalid", "false")
        assert screen.count("Start") == 4


async def test_a_file_that_is_no_photo(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        screen.expected_complaints = (REFUSED,)
        await screen.page.get_by_label("Choose a photo").set_input_files(
            {"name": "notes.png", "mimeType": "image/png", "buffer": b"these are words"}
        )
        well = screen.page.locator(".well")
        await expect(well.get_by_role("alert")).not_to_be_empty()
        # What the API would not take, but the browser can read, is sent as a JPEG.
        picture = io.BytesIO()
        Image.new("RGB", (64, 48), "teal").save(picture, "AVIF")
        await screen.page.get_by_label("Choose a photo").set_input_files(
            {"name": "photo.avif", "mimeType": "image/avif", "buffer": picture.getvalue()}
        )
        await expect(well).to_have_attribute("data-state", "there")


@pytest.fixture
def strict_stack(
    start_stack: Callable[..., AbstractContextManager[Stack]],
) -> Generator[Stack]:
    """Two requests in any six seconds."""
    with start_stack(RATE_LIMIT_MAX_REQUESTS="2", RATE_LIMIT_WINDOW_MS="6000") as stack:
        yield stack


async def test_the_rate_limit_counts_down(open_screen: OpenScreen, strict_stack: Stack) -> None:
    async with open_screen(on=strict_stack) as screen:
        page = screen.page
        screen.expected_complaints = (REFUSED,)
        for number in (1, 2):
            await screen.paint(f"Pear {number}", frames=1)
        await screen.prompt.fill("Pear 3")
        await screen.start_button.click()
        await expect(page.get_by_role("alert").filter(has_text="One moment")).to_be_visible()
        await expect(page.get_by_test_id("countdown")).to_have_text(
            re.compile(r"Works again in \d s")
        )
        await expect(screen.start_button).to_be_disabled()
        await expect(screen.start_button).to_have_text(re.compile(r"Again in \d s"))
        await expect(page.get_by_test_id("countdown")).to_have_text("It works again now.")
        await expect(screen.start_button).to_be_enabled()
        await screen.start_button.click()
        await expect(screen.tiles("Pear 3")).to_have_count(1)


async def test_the_server_is_killed_and_comes_back(
    open_screen: OpenScreen, start_stack: Callable[..., AbstractContextManager[Stack]]
) -> None:
    # As in production: nothing but the page's own documents is executed.
    with start_stack(ALLOWED_DOCUMENTS="registered") as stack:
        async with open_screen(on=stack) as screen:
            screen.expected_complaints = (REFUSED, LOST)
            banner = screen.page.get_by_test_id("banner")
            # Nothing gets painted while the API is away, so the grid still needs its subscription.
            stack.worker.signal(signal.SIGSTOP)
            await screen.paint("A stubborn mountain")
            await screen.subscribed(times=1)
            stack.kill_api()
            await expect(banner).to_contain_text("cannot be reached right now")
            stack.start_api()
            await expect(banner).to_be_empty()
            await screen.subscribed(times=2)
            stack.worker.signal(signal.SIGCONT)
            await screen.finish("A stubborn")
            # It neither reloaded nor asked for the list again.
            assert screen.count("Sketchbook") == 1
            # Documents go by their ids, over the socket, too.
            assert {each["query"] for each in screen.subscriptions} == {""}


async def test_the_page_is_reloaded_in_the_middle(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        await screen.paint("A patient heron", size="1024")
        await expect(screen.tiles("A patient", "RUNNING").first).to_be_visible()
        await screen.page.reload()
        await expect(screen.prompt).to_have_value("A patient heron")
        await screen.finish("A patient")


async def test_the_network_is_cut_for_a_while(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        screen.expected_complaints = (REFUSED, LOST)
        banner = screen.page.get_by_test_id("banner")
        await screen.paint("A far island", size="1024")
        await screen.page.context.set_offline(True)
        await expect(banner).to_contain_text("You are offline")
        await screen.page.context.set_offline(False)
        await expect(banner).to_be_empty()
        await screen.finish("A far island")


async def test_a_token_that_does_not_hold_is_replaced(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        page = screen.page
        screen.expected_complaints = (REFUSED,)
        await page.goto(f"{screen.stack.url}/#token=not.a.token")
        await page.reload()
        # In development the page fetches a new one by itself.
        await expect(page.get_by_text("dev", exact=True)).to_be_visible()
        assert "token" not in page.url


async def test_without_a_token_the_page_asks_for_one(
    open_screen: OpenScreen, start_stack: Callable[..., AbstractContextManager[Stack]]
) -> None:
    with start_stack(DEV_MODE="false") as stack:
        async with open_screen(on=stack, user_id="ann") as screen:
            page = screen.page
            screen.expected_complaints = (REFUSED,)
            await expect(page.get_by_text("ann", exact=True)).to_be_visible()
            await page.evaluate("sessionStorage.clear()")
            await page.reload()
            await expect(page.get_by_role("form", name="Sign in")).to_be_visible()
            assert await screen.axe() == []
            await page.get_by_label("Your token").fill(stack.token("bob"))
            await page.get_by_role("button", name="Come in").click()
            await expect(page.get_by_text("bob", exact=True)).to_be_visible()
            graphiql = await page.goto(f"{stack.url}/graphiql")
            assert graphiql is not None
            assert graphiql.status == 404

"""A photo and a sentence become three frames, live; then again with the same character."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.browser.screen import Screen

    OpenScreen = Callable[..., AbstractAsyncContextManager[Screen]]

PLACE = "tile => [tile.offsetTop, tile.offsetLeft, tile.offsetWidth, tile.offsetHeight]"


async def test_a_photo_becomes_three_frames_live(open_screen: OpenScreen, photo: bytes) -> None:
    async with open_screen() as screen:
        page = screen.page
        await page.get_by_label("Choose a photo").set_input_files(
            {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
        )
        await expect(page.locator(".well")).to_have_attribute("data-state", "there")
        await screen.paint("An astronaut in a meadow", size="768")

        tiles = screen.tiles("An astronaut")
        # The photo's ThumbHash is there before anything is painted, in the size of the result.
        await expect(tiles.locator("canvas.thumbhash")).to_have_count(3)
        before = await tiles.nth(2).evaluate(PLACE)
        bar = screen.grid("An astronaut").get_by_role("progressbar").first
        await expect(bar).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
        await expect(screen.grid("An astronaut").locator("img.preview").first).to_be_visible()

        await screen.finish("An astronaut")
        assert await tiles.nth(2).evaluate(PLACE) == before
        image = tiles.first.locator("img.final")
        assert await image.get_attribute("width") == "768"
        await expect(page.get_by_test_id("spoken")).to_contain_text("is finished.")
        # One socket, one subscription for the whole grid, and nothing was asked twice, but for
        # places in the queue: those are read when a frame leaves it.
        assert len(screen.sockets) == 1
        assert [len(each["variables"]["jobIds"]) for each in screen.subscriptions] == [3]
        asked = [each for each in screen.operations if each != "Queue"]
        assert sorted(asked) == ["Sketchbook", "Start", "Studio"]
        assert screen.count("Queue") <= 4


async def test_again_with_the_same_character(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        page = screen.page
        await screen.paint("A windmill on a hill", frames=1)
        await screen.finish("A windmill", frames=1)
        await screen.grid("A windmill").get_by_role("button", name="The frame: open").click()
        dialog = page.get_by_role("dialog", name="Frame")
        seed = await dialog.locator("dt:has-text('Seed') + dd").inner_text()
        words = dialog.get_by_label("What should change?")
        await words.fill("+ with a naked woman")
        await dialog.get_by_role("button", name="Paint again").click()
        await expect(words).to_be_focused()
        await expect(words).to_have_accessible_description(re.compile("nudity are not allowed"))
        await words.fill("+ with paper lanterns")
        await expect(words).to_have_attribute("aria-invalid", "false")
        await expect(dialog.get_by_label("Keep the seed")).to_be_checked()
        await dialog.get_by_role("button", name="Paint again").click()

        await expect(dialog).to_be_hidden()
        await screen.finish("with paper lanterns", frames=1)
        await screen.grid("with paper lanterns").get_by_role("button", name="open").click()
        await expect(dialog.locator("dt:has-text('Seed') + dd")).to_have_text(f"{seed}, kept")
        lineage = dialog.get_by_role("region").or_(dialog.locator(".lineage")).last
        await expect(lineage.get_by_role("listitem")).to_have_count(2)
        # On a phone nothing of it sticks out sideways.
        await page.set_viewport_size({"width": 360, "height": 740})
        assert await dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
        # Its parent is a click away, and back is the way back.
        await lineage.get_by_role("button", name="A windmill on a hill").first.click()
        await expect(dialog.get_by_role("heading", level=2)).to_have_text("A windmill on a hill")
        await page.go_back()
        await expect(dialog.get_by_role("heading", level=2)).to_contain_text("paper lanterns")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()


async def test_cancel_one_then_all(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        await screen.paint("A slow river", size="1024")
        grid = screen.grid("A slow river")
        await grid.get_by_role("button", name="Cancel frame 3 of 3").click()
        await expect(screen.tiles("A slow river").nth(2)).to_have_attribute(
            "data-state", "CANCELLED"
        )
        await grid.get_by_role("button", name="Cancel all").click()
        await expect(grid.get_by_role("progressbar")).to_have_count(0)
        await grid.get_by_role("button", name="Paint frame 3 of 3 again").click()
        await expect(screen.grids).to_have_count(2)
        await expect(screen.grids.first.locator("[data-state=SUCCESS]")).to_have_count(1)


async def test_compare_and_download(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        page = screen.page
        await screen.paint("Two boats", frames=2)
        await screen.finish("Two boats", frames=2)
        grid = screen.grid("Two boats")
        await grid.get_by_role("button", name="Compare frame 1 of 2").click()
        await expect(page.get_by_text("Choose a second frame")).to_be_visible()
        await grid.get_by_role("button", name="Compare frame 2 of 2").click()
        dialog = page.get_by_role("dialog", name="Compare two frames")
        divider = dialog.get_by_role("slider")
        await divider.focus()
        await page.keyboard.press("Home")
        left = dialog.get_by_role("img", name="Left")
        await expect(left).to_have_css("clip-path", re.compile(r"inset\(0px 100% 0px 0px\)"))
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        async with page.expect_download() as download:
            await grid.get_by_role("link", name="Download frame 1 of 2").click()
        assert re.fullmatch(
            r"mintari-[0-9a-f-]{8}-\d+\.webp", (await download.value).suggested_filename
        )


async def test_the_sketchbook_scrolls_without_end(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        for number in range(14):
            await screen.paint(f"Study number {number:02}", frames=1)
            await expect(screen.grids).to_have_count(min(number + 1, 14))
            await screen.grids.first.get_by_role("button", name="Cancel the frame").click()
            await expect(screen.grids.first.locator("[data-state=CANCELLED]")).to_have_count(1)
        await screen.page.reload()
        await expect(screen.grids).to_have_count(12)
        await screen.grids.last.scroll_into_view_if_needed()
        await expect(screen.grids).to_have_count(14)
        await expect(screen.grids.last).to_contain_text("Study number 00")
        await screen.grids.first.get_by_role("button", name="Delete these frames").click()
        await screen.page.get_by_role("button", name="Delete", exact=True).click()
        await expect(screen.grid("Study number 13")).to_have_count(0)


async def test_a_photo_from_the_camera(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        page = screen.page
        await page.get_by_role("button", name="Take one").click()
        await page.get_by_role("button", name="Take it").click()
        await expect(page.locator(".well")).to_have_attribute("data-state", "there")
        await page.get_by_role("button", name="Remove the photo").click()
        await expect(page.locator(".well")).to_have_attribute("data-state", "none")

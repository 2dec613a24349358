"""Everybody can use it: axe finds nothing, the keyboard reaches everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Page

    from tests.browser.screen import Screen

    OpenScreen = Callable[..., AbstractAsyncContextManager[Screen]]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
async def test_axe_finds_nothing(open_screen: OpenScreen, theme: str, width: int) -> None:
    async with open_screen(theme=theme, width=width) as screen:
        page = screen.page
        await screen.start_button.click()
        await expect(screen.prompt).to_be_focused()
        assert await screen.axe() == []
        await screen.paint("Pines in the fog", frames=2, size="1024")
        await expect(screen.tiles("Pines", "RUNNING").first).to_be_visible()
        assert await screen.axe() == []
        await screen.finish("Pines", frames=2)
        assert await screen.axe() == []
        grid = screen.grid("Pines")
        await grid.get_by_role("button", name="Compare frame 1 of 2").click()
        assert await screen.axe() == []
        await grid.get_by_role("button", name="Compare frame 2 of 2").click()
        await expect(page.get_by_role("slider")).to_be_visible()
        assert await screen.axe() == []
        await page.keyboard.press("Escape")
        await grid.get_by_role("button", name="Frame 1 of 2: open").click()
        await expect(page.get_by_role("heading", name="Again with the same")).to_be_visible()
        assert await screen.axe() == []
        await page.keyboard.press("Escape")
        await grid.get_by_role("button", name="Delete these frames").click()
        assert await screen.axe() == []
        # Nothing sticks out sideways.
        assert await page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )


async def test_by_keyboard_only(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        page = screen.page
        await tab_to(page, "What to paint")
        await page.keyboard.type("A bridge in the rain")
        await tab_to(page, "Ghibli-style")
        await page.keyboard.press("ArrowRight")
        await tab_to(page, "Square, 1024 × 1024 pixels")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowLeft")
        await tab_to(page, "three frames")
        await page.keyboard.press("ArrowLeft")
        await tab_to(page, "Paint two frames")
        await page.keyboard.press("Enter")
        await screen.finish("A bridge", frames=2)
        await expect(screen.grid("A bridge")).to_contain_text("Watercolour")
        await expect(screen.grid("A bridge")).to_contain_text("512 × 512")

        await tab_to(page, "Frame 1 of 2: open")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Frame")
        await tab_to(page, "What should change?")
        await page.keyboard.type("+ with umbrellas")
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        # The focus is where it was before the dialog opened.
        assert await focused(page) == "Frame 1 of 2: open"
        await tab_to(page, "Delete these frames", backwards=True)
        await page.keyboard.press("Enter")
        await tab_to(page, "Delete")
        await page.keyboard.press("Enter")
        await expect(screen.grids).to_have_count(0)
        await expect(page.get_by_text("Nothing here yet")).to_be_visible()


async def tab_to(page: Page, name: str, *, backwards: bool = False) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(60):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if await focused(page) == name:
            return
    raise AssertionError(f"Tab never reaches {name!r}")


async def focused(page: Page) -> str:
    """The name of what has the focus, as screen readers say it."""
    return await page.evaluate(
        """() => {
          const element = document.activeElement;
          const label = element.labels?.[0]?.innerText ?? "";
          return (element.getAttribute("aria-label") ?? (label || element.innerText)).trim();
        }"""
    )

"""Two people at two browsers never see each other's work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.browser.screen import Screen


async def test_two_users_share_nothing(
    open_screen: Callable[..., AbstractAsyncContextManager[Screen]],
) -> None:
    async with open_screen(user_id="ann-2") as ann, open_screen(user_id="bob-2") as bob:
        await ann.paint("A secret garden", frames=1)
        await bob.paint("A public square", frames=1)
        await ann.finish("A secret garden", frames=1)
        await bob.finish("A public square", frames=1)
        job = await ann.tiles("A secret").get_attribute("data-job")
        await bob.page.goto(f"{bob.stack.url}/?frame={job}")
        dialog = bob.page.get_by_role("dialog", name="Frame")
        await expect(dialog.get_by_role("heading", name="This frame is not here")).to_be_visible()
        await bob.page.keyboard.press("Escape")
        await expect(bob.grids).to_have_count(1)
        await expect(bob.grids).to_contain_text("A public square")
        await ann.page.reload()
        await expect(ann.grids).to_have_count(1)

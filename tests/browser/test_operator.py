"""The operator's page: not there for others; a pause, and what waits behind it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.browser.screen import Screen

    OpenScreen = Callable[..., AbstractAsyncContextManager[Screen]]


async def test_an_operator_pauses_and_resumes(open_screen: OpenScreen) -> None:
    async with open_screen() as ann, open_screen(width=1100) as olga:
        stack = ann.stack
        token = stack.token("olga", role="operator")
        await expect(ann.page.get_by_role("link", name="Operating")).to_have_count(0)
        await ann.page.goto(f"{stack.url}/?operator")
        await expect(ann.page.get_by_text("This page is for operators only.")).to_be_visible()
        await ann.page.goto(stack.url)

        await olga.page.goto(f"{stack.url}/?again#token={token}")
        await olga.page.get_by_role("link", name="Operating").click()
        queue = olga.page.get_by_role("region", name="Queue").get_by_role("row")
        try:
            await olga.page.get_by_role("button", name="Pause the whole queue").press("Enter")
            await expect(queue.filter(has_text="paused by olga")).to_be_visible()
            await expect(olga.page.get_by_test_id("spoken")).to_have_text("Paused: the whole queue")
            await ann.paint("A quiet pond", frames=1)
            await expect(queue.filter(has=olga.page.get_by_text("local"))).to_contain_text("1")
            await expect(ann.tiles("A quiet pond", "PENDING")).to_have_count(1)
            await olga.page.get_by_role("button", name="Waiting").click()
            jobs = olga.page.get_by_role("region", name="Jobs")
            await expect(jobs.get_by_role("row").filter(has_text="PENDING")).to_have_count(1)
            await expect(olga.page.get_by_role("region", name="Workers")).to_contain_text("working")
            assert await olga.axe() == []
            if folder := os.environ.get("SCREENSHOTS"):
                await olga.page.screenshot(path=Path(folder) / "operator.png", full_page=True)
            await olga.page.get_by_role("button", name="Resume the whole queue").click()
            await expect(ann.tiles("A quiet pond", "SUCCESS")).to_have_count(1)
        finally:
            async with httpx.AsyncClient() as client:
                await client.post(
                    f"{stack.url}/graphql",
                    headers={"authorization": f"Bearer {token}"},
                    json={"query": "mutation { resumeQueue { __typename } }"},
                )

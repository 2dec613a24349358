"""How the page is served: small, cached, under a strict policy; and GraphiQL beside it."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import httpx
from playwright.async_api import expect
from starlette.applications import Starlette

from transport.page import BUILT, page_routes

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from playwright.async_api import Browser

    from core.settings import Settings
    from tests.browser.screen import Screen
    from tests.browser.stack import Stack

BUDGET_BYTES = 150_000
"""Of everything that the page loads before its pictures, compressed."""


def test_the_page_keeps_its_budget(built: None) -> None:
    files = [*(BUILT / "page").glob("*.html"), *(BUILT / "page" / "assets").iterdir()]
    sizes = [
        len(content) if file.suffix == ".woff2" else len(gzip.compress(content))
        for file in files
        if file.suffix not in (".gz", ".br")
        for content in [file.read_bytes()]
    ]
    assert sum(sizes) < BUDGET_BYTES


async def test_how_it_is_served(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.url) as client:
        index = await client.get("/", headers={"accept-encoding": "identity"})
        assert index.status_code == 200
        assert index.headers["cache-control"] == "no-cache"
        policy = index.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert f"img-src 'self' blob: {stack.url};" in policy
        (script,) = re.findall(r'src="(/assets/[^"]+\.js)"', index.text)
        for accepted, got in [("br, gzip", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip")]:
            answer = await client.get(script, headers={"accept-encoding": accepted})
            assert answer.headers["content-encoding"] == got
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert "accept-encoding" in answer.headers["vary"]
        plain = await client.get(script, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        for path in ("/assets/gone.js", "/assets/..%2findex.html", "/assets/.made-from"):
            assert (await client.get(path)).status_code == 404


async def test_a_page_that_was_not_built(settings: Settings, tmp_path: Path) -> None:
    transport = httpx.ASGITransport(Starlette(routes=page_routes(settings, tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "has not been built" in answer.text


async def test_graphiql_starts_and_follows(browser: Browser, stack: Stack) -> None:
    page = await browser.new_page(viewport={"width": 1400, "height": 900})
    foreign: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((stack.url, "data:", "blob:", "ws://127.0.0.1"))
            else foreign.append(request.url)
        ),
    )
    await page.goto(f"{stack.url}/graphiql")
    run = page.get_by_role("button", name="Execute query")
    answer = page.locator(".result-window")
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("1. Start a grid")
    await expect(page.locator(".graphiql-editor-tool").first).to_contain_text("A lighthouse")
    await run.click()
    await expect(answer).to_contain_text("GenerationStarted")
    job_id = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", await answer.inner_text())[1]

    await page.get_by_role("tab", name="Follow").get_by_role("button", name="Follow").click()
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("2. Follow all")
    # The editor closes brackets while one types: what is pasted it leaves alone.
    variables = page.locator(".graphiql-editor-tool .view-lines").first
    await variables.click()
    await page.keyboard.press("ControlOrMeta+A")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate(f"""navigator.clipboard.writeText('{{"jobIds": ["{job_id}"]}}')""")
    await page.keyboard.press("ControlOrMeta+V")
    await run.click()
    await expect(answer).to_contain_text('"SUCCESS"')
    assert foreign == []
    await page.close()


async def test_it_opens_for_the_developer(browser: Browser, stack: Stack) -> None:
    page = await browser.new_page()
    await page.goto(stack.url)
    await expect(page.get_by_text("dev", exact=True)).to_be_visible()
    await page.close()


async def test_the_theme_is_remembered(
    open_screen: Callable[..., AbstractAsyncContextManager[Screen]],
) -> None:
    async with open_screen(theme="light") as screen:
        root = screen.page.locator("html")
        await expect(root).to_have_attribute("data-theme", "light")
        await screen.page.get_by_role("button", name="Switch to night").click()
        await screen.page.reload()
        await expect(root).to_have_attribute("data-theme", "dark")

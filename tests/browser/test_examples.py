"""The clients in examples/, run as their readers would."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from mintari import webbuild
from tests.browser.conftest import OTHER_ORIGIN, OTHER_PORT
from tests.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from playwright.async_api import Browser, Route

    from tests.browser.stack import Stack

ANYBODY = {"access-control-allow-origin": "*"}
GRAPHQL_WS = ROOT / "web" / "node_modules" / "graphql-ws" / "dist"


@pytest.fixture
def elsewhere() -> Generator[str]:
    """The examples on a web server of their own: another origin, as for their readers."""
    handler = functools.partial(_Quiet, directory=str(ROOT / "examples"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", OTHER_PORT), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield OTHER_ORIGIN
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Writes no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass


async def test_the_grid_in_one_file(browser: Browser, stack: Stack, elsewhere: str) -> None:
    async def library(route: Route) -> None:
        """The CDN, without the internet."""
        name = route.request.url.rpartition("/")[2]
        file = GRAPHQL_WS / (name if name.endswith(".js") else "client.js")
        await route.fulfill(path=file, content_type="text/javascript", headers=ANYBODY)

    page = await browser.new_page()
    await page.route("https://esm.sh/**", library)
    await page.goto(f"{elsewhere}/grid.html#api={stack.url}/graphql&token={stack.token('html')}")
    await page.get_by_role("button", name="Paint").click()
    await expect(page.get_by_text("SUCCESS")).to_have_count(3)
    await expect(page.get_by_role("status")).to_have_text("All frames have ended.")
    for image in await page.locator("#grid img").all():
        await expect(image).to_have_js_property("naturalWidth", 512)
    await page.close()


@pytest.mark.parametrize("name", ["apollo", "relay"])
def test_paint_from_node(name: str, stack: Stack, tmp_path: Path) -> None:
    # A copy, at the same distance from the schema: the compiler writes beside its sources.
    folder = tmp_path / "examples" / name
    ignored = shutil.ignore_patterns("node_modules", "__generated__")
    shutil.copytree(ROOT / "examples" / name, folder, ignore=ignored)
    shutil.copytree(ROOT / "schema", tmp_path / "schema", ignore=ignored)
    environment = {"MINTARI_URL": stack.url, "MINTARI_TOKEN": stack.token(name)}
    webbuild.run_npm(folder, "ci", "--loglevel=error")
    output = webbuild.run_npm(
        folder, "start", "--silent", "--", f"A fox for {name}", environment=environment
    )
    assert len(re.findall(r"^cache: SUCCESS http://\S+/images/", output, re.MULTILINE)) == 3


def test_the_examples_are_short() -> None:
    script = (ROOT / "examples" / "grid.html").read_text().partition("<script")[2]
    assert len(script.splitlines()) <= 60

"""The page as a person uses it, in the words of the tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from playwright.async_api import expect

from tests.programs import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Locator, Page, Request, WebSocket

    from tests.browser.stack import Stack

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


class Screen:
    """One user's page, and everything that it says to the network and the console."""

    def __init__(self, page: Page, stack: Stack) -> None:
        self.page = page
        self.stack = stack
        self.complaints: list[str] = []
        self.sockets: list[WebSocket] = []
        self.subscriptions: list[dict[str, Any]] = []
        self.operations: list[str] = []
        self.expected_complaints: tuple[str, ...] = ()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._on_socket)
        page.on("request", self._on_request)

    async def arrive(self, user_id: str) -> None:
        """Open the page as this user, and wait until the form is there."""
        await self.page.goto(self.stack.address_for(user_id))
        await expect(self.form).to_be_visible()

    @property
    def form(self) -> Locator:
        return self.page.get_by_role("form", name="What to paint")

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_label("What to paint", exact=True).and_(
            self.page.locator("textarea")
        )

    @property
    def start_button(self) -> Locator:
        return self.form.locator("button[type=submit]")

    @property
    def grids(self) -> Locator:
        return self.page.get_by_test_id("grid")

    def grid(self, text: str) -> Locator:
        """The grid whose heading holds this text."""
        return self.grids.filter(has=self.page.get_by_role("heading", name=text))

    def tiles(self, text: str, state: str = "") -> Locator:
        """A grid's tiles, or those in one state."""
        wanted = f"[data-state={state}]" if state else ""
        return self.grid(text).locator(f"[data-testid=tile]{wanted}")

    async def paint(self, prompt: str, *, frames: int = 3, size: str = "512") -> None:
        """Fill in the form and start."""
        await self.prompt.fill(prompt)
        await self.choose("Frames", f"{['', 'one frame', 'two frames', 'three frames'][frames]}")
        await self.choose("Size", f"Square, {size} × {size} pixels")
        await self.start_button.click()
        await expect(self.tiles(prompt)).to_have_count(frames)

    async def choose(self, group: str, option: str) -> None:
        """Choose an option of the form; what is clicked is the label, as the input is hidden."""
        radio = self.page.get_by_role("group", name=group).get_by_role(
            "radio", name=option, exact=True
        )
        await radio.locator("xpath=..").click()
        await expect(radio).to_be_checked()

    async def finish(self, prompt: str, *, frames: int = 3) -> None:
        """Wait until all frames of a grid are painted and shown."""
        await expect(self.tiles(prompt, "SUCCESS")).to_have_count(frames)
        await expect(self.grid(prompt).locator("img.final[data-loaded=true]")).to_have_count(frames)

    async def subscribed(self, *, times: int) -> None:
        """Wait until the page has sent that many subscribe messages."""

        async def enough() -> bool:
            return len(self.subscriptions) >= times

        await wait_until(enough, within_s=90, what=f"subscription {times}")

    def count(self, operation: str) -> int:
        """How often the page has asked this over HTTP."""
        return self.operations.count(operation)

    async def axe(self) -> list[str]:
        """What axe finds wrong on the page as it is now."""
        await self.page.evaluate(AXE.read_text())
        # Colours in the middle of a transition are nobody's contrast.
        await self.page.evaluate(
            "Promise.allSettled(document.getAnimations()"
            ".filter(a => a.effect.getComputedTiming().iterations !== Infinity)"
            ".map(a => a.finished))"
        )
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['html'][:160]}: {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def assert_clean(self) -> None:
        """The console stayed silent: no error, no refusal by the content policy."""
        unexpected = [
            complaint
            for complaint in self.complaints
            if not any(expected in complaint for expected in self.expected_complaints)
        ]
        assert not unexpected, unexpected

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    def _on_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framesent", self._on_frame)

    def _on_frame(self, frame: str | bytes) -> None:
        message = cast("dict[str, Any]", json.loads(frame))
        if message["type"] == "subscribe":
            self.subscriptions.append(message["payload"])

    def _on_request(self, request: Request) -> None:
        if request.url.endswith("/graphql") and request.method == "POST":
            body = cast("dict[str, Any]", request.post_data_json)
            self.operations.append(body["operationName"])

"""Providers pointed at their stand-ins, over real HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import traceback
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from PIL import Image

from core.settings import Settings
from core.vocabulary import ImageSize, ProgressKind, SizePx
from mintari.standins import banana, comfyui, gemini, openai
from mintari.standins.running import RunningStandIn, running
from providers.banana import BananaProvider
from providers.base import (
    Accepted,
    Finished,
    PaintRequest,
    Provider,
    ProviderError,
    ProviderOverloaded,
    ProviderRefused,
    Update,
)
from providers.comfyui import ComfyUIProvider
from providers.gemini import GeminiProvider
from providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from starlette.applications import Starlette

KEY = "a-secret-key-of-the-tests"
WRONG_KEY = "a-wrong-key-of-the-tests"


def settings_with(**values: Any) -> Settings:
    """Settings of which only `values` matter; no file is read."""
    given: dict[str, Any] = {
        "_env_file": None,
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "redis_url": "redis://127.0.0.1:1",
        "storage_url": "file:///nowhere",
        "gen_timeout_ms": 60_000,
        **values,
    }
    return Settings(**given)


@dataclass(frozen=True, slots=True)
class Case:
    """One provider, its stand-in, and where its contract differs from the others'.

    `unlike` names the error of faults that this wire words differently. `starts_anew`: a call that
    the provider never heard of is started when it is resumed, as its id is ours.
    """

    name: str
    make: Callable[[Settings], Provider | None]
    application: Callable[[], Starlette]
    settings: Callable[[str], Mapping[str, object]]
    key_setting: str | None
    model_setting: str | None
    sizes: Mapping[ImageSize, SizePx]
    progress: ProgressKind
    resumes: bool = False
    keeps_seed: bool = True
    starts_anew: bool = False
    unlike: Mapping[str, type[ProviderError]] = field(
        default_factory=dict[str, type[ProviderError]]
    )

    def provider(self, url: str, **overrides: Any) -> Provider:
        """The provider, pointed at `url`."""
        provider = self.make(settings_with(**{**self.settings(url), **overrides}))
        assert provider is not None
        return provider


CASES = [
    Case(
        name="gemini",
        make=GeminiProvider.from_settings,
        application=gemini.application,
        settings=lambda url: {"gemini_api_key": KEY, "gemini_base_url": f"{url}/v1beta"},
        key_setting="gemini_api_key",
        model_setting="gemini_model",
        sizes={
            ImageSize.SQUARE_1024: SizePx(1024, 1024),
            ImageSize.PORTRAIT_1024X1536: SizePx(832, 1248),
            ImageSize.LANDSCAPE_1536X1024: SizePx(1248, 832),
        },
        progress=ProgressKind.INDETERMINATE,
    ),
    Case(
        name="banana",
        make=BananaProvider.from_settings,
        application=banana.application,
        settings=lambda url: {
            "banana_api_key": KEY,
            "banana_base_url": url,
            "banana_model_key": "a-model",
        },
        key_setting="banana_api_key",
        model_setting="banana_model_key",
        sizes={size: size.px for size in ImageSize},
        progress=ProgressKind.INDETERMINATE,
        resumes=True,
    ),
    Case(
        name="banana-project",
        make=BananaProvider.from_settings,
        application=banana.application,
        settings=lambda url: {
            "banana_api_key": KEY,
            "banana_base_url": url,
            "banana_model_key": "a-model",
            "banana_route": "/paint",
        },
        key_setting="banana_api_key",
        model_setting="banana_model_key",
        sizes={size: size.px for size in ImageSize},
        progress=ProgressKind.INDETERMINATE,
        unlike={"400": ProviderOverloaded},
    ),
    Case(
        name="openai",
        make=OpenAIProvider.from_settings,
        application=openai.application,
        settings=lambda url: {
            "openai_api_key": KEY,
            "openai_base_url": f"{url}/v1",
            "openai_previews": 0,
        },
        key_setting="openai_api_key",
        model_setting="openai_model",
        sizes={
            size: size.px
            for size in (
                ImageSize.SQUARE_1024,
                ImageSize.PORTRAIT_1024X1536,
                ImageSize.LANDSCAPE_1536X1024,
            )
        },
        progress=ProgressKind.INDETERMINATE,
        keeps_seed=False,
    ),
    Case(
        name="comfyui",
        make=ComfyUIProvider.from_settings,
        application=comfyui.application,
        settings=lambda url: {"comfyui_base_url": url, "comfyui_token": KEY},
        key_setting="comfyui_token",
        model_setting="comfyui_checkpoint",
        sizes={size: size.px for size in ImageSize},
        progress=ProgressKind.MEASURED,
        resumes=True,
        # A machine of one's own has no quotas; what blocks is a node of the graph, at its end.
        unlike={"quota-day": ProviderOverloaded, "blocked-prompt": ProviderRefused},
        starts_anew=True,
    ),
]


@dataclass(frozen=True, slots=True)
class Setup:
    """A provider's case and its running stand-in."""

    case: Case
    stand_in: RunningStandIn

    @contextlib.asynccontextmanager
    async def provider(self, **overrides: Any) -> AsyncGenerator[Provider]:
        """The provider, pointed at the stand-in, with other settings."""
        provider = self.case.provider(self.stand_in.url, **overrides)
        try:
            yield provider
        finally:
            await provider.aclose()


@contextlib.contextmanager
def running_case(case: Case) -> Generator[Setup]:
    """A case with its stand-in."""
    with running(case.application()) as stand_in:
        yield Setup(case, stand_in)


@contextlib.contextmanager
def running_s3() -> Generator[str]:
    """moto's server with a bucket `pictures`; yields its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        httpx.put(f"http://{host}:{port}/pictures", trust_env=False).raise_for_status()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def paint_request(prompt: str = "a fox in the snow", **fields: Any) -> PaintRequest:
    """A request of a job of its own; its prompt is a part of the assembled one."""
    request = PaintRequest(
        request_id=f"{uuid.uuid4()}:1",
        prompt=prompt,
        assembled_prompt=f"Painted in gouache: {prompt}. No text.",
        negative_prompt="photorealism",
        style="ghibli",
        size=ImageSize.SQUARE_1024,
        seed=4242,
    )
    return dataclasses.replace(request, **fields)


def photo(width: int = 320, height: int = 240) -> bytes:
    """A small photo as the service keeps it."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(buffer, "WEBP")
    return buffer.getvalue()


def size_of(image: bytes) -> SizePx:
    """Width and height of an encoded picture."""
    with Image.open(io.BytesIO(image)) as opened:
        return SizePx(*opened.size)


async def updates_of(updates: AsyncGenerator[Update, None]) -> list[Update]:
    """All updates of a call."""
    async with contextlib.aclosing(updates):
        return [update async for update in updates]


async def picture_of(updates: AsyncGenerator[Update, None]) -> Finished:
    """The last update, which is the picture."""
    last = (await updates_of(updates))[-1]
    assert isinstance(last, Finished)
    return last


async def accepted_by(updates: AsyncGenerator[Update, None]) -> str:
    """The id under which a provider accepts a call; the call is left where it is."""
    first = await anext(updates)
    assert isinstance(first, Accepted)
    return first.external_id


async def error_of(updates: AsyncGenerator[Update, None]) -> ProviderError:
    """The error that a call ends with; its whole traceback is free of credentials."""
    with pytest.raises(ProviderError) as raised:
        await updates_of(updates)
    told = "".join(traceback.format_exception(raised.value))
    assert KEY not in told
    assert WRONG_KEY not in told
    return raised.value

"""The providers that this service knows: one line each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from providers.banana import BananaProvider
from providers.comfyui import ComfyUIProvider
from providers.gemini import GeminiProvider
from providers.local import LocalProvider
from providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from core.settings import Settings
    from core.styles import Style
    from providers.base import Provider

_MAKERS: dict[str, Callable[[Settings], Provider | None]] = {
    BananaProvider.name: BananaProvider.from_settings,
    ComfyUIProvider.name: ComfyUIProvider.from_settings,
    GeminiProvider.name: GeminiProvider.from_settings,
    OpenAIProvider.name: OpenAIProvider.from_settings,
}
"""How each provider outside is made from settings; None when its settings are missing."""


class UnknownProviderError(Exception):
    """GEN_PROVIDER or GEN_FALLBACK_PROVIDERS name a provider that is unknown or not set up."""


@contextlib.asynccontextmanager
async def open_providers(
    settings: Settings, styles: Mapping[str, Style]
) -> AsyncGenerator[Mapping[str, Provider], None]:
    """Open all providers that are set up, by name. Raises UnknownProviderError."""
    local = LocalProvider(processes=settings.painters, styles=styles)
    made = {local.name: local, **{name: make(settings) for name, make in _MAKERS.items()}}
    providers = {name: provider for name, provider in made.items() if provider}
    _check("GEN_PROVIDER", settings.gen_provider, providers)
    for name in settings.gen_fallback_providers:
        _check("GEN_FALLBACK_PROVIDERS", name, providers)
    try:
        yield providers
    finally:
        for provider in providers.values():
            await provider.aclose()


def _check(setting: str, name: str, providers: Mapping[str, Provider]) -> None:
    if name in providers:
        return
    if name in _MAKERS:
        raise UnknownProviderError(
            f"{setting} names {name}, which is not set up here: set its settings"
            f" ({name.upper()}_..., see .env.example). Set up are: {', '.join(sorted(providers))}"
        )
    known = sorted((*_MAKERS, LocalProvider.name))
    raise UnknownProviderError(
        f"{setting} names {name!r}, which is no provider. Known are: {', '.join(known)}"
    )

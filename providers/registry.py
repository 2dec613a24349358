"""The providers that this service knows: one line each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from core.styles import load_styles
from providers.banana import BananaProvider
from providers.comfyui import ComfyUIProvider
from providers.gemini import GeminiProvider
from providers.local import LocalProvider
from providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from core.settings import Settings
    from providers.base import Provider

_MAKERS: dict[str, Callable[[Settings], Provider | None]] = {
    "local": lambda settings: LocalProvider(
        processes=settings.painters, styles=load_styles(settings.styles_file)
    ),
    BananaProvider.name: BananaProvider.from_settings,
    ComfyUIProvider.name: ComfyUIProvider.from_settings,
    GeminiProvider.name: GeminiProvider.from_settings,
    OpenAIProvider.name: OpenAIProvider.from_settings,
}
"""How each provider is made from settings; None when its settings are missing."""


class UnknownProviderError(Exception):
    """GEN_PROVIDER names a provider that is unknown or not set up."""


@contextlib.asynccontextmanager
async def open_providers(settings: Settings) -> AsyncGenerator[Mapping[str, Provider], None]:
    """Open all providers that are set up, by name. Raises UnknownProviderError."""
    made = {name: make(settings) for name, make in _MAKERS.items()}
    providers = {name: provider for name, provider in made.items() if provider}
    if settings.gen_provider not in providers:
        raise UnknownProviderError(_why_not(settings.gen_provider, providers))
    try:
        yield providers
    finally:
        for provider in providers.values():
            await provider.aclose()


def _why_not(name: str, providers: Mapping[str, Provider]) -> str:
    if name in _MAKERS:
        return (
            f"GEN_PROVIDER={name} is not set up here: set its settings ({name.upper()}_..., see"
            f" .env.example). Set up are: {', '.join(sorted(providers))}"
        )
    return f"GEN_PROVIDER={name} is no provider. Known are: {', '.join(sorted(_MAKERS))}"

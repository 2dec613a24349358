"""Which providers a process has: those whose settings are there."""

from __future__ import annotations

import pytest

from core.vocabulary import SeedSupport
from providers.base import ProviderMisconfigured
from providers.registry import UnknownProviderError, open_providers
from tests.parts.standin_fixtures import CASES, KEY, settings_with


async def test_only_local_needs_no_settings() -> None:
    async with open_providers(settings_with(), {}) as providers:
        assert list(providers) == ["local"]


async def test_a_provider_is_there_once_its_settings_are() -> None:
    given = {name: value for case in CASES for name, value in case.settings("http://h").items()}

    async with open_providers(settings_with(gen_provider="gemini", **given), {}) as providers:
        assert sorted(providers) == ["banana", "comfyui", "gemini", "local", "openai"]
        assert all(provider.name == name for name, provider in providers.items())
        seeds = {name: provider.capabilities.seed for name, provider in providers.items()}
        assert seeds["local"] is SeedSupport.EXACT
        assert seeds["openai"] is SeedSupport.NONE


async def test_a_default_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(UnknownProviderError, match=r"GEMINI_.*Set up are: local"):
        async with open_providers(settings_with(gen_provider="gemini"), {}):
            pass
    with pytest.raises(UnknownProviderError, match=r"no provider.*banana, comfyui, gemini"):
        async with open_providers(settings_with(gen_provider="nobody"), {}):
            pass


@pytest.mark.parametrize(
    ("fallbacks", "says"),
    [
        ("local,openai", r"GEN_FALLBACK_PROVIDERS names openai.*OPENAI_.*Set up are: local"),
        ("opneai", r"GEN_FALLBACK_PROVIDERS names 'opneai'.*no provider.*openai"),
    ],
)
async def test_a_fallback_that_is_not_there_stops_the_start(fallbacks: str, says: str) -> None:
    with pytest.raises(UnknownProviderError, match=says):
        async with open_providers(settings_with(gen_fallback_providers=fallbacks), {}):
            pass


async def test_a_wrong_address_stops_the_start() -> None:
    wrong = settings_with(gemini_api_key=KEY, gemini_base_url="gemini.example.com")

    with pytest.raises(ProviderMisconfigured, match="GEMINI_BASE_URL"):
        async with open_providers(wrong, {}):
            pass

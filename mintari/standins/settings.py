"""The settings that point a provider at its stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTINGS: Mapping[str, Callable[[str], Mapping[str, str]]] = {
    "banana": lambda url: {
        "BANANA_API_KEY": "stand-in",
        "BANANA_BASE_URL": url,
        "BANANA_MODEL_KEY": "a-model",
    },
    "comfyui": lambda url: {"COMFYUI_BASE_URL": url},
    "gemini": lambda url: {"GEMINI_API_KEY": "stand-in", "GEMINI_BASE_URL": url},
    "openai": lambda url: {"OPENAI_API_KEY": "stand-in", "OPENAI_BASE_URL": f"{url}/v1"},
}
"""Environment variables by provider, from the stand-in's address."""

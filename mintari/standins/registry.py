"""The stand-ins that there are: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mintari.standins import banana, comfyui, gemini, openai, supabase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.applications import Starlette

APPLICATIONS: Mapping[str, Callable[[], Starlette]] = {
    banana.NAME: banana.application,
    comfyui.NAME: comfyui.application,
    gemini.NAME: gemini.application,
    openai.NAME: openai.application,
    supabase.NAME: supabase.application,
}
"""Makes the application of each stand-in, by the provider's or storage's name."""

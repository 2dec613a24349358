"""The providers that there are, and how they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import InvalidInput

if TYPE_CHECKING:
    from jobs.breakers import Health
    from providers.base import Provider
    from resolvers.context import App


async def list_providers(app: App) -> list[tuple[Provider, Health]]:
    """All providers that are set up, each with its health."""
    health = await app.breakers.health(app.providers)
    return [(provider, health[name]) for name, provider in app.providers.items()]


def find_provider(app: App, name: str) -> Provider:
    """The provider of this name. Raises InvalidInput when it is not set up."""
    if provider := app.providers.get(name):
        return provider
    known = ", ".join(sorted(app.providers))
    raise InvalidInput(f"The provider must be one of: {known}.", field="provider")

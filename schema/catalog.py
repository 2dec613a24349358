"""What can be chosen: styles and providers; and the viewer's own view of the limits."""

from __future__ import annotations

from datetime import datetime

import strawberry

from core.styles import Style as StyleData
from jobs.breakers import Health
from providers.base import Provider as ProviderAdapter
from resolvers.quota import Quota as QuotaData
from resolvers.quota import read_quota
from schema.context import Info
from schema.enums import ImageSize, ProgressKind, ProviderStatus, SeedSupport


@strawberry.type(description="A way to paint.")
class Style:
    """A way to paint."""

    slug: str = strawberry.field(description="Give it as `style`.")
    name: str = strawberry.field(description="For people.")
    description: str = strawberry.field(description="What it looks like.")
    version: int = strawberry.field(description="Grows when its pictures change.")
    sample_url: str | None = strawberry.field(description="A picture in this style, 320 pixels.")

    @classmethod
    def from_data(cls, style: StyleData, public_url: str) -> Style:
        """As clients see it."""
        return cls(
            slug=style.slug,
            name=style.name,
            description=style.description,
            version=style.version,
            sample_url=f"{public_url}/styles/{style.slug}.webp" if style.sample else None,
        )


@strawberry.type(description="An image model that this service can use, and what it can do.")
class Provider:
    """An image model."""

    name: str = strawberry.field(description="Give it as `provider`.")
    model: str = strawberry.field(description="Its model.")
    is_default: bool = strawberry.field(description="Whether it is used when none is named.")
    sizes: list[ImageSize] = strawberry.field(description="Sizes that it paints.")
    image_input: bool = strawberry.field(description="Whether it takes a photo.")
    text_input: bool = strawberry.field(description="Whether it paints from words alone.")
    seed: SeedSupport = strawberry.field(description="What it makes of a seed.")
    progress: ProgressKind = strawberry.field(description="What its progress is.")
    cancel: bool = strawberry.field(description="Whether a cancelled job stops its work as well.")
    resume: bool = strawberry.field(
        description="Whether a call that was cut off here is gone on with instead of made again."
    )
    status: ProviderStatus = strawberry.field(description="Whether it is asked for pictures now.")
    status_until: datetime | None = strawberry.field(
        description="When it is asked again; null unless UNAVAILABLE."
    )

    @classmethod
    def from_adapter(cls, provider: ProviderAdapter, default: str, health: Health) -> Provider:
        """As clients see it."""
        can = provider.capabilities
        return cls(
            name=provider.name,
            model=provider.model,
            is_default=provider.name == default,
            sizes=list(can.sizes),
            image_input=can.image_input,
            text_input=can.text_input,
            seed=can.seed,
            progress=can.progress,
            cancel=can.cancel,
            resume=can.resume,
            status=health.status,
            status_until=health.until,
        )


@strawberry.type(description="Limits on the viewer's requests, and what is left of them.")
class Quota:
    """Limits and what is left."""

    max_requests: int = strawberry.field(description="Generation requests allowed in the window.")
    window_seconds: float = strawberry.field(description="Length of the sliding window, seconds.")
    remaining_requests: int = strawberry.field(description="Requests left right now.")
    resets_in_seconds: float = strawberry.field(
        description="Until the oldest used request is free again, seconds; 0 if none is used."
    )
    max_active_jobs: int = strawberry.field(description="Frames that may be in the making at once.")
    active_jobs: int = strawberry.field(description="Frames that are in the making now.")

    @classmethod
    def from_data(cls, quota: QuotaData) -> Quota:
        """As clients see it."""
        return cls(
            max_requests=quota.max_requests,
            window_seconds=quota.window_s,
            remaining_requests=quota.remaining_requests,
            resets_in_seconds=quota.resets_in_s,
            max_active_jobs=quota.max_active_jobs,
            active_jobs=quota.active_jobs,
        )


@strawberry.type(description="Limits on what a request may hold.")
class Limits:
    """Limits on input."""

    max_prompt_characters: int = strawberry.field(
        description="Longest prompt and longest delta, in characters after folding."
    )
    max_variants: int = strawberry.field(description="Most frames of one generation.")
    max_upload_bytes: int = strawberry.field(description="Largest photo, bytes.")
    max_upload_pixels: int = strawberry.field(description="Largest photo, width times height.")


@strawberry.type(description="Who is asking.")
class Viewer:
    """Who is asking."""

    id: strawberry.ID = strawberry.field(description="The user's identifier, from the token.")

    is_operator: bool = strawberry.field(description="Whether `operator` is there for them.")

    @strawberry.field(description="What is left of the viewer's quotas.")
    async def quota(self, info: Info) -> Quota:
        """The quota now."""
        return Quota.from_data(await read_quota(info.context.app, info.context.request))

    @strawberry.field(description="Limits on what a request may hold.")
    def limits(self, info: Info) -> Limits:
        """Limits from the settings."""
        settings = info.context.app.settings
        return Limits(
            max_prompt_characters=settings.prompt_max_chars,
            max_variants=settings.gen_max_variants,
            max_upload_bytes=settings.upload_max_bytes,
            max_upload_pixels=settings.upload_max_pixels,
        )

"""Pictures as clients see them: addresses and measures, never bytes."""

from __future__ import annotations

from datetime import datetime

import strawberry

from db.records import JobRecord, UploadRecord
from schema.context import Info
from schema.costs import SIGNED


@strawberry.type(description="A finished frame.")
class Image:
    """A finished frame."""

    key: strawberry.Private[str]
    thumbnail_key: strawberry.Private[str]
    thumbhash: str = strawberry.field(
        description="ThumbHash in base64: a blurred placeholder of some 25 bytes."
    )
    width: int = strawberry.field(description="Width in pixels, as it really is.")
    height: int = strawberry.field(description="Height in pixels, as it really is.")
    bytes: int = strawberry.field(description="Size of the file in bytes.")
    content_type: str = strawberry.field(description="Media type, for example image/webp.")

    @strawberry.field(
        description="Where to load it; signed, good for at least an hour. Null while the storage"
        " cannot be asked.",
        directives=[SIGNED],
    )
    async def url(self, info: Info) -> str | None:
        """Signed URL."""
        return await info.context.loaders.url(self.key)

    @strawberry.field(
        description="A small version, 320 pixels on the long side.", directives=[SIGNED]
    )
    async def thumbnail_url(self, info: Info) -> str | None:
        """Signed URL."""
        return await info.context.loaders.url(self.thumbnail_key)

    @classmethod
    def from_job(cls, job: JobRecord) -> Image | None:
        """The image of a finished job; None before."""
        if (
            job.image_key is None
            or job.thumbnail_key is None
            or job.thumbhash is None
            or job.width_px is None
            or job.height_px is None
            or job.size_bytes is None
            or job.content_type is None
        ):
            return None
        return cls(
            key=job.image_key,
            thumbnail_key=job.thumbnail_key,
            thumbhash=job.thumbhash,
            width=job.width_px,
            height=job.height_px,
            bytes=job.size_bytes,
            content_type=job.content_type,
        )


@strawberry.type(description="A small picture of a frame that is not finished yet.")
class Preview:
    """A picture of an unfinished frame."""

    key: strawberry.Private[str]

    @strawberry.field(
        description="Where to load it; null while the storage cannot be asked.", directives=[SIGNED]
    )
    async def url(self, info: Info) -> str | None:
        """Signed URL."""
        return await info.context.loaders.url(self.key)


@strawberry.type(description="A photo that the viewer uploaded, re-encoded and without metadata.")
class Upload:
    """A user's source photo."""

    key: strawberry.Private[str]
    thumbnail_key: strawberry.Private[str]
    id: strawberry.ID = strawberry.field(description="Unique identifier.")
    thumbhash: str = strawberry.field(description="ThumbHash in base64, to show at once.")
    width: int = strawberry.field(description="Width in pixels, as stored.")
    height: int = strawberry.field(description="Height in pixels, as stored.")
    bytes: int = strawberry.field(description="Size of the stored file in bytes.")
    content_type: str = strawberry.field(description="Media type of the stored file.")
    created_at: datetime = strawberry.field(description="When it was uploaded.")

    @strawberry.field(
        description="Where to load it; null while the storage cannot be asked.", directives=[SIGNED]
    )
    async def url(self, info: Info) -> str | None:
        """Signed URL."""
        return await info.context.loaders.url(self.key)

    @strawberry.field(
        description="A small version, 320 pixels on the long side.", directives=[SIGNED]
    )
    async def thumbnail_url(self, info: Info) -> str | None:
        """Signed URL."""
        return await info.context.loaders.url(self.thumbnail_key)

    @classmethod
    def from_record(cls, upload: UploadRecord) -> Upload:
        """As clients see it."""
        return cls(
            key=upload.object_key,
            thumbnail_key=upload.thumbnail_key,
            id=strawberry.ID(str(upload.id)),
            thumbhash=upload.thumbhash,
            width=upload.width_px,
            height=upload.height_px,
            bytes=upload.size_bytes,
            content_type=upload.content_type,
            created_at=upload.created_at,
        )

"""Photos from outside: taken as pixels only, or refused with nothing stored."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.conftest import running_api

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.client import Client
    from tests.conftest import Api

# Made for this test: two colours, an orientation and a description in its EXIF.
HEIC = Path(__file__).parent.parent / "data" / "uploads" / "photo.heic"
CREATE = """
mutation($file: File!) { createUpload(file: $file) {
  __typename
  ... on UploadCreated { upload { id url thumbnailUrl thumbhash width height bytes contentType } }
  ... on UserError { code message }
} }
"""


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


async def by_graphql(client: Client, content: bytes, name: str = "photo.jpg") -> dict[str, Any]:
    """The GraphQL multipart request specification, by hand."""
    response = await client.http.post(
        "/graphql",
        data={
            "operations": msgspec.json.encode(
                {"query": CREATE, "variables": {"file": None}}
            ).decode(),
            "map": '{"0": ["variables.file"]}',
        },
        files={"0": (name, content)},
        headers={"GraphQL-Require-Preflight": "1"},
    )
    assert response.status_code == 200, response.text
    return response.json()["data"]["createUpload"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_photos_are_taken(api: Api, kind: str) -> None:
    ann = api.client("ann")
    result = await by_graphql(ann, encoded(kind))
    upload = result["upload"]
    assert (upload["width"], upload["height"]) == (64, 48)
    assert upload["contentType"] == "image/webp"
    response = await ann.http.get(upload["url"])
    assert len(response.content) == upload["bytes"]
    with Image.open(io.BytesIO(response.content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (64, 48))
    thumbnail = await ann.http.get(upload["thumbnailUrl"])
    assert thumbnail.status_code == 200


async def test_avif_is_taken_where_a_setting_asks_for_it(
    api: Api, make_settings: Callable[..., Settings]
) -> None:
    photo = encoded("AVIF")
    result = await by_graphql(api.client("ann"), photo)
    assert result["message"] == (
        "AVIF pictures are not taken here: send a PNG, JPEG or WebP picture."
    )
    async with running_api(make_settings(upload_avif=True)) as taking:
        ann = taking.client("ann")
        upload = (await by_graphql(ann, photo))["upload"]
        assert (upload["width"], upload["contentType"]) == (64, "image/webp")
        refused = await by_graphql(ann, b"hello")
        assert refused["message"] == "The file is not a PNG, JPEG, WebP or AVIF picture."


async def test_heic_is_taken_where_a_setting_asks_for_it(
    api: Api, make_settings: Callable[..., Settings]
) -> None:
    photo = HEIC.read_bytes()
    assert b"52.5, 13.4" in photo
    result = await by_graphql(api.client("ann"), photo)
    assert result["message"] == (
        "HEIC pictures are not taken here: send a PNG, JPEG or WebP picture."
    )
    async with running_api(make_settings(upload_heic=True)) as taking:
        ann = taking.client("ann")
        upload = (await by_graphql(ann, photo))["upload"]
        # 64 x 48 and to be turned by 90 degrees, with a place in its EXIF.
        assert (upload["width"], upload["height"]) == (48, 64)
        stored = (await ann.http.get(upload["url"])).content
        assert b"52.5" not in stored
        assert "damaged" in (await by_graphql(ann, photo[:-100]))["message"]
        refused = await by_graphql(ann, b"hello")
        assert refused["message"] == "The file is not a PNG, JPEG, WebP or HEIC picture."
    small = make_settings(upload_heic=True, upload_max_pixels=1000)
    async with running_api(small) as strict:
        result = await by_graphql(strict.client("ann"), photo)
        assert "48 x 64 pixels; 1,000 in all" in result["message"]


def test_heic_without_its_decoder_is_said_at_the_start(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ValidationError, match=r"pip install 'mintari\[heic\]'"):
        make_settings(upload_heic=True)


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG") + b"<?php system($_GET['c']); ?>",
        encoded("PNG") + b"PK\x03\x04 an archive behind it",
        b"GIF89a/*" + encoded("JPEG"),
        b"<html>" + encoded("PNG"),
    ],
    ids=["script behind", "archive behind", "two headers", "page before"],
)
async def test_files_of_two_kinds_lose_the_other_one(api: Api, content: bytes) -> None:
    ann = api.client("ann")
    result = await by_graphql(ann, content)
    if result["__typename"] == "UploadRejected":
        assert not content.startswith((b"\xff\xd8", b"\x89PNG"))
        return
    stored = (await ann.http.get(result["upload"]["url"])).content
    assert stored[:4] == b"RIFF"
    for trace in (b"php", b"PK\x03\x04", b"html"):
        assert trace not in stored


async def test_the_same_photo_twice_is_two_uploads_and_one_painting(api: Api) -> None:
    # Each upload has its own life; the digest of its pixels makes identical requests one.
    ann = api.client("ann")
    first, second = [await ann.upload(encoded("PNG")) for _ in range(2)]
    assert first != second
    generation = await ann.started(prompt="a", uploadId=first, variantCount=1)
    again = await ann.started(prompt="a", uploadId=second, variantCount=1)
    assert again["id"] == generation["id"]


async def test_nothing_but_pixels_is_kept(api: Api) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    exif[0x010E] = "made at 52.5, 13.4"
    content = encoded("JPEG", (64, 48), exif=exif.tobytes(), comment=b"SECRET") + b"<script>"
    ann = api.client("ann")
    upload = (await by_graphql(ann, content))["upload"]
    stored = (await ann.http.get(upload["url"])).content
    assert (upload["width"], upload["height"]) == (48, 64)
    for secret in (b"52.5", b"SECRET", b"script", b"Exif"):
        assert secret not in stored


async def test_large_photos_are_scaled_down(api: Api) -> None:
    upload = (await by_graphql(api.client(), encoded("JPEG", (4096, 1024))))["upload"]
    assert (upload["width"], upload["height"]) == (2048, 512)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello", "not a PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG, JPEG or WebP"),
        (b"GIF89a" + b"\0" * 50, "not a PNG, JPEG or WebP"),
        (encoded("PNG")[:60], "damaged"),
        (encoded("JPEG")[:300], "damaged"),
        (bomb(), "more than 50,000,000 pixels"),
        (encoded("PNG", (9000, 6000)), "9000 x 6000 pixels; 50,000,000 in all"),
        (animation(), "Animated"),
        (encoded("PNG", (15, 400)), "too small"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "content",
)
async def test_what_is_no_photo_is_refused(
    api: Api, pictures_folder: Path, content: bytes, says: str
) -> None:
    ann = api.client("ann")
    result = await by_graphql(ann, content)
    assert result["code"] == "UPLOAD_REJECTED"
    assert says in result["message"]
    plain = await ann.http.post("/uploads", content=content)
    assert plain.status_code == 422
    assert plain.json()["error"]["message"] == result["message"]
    assert list(pictures_folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["x" * 300, "../../etc/passwd", 'a"b\r\nc: d', "photo.exe", "é.png"]
)
async def test_names_of_files_mean_nothing(api: Api, pictures_folder: Path, name: str) -> None:
    result = await by_graphql(api.client(), encoded("PNG"), name)
    assert result["__typename"] == "UploadCreated"
    stored = {path.name for path in pictures_folder.rglob("*") if path.is_file()}
    assert stored == {"photo.webp", "thumbnail.webp"}


async def test_too_many_bytes(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(upload_max_bytes=1000)) as api:
        ann = api.client("ann")
        result = await by_graphql(ann, b"x" * 1001)
        assert "1,001 bytes; 1,000 are allowed" in result["message"]
        plain = await ann.http.post("/uploads", content=b"x" * 200_000)
        assert plain.status_code == 413


async def test_decoding_has_a_deadline(
    make_settings: Callable[..., Settings], pictures_folder: Path
) -> None:
    large = encoded("PNG", (1600, 1200))
    async with running_api(make_settings(upload_deadline_s=0.01)) as api:
        result = await by_graphql(api.client("ann"), large)
        assert result["message"] == "Decoding the picture takes too long."
        assert list(pictures_folder.iterdir()) == []
    # The process that was cut off is replaced.
    async with running_api(make_settings()) as api:
        assert (await by_graphql(api.client("ann"), large))["__typename"] == "UploadCreated"


async def test_the_plain_route_takes_forms(api: Api) -> None:
    ann = api.client("ann")
    response = await ann.http.post("/uploads", files={"file": ("a.png", encoded("PNG"))})
    assert response.status_code == 201
    assert response.json()["width"] == 64
    missing = await ann.http.post("/uploads", files={"other": ("a.png", encoded("PNG"))})
    assert missing.status_code == 422


async def test_strangers_cannot_upload(api: Api, pictures_folder: Path) -> None:
    response = await api.with_token(None).http.post("/uploads", content=encoded("PNG"))
    assert response.status_code == 401
    assert list(pictures_folder.iterdir()) == []


async def test_multipart_needs_the_preflight_header(api: Api) -> None:
    response = await api.client().http.post("/graphql", files={"0": b""})
    assert response.status_code == 400
    assert "GraphQL-Require-Preflight" in response.json()["errors"][0]["message"]


async def test_a_file_must_be_a_file(api: Api) -> None:
    answer = await api.client().ask(CREATE, file="text")
    assert answer.data["createUpload"]["code"] == "UPLOAD_REJECTED"


async def test_deleting_a_photo(api: Api) -> None:
    document = """mutation($id: ID!) { deleteUpload(id: $id) { __typename
      ... on UserError { code message } } }"""
    ann = api.client("ann")
    upload_id = await ann.upload(encoded("PNG"))
    generation = await ann.started(prompt="a", uploadId=upload_id, variantCount=1)
    used = (await ann.ask(document, id=upload_id)).data["deleteUpload"]
    assert "being painted" in used["message"]
    job_id = generation["jobs"][0]["id"]
    await ann.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=job_id)
    assert (await ann.ask(document, id=upload_id)).data["deleteUpload"]["__typename"] == (
        "UploadDeleted"
    )
    # A frame painted from it cannot be made again.
    again = await ann.ask(
        "mutation($id: ID!) { regenerate(input: {jobId: $id}) { ... on UserError { code } } }",
        id=job_id,
    )
    assert again.data["regenerate"] == {"code": "NOT_REGENERABLE"}

"""Stored pictures: readable by signed URL only, kept whole, gone when they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.base import ObjectNotFound
from storage.local import LocalStorage
from storage.registry import open_storage, url_signer
from storage.signing import UrlSigner

if TYPE_CHECKING:
    from pathlib import Path

    from core.settings import Settings
    from tests.conftest import Api


async def test_only_our_signature_opens_a_picture(api: Api, photo: bytes) -> None:
    ann = api.client("ann")
    response = await ann.http.post("/uploads", content=photo)
    url = response.json()["url"]
    good = await ann.http.get(url, headers={"authorization": ""})
    assert good.status_code == 200
    assert good.headers["content-type"] == "image/webp"
    assert good.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in good.headers["content-security-policy"]
    assert "immutable" in good.headers["cache-control"]
    thumbnail = response.json()["thumbnailUrl"]
    query = thumbnail.split("?")[1]
    for wrong in (
        url.split("?")[0],
        url.replace("signature=", "signature=A"),
        url.replace("expires=", "expires=9"),
        url.split("?")[0] + "?" + query,
        url.replace("expires=", "expires=x"),
    ):
        assert (await ann.http.get(wrong)).status_code == 403, wrong


def test_a_url_expires_and_stays_the_same_for_a_while() -> None:
    signer = UrlSigner("secret", ttl_s=3600)
    query = dict(part.split("=") for part in signer.query("a/b.webp").split("&"))
    assert signer.query("a/b.webp") == signer.query("a/b.webp")
    assert signer.holds("a/b.webp", query["expires"], query["signature"])
    assert not signer.holds("a/c.webp", query["expires"], query["signature"])
    old = UrlSigner("secret", ttl_s=-3600)
    past = dict(part.split("=") for part in old.query("a/b.webp").split("&"))
    assert not signer.holds("a/b.webp", past["expires"], past["signature"])


@pytest.mark.parametrize(
    "key", ["../x", "/etc/passwd", "a//b", "a/../b", ".x", "", "A", "a/.b", "a\0"]
)
async def test_only_keys_of_ours_reach_the_disk(
    settings: Settings, tmp_path: Path, key: str
) -> None:
    storage = LocalStorage(tmp_path, url_signer(settings), "http://x")
    with pytest.raises(ObjectNotFound):
        await storage.get(key)
    with pytest.raises(ObjectNotFound):
        await storage.put(key, b"x", "image/webp")
    assert list(tmp_path.iterdir()) == []


async def test_local_storage(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        await storage.put("a/b.webp", b"1", "image/webp")
        await storage.put("a/b.webp", b"2", "image/webp")
        assert await storage.get("a/b.webp") == b"2"
        await storage.delete(["a/b.webp", "a/c.webp"])
        with pytest.raises(ObjectNotFound):
            await storage.get("a/b.webp")
        assert (await storage.check()).startswith("folder ")

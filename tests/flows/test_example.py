"""The examples in Python, run as their readers would."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from PIL import Image

from core.auth import issue_token
from tests.conftest import SECRET, running_api, running_worker
from tests.programs import ROOT, running

if TYPE_CHECKING:
    from pathlib import Path

    from core.settings import Settings


def test_the_example_saves_three_frames(settings: Settings, photo: bytes, tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    source.write_bytes(photo)
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "REDIS_PREFIX": settings.redis_prefix,
        "STORAGE_URL": settings.storage_url,
        "AUTH_SECRET": SECRET,
        "API_PORT": str(settings.api_port),
        "LOCAL_PROCESSES": "2",
    }
    with (
        running("-m", "mintari", "api", environment=environment) as api,
        running("-m", "mintari", "worker", environment=environment) as worker,
    ):
        worker.line_with("worker ready")
        api.line_with("Application startup complete")
        client = {
            "MINTARI_URL": settings.public_url,
            "MINTARI_TOKEN": issue_token(SECRET, user_id="ann", ttl_s=600),
        }
        script = str(ROOT / "examples" / "paint.py")
        options = ["--photo", str(source), "--style", "watercolor", "--out", str(tmp_path)]
        prompt = "an astronaut in a meadow"
        with running(script, prompt, *options, environment=client) as example:
            assert example.wait(within_s=120) == 0, example.output
        assert "100 % SUCCESS" in example.output
    frames = list(tmp_path.glob("*.webp"))
    assert len({frame.read_bytes() for frame in frames}) == 3
    for frame in frames:
        with Image.open(frame) as picture:
            assert picture.size == (1024, 1024)


async def test_the_follower_survives_a_restart_of_the_api(settings: Settings) -> None:
    client = {
        "MINTARI_URL": settings.public_url,
        "MINTARI_TOKEN": issue_token(SECRET, user_id="ann", ttl_s=600),
    }
    script = str(ROOT / "examples" / "follow.py")
    with ExitStack() as programs:
        async with running_api(settings) as api:
            await api.client("ann").started(prompt="a hill", variantCount=2, size="SQUARE_512")
            follower = programs.enter_context(running(script, environment=client))
            await asyncio.to_thread(follower.line_with, "2: 0 % PENDING")
        async with running_api(settings), running_worker(settings):
            assert await asyncio.to_thread(follower.wait) == 0, follower.output
    assert follower.lines[0] == "a hill"
    for number in (1, 2):
        news = [line for line in follower.lines if line.startswith(f"{number}: ")]
        # What it knew is not said again after the restart.
        assert news.count(f"{number}: 0 % PENDING") == 1
        assert news[0] == f"{number}: 0 % PENDING"
        assert news[-1].startswith(f"{number}: 100 % SUCCESS http")

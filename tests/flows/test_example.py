"""The example in examples/paint.py, against real API and worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from core.auth import issue_token
from tests.conftest import SECRET
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

"""What a worker's parts share, opened once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.metrics import Metrics
    from core.prices import Prices
    from core.safety.pictures import PictureJudge
    from core.sealing import Sealer
    from core.settings import Settings
    from core.styles import Style
    from core.tracing import Tracing
    from db.engine import Database
    from jobs.breakers import Breakers
    from jobs.doorbell import Doorbell
    from jobs.publisher import Publisher
    from providers.base import Provider
    from storage.base import Storage


@dataclass(frozen=True, slots=True)
class Kit:
    """Connections and settings of one worker process; `worker` is its unique name."""

    settings: Settings
    worker: str
    database: Database
    publisher: Publisher
    doorbell: Doorbell
    storage: Storage
    providers: Mapping[str, Provider]
    breakers: Breakers
    styles: Mapping[str, Style]
    metrics: Metrics
    prices: Prices
    tracing: Tracing
    sealer: Sealer
    picture_judge: PictureJudge | None = None

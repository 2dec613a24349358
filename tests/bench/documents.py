"""What clients ask for in the benchmark, and the same content for contenders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.programs import ROOT

if TYPE_CHECKING:
    from datetime import datetime

    from db.records import JobRecord

FIELDS = """
    id variant version state stage progress progressKind seed seedLocked provider model retryCount
    generationTimeMs createdAt startedAt finishedAt
    preview { url } image { url } error { code message }
"""
FOLLOW = f"subscription Follow($ids: [ID!]!) {{ jobProgress(jobIds: $ids) {{ {FIELDS} }} }}"
"""What a tile shows, but for what needs Postgres: place in the queue and expected end."""


def page_follow() -> str:
    """The subscription of the web page, as it is."""
    text = (ROOT / "web/src/graphql/documents/job.graphql").read_text()
    fragment = text[text.index("fragment Frame ") : text.index("subscription Follow")]
    return fragment + FOLLOW.replace(FIELDS, " ...Frame ")


def subscribe(document: str, job_ids: list[str]) -> dict[str, Any]:
    """The subscribe message for these jobs."""
    payload = {"query": document, "variables": {"ids": job_ids}}
    return {"id": "1", "type": "subscribe", "payload": payload}


def as_clients_see(job: JobRecord) -> dict[str, Any]:
    """The content of FIELDS for a running job without pictures."""
    return {
        "id": str(job.id),
        "variant": job.variant,
        "version": job.version,
        "state": job.state,
        "stage": job.stage,
        "progress": job.progress,
        "progressKind": job.progress_kind,
        "seed": job.seed,
        "seedLocked": job.seed_locked,
        "provider": job.provider,
        "model": job.model,
        "retryCount": job.retry_count,
        "generationTimeMs": job.generation_time_ms,
        "createdAt": _time(job.created_at),
        "startedAt": _time(job.started_at),
        "finishedAt": _time(job.finished_at),
        "preview": None,
        "image": None,
        "error": None,
    }


def _time(at: datetime | None) -> str | None:
    return at and at.isoformat()

"""What became of every job of a scenario: database, pictures, provider's books, followers."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import text

from mintari.standins.painting import NoCallId, read_call_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from db.engine import Database
    from tests.chaos.crowd import Crowd, Started
    from tests.chaos.stack import StandIn

_ROWS = text("""
    SELECT id::text, user_id, generation_id::text, state, error_code, retry_count, attempt, seed,
           image_key, thumbnail_key
    FROM jobs WHERE user_id LIKE :users ORDER BY id
""")
_LEDGER = text("""
    SELECT job_id::text, attempt, worker_name, external_id, resumed_from, outcome,
        extract(epoch FROM started_at)::float8 AS started_at_s
    FROM provider_calls WHERE user_id LIKE :users ORDER BY job_id, attempt
""")

Call = dict[str, Any]


@dataclass
class Findings:
    """The counts of one scenario. `lost` to `bought_again` must always be 0.

    `lost`: accepted and not ended, or not in the database. `wrong`: another state or code than
    expected. `pictures`: frames that another call painted, or that cannot be read. `followers`:
    subscribers that saw something go back, or not the end. `duplicates`: jobs that nobody was told
    of. `bought_again`: calls that were made although an earlier one could have been asked for by
    its id. `resumed`: how many were. `extra_calls`: calls beyond one per job. `unexplained`: those
    among them although no call had failed, or was cut off with its worker. `paid_twice`: pictures
    beyond one per job that the provider had finished while the worker was there to take them.
    """

    jobs: int = 0
    lost: int = 0
    wrong: int = 0
    pictures: int = 0
    followers: int = 0
    duplicates: int = 0
    bought_again: int = 0
    resumed: int = 0
    extra_calls: int = 0
    unexplained: int = 0
    paid_twice: int = 0
    drain_s: float = 0.0
    details: list[str] = field(default_factory=list[str])

    def blame(self, what: str, subject: str) -> None:
        """Count one fault and remember whose."""
        setattr(self, what, getattr(self, what) + 1)
        self.details.append(f"{what}: {subject}")


@dataclass(frozen=True)
class Expected:
    """How the jobs of a wish should end."""

    state: str = "SUCCESS"
    error_code: str | None = None


@dataclass(frozen=True)
class Loss:
    """A worker was killed or frozen: its calls of that moment were cut off."""

    worker: str
    at_s: float


async def judge(
    crowd: Crowd,
    database: Database,
    stand_in: StandIn,
    pictures: Path,
    expected: Mapping[str, Expected],
    losses: Sequence[Loss],
) -> Findings:
    """Look at everything. `expected` is by tag; a tag that is not in it succeeds."""
    users = {"users": f"{crowd.name}-user-%"}
    async with database.read() as connection:
        found = await connection.execute(_ROWS, users)
        rows = {row["id"]: row for row in map(dict, found.mappings())}
        entries = [dict(row) for row in (await connection.execute(_LEDGER, users)).mappings()]
    calls = await asyncio.to_thread(stand_in.control.calls)
    by_job = _calls_by_job(crowd, calls)
    _mark_cut_off(by_job, entries, losses)
    findings = Findings()
    for started in _first_answers(crowd, findings):
        findings.jobs += len(started.seeds)
        wanted = expected.get(started.wanted.tag, Expected())
        for job_id in started.seeds:
            row = rows.pop(job_id, None)
            if row is None or row["state"] in ("PENDING", "RUNNING"):
                findings.blame("lost", f"{job_id} {row}")
                continue
            if (row["state"], row["error_code"]) != (wanted.state, wanted.error_code):
                findings.blame("wrong", f"{started.wanted.tag}: {row}")
            if row["state"] == "SUCCESS":
                _check_picture(findings, row, by_job[job_id], pictures)
            _count_calls(findings, by_job[job_id])
            _check_ledger(findings, [entry for entry in entries if entry["job_id"] == job_id])
    for job_id, row in rows.items():
        findings.blame("duplicates", f"{job_id} {row}")
    _check_followers(crowd, findings)
    return findings


def _first_answers(crowd: Crowd, findings: Findings) -> list[Started]:
    """One answer per tag: a repeated request must have been given the same jobs."""
    first: dict[str, Started] = {}
    for started in crowd.started:
        known = first.setdefault(started.wanted.tag, started)
        if known.seeds != started.seeds:
            findings.blame("duplicates", started.wanted.tag)
    return list(first.values())


def _calls_by_job(crowd: Crowd, calls: Sequence[Call]) -> Mapping[str, list[Call]]:
    """Each job's calls: the prompt holds the wish's tag, and the seed is the job's own."""
    jobs = {
        (started.wanted.tag, seed): job_id
        for started in crowd.started
        for job_id, seed in started.seeds.items()
    }
    found: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        words = [word for word in call["prompt"].split() if word.startswith(f"{crowd.name}-")]
        if words and (job_id := jobs.get((words[0].strip(".,"), call["seed"]))):
            found[job_id].append(call)
    return found


def _mark_cut_off(
    calls: Mapping[str, list[Call]], entries: Sequence[Mapping[str, Any]], losses: Sequence[Loss]
) -> None:
    """Calls that ran while their worker was lost, also where the provider noticed too late.

    A call belongs to the newest entry of the ledger that was there when it came in.
    """
    for job_id, made in calls.items():
        begun = [entry for entry in entries if entry["job_id"] == job_id]
        for call in made:
            start_s, end_s = call["started_at_s"], call["ended_at_s"] or float("inf")
            callers = [e["worker_name"] for e in begun if e["started_at_s"] <= start_s]
            call["cut_off"] = bool(callers) and any(
                loss.worker == callers[-1] and start_s <= loss.at_s <= end_s for loss in losses
            )


def _check_picture(
    findings: Findings, row: Mapping[str, Any], calls: Sequence[Call], pictures: Path
) -> None:
    for key in (row["image_key"], row["thumbnail_key"]):
        try:
            number = read_call_id((pictures / key).read_bytes())
        except (OSError, NoCallId) as error:
            findings.blame("pictures", f"{key}: {error!r}")
            continue
        if number not in [call["number"] for call in calls]:
            findings.blame("pictures", f"{key} was painted by call {number}")


def _count_calls(findings: Findings, calls: Sequence[Call]) -> None:
    whole = [call for call in calls if not call["cut_off"]]
    ends = Counter(call["outcome"] for call in whole)
    findings.extra_calls += max(0, len(calls) - 1)
    findings.unexplained += max(0, len(whole) - ends["cut"] - ends["failed"] - 1)
    findings.paid_twice += max(0, ends["finished"] - 1)
    if len(calls) > 1:
        told = [(call["number"], call["outcome"], call["cut_off"]) for call in calls]
        findings.details.append(f"several calls: {told}")


def _check_ledger(findings: Findings, entries: Sequence[Mapping[str, Any]]) -> None:
    """A call whose id is known, and that has not failed, is gone on with: none is made instead."""
    findings.resumed += sum(entry["resumed_from"] is not None for entry in entries)
    askable: Mapping[str, Any] | None = None
    for entry in entries:
        if askable is not None and entry["resumed_from"] != askable["attempt"]:
            findings.blame("bought_again", f"{entry} instead of {askable}")
        is_open = entry["external_id"] is not None and entry["outcome"] in ("STARTED", "UNKNOWN")
        askable = entry if is_open else None


def _check_followers(crowd: Crowd, findings: Findings) -> None:
    for watch in crowd.watches:
        for fault in watch.faults:
            findings.blame("followers", fault)
        if not watch.ended.is_set():
            findings.blame("followers", f"{watch.job_ids}: the end was not seen")


def folder_of(storage_url: str) -> Path:
    """The folder of local storage."""
    return Path(unquote(urlsplit(storage_url).path))

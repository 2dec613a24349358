"""What real processes tell those who watch them: metrics, one trace, logs; and what they never do.

One story for all tests here: a frame that is painted, one that fails, a prompt that is refused.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from core.auth import issue_token
from core.log import user_tag
from mintari.standins import gemini
from mintari.standins.running import running as running_stand_in
from tests.client import Client
from tests.conftest import TEMPLATE, free_port
from tests.parts.observed import Scraped, Span, observed, receiver, scrape
from tests.servers import create_database_from_template, drop_database, server_folder, until

if TYPE_CHECKING:
    from collections.abc import Generator

    from mintari.embedded import RunningServer
    from tests.parts.observed import Observed
    from tests.servers import PostgresForTests

AUTH_SECRET = "marked-secret-of-tokens-0123456789abcdef"
SIGNING_SECRET = "marked-secret-of-urls-0123456789abcdef"
API_KEY = "marked-secret-of-the-provider"
COLLECTOR_KEY = "marked-secret-of-the-collector"
USER = "marked-user-ann"
PAINTED, FAILED, REFUSED = "quokkameadow", "axolotlcastle", "narwhalbeach"
DOCUMENT_WORD = "markedAlias"
QUERY = "query Marked($id: ID!) { markedAlias: job(id: $id) { state } }"
MODEL = "gemini-2.5-flash-image"
# 17 tokens in at 0.30, 1290 out at 30 US dollars a million: the stand-in's account of a call.
COST_USD = (17 * 0.30 + 1290 * 30) / 1e6


@dataclass(frozen=True)
class Told:
    """All that came out of the processes."""

    painted: dict[str, Any]
    failed: dict[str, Any]
    api: Scraped
    worker: Scraped
    ready: list[httpx.Response]
    output: str
    spans: list[Span]
    traced: bytes

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line]


@pytest.fixture(scope="module")
def told(postgres: PostgresForTests, valkey: RunningServer) -> Generator[Told]:
    database = "observed"
    url = asyncio.run(create_database_from_template(postgres, TEMPLATE, database))
    with (
        server_folder() as pictures,
        running_stand_in(gemini.application()) as stand_in,
        receiver() as traces,
    ):
        environment = {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "REDIS_PREFIX": "observed",
            "STORAGE_URL": pictures.as_uri(),
            "AUTH_SECRET": AUTH_SECRET,
            "URL_SIGNING_SECRET": SIGNING_SECRET,
            "API_PORT": str(free_port()),
            "GEN_PROVIDER": "gemini",
            "GEMINI_API_KEY": API_KEY,
            "GEMINI_BASE_URL": stand_in.url,
            "GEN_RETRY_DELAYS_S": "0.1",
            "LOG_LEVEL": "DEBUG",
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={COLLECTOR_KEY}",
        }
        with observed(environment, (free_port(), free_port())) as processes:
            painted, failed = asyncio.run(_play(processes))
            monitors = (processes.api_monitor, processes.worker_monitor)
            # Clients hear of an end a moment before the worker has counted it.
            until(lambda: scrape(monitors[1]).value("mintari_worker_jobs") == 0, within_s=60)
            ready = [httpx.get(f"{one}/readyz", trust_env=False, timeout=30) for one in monitors]
            api, worker = (scrape(one) for one in monitors)
            output = processes.stop()
        yield Told(
            painted, failed, api, worker, ready, output, traces.spans, b"".join(traces.bodies)
        )
    asyncio.run(drop_database(postgres, database))


async def _play(processes: Observed) -> tuple[dict[str, Any], dict[str, Any]]:
    ann = Client(processes.url, issue_token(AUTH_SECRET, user_id=USER, ttl_s=600))
    try:
        painted = await _paint(ann, f"{PAINTED} at noon")
        failed = await _paint(ann, f"{FAILED} in the rain [500]")
        refused = await ann.start(prompt=f"a naked woman, {REFUSED}")
        assert refused["__typename"] == "PromptRejected"
        # A document in a URL, as a GET has it; and a URL with a signature.
        variables = json.dumps({"id": painted["id"]})
        answer = await ann.http.get("/graphql", params={"query": QUERY, "variables": variables})
        assert answer.json() == {"data": {DOCUMENT_WORD: {"state": "SUCCESS"}}}
        picture = await ann.http.get(painted["image"]["url"])
        assert picture.status_code == 200
    finally:
        await ann.aclose()
    return painted, failed


async def _paint(ann: Client, prompt: str) -> dict[str, Any]:
    generation = await ann.started(prompt=prompt, size="SQUARE_1024", variantCount=1)
    (job,) = generation["jobs"]
    await ann.follow_to_end(job["id"], within_s=90)
    return {**await ann.job(job["id"]), "generation": generation["id"]}


def test_the_story_went_as_it_should(told: Told) -> None:
    assert told.painted["state"] == "SUCCESS"
    assert told.failed["error"]["code"] == "PROVIDER_UNAVAILABLE"


def test_the_api_counts_what_was_asked_for(told: Told) -> None:
    generations = "mintari_generations_total"
    action = "start_generation"
    assert told.api.value(generations, action=action, decision="ACCEPTED") == 2
    assert told.api.value(generations, action=action, decision="REJECTED") == 1
    assert told.api.value("mintari_safety_refusals_total", category="sexual") == 1
    assert told.api.value("mintari_build_info", process="api") == 1
    assert told.api.value("process_resident_memory_bytes") > 0


def test_the_worker_counts_what_became_of_it(told: Told) -> None:
    def value(name: str, **labels: str) -> float:
        return told.worker.value(name, provider="gemini", **labels)

    assert value("mintari_jobs_ended_total", state="SUCCESS") == 1
    assert value("mintari_jobs_ended_total", state="FAILED") == 1
    assert value("mintari_attempts_total", outcome="SUCCEEDED") == 1
    assert value("mintari_attempts_total", outcome="WAITS_AGAIN") == 1
    assert value("mintari_attempts_total", outcome="FAILED") == 1
    assert value("mintari_attempt_errors_total", code="PROVIDER_UNAVAILABLE") == 2
    assert value("mintari_job_start_delay_seconds_count") == 2
    assert value("mintari_generation_seconds_count", model=MODEL, size="SQUARE_1024") == 1
    took_s = told.painted["generationTimeMs"] / 1000
    assert value("mintari_generation_seconds_sum", model=MODEL) == pytest.approx(took_s)
    assert told.worker.value("mintari_worker_slots") == 16
    assert told.worker.value("mintari_worker_jobs") == 0
    assert told.worker.value("mintari_events_published_total") >= 6


def test_paid_calls_have_their_price(told: Told) -> None:
    labels = {"provider": "gemini", "model": MODEL}
    calls = "mintari_provider_calls_total"
    assert told.worker.value(calls, outcome="SUCCEEDED", **labels) == 1
    assert told.worker.value(calls, outcome="FAILED", **labels) == 2
    cost = told.worker.value("mintari_provider_cost_usd_total", **labels)
    assert cost == pytest.approx(COST_USD)
    # The provider itself said that it failed: there is nothing to bill.
    assert told.worker.value("mintari_provider_calls_unpriced_total", **labels) == 0


def test_both_know_the_queue(told: Told) -> None:
    for scraped in (told.api, told.worker):
        for state in ("PENDING", "RUNNING"):
            key = ("mintari_queue_jobs", frozenset({("provider", "gemini"), ("state", state)}))
            assert scraped[key] == 0
        assert scraped.value("mintari_queue_oldest_pending_seconds", provider="gemini") == 0
        assert scraped.value("mintari_queue_read_errors_total") == 0


def test_both_are_ready(told: Told) -> None:
    parts = dict.fromkeys(("database", "migrations", "redis", "storage"), True)
    for answer in told.ready:
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "parts": parts}


def test_one_trace_goes_from_the_request_to_the_stored_picture(told: Told) -> None:
    (attempt,) = [
        span
        for span in told.spans
        if span.name == "attempt" and span.attributes["mintari.job"] == told.painted["id"]
    ]
    trace = {span.span_id: span for span in told.spans if span.trace_id == attempt.trace_id}
    (root,) = [span for span in trace.values() if not span.parent_id]
    assert (root.service, root.name) == ("mintari-api", "POST /graphql")
    assert _path(trace, attempt) == ["POST /graphql", "mutation Start", "attempt"]
    assert attempt.service == "mintari-worker"
    stored = [span for span in trace.values() if span.name == "store picture"]
    assert [_path(trace, span) for span in stored] == [
        ["POST /graphql", "mutation Start", "attempt", "store picture"]
    ]
    below = {span.name for span in trace.values() if span.service == "mintari-worker"}
    assert "call provider" in below
    assert "UPDATE jobs SET" in below
    (paid,) = [span for span in trace.values() if span.name == "POST"]
    assert paid.attributes["server.address"] == "127.0.0.1"
    assert paid.attributes["http.status_code"] == 200
    systems = {span.attributes.get("db.system") for span in trace.values()}
    assert systems == {None, "postgresql", "redis"}
    (call,) = [span for span in trace.values() if "mutation" in span.name]
    assert call.attributes == {
        "graphql.operation.type": "mutation",
        "graphql.operation.name": "Start",
    }
    # Each span's parent is there: nothing of the trace was lost on the way.
    assert all(not span.parent_id or span.parent_id in trace for span in trace.values())


def test_what_a_query_reads_is_in_its_trace(told: Told) -> None:
    (query,) = [span for span in told.spans if span.name == "query Marked"]
    trace = {span.span_id: span for span in told.spans if span.trace_id == query.trace_id}
    (read,) = [span for span in trace.values() if "db.system" in span.attributes]
    assert _path(trace, read) == ["GET /graphql", "query Marked", "SELECT id, generation_id,"]
    assert read.attributes == {"db.system": "postgresql"}


def _path(trace: dict[str, Span], span: Span) -> list[str]:
    above = trace.get(span.parent_id)
    return [*(_path(trace, above) if above else []), span.name]


def test_looks_at_the_queue_are_no_traces(told: Told) -> None:
    roots = {span.name for span in told.spans if not span.parent_id}
    operations = {name for name in roots if name.startswith(("query", "subscription"))}
    assert roots - operations == {"POST /graphql", "GET /graphql"}


def test_lines_of_the_log_say_what_they_are_about(told: Told) -> None:
    about = [line for line in told.lines if line.get("job") == told.painted["id"]]
    assert {"attempt started", "attempt ended"} <= {line["event"] for line in about}
    for line in about:
        assert line["generation"] == told.painted["generation"]
        assert line["attempt"] == 1
        assert line["user"] == user_tag(USER)
    (accepted,) = [
        line
        for line in told.lines
        if line["event"] == "generation accepted"
        and line["generation"] == told.painted["generation"]
    ]
    assert accepted["user"] == user_tag(USER)
    assert len(accepted["request"]) == 16
    # Log and trace can be held beside each other.
    assert {accepted["trace"]} == {line["trace"] for line in about}


@pytest.mark.parametrize(
    "word",
    [
        *(AUTH_SECRET, SIGNING_SECRET, API_KEY, COLLECTOR_KEY, USER),
        *(PAINTED, FAILED, REFUSED, DOCUMENT_WORD, "signature="),
    ],
)
def test_no_secret_no_prompt_no_document_comes_out(told: Told, word: str) -> None:
    assert word not in told.output
    assert word.encode() not in told.traced
    assert not [key for scraped in (told.api, told.worker) for key in scraped if word in str(key)]

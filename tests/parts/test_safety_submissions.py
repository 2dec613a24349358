"""A refused prompt: nothing is accepted, the audit knows, and trying again costs a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from core.safety.policy import load_policy
from mintari.cli import cli
from tests.client import START
from tests.conftest import running_api

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.settings import Settings
    from tests.conftest import Api

REFUSED = """
mutation($input: StartGenerationInput!) { startGeneration(input: $input) {
  __typename ... on PromptRejected { code message category } } }
"""
REGENERATE = """
mutation($input: RegenerateInput!) { regenerate(input: $input) {
  __typename ... on JobRegenerated { job { id generation { prompt } } }
  ... on UserError { code message } ... on PromptRejected { category } } }
"""
STATE = "{ jobs { nodes { id } } viewer { quota { remainingRequests activeJobs } } }"


async def audit_rows(api: Api) -> list[dict[str, Any]]:
    async with api.service.database.read() as connection:
        result = await connection.execute(text("SELECT * FROM audit_entries ORDER BY id"))
        return [dict(row) for row in result.mappings()]


async def test_a_refused_prompt_starts_nothing(api: Api) -> None:
    ann = api.client("ann")
    answer = await ann.ask(REFUSED, input={"prompt": "a n.a.k.e.d woman", "idempotencyKey": "k"})
    refused = answer.data["startGeneration"]
    assert refused == {
        "__typename": "PromptRejected",
        "code": "PROMPT_REJECTED",
        "category": "sexual",
        "message": "Sexual content and nudity are not allowed. Please describe another picture.",
    }
    # Counted as a request, not as a job; the key is free for a better prompt.
    assert (await ann.ask(STATE)).data == {
        "jobs": {"nodes": []},
        "viewer": {"quota": {"remainingRequests": 9, "activeJobs": 0}},
    }
    assert await ann.started(prompt="a naked tree", idempotencyKey="k")


async def test_the_audit_has_the_decision_and_no_text(api: Api) -> None:
    ann = api.client("ann")
    await ann.start(prompt="a hill")
    await ann.start(prompt="p0rn")
    accepted, rejected = await audit_rows(api)
    assert accepted["decision"] == "ACCEPTED"
    assert accepted["category"] is None
    assert rejected["decision"] == "REJECTED"
    assert rejected["category"] == "sexual"
    assert rejected["action"] == "start_generation"
    assert rejected["user_id"] == "ann"
    assert rejected["remote_address"] == "127.0.0.1"
    assert rejected["subject_id"] is None
    assert rejected["policy_version"] == accepted["policy_version"] == load_policy().version
    assert len(rejected["prompt_hash"]) == 64
    assert rejected["prompt_hash"] != accepted["prompt_hash"]
    assert accepted["prompt"] is None
    assert rejected["prompt"] is None


async def test_probing_ends_at_the_rate_limit(api: Api) -> None:
    ann = api.client("ann")
    for number in range(10):
        assert (await ann.start(prompt=f"porn {number}"))["code"] == "PROMPT_REJECTED"
    answer = await ann.ask(START, input={"prompt": "porn again"})
    assert answer.status == 429
    assert answer.error["extensions"]["limit"] == 10
    assert [row["decision"] for row in await audit_rows(api)] == ["REJECTED"] * 10 + [
        "RATE_LIMITED"
    ]


async def test_what_a_delta_adds_is_judged(api: Api) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="a statue, n mushrooms ude", variantCount=1)
    job_id = generation["jobs"][0]["id"]

    async def again(delta: str) -> dict[str, Any]:
        answer = await ann.ask(REGENERATE, input={"jobId": job_id, "promptDelta": delta})
        return answer.data["regenerate"]

    for delta in ("+ naked", "porn", "porn\na hill", "- mushrooms"):
        result = await again(delta)
        assert result["__typename"] == "PromptRejected", delta
        assert result["category"] == "sexual"
    # To want less of something is no harm.
    result = await again("- naked people")
    assert result["job"]["generation"]["prompt"] == "a statue, n mushrooms ude"


async def test_a_photo_alone_needs_no_words(api: Api, photo: bytes) -> None:
    ann = api.client("ann")
    assert await ann.started(uploadId=await ann.upload(photo))


async def test_prompts_are_kept_only_if_a_setting_asks(
    make_settings: Callable[..., Settings],
) -> None:
    async with running_api(make_settings(audit_prompts=True)) as api:
        await api.client("ann").start(prompt="a hill, porn")
        (row,) = await audit_rows(api)
        assert row["prompt"] == "a hill, porn"


async def test_an_operators_lists(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "violence.txt").write_text("wibble\n")
    async with running_api(make_settings(safety_lists=tmp_path)) as api:
        result = await api.client("ann").start(prompt="a w1bble")
        assert result["code"] == "PROMPT_REJECTED"
        (row,) = await audit_rows(api)
        assert row["policy_version"].startswith(f"{load_policy().version}+")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_the_audit_is_exported(api: Api, database_url: str, form: str) -> None:
    await api.client("=cmd()").start(prompt="a hill")
    await api.client("ann").start(prompt="porn")
    lines = await export(database_url, "--format", form, "--since", "1h")
    if form == "jsonl":
        first, second = (msgspec.json.decode(line) for line in lines)
        assert (first["user_id"], first["decision"]) == ("=cmd()", "ACCEPTED")
        assert (second["user_id"], second["category"]) == ("ann", "sexual")
    else:
        header, first, second = lines
        assert header.startswith("id,recorded_at,user_id,action,decision,category,remote_address")
        assert ",'=cmd(),start_generation,ACCEPTED,," in first
        assert ",ann,start_generation,REJECTED,sexual,127.0.0.1," in second


async def export(database_url: str, *arguments: str) -> list[str]:
    from anyio import to_thread

    def run() -> list[str]:
        environment = {"DATABASE_URL": database_url}
        result = CliRunner().invoke(cli, ["audit", *arguments], env=environment)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return await to_thread.run_sync(run)

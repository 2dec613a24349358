"""ComfyUI's own ways: measured steps, previews, runs that outlive their listeners, own graphs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from mintari.standins.painting import read_call_id
from providers.base import (
    Accepted,
    Finished,
    Progress,
    ProviderMisconfigured,
    ProviderTimeout,
    ProviderUnavailable,
)
from providers.comfyui_workflow import FROM_WORDS, fill, samplers
from tests.parts.standin_fixtures import (
    CASES,
    Setup,
    accepted_by,
    error_of,
    paint_request,
    photo,
    picture_of,
    running_case,
    settings_with,
    size_of,
    updates_of,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from providers.base import Provider


@pytest.fixture(scope="module")
def running_setup() -> Generator[Setup]:
    (case,) = [case for case in CASES if case.name == "comfyui"]
    with running_case(case) as setup:
        yield setup


@pytest.fixture
def setup(running_setup: Setup) -> Setup:
    running_setup.stand_in.reset()
    running_setup.stand_in.script(latency_s=0)
    return running_setup


async def until_calls(setup: Setup, **counts: int) -> None:
    async def are_so() -> bool:
        found = setup.stand_in.counts()
        return all(found[name] == count for name, count in counts.items())

    await wait_until(are_so, within_s=10, what=f"calls {counts}")


async def cancelled(painting: asyncio.Task[object]) -> None:
    painting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await painting


async def test_every_step_is_measured_and_the_picture_shows_on_the_way(setup: Setup) -> None:
    request = paint_request("a fox [slow 1.6]", style_parameters={"steps": 20})

    async with setup.provider() as provider:
        first, *steps, last = await updates_of(provider.paint(request))

    (call,) = setup.stand_in.calls()
    assert isinstance(first, Accepted)
    assert isinstance(last, Finished)
    progress = [step for step in steps if isinstance(step, Progress)]
    assert [step.fraction for step in progress if not step.preview] == [
        step / 20 for step in range(1, 21)
    ]
    previews = [step.preview for step in progress if step.preview]
    assert previews
    assert read_call_id(previews[0]) == call["number"]
    assert size_of(previews[0]) == (256, 256)
    fractions = [step.fraction or 0 for step in progress]
    assert fractions == sorted(fractions)


async def test_the_graph_holds_what_was_asked_for(setup: Setup) -> None:
    style = {"steps": 7, "cfg": 4.5, "denoise": 0.4}
    async with setup.provider() as provider:
        await picture_of(provider.paint(paint_request(style_parameters=style)))
        await picture_of(provider.paint(paint_request(style_parameters=style, photo=photo())))

    words, edit = (call["details"] for call in setup.stand_in.calls())
    assert words["negative"] == "photorealism"
    assert (words["sampler"]["steps"], words["sampler"]["cfg"]) == (7, 4.5)
    assert (words["sampler"]["denoise"], edit["sampler"]["denoise"]) == (1, 0.4)


@pytest.mark.parametrize("fault", ["reset later once", "truncated later once"])
async def test_a_lost_websocket_loses_no_run(setup: Setup, fault: str) -> None:
    request = paint_request(f"a fox [{fault}] [slow 0.5]")

    async with setup.provider() as provider:
        *_, last = await updates_of(provider.paint(request))

    assert isinstance(last, Finished)
    assert setup.stand_in.counts()["started"] == 1


async def test_a_lost_answer_is_asked_for_again(setup: Setup) -> None:
    async with setup.provider() as provider:
        await picture_of(provider.paint(paint_request("a fox [500 later once]")))

    assert setup.stand_in.counts() == {
        "started": 1,
        "running": 0,
        "finished": 1,
        "failed": 0,
        "cut": 0,
    }


async def test_a_run_goes_on_when_its_worker_is_gone(setup: Setup) -> None:
    request = paint_request("a fox [slow 0.6]")
    async with setup.provider() as before, setup.provider() as after:
        crashed = before.paint(request)
        run_id = await accepted_by(crashed)
        listening = asyncio.ensure_future(anext(crashed))
        await until_calls(setup, running=1)

        updates = await updates_of(after.resume(request, run_id))

        await cancelled(listening)
    assert isinstance(updates[-1], Finished)
    assert isinstance(updates[0], Progress)
    assert setup.stand_in.counts()["started"] == 1


async def test_a_cancelled_run_is_interrupted_and_one_in_the_queue_is_taken_off(
    setup: Setup,
) -> None:
    async with setup.provider() as provider:
        running = asyncio.create_task(updates_of(provider.paint(paint_request("[hang later]"))))
        await until_calls(setup, started=1)
        waiting = asyncio.create_task(updates_of(provider.paint(paint_request("a fox"))))
        await until_calls(setup, started=2)

        await cancelled(waiting)
        await until_calls(setup, cut=1, running=1)
        await cancelled(running)
        await until_calls(setup, cut=2, running=0)

        await picture_of(provider.paint(paint_request()))


async def test_somebody_elses_run_is_never_interrupted(setup: Setup) -> None:
    async with setup.provider() as provider:
        other = asyncio.create_task(picture_of(provider.paint(paint_request("[slow 0.8]"))))
        await until_calls(setup, running=1)
        waiting = asyncio.create_task(updates_of(provider.paint(paint_request())))
        await until_calls(setup, started=2)

        await cancelled(waiting)

        assert (await other).image
    assert setup.stand_in.counts()["cut"] == 1


async def test_a_run_that_makes_no_steps_meets_our_deadline_and_is_stopped(setup: Setup) -> None:
    async with setup.provider(gen_timeout_ms=500) as provider:
        error = await error_of(provider.paint(paint_request("a fox [hang later]")))

    assert isinstance(error, ProviderTimeout)
    await until_calls(setup, cut=1, running=0)


async def test_an_interrupted_run_says_so(setup: Setup) -> None:
    request = paint_request("a fox [hang later]")
    async with setup.provider() as provider:
        painting = asyncio.create_task(error_of(provider.paint(request)))
        await until_calls(setup, running=1)
        await stop_all(provider)
        error = await painting

    assert isinstance(error, ProviderUnavailable)
    assert "interrupted" in str(error)


async def stop_all(provider: Provider) -> None:
    """What a person at the machine does: interrupts whatever runs."""
    url = (await provider.check()).split()[-1]
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        running = (await client.get("/queue")).json()["queue_running"]
        await client.post("/interrupt", json={"prompt_id": running[0][1]})


async def test_a_check_looks_for_the_checkpoint(setup: Setup) -> None:
    async with setup.provider(comfyui_checkpoint="unknown.safetensors") as provider:
        with pytest.raises(ProviderMisconfigured, match="COMFYUI_CHECKPOINT may be"):
            await provider.check()


async def test_an_own_graph_is_run(setup: Setup, tmp_path: Path) -> None:
    graph = json.loads(json.dumps(FROM_WORDS))
    graph["positive"]["inputs"]["text"] = "masterpiece, %prompt%"
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(graph))

    async with setup.provider(comfyui_workflow=path) as provider:
        assert not provider.capabilities.image_input
        finished = await picture_of(provider.paint(paint_request("a fox")))
        error = await error_of(provider.paint(paint_request("a fox", photo=photo())))

    (call,) = setup.stand_in.calls()
    assert finished.model == "mine"
    assert call["prompt"] == "masterpiece, Painted in gouache: a fox. No text."
    assert "COMFYUI_PHOTO_WORKFLOW" in str(error)


@pytest.mark.parametrize("content", ["", "[]", '{"nodes": {"a": 1}}', "{}"])
def test_a_graph_that_is_none_is_refused_at_the_start(
    setup: Setup, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)

    with pytest.raises(ProviderMisconfigured, match="COMFYUI_WORKFLOW"):
        setup.case.make(settings_with(comfyui_base_url="http://h", comfyui_workflow=path))


def test_places_become_values_of_their_own_kind() -> None:
    graph = {"a": {"class_type": "KSamplerAdvanced", "inputs": {"n": "%seed%", "t": "x %seed%"}}}

    assert fill(graph, {"seed": 7})["a"]["inputs"] == {"n": 7, "t": "x 7"}
    assert samplers(graph) == {"a"}
    with pytest.raises(ProviderMisconfigured, match="%lora%"):
        fill({"a": {"class_type": "X", "inputs": {"n": "%lora%"}}}, {})


def test_a_prompt_cannot_name_places() -> None:
    graph = {"a": {"class_type": "X", "inputs": {"t": "%prompt%", "u": "of %prompt%"}}}

    filled = fill(graph, {"prompt": "50%seed% %negative%", "seed": 7, "negative": "n"})

    assert filled["a"]["inputs"] == {"t": "50%seed% %negative%", "u": "of 50%seed% %negative%"}

"""The prompt that a provider gets: which parts it has, and what deltas make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.styles import load_styles
from resolvers.texts import added_by_delta, apply_delta, clean_text, fold

if TYPE_CHECKING:
    from tests.conftest import Api

REGENERATE = """
mutation($input: RegenerateInput!) { regenerate(input: $input) {
  ... on JobRegenerated { job {
    id assembledPrompt seed regeneratedFrom { id }
    generation { prompt promptDelta negativePrompt assembledPrompt style size upload { id } }
  } } ... on UserError { code message } ... on InvalidInput { field } } }
"""
JOB = """query($id: ID!) { job(id: $id) {
  assembledPrompt regenerations { id regenerations { id regeneratedFrom { id } } } } }"""


async def again(client: Any, **wanted: object) -> dict[str, Any]:
    return (await client.ask(REGENERATE, input=wanted)).data["regenerate"]


async def test_every_part_is_visible_to_its_owner(api: Api) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="  a hill ", style="ink", variantCount=1)
    job = (await ann.ask(JOB, id=generation["jobs"][0]["id"])).data["job"]
    style = load_styles()["ink"]
    assert job["assembledPrompt"] == f"{style.base}\na hill\n{style.safety}"


async def test_a_chain_keeps_what_is_not_changed(api: Api, photo: bytes) -> None:
    ann = api.client("ann")
    upload_id = await ann.upload(photo)
    generation = await ann.started(
        prompt="a meadow, mushrooms",
        style="ink",
        size="SQUARE_512",
        uploadId=upload_id,
        variantCount=1,
        seed=7,
        lockSeed=True,
    )
    first = generation["jobs"][0]["id"]
    delta = "+ with flying dragons\n- mushrooms"
    second = (await again(ann, jobId=first, promptDelta=delta))["job"]
    styles = load_styles()
    ink, oil = styles["ink"], styles["oil"]
    assert second["seed"] == 7
    assert second["regeneratedFrom"] == {"id": first}
    assert second["generation"] == {
        "prompt": "a meadow, with flying dragons",
        "promptDelta": delta,
        "negativePrompt": f"{ink.negative}, mushrooms",
        "assembledPrompt": f"{ink.base}\na meadow, with flying dragons\n{ink.safety}",
        "style": "ink",
        "size": "SQUARE_512",
        "upload": {"id": upload_id},
    }
    assert second["assembledPrompt"] == second["generation"]["assembledPrompt"]
    third = (await again(ann, jobId=second["id"], promptDelta="a lake", style="oil"))["job"]
    assert third["generation"]["prompt"] == "a lake"
    assert third["generation"]["negativePrompt"] == oil.negative
    lineage = (await ann.ask(JOB, id=first)).data["job"]["regenerations"]
    assert lineage == [
        {
            "id": second["id"],
            "regenerations": [{"id": third["id"], "regeneratedFrom": {"id": second["id"]}}],
        }
    ]


async def test_limits_hold_for_deltas_and_for_what_they_lead_to(api: Api) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="x" * 900, variantCount=1)
    job_id = generation["jobs"][0]["id"]
    for delta, length in (("x" * 1001, 1001), ("+ " + "y" * 100, 1002)):
        result = await again(ann, jobId=job_id, promptDelta=delta)
        assert result["code"] == "INVALID_INPUT"
        assert result["field"] == "promptDelta"
        assert f"{length} characters; 1000 are allowed" in result["message"]


def test_length_counts_after_folding() -> None:
    # One character that stands for eighteen: ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM.
    with pytest.raises(InvalidInput, match="18 characters; 17 are allowed"):
        clean_text("\ufdfa", field="x", max_chars=17)
    assert clean_text("\ufdfa", field="x", max_chars=18) == "\ufdfa"


@pytest.mark.parametrize(
    ("delta", "added"),
    [
        ("", ""),
        ("+ dragons\n- rain", " dragons"),
        ("a lake", "a lake"),
        ("  - rain\n\t+snow", "snow"),
    ],
)
def test_what_a_delta_adds(delta: str, added: str) -> None:
    assert added_by_delta(delta) == added


@given(prompt=st.text(max_size=40), delta=st.text(alphabet="ab +-\n,", max_size=40))
def test_any_delta_gives_a_prompt(prompt: str, delta: str) -> None:
    changed, negative = apply_delta(prompt, "text", delta)
    assert negative.startswith("text")
    # Nothing comes into a prompt that was in neither of the two.
    assert set(changed) <= set(prompt) | set(delta) | set(", ")


@given(st.text(max_size=60))
def test_folding_is_stable(text: str) -> None:
    assert fold(fold(text)) == fold(text)

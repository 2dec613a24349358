"""A frame is made again: the same composition with other words, linked to where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.client import JOB

if TYPE_CHECKING:
    from tests.client import Client
    from tests.conftest import Api

REGENERATE = (
    """
mutation Regenerate($input: RegenerateInput!) {
  regenerate(input: $input) {
    __typename
    ... on JobRegenerated {
      deduplicated
      job {
        ...JobParts
        regeneratedFrom { id }
        generation { prompt promptDelta negativePrompt style size variantCount upload { id } }
      }
    }
    ... on UserError { code message }
  }
}
"""
    + JOB
)
LINEAGE = "query($id: ID!) { job(id: $id) { regenerations { id seed } } }"


async def regenerated(client: Client, **wanted: object) -> dict[str, Any]:
    result = (await client.ask(REGENERATE, input=wanted)).data["regenerate"]
    assert result["__typename"] == "JobRegenerated", result
    return result["job"]


async def test_regenerate_with_a_locked_seed(api: Api, worker: object, photo: bytes) -> None:
    ann = api.client("ann")
    upload_id = await ann.upload(photo)
    generation = await ann.started(
        prompt="a meadow, mushrooms",
        style="ink",
        size="SQUARE_512",
        uploadId=upload_id,
        variantCount=1,
    )
    (first,) = generation["jobs"]
    await ann.follow_to_end(first["id"])
    seed = first["seed"]

    # The same seed with a changed prompt: added, taken out.
    delta = "+ with flying dragons\n- mushrooms"
    second = await regenerated(ann, jobId=first["id"], promptDelta=delta, lockSeed=True)
    assert second["seed"] == seed
    assert second["seedLocked"] is True
    assert second["regeneratedFrom"] == {"id": first["id"]}
    assert second["generation"]["prompt"] == "a meadow, with flying dragons"
    assert second["generation"]["promptDelta"] == delta
    assert second["generation"]["negativePrompt"].endswith("mushrooms")
    assert second["generation"]["style"] == "ink"
    assert second["generation"]["size"] == "SQUARE_512"
    assert second["generation"]["upload"] == {"id": upload_id}
    seen = await ann.follow_to_end(second["id"])
    assert seen[-1]["state"] == "SUCCESS"

    # A locked seed stays locked down the chain; unlocking takes a new one.
    third = await regenerated(ann, jobId=second["id"])
    assert third["seed"] == seed
    fourth = await regenerated(ann, jobId=second["id"], lockSeed=False)
    assert fourth["seed"] != seed
    await ann.follow_to_end(third["id"], fourth["id"])

    # The chain can be read from both ends.
    children = (await ann.ask(LINEAGE, id=second["id"])).data["job"]["regenerations"]
    assert [child["id"] for child in children] == [third["id"], fourth["id"]]

    # The same seed, prompt and photo give the same picture, byte for byte.
    again = await ann.http.get((await ann.job(third["id"]))["image"]["url"])
    before = await ann.http.get((await ann.job(second["id"]))["image"]["url"])
    assert again.content == before.content

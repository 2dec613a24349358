"""The vendors' own SDKs speak to our stand-ins: they are faithful as far as an SDK can tell."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from openai import (
    APIError,
    APIStatusError,
    BadRequestError,
    DefaultHttpxClient,
    InternalServerError,
    OpenAI,
    RateLimitError,
)
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from mintari.standins import gemini, openai, supabase
from mintari.standins.painting import read_call_id
from mintari.standins.running import RunningStandIn, running
from tests.parts.standin_fixtures import KEY, WRONG_KEY, photo, size_of

if TYPE_CHECKING:
    from collections.abc import Generator

MODEL = "gemini-2.5-flash-image"


@pytest.fixture(scope="module")
def google() -> Generator[RunningStandIn]:
    with running(gemini.application()) as stand_in:
        stand_in.script(latency_s=0)
        yield stand_in


def google_client(stand_in: RunningStandIn, key: str = KEY) -> genai.Client:
    options = genai_types.HttpOptions(base_url=stand_in.url, client_args={"trust_env": False})
    return genai.Client(api_key=key, http_options=options)


def ask_google(client: genai.Client, prompt: str) -> genai_types.GenerateContentResponse:
    return client.models.generate_content(
        model=MODEL,
        contents=[
            genai_types.Part.from_bytes(data=photo(), mime_type="image/webp"),
            genai_types.Part.from_text(text=prompt),
        ],
        config=genai_types.GenerateContentConfig(
            seed=42,
            response_modalities=["IMAGE"],
            image_config=genai_types.ImageConfig(aspect_ratio="3:2", image_size="1K"),
        ),
    )


def test_googles_sdk_gets_a_picture(google: RunningStandIn) -> None:
    google.reset()

    with google_client(google) as client:
        reply = ask_google(client, "a fox")

    assert reply.candidates
    (candidate,) = reply.candidates
    assert candidate.finish_reason is genai_types.FinishReason.STOP
    assert candidate.content
    thought, sentence, painted = candidate.content.parts or []
    assert thought.thought
    assert sentence.text
    assert painted.inline_data
    assert painted.inline_data.data
    (call,) = google.calls()
    assert read_call_id(painted.inline_data.data) == call["number"]
    assert (call["seed"], call["prompt"], call["photo_bytes"]) == (42, "a fox", len(photo()))
    assert size_of(painted.inline_data.data) == (1248, 832)
    assert reply.usage_metadata
    assert reply.usage_metadata.total_token_count == 1307


def test_googles_sdk_knows_the_blocks(google: RunningStandIn) -> None:
    with google_client(google) as client:
        prompt = ask_google(client, "a fox [blocked-prompt]")
        output = ask_google(client, "a fox [blocked-output]")

    assert prompt.candidates is None
    assert prompt.prompt_feedback
    reason = genai_types.BlockedReason.PROHIBITED_CONTENT
    assert prompt.prompt_feedback.block_reason is reason
    assert output.candidates
    assert output.candidates[0].finish_reason is genai_types.FinishReason.IMAGE_SAFETY


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("429 retry 7", 429, "RESOURCE_EXHAUSTED"),
        ("quota-day", 429, "RESOURCE_EXHAUSTED"),
        ("400", 400, "INVALID_ARGUMENT"),
        ("500", 500, "INTERNAL"),
        ("503", 503, "UNAVAILABLE"),
    ],
)
def test_googles_sdk_knows_the_errors(
    google: RunningStandIn, fault: str, code: int, status: str
) -> None:
    with google_client(google) as client, pytest.raises(genai_errors.APIError) as raised:
        ask_google(client, f"a fox [{fault}]")

    assert (raised.value.code, raised.value.status) == (code, status)


def test_googles_sdk_knows_a_wrong_key(google: RunningStandIn) -> None:
    with (
        google_client(google, WRONG_KEY) as client,
        pytest.raises(genai_errors.ClientError) as raised,
    ):
        ask_google(client, "a fox")

    assert raised.value.code == 400
    assert "API_KEY_INVALID" in str(raised.value)


@pytest.fixture(scope="module")
def openai_stand_in() -> Generator[RunningStandIn]:
    with running(openai.application()) as stand_in:
        stand_in.script(latency_s=0)
        yield stand_in


@pytest.fixture
def openai_client(openai_stand_in: RunningStandIn) -> Generator[OpenAI]:
    openai_stand_in.reset()
    with OpenAI(
        api_key=KEY,
        base_url=f"{openai_stand_in.url}/v1",
        max_retries=0,
        http_client=DefaultHttpxClient(trust_env=False),
    ) as client:
        yield client


def test_openais_sdk_gets_a_picture(openai_stand_in: RunningStandIn, openai_client: OpenAI) -> None:
    reply = openai_client.images.generate(
        model="gpt-image-2.5-flare", prompt="a fox", size="1536x1024"
    )

    assert reply.data
    assert reply.data[0].b64_json
    image = base64.b64decode(reply.data[0].b64_json)
    (call,) = openai_stand_in.calls()
    assert read_call_id(image) == call["number"]
    assert size_of(image) == (1536, 1024)
    assert reply.usage
    assert reply.usage.output_tokens == 4160


def test_openais_sdk_streams_an_edit(
    openai_stand_in: RunningStandIn, openai_client: OpenAI
) -> None:
    with openai_client.images.edit(
        model="gpt-image-1.5",
        image=[("photo.webp", photo(), "image/webp")],
        prompt="a fox",
        input_fidelity="high",
        stream=True,
        partial_images=2,
    ) as stream:
        *partials, completed = list(stream)

    (call,) = openai_stand_in.calls()
    assert call["photo_bytes"] == len(photo())
    assert call["details"]["input_fidelity"] == "high"
    assert [event.type for event in partials] == ["image_edit.partial_image"] * 2
    assert completed.type == "image_edit.completed"
    assert read_call_id(base64.b64decode(completed.b64_json)) == call["number"]


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("429 retry 7", RateLimitError, "rate_limit_exceeded"),
        ("quota-day", RateLimitError, "insufficient_quota"),
        ("blocked-prompt", BadRequestError, "moderation_blocked"),
        ("500", InternalServerError, None),
    ],
)
def test_openais_sdk_knows_the_errors(
    openai_client: OpenAI, fault: str, kind: type[APIStatusError], code: str | None
) -> None:
    with pytest.raises(kind) as raised:
        openai_client.images.generate(model="gpt-image-2.5-flare", prompt=f"a fox [{fault}]")

    assert raised.value.code == code
    if fault == "429 retry 7":
        assert raised.value.response.headers["retry-after"] == "7"


def test_openais_sdk_knows_an_error_inside_of_a_stream(openai_client: OpenAI) -> None:
    with (
        pytest.raises(APIError) as raised,
        openai_client.images.generate(
            model="gpt-image-2.5-flare", prompt="a fox [blocked-output]", stream=True
        ) as stream,
    ):
        list(stream)

    assert raised.value.code == "moderation_blocked"


@pytest.fixture(scope="module")
def supabase_stand_in() -> Generator[RunningStandIn]:
    with running(supabase.application()) as stand_in:
        yield stand_in


def supabase_client(stand_in: RunningStandIn, key: str = KEY) -> SyncStorageClient:
    return SyncStorageClient(
        f"{stand_in.url}/storage/v1/",
        {"apikey": key, "authorization": f"Bearer {key}"},
        http_client=httpx.Client(trust_env=False),
    )


def test_supabases_sdk_stores_signs_reads_and_removes(supabase_stand_in: RunningStandIn) -> None:
    with supabase_client(supabase_stand_in) as client:
        bucket = client.from_("pictures")
        options: Any = {"content-type": "image/webp", "upsert": "true"}
        stored = bucket.upload("a/1.webp", b"content", options)
        (signed, missing) = bucket.create_signed_urls(["a/1.webp", "a/2.webp"], 60)
        assert bucket.download("a/1.webp") == b"content"
        answer = httpx.get(str(signed["signedURL"]), trust_env=False)
        removed = bucket.remove(["a/1.webp", "a/2.webp"])

    assert stored.full_path == "pictures/a/1.webp"
    assert (answer.content, answer.headers["content-type"]) == (b"content", "image/webp")
    assert answer.headers["cache-control"] == "max-age=3600"
    assert missing["error"]
    assert [item["name"] for item in removed] == ["a/1.webp"]


def test_supabases_sdk_knows_the_errors(supabase_stand_in: RunningStandIn) -> None:
    with supabase_client(supabase_stand_in) as client:
        with pytest.raises(StorageApiError) as missing:
            client.from_("pictures").download("never/1.webp")
        with pytest.raises(StorageApiError) as bucket:
            client.from_("missing-bucket").download("never/1.webp")
        client.from_("pictures").upload("b/1.webp", b"1")
        with pytest.raises(StorageApiError) as duplicate:
            client.from_("pictures").upload("b/1.webp", b"1")
    with (
        supabase_client(supabase_stand_in, WRONG_KEY) as client,
        pytest.raises(StorageApiError) as refused,
    ):
        client.from_("pictures").download("never/1.webp")

    errors = [raised.value for raised in (missing, bucket, duplicate, refused)]
    assert [(str(error.status), error.code) for error in errors] == [
        ("404", "not_found"),
        ("404", "Bucket not found"),
        ("409", "Duplicate"),
        ("403", "Unauthorized"),
    ]


def test_a_users_token_holds_against_the_published_keys(supabase_stand_in: RunningStandIn) -> None:
    url = supabase_stand_in.url
    made = httpx.post(f"{url}/stand-in/token", json={"sub": "u-1"}, trust_env=False).json()
    published = httpx.get(f"{url}/auth/v1/.well-known/jwks.json", trust_env=False).json()

    token = made["access_token"]
    keys = jwt.PyJWKSet.from_dict(published)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, algorithms=["ES256"], audience="authenticated", issuer=f"{url}/auth/v1"
    )

    assert claims["sub"] == "u-1"

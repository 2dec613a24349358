"""Who may do what: nothing of another user can be read, followed or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
import websockets

from core.auth import SecretKey, TokenVerifier, issue_token
from core.errors import Unauthenticated
from mintari.asgi import build_asgi
from mintari.tokens import SetupError
from tests.client import FOLLOW, START
from tests.conftest import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.conftest import Api

VIEWER = "{ viewer { id quota { remainingRequests maxRequests activeJobs } } }"


async def test_without_a_token_nothing_is_answered(api: Api) -> None:
    answer = await api.with_token(None).ask(VIEWER)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_catalogs_are_for_everybody(api: Api) -> None:
    data = (await api.with_token(None).ask("{ styles { slug } providers { name } }")).data
    assert "ghibli" in [style["slug"] for style in data["styles"]]
    assert data["providers"] == [{"name": "local"}]


# Some time in the year 2100: what is wrong with these tokens must not be their age.
LATER = 4_102_444_800


def forged(**claims: object) -> str:
    return jwt.encode({"sub": "ann", "exp": LATER, **claims}, SECRET)


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "a.b.c",
        "x" * 9000,
        jwt.encode({"sub": "ann", "exp": LATER}, "another secret, just as long as it"),
        jwt.encode({"sub": "ann", "exp": LATER}, "", algorithm="none"),
        jwt.encode({"sub": "ann", "exp": LATER}, SECRET, algorithm="HS384"),
        forged(exp=1),
        forged(exp="soon"),
        forged(sub=""),
        forged(sub="a\nb"),
        forged(sub="a" * 256),
        jwt.encode({"sub": "ann"}, SECRET),
        jwt.encode({"exp": LATER}, SECRET),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(api: Api, token: str) -> None:
    answer = await api.with_token(token).ask(VIEWER)
    assert answer.status == 401
    assert token not in str(answer.body)


async def test_a_bad_token_closes_the_socket_with_4403(api: Api) -> None:
    with pytest.raises(websockets.ConnectionClosedError) as caught:
        async with api.with_token("nonsense").socket():
            pass
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4403


async def test_issuer_and_audience_are_checked() -> None:
    verifier = TokenVerifier(SecretKey(SECRET), issuer="us", audience="mintari")
    good = issue_token(SECRET, user_id="ann", ttl_s=60, issuer="us", audience="mintari")
    assert (await verifier.verify(good)).user_id == "ann"
    for token in (
        issue_token(SECRET, user_id="ann", ttl_s=60, issuer="them", audience="mintari"),
        issue_token(SECRET, user_id="ann", ttl_s=60, issuer="us", audience="others"),
        issue_token(SECRET, user_id="ann", ttl_s=60),
    ):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


def test_the_api_does_not_start_without_a_secret(make_settings: Callable[..., Settings]) -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(SetupError, match="AUTH_SECRET is not set"):
            build_asgi(make_settings(auth_secret="", api_host=host))


def test_development_mode_stays_on_this_machine(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ValueError, match="DEV_MODE"):
        make_settings(dev_mode=True, api_host="0.0.0.0")


# What a stranger may try with identifiers that are not hers: (document, what the answer is).
STRANGE: list[tuple[str, Any]] = [
    ('{ job(id: "JOB") { id } }', {"job": None}),
    ('{ generation(id: "GENERATION") { id } }', {"generation": None}),
    ('{ upload(id: "UPLOAD") { id } }', {"upload": None}),
    ("{ jobs { nodes { id } } }", {"jobs": {"nodes": []}}),
    ('{ jobs(filter: {generationId: "GENERATION"}) { nodes { id } } }', {"jobs": {"nodes": []}}),
    ("{ generations { nodes { id } } }", {"generations": {"nodes": []}}),
    (
        'mutation { cancelJob(id: "JOB") { ... on UserError { code } } }',
        {"cancelJob": {"code": "JOB_NOT_FOUND"}},
    ),
    (
        'mutation { cancelGeneration(id: "GENERATION") { ... on UserError { code } } }',
        {"cancelGeneration": {"code": "GENERATION_NOT_FOUND"}},
    ),
    (
        'mutation { deleteGeneration(id: "GENERATION") { ... on UserError { code } } }',
        {"deleteGeneration": {"code": "GENERATION_NOT_FOUND"}},
    ),
    (
        'mutation { deleteUpload(id: "UPLOAD") { ... on UserError { code } } }',
        {"deleteUpload": {"code": "UPLOAD_NOT_FOUND"}},
    ),
    (
        'mutation { regenerate(input: {jobId: "JOB"}) { ... on UserError { code } } }',
        {"regenerate": {"code": "JOB_NOT_FOUND"}},
    ),
    (
        'mutation { startGeneration(input: {uploadId: "UPLOAD"}) { ... on UserError { code } } }',
        {"startGeneration": {"code": "UPLOAD_NOT_FOUND"}},
    ),
]


async def test_a_stranger_finds_nothing(api: Api, photo: bytes) -> None:
    ann, bob = api.client("ann"), api.client("bob")
    upload_id = await ann.upload(photo)
    generation = await ann.started(prompt="a secret garden", uploadId=upload_id)
    job_id = generation["jobs"][0]["id"]
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    for document, expected in STRANGE:
        names = {"JOB": job_id, "GENERATION": generation["id"], "UPLOAD": upload_id}
        own, none = document, document
        for name, value in names.items():
            own, none = (
                own.replace(f'"{name}"', f'"{value}"'),
                none.replace(f'"{name}"', f'"{unknown}"'),
            )
        # Hers answers exactly as one that does not exist.
        assert (await bob.ask(own)).data == expected
        assert (await bob.ask(own)).body == (await bob.ask(none)).body
    async with bob.socket() as socket:
        payloads = [one async for one in socket.subscribe(FOLLOW, ids=[job_id])]
    assert payloads[0]["errors"][0]["extensions"]["code"] == "JOB_NOT_FOUND"
    # And nothing has happened to ann's.
    assert {job["state"] for job in generation["jobs"]} == {"PENDING"}
    assert (await ann.job(job_id))["state"] == "PENDING"


async def test_limits_are_per_user(api: Api) -> None:
    ann, bob = api.client("ann"), api.client("bob")
    await ann.started(prompt="a")
    assert (await ann.ask(START, input={"prompt": "b"})).status == 429
    await bob.started(prompt="a")
    quota = (await bob.ask(VIEWER)).data["viewer"]["quota"]
    assert quota == {"remainingRequests": 9, "maxRequests": 10, "activeJobs": 3}

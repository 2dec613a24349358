"""Tokens against a real server of keys: which hold, which never do, and how keys change."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.auth import SecretKey, TokenVerifier
from core.errors import Overloaded, Unauthenticated
from core.jwks import JwksKeys, read_keys
from mintari.tokens import SetupError, auth_mode, build_verifier
from tests.conftest import SECRET, QuietServer, free_port, running_api

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.requests import Request

    from core.settings import Settings

EC = ec.generate_private_key(ec.SECP256R1())
OTHER_EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
JWKS_PATH = "/auth/v1/.well-known/jwks.json"


def public(private: Any, kid: str, **more: object) -> dict[str, Any]:
    algorithm = {ec.EllipticCurvePrivateKey: ECAlgorithm, rsa.RSAPrivateKey: RSAAlgorithm}
    kind = next((a for k, a in algorithm.items() if isinstance(private, k)), OKPAlgorithm)
    described: dict[str, Any] = kind.to_jwk(private.public_key(), as_dict=True)  # pyright: ignore
    return {**described, "kid": kid, **more}


class KeyServer:
    """Serves a JWK Set, counts requests, and fails when told to."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.keys = [public(EC, "ec"), public(RSA, "rsa"), public(ED, "ed")]
        self.requests = 0
        self.answer: Response | None = None
        self.silent = asyncio.Event()
        self.silent.set()

    async def serve(self, request: Request) -> Response:
        self.requests += 1
        await self.silent.wait()
        return self.answer or JSONResponse({"keys": self.keys})

    @property
    def url(self) -> str:
        return self.base + JWKS_PATH


@asynccontextmanager
async def key_server() -> AsyncGenerator[KeyServer, None]:
    served = KeyServer(free_port())
    app = Starlette(routes=[Route(JWKS_PATH, served.serve)])
    port = int(served.base.rpartition(":")[2])
    server = QuietServer(
        uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1)
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        await server.ready.wait()
        try:
            yield served
        finally:
            served.silent.set()
            server.should_exit = True


@pytest.fixture
async def server() -> AsyncGenerator[KeyServer, None]:
    async with key_server() as running:
        yield running


def token(private: Any, algorithm: str, kid: str | None, **claims: object) -> str:
    full = {"sub": "ann", "exp": time.time() + 60, "iat": time.time(), **claims}
    return jwt.encode(full, private, algorithm, headers={"kid": kid} if kid else None)


def verifier(server: KeyServer, **more: Any) -> TokenVerifier:
    return TokenVerifier(JwksKeys(server.url, timeout_s=2, min_pause_s=0), **more)


async def test_three_kinds_of_keys(server: KeyServer) -> None:
    checks = verifier(server)
    for private, algorithm, kid in (
        (EC, "ES256", "ec"),
        (RSA, "RS256", "rsa"),
        (ED, "EdDSA", "ed"),
    ):
        viewer = await checks.verify(token(private, algorithm, kid))
        assert viewer.user_id == "ann"
        assert viewer.expires_at_s > time.time()
        assert viewer.issued_at_s <= time.time()
        assert viewer.is_anonymous is False
    assert server.requests == 1


def public_pem(private: Any) -> bytes:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """HS256 with any bytes as the secret: libraries refuse to sign with a public key."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(digest)}"


def forgeries() -> dict[str, str]:
    claims = {"sub": "ann", "exp": time.time() + 60}
    confusion = {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    none = by_hand({"alg": "none", "kid": "ec"}, claims, b"").rpartition(".")[0] + "."
    return {
        "no algorithm": none,
        "public key as a secret": by_hand(confusion, claims, public_pem(RSA)),
        "public key's JWK as a secret": by_hand(
            confusion, claims, str(public(RSA, "rsa")).encode()
        ),
        "shared secret": jwt.encode(claims, SECRET, "HS256", headers={"kid": "ec"}),
        "another key": token(OTHER_EC, "ES256", "ec"),
        "another key's id": token(EC, "ES256", "rsa"),
        "an algorithm that is not the key's": token(RSA, "RS512", "rsa"),
        "padding that is not the key's": token(RSA, "PS256", "rsa"),
        "unknown id": token(EC, "ES256", "nobody"),
        "no id, three keys": token(EC, "ES256", None),
        "its own key": jwt.encode(
            claims, OTHER_EC, "ES256", headers={"jwk": public(OTHER_EC, "x"), "kid": "x"}
        ),
        "critical extension": jwt.encode(
            claims, EC, "ES256", headers={"kid": "ec", "crit": ["exp"]}
        ),
        "no expiry": jwt.encode({"sub": "ann"}, EC, "ES256", headers={"kid": "ec"}),
        "expired": token(EC, "ES256", "ec", exp=time.time() - 60),
        "not yet valid": token(EC, "ES256", "ec", nbf=time.time() + 60),
        "no subject": token(EC, "ES256", "ec", sub=""),
        "service": token(EC, "ES256", "ec", role="service_role"),
        "anonymous": token(EC, "ES256", "ec", is_anonymous=True),
        "id of another kind": jwt.encode(claims, EC, "ES256", headers={"kid": "EC"}),
    }


@pytest.mark.parametrize("name", list(forgeries()))
async def test_forgeries_never_hold(server: KeyServer, name: str) -> None:
    with pytest.raises(Unauthenticated):
        await verifier(server).verify(forgeries()[name])


async def test_issuer_audience_and_leeway(server: KeyServer) -> None:
    checks = verifier(server, issuer="us", audience="app", leeway_s=30)
    good = {"iss": "us", "aud": ["other", "app"], "exp": time.time() - 10}
    assert (await checks.verify(token(EC, "ES256", "ec", **good))).user_id == "ann"
    for wrong in ({"iss": "them"}, {"aud": "other"}, {"exp": time.time() - 60}):
        with pytest.raises(Unauthenticated):
            await checks.verify(token(EC, "ES256", "ec", **{**good, **wrong}))


async def test_a_new_key_is_found_and_an_old_one_forgotten(server: KeyServer) -> None:
    checks = verifier(server)
    await checks.verify(token(EC, "ES256", "ec"))
    server.keys = [public(OTHER_EC, "new")]
    assert (await checks.verify(token(OTHER_EC, "ES256", "new"))).user_id == "ann"
    with pytest.raises(Unauthenticated):
        await checks.verify(token(EC, "ES256", "ec"))
    # One key alone needs no id.
    assert (await checks.verify(token(OTHER_EC, "ES256", None))).user_id == "ann"


async def test_a_good_token_is_remembered_while_it_is_good(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker = verifier(server, leeway_s=1)
    now_s = time.time()
    good = token(EC, "ES256", "ec", exp=int(now_s) + 60)
    assert checker.verified(good) is None
    viewer = await checker.verify(good)
    assert checker.verified(good) is viewer
    assert checker.verified(good[:-4] + "AAAA") is None
    # PyJWT compares whole seconds, and so do we: at its end it is refused, and forgotten.
    monkeypatch.setattr(time, "time", lambda: int(now_s) + 60.9)
    assert checker.verified(good) is viewer
    monkeypatch.setattr(time, "time", lambda: int(now_s) + 61)
    assert checker.verified(good) is None
    monkeypatch.undo()
    assert checker.verified(good) is None
    # Keys that are gone are not taken any more, also of tokens that were good.
    assert await checker.verify(good)
    monkeypatch.setattr("core.jwks.MAX_AGE_S", 0)
    assert checker.verified(good) is None
    monkeypatch.undo()
    assert await checker.verify(good)
    server.keys = [public(RSA, "rsa")]
    with pytest.raises(Unauthenticated):
        await checker.verify(token(ED, "EdDSA", "new"))
    assert checker.verified(good) is None
    with pytest.raises(Unauthenticated):
        await checker.verify(good)


async def test_unknown_ids_do_not_flood_the_server(server: KeyServer) -> None:
    checks = TokenVerifier(JwksKeys(server.url, timeout_s=2, min_pause_s=60))
    tokens = [token(OTHER_EC, "ES256", f"kid-{number}") for number in range(50)]
    results = await asyncio.gather(*map(checks.verify, tokens), return_exceptions=True)
    assert all(isinstance(result, Unauthenticated) for result in results)
    assert server.requests == 1
    await checks.verify(token(EC, "ES256", "ec"))
    assert server.requests == 1


async def test_without_a_server_known_keys_go_on(server: KeyServer) -> None:
    checks = verifier(server)
    await checks.verify(token(EC, "ES256", "ec"))
    server.answer = Response("away", 503)
    with pytest.raises(Unauthenticated):
        await checks.verify(token(OTHER_EC, "ES256", "new"))
    assert (await checks.verify(token(EC, "ES256", "ec"))).user_id == "ann"


@pytest.mark.parametrize(
    "answer",
    [
        Response("no", 500),
        Response("no json"),
        Response("[]"),
        JSONResponse({"keys": []}),
        JSONResponse({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "ec"}]}),
        Response(b"x" * 300_000),
        Response("", 302, headers={"location": "https://example.com/keys"}),
    ],
    ids=["500", "text", "list", "empty", "symmetric", "huge", "redirect"],
)
async def test_no_keys_is_no_verdict(server: KeyServer, answer: Response) -> None:
    server.answer = answer
    with pytest.raises(Overloaded):
        await verifier(server).verify(token(EC, "ES256", "ec"))


async def test_a_silent_server_has_a_deadline(server: KeyServer) -> None:
    server.silent.clear()
    checks = TokenVerifier(JwksKeys(server.url, timeout_s=0.3))
    started = time.monotonic()
    with pytest.raises(Overloaded):
        await checks.verify(token(EC, "ES256", "ec"))
    assert time.monotonic() - started < 5


def test_keys_that_are_not_for_us_are_left_out() -> None:
    weak = public(rsa.generate_private_key(65537, 1024), "weak")
    others = [
        public(EC, "enc", use="enc"),
        public(RSA, "wrong", alg="RS512"),
        public(ec.generate_private_key(ec.SECP384R1()), "384"),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        weak,
    ]
    keys = read_keys(json.dumps({"keys": [*others, public(EC, "ec")]}).encode())
    assert list(keys) == ["ec"]


async def test_supabase_by_its_address_alone(
    server: KeyServer, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(auth_secret="", url_signing_secret=SECRET, supabase_url=server.base)
    claims = {"iss": f"{server.base}/auth/v1", "aud": "authenticated", "role": "authenticated"}
    async with running_api(settings) as api:
        document = "{ viewer { id } }"
        good = api.with_token(token(EC, "ES256", "ec", **claims))
        assert (await good.ask(document)).data == {"viewer": {"id": "ann"}}
        async with good.socket():
            pass
        for wrong in ({"role": "service_role"}, {"iss": "x"}, {"aud": "anon"}):
            bad = api.with_token(token(EC, "ES256", "ec", **{**claims, **wrong}))
            assert (await bad.ask(document)).status == 401


async def test_keys_that_cannot_be_had_are_503(
    server: KeyServer, make_settings: Callable[..., Settings]
) -> None:
    server.answer = Response("away", 503)
    settings = make_settings(auth_jwks_url=server.url)
    async with running_api(settings) as api:
        answer = await api.with_token(token(EC, "ES256", "ec")).ask("{ viewer { id } }")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert (await api.with_token(None).ask("{ styles { slug } }")).status == 200


async def test_anonymous_users_have_lower_quotas(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(
        auth_allow_anonymous=True,
        anonymous_max_requests=2,
        anonymous_max_requests_per_address=3,
        anonymous_max_active_jobs=1,
    )

    def anonymous(user_id: str) -> str:
        return token(SECRET, "HS256", None, sub=user_id, is_anonymous=True)

    async with running_api(settings) as api:
        ann, bob, cat = (api.with_token(anonymous(name)) for name in ("ann", "bob", "cat"))
        start = "mutation($p: String!) { startGeneration(input: {prompt: $p, variantCount: 1}) {"
        start += " __typename } }"
        quota = (await ann.ask("{ viewer { quota { maxRequests maxActiveJobs } } }")).data
        assert quota == {"viewer": {"quota": {"maxRequests": 2, "maxActiveJobs": 1}}}
        assert (await ann.ask(start, p="a")).status == 200
        assert (await ann.ask(start, p="b")).error["extensions"]["limit"] == 1
        assert (await ann.ask(start, p="c")).error["extensions"]["limit"] == 2
        assert (await bob.ask(start, p="a")).status == 200
        # The third of this address was the last, whoever asks; who has signed in is not among them.
        assert (await cat.ask(start, p="a")).error["extensions"]["limit"] == 3
        assert (await api.client("dan").ask(start, p="a")).status == 200


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ({}, "secret"),
        ({"auth_jwks_url": "https://a/b"}, "jwks"),
        ({"supabase_url": "https://a"}, "secret"),
        ({"supabase_url": "https://a", "auth_secret": ""}, "supabase"),
        ({"supabase_url": "https://a", "auth_mode": "supabase"}, "supabase"),
        ({"auth_jwks_url": "https://a/b", "auth_mode": "secret"}, "secret"),
    ],
)
def test_modes(make_settings: Callable[..., Settings], values: dict[str, Any], mode: str) -> None:
    assert auth_mode(make_settings(**values)) == mode


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"auth_mode": "jwks"}, "needs AUTH_JWKS_URL"),
        ({"auth_mode": "supabase"}, "needs SUPABASE_URL"),
        ({"auth_jwks_url": "http://keys.example.com/"}, "https"),
        ({"auth_secret": "", "supabase_url": "https://a"}, "URL_SIGNING_SECRET"),
    ],
)
def test_settings_that_do_not_go_together(
    make_settings: Callable[..., Settings], values: dict[str, Any], says: str
) -> None:
    with pytest.raises(SetupError, match=says):
        build_verifier(make_settings(**values))


async def test_supabase_takes_its_old_secret_while_it_moves(
    server: KeyServer, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(auth_mode="supabase", supabase_url=server.base)
    checks = build_verifier(settings)
    claims = {"iss": f"{server.base}/auth/v1", "aud": "authenticated"}
    assert (await checks.verify(token(SECRET, "HS256", None, **claims))).user_id == "ann"
    assert (await checks.verify(token(EC, "ES256", "ec", **claims))).user_id == "ann"
    confused = by_hand(
        {"alg": "HS256", "kid": "rsa"},
        {"sub": "ann", "exp": time.time() + 60, **claims},
        public_pem(RSA),
    )
    with pytest.raises(Unauthenticated):
        await checks.verify(confused)


async def test_a_shared_secret_is_for_one_algorithm() -> None:
    checks = TokenVerifier(SecretKey(SECRET))
    assert (await checks.verify(token(SECRET, "HS256", None))).user_id == "ann"
    for forged in (token(SECRET, "HS384", None), token(EC, "ES256", None)):
        with pytest.raises(Unauthenticated):
            await checks.verify(forged)

"""Who is asking: bearer tokens (JWT, RFC 7519) in, viewers out."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import jwt

from core.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TOKEN_CHARS = 8192
MAX_KEPT_TOKENS = 10_000
"""Some 5 MB; the ones that were checked first make room."""
OPERATOR = "operator"
"""The role of who may see and steer the work of all users."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The verified user behind an operation. Times are Unix time, seconds.

    Attributes:
        user_id: the token's subject.
        expires_at_s: the token's end.
        issued_at_s: when it was issued; 0 if it does not say.
        is_anonymous: a user who has not signed in, with lower quotas.
        is_operator: who may see and steer the work of all users.
    """

    user_id: str
    expires_at_s: float
    issued_at_s: float = 0
    is_anonymous: bool = False
    is_operator: bool = False


class Verifier(Protocol):
    """Turns a bearer token into a viewer."""

    async def verify(self, token: str) -> Viewer:
        """Check a token.

        Raises Unauthenticated with a reason that is safe to show, Overloaded while keys cannot be
        had.
        """
        ...

    def verified(self, token: str) -> Viewer | None:
        """The viewer, if the token was found good before and still is; None if nobody can tell."""
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the one algorithm that it is for: what a token's header says decides nothing."""

    algorithm: str
    value: Any


class Keys(Protocol):
    """Where keys come from."""

    @property
    def edition(self) -> object | None:
        """The same object while the same keys are taken; None: they must be looked up anew."""
        ...

    async def find(self, header: Mapping[str, object]) -> Key:
        """The key for a token with this header. Raises Unauthenticated, Overloaded."""
        ...


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One shared secret, for HS256 alone."""

    secret: str

    @property
    def edition(self) -> object | None:
        """Always this."""
        return self

    async def find(self, header: Mapping[str, object]) -> Key:
        """The secret, whatever the header says. Never raises."""
        del header
        return Key("HS256", self.secret)


@dataclass(frozen=True, slots=True)
class EitherKey:
    """A shared secret for HS256 and other keys for the rest: while a project moves to new keys."""

    secret: SecretKey
    others: Keys

    @property
    def edition(self) -> object | None:
        """That of the other keys: a secret stays."""
        return self.others.edition

    async def find(self, header: Mapping[str, object]) -> Key:
        """The secret for HS256, else one of the others. Raises as they do."""
        source = self.secret if header.get("alg") == "HS256" else self.others
        return await source.find(header)


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Checks signature, times, issuer (empty: any), audience (empty: any) and who it is for.

    `role_claim` is where a role may be: a claim, or a path like `app_metadata.role`. A token that
    was found good is not checked again while it has not expired and the same keys are taken: HMAC
    and JSON cost 40 µs, a signature of P-256 100.
    """

    keys: Keys
    issuer: str = ""
    audience: str = ""
    leeway_s: float = 0
    allow_anonymous: bool = False
    role_claim: str = "role"
    _good: OrderedDict[str, tuple[Viewer, object]] = field(
        default_factory=OrderedDict[str, "tuple[Viewer, object]"], init=False
    )

    async def verify(self, token: str) -> Viewer:
        """Check a token. Raises Unauthenticated, Overloaded."""
        if viewer := self.verified(token):
            return viewer
        viewer = await self._verify(token)
        if (edition := self.keys.edition) is not None:
            self._good[token] = viewer, edition
            if len(self._good) > MAX_KEPT_TOKENS:
                self._good.popitem(last=False)
        return viewer

    def verified(self, token: str) -> Viewer | None:
        """The viewer of a token that was checked before; None if it must be checked anew."""
        viewer, edition = self._good.get(token, (None, None))
        if viewer is None:
            return None
        # Whole seconds, as PyJWT compares.
        expired = int(viewer.expires_at_s) <= time.time() - self.leeway_s
        if expired or edition is not self.keys.edition:
            del self._good[token]
            return None
        return viewer

    async def _verify(self, token: str) -> Viewer:
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("The token is too long.")
        try:
            header = jwt.get_unverified_header(token)
            if "crit" in header:
                raise Unauthenticated("The token is not valid.")
            claims = self._claims(token, await self.keys.find(header))
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except jwt.PyJWTError:
            raise Unauthenticated("The token is not valid.") from None
        return self._viewer(claims)

    def _claims(self, token: str, key: Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            issuer=self.issuer or None,
            audience=self.audience or None,
            leeway=self.leeway_s,
            options={"require": ["exp", "sub"], "verify_aud": bool(self.audience)},
        )

    def _viewer(self, claims: dict[str, Any]) -> Viewer:
        if claims.get("role") == "service_role":
            # Supabase's key for servers: it stands for no user, and must not be in a browser.
            raise Unauthenticated("A service token is not a user's.")
        is_anonymous = claims.get("is_anonymous") is True
        if is_anonymous and not self.allow_anonymous:
            raise Unauthenticated("Please sign in: anonymous users are not taken here.")
        issued_at = claims.get("iat")
        return Viewer(
            user_id=_user_id(claims["sub"]),
            expires_at_s=float(claims["exp"]),
            issued_at_s=float(issued_at) if isinstance(issued_at, int | float) else 0,
            is_anonymous=is_anonymous,
            is_operator=not is_anonymous and self._has_role(claims, OPERATOR),
        )

    def _has_role(self, claims: dict[str, Any], role: str) -> bool:
        found: Any = claims
        for name in self.role_claim.split("."):
            found = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(found, list):
            return role in found
        return isinstance(found, str) and found == role


def _user_id(sub: object) -> str:
    if not isinstance(sub, str) or not 0 < len(sub) <= 255 or not sub.isprintable():
        raise Unauthenticated("The token's subject is not valid.")
    return sub


def issue_token(
    secret: str,
    *,
    user_id: str,
    ttl_s: int,
    issuer: str = "",
    audience: str = "",
    role: str = "",
    role_claim: str = "role",
) -> str:
    """Make a token for development and tests, valid for `ttl_s` seconds."""
    now_s = int(time.time())
    claims: dict[str, object] = {"sub": user_id, "iat": now_s, "exp": now_s + ttl_s}
    if role:
        *path, last = role_claim.split(".")
        place = claims
        for name in path:
            inner: dict[str, object] = {}
            place[name] = inner
            place = inner
        place[last] = role
    if issuer:
        claims["iss"] = issuer
    if audience:
        claims["aud"] = audience
    return jwt.encode(claims, secret, algorithm="HS256")


def bearer_token(header: str | None) -> str | None:
    """The token of an `Authorization: Bearer ...` value (RFC 6750); None without one."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

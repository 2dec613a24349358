"""Who is asking: bearer tokens in, viewers out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import jwt

from core.errors import Unauthenticated

MAX_TOKEN_CHARS = 8192


@dataclass(frozen=True, slots=True)
class Viewer:
    """The verified user behind an operation. `expires_at_s` is Unix time, seconds."""

    user_id: str
    expires_at_s: float


class Verifier(Protocol):
    """Turns a bearer token into a viewer."""

    def verify(self, token: str) -> Viewer:
        """Check a token. Raises Unauthenticated with a reason that is safe to show."""
        ...


@dataclass(frozen=True, slots=True)
class SharedSecretVerifier:
    """HS256 tokens with `sub` and `exp` (RFC 7519); no other algorithm is looked at."""

    secret: str
    issuer: str = ""
    audience: str = ""
    leeway_s: float = 0

    def verify(self, token: str) -> Viewer:
        """Check a token. Raises Unauthenticated with a reason that is safe to show."""
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("The token is too long.")
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=["HS256"],
                issuer=self.issuer or None,
                audience=self.audience or None,
                leeway=self.leeway_s,
                options={"require": ["exp", "sub"], "verify_aud": bool(self.audience)},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except jwt.PyJWTError:
            raise Unauthenticated("The token is not valid.") from None
        return Viewer(user_id=_user_id(claims["sub"]), expires_at_s=float(claims["exp"]))


def _user_id(sub: object) -> str:
    if not isinstance(sub, str) or not 0 < len(sub) <= 255 or not sub.isprintable():
        raise Unauthenticated("The token's subject is not valid.")
    return sub


def issue_token(
    secret: str, *, user_id: str, ttl_s: int, issuer: str = "", audience: str = ""
) -> str:
    """Make a token for development and tests, valid for `ttl_s` seconds."""
    now_s = int(time.time())
    claims: dict[str, object] = {"sub": user_id, "iat": now_s, "exp": now_s + ttl_s}
    if issuer:
        claims["iss"] = issuer
    if audience:
        claims["aud"] = audience
    return jwt.encode(claims, secret, algorithm="HS256")


def bearer_token(header: str | None) -> str | None:
    """The token of an `Authorization: Bearer ...` value (RFC 6750); None without one."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None

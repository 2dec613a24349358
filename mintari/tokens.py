"""Which tokens are taken, by the settings; and the error of settings that do not go together."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.auth import EitherKey, SecretKey, TokenVerifier
from core.jwks import JwksKeys

if TYPE_CHECKING:
    from core.auth import Keys, Verifier
    from core.settings import Settings

SUPABASE_AUTH = "/auth/v1"
SUPABASE_AUDIENCE = "authenticated"


class SetupError(Exception):
    """The settings do not allow the API to start; the message says what to do."""


def build_verifier(settings: Settings) -> Verifier:
    """What checks tokens. Raises SetupError."""
    mode = auth_mode(settings)
    if not (settings.auth_secret.get_secret_value() or settings.url_signing_secret):
        raise SetupError("URL_SIGNING_SECRET is not set, and there is no AUTH_SECRET to derive it.")
    issuer, audience = settings.auth_issuer, settings.auth_audience
    if mode == "supabase":
        # Facts of every project; the settings may say otherwise for one with its own domain.
        issuer = issuer or settings.supabase_url.rstrip("/") + SUPABASE_AUTH
        audience = audience or SUPABASE_AUDIENCE
    return TokenVerifier(
        _keys(settings, mode),
        issuer=issuer,
        audience=audience,
        leeway_s=settings.auth_leeway_s,
        allow_anonymous=settings.auth_allow_anonymous,
        role_claim=settings.auth_role_claim,
    )


def auth_mode(settings: Settings) -> str:
    """AUTH_MODE, with `auto` decided: secret, jwks or supabase. Raises SetupError."""
    has = {
        "jwks": settings.auth_jwks_url,
        "secret": settings.auth_secret.get_secret_value(),
        "supabase": settings.supabase_url,
    }
    if settings.auth_mode != "auto":
        if not has[settings.auth_mode]:
            raise SetupError(f"AUTH_MODE={settings.auth_mode} needs {_NEEDS[settings.auth_mode]}.")
        return settings.auth_mode
    for mode, value in has.items():
        if value:
            return mode
    raise SetupError(
        "AUTH_SECRET is not set: nobody could be identified. Set it to 32 random characters or"
        " more, the same in all API processes (try: openssl rand -hex 32); or set AUTH_JWKS_URL,"
        " or SUPABASE_URL."
    )


_NEEDS = {"jwks": "AUTH_JWKS_URL", "secret": "AUTH_SECRET", "supabase": "SUPABASE_URL"}


def _keys(settings: Settings, mode: str) -> Keys:
    secret = SecretKey(settings.auth_secret.get_secret_value())
    if mode == "secret":
        return secret
    keys = _jwks(settings, jwks_url(settings, mode))
    if mode == "jwks":
        return keys
    # A project that has not moved to its new keys yet, or is doing so.
    return EitherKey(secret, keys) if secret.secret else keys


def jwks_url(settings: Settings, mode: str) -> str:
    """Where the keys are, in the modes jwks and supabase."""
    if mode == "jwks":
        return settings.auth_jwks_url
    return f"{settings.supabase_url.rstrip('/')}{SUPABASE_AUTH}/.well-known/jwks.json"


def _jwks(settings: Settings, url: str) -> JwksKeys:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise SetupError(f"Keys must come by https, or from this machine: {url}")
    return JwksKeys(url, timeout_s=settings.auth_timeout_s)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False

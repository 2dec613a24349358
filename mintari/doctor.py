"""`mintari doctor`: tries every setting and connection, and says what to do."""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr, ValidationError

from core.jwks import JwksKeys
from core.settings import Settings
from mintari.embedded.errors import EmbeddedError
from mintari.embedded.identity import unprivileged_user
from mintari.explain import explain
from mintari.health import is_healthy
from mintari.home import HomeSettings
from mintari.ports import claimable_port
from mintari.tokens import SetupError, auth_mode, build_verifier, jwks_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_DEADLINE_S = 15.0
_LEAST_DISTINCT_CHARACTERS = 8


class Show(Protocol):
    """Shows one line."""

    def __call__(self, line: str, /) -> None:
        """Show it."""
        ...


class Unwell(Exception):
    """A check that failed; the message says what is wrong and what to do."""


def examine(show: Show) -> bool:
    """Run every check and show a line for each; True when all is well."""
    results = [_report(show, "python", _python)]
    try:
        settings = settings_here(show)
    except ValidationError as error:
        for line in explain(error):
            show(_line("FAIL", "settings", line))
        return False
    show(_line("ok", "settings", "every variable can be read"))
    results += [run_check(show, name, settings) for name in CHECKS]
    return all(results)


def run_check(show: Show, name: str, settings: Settings) -> bool:
    """Run one check and show its line; True when all is well."""
    return _report(show, name, lambda: asyncio.run(_in_time(CHECKS[name](settings))), settings)


def settings_here(show: Show) -> Settings:
    """The environment's settings; what it lacks is taken from the `up` that runs here."""
    given = HomeSettings()
    home = given.home(unprivileged_user())
    running = home.running()
    values: dict[str, str] = {}
    if running is not None:
        show(f"Looking at the `mintari up` that runs here (process {running.pid}).")
        found = {
            "database_url": (given.database_url, running.database_url),
            "redis_url": (given.redis_url, running.redis_url),
            "storage_url": (given.storage_url, running.storage_url),
            "auth_secret": (
                given.auth_secret.get_secret_value(),
                home.existing_secret("auth"),
            ),
            "webhook_secrets_keys": (
                given.webhook_secrets_keys.get_secret_value(),
                home.existing_secret("webhooks"),
            ),
        }
        values = {name: used for name, (own, used) in found.items() if not own}
    return Settings(**cast("dict[str, Any]", values))


def _report(
    show: Show, name: str, check: Callable[[], str], settings: Settings | None = None
) -> bool:
    try:
        show(_line("ok", name, check()))
    except Exception as error:
        # Whatever it was: the other checks still tell something.
        text = str(error) if isinstance(error, Unwell) else f"{type(error).__name__}: {error}"
        show(_line("FAIL", name, _scrubbed(text, settings)))
        return False
    return True


def _line(verdict: str, name: str, text: str) -> str:
    return f"{verdict.ljust(4)}  {name.ljust(10)}  {text}"


def _scrubbed(text: str, settings: Settings | None) -> str:
    """The text without any secret of the settings: an error may quote the URL that it got."""
    if settings is None:
        return text
    for secret in _secrets(settings):
        text = text.replace(secret, "***")
    return text


def _secrets(settings: Settings) -> set[str]:
    values = [getattr(settings, name) for name in Settings.model_fields]
    found = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    found |= set(settings.webhook_keys)
    for value in values:
        if isinstance(value, str) and "://" in value:
            parts = urlsplit(value)
            written = parse_qsl(parts.query)
            password = parts.password or ""
            found |= {password, unquote(password)}
            found |= {text for name, text in written if name.endswith("password")}
    return found - {""}


async def _in_time(check: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await check
    except TimeoutError:
        raise Unwell(f"no answer within {_DEADLINE_S:g} s") from None


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


async def _database(settings: Settings) -> str:
    from db.engine import open_database

    try:
        async with open_database(settings) as database, database.read() as connection:
            version = (await connection.exec_driver_sql("SHOW server_version")).scalar_one()
    except Exception as error:
        raise Unwell(
            f"{type(error).__name__}: {error}. Is PostgreSQL up at {_place(settings.database_url)},"
            " and are user, password and database in DATABASE_URL right?"
        ) from error
    return f"PostgreSQL {version} at {_place(settings.database_url)}"


async def _migrations(settings: Settings) -> str:
    from db.engine import open_database
    from db.migrate import head_revision, is_migrated, revision_of

    async with open_database(settings) as database, database.read() as connection:
        current, migrated = await revision_of(connection), await is_migrated(connection)
    head = head_revision()
    if not migrated:
        raise Unwell(
            f"the database is at {current or 'nothing'}, not {head}: run `mintari migrate`"
        )
    if current != head:
        return f"at {current}, of a later release than this one, which needs {head}"
    return f"at the newest revision, {head}"


async def _redis(settings: Settings) -> str:
    from mintari.redis_check import RedisProblem, check_redis

    try:
        return f"{await check_redis(settings)} at {_place(settings.redis_url)}"
    except RedisProblem as error:
        raise Unwell(f"at {_place(settings.redis_url)}: {error}") from error


async def _storage(settings: Settings) -> str:
    from storage.base import StorageError
    from storage.registry import open_storage

    async with open_storage(settings) as storage:
        try:
            return await storage.check()
        except StorageError as error:
            raise Unwell(
                f"{error}. Is STORAGE_URL right, and may this user write and read there?"
            ) from error


async def _provider(settings: Settings) -> str:
    from core.styles import load_styles
    from providers.registry import open_providers

    async with open_providers(settings, load_styles(settings.styles_file)) as providers:
        lines = [f"{name}: {await provider.check()}" for name, provider in providers.items()]
    order = [name for name in settings.gen_fallback_providers if name != settings.gen_provider]
    if order:
        lines.append(f"fall-over: {' → '.join([settings.gen_provider, *order])}")
    return "; ".join(lines)


async def _auth(settings: Settings) -> str:
    try:
        mode = auth_mode(settings)
        build_verifier(settings)
    except SetupError as error:
        raise Unwell(str(error)) from error
    if mode != "secret":
        return await _keys(settings, mode)
    secret = settings.auth_secret.get_secret_value()
    if len(set(secret)) < _LEAST_DISTINCT_CHARACTERS:
        raise Unwell("AUTH_SECRET is too regular to be a secret. Try: openssl rand -hex 32")
    return f"AUTH_SECRET has {len(secret)} characters"


async def _keys(settings: Settings, mode: str) -> str:
    url = jwks_url(settings, mode)
    try:
        keys = await JwksKeys(url, timeout_s=settings.auth_timeout_s).fetch()
    except (OSError, ValueError) as error:
        raise Unwell(f"no keys for tokens from {url}: {error}") from error
    return f"{mode}: {len(keys)} keys from {url}"


async def _port(settings: Settings) -> str:
    return await _free_or_ours(settings.api_host, settings.api_port, "API")


async def _metrics(settings: Settings) -> str:
    if settings.metrics_port is None:
        return "off, as METRICS_PORT is not set"
    return await _free_or_ours(settings.metrics_host, settings.metrics_port, "METRICS")


async def _documents(settings: Settings) -> str:
    from schema.build import build_schema
    from transport.endpoints import checked_documents, registered_documents
    from transport.manifest import DocumentsFileError

    try:
        registered = registered_documents(settings)
    except DocumentsFileError as error:
        raise Unwell(str(error)) from error
    found = set(registered.values())
    documents = checked_documents(settings, build_schema(), registered)
    if misfits := [text for text in found if not documents.is_valid(text)]:
        some = " ".join(misfits[0].split())[:60]
        raise Unwell(f"{len(misfits)} registered documents do not fit the schema: {some}...")
    if settings.allowed_documents == "any":
        return f"any may be executed, {len(found)} are registered"
    if not found:
        raise Unwell("only registered ones may be executed, and there are none: DOCUMENTS_FILES")
    return f"{len(found)} are registered, no others may be executed"


async def _free_or_ours(host: str, port: int, setting: str) -> str:
    if await is_healthy(host, port):
        return f"a running process of ours answers on {host}:{port}"
    try:
        claimable_port(host, port, setting)
    except EmbeddedError as error:
        raise Unwell(str(error)) from error
    return f"{host}:{port} is free"


def _place(url: str) -> str:
    """Where a URL leads, without user and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix" or not parts.hostname:
        return parts.path if parts.scheme == "unix" else f"the socket of {parts.query or url}"
    # As written: there may be several hosts.
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


async def _prices(settings: Settings) -> str:
    from core.prices import load_prices
    from core.styles import load_styles
    from providers.registry import open_providers

    prices = load_prices(settings.prices_file)
    async with open_providers(settings, load_styles(settings.styles_file)) as providers:
        unknown = [
            f"{one.name} {one.model}"
            for one in providers.values()
            if not prices.knows(one.name, one.model)
        ]
    rest = f"; not known, and counted so: {', '.join(unknown)}" if unknown else ""
    return f"as of {prices.version}{rest}"


async def _webhooks(settings: Settings) -> str:
    from core.sealing import Sealer
    from db.engine import open_database
    from db.webhook_secrets import count_secrets

    sealer = Sealer.from_settings(settings)
    async with open_database(settings) as database, database.read() as connection:
        counts = await count_secrets(connection)
    total, plain = sum(counts.values()), counts.pop("", 0)
    if lost := {key: count for key, count in counts.items() if key not in sealer.key_ids}:
        keys = ", ".join(f"{count} with {key}" for key, count in lost.items())
        raise Unwell(
            "secrets are encrypted with keys that are not in WEBHOOK_SECRETS_KEYS, and nothing can"
            f" be signed with them ({keys}): set the old keys again, behind the newest"
        )
    if sealer.newest is None:
        if plain:
            raise Unwell(
                f"{plain} secrets are in the database in plain text, and no webhook can be made:"
                " set WEBHOOK_SECRETS_KEYS (openssl rand -hex 32) and restart the workers"
            )
        return "none can be made, as WEBHOOK_SECRETS_KEYS is not set"
    waiting = total - counts.get(sealer.newest, 0)
    rest = f", {waiting} of them not with the newest key: restart a worker" if waiting else ""
    return f"{total - plain} of {total} secrets are encrypted{rest}"


async def _traces(settings: Settings) -> str:
    from core.tracing import TracingMissing, send_nothing

    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return "off, as OTEL_EXPORTER_OTLP_ENDPOINT is not set"
    try:
        taken = await asyncio.to_thread(send_nothing, endpoint)
    except TracingMissing as error:
        raise Unwell(str(error)) from error
    if not taken:
        raise Unwell(
            f"no receiver of OTLP over HTTP answers at {_place(endpoint)}: correct"
            " OTEL_EXPORTER_OTLP_ENDPOINT (port 4318, not 4317, which speaks gRPC)"
        )
    return f"taken at {_place(endpoint)}"


CHECKS: dict[str, Callable[[Settings], Awaitable[str]]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "storage": _storage,
    "provider": _provider,
    "auth": _auth,
    "port": _port,
    "metrics": _metrics,
    "documents": _documents,
    "traces": _traces,
    "prices": _prices,
    "webhooks": _webhooks,
}
"""Every check by name. A check returns what is well, and raises Unwell (or anything)."""

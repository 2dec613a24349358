"""`mintari up`: everything on one machine, from one command."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from core.auth import issue_token
from core.settings import Settings
from mintari.embedded import PostgresServer, ValkeyServer
from mintari.embedded.errors import EmbeddedError
from mintari.embedded.identity import unprivileged_user
from mintari.embedded.server import log_tail, open_log
from mintari.health import is_healthy
from mintari.home import HomeSettings, Running
from mintari.parts import Part, PartFailed
from mintari.ports import claimable_port, is_listening
from mintari.standins.settings import SETTINGS
from mintari.supervisor import supervise
from mintari.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mintari.embedded import Server
    from mintari.home import Home

_TOKEN_TTL_S = 86_400
# What a worker needs after its drain to write down what it gave back.
_STOP_MARGIN_S = 5
# Long enough to see a grid live.
_STAND_IN_LATENCY_S = 4
_WEB_PORT = 5173


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to run."""

    home: Home
    servers: Sequence[Server]
    settings: Settings
    environment: Mapping[str, str]
    stand_in: StandInPlan | None = None
    web_port: int | None = None
    """Where the page reloads as one edits it, if it does."""


@dataclass(frozen=True, slots=True)
class StandInPlan:
    """A server that takes a provider's place."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """Its address on this machine."""
        return f"http://127.0.0.1:{self.port}"


def up(provider: str | None = None, *, stand_in: bool = False, web_dev: bool = False) -> None:
    """Start everything, run until Ctrl-C, stop everything.

    Raises EmbeddedError or PartFailed with a message for the person at the terminal, and
    pydantic.ValidationError for wrong settings.
    """
    given = HomeSettings()
    run_as = unprivileged_user()
    home = given.home(run_as)
    home.prepare(run_as)
    with home.lock() as lock:
        plan = make_plan(given, home, provider, stand_in=stand_in)
        if web_dev:
            plan = replace(plan, web_port=_web_port())
        home.write_running(lock, _running(plan))
        if run_as is not None and plan.servers:
            say("mintari", f"running as root: the servers run as the user {run_as.name}")
        say("mintari", f"starting with the data folder {home.path}")
        asyncio.run(supervise(_stages(plan), say, announce=functools.partial(_announce, plan)))


def make_plan(
    given: HomeSettings, home: Home, provider: str | None = None, *, stand_in: bool = False
) -> Plan:
    """Decide what runs where. Raises EmbeddedError, pydantic.ValidationError."""
    servers: list[Server] = []
    values: dict[str, str] = {"GEN_PROVIDER": provider} if provider else {}
    replacement = None
    if stand_in and provider is not None:
        replacement = StandInPlan(provider, claimable_port("127.0.0.1", 0))
        values |= SETTINGS[provider](replacement.url)
    if not given.database_url:
        servers.append(PostgresServer(home.path / "postgres"))
        values["DATABASE_URL"] = servers[-1].url
    if not given.redis_url:
        servers.append(ValkeyServer(home.path / "valkey"))
        values["REDIS_URL"] = servers[-1].url
    if not given.auth_secret.get_secret_value():
        values["AUTH_SECRET"] = home.secret("auth")
    if not given.url_signing_secret.get_secret_value():
        values["URL_SIGNING_SECRET"] = home.secret("url-signing")
    if not given.webhook_secrets_keys.get_secret_value():
        values["WEBHOOK_SECRETS_KEYS"] = home.secret("webhooks")
    if not given.storage_url:
        values["STORAGE_URL"] = (home.path / "pictures").as_uri()
    settings = _settings(values)
    port = claimable_port(settings.api_host, settings.api_port)
    values["API_PORT"] = str(port)
    if given.dev_mode is None and settings.is_loopback:
        values["DEV_MODE"] = "true"
    return Plan(home, servers, _settings(values), {**os.environ, **values}, replacement)


def _settings(values: Mapping[str, str]) -> Settings:
    return Settings(**cast("dict[str, Any]", {name.lower(): values[name] for name in values}))


def _running(plan: Plan) -> Running:
    settings = plan.settings
    return Running(
        pid=os.getpid(),
        api_url=settings.public_url,
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        storage_url=settings.storage_url,
    )


def _stages(plan: Plan) -> Sequence[Sequence[Part]]:
    """In the order of starting; stopping goes backwards: worker, API, Valkey, PostgreSQL."""
    settings = plan.settings

    async def is_up(_pid: int) -> bool:
        return await is_healthy(settings.api_host, settings.api_port)

    own = functools.partial(_own_part, plan.environment)
    worker_name = settings.worker_name or "local-1"
    return [
        [_server_part(server) for server in plan.servers],
        [own("migrate", once=True), *_stand_ins(plan)],
        [
            own("api", is_ready=is_up),
            _own_part(
                {**plan.environment, "WORKER_NAME": worker_name, **_next_metrics_port(settings)},
                "worker",
                stop_deadline_s=settings.worker_drain_s + _STOP_MARGIN_S,
            ),
            *_web_dev(plan),
        ],
    ]


def _next_metrics_port(settings: Settings) -> dict[str, str]:
    """The worker's METRICS_PORT: the one after the API's, where that has one."""
    port = settings.metrics_port
    return {"METRICS_PORT": str(port + 1 if port < 65535 else 0)} if port else {}


def _web_dev(plan: Plan) -> Sequence[Part]:
    """Vite's server, which reloads the page as one edits it and passes the rest on to the API."""
    if plan.web_port is None:
        return []
    from mintari.webbuild import BuildFailed, dev_server

    port = plan.web_port

    async def listens(_pid: int) -> bool:
        return await is_listening(port)

    try:
        command, environment = dev_server(plan.settings.public_url, port)
    except BuildFailed as error:
        raise PartFailed(f"the page's own server: {error}") from error
    return [Part("web", command, environment, is_ready=listens)]


def _web_port() -> int:
    """Vite's own port if it is free: a second `up --web-dev` takes another one."""
    try:
        return claimable_port("127.0.0.1", _WEB_PORT)
    except EmbeddedError:
        return claimable_port("127.0.0.1", 0)


def _stand_ins(plan: Plan) -> Sequence[Part]:
    if plan.stand_in is None:
        return []
    port = plan.stand_in.port

    async def listens(_pid: int) -> bool:
        return await is_listening(port)

    module = ("-m", "mintari.standins", plan.stand_in.name, "--port", str(port))
    command = (sys.executable, *module, "--latency", str(_STAND_IN_LATENCY_S))
    return [Part("stand-in", command, plan.environment, is_ready=listens)]


def _own_part(environment: Mapping[str, str], name: str, **options: Any) -> Part:
    command = (sys.executable, "-m", "mintari", name)
    return Part(name, command, environment, **options)


def _server_part(server: Server) -> Part:
    async def is_ready(pid: int) -> bool:
        return server.is_ready(pid)

    return Part(
        name=server.name,
        command=server.command(),
        environment=server.environment(),
        prepare=server.prepare,
        is_ready=is_ready,
        stop_signal=server.stop_signal,
        kill_signal=server.kill_signal,
        death_signal=server.stop_signal,
        run_as=server.run_as,
        open_output=functools.partial(open_log, server),
        clue=lambda: f"see {server.log_path}, which ends:\n{log_tail(server.log_path)}",
    )


def _announce(plan: Plan) -> None:
    settings = plan.settings
    lines = [
        "",
        "  Mintari runs.",
        f"    Page     {settings.public_url}/",
        f"    GraphQL  {settings.public_url}/graphql",
        f"    Data     {plan.home.path}",
    ]
    if plan.stand_in:
        lines.append(f"    Stand-in {plan.stand_in.url}/stand-in/calls ({plan.stand_in.name})")
    if plan.web_port:
        lines.append(f"    Editing  http://127.0.0.1:{plan.web_port}/ (reloads as web/src changes)")
    if settings.dev_mode:
        lines.append(f"    Token    {_token(settings)}")
        lines.append("             (user dev, for a day; another one: mintari token --user NAME)")
    show("\n".join([*lines, "    Stop     Ctrl-C", ""]))


def _token(settings: Settings) -> str:
    return issue_token(
        settings.auth_secret.get_secret_value(),
        user_id="dev",
        ttl_s=_TOKEN_TTL_S,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )

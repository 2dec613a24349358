"""The command `mintari`. Each command imports its part itself, so that all start fast."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from mintari.duration import Duration

if TYPE_CHECKING:
    from core.settings import Settings


class _Clear(click.Group):
    """Says what people can act on in a line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from mintari.explain import advice

            lines = advice(error)
            if not lines:
                raise
            raise click.ClickException("\n       ".join(lines)) from error


@click.group(cls=_Clear, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mintari", message="mintari %(version)s")
def cli() -> None:
    """Mintari turns a photo or a sentence into painted frames."""


@cli.command()
@click.option("--provider", help="Who paints: local, gemini, banana, openai or comfyui.")
@click.option("--stand-in", is_flag=True, help="Let a stand-in take the provider's place: no key.")
@click.option("--web-dev", is_flag=True, help="Also serve the page with hot reload.")
def up(provider: str | None, *, stand_in: bool, web_dev: bool) -> None:
    """Run everything here: PostgreSQL, Valkey, the API, a worker."""
    from mintari.standins.settings import SETTINGS
    from mintari.up import up as run_everything

    if stand_in and provider not in SETTINGS:
        raise click.UsageError(f"--stand-in needs --provider with one of: {', '.join(SETTINGS)}")
    try:
        run_everything(provider, stand_in=stand_in, web_dev=web_dev)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise click.ClickException(f"{error.strerror or error}{where}") from error


@cli.command()
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="So many processes on one port; one for each core.",
)
@click.option("--share-port", is_flag=True, help="Let other API processes listen there, too.")
def api(workers: int, *, share_port: bool) -> None:
    """Run the API."""
    from mintari.api import serve
    from mintari.workers import serve_with_workers

    if workers > 1:
        serve_with_workers(_settings(), workers)
    else:
        serve(_settings(), share_port=share_port)


@cli.command()
def worker() -> None:
    """Run one worker."""
    from mintari.worker import serve

    serve(_settings())


@cli.command()
def migrate() -> None:
    """Bring the database to this version; needs DATABASE_URL only."""
    from db.migrate import upgrade
    from mintari.home import HomeSettings

    database_url = HomeSettings().database_url
    if not database_url:
        raise click.ClickException("DATABASE_URL is not set: it says which database to migrate.")
    try:
        upgrade(database_url)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"The database cannot be reached: {error}") from error
    except Exception as error:
        # The driver's own refusals (wrong password, no such database); else it is our bug.
        if not type(error).__module__.startswith("asyncpg"):
            raise
        raise click.ClickException(f"The database refuses: {error}") from error


@cli.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    from schema import sdl

    click.echo(sdl().rstrip("\n"))


@cli.command()
@click.option("--user", default="dev", show_default=True, help="The user that the token is for.")
@click.option("--ttl", type=Duration(), default="7d", show_default=True, help="How long it holds.")
@click.option("--role", type=click.Choice(["operator"]), help="Sees and steers all users' work.")
def token(user: str, ttl: int, role: str | None) -> None:
    """Print a bearer token for development."""
    from core.auth import issue_token
    from mintari.embedded.identity import unprivileged_user
    from mintari.home import HomeSettings

    given = HomeSettings()
    secret = given.auth_secret.get_secret_value() or given.home(
        unprivileged_user()
    ).existing_secret("auth")
    if not secret:
        raise click.ClickException(
            "There is no AUTH_SECRET, and none of `mintari up` that can be read here:"
            " set AUTH_SECRET, or run `mintari up` once."
        )
    click.echo(
        issue_token(
            secret,
            user_id=user,
            ttl_s=ttl,
            issuer=given.auth_issuer,
            audience=given.auth_audience,
            role=role or "",
            role_claim=given.auth_role_claim,
        )
    )


@cli.command()
@click.option("--since", type=Duration(), default="30d", show_default=True, help="How far back.")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True
)
def audit(since: int, form: Literal["jsonl", "csv"]) -> None:
    """Print who asked for what and what was decided."""
    import asyncio
    from datetime import UTC, datetime, timedelta

    from mintari.audit import write_audit

    start = datetime.now(UTC) - timedelta(seconds=since)
    asyncio.run(write_audit(_database_url(), start, form, click.echo))


@cli.command()
@click.argument("user")
def revoke(user: str) -> None:
    """Refuse the tokens that USER has now, and close their sockets."""
    import asyncio

    from mintari.doctor import settings_here
    from mintari.revoke import revoke as revoke_user

    told = asyncio.run(revoke_user(settings_here(click.echo), user))
    click.echo(f"Tokens of {user} that were issued until now are not taken any more.")
    if not told:
        click.echo("Redis is away: it takes up to 5 s until every API process knows.")


@cli.command()
def doctor() -> None:
    """Check every setting and connection, and say what to do."""
    from mintari.doctor import examine

    sys.exit(0 if examine(click.echo) else 1)


def _database_url() -> str:
    """DATABASE_URL, or the database of the `mintari up` that runs here."""
    from mintari.embedded.identity import unprivileged_user
    from mintari.home import HomeSettings

    given = HomeSettings()
    running = None if given.database_url else given.home(unprivileged_user()).running()
    database_url = running.database_url if running else given.database_url
    if not database_url:
        raise click.ClickException("DATABASE_URL is not set, and no `mintari up` runs here.")
    return database_url


def _settings() -> Settings:
    from core.settings import load_settings

    return load_settings()


def main() -> None:
    """Run the command line."""
    cli(prog_name="mintari")

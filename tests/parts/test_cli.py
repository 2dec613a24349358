"""The commands, as a shell runs them."""

from __future__ import annotations

import importlib.metadata
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from click.testing import CliRunner

from core.settings import Settings
from mintari.cli import cli
from mintari.duration import Duration
from tests.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SECRET = "0123456789abcdef" * 4
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def _a_clean_environment(  # pyright: ignore[reportUnusedFunction]  # pytest uses it
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINTARI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)  # no .env of the developer's


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli, arguments, env=environment)


def test_version() -> None:
    assert run("--version").output == f"mintari {importlib.metadata.version('mintari')}\n"


def test_help_names_every_command() -> None:
    output = run("--help").output
    commands = {line.split()[0] for line in output.partition("Commands:")[2].splitlines() if line}
    assert commands >= {"up", "api", "worker", "migrate", "schema", "token", "audit", "revoke"}
    assert "doctor" in commands


def test_schema_prints_what_the_repository_holds() -> None:
    result = run("schema")
    assert result.exit_code == 0
    assert result.output == (ROOT / "schema" / "schema.graphql").read_text()


def test_token_holds_for_the_user_and_the_time_asked_for() -> None:
    result = run("token", "--user", "ann", "--ttl", "90s", AUTH_SECRET=SECRET, AUTH_ISSUER="us")
    assert result.exit_code == 0
    claims = jwt.decode(result.output.strip(), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "ann"
    assert claims["iss"] == "us"
    assert claims["exp"] - claims["iat"] == 90
    assert abs(claims["iat"] - time.time()) < 60


def test_token_for_an_operator_has_the_role_where_it_is_looked_for() -> None:
    wanted = ("token", "--user", "olga", "--role", "operator")
    claims = jwt.decode(run(*wanted, AUTH_SECRET=SECRET).output.strip(), SECRET, ["HS256"])
    assert claims["role"] == "operator"
    elsewhere = run(*wanted, AUTH_SECRET=SECRET, AUTH_ROLE_CLAIM="app_metadata.role")
    claims = jwt.decode(elsewhere.output.strip(), SECRET, ["HS256"])
    assert claims["app_metadata"] == {"role": "operator"}
    assert run("token", "--role", "king", AUTH_SECRET=SECRET).exit_code == 2


def test_token_without_any_secret_says_what_to_do() -> None:
    result = run("token")
    assert result.exit_code == 1
    assert result.output == (
        "Error: There is no AUTH_SECRET, and none of `mintari up` that can be read here:"
        " set AUTH_SECRET, or run `mintari up` once.\n"
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5h", "7w", "7d ", "9999999999s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    result = run("token", "--ttl", text, AUTH_SECRET=SECRET)
    assert result.exit_code == 2
    assert f"{text!r} is not a duration like 90s, 15m, 12h or 7d" in result.output


@pytest.mark.parametrize("command", ["api", "worker"])
def test_missing_settings_are_named(command: str) -> None:
    result = run(command)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.partition(" is not set: ")[0].strip() for line in lines] == [
        "Error: DATABASE_URL",
        "REDIS_URL",
        "STORAGE_URL",
    ]
    for line in lines:
        assert line.endswith("; `mintari up` brings one of its own")


def test_wrong_settings_are_named_with_what_is_allowed_and_secrets_are_not_shown() -> None:
    result = run(
        "api",
        DATABASE_URL="postgresql://ann:hidden@localhost/x",
        REDIS_URL="redis://localhost",
        STORAGE_URL="file:///tmp/pictures",
        API_PORT="70000",
        AUTH_SECRET="tooshort",
    )
    assert result.exit_code == 1
    assert "API_PORT: Input should be less than or equal to 65535 (it is '70000')." in result.output
    assert "AUTH_SECRET: must have 32 characters or more (try: openssl rand -hex 32)." in (
        result.output
    )
    assert "tooshort" not in result.output
    assert "hidden" not in result.output
    assert "Traceback" not in result.output


def test_migrate_needs_only_the_database() -> None:
    result = run("migrate")
    assert result.exit_code == 1
    assert result.output == ("Error: DATABASE_URL is not set: it says which database to migrate.\n")


def test_migrate_says_when_nothing_answers() -> None:
    result = run("migrate", DATABASE_URL="postgresql://ann:hidden@127.0.0.1:1/x")
    assert result.exit_code == 1
    assert result.output.startswith("Error: The database cannot be reached: ")
    assert "hidden" not in result.output


def test_revoke_says_when_redis_is_away(database_url: str, tmp_path: Path) -> None:
    result = run(
        "revoke",
        "eve",
        DATABASE_URL=database_url,
        REDIS_URL="redis://127.0.0.1:1/0",
        STORAGE_URL=tmp_path.as_uri(),
        AUTH_SECRET=SECRET,
    )
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "Tokens of eve that were issued until now are not taken any more.",
        "Redis is away: it takes up to 5 s until every API process knows.",
    ]


def test_doctor_names_what_is_missing() -> None:
    result = run("doctor")
    assert result.exit_code == 1
    assert "FAIL  settings    DATABASE_URL is not set: " in result.output
    assert "FAIL  settings    REDIS_URL is not set: " in result.output


def test_doctor_goes_through_everything_and_hides_secrets(tmp_path: Path) -> None:
    documents = tmp_path / "documents.json"
    documents.write_text('{"a": "{ nothing }"}')
    result = run(
        "doctor",
        DATABASE_URL="postgresql://ann:hidden@127.0.0.1:1/x",
        REDIS_URL="redis://:hidden@127.0.0.1:1/0",
        STORAGE_URL=(tmp_path / "pictures").as_uri(),
        AUTH_SECRET="a" * 32,
        API_PORT="0",
        DOCUMENTS_FILES=str(documents),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    )
    assert result.exit_code == 1
    verdicts = dict(line.split()[1::-1] for line in result.output.splitlines())
    assert verdicts == {
        "python": "ok",
        "settings": "ok",
        "database": "FAIL",
        "migrations": "FAIL",
        "redis": "FAIL",
        "storage": "ok",
        "provider": "ok",
        "auth": "FAIL",
        "port": "ok",
        "metrics": "ok",
        "documents": "FAIL",
        "traces": "FAIL",
        "prices": "ok",
        "webhooks": "FAIL",
    }
    assert "1 registered documents do not fit the schema: { nothing }..." in result.output
    assert "Is PostgreSQL up at 127.0.0.1:1/x" in result.output
    assert "at 127.0.0.1:1/0: ConnectionError: Error 111" in result.output
    assert "Is Redis or Valkey up" in result.output
    assert "AUTH_SECRET is too regular to be a secret. Try: openssl rand -hex 32" in result.output
    assert "hidden" not in result.output

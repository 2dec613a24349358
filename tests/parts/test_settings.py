"""Settings: all documented, all checked, no secrets shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from core.settings import Settings
from mintari.environment import example
from tests.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable


def test_env_example_lists_every_setting() -> None:
    assert (ROOT / ".env.example").read_text() == example(), (
        "run: python -m mintari.environment > .env.example"
    )


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_defaults_are_as_users_have_them(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    assert settings.rate_limit_max_requests == 10
    assert settings.rate_limit_window_s == 60
    assert settings.max_active_jobs == 3
    assert settings.gen_max_variants == 3
    assert settings.timeout_s("local") == 60
    assert settings.gen_retry_delays_s == (2, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"auth_secret": "short"},
        {"webhook_secrets_keys": "0123456789abcdef0123456789abcdef,short"},
        {"gen_timeout_ms": 0},
        {"gen_timeouts_ms": "gemini"},
        {"gen_max_variants": 99},
        {"lease_s": 0},
        {"log_format": "xml"},
        {"gen_on_unknown_outcome": "guess"},
        {"api_port": 70000},
        {"redis_url": "http://h"},
        {"redis_url": "redis+sentinel:///0"},
        {"redis_url": "redis+sentinel://h:port/0"},
        {"redis_url": "unix+sentinel://h"},
        {"redis_url": "redis+cluster://h/1"},
        {"redis_url": "redis+cluster://h?db=1"},
    ],
)
def test_wrong_values_are_refused(
    make_settings: Callable[..., Settings], change: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_settings(**change)
    assert [error["loc"][0] for error in caught.value.errors()] == [next(iter(change))]


def test_secrets_are_not_shown(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(
        database_url="postgresql://u:hunter2@h/d", redis_url="redis://:hunter2@h"
    )
    assert "hunter2" not in f"{settings!r} {settings}"
    assert settings.auth_secret.get_secret_value() not in f"{settings!r} {settings}"


def test_lists_are_read_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("REDIS_URL", "redis://h")
    monkeypatch.setenv("STORAGE_URL", "file:///x")
    monkeypatch.setenv("GEN_RETRY_DELAYS_S", "1, 2.5")
    monkeypatch.setenv("GEN_TIMEOUTS_MS", "gemini=90000, openai=1500")
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example,https://b.example")
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    assert settings.gen_retry_delays_s == (1, 2.5)
    assert settings.timeout_s("gemini") == 90
    assert settings.timeout_s("openai") == 1.5
    assert settings.timeout_s("local") == 60
    assert settings.allowed_origins == ("https://a.example", "https://b.example")

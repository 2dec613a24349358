"""Turns what is wrong with the settings into lines that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.settings import Settings

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MISSING_ADDRESS = "; `mintari up` starts one of its own when it is not set"


def explain(error: ValidationError) -> list[str]:
    """One line for each wrong variable: its name, what is wrong, what is allowed.

    Values are shown for numbers and words only, never for secrets or addresses.
    """
    return [_explain_one(detail) for detail in error.errors(include_url=False)]


def _explain_one(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    name = str(detail["loc"][0]).lower() if detail["loc"] else ""
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{name.upper()}: {message}" if name else message
    if detail["type"] == "missing":
        return f"{name.upper()} is not set: {field.description}{_MISSING_ADDRESS}"
    shown = f" (it is {detail['input']!r})" if _may_be_shown(name) else ""
    return f"{name.upper()}: {message}{shown}. {field.description or ''}".strip()


def _may_be_shown(name: str) -> bool:
    return not name.endswith(("_secret", "_url", "_key", "_token", "_password"))

"""Turns errors that a person can act on into lines that say how."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from core.settings import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# By name, so that `mintari up` need not import what only other commands raise.
_CLEAR = {
    "EmbeddedError",
    "PartFailed",
    "SetupError",
    "UnknownProviderError",
    "StorageMisconfigured",
    "StyleFileError",
    "DocumentsFileError",
    "PriceFileError",
    "TracingMissing",
    "ProviderMisconfigured",
    "PolicyError",
    "ClassifierMissing",
}
_MISSING_ADDRESS = "; `mintari up` brings one of its own"


def advice(error: BaseException) -> list[str]:
    """What to tell about an error; nothing for one that only its traceback explains.

    Parts that run together raise groups: the first error of a group counts.
    """
    if isinstance(error, BaseExceptionGroup):
        return advice(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    if isinstance(error, ValidationError):
        return explain(error)
    if _CLEAR & {kind.__name__ for kind in type(error).__mro__}:
        return str(error).splitlines()
    return []


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
        return (
            f"{name.upper()} is not set: {(field.description or '').rstrip('.')}{_MISSING_ADDRESS}"
        )
    shown = f" (it is {detail['input']!r})" if _may_be_shown(name) else ""
    return f"{name.upper()}: {message}{shown}. {field.description or ''}".strip()


def _may_be_shown(name: str) -> bool:
    return not name.endswith(("_secret", "_url", "_key", "_token", "_password"))

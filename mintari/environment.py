"""Writes `.env.example` from the settings: `python -m mintari.environment > .env.example`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pydantic import SecretStr

from core.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD = """\
# Every setting of Mintari. `mintari up` needs none of them; production needs the first ones.
# Copy this file to `.env`, or set the variables in the environment, which wins.
# `mintari doctor` checks them all and tries every connection.

# Where `mintari up` keeps its data. Default: ~/.local/share/mintari
#MINTARI_HOME=
"""


def example() -> str:
    """The text of `.env.example`: each setting with its description and its default."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        parts.append(f"# {field.description}\n{_assignment(name, field)}\n")
    return "\n".join(parts)


def _assignment(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return f"{name.upper()}="
    return f"#{name.upper()}={default_text(field)}"


def default_text(field: FieldInfo) -> str:
    """A setting's default as one would write it; empty if it has none."""
    value: object = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value not in (None, {}) else ""


if __name__ == "__main__":
    sys.stdout.write(example())

"""Texts from users: cleaned, measured, changed by a delta."""

from __future__ import annotations

import re
import unicodedata

from core.errors import InvalidInput

MAX_KEY_CHARS = 255


def clean_text(text: str, *, field: str, max_chars: int) -> str:
    """Normalise (NFC), trim and check a text. Raises InvalidInput.

    NUL and lone surrogates never reach Postgres; other control characters become spaces. Its
    length counts after folding, too: one character may stand for eighteen (U+FDFA).
    """
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise InvalidInput("The text is not valid Unicode.", field=field)
    spaced = "".join(
        " " if _is_control(char) else char for char in unicodedata.normalize("NFC", text)
    )
    cleaned = re.sub(r"[^\S\n]+", " ", spaced).strip()
    length = max(len(cleaned), len(fold(cleaned)))
    if length > max_chars:
        raise InvalidInput(
            f"The text has {length} characters; {max_chars} are allowed.", field=field
        )
    return cleaned


def _is_control(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) == "Cc"


def clean_key(key: str) -> str:
    """Check an idempotency key. Raises InvalidInput."""
    if not 0 < len(key) <= MAX_KEY_CHARS or not (key.isascii() and key.isprintable()):
        raise InvalidInput(
            f"An idempotency key has 1 to {MAX_KEY_CHARS} printable ASCII characters.",
            field="idempotencyKey",
        )
    return key


def fold(text: str) -> str:
    """The form in which two texts are compared: compatibility forms, case and spaces aside."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def apply_delta(prompt: str, negative: str, delta: str) -> tuple[str, str]:
    """The prompt and the negative prompt after a delta.

    Each line of the delta counts by itself: "+ with flying dragons" adds to the prompt,
    "- mushrooms" takes the words out and adds them to the negative prompt, and any other text
    replaces the prompt.
    """
    for line in filter(None, (part.strip() for part in delta.splitlines())):
        rest = line[1:].strip()
        if line.startswith("+"):
            prompt = _join(prompt, rest)
        elif line.startswith("-"):
            prompt = _without(prompt, rest)
            negative = _join(negative, rest)
        else:
            prompt = line
    return prompt, negative


def added_by_delta(delta: str) -> str:
    """The words of a delta that may come into the prompt; none of what it takes out."""
    lines = (line.strip() for line in delta.splitlines())
    return "\n".join(line.removeprefix("+") for line in lines if not line.startswith("-"))


def _join(text: str, more: str) -> str:
    return f"{text}, {more}" if text and more else text or more


def _without(prompt: str, words: str) -> str:
    if not words:
        return prompt
    taken_out = re.sub(rf"\b{re.escape(words)}\b", "", prompt, flags=re.IGNORECASE)
    return re.sub(r"\s*,(\s*,)+", ",", " ".join(taken_out.split())).strip(" ,")

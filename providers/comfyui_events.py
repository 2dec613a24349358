"""What a ComfyUI server says over its websocket, and the progress in it.

https://docs.comfy.org/development/comfyui-server/comms_messages
"""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from typing import Any

import msgspec

from providers.base import Progress

PREVIEW_EVERY_S = 1.0
FEATURES = '{"type": "feature_flags", "data": {"supports_preview_metadata": true}}'
"""Sent first: asks for previews that name their run."""
_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4


class Event(msgspec.Struct):
    """A message in words."""

    type: str
    data: dict[str, Any] = {}


class Steps:
    """How far the samplers are; never goes back."""

    def __init__(self, sampler_names: frozenset[str]) -> None:
        self._samplers = sampler_names
        self._done: dict[str, float] = {}
        self._shown_at_s = time.monotonic()
        self.fraction = 0.0

    def take(self, node: str, value: float, most: float) -> Progress | None:
        """A step of a node; None if it is no step of the painting itself."""
        if most <= 0 or (self._samplers and node not in self._samplers):
            return None
        self._done[node] = max(self._done.get(node, 0.0), min(1.0, value / most))
        parts = max(1, len(self._samplers))
        self.fraction = max(self.fraction, sum(self._done.values()) / parts)
        return Progress(min(1.0, self.fraction))

    def wants_preview(self) -> bool:
        """One comes with every step, the first ones are noise, and each costs a decoding."""
        now_s = time.monotonic()
        if now_s - self._shown_at_s < PREVIEW_EVERY_S:
            return False
        self._shown_at_s = now_s
        return True


def event_in(message: str) -> Event:
    """Events of other forms (nodes of others send their own) are of no interest."""
    try:
        return msgspec.json.decode(message, type=Event)
    except msgspec.MsgspecError:
        return Event("")


def step_in(data: dict[str, Any], steps: Steps) -> Progress | None:
    """The progress in an event's data, if it is that of a sampler."""
    value, most = data.get("value"), data.get("max")
    if not isinstance(value, int | float) or not isinstance(most, int | float):
        return None
    return steps.take(str(data.get("node")), value, most)


def preview_in(message: bytes, run_id: str) -> bytes | None:
    """The picture in a binary message, which begins with its kind and one more number."""
    if len(message) < 8:
        return None
    kind, number = struct.unpack(">II", message[:8])
    if kind == _PREVIEW:
        return message[8:]
    if kind == _PREVIEW_WITH_METADATA:
        metadata, image = message[8 : 8 + number], message[8 + number :]
        with suppress(msgspec.MsgspecError):
            if msgspec.json.decode(metadata, type=dict[str, Any]).get("prompt_id") == run_id:
                return image
    return None

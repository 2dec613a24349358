"""What an image provider is: one protocol, the updates that it yields, the errors that it raises.

    ProviderError
    ├── ProviderTimeout        no answer within the deadline; retryable
    ├── ProviderOverloaded     429 and the like; retryable, maybe after `retry_after_s`
    ├── ProviderUnavailable    connection refused or cut, 5xx; retryable
    ├── ProviderRefused        content blocked at INPUT or OUTPUT; final
    ├── ProviderMisconfigured  key, model or address is wrong; final
    └── BadProviderAnswer      an answer that is no picture; retryable (it may be a glitch)
        └── CallLost           nobody knows the call any more that was to be resumed

Adding a provider is one file with a class of this protocol and one line in `registry.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from core.vocabulary import BlockStage, ErrorCode, ImageSize, ProgressKind, SeedSupport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do; checked before a generation is accepted."""

    sizes: tuple[ImageSize, ...]
    image_input: bool
    text_input: bool
    seed: SeedSupport
    progress: ProgressKind
    cancel: bool
    resume: bool

    def can_paint(self, size: ImageSize, *, has_photo: bool) -> bool:
        """Whether it takes such a job."""
        return size in self.sizes and (self.image_input if has_photo else self.text_input)


@dataclass(frozen=True, slots=True)
class PaintRequest:
    """One picture to paint. Everything that makes the picture is in here and nothing else.

    Attributes:
        request_id: ours, the same for every retry of one attempt (`job:attempt`).
        prompt: what the user asked for.
        assembled_prompt: style, user's prompt and safety text as one text, for providers that
            understand sentences.
        negative_prompt: what the picture must not show; may be empty.
        style: the style's slug.
        style_parameters: this provider's parameters of the style, from its data file.
        size: what was asked for; the real size is the finished picture's own.
        seed: 0 to 2**31 - 1.
        photo: the user's photo, re-encoded by us, or None.
        photo_content_type: its media type when there is one.
    """

    request_id: str
    prompt: str
    assembled_prompt: str
    negative_prompt: str
    style: str
    size: ImageSize
    seed: int
    style_parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    photo: bytes | None = None
    photo_content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the call under an id of its own; it is stored at once, to resume."""

    external_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A step was taken. `fraction` is 0.0 to 1.0 and never goes back; None where unknown.

    `preview` is a small encoded picture of the unfinished frame, at most some 20 KB.
    """

    fraction: float | None
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The picture, encoded (PNG, JPEG or WebP); always the last update.

    `seed` is the one that the provider says it used, if it says so. `usage` is the provider's own
    account of the call (tokens, seconds), numbers only.
    """

    image: bytes
    model: str
    seed: int | None = None
    usage: Mapping[str, float] = field(default_factory=dict[str, float])


Update = Accepted | Progress | Finished


class Provider(Protocol):
    """An image model. Instances are opened once per worker and shared by its jobs."""

    name: ClassVar[str]

    @property
    def model(self) -> str:
        """The model's name, part of what makes a picture (and so of the prompt hash)."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; constant for an instance."""
        ...

    def paint(self, request: PaintRequest) -> AsyncGenerator[Update, None]:
        """Paint one picture; yields updates, the last one Finished.

        Closing the generator (`aclosing`) or cancelling the task that iterates it cancels the
        call: connections are closed and local work stops at its next step. The caller sets the
        deadline. Raises ProviderError; anything else is a bug.
        """
        ...

    def resume(self, request: PaintRequest, external_id: str) -> AsyncGenerator[Update, None]:
        """Go on with a call that an earlier process started (capability `resume`)."""
        ...

    async def check(self) -> str:
        """Try address and credentials without paying; a line for `mintari doctor`.

        Raises ProviderError with a message that tells an operator what to do.
        """
        ...

    async def aclose(self) -> None:
        """Close connections and processes."""
        ...


class ProviderError(Exception):
    """A call that ended without a picture.

    The message is for operators and logs. Clients see `code` and a message of our own, never a
    provider's raw text.
    """

    code: ClassVar[ErrorCode]
    retryable: ClassVar[bool]
    outcome_known: bool = True
    """False: the call may be painted and billed all the same, as nobody has said how it ended.

    Such a call can be made again where it was made, or resumed; another provider is not asked.
    """

    def without_outcome(self) -> Self:
        """The same error of a call whose end is not known."""
        self.outcome_known = False
        return self


class ProviderTimeout(ProviderError):
    """No answer within the deadline."""

    code = ErrorCode.TIMEOUT
    retryable = True
    outcome_known = False


class ProviderOverloaded(ProviderError):
    """Too many requests, or a quota is used up.

    `retry_after_s` is what the provider asked for, in seconds; None when it did not say.
    `exhausted` is True for a quota that seconds will not bring back (a per-day quota), which is
    there again in `resets_in_s` seconds; None when that is not known.
    """

    code = ErrorCode.PROVIDER_OVERLOADED
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        exhausted: bool = False,
        resets_in_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.exhausted = exhausted
        self.resets_in_s = resets_in_s


class ProviderUnavailable(ProviderError):
    """Connection refused, reset or cut, or a 5xx answer."""

    code = ErrorCode.PROVIDER_UNAVAILABLE
    retryable = True


class ProviderRefused(ProviderError):
    """The content was blocked: never retried."""

    code = ErrorCode.CONTENT_BLOCKED
    retryable = False

    def __init__(self, message: str, *, stage: BlockStage) -> None:
        super().__init__(message)
        self.stage = stage


class ProviderMisconfigured(ProviderError):
    """A key, model name or address is wrong: an operator must act."""

    code = ErrorCode.PROVIDER_MISCONFIGURED
    retryable = False


class BadProviderAnswer(ProviderError):
    """The answer is not what the contract says: no picture, garbage, too large."""

    code = ErrorCode.BAD_PROVIDER_ANSWER
    retryable = True


class CallLost(BadProviderAnswer):
    """The provider knows no call of that id (any more): only a new one can help."""

    outcome_known = False

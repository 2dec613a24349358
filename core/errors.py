"""Errors that belong to the product, as exceptions that the schema turns into data or statuses.

MintariError
├── OperationError           data: one member of a mutation's union
│   ├── InvalidInput         a field is out of range; says which, what is allowed
│   ├── PromptRejected       the prompt's content is not allowed
│   ├── UploadNotFound       no such upload of this viewer's
│   ├── UploadRejected       the file is no picture that we take
│   ├── JobNotFound          no such job of this viewer's
│   ├── GenerationNotFound   no such generation of this viewer's
│   ├── NotRegenerable       the job cannot be regenerated (its upload is gone, ...)
│   ├── IdempotencyConflict  the key was used with other arguments
│   ├── WebhookNotFound      no such webhook of this viewer's
│   └── WebhookRefused       the viewer may not have one, or not one more
└── RequestError             a GraphQL error with an HTTP status: any operation can meet it
    ├── Unauthenticated      401
    ├── Forbidden            403
    ├── RateLimited          429, with Retry-After
    ├── Overloaded           503, with Retry-After
    └── DeadlineExceeded     504
"""

from __future__ import annotations

from typing import ClassVar

from core.vocabulary import ErrorCode


class MintariError(Exception):
    """Base of the errors whose message may be shown to a client."""

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class OperationError(MintariError):
    """An outcome of one operation that its client should handle."""


class InvalidInput(OperationError):
    """A value is not allowed. `field` names it as the client wrote it."""

    code = "INVALID_INPUT"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class PromptRejected(OperationError):
    """The prompt's content is not allowed; which word matched is never said."""

    code = "PROMPT_REJECTED"

    def __init__(self, message: str, *, category: str) -> None:
        super().__init__(message)
        self.category = category


class UploadNotFound(OperationError):
    """The viewer has no such upload."""

    code = "UPLOAD_NOT_FOUND"


class UploadRejected(OperationError):
    """The file is not a picture that we take."""

    code = "UPLOAD_REJECTED"


class JobNotFound(OperationError):
    """The viewer has no such job."""

    code = "JOB_NOT_FOUND"


class GenerationNotFound(OperationError):
    """The viewer has no such generation."""

    code = "GENERATION_NOT_FOUND"


class NotRegenerable(OperationError):
    """The job cannot be made again."""

    code = "NOT_REGENERABLE"


class IdempotencyConflict(OperationError):
    """The idempotency key was used before with other arguments."""

    code = "IDEMPOTENCY_CONFLICT"


class WebhookNotFound(OperationError):
    """The viewer has no such webhook."""

    code = "WEBHOOK_NOT_FOUND"


class WebhookRefused(OperationError):
    """The viewer may not have a webhook, or not one more, or no secret can be made for it."""

    code = "WEBHOOK_REFUSED"


class RequestError(MintariError):
    """An error that any operation can meet, with its HTTP status."""

    status: ClassVar[int]

    @property
    def extensions(self) -> dict[str, object]:
        """What goes into the GraphQL error's extensions."""
        return {"code": self.code}


class Unauthenticated(RequestError):
    """No token, or one that does not hold."""

    code = "UNAUTHENTICATED"
    status = 401


class Forbidden(RequestError):
    """Only operators may do this."""

    code = "FORBIDDEN"
    status = 403


class RetryLaterError(RequestError):
    """Worth another try after `retry_after_s` seconds (whole, at least 1)."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, retry_after_s)

    @property
    def extensions(self) -> dict[str, object]:
        """Adds when to try again."""
        return {**super().extensions, "retryAfterSeconds": self.retry_after_s}


class RateLimited(RetryLaterError):
    """Too many requests, or too many active jobs. `limit` is the number that was reached."""

    code = "RATE_LIMITED"
    status = 429

    def __init__(self, message: str, *, limit: int, retry_after_s: int) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.limit = limit

    @property
    def extensions(self) -> dict[str, object]:
        """Adds the limit that was reached."""
        return {**super().extensions, "limit": self.limit}


class Overloaded(RetryLaterError):
    """The service cannot take work right now."""

    code = "OVERLOADED"
    status = 503


class DeadlineExceeded(RequestError):
    """The operation took too long and was ended."""

    code = "DEADLINE_EXCEEDED"
    status = 504


JOB_ERROR_MESSAGES: dict[ErrorCode, str] = {
    ErrorCode.TIMEOUT: "The image provider did not answer in time. Please try again.",
    ErrorCode.PROVIDER_OVERLOADED: "The image provider is busy. Please try again later.",
    ErrorCode.PROVIDER_UNAVAILABLE: "The image provider could not be reached. Please try again.",
    ErrorCode.PROVIDER_MISCONFIGURED: "The image provider is not set up correctly here.",
    ErrorCode.PROVIDER_PAUSED: "The image provider has been failing, or its quota is used up, and"
    " nothing else may paint this frame. Please try again later.",
    ErrorCode.BAD_PROVIDER_ANSWER: "The image provider sent no usable picture. Please try again.",
    ErrorCode.CONTENT_BLOCKED: "The content was blocked. Please change the prompt or the photo.",
    ErrorCode.OUTCOME_UNKNOWN: "The work was interrupted and was not repeated, as that could cost"
    " twice. Start it again if you like.",
    ErrorCode.STORAGE_UNAVAILABLE: "The picture could not be stored. Please try again later.",
    ErrorCode.UPLOAD_GONE: "The uploaded photo is no longer there. Please upload it again.",
    ErrorCode.WORKER_CRASHED: "Painting this frame failed repeatedly.",
    ErrorCode.INTERNAL: "Something went wrong on our side. Please try again.",
}

RETRYABLE_CODES = frozenset(
    {
        ErrorCode.TIMEOUT,
        ErrorCode.PROVIDER_OVERLOADED,
        ErrorCode.PROVIDER_UNAVAILABLE,
        ErrorCode.PROVIDER_PAUSED,
        ErrorCode.BAD_PROVIDER_ANSWER,
        ErrorCode.OUTCOME_UNKNOWN,
        ErrorCode.STORAGE_UNAVAILABLE,
        ErrorCode.INTERNAL,
    }
)
"""Codes after which the same request may well succeed when a person starts it again."""

"""Errors that belong to one operation, as data: members of the mutations' unions."""

from __future__ import annotations

import dataclasses

import strawberry
from strawberry.types.field import StrawberryField

from core import errors


@strawberry.interface(description="Something about the request that its client should handle.")
class UserError:
    """An expected outcome that is not success."""

    code: str = strawberry.field(description="For programs.")
    message: str = strawberry.field(description="For people: what was wrong and what to do.")


@strawberry.type(description="A value is not allowed.")
class InvalidInput(UserError):
    """A value is not allowed."""

    field: str = strawberry.field(description="The input's field, as in the schema.")


@strawberry.type(description="The prompt's content is not allowed.")
class PromptRejected(UserError):
    """The prompt's content is not allowed."""

    category: str = strawberry.field(
        description="What kind of content it is: minors, sexual, self_harm, hate, violence or"
        " deception, unless the service has a policy of its own. Which words led to it is not told."
    )


@strawberry.type(description="The viewer has no such upload.")
class UploadNotFound(UserError):
    """No such upload."""


@strawberry.type(description="The file is not a photo that is taken.")
class UploadRejected(UserError):
    """Not a photo."""


@strawberry.type(description="The viewer has no such job.")
class JobNotFound(UserError):
    """No such job."""


@strawberry.type(description="The viewer has no such generation.")
class GenerationNotFound(UserError):
    """No such generation."""


@strawberry.type(description="The job cannot be made again.")
class NotRegenerable(UserError):
    """Cannot be made again."""


@strawberry.type(description="The idempotency key was used before with other arguments.")
class IdempotencyConflict(UserError):
    """The key stands for something else."""


@strawberry.type(description="The viewer has no such webhook.")
class WebhookNotFound(UserError):
    """No such webhook."""


@strawberry.type(
    description="The viewer may not have a webhook, or not one more, or it can have no secret here."
)
class WebhookRefused(UserError):
    """No more webhooks."""


_MEMBERS: dict[type[errors.OperationError], type[UserError]] = {
    errors.InvalidInput: InvalidInput,
    errors.PromptRejected: PromptRejected,
    errors.UploadNotFound: UploadNotFound,
    errors.UploadRejected: UploadRejected,
    errors.JobNotFound: JobNotFound,
    errors.GenerationNotFound: GenerationNotFound,
    errors.NotRegenerable: NotRegenerable,
    errors.IdempotencyConflict: IdempotencyConflict,
    errors.WebhookNotFound: WebhookNotFound,
    errors.WebhookRefused: WebhookRefused,
}


class _Handler:
    """Turns a domain error into its member, in fields whose union has that member."""

    def __init__(self, error: type[errors.OperationError], member: type[UserError]) -> None:
        self.exception_type = error
        self.error_type = member
        self._fields = tuple(field.name for field in dataclasses.fields(member))

    def handle(
        self, exception: errors.OperationError, *, field: StrawberryField, info: strawberry.Info
    ) -> UserError:
        """The member with the error's values."""
        del field, info
        return self.error_type(**{name: getattr(exception, name) for name in self._fields})


HANDLERS: list[strawberry.ExceptionHandler[errors.OperationError, UserError]] = [
    _Handler(error, member) for error, member in _MEMBERS.items()
]
"""For `strawberry.Schema(exception_handlers=...)`."""

"""Reading a GraphQL request from HTTP: query, variables, operationName, extensions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from strawberry.file_uploads.utils import replace_placeholders_with_files

from transport.problem import Problem

if TYPE_CHECKING:
    from starlette.types import Message, Receive

MAX_JSON_BYTES = 256 * 1024
"""Of a JSON body: some fifty times a large document with its variables."""
MAX_DISCARDED_BYTES = 16 * 2**20
READ_DEADLINE_S = 30.0
"""For a whole body to arrive; a phone on a bad network sends a photo of 12 MB in less."""


class Parameters(msgspec.Struct, frozen=True, rename="camel"):
    """The parameters of a request (GraphQL over HTTP, section 5.1, and persisted documents)."""

    query: str | None = None
    document_id: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.operation_name == "":
            # Forms and older tools send an empty name where they have none.
            msgspec.structs.force_setattr(self, "operation_name", None)

    @property
    def names_document(self) -> bool:
        """Whether the document is named by an id, with or without its text."""
        return self.document_id is not None or "persistedQuery" in (self.extensions or {})


async def read_parameters(request: Request, max_form_bytes: int) -> Parameters:
    """Read and check the parameters. Raises Problem."""
    if request.method == "GET":
        return _from_query_string(request)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Send the body without a content coding.")
    media_type = _media_type(request)
    try:
        async with asyncio.timeout(READ_DEADLINE_S):
            if media_type == "application/json":
                return _convert(_decode(await _read(request, MAX_JSON_BYTES)))
            if media_type == "multipart/form-data":
                return await _from_form(request, max_form_bytes)
    except TimeoutError:
        raise Problem(408, "TIMEOUT", "The body did not arrive in time.") from None
    raise Problem(
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "The content type must be application/json, or multipart/form-data for files.",
        {"accept": "application/json, multipart/form-data"},
    )


def _media_type(request: Request) -> str:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    name, _, charset = parameters.strip().lower().partition("=")
    if name == "charset" and charset.strip('"') not in ("utf-8", "utf8"):
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be UTF-8.")
    return media_type.strip().lower()


def _from_query_string(request: Request) -> Parameters:
    given: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _decode(given[name].encode()) if given[name] else None
    return _convert(given)


async def _from_form(request: Request, max_bytes: int) -> Parameters:
    """The GraphQL multipart request specification (jaydenseric, 2.0)."""
    if "graphql-require-preflight" not in request.headers:
        # A form on another site must not be able to send this with a user's cookies.
        raise Problem(
            400, "BAD_REQUEST", "Multipart requests need the header GraphQL-Require-Preflight: 1."
        )
    form = await _limited(request, max_bytes).form(max_files=4, max_fields=4)
    # Closed by the endpoint, once the operation has read the files.
    request.state.form = form
    operations, places = form.get("operations"), form.get("map")
    if not isinstance(operations, str) or not isinstance(places, str):
        raise Problem(400, "BAD_REQUEST", "The form needs the fields `operations` and `map`.")
    files = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
    decoded, decoded_places = _decode(operations.encode()), _decode(places.encode())
    if not isinstance(decoded, dict) or not isinstance(decoded_places, dict):
        raise Problem(400, "BAD_REQUEST", "`operations` and `map` must be JSON objects.")
    try:
        filled = replace_placeholders_with_files(
            cast("Any", decoded), cast("Any", decoded_places), files
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        message = "`map` must name the files of the form and their places in `operations`."
        raise Problem(400, "BAD_REQUEST", message) from None
    return _convert(filled)


async def _read(request: Request, max_bytes: int) -> bytes:
    return b"".join([chunk async for chunk in _limited(request, max_bytes).stream()])


def _limited(request: Request, max_bytes: int) -> Request:
    """The request, with an end to its body."""
    receive, left = request.receive, max_bytes

    async def receive_some() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            await _discard(receive, message)
            raise Problem(413, "CONTENT_TOO_LARGE", f"The body may have {max_bytes:,} bytes.")
        return message

    return Request(request.scope, cast("Receive", receive_some))


async def _discard(receive: Receive, message: Message) -> None:
    """Read on, within reason: a client that is cut off while it sends never sees the answer."""
    left = MAX_DISCARDED_BYTES
    while left > 0 and message.get("more_body"):
        message = await receive()
        left -= len(message.get("body", b""))


def _decode(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "BAD_REQUEST", "The body must be JSON in UTF-8.") from None


def _convert(given: Any) -> Parameters:
    if isinstance(given, list):
        raise Problem(400, "BAD_REQUEST", "Send one operation at a time, not a list.")
    try:
        parameters = msgspec.convert(given, Parameters)
    except msgspec.ValidationError as error:
        raise Problem(
            400, "BAD_REQUEST", f"The parameters are not as they should be: {error}."
        ) from None
    names_one = parameters.document_id or "persistedQuery" in (parameters.extensions or {})
    if not (parameters.query or names_one):
        raise Problem(400, "BAD_REQUEST", "The parameter `query` is missing.")
    return parameters

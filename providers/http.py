"""How providers are spoken to over HTTP: deadlines, size caps, typed errors, no key in any text."""

from __future__ import annotations

import binascii
import contextlib
import functools
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit

import httpx
import msgspec

from providers.base import (
    BadProviderAnswer,
    ProviderError,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderTimeout,
    ProviderUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from core.settings import Settings

    File = tuple[str, bytes, str]

T = TypeVar("T")
MAX_ERROR_BYTES = 64 * 1024
MAX_DETAIL_CHARS = 300
_PICTURE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may cost: seconds to connect, seconds of silence, bytes."""

    connect_s: float
    silence_s: float
    answer_bytes: int

    @classmethod
    def of(cls, settings: Settings, provider: str) -> Limits:
        """From the settings; silence as long as the deadline of one of its calls."""
        return cls(
            connect_s=settings.provider_connect_timeout_s,
            silence_s=settings.timeout_s(provider),
            answer_bytes=settings.provider_max_answer_bytes,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers (names in lower case) and at most the allowed bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A client of one provider: its address, its credentials, its limits.

    `name` and `address_setting` go into messages, so that an operator knows what to change.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        limits: Limits,
        *,
        address_setting: str,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.base_url = base_url
        self.limits = limits
        self._address_setting = address_setting
        self._secrets = tuple(secret for secret in secrets if secret)
        self._client = httpx.AsyncClient(
            # Compressed answers could grow without bound in one step of decoding.
            headers={"accept-encoding": "identity", **(headers or {})},
            verify=trusted_authorities(),
            timeout=httpx.Timeout(limits.silence_s, connect=limits.connect_s),
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=20),
            follow_redirects=False,
            # A proxy of the environment is for the outside, never for this machine.
            trust_env=not _is_loopback(base_url),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        files: Mapping[str, File] | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        """Send a request; leaving the block in any way closes what is left of the answer.

        Raises ProviderTimeout, ProviderUnavailable, ProviderMisconfigured.
        """
        try:
            async with self._client.stream(
                method, url, content=content, headers=headers, data=fields, files=files
            ) as response:
                if response.is_redirect:
                    raise ProviderMisconfigured(
                        f"{self.name} redirects elsewhere ({response.status_code}):"
                        f" correct {self._address_setting}"
                    )
                yield response
        except httpx.HTTPError as error:
            raise self._connection_error(error) from None
        except httpx.InvalidURL:
            raise ProviderMisconfigured(f"{self._address_setting} is no address") from None

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and read its answer, whatever its status.

        Raises BadProviderAnswer for one that is too large, and what `stream` raises.
        """
        async with self.stream(method, url, content=content, headers=headers) as response:
            cap = self.limits.answer_bytes if response.is_success else MAX_ERROR_BYTES
            body = await self.read(response, cap)
            return Answer(response.status_code, dict(response.headers), body)

    async def events(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        """The data of an answer's server-sent events. Raises BadProviderAnswer.

        https://html.spec.whatwg.org/multipage/server-sent-events.html; names and ids of events
        are of no interest here. The whole stream may be as large as one answer.
        """
        pending, data, received = bytearray(), bytearray(), 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if received > self.limits.answer_bytes:
                raise BadProviderAnswer(
                    f"{self.name} sent more than {self.limits.answer_bytes} bytes"
                )
            if b"\n" not in chunk:
                pending += chunk
                continue
            *lines, rest = (bytes(pending) + chunk).split(b"\n")
            pending = bytearray(rest)
            for line in lines:
                text = line.removesuffix(b"\r")
                if text.startswith(b"data:"):
                    data += text[5:].removeprefix(b" ")
                elif not text and data:
                    yield bytes(data)
                    data.clear()

    async def post_json(
        self, url: str, body: object, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """POST a value as JSON, like `request`."""
        headers = {"content-type": "application/json", **(headers or {})}
        return await self.request("POST", url, content=msgspec.json.encode(body), headers=headers)

    async def read(self, response: httpx.Response, cap_bytes: int) -> bytes:
        """Read an answer's bytes. Raises BadProviderAnswer once they are more than allowed."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise BadProviderAnswer(f"{self.name} compressed an answer although it must not")
        declared = response.headers.get("content-length", "")
        received = bytearray()
        if not (declared.isdigit() and int(declared) > cap_bytes):
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > cap_bytes:
                    break
            else:
                return bytes(received)
        if response.is_success:
            raise BadProviderAnswer(f"{self.name} sent more than {cap_bytes} bytes")
        # The beginning of an error page says enough.
        return bytes(received[:cap_bytes])

    def decode(self, answer: Answer, kind: type[T]) -> T:
        """An answer's JSON as `kind`. Raises BadProviderAnswer."""
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            what = answer.headers.get("content-type", "no content type")
            raise BadProviderAnswer(
                self.redact(f"{self.name} sent {len(answer.body)} bytes of {what}: {error}")
            ) from None

    def error_of(
        self, answer: Answer, detail: str, *, retry_after_s: float | None = None
    ) -> ProviderError:
        """What a status outside of 2xx means where the provider has no better word for it."""
        status = answer.status
        text = self.redact(f"{self.name} answered {status}: {detail}")
        if status == 429:
            asked_s = retry_after_s if retry_after_s is not None else retry_after(answer)
            return ProviderOverloaded(text, retry_after_s=asked_s)
        if status in (408, 504):
            return ProviderTimeout(text)
        if status == 502:
            # A gateway's word about a server that it has lost: that one may go on.
            return ProviderUnavailable(text).without_outcome()
        if status >= 500:
            return ProviderUnavailable(text)
        return ProviderMisconfigured(text)

    def redact(self, text: str) -> str:
        """Cut a text from outside to a length for logs, without any credential."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:MAX_DETAIL_CHARS]

    def _connection_error(self, error: httpx.HTTPError) -> ProviderError:
        host = urlsplit(self.base_url).hostname
        kind = type(error).__name__
        if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
            return ProviderUnavailable(f"{self.name}: no connection to {host} ({kind})")
        if isinstance(error, httpx.TimeoutException):
            return ProviderTimeout(f"{self.name}: {host} fell silent ({kind})")
        if isinstance(error, httpx.UnsupportedProtocol):
            return ProviderMisconfigured(f"{self._address_setting} must start with https://")
        reason = _root_of(error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ProviderMisconfigured(
                f"{self.name}: the certificate of {host} does not hold"
                f" ({reason.verify_message}): check {self._address_setting}"
            )
        if isinstance(reason, socket.gaierror):
            return ProviderUnavailable(
                f"{self.name}: the name {host} is not found: check {self._address_setting}"
            )
        if isinstance(error, httpx.ConnectError):
            return ProviderUnavailable(
                f"{self.name}: {host} takes no connection: check {self._address_setting}"
            )
        return ProviderUnavailable(
            f"{self.name}: {host} cut the connection ({kind})"
        ).without_outcome()


@functools.cache
def trusted_authorities() -> ssl.SSLContext:
    """The certificates that are trusted; read once, which takes 20 ms and more."""
    return httpx.create_ssl_context()


def check_base_url(url: str, setting: str) -> str:
    """An address of a provider without a slash at its end. Raises ProviderMisconfigured."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ProviderMisconfigured(f"{setting} must be like https://host/path")
    if parts.username or parts.password:
        raise ProviderMisconfigured(f"{setting} must not hold credentials")
    return url.rstrip("/")


def check_picture(name: str, content: bytes) -> bytes:
    """See that bytes begin as a PNG, JPEG or WebP does. Raises BadProviderAnswer."""
    if not content.startswith(_PICTURE_STARTS):
        raise BadProviderAnswer(f"{name} sent {len(content)} bytes that are no picture")
    return content


def decode_picture(name: str, encoded: str) -> bytes:
    """A picture from base64, maybe as a data URL. Raises BadProviderAnswer."""
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    try:
        content = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        raise BadProviderAnswer(f"{name} sent a picture whose base64 is broken") from None
    return check_picture(name, content)


def numbers_of(account: Mapping[str, object]) -> dict[str, float]:
    """The numbers in a provider's account of a call; those of an object as `object.name`."""
    numbers: dict[str, float] = {}
    for name, value in account.items():
        if isinstance(value, dict):
            inner = numbers_of(cast("dict[str, object]", value))
            numbers |= {f"{name}.{key}": number for key, number in inner.items()}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[name] = float(value)
    return numbers


def retry_after(answer: Answer) -> float | None:
    """The header Retry-After in seconds, where it is a number."""
    value = answer.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _root_of(error: BaseException) -> BaseException:
    """The first cause: httpx and httpcore wrap what the socket said."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error

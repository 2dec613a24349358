"""Every setting of the product, read once from the environment (and `.env`), checked, immutable.

`.env.example` lists them all; a test keeps the two in step. Units are in the names.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping  # noqa: TC003  # pydantic reads the annotation
from importlib.util import find_spec
from pathlib import Path  # noqa: TC003  # pydantic reads the annotation
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.redis_url import parse_redis_url

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
AllowedDocuments = Literal["any", "registered"]
AuthMode = Literal["auto", "secret", "jwks", "supabase"]
OnUnknownOutcome = Literal["retry", "stop"]


class Settings(BaseSettings):
    """The environment, typed. Raises pydantic.ValidationError that names each wrong variable."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    # Addresses
    # repr=False: addresses hold passwords, and settings turn up in tracebacks.
    database_url: str = Field(
        repr=False, description="postgresql://user:password@host:5432/mintari"
    )
    redis_url: str = Field(
        repr=False,
        description="redis://host:6379/0, unix:///path?db=0,"
        " redis+sentinel://host1:26379,host2:26379/0?service=mymaster or"
        " redis+cluster://host1:6379,host2:6379; rediss with TLS.",
    )
    storage_url: str = Field(
        description="Where pictures live: file:///an/absolute/folder, supabase://bucket or"
        " s3://bucket/prefix?endpoint=https://...&region=... (also public_endpoint, style)."
    )
    api_host: str = Field(default="127.0.0.1", description="The address that the API binds to.")
    api_port: int = Field(default=8000, ge=0, le=65535, description="The port of the API.")
    api_public_url: str = Field(
        default="",
        description="How browsers reach the API, https://api.example.com. Empty: host and port.",
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated web origins that may call the API and open sockets.",
    )

    # Identity
    auth_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Shared secret of the HS256 bearer tokens, 32 characters or more.",
    )
    auth_mode: AuthMode = Field(
        default="auto",
        description="Whose tokens are taken: secret, jwks or supabase; auto: the first of"
        " AUTH_JWKS_URL, AUTH_SECRET, SUPABASE_URL that is set.",
    )
    auth_jwks_url: str = Field(
        default="",
        description="Where the keys of ES256, RS256 and EdDSA tokens are (JWK Set), https.",
    )
    auth_timeout_s: PositiveFloat = Field(
        default=5, description="Deadline of a request for keys, seconds."
    )
    auth_allow_anonymous: bool = Field(
        default=False, description="Take tokens with the claim is_anonymous, at lower quotas."
    )
    auth_issuer: str = Field(default="", description="Required `iss` of tokens; empty: any.")
    auth_audience: str = Field(default="", description="Required `aud` of tokens; empty: any.")
    auth_role_claim: str = Field(
        default="role",
        description="Where a token says `operator`, as text or in a list: a claim that only its"
        " issuer can set, or a path like app_metadata.role.",
    )
    auth_leeway_s: float = Field(
        default=5, ge=0, le=300, description="Clock skew allowed, seconds."
    )
    url_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Signs picture URLs, 32 characters or more. Empty: derived from AUTH_SECRET.",
    )
    url_ttl_s: int = Field(default=3600, ge=60, description="Least life of a picture URL, seconds.")
    introspection: bool | None = Field(
        default=None,
        description="Whether the schema can be asked for; default: in development only.",
    )
    dev_mode: bool = Field(
        default=False,
        description="Development conveniences (GraphiQL, a token for the page). Loopback only.",
    )

    # Generations
    gen_provider: str = Field(default="local", description="The provider when none is named.")
    gen_timeout_ms: PositiveInt = Field(
        default=60_000, description="Deadline of one provider call, milliseconds."
    )
    gen_timeouts_ms: Annotated[Mapping[str, PositiveInt], NoDecode] = Field(
        default_factory=dict[str, int],
        description="Deadlines of single providers, milliseconds: gemini=90000,openai=120000",
    )
    gen_max_variants: int = Field(default=3, ge=1, le=8, description="Frames per generation.")
    gen_retry_delays_s: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(2.0, 5.0), description="Pauses before each new try, seconds, comma-separated."
    )
    gen_max_retry_after_s: PositiveFloat = Field(
        default=120, description="A provider that asks for a longer pause fails the job, seconds."
    )
    gen_on_unknown_outcome: OnUnknownOutcome = Field(
        default="retry",
        description="A provider call that a crash cut off may have been billed: retry or stop.",
    )
    gen_fallback_providers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated providers that paint, in this order, what the default one"
        " cannot paint now; empty: none.",
    )
    gen_breaker_failures: int = Field(
        default=5,
        ge=0,
        description="Calls that fail in a row until a provider is paused; 0: none ever is.",
    )
    gen_breaker_window_s: PositiveFloat = Field(
        default=60, description="Within how long they must fail, seconds."
    )
    gen_breaker_pause_s: PositiveFloat = Field(
        default=30, description="How long a provider is paused before one call tries it, seconds."
    )
    gen_breaker_quota_pause_s: PositiveFloat = Field(
        default=3600, description="The same when a quota is used up and nobody says until when."
    )
    gen_max_hold_s: PositiveFloat = Field(
        default=300, description="A job waits this long for a paused provider, then fails, seconds."
    )
    prompt_max_chars: PositiveInt = Field(default=1000, description="Longest prompt, characters.")
    styles_file: Path | None = Field(default=None, description="Own styles; empty: the built-in.")
    local_processes: int = Field(
        default=0,
        ge=0,
        description="Processes of the local painter per worker, one core each; 0: one per core,"
        " 3 at most.",
    )

    # Safety
    safety_lists: Path | None = Field(
        default=None, description="Folder with own word lists and rules, see docs/safety.md."
    )
    safety_pictures_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Photos and frames with this score (0 to 1) or more are refused; needs"
        " mintari[nsfw]. Empty: none are judged.",
    )
    audit_prompts: bool = Field(
        default=False, description="Keep prompts' texts in the audit, not only their hashes."
    )

    # Providers
    gemini_api_key: SecretStr = Field(
        default=SecretStr(""), description="Sets up the provider gemini: its API key."
    )
    gemini_base_url: str = Field(
        default="https://generativelanguage.googleapis.com/v1beta",
        description="Address of Gemini's API, with or without the version at its end.",
    )
    gemini_model: str = Field(
        default="gemini-2.5-flash-image", description="Gemini's model that paints."
    )
    banana_api_key: SecretStr = Field(
        default=SecretStr(""), description="Sets up the provider banana: its API key."
    )
    banana_base_url: str = Field(
        default="https://api.banana.dev",
        description="Address of Banana's API, or a project's: https://name.run.banana.dev.",
    )
    banana_model_key: str = Field(default="", description="Which of Banana's models paints.")
    banana_route: str = Field(
        default="", description="Path of a project's own URL; empty: start/v4 and check/v4."
    )
    banana_output_key: str = Field(
        default="image_base64",
        description="Where the model's output has the picture: a name, or a path like images.0.",
    )
    banana_photo_key: str = Field(
        default="init_image",
        description="The model's input for a photo (base64); empty: it takes none.",
    )
    openai_api_key: SecretStr = Field(
        default=SecretStr(""), description="Sets up the provider openai: its API key."
    )
    openai_base_url: str = Field(
        default="https://api.openai.com/v1",
        description="Address of OpenAI's API, or of a compatible one, with its version.",
    )
    openai_model: str = Field(
        default="gpt-image-2.5-flare", description="OpenAI's model that paints."
    )
    openai_previews: int = Field(
        default=2,
        ge=0,
        le=3,
        description="Unfinished pictures per call, shown live; each costs some 100 tokens.",
    )
    comfyui_base_url: str = Field(
        default="",
        description="Sets up the provider comfyui: the server's address, http://gpu.local:8188.",
    )
    comfyui_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token of a proxy in front of ComfyUI."
    )
    comfyui_checkpoint: str = Field(
        default="sd_xl_base_1.0.safetensors", description="ComfyUI's model file that paints."
    )
    comfyui_workflow: Path | None = Field(
        default=None,
        description="Own graph for sentences (API format, places like %prompt%, see"
        " providers/comfyui_workflow.py); empty: the built-in ones.",
    )
    comfyui_photo_workflow: Path | None = Field(
        default=None, description="Own graph for photos, with a place %photo%."
    )
    provider_result_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated hosts whose https URLs a provider may answer with:"
        " cdn.example.com, *.example.com or host:port.",
    )
    provider_result_loopback: bool = Field(
        default=False, description="Also take such URLs of this machine, for stand-ins."
    )
    provider_connect_timeout_s: PositiveFloat = Field(
        default=10, description="Deadline of a connection to a provider, seconds."
    )
    provider_max_answer_bytes: PositiveInt = Field(
        default=40 * 2**20, description="A provider's larger answers are cut off, bytes."
    )

    # Storage
    storage_timeout_s: PositiveFloat = Field(
        default=30, description="Deadline of one request to S3 or Supabase, seconds."
    )
    s3_access_key_id: str = Field(
        default="", description="Key of the S3 bucket; empty: as AWS's own tools find one."
    )
    s3_secret_access_key: SecretStr = Field(
        default=SecretStr(""), description="The secret of that key."
    )
    supabase_url: str = Field(
        default="", description="The project's address, https://project.supabase.co."
    )
    supabase_service_key: SecretStr = Field(
        default=SecretStr(""),
        description="The project's service_role key, or a secret key (sb_secret_...).",
    )

    # Admission
    rate_limit_max_requests: PositiveInt = Field(
        default=10, description="Generation requests per user in any window."
    )
    rate_limit_window_ms: PositiveInt = Field(
        default=60_000, description="The rate limit's window, milliseconds."
    )
    max_active_jobs: PositiveInt = Field(
        default=3, description="Jobs of one user that may be PENDING or RUNNING at once."
    )
    max_requests_per_s: PositiveFloat = Field(
        default=50,
        description="GraphQL requests of one user, or one address without a token, a second on one"
        " API process: docs/protocol.md.",
    )
    max_sockets_per_user: PositiveInt = Field(
        default=50, description="Websockets and streams of one user on one API process."
    )
    max_sockets_per_address: PositiveInt = Field(
        default=1000,
        description="Websockets and streams from one address on one API process.",
    )
    max_operations_per_user: PositiveInt = Field(
        default=300,
        description="Operations of one user at once, on all websockets to one API process.",
    )
    anonymous_max_requests: PositiveInt = Field(
        default=3, description="Generation requests per anonymous user in any window."
    )
    anonymous_max_requests_per_address: PositiveInt = Field(
        default=10, description="The same of all anonymous users of one address together."
    )
    anonymous_max_active_jobs: PositiveInt = Field(
        default=3, description="Active jobs of one anonymous user at once."
    )
    idempotency_ttl_s: PositiveInt = Field(
        default=86_400, description="How long an idempotency key replays its answer, seconds."
    )

    # Operations
    max_operation_cost: PositiveInt = Field(
        default=5000,
        description="What one GraphQL operation may cost: docs/protocol.md has the prices.",
    )
    operation_timeout_s: PositiveFloat = Field(
        default=30,
        description="Deadline of a query or mutation, and of a subscription's first result,"
        " seconds.",
    )
    allowed_documents: AllowedDocuments = Field(
        default="any",
        description="any, or registered: only the page's documents and those of DOCUMENTS_FILES.",
    )
    documents_files: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated JSON files of documents by id, beside the page's own.",
    )

    # Uploads
    upload_max_bytes: PositiveInt = Field(default=12 * 2**20, description="Largest photo, bytes.")
    upload_avif: bool = Field(default=False, description="Also take AVIF photos.")
    upload_heic: bool = Field(
        default=False, description="Also take HEIC photos; needs mintari[heic]."
    )
    upload_max_pixels: PositiveInt = Field(
        default=50_000_000, description="Largest photo, width times height, pixels."
    )
    upload_deadline_s: PositiveFloat = Field(
        default=20, description="Deadline of decoding one photo, seconds."
    )

    # Workers
    worker_name: str = Field(
        default="",
        description="Stable and unique name: a restarted worker frees its predecessor's leases.",
    )
    worker_concurrency: int = Field(
        default=0,
        ge=0,
        description="Jobs a worker runs at once; 0: one per painter process, or 16 without it.",
    )
    worker_drain_s: PositiveFloat = Field(
        default=70, description="How long a stopping worker lets jobs finish, seconds."
    )
    lease_s: float = Field(
        default=15, ge=0.5, description="A worker that is silent this long loses its jobs, seconds."
    )
    sweep_interval_s: float = Field(
        default=1, ge=0.05, description="Pause between a worker's healing sweeps, seconds."
    )
    max_crashes: PositiveInt = Field(
        default=3, description="A job that lost its worker this often ends FAILED."
    )

    # Webhooks
    webhooks_per_user: int = Field(
        default=5, ge=0, description="Webhooks that a user may have; 0: none."
    )
    webhook_secrets_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Encrypt webhooks' secrets in the database: comma-separated keys of 32"
        " characters or more, the newest first (openssl rand -hex 32). Empty: no webhook can be"
        " made.",
    )
    webhook_timeout_s: PositiveFloat = Field(
        default=15, description="Deadline of one try at telling a webhook, seconds."
    )
    webhook_retry_delays_s: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400),
        description="Pauses before each new try, seconds, comma-separated; some 3 days by default.",
    )
    webhook_disable_after_s: PositiveFloat = Field(
        default=5 * 86_400,
        description="A webhook that has only failed for this long is disabled, seconds.",
    )
    webhook_secret_overlap_s: PositiveInt = Field(
        default=86_400, description="How long the old secret signs as well, seconds."
    )
    webhook_log_ttl_s: PositiveInt = Field(
        default=30 * 86_400,
        description="What webhooks were told can be seen and replayed for this long, seconds.",
    )
    webhook_concurrency: PositiveInt = Field(
        default=16, description="Requests to webhooks that a worker makes at once."
    )
    webhook_loopback: bool = Field(
        default=False, description="Also take http URLs of this machine, for development."
    )

    # Retention
    preview_ttl_s: PositiveInt = Field(
        default=3600, description="Previews of ended jobs are removed after this, seconds."
    )
    upload_ttl_s: PositiveInt = Field(
        default=7 * 86_400, description="Uploads that no generation uses, seconds."
    )
    result_ttl_s: int = Field(
        default=0, ge=0, description="Generations are removed after this, seconds; 0: never."
    )

    # Connections
    database_pool_size: PositiveInt = Field(
        default=10, description="Connections per process; an API opens up to four more."
    )
    database_statement_timeout_ms: PositiveInt = Field(
        default=10_000, description="Deadline of one statement, milliseconds."
    )
    database_statement_cache: int = Field(
        default=256, ge=0, description="Prepared statements per connection; 0 behind pgbouncer."
    )
    redis_prefix: str = Field(
        default="mintari", description="Start of every key and channel in Redis."
    )
    redis_timeout_s: PositiveFloat = Field(
        default=2, description="Deadline of one Redis round trip, seconds."
    )

    # Logs
    log_level: LogLevel = Field(default="INFO", description="Least level that is logged.")
    log_format: LogFormat = Field(
        default="auto",
        description="json, console, or auto: console with DEV_MODE or at a terminal, else json.",
    )

    # Seeing inside
    metrics_host: str = Field(
        default="127.0.0.1", description="The address that METRICS_PORT is opened on."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of one process's /metrics, /healthz and /readyz (API and worker alike,"
        " each its own); 0: any free one, which the log names. Empty: none.",
    )
    otel_exporter_otlp_endpoint: str = Field(
        default="",
        description="Where traces are sent (OTLP over HTTP), http://collector:4318; needs"
        " mintari[otel]. Empty: there are none.",
    )
    prices_file: Path | None = Field(
        default=None, description="Own prices of provider calls; empty: the built-in."
    )

    @field_validator(
        "allowed_origins",
        "documents_files",
        "gen_retry_delays_s",
        "gen_fallback_providers",
        "provider_result_hosts",
        "webhook_retry_delays_s",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("gen_timeouts_ms", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): number.strip() for name, _, number in pairs}

    @field_validator("redis_url")
    @classmethod
    def _can_be_taken_apart(cls, value: str) -> str:
        parse_redis_url(value)
        return value

    @field_validator("auth_secret", "url_signing_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 32:
            raise ValueError("must have 32 characters or more (try: openssl rand -hex 32)")
        return value

    @field_validator("webhook_secrets_keys")
    @classmethod
    def _all_long_enough(cls, value: SecretStr) -> SecretStr:
        for key in _parts(value.get_secret_value()):
            cls._long_enough(SecretStr(key))
        return value

    @field_validator("upload_heic")
    @classmethod
    def _has_decoder(cls, value: bool) -> bool:
        if value and find_spec("pi_heif") is None:
            raise ValueError("needs a decoder: pip install 'mintari[heic]'")
        return value

    @model_validator(mode="after")
    def _dev_mode_is_local(self) -> Self:
        if self.dev_mode and not self.is_loopback:
            raise ValueError("DEV_MODE hands out tokens: it needs API_HOST on loopback")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the API."""
        if self.api_host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.api_host).is_loopback
        except ValueError:
            return False

    @property
    def public_url(self) -> str:
        """How browsers reach the API, without a slash at the end."""
        return (self.api_public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def concurrency(self) -> int:
        """Jobs a worker runs at once: a local painter's job needs a core of its own."""
        if self.worker_concurrency:
            return self.worker_concurrency
        return self.painters if self.gen_provider == "local" else 16

    @property
    def painters(self) -> int:
        """Processes of the local painter: one per core, as many as a grid has frames."""
        return self.local_processes or min(3, os.cpu_count() or 1)

    @property
    def webhook_keys(self) -> tuple[str, ...]:
        """What webhooks' secrets are encrypted with, the newest first."""
        return _parts(self.webhook_secrets_keys.get_secret_value())

    def timeout_s(self, provider: str) -> float:
        """Deadline of one call of this provider, seconds."""
        return self.gen_timeouts_ms.get(provider, self.gen_timeout_ms) / 1000

    @property
    def rate_limit_window_s(self) -> float:
        """The rate limit's window, seconds."""
        return self.rate_limit_window_ms / 1000


def _parts(text: str) -> tuple[str, ...]:
    """What is between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def load_settings() -> Settings:
    """Read the environment. Raises pydantic.ValidationError."""
    return Settings()  # pyright: ignore[reportCallIssue]  # the environment fills the fields

"""The tables, as SQLAlchemy sees them. Triggers and their reasons are in the migrations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _at(name: str, *, nullable: bool = True, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(
        name, DateTime(timezone=True), nullable=nullable and not now, server_default=default
    )


uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("object_key", Text, nullable=False),
    Column("thumbnail_key", Text, nullable=False),
    Column("thumbhash", Text, nullable=False),
    Column("digest", Text, nullable=False, comment="SHA-256 of the stored bytes, hex"),
    Column("content_type", Text, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    _at("created_at", now=True),
    Index("ix_uploads_user_id_id", "user_id", "id"),
    Index("ix_uploads_created_at", "created_at"),
)

generations = Table(
    "generations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("prompt_delta", Text),
    Column("style", Text, nullable=False),
    Column("style_version", Integer, nullable=False),
    Column("size", Text, nullable=False),
    Column("upload_id", Uuid, ForeignKey("uploads.id", ondelete="SET NULL")),
    Column("had_upload", Boolean, nullable=False, comment="true even after the upload is gone"),
    Column("variant_count", SmallInteger, nullable=False),
    Column("seed", Integer, comment="as asked for; null: the service chose"),
    Column("seed_locked", Boolean, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("assembled_prompt", Text, nullable=False),
    Column("negative_prompt", Text, nullable=False),
    Column("prompt_hash", Text, nullable=False, comment="SHA-256 of all that makes the pictures"),
    Column(
        "fall_over",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="whether another provider may paint its jobs",
    ),
    _at("created_at", now=True),
    Index("ix_generations_user_id_id", "user_id", "id"),
    Index("ix_generations_user_id_prompt_hash", "user_id", "prompt_hash"),
    Index("ix_generations_upload_id", "upload_id"),
    Index("ix_generations_created_at", "created_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("generation_id", Uuid, ForeignKey("generations.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("variant", SmallInteger, nullable=False, comment="place in the grid, from 0"),
    Column("state", Text, nullable=False),
    Column("stage", Text, comment="null once terminal"),
    Column("progress", SmallInteger, nullable=False, server_default="0"),
    Column("progress_kind", Text, nullable=False),
    Column("version", BigInteger, nullable=False, comment="see core.version"),
    Column("seed", Integer, nullable=False),
    Column("seed_locked", Boolean, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("requested_provider", Text, comment="null: provider itself"),
    Column("fall_over_reason", Text),
    Column("regenerated_from", Uuid, ForeignKey("jobs.id", ondelete="SET NULL")),
    Column("attempt", Integer, nullable=False, server_default="0", comment="the fencing token"),
    Column("retry_count", SmallInteger, nullable=False, server_default="0"),
    Column(
        "provider_retries",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="retry_count, but of the present provider",
    ),
    Column("crash_count", SmallInteger, nullable=False, server_default="0"),
    Column("worker_name", Text, comment="who holds the lease"),
    _at("lease_expires_at"),
    _at("ready_at", now=True),
    _at("held_since"),
    Column("preview_key", Text),
    Column("image_key", Text),
    Column("thumbnail_key", Text),
    Column("thumbhash", Text),
    Column("content_type", Text),
    Column("width_px", Integer),
    Column("height_px", Integer),
    Column("size_bytes", Integer),
    Column("digest", Text, comment="SHA-256 of the image's bytes, hex"),
    Column("generation_time_ms", Integer, comment="of the attempt that made it"),
    Column("error_code", Text),
    Column("block_stage", Text),
    Column("traceparent", Text, comment="W3C Trace Context, if traced"),
    _at("created_at", now=True),
    _at("started_at"),
    _at("finished_at"),
    CheckConstraint(
        "state IN ('PENDING','RUNNING','SUCCESS','FAILED','CANCELLED')", name="state_known"
    ),
    CheckConstraint("progress BETWEEN 0 AND 100", name="progress_percent"),
    CheckConstraint(
        "(state = 'RUNNING') = (lease_expires_at IS NOT NULL)", name="lease_while_running"
    ),
    CheckConstraint("(state = 'FAILED') = (error_code IS NOT NULL)", name="error_when_failed"),
    CheckConstraint(
        "(state IN ('SUCCESS','FAILED','CANCELLED')) = (finished_at IS NOT NULL)",
        name="finished_when_terminal",
    ),
    CheckConstraint(
        "(requested_provider IS NULL) = (fall_over_reason IS NULL)", name="fall_over_says_why"
    ),
    Index("uq_jobs_generation_id_variant", "generation_id", "variant", unique=True),
    Index("ix_jobs_user_id_id", "user_id", "id"),
    Index("ix_jobs_regenerated_from", "regenerated_from"),
    Index("ix_jobs_pending", "ready_at", postgresql_where=text("state = 'PENDING'")),
    Index("ix_jobs_failed", "id", postgresql_where=text("state = 'FAILED'")),
    Index("ix_jobs_running", "lease_expires_at", postgresql_where=text("state = 'RUNNING'")),
    Index(
        "ix_jobs_active_by_user",
        "user_id",
        postgresql_where=text("state IN ('PENDING', 'RUNNING')"),
    ),
    Index(
        "ix_jobs_history",
        "provider",
        "model",
        "finished_at",
        postgresql_where=text("state = 'SUCCESS'"),
    ),
)

provider_calls = Table(
    "provider_calls",
    metadata,
    # No foreign key: what was paid stays on record when its job is deleted.
    Column("job_id", Uuid, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("worker_name", Text, nullable=False),
    Column("outcome", Text, nullable=False, server_default="STARTED"),
    Column("external_id", Text, comment="the provider's own id, to resume by"),
    Column("resumed_from", Integer, comment="the attempt whose call this one went on with"),
    Column("error_code", Text),
    Column(
        "outcome_known",
        Boolean,
        comment="false: failed for us, yet may have been painted and billed",
    ),
    Column("usage", JSONB),
    Column("cost_usd", Float),
    Column("cost_basis", Text, comment="null: cost_usd is not known"),
    Column("price_version", Text, comment="of the table of prices"),
    _at("started_at", now=True),
    _at("ended_at"),
    CheckConstraint(
        "outcome IN ('STARTED','SUCCEEDED','FAILED','CANCELLED','UNKNOWN')", name="outcome_known"
    ),
    CheckConstraint("cost_basis IN ('USAGE','PICTURE','TURNED_AWAY')", name="cost_basis_known"),
    Index("ix_provider_calls_started_at", "started_at"),
    Index("ix_provider_calls_user_id_started_at", "user_id", "started_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("generation_id", Uuid, ForeignKey("generations.id", ondelete="CASCADE"), nullable=False),
    _at("created_at", now=True),
    Index("ix_idempotency_keys_created_at", "created_at"),
    Index("ix_idempotency_keys_generation_id", "generation_id"),
)

rate_limit_hits = Table(
    "rate_limit_hits",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("user_id", Text, nullable=False),
    _at("hit_at", now=True),
    Index("ix_rate_limit_hits_user_id_hit_at", "user_id", "hit_at"),
    Index("ix_rate_limit_hits_hit_at", "hit_at"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    _at("recorded_at", now=True),
    Column("user_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("category", Text),
    Column("remote_address", Text),
    Column("prompt_hash", Text),
    Column("prompt", Text, comment="only with AUDIT_PROMPTS"),
    Column("policy_version", Text),
    Column("subject_id", Uuid, comment="generation, job or upload that it is about"),
    Index("ix_audit_entries_recorded_at", "recorded_at"),
    Index("ix_audit_entries_user_id_id", "user_id", "id"),
)

revoked_users = Table(
    "revoked_users",
    metadata,
    # Tokens that were issued before this moment are not taken any more.
    Column("user_id", Text, primary_key=True),
    _at("revoked_at", now=True),
)

doomed_objects = Table(
    "doomed_objects",
    metadata,
    # Written in the transaction that deletes the rows; a sweeper deletes the pictures after it.
    Column("object_key", Text, primary_key=True),
    _at("doomed_at", now=True),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    # Both sealed, see core.sealing.
    Column("secret", Text, nullable=False, comment="whsec_..."),
    Column("old_secret", Text, comment="signs as well for a while"),
    _at("old_secret_until"),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("disabled_because", Text),
    _at("failing_since"),
    _at("created_at", now=True),
    CheckConstraint("enabled = (disabled_because IS NULL)", name="reason_if_disabled"),
    Index("ix_webhooks_user_id_id", "user_id", "id"),
)

webhook_messages = Table(
    "webhook_messages",
    metadata,
    # Written by triggers on jobs, in the transaction that changes a job's state.
    Column("id", Uuid, primary_key=True),
    Column("webhook_id", Uuid, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("payload", Text, nullable=False, comment="the body, byte for byte"),
    Column("state", Text, nullable=False, server_default="PENDING"),
    Column("tries", Integer, nullable=False, server_default="0", comment="the fencing token"),
    Column(
        "earlier_tries",
        Integer,
        nullable=False,
        server_default="0",
        comment="of them, before the last replay",
    ),
    _at("next_try_at", now=True),
    _at("created_at", now=True),
    _at("ended_at"),
    CheckConstraint("state IN ('PENDING','DELIVERED','FAILED')", name="state_known"),
    CheckConstraint("(state = 'PENDING') = (ended_at IS NULL)", name="end_if_ended"),
    Index("ix_webhook_messages_webhook_id_id", "webhook_id", "id"),
    Index("ix_webhook_messages_due", "next_try_at", postgresql_where=text("state = 'PENDING'")),
    Index("ix_webhook_messages_ended_at", "ended_at"),
)

webhook_tries = Table(
    "webhook_tries",
    metadata,
    Column(
        "message_id", Uuid, ForeignKey("webhook_messages.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("number", Integer, primary_key=True),
    _at("began_at", now=True),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer, comment="HTTP; null: no answer"),
    Column("error", Text, comment="null: delivered"),
)

pauses = Table(
    "pauses",
    metadata,
    # What is named here is not claimed; it waits, and is not lost.
    Column("provider", Text, primary_key=True, comment="*: the whole queue"),
    Column("paused_by", Text, nullable=False),
    _at("paused_at", now=True),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slots", Integer, nullable=False, comment="jobs that it runs at once"),
    Column("running", Integer, nullable=False, comment="jobs that it runs now"),
    Column("draining", Boolean, nullable=False, server_default=text("false")),
    _at("started_at", now=True),
    _at("seen_at", now=True),
)

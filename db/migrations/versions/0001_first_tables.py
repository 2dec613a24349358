"""First tables: uploads, generations, jobs, the ledger of provider calls, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The state machine, where no code path can get around it: terminal states are final, the fencing
# token and the version never go back, and states follow the life of a job.
GUARD_JOBS = """
CREATE FUNCTION guard_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version < OLD.version OR NEW.attempt < OLD.attempt THEN
        RAISE EXCEPTION 'job %: version or attempt would go back', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.state IN ('SUCCESS', 'FAILED', 'CANCELLED') AND
       (NEW.state, NEW.version, NEW.attempt, NEW.progress, NEW.digest, NEW.error_code)
       IS DISTINCT FROM
       (OLD.state, OLD.version, OLD.attempt, OLD.progress, OLD.digest, OLD.error_code) THEN
        RAISE EXCEPTION 'job %: % is terminal', OLD.id, OLD.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state THEN
        IF OLD.state = 'PENDING' AND NEW.state = 'SUCCESS' THEN
            RAISE EXCEPTION 'job %: SUCCESS without RUNNING', OLD.id
                USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.version / 65536 <= OLD.version / 65536 THEN
            RAISE EXCEPTION 'job %: a state change opens a new version epoch', OLD.id
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$
"""
GUARD_JOBS_TRIGGER = """
CREATE TRIGGER guard_job BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION guard_job()
"""
APPEND_ONLY = """
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""
APPEND_ONLY_TRIGGER = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION append_only()
"""


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("remote_address", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.Text(), nullable=True),
        sa.Column("policy_version", sa.Text(), nullable=True),
        sa.Column(
            "subject_id",
            sa.Uuid(),
            nullable=True,
            comment="generation, job or upload that it is about",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_recorded_at", "audit_entries", ["recorded_at"], unique=False)
    op.create_index("ix_audit_entries_user_id_id", "audit_entries", ["user_id", "id"], unique=False)
    op.create_table(
        "doomed_objects",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column(
            "doomed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_doomed_objects")),
    )
    op.create_table(
        "provider_calls",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("worker_name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="STARTED", nullable=False),
        sa.Column(
            "external_id", sa.Text(), nullable=True, comment="the provider's own id, to resume by"
        ),
        sa.Column(
            "resumed_from",
            sa.Integer(),
            nullable=True,
            comment="the attempt whose call this one went on with",
        ),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("usage", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('STARTED','SUCCEEDED','FAILED','CANCELLED','UNKNOWN')",
            name=op.f("ck_provider_calls_outcome_known"),
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", name=op.f("pk_provider_calls")),
    )
    op.create_index("ix_provider_calls_started_at", "provider_calls", ["started_at"], unique=False)
    op.create_table(
        "rate_limit_hits",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column(
            "hit_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_limit_hits")),
    )
    op.create_index("ix_rate_limit_hits_hit_at", "rate_limit_hits", ["hit_at"], unique=False)
    op.create_index(
        "ix_rate_limit_hits_user_id_hit_at", "rate_limit_hits", ["user_id", "hit_at"], unique=False
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("thumbnail_key", sa.Text(), nullable=False),
        sa.Column("thumbhash", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the stored bytes, hex"),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_created_at", "uploads", ["created_at"], unique=False)
    op.create_index("ix_uploads_user_id_id", "uploads", ["user_id", "id"], unique=False)
    op.create_table(
        "generations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("prompt_delta", sa.Text(), nullable=True),
        sa.Column("style", sa.Text(), nullable=False),
        sa.Column("style_version", sa.Integer(), nullable=False),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=True),
        sa.Column(
            "had_upload", sa.Boolean(), nullable=False, comment="true even after the upload is gone"
        ),
        sa.Column("variant_count", sa.SmallInteger(), nullable=False),
        sa.Column(
            "seed", sa.Integer(), nullable=True, comment="as asked for; null: the service chose"
        ),
        sa.Column("seed_locked", sa.Boolean(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("assembled_prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=False),
        sa.Column(
            "prompt_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of all that makes the pictures",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["uploads.id"],
            name=op.f("fk_generations_upload_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    op.create_index("ix_generations_created_at", "generations", ["created_at"], unique=False)
    op.create_index("ix_generations_upload_id", "generations", ["upload_id"], unique=False)
    op.create_index("ix_generations_user_id_id", "generations", ["user_id", "id"], unique=False)
    op.create_index(
        "ix_generations_user_id_prompt_hash",
        "generations",
        ["user_id", "prompt_hash"],
        unique=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generations.id"],
            name=op.f("fk_idempotency_keys_generation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False
    )
    op.create_index(
        "ix_idempotency_keys_generation_id", "idempotency_keys", ["generation_id"], unique=False
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column(
            "variant", sa.SmallInteger(), nullable=False, comment="place in the grid, from 0"
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True, comment="null once terminal"),
        sa.Column("progress", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("progress_kind", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="see core.version"),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("seed_locked", sa.Boolean(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("regenerated_from", sa.Uuid(), nullable=True),
        sa.Column(
            "attempt", sa.Integer(), server_default="0", nullable=False, comment="the fencing token"
        ),
        sa.Column("retry_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("crash_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("worker_name", sa.Text(), nullable=True, comment="who holds the lease"),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ready_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("preview_key", sa.Text(), nullable=True),
        sa.Column("image_key", sa.Text(), nullable=True),
        sa.Column("thumbnail_key", sa.Text(), nullable=True),
        sa.Column("thumbhash", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("width_px", sa.Integer(), nullable=True),
        sa.Column("height_px", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True, comment="SHA-256 of the image's bytes, hex"),
        sa.Column(
            "generation_time_ms", sa.Integer(), nullable=True, comment="of the attempt that made it"
        ),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("block_stage", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'FAILED') = (error_code IS NOT NULL)", name=op.f("ck_jobs_error_when_failed")
        ),
        sa.CheckConstraint(
            "(state = 'RUNNING') = (lease_expires_at IS NOT NULL)",
            name=op.f("ck_jobs_lease_while_running"),
        ),
        sa.CheckConstraint(
            "(state IN ('SUCCESS','FAILED','CANCELLED')) = (finished_at IS NOT NULL)",
            name=op.f("ck_jobs_finished_when_terminal"),
        ),
        sa.CheckConstraint(
            "state IN ('PENDING','RUNNING','SUCCESS','FAILED','CANCELLED')",
            name=op.f("ck_jobs_state_known"),
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_jobs_progress_percent")),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generations.id"],
            name=op.f("fk_jobs_generation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["regenerated_from"],
            ["jobs.id"],
            name=op.f("fk_jobs_regenerated_from"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "ix_jobs_active_by_user",
        "jobs",
        ["user_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('PENDING', 'RUNNING')"),
    )
    op.create_index(
        "ix_jobs_history",
        "jobs",
        ["provider", "model", "finished_at"],
        unique=False,
        postgresql_where=sa.text("state = 'SUCCESS'"),
    )
    op.create_index(
        "ix_jobs_pending",
        "jobs",
        ["ready_at"],
        unique=False,
        postgresql_where=sa.text("state = 'PENDING'"),
    )
    op.create_index("ix_jobs_regenerated_from", "jobs", ["regenerated_from"], unique=False)
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'RUNNING'"),
    )
    op.create_index("ix_jobs_user_id_id", "jobs", ["user_id", "id"], unique=False)
    op.create_index(
        "uq_jobs_generation_id_variant", "jobs", ["generation_id", "variant"], unique=True
    )
    for statement in (GUARD_JOBS, GUARD_JOBS_TRIGGER, APPEND_ONLY, APPEND_ONLY_TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "doomed_objects",
        "audit_entries",
        "rate_limit_hits",
        "idempotency_keys",
        "provider_calls",
        "jobs",
        "generations",
        "uploads",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION guard_job")
    op.execute("DROP FUNCTION append_only")

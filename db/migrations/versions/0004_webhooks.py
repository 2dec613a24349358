"""Webhooks: who is told, what they are told (written by triggers on jobs), and every try."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# As core.ids.new_id, for Postgres before 18, which has uuidv7() of its own.
NEW_ID = """
CREATE FUNCTION new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$
"""
# RFC 3339 in UTC, whatever the session's time zone.
MESSAGE = """
    json_build_object(
        'type', {event},
        'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', json_build_object({data})
    )::text
"""
JOB_EVENT = "'job.' || lower(changed.state)"
JOB_MESSAGE = MESSAGE.format(
    event=JOB_EVENT,
    data="""
            'id', changed.id, 'generationId', changed.generation_id, 'variant', changed.variant,
            'state', changed.state, 'version', changed.version, 'errorCode', changed.error_code,
            'retryCount', changed.retry_count
    """,
)
GENERATION_EVENT = "'generation.finished'"
GENERATION_MESSAGE = MESSAGE.format(
    event=GENERATION_EVENT,
    data="""
            'id', ended.id, 'succeeded', ended.succeeded, 'failed', ended.failed,
            'cancelled', ended.cancelled
    """,
)
# In the transaction that changes the job, whichever code does it: nothing can be missed, and
# nothing is told that was rolled back. Per statement, not per row: two transactions that end the
# last two jobs of a grid must see each other, so they lock the grid, in one order for all.
# A webhook that is being deleted is waited for, and left out: its foreign key must not fail a job.
NOTE_JOBS = f"""
CREATE FUNCTION note_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_messages (id, webhook_id, user_id, event, payload)
    SELECT new_id(), webhooks.id, changed.user_id, {JOB_EVENT}, {JOB_MESSAGE}
    FROM changed JOIN webhooks ON webhooks.user_id = changed.user_id
    WHERE webhooks.enabled AND {JOB_EVENT} = ANY(webhooks.events)
    FOR KEY SHARE OF webhooks;
    RETURN NULL;
END $$
"""
NOTE_CHANGED_JOBS = f"""
CREATE FUNCTION note_changed_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched uuid[];
BEGIN
    -- Heartbeats change no state: they must stay cheap.
    IF NOT EXISTS (
        SELECT FROM changed JOIN before USING (id) WHERE changed.state <> before.state
    ) THEN
        RETURN NULL;
    END IF;

    INSERT INTO webhook_messages (id, webhook_id, user_id, event, payload)
    SELECT new_id(), webhooks.id, changed.user_id, {JOB_EVENT}, {JOB_MESSAGE}
    FROM changed JOIN before USING (id) JOIN webhooks ON webhooks.user_id = changed.user_id
    WHERE changed.state <> before.state AND webhooks.enabled
      AND {JOB_EVENT} = ANY(webhooks.events)
    FOR KEY SHARE OF webhooks;

    SELECT array_agg(DISTINCT changed.generation_id) INTO touched
    FROM changed JOIN before USING (id) JOIN webhooks ON webhooks.user_id = changed.user_id
    WHERE changed.state <> before.state AND changed.finished_at IS NOT NULL
      AND webhooks.enabled AND {GENERATION_EVENT} = ANY(webhooks.events);
    IF touched IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM FROM generations WHERE id = ANY(touched) ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO webhook_messages (id, webhook_id, user_id, event, payload)
    SELECT new_id(), webhooks.id, ended.user_id, {GENERATION_EVENT}, {GENERATION_MESSAGE}
    FROM (
        SELECT generation_id AS id, min(user_id) AS user_id,
            count(*) FILTER (WHERE state = 'SUCCESS') AS succeeded,
            count(*) FILTER (WHERE state = 'FAILED') AS failed,
            count(*) FILTER (WHERE state = 'CANCELLED') AS cancelled
        FROM jobs WHERE generation_id = ANY(touched)
        GROUP BY generation_id HAVING bool_and(finished_at IS NOT NULL)
    ) AS ended JOIN webhooks ON webhooks.user_id = ended.user_id
    WHERE webhooks.enabled AND {GENERATION_EVENT} = ANY(webhooks.events)
    FOR KEY SHARE OF webhooks;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """
    CREATE TRIGGER note_jobs AFTER INSERT ON jobs
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_jobs()
    """,
    """
    CREATE TRIGGER note_changed_jobs AFTER UPDATE ON jobs
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_changed_jobs()
    """,
)


def _at(name: str, *, nullable: bool = True) -> sa.Column[object]:
    default = None if nullable else sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False, comment="whsec_..."),
        sa.Column("old_secret", sa.Text(), nullable=True, comment="signs as well for a while"),
        _at("old_secret_until"),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("disabled_because", sa.Text(), nullable=True),
        _at("failing_since"),
        _at("created_at", nullable=False),
        sa.CheckConstraint(
            "enabled = (disabled_because IS NULL)", name=op.f("ck_webhooks_reason_if_disabled")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_user_id_id", "webhooks", ["user_id", "id"], unique=False)
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False, comment="the body, byte for byte"),
        sa.Column("state", sa.Text(), server_default="PENDING", nullable=False),
        sa.Column(
            "tries", sa.Integer(), server_default="0", nullable=False, comment="the fencing token"
        ),
        sa.Column(
            "earlier_tries",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="of them, before the last replay",
        ),
        _at("next_try_at", nullable=False),
        _at("created_at", nullable=False),
        _at("ended_at"),
        sa.CheckConstraint(
            "state IN ('PENDING','DELIVERED','FAILED')",
            name=op.f("ck_webhook_messages_state_known"),
        ),
        sa.CheckConstraint(
            "(state = 'PENDING') = (ended_at IS NULL)",
            name=op.f("ck_webhook_messages_end_if_ended"),
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_messages_webhook_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
    )
    op.create_index(
        "ix_webhook_messages_webhook_id_id",
        "webhook_messages",
        ["webhook_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_webhook_messages_due",
        "webhook_messages",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("state = 'PENDING'"),
    )
    op.create_index("ix_webhook_messages_ended_at", "webhook_messages", ["ended_at"], unique=False)
    op.create_table(
        "webhook_tries",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _at("began_at", nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP; null: no answer"),
        sa.Column("error", sa.Text(), nullable=True, comment="null: delivered"),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["webhook_messages.id"],
            name=op.f("fk_webhook_tries_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "number", name=op.f("pk_webhook_tries")),
    )
    for statement in (NEW_ID, NOTE_JOBS, NOTE_CHANGED_JOBS, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER note_changed_jobs ON jobs")
    op.execute("DROP TRIGGER note_jobs ON jobs")
    for function in ("note_changed_jobs", "note_jobs", "new_id"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("webhook_tries", "webhook_messages", "webhooks"):
        op.drop_table(table)

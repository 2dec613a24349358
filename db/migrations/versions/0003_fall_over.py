"""Another provider than the one asked for may paint a job, which says why; jobs can be held."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "generations",
        sa.Column(
            "fall_over",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether another provider may paint its jobs",
        ),
    )
    op.add_column(
        "jobs",
        sa.Column("requested_provider", sa.Text(), nullable=True, comment="null: provider itself"),
    )
    op.add_column("jobs", sa.Column("fall_over_reason", sa.Text(), nullable=True))
    op.add_column(
        "jobs",
        sa.Column(
            "provider_retries",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="retry_count, but of the present provider",
        ),
    )
    op.add_column("jobs", sa.Column("held_since", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_jobs_fall_over_says_why"),
        "jobs",
        "(requested_provider IS NULL) = (fall_over_reason IS NULL)",
    )
    op.add_column(
        "provider_calls",
        sa.Column(
            "outcome_known",
            sa.Boolean(),
            nullable=True,
            comment="false: failed for us, yet may have been painted and billed",
        ),
    )


def downgrade() -> None:
    op.drop_column("provider_calls", "outcome_known")
    op.drop_constraint(op.f("ck_jobs_fall_over_says_why"), "jobs")
    for column in ("held_since", "provider_retries", "fall_over_reason", "requested_provider"):
        op.drop_column("jobs", column)
    op.drop_column("generations", "fall_over")

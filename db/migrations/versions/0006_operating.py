"""What operators hold back, and which workers there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("provider", sa.Text(), nullable=False, comment="*: the whole queue"),
        sa.Column("paused_by", sa.Text(), nullable=False),
        _now("paused_at"),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_pauses")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False, comment="jobs that it runs at once"),
        sa.Column("running", sa.Integer(), nullable=False, comment="jobs that it runs now"),
        sa.Column("draining", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _now("started_at"),
        _now("seen_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_index("ix_jobs_failed", "jobs", ["id"], postgresql_where=sa.text("state = 'FAILED'"))


def downgrade() -> None:
    op.drop_index("ix_jobs_failed")
    op.drop_table("workers")
    op.drop_table("pauses")

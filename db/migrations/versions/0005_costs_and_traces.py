"""How a call's cost is known; the trace that a job belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "provider_calls",
        sa.Column("cost_basis", sa.Text(), nullable=True, comment="null: cost_usd is not known"),
    )
    op.add_column(
        "provider_calls",
        sa.Column("price_version", sa.Text(), nullable=True, comment="of the table of prices"),
    )
    op.create_check_constraint(
        op.f("ck_provider_calls_cost_basis_known"),
        "provider_calls",
        "cost_basis IN ('USAGE','PICTURE','TURNED_AWAY')",
    )
    op.create_index(
        "ix_provider_calls_user_id_started_at", "provider_calls", ["user_id", "started_at"]
    )
    op.add_column(
        "jobs",
        sa.Column("traceparent", sa.Text(), nullable=True, comment="W3C Trace Context, if traced"),
    )


def downgrade() -> None:
    op.drop_column("jobs", "traceparent")
    op.drop_index("ix_provider_calls_user_id_started_at")
    op.drop_constraint(op.f("ck_provider_calls_cost_basis_known"), "provider_calls")
    op.drop_column("provider_calls", "price_version")
    op.drop_column("provider_calls", "cost_basis")

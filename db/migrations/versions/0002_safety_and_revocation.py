"""The text of a refused prompt, if a setting asks for it; users whose tokens were revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "audit_entries",
        sa.Column("prompt", sa.Text(), nullable=True, comment="only with AUDIT_PROMPTS"),
    )
    op.create_table(
        "revoked_users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_revoked_users")),
    )


def downgrade() -> None:
    op.drop_table("revoked_users")
    op.drop_column("audit_entries", "prompt")

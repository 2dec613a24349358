"""The audit cannot be emptied either: TRUNCATE fires no trigger for rows."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION append_only()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER never_emptied ON audit_entries")

"""The schema as the transports serve it: with checked documents and masked errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.channels import Channels
from schema.build import build_schema
from transport.compiled.plans import Plans
from transport.document_store import DocumentStore
from transport.documents import CheckedDocuments, Documents
from transport.execution import core_schema
from transport.manifest import load_documents
from transport.masking import Masking
from transport.operations import Operations
from transport.page import BUILT
from transport.persisted import PersistedDocuments
from transport.tracing import TracedOperations

if TYPE_CHECKING:
    from collections.abc import Mapping

    import strawberry

    from core.settings import Settings
    from core.tracing import Tracing

PAGE_DOCUMENTS = BUILT / "page" / "documents.json"
"""What the page asks for, written when it is built."""


def registered_documents(settings: Settings) -> dict[str, str]:
    """The page's own documents and the operator's, by id. Raises DocumentsFileError."""
    own = [PAGE_DOCUMENTS] if PAGE_DOCUMENTS.is_file() else []
    return load_documents([*own, *settings.documents_files])


def checked_documents(
    settings: Settings, schema: strawberry.Schema, registered: Mapping[str, str]
) -> Documents:
    """The documents that may be executed on a schema."""
    introspection = settings.introspection
    if introspection is None:
        introspection = settings.dev_mode
    only_registered = settings.allowed_documents == "registered"
    return Documents(
        core_schema(schema),
        introspection=introspection,
        max_cost=settings.max_operation_cost,
        allowed=frozenset(registered.values()) if only_registered else None,
    )


def open_operations(settings: Settings, tracing: Tracing) -> Operations:
    """Build it; one per process. Raises DocumentsFileError."""
    registered = registered_documents(settings)
    documents: list[Documents] = []
    traced = [lambda: TracedOperations(tracing)] if tracing.is_on else []
    schema = build_schema([Masking, lambda: CheckedDocuments(documents[0]), *traced])
    documents.append(checked_documents(settings, schema, registered))
    store = DocumentStore(Channels(settings.redis_prefix).documents)
    return Operations(
        schema=schema,
        documents=documents[0],
        persisted=PersistedDocuments(registered, store, documents[0].is_valid),
        timeout_s=settings.operation_timeout_s,
        plans=None if tracing.is_on else Plans(schema),
    )

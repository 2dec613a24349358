"""The schema as the transports serve it: with checked documents and masked errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.build import build_schema
from transport.document_store import DocumentStore
from transport.documents import CheckedDocuments, Documents
from transport.execution import core_schema
from transport.manifest import load_documents
from transport.masking import Masking
from transport.operations import Operations
from transport.page import BUILT
from transport.persisted import PersistedDocuments

if TYPE_CHECKING:
    from core.settings import Settings

PAGE_DOCUMENTS = BUILT / "page" / "documents.json"
"""What the page asks for, written when it is built."""


def open_operations(settings: Settings) -> Operations:
    """Build it; one per process. Raises DocumentsFileError."""
    introspection = settings.introspection
    if introspection is None:
        introspection = settings.dev_mode
    own = [PAGE_DOCUMENTS] if PAGE_DOCUMENTS.is_file() else []
    registered = load_documents([*own, *settings.documents_files])
    documents: list[Documents] = []
    schema = build_schema([Masking, lambda: CheckedDocuments(documents[0])])
    documents.append(
        Documents(
            core_schema(schema),
            introspection=introspection,
            max_cost=settings.max_operation_cost,
            allowed=(
                frozenset(registered.values())
                if settings.allowed_documents == "registered"
                else None
            ),
        )
    )
    store = DocumentStore(settings.redis_prefix)
    return Operations(
        schema=schema,
        documents=documents[0],
        persisted=PersistedDocuments(registered, store, documents[0].is_valid),
        timeout_s=settings.operation_timeout_s,
    )

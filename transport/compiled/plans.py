"""The operations that clients send again and again, each compiled once: `Plans.find`.

graphql-core and Strawberry take some 400 µs for an operation that reads one job, a plan 20. What is
not compiled is left to them as a whole; both give the same bytes, and a property test with
generated documents holds them against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from graphql import get_operation_ast

from transport.compiled.operation import Operation

if TYPE_CHECKING:
    import strawberry
    from graphql import DocumentNode

    from transport.compiled.answers import Answer
    from transport.parameters import Parameters

MAX_KEPT_BYTES = 32 * 2**20
"""Of memory: some 500 operations of the page's; the ones that were asked for last."""
BYTES_PER_TOKEN = 300
"""Of a document, which a plan keeps, as tracemalloc counts."""


class _Kept:
    """What is remembered of an operation; `weight`: in memory, bytes."""

    __slots__ = ("operation", "weight")

    def __init__(self) -> None:
        self.operation: Operation | None = None
        self.weight = 0


class Plans:
    """What the operations of one schema were compiled to."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._schema = schema
        self._kept: OrderedDict[tuple[str, str | None], _Kept] = OrderedDict()
        self.kept_bytes = 0

    def find(self, text: str, document: DocumentNode, asked: Parameters) -> Answer | None:
        """The answer to an operation, ready to be read; None if it is graphql-core's.

        `document` is that text's and was found valid. An operation is compiled when it is asked for
        a second time: most that come once come from whoever writes a new one with each request.
        """
        key = text, asked.operation_name
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = kept = _Kept()
            self._weigh(kept, 4 * len(text))
            return None
        self._kept.move_to_end(key)
        operation = kept.operation or self._begin(kept, document, asked.operation_name)
        answer = operation and operation.answer(asked.variables or {})
        if operation:
            plans = operation.weight_bytes + BYTES_PER_TOKEN * document.token_count
            self._weigh(kept, 4 * len(text) + plans)
        return answer

    def _begin(self, kept: _Kept, document: DocumentNode, name: str | None) -> Operation | None:
        if node := get_operation_ast(document, name):
            kept.operation = Operation(self._schema, document, node)
        return kept.operation

    def _weigh(self, kept: _Kept, weight: int) -> None:
        self.kept_bytes += weight - kept.weight
        kept.weight = weight
        while self.kept_bytes > MAX_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self.kept_bytes -= oldest.weight

"""The operations that clients send again and again, each compiled once: `Plans.find`.

graphql-core and Strawberry take some 400 µs for an operation that reads one job, a plan 20. What is
not compiled is left to them as a whole; both give the same bytes, and a property test with
generated documents holds them against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from graphql import get_operation_ast

from transport.compiled.operation import Followed, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import strawberry
    from graphql import DocumentNode

    from transport.compiled.answers import Answer
    from transport.compiled.operation import Begun
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
        """The answer to a query or mutation, ready to be read; None if it is not compiled.

        `document` is that text's and was found valid. An operation is compiled when it is asked for
        a second time: most that come once come from whoever writes a new one with each request.
        """
        key = text, asked.operation_name
        if key not in self._kept:
            self._keep(key)
            return None
        begun = self._begun(key, document, asked.variables)
        return None if isinstance(begun, Followed) else begun

    def follow(
        self,
        text: str,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Followed | None:
        """The same for a subscription, which is compiled at once: it is shown again and again."""
        key = text, operation_name
        if key not in self._kept:
            self._keep(key)
        begun = self._begun(key, document, variables)
        return begun if isinstance(begun, Followed) else None

    def _keep(self, key: tuple[str, str | None]) -> None:
        self._kept[key] = kept = _Kept()
        self._weigh(kept, 4 * len(key[0]))

    def _begun(
        self,
        key: tuple[str, str | None],
        document: DocumentNode,
        variables: Mapping[str, Any] | None,
    ) -> Begun | None:
        text, name = key
        kept = self._kept[key]
        self._kept.move_to_end(key)
        operation = kept.operation or self._begin(kept, document, name)
        begun = operation and operation.begin(variables or {})
        if operation:
            plans = operation.weight_bytes + BYTES_PER_TOKEN * document.token_count
            self._weigh(kept, 4 * len(text) + plans)
        return begun

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

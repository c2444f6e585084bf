"""How large a query may be, before it is checked or run: both cost far more than a query costs to write.

Fields are counted as they would be answered, so that fragments within fragments and aliases of one field count for what
they are; checking fields of one name against each other takes the square of their number.
"""

from __future__ import annotations

from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

MAX_TEXT: Final = 64 * 1024
MAX_TOKENS: Final = 5000
MAX_DEPTH: Final = 15
"""Of fields in fields; the introspection of usual tools has 13."""
MAX_ROOTS: Final = 20
"""Fields at the top of one operation, aliases included: each may be a list of all sessions."""
MAX_FIELDS: Final = 1000
"""Of one operation, fragments put in place."""
MAX_WRITTEN: Final = 600
"""In the whole text, whether used or not."""


class _TooLarge(Exception):
    pass


class _Counter:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._sizes: dict[str, tuple[int, int]] = {}
        """Name of a fragment -> its fields and its depth."""

    def size(self, selections: SelectionSetNode | None, open_: tuple[str, ...] = ()) -> tuple[int, int]:
        """Returns the number of fields and the depth of a selection, fragments put in place."""
        fields, depth = 0, 0
        for node in selections.selections if selections is not None else ():
            if isinstance(node, FieldNode):
                below, deeper = self.size(node.selection_set, open_)
                below, deeper = below + 1, deeper + 1
            elif isinstance(node, InlineFragmentNode):
                below, deeper = self.size(node.selection_set, open_)
            else:
                below, deeper = self._fragment(node, open_)
            fields, depth = fields + below, max(depth, deeper)
            if fields > MAX_FIELDS:
                raise _TooLarge(f"the query asks for more than {MAX_FIELDS} fields")
            if depth > MAX_DEPTH:
                raise _TooLarge(f"the query is nested more than {MAX_DEPTH} fields deep")
        return fields, depth

    def _fragment(self, spread: object, open_: tuple[str, ...]) -> tuple[int, int]:
        assert isinstance(spread, FragmentSpreadNode)
        name = spread.name.value
        found = self._fragments.get(name)
        if found is None or name in open_:
            return 0, 0  # the check of the query says so
        if name not in self._sizes:
            self._sizes[name] = self.size(found.selection_set, (*open_, name))
        return self._sizes[name]


def _written(selections: SelectionSetNode | None) -> int:
    total = 0
    for node in selections.selections if selections is not None else ():
        total += 1
        if isinstance(node, FieldNode | InlineFragmentNode):
            total += _written(node.selection_set)
    return total


def too_large(document: DocumentNode) -> GraphQLError | None:
    """Returns what makes a parsed query too large to be looked at further, None when nothing does."""
    counter = _Counter(document)
    written = 0
    try:
        for node in document.definitions:
            if not isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
                continue
            written += _written(node.selection_set)
            if written > MAX_WRITTEN:
                raise _TooLarge(f"the query has more than {MAX_WRITTEN} selections")
            if isinstance(node, OperationDefinitionNode):
                counter.size(node.selection_set)
                if len(node.selection_set.selections) > MAX_ROOTS:
                    raise _TooLarge(f"the query has more than {MAX_ROOTS} fields at its top")
    except _TooLarge as exc:
        return GraphQLError(f"{exc}: ask in several")
    return None

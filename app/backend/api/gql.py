"""POST /admin/gql and /admin/graphql: the requests around the schema."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web
from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, execute, parse, validate

from ...model.errors import BadRequest, BaiTuiError
from .auth import client_release
from .body import read_object
from .context import caller_of, context_of
from .gql_limits import MAX_TEXT, MAX_TOKENS, too_large
from .gql_root import Root
from .gql_schema import make_schema
from .problems import unexpected

_CACHED_QUERIES: Final = 128


class QueryFailed(BadRequest):
    problem = "graphql-error"
    title = "GraphQL-generated error."
    error_code = "api_generic_invalid-parameters"


class GraphQLEngine:
    """The schema and the queries that were parsed and checked already: `ps` asks the same few again and again."""

    def __init__(self) -> None:
        self._schema: GraphQLSchema = make_schema()
        self._documents: OrderedDict[str, DocumentNode | list[GraphQLError]] = OrderedDict()
        self._since = datetime.now(UTC)

    @property
    def since(self) -> datetime:
        """When this backend began to answer."""
        return self._since

    def document(self, text: str) -> DocumentNode | list[GraphQLError]:
        """Returns the checked document of a query, or what is wrong with it."""
        known = self._documents.get(text)
        if known is not None:
            self._documents.move_to_end(text)
            return known
        found = self._read(text)
        self._documents[text] = found
        if len(self._documents) > _CACHED_QUERIES:
            self._documents.popitem(last=False)
        return found

    def _read(self, text: str) -> DocumentNode | list[GraphQLError]:
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
            if (large := too_large(document)) is not None:
                return [large]
            return validate(self._schema, document) or document
        except GraphQLError as exc:
            return [exc]
        except RecursionError:
            return [GraphQLError("the query is nested too deeply")]

    async def run(self, root: Root, query: str, variables: dict[str, Any], operation: str | None) -> dict[str, Any]:
        """Returns the answer to a query: `data`, and `errors` where there are any."""
        document = self.document(query)
        if isinstance(document, list):
            return {"data": None, "errors": [error.formatted for error in document]}
        result: Any = execute(self._schema, document, root, variable_values=variables, operation_name=operation)
        if inspect.isawaitable(result):
            result = await result
        assert isinstance(result, ExecutionResult)
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [_formatted(error, query) for error in result.errors]
        return answer


ENGINE = web.AppKey("graphql", GraphQLEngine)


def _formatted(error: GraphQLError, query: str) -> dict[str, Any]:
    """Returns an error for the client: the sentence of ours, the engine's own, or a reference to the log."""
    shown: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, BaiTuiError):
        shown["message"] = cause.message
        shown["extensions"] = {"code": cause.error_code}
    elif cause is not None and not isinstance(cause, GraphQLError):
        shown["message"] = unexpected(cause, f"the GraphQL query {query[:200]!r}")
    return shown


async def _answer(request: web.Request) -> dict[str, Any]:
    body = await read_object(request)
    query, variables, operation = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest("the field 'query' must hold a GraphQL query")
    if len(query) > MAX_TEXT:
        raise BadRequest(f"the query has {len(query)} characters; {MAX_TEXT} are read")
    if variables is not None and not isinstance(variables, dict):
        raise BadRequest("the field 'variables' must be an object")
    if operation is not None and not isinstance(operation, str):
        raise BadRequest("the field 'operationName' must be a string")
    engine, context = request.app[ENGINE], context_of(request)
    root = Root(
        context.service,
        caller_of(request),
        turn_out=context.callers.turn_out,
        version=context.version,
        since=engine.since,
        # clients of 2023 fail at every unit of a device but bytes
        agent_stat=client_release(request.headers.get("User-Agent", "")) >= (24, 0),
    )
    return await engine.run(root, query, variables or {}, operation)


async def admin_gql(request: web.Request) -> web.Response:
    return web.json_response(await _answer(request))


async def admin_graphql(request: web.Request) -> web.Response:
    """The form of API versions before v6.20210815: data without a wrapping, errors as an HTTP error."""
    answer = await _answer(request)
    if answer.get("errors"):
        raise QueryFailed(answer["errors"][0]["message"], data={"errors": answer["errors"]})
    return web.json_response(answer["data"])

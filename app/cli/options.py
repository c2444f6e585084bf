"""What many commands share: the option --context, and what a shell may complete."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import ImageView
    from ..model.endpoint import Endpoint

T = TypeVar("T")
Items = list[CompletionItem]
_ANSWER_S: Final = 1.0
"""A user who presses tab waits no longer for a server."""
_HARMLESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+=,-]*")
"""What a server tells is offered only if no shell takes it for anything else."""


def choose_context(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Makes `value` the context of this process, and of what it starts."""
    if value is not None:
        from ..contexts import choose

        choose(value)


def complete_contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Returns the names of contexts."""
    from ..config import Paths
    from ..contexts import ENVIRONMENT, LOCAL, named
    from ..model.errors import BaiTuiError

    try:
        found = {name: context.endpoint for name, context in named(Paths.of_user()).items()}
    except BaiTuiError:
        found = {}
    environment = {ENVIRONMENT: os.environ["BACKEND_ENDPOINT"]} if os.environ.get("BACKEND_ENDPOINT") else {}
    return _items({LOCAL: "the backend of this machine", **environment, **found}, ctx, incomplete)


def context_option() -> click.Option:
    """Returns the option --context."""
    return click.Option(
        ["--context"],
        metavar="NAME",
        help="Server to go to: `local`, or one of `bai-tui context list`.",
        expose_value=False,
        callback=choose_context,
        shell_complete=complete_contexts,
        is_eager=True,
    )


def complete_sessions(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Returns names of live sessions, or ids if one has been begun; nothing when no server answers at once."""

    async def ask(client: ApiClient) -> dict[str, str]:
        from ..model.sessions import LIVE

        views, _ = await client.list_sessions(statuses=sorted(LIVE), limit=100)
        told = {view.name: f"{view.status} {view.image}" for view in views}
        if incomplete and not any(name.startswith(incomplete) for name in told):
            told = {view.id: f"{view.name} {view.image}" for view in views}
        return told

    return _items(_asked(ask), ctx, incomplete)


def complete_images(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Returns references and aliases of images that are ready, or can be made ready; nothing when no server answers at
    once."""
    from ..model.images import ImageState

    return _images(ctx, incomplete, lambda image: image.state is not ImageState.UNAVAILABLE)


def complete_made(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Returns references and aliases of images that are built or pulled, or can be."""
    from ..model.images import ImageKind

    return _images(ctx, incomplete, lambda image: image.kind in (ImageKind.RECIPE, ImageKind.CONTAINER))


def _images(ctx: click.Context, incomplete: str, fits: Callable[[ImageView], bool]) -> Items:
    async def ask(client: ApiClient) -> dict[str, str]:
        images = [image for image in await client.images() if fits(image)]
        told = {}
        for image in images:
            state = "" if image.installed else image.state.value
            told[image.reference] = ", ".join(filter(None, (state, *image.aliases)))
        return told | {alias: image.reference for image in images for alias in image.aliases}

    return _items(_asked(ask), ctx, incomplete)


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Leaves it to the shell."""
    return [CompletionItem(incomplete, type="file")]


def _items(told: dict[str, str], ctx: click.Context, incomplete: str) -> Items:
    given = {word for value in ctx.params.values() if isinstance(value, tuple) for word in value}
    return [
        CompletionItem(name, help=" ".join(text.split()) or None)
        for name, text in told.items()
        if name.startswith(incomplete) and name not in given and _HARMLESS.fullmatch(name)
    ]


def _asked(work: Callable[[ApiClient], Coroutine[Any, Any, dict[str, str]]]) -> dict[str, str]:
    """Returns what a server answers; starts none, and has nothing to say when something is wrong."""
    import asyncio

    from ..config import Paths
    from ..contexts import chosen_endpoint
    from ..local import running_backend
    from ..model.errors import BaiTuiError

    async def ask(endpoint: Endpoint) -> dict[str, str]:
        from ..client.api import ApiClient

        async with asyncio.timeout(_ANSWER_S), ApiClient(endpoint) as client:
            return await work(client)

    try:
        paths = Paths.of_user()
        found = chosen_endpoint(paths) or running_backend(paths)
        return {} if found is None else asyncio.run(ask(found))
    except (BaiTuiError, TimeoutError, OSError):
        return {}

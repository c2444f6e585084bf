"""`bai-tui image build`, `pull` and `log`: makes an image ready, and shows how far that is."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

from ..model.images import ImageKind, ImageState
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_made

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import ImageView, TaskView

_EPILOG: Final = """\b
Exit status: 0 when the image is ready, or one of
    1  it could not be built or pulled   65  the server refused the request
   66  no such image                     69  no answer, or the connection was lost
  130  cancelled by ctrl+c"""
_FOUND: Final = (ImageKind.PYTHON, ImageKind.JUPYTER)
_DONE: Final = {"build": "built", "pull": "pulled"}

_image = click.argument("image", metavar="IMAGE", shell_complete=complete_made)
_anew = click.option("--anew", is_flag=True, help="Also when it is ready.")
_log = click.option("--log", is_flag=True, help="Print the whole log afterwards, whatever comes of it.")
_quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing but why it failed.")


@click.command("build", context_settings=CONTEXT, epilog=_EPILOG)
@_image
@_anew
@_log
@_quiet
def build(image: str, anew: bool, log: bool, quiet: bool) -> int:
    """Build an image from its recipe, and print its name.

    It is built by the backend, once, however many ask for it, and kept for all sessions to come. Progress goes to
    stderr: a bar on a terminal, lines elsewhere. ctrl+c cancels, and nothing half-made is left; a second one leaves
    at once.

    \b
      bai-tui image build python-data
      bai-tui image build --anew --log python-tensorflow:1.12-py36
    """
    return _made("build", image, anew, log, quiet)


@click.command("pull", context_settings=CONTEXT, epilog=_EPILOG)
@_image
@_anew
@_log
@_quiet
def pull(image: str, anew: bool, log: bool, quiet: bool) -> int:
    """Pull an image of the container engine from its registry, and print its name.

    IMAGE is a reference as container engines take it: of Docker's own registry where none is named.

    Progress goes to stderr: a bar on a terminal, lines elsewhere. ctrl+c cancels; a second one leaves at once.
    --anew asks the registry whether there is a newer one of that name.

    \b
      bai-tui image pull python:3.12-slim
      bai-tui image pull registry.example/team/python:3.9
    """
    return _made("pull", image, anew, log, quiet)


@click.command("log", context_settings=CONTEXT)
@click.argument("image", metavar="IMAGE", shell_complete=complete_made)
def log_(image: str) -> int:
    """Print the log of the newest building or pulling of an image, also of one that failed."""
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        await _print_log(client, image)
        return exit_codes.OK

    return with_client(work)


def _made(verb: str, image: str, anew: bool, log: bool, quiet: bool) -> int:
    from .endpoint import with_client

    return with_client(lambda client: _Preparation(client, verb, quiet).run(image, anew=anew, log=log))


async def _print_log(client: ApiClient, image: str) -> None:
    from .output import Sink

    text = await client.image_log(image)
    await Sink(1).write(text if text.endswith("\n") or not text else f"{text}\n")


class _Preparation:
    """One image that is made ready by a task of the server, and a user who may think better of it."""

    def __init__(self, client: ApiClient, verb: str, quiet: bool) -> None:
        self._client = client
        self._verb = verb
        self._quiet = quiet
        self._task_id = ""
        self._cancelling: asyncio.Task[None] | None = None
        self._work: asyncio.Task[int] | None = None

    async def run(self, asked: str, *, anew: bool, log: bool) -> int:
        """Returns the exit status."""
        loop = asyncio.get_running_loop()
        self._work = asyncio.create_task(self._do(asked, anew, log), name=f"{self._verb} image")
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        try:
            return await self._work
        except asyncio.CancelledError:
            if not self._work.cancelled():
                raise
            return exit_codes.INTERRUPTED
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if self._cancelling is not None:
                self._cancelling.cancel()
                await asyncio.gather(self._cancelling, return_exceptions=True)

    def _on_interrupt(self) -> None:
        assert self._work is not None
        if not self._task_id or self._cancelling is not None:
            self._work.cancel()
        else:
            self._cancelling = asyncio.create_task(self._cancel(), name="cancel task")

    async def _cancel(self) -> None:
        from ..model.errors import BaiTuiError
        from .talk import say

        self._line.clear()
        if not self._quiet:
            say("cancelling; ctrl+c again leaves at once")
        try:
            await self._client.cancel_task(self._task_id)
        except BaiTuiError as exc:
            say(f"it could not be cancelled and goes on: {exc.message}")
            assert self._work is not None
            self._work.cancel()

    async def _do(self, asked: str, anew: bool, log: bool) -> int:
        from .progress import ProgressLine
        from .talk import emit

        image = await self._client.image(asked, pull=self._verb == "pull")
        # such a one was neither built nor pulled, and cannot be
        anew = anew and image.kind not in _FOUND
        self._introduce(image, asked, anew)
        self._line = ProgressLine(image.reference, quiet=self._quiet)
        last: TaskView | None = None
        if anew or image.state is not ImageState.READY:
            self._task_id = await self._client.prepare_image(image.reference, anew=anew)
            last = await self._follow()
            if log:
                await self._print_log_of(image)
            if last is None or last.has_failed:
                return self._explain(image, last)
            image = await self._client.image(image.reference)
            self._tell_end(image, last)
        elif log:
            await self._print_log_of(image)
        emit(f"{image.reference}\n")
        return exit_codes.OK

    def _introduce(self, image: ImageView, asked: str, anew: bool) -> None:
        from .talk import say

        if self._quiet:
            return
        if asked.strip() not in (image.reference, image.id):
            say(f"{asked.strip()} leads to {image.reference}")
        if image.state is ImageState.READY and not anew:
            why = "; it was found on the machine: there is nothing to build"
            say(f"{image.reference} is ready{why if image.kind in _FOUND else '; --anew makes it once more'}")
        elif image.state is ImageState.PULLABLE and self._verb == "build":
            self._verb = "pull"
            say(f"{image.reference} is an image of a registry: it is pulled")
        elif image.state is ImageState.BUILDABLE and self._verb == "pull":
            self._verb = "build"
            say(f"{image.reference} comes from a recipe: it is built")

    async def _follow(self) -> TaskView | None:
        """Returns how the task ended."""
        last = None
        try:
            async with aclosing(self._client.task_progress(self._task_id)) as news:
                async for last in news:
                    if not last.is_over:
                        self._line.show(last.current, last.total, last.message)
        finally:
            self._line.clear()
        return last

    async def _print_log_of(self, image: ImageView) -> None:
        from ..model.errors import NotFound
        from .talk import say

        try:
            await _print_log(self._client, image.reference)
        except NotFound as exc:
            say(exc.message)

    def _explain(self, image: ImageView, last: TaskView | None) -> int:
        """Says why it failed; returns the exit status."""
        from .talk import say

        if last is not None and last.state == "cancelled":
            if self._cancelling is not None:
                if not self._quiet:
                    say(f"{image.reference} was not {_DONE[self._verb]}: cancelled")
                return exit_codes.INTERRUPTED
            say(f"{image.reference} was not {_DONE[self._verb]}: somebody else has cancelled it")
        else:
            why = last.message if last is not None else "the server stopped telling of it"
            say(f"{why.rstrip('.')}; `bai-tui image log {image.reference}` prints the log")
        return exit_codes.FAILED

    def _tell_end(self, image: ImageView, last: TaskView) -> None:
        from decimal import Decimal

        from .progress import spent
        from .tables import size
        from .talk import say

        if self._quiet:
            return
        for error in last.errors:
            say(error)
        takes = f", {size(Decimal(image.size_bytes))}" if image.size_bytes else ""
        say(f"{image.reference} is ready: {_DONE[self._verb]} in {spent(self._line.elapsed_s)}{takes}")

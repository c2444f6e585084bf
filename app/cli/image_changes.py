"""`bai-tui image rm`, `alias`, `dealias` and `rescan`: changes what there is, and how it is called."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from ..model.errors import BaiTuiError
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_images, complete_made

if TYPE_CHECKING:
    from ..client.api import ApiClient

_EACH = click.argument("images", metavar="IMAGE...", nargs=-1, required=True, shell_complete=complete_made)


@click.command("rm", context_settings=CONTEXT)
@_EACH
@click.option("-q", "--quiet", is_flag=True, help="Do not say what was removed.")
def rm(images: Sequence[str], quiet: bool) -> int:
    """Remove what was built or pulled, and print the names of the images.

    The recipe or the name stays: `image build` or `image pull` makes it ready again. Interpreters and Jupyter kernels
    that were found on the machine are not ours to remove. Sessions that run in it go on, but cannot restart.
    All are tried; the exit status is 1 when one failed.
    """
    from .each import each
    from .talk import say

    async def remove(client: ApiClient, name: str) -> None:
        told = await client.remove_image(name)
        if told and not quiet:
            say(told)

    return each(images, remove, alone=True)


@click.command("alias", context_settings=CONTEXT)
@click.argument("alias", metavar="[ALIAS", required=False)
@click.argument("target", metavar="IMAGE]", required=False, shell_complete=complete_images)
@click.option("-o", "--output", type=click.Choice(["console", "json"]), help="How the list is printed.")
@click.pass_context
def alias(ctx: click.Context, alias: str | None, target: str | None, output: str | None) -> int:
    """Without arguments: list aliases, where they lead now, and whose they are. With two: make ALIAS lead to IMAGE.

    What an alias leads to is looked up when a session starts, so IMAGE may be another alias, or a name that is not here
    yet. Yours are kept in aliases.toml and go before the shipped ones.

    \b
      bai-tui image alias
      bai-tui image alias work python-data
    """
    if alias is None:
        return _list_aliases(as_json=(output or ctx.find_root().obj) == "json")
    if target is None:
        raise click.UsageError(f"what shall {alias} lead to? Give an image as well")
    from .endpoint import with_client
    from .talk import emit

    name, image = alias, target
    with_client(lambda client: _alias(client, name, image))
    emit(f"{name}\n")
    return exit_codes.OK


async def _alias(client: ApiClient, name: str, image: str) -> None:
    """Makes an alias, and says of one that does not lead where it should where it leads."""
    from .talk import say

    await client.alias_image(name, image)
    try:
        aliases = await client.image_aliases()
    except BaiTuiError:  # it is made, all the same
        return
    made = (one for one in aliases if one.name.removesuffix(":latest") == name.strip())
    leads_to = next((one.leads_to for one in made), name)
    if not leads_to:
        say(f"there is no image {image!r} here; {name} leads to it once there is")
    elif leads_to == name.strip() and leads_to != image.strip():
        say(f"there is an image {leads_to}, which goes before aliases of its name")


def _list_aliases(*, as_json: bool) -> int:
    import dataclasses
    import json

    from .endpoint import with_client
    from .tables import table
    from .talk import emit

    found = with_client(lambda client: client.image_aliases())
    if as_json:
        items = [dataclasses.asdict(one) for one in found]
        emit(json.dumps({"count": len(items), "total_count": len(items), "items": items}, indent=2) + "\n")
        return exit_codes.OK
    whose = {True: "shipped", False: "yours", None: ""}
    rows = []
    for one in found:
        name, *targets = (reference.removesuffix(":latest") for reference in (one.name, *one.targets))
        rows.append([name, one.leads_to or "nothing that is here", ", ".join(targets), whose[one.shipped]])
    emit(table(["ALIAS", "LEADS TO", "TABLE SAYS", "WHOSE"], rows, {0: 24, 1: 24, 2: 16}, optional=(2,)))
    return exit_codes.OK


@click.command("dealias", context_settings=CONTEXT)
@click.argument("aliases", metavar="ALIAS...", nargs=-1, required=True, shell_complete=complete_images)
def dealias(aliases: Sequence[str]) -> int:
    """Remove aliases of yours. Shipped ones stay; one of yours of the same name goes before them."""
    from .each import each

    return each(aliases, lambda client, alias: client.dealias_image(alias), alone=True)


@click.command("rescan", context_settings=CONTEXT)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but why it failed.")
def rescan(quiet: bool) -> int:
    """Look for images anew: interpreters, recipes, Jupyter kernels, images of the container engine.

    The backend looks when it starts, and when a name is asked for that it does not know; this is for what appeared
    meanwhile under a name that it has never heard.
    """
    from .endpoint import with_client

    return with_client(lambda client: _rescan(client, quiet))


async def _rescan(client: ApiClient, quiet: bool) -> int:
    from .progress import ProgressLine
    from .talk import say

    before = {image.reference for image in await client.images()}
    line, last = ProgressLine("images", quiet=quiet), None
    try:
        async with aclosing(client.task_progress(await client.rescan_images())) as news:
            async for last in news:
                if not last.is_over:
                    line.show(last.current, last.total, last.message)
    finally:
        line.clear()
    if last is None or last.has_failed:
        say(last.message if last is not None and last.message else "the images could not be looked for anew")
        return exit_codes.FAILED
    for error in last.errors:
        say(error)
    if not quiet:
        after = {image.reference for image in await client.images()}
        news_of = [*(f"+ {name}" for name in sorted(after - before)), *(f"- {name}" for name in sorted(before - after))]
        for change in news_of:
            say(change)
        say(f"{len(after)} images{'' if news_of else ', the same as before'}")
    return exit_codes.OK

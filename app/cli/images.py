"""`bai-tui image list`, also `images`, and `image info`: what there is to run on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..model.images import ImageKind, ImageState
from . import exit_codes
from .lazy import CONTEXT
from .options import complete_images

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import ImageView

STATES = {
    "ready": ImageState.READY,
    "buildable": ImageState.BUILDABLE,
    "pullable": ImageState.PULLABLE,
    "unavailable": ImageState.UNAVAILABLE,
}
"""Word of an option -> state."""
_HEADER = ("IMAGE", "STATE", "LANGUAGE", "SIZE", "ALIASES", "WHY")
_FLEXIBLE = {0: 32, 4: 16, 5: 24}
"""Cut on a narrow terminal, but before they are shorter than this the optional columns go."""
_OPTIONAL = (3, 4, 2, 5)
"""Left out of a narrow terminal, in this order."""
_PLACES = {"ai.backend.runtime-path": "Program", "bai-tui.recipe": "Recipe"}
"""Label -> what `info` calls it."""
_ALIASES_SHOWN = 3
"""Of the names of one image, on a terminal."""


@click.command("list", context_settings=CONTEXT)
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--state", type=click.Choice(list(STATES)), multiple=True, help="Only images of this state; repeatable.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ImageKind]),
    multiple=True,
    help="Only images of this kind; repeatable.",
)
@click.option("--name-only", is_flag=True, help="Names only, one a line.")
@click.option("-o", "--output", type=click.Choice(["console", "json"]), help="How the list is printed.")
@click.pass_context
def list_(
    ctx: click.Context, words: Sequence[str], state: Sequence[str], kind: Sequence[str], name_only: bool, output: str
) -> int:
    """List what sessions can run on: what is here, what can be built or pulled, and what cannot be had, with why.

    WORDs choose images that have all of them in their name, an alias, language, package or description.

    \b
      bai-tui image list torch
      bai-tui image list --state ready --kind container

    A session may be started in any that is ready or can be made ready: `bai-tui run` builds or pulls first then.
    In a terminal the table is cut to its width; in a pipe nothing is cut. `image info IMAGE` tells all of one.
    """
    import json

    from .endpoint import with_client
    from .talk import emit, harmless, say

    wanted = {STATES[word] for word in state}

    async def ask(client: ApiClient) -> tuple[Sequence[ImageView], bool, str]:
        ours = "images" in (await client.info()).capabilities
        # what is wrong in recipes, aliases and settings: after the list, for which they are read
        return await client.images(), ours, await client.announcement() if ours else ""

    found, ours, told = with_client(ask)
    for line in told.splitlines():
        if not any(line == image.reason for image in found):  # else the list says it
            say(harmless(line))
    shown = [
        image
        for image in found
        if (not wanted or image.state in wanted)
        and (not kind or image.kind in kind)
        and all(word.lower() in _text(image) for word in words)
    ]
    if (output or ctx.find_root().obj) == "json":
        items = [image_json(image) for image in shown]
        emit(json.dumps({"count": len(items), "total_count": len(found), "items": items}, indent=2) + "\n")
    elif name_only:
        emit("".join(f"{harmless(image.reference)}\n" for image in shown))
    else:
        emit(_table(shown) if ours else _plain(shown))
        if not shown and found:
            say(f"none of the {len(found)} images is such a one; `bai-tui image list` has them all")
    return exit_codes.OK


def _text(image: ImageView) -> str:
    """Returns what the words of a filter are looked for in."""
    parts = (image.reference, *image.aliases, image.language, *image.packages, image.summary, image.kind)
    return "\n".join(parts).lower()


def state_of(image: ImageView) -> str:
    """Returns the state of an image in words: with how far it is, where it is just being made."""
    if image.progress is None:
        return image.state.value
    doing = "being pulled" if image.state is ImageState.PULLABLE else "being built"
    return doing if image.progress.percent is None else f"{doing}, {image.progress.percent} %"


def why_of(image: ImageView) -> str:
    """Returns what is to be known of one that is not ready: why not, or how long that takes."""
    if image.progress is not None:
        return image.progress.message
    return "; ".join(filter(None, (takes(image), image.reason)))


def takes(image: ImageView) -> str:
    """Returns about how long it takes to make an image ready; empty when nobody knows or it is."""
    from .tables import duration

    if image.state is ImageState.READY or image.prepare_s <= 0:
        return ""
    return f"takes about {duration(max(1.0, image.prepare_s))}"


def _table(images: Sequence[ImageView]) -> str:
    import sys
    from decimal import Decimal

    from .tables import size, table

    most = _ALIASES_SHOWN if sys.stdout.isatty() else None
    rows = []
    for image in images:
        # `x` and `x:latest` mean the same: one of them is enough to read
        names = list(dict.fromkeys(name.removesuffix(":latest") for name in image.aliases))
        aliases = [*names[:most], *(["…"] if most is not None and len(names) > most else [])]
        rows.append(
            [
                image.reference,
                state_of(image),
                " ".join(filter(None, (image.language, image.runtime_version))),
                size(Decimal(image.size_bytes)) if image.size_bytes else "",
                ", ".join(aliases),
                why_of(image),
            ]
        )
    return table(_HEADER, rows, _FLEXIBLE, optional=_OPTIONAL)


def _plain(images: Sequence[ImageView]) -> str:
    """Returns what a cluster tells of its images."""
    from decimal import Decimal

    from .tables import size, table

    rows = [
        [
            image.reference,
            ", ".join(image.aliases),
            image.architecture,
            size(Decimal(image.size_bytes)) if image.size_bytes else "",
            "yes" if image.installed else "no",
        ]
        for image in images
    ]
    return table(["IMAGE", "ALIASES", "ARCHITECTURE", "SIZE", "INSTALLED"], rows, (0, 1))


def image_json(image: ImageView) -> dict[str, Any]:
    """Returns an image as data."""
    import dataclasses

    from ..model.slots import format_amount

    told = {field.name: getattr(image, field.name) for field in dataclasses.fields(image)}
    for name in ("min_slots", "default_slots"):
        told[name] = {slot: format_amount(amount) for slot, amount in told[name].items()}
    progress = image.progress
    told["progress"] = None if progress is None else dataclasses.asdict(progress)
    return told | {"labels": dict(image.labels), "state": image.state.value}


@click.command("info", context_settings=CONTEXT)
@click.argument("image", metavar="IMAGE", shell_complete=complete_images)
@click.option("--exact", is_flag=True, help="Refuse another image in its place.")
@click.option("-o", "--output", type=click.Choice(["console", "json"]), help="How it is printed.")
@click.pass_context
def info(ctx: click.Context, image: str, exact: bool, output: str | None) -> int:
    """Show all that is known of an image: what it is, what is in it, what sessions of it get, and its state.

    IMAGE may be an alias or the name of one that is not here: what a session would run in instead is shown then.
    """
    import json

    from .endpoint import with_client
    from .talk import emit

    found = with_client(lambda client: client.image(image, exact=exact))
    if (output or ctx.find_root().obj) == "json":
        emit(json.dumps(image_json(found), indent=2) + "\n")
    else:
        from .tables import block

        emit(block(list(_facts(found, image))))
    return exit_codes.OK


def _facts(image: ImageView, asked: str) -> Iterator[tuple[str, str]]:
    from decimal import Decimal

    from .tables import size, slots

    yield "Image", image.reference
    if asked.strip() not in (image.reference, image.id):
        yield "Asked for", image.notice or f"{asked.strip()}, which is another name of it"
    yield "State", state_of(image)
    if why := why_of(image):
        yield "", why
    runtime = " ".join(filter(None, (image.language, image.runtime_version)))
    labels = dict(image.labels)
    places = [(name, labels.pop(label, "")) for label, name in _PLACES.items()]
    for name, value in (
        ("What", image.summary),
        ("Kind", image.kind),
        ("Runtime", runtime),
        ("Packages", ", ".join(image.packages)),
        ("Aliases", ", ".join(image.aliases)),
        ("Services", ", ".join(image.service_ports)),
        ("Slots", slots(image.default_slots)),
        ("At least", slots(image.min_slots)),
        ("Size", size(Decimal(image.size_bytes)) if image.size_bytes else ""),
        *places,
        ("Architecture", image.architecture),
        ("Digest", image.digest),
        ("Id", image.id),
    ):
        if value:
            yield name, value
    shown = [(name, value) for name, value in sorted(labels.items()) if value]
    for number, (name, value) in enumerate(shown):
        yield "" if number else "Labels", f"{name} = {value}"

"""`bai-tui images`, also `image list`."""

from __future__ import annotations

import click

from .lazy import CONTEXT


@click.command("images", context_settings=CONTEXT)
@click.option("--output", type=click.Choice(["console", "json"]), help="How the list is printed.")
@click.pass_context
def images(ctx: click.Context, output: str | None) -> int:
    """List the images that sessions can use, with their other names."""
    import dataclasses
    import json
    from decimal import Decimal

    from .endpoint import with_client
    from .tables import size, table
    from .talk import emit

    found = with_client(lambda client: client.images())
    if (output or ctx.find_root().obj) == "json":
        items = [dataclasses.asdict(image) for image in found]
        emit(json.dumps({"count": len(items), "total_count": len(items), "items": items}, indent=2) + "\n")
        return 0
    rows = [
        [
            image.reference,
            ", ".join(image.aliases),
            image.architecture,
            size(Decimal(image.size_bytes)) if image.size_bytes else "",
            "yes" if image.installed else "no",
        ]
        for image in found
    ]
    emit(table(["IMAGE", "ALIASES", "ARCHITECTURE", "SIZE", "INSTALLED"], rows, (0, 1)))
    return 0

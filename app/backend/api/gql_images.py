"""The part of the root that is about images. What Backend.AI has no field for bears `bai_` before its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...model.errors import BadRequest, ImageNotFound, NotImplementedHere
from ...model.images import Image
from ..ports import Keypair, Service
from .gql_rows import ImageRow
from .gql_told import told


class Images:
    """The part of the root that is about images."""

    _service: Service
    _caller: Keypair

    def _image_row(self, image: Image, notice: str | None = None) -> ImageRow:
        return ImageRow(image, self._service.building().get(image.canonical), notice)

    # --- queries --------------------------------------------------------------------------------------------

    async def images(self, _info: Any, is_installed: bool | None = None, **_: Any) -> list[ImageRow]:
        rows = [self._image_row(image) for image in await self._service.all_images()]
        return [row for row in rows if is_installed is None or row.installed == is_installed]

    async def image(
        self,
        _info: Any,
        reference: str | None = None,
        id: str | None = None,
        bai_substitute: bool | None = None,
        bai_pull: bool | None = None,
        **_: Any,
    ) -> ImageRow:
        if id is None and reference is None:
            raise BadRequest("say which image: by its reference, or by its id")
        for image in await self._service.all_images():
            names = (image.canonical, f"{image.registry}/{image.canonical}")
            if image.id == id or (id is None and reference in names):
                return self._image_row(image)
        if id is not None or reference is None:
            raise ImageNotFound(f"there is no image with the id {id!r}")
        if bai_substitute is None:  # the client of a cluster knows aliases, and nothing that stands for something else
            for image in await self._service.all_images():
                if reference in image.aliases:
                    return self._image_row(image)
            raise ImageNotFound(f"Unknown image reference: {reference}")
        found = await self._service.resolve_image(reference, exact=not bai_substitute, pull=bool(bai_pull))
        return self._image_row(found.image, found.notice)

    def customized_images(self, _info: Any) -> list[ImageRow]:
        return []  # nobody commits a session here

    def bai_image_aliases(self, _info: Any) -> list[dict[str, Any]]:
        return [
            {"name": one.name, "targets": list(one.targets), "leads_to": one.leads_to or None, "shipped": one.shipped}
            for one in self._service.image_aliases()
        ]

    # --- mutations ------------------------------------------------------------------------------------------

    async def preload_image(
        self, _info: Any, references: Sequence[str | None], bai_anew: bool | None = None, **_: Any
    ) -> dict[str, Any]:
        async def preload() -> dict[str, Any]:
            names = [reference for reference in references if reference]
            task_id, notices = await self._service.prepare_images(self._caller, names, anew=bool(bai_anew))
            return {"task_id": task_id, "msg": "; ".join(notices)}

        return await told(self._caller, "preload_image", preload)

    async def unload_image(self, _info: Any, references: Sequence[str | None], **_: Any) -> dict[str, Any]:
        return await self._remove("unload_image", [reference for reference in references if reference])

    async def forget_image(self, _info: Any, reference: str, **_: Any) -> dict[str, Any]:
        return await self._remove("forget_image", [reference])

    async def forget_image_by_id(self, _info: Any, image_id: str) -> dict[str, Any]:
        return await self._remove("forget_image_by_id", [image_id])

    async def purge_image_by_id(
        self, _info: Any, image_id: str, options: dict[str, Any] | None = None
    ) -> dict[str, ImageRow]:
        if options and options.get("remove_from_registry"):
            raise NotImplementedHere("this backend writes to no registry: leave out 'remove_from_registry'")
        await self._service.remove_images(self._caller, [image_id])
        return {"image": await self.image(_info, id=image_id)}

    async def _remove(self, name: str, references: Sequence[str]) -> dict[str, Any]:
        async def remove() -> dict[str, Any]:
            return {"msg": await self._service.remove_images(self._caller, references)}

        return await told(self._caller, name, remove)

    async def alias_image(self, _info: Any, alias: str, target: str, **_: Any) -> dict[str, Any]:
        async def write() -> dict[str, Any]:
            await self._service.alias_image(self._caller, alias, target)
            return {}

        return await told(self._caller, "alias_image", write)

    async def dealias_image(self, _info: Any, alias: str) -> dict[str, Any]:
        async def take_away() -> dict[str, Any]:
            await self._service.dealias_image(self._caller, alias)
            return {}

        return await told(self._caller, "dealias_image", take_away)

    async def rescan_images(self, _info: Any, registry: str | None = None, **_: Any) -> dict[str, Any]:
        async def rescan() -> dict[str, Any]:
            registries = {"local", *(image.registry for image in self._service.images())}
            if registry and registry not in registries:
                raise BadRequest(f"there is no registry {registry!r} here; all are looked at when none is named")
            return {"task_id": self._service.rescan_images(self._caller)}

        return await told(self._caller, "rescan_images", rescan)

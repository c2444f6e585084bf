"""The launch form: an image, and how much of the machine it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from ...widgets.image_picker import ImagePicker
from ...widgets.resource_form import ResourceForm
from ...widgets.rows import ImageRow, Machine
from .dialogs import Dialog
from .launch_memory import LaunchMemory
from .store import LaunchRequest, free_name

if TYPE_CHECKING:
    from .workbench import Workbench


class LaunchScreen(Dialog[None]):
    """Picks an image and how much of the machine it takes. Stays open until the server took the launch."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="launch-close", tooltip="Close without launching"),
        Binding("down", "move(1)", "next image", show=False, id="launch-down", tooltip="Go to the next image"),
        Binding("up", "move(-1)", "previous image", show=False, id="launch-up", tooltip="Go to the previous image"),
        Binding("f2", "preset", "preset", id="launch-preset", tooltip="Fill in the next preset", priority=True),
        Binding("f3", "last", "last launch", id="launch-last", tooltip="Fill in the last launch", priority=True),
        Binding("f4", "pin", "pin", id="launch-pin", tooltip="Pin the image, or take its pin away", priority=True),
    ]

    def __init__(self, bench: Workbench, asked: Callable[[LaunchRequest], None]) -> None:
        super().__init__()
        connection = bench.sync.connection
        self._bench = bench
        self._asked = asked
        self._memory = bench.memory.of(LaunchMemory)
        self._images = self._memory.ordered(connection.images)
        self._machine = connection.machine
        self._mounts = not connection.is_ours
        self._busy = False
        self._refused_by: object = None
        """The connection over which the last try failed; None = there was none."""

    def compose(self) -> ComposeResult:
        glyphs, memory = self._bench.glyphs, self._memory
        with Vertical(id="launch") as box:
            box.border_title = "New session"
            dot = f" {glyphs.dot} "
            box.border_subtitle = dot.join(("enter launches", "tab fields", "f2 preset", "f3 last", "f4 pin", "escape"))
            yield ImagePicker(self._images, pinned=memory.pinned, recent=memory.recent, glyphs=glyphs, id="picker")
            yield ResourceForm(self._machine, mounts=self._mounts, glyphs=glyphs, id="form")

    def on_mount(self) -> None:
        self._choose_first()
        self.query_one("#image-search", Input).focus()

    def _choose_first(self) -> None:
        self.query_one(ImagePicker).choose(next(iter(self._memory.recent), self._bench.launching.default_image))

    def set_images(self, images: Sequence[ImageRow]) -> None:
        """Offers images that came to be known meanwhile."""
        ordered = self._memory.ordered(images)
        if ordered != self._images:
            self._images = ordered
            picker = self.query_one(ImagePicker)
            had_none = picker.image is None
            picker.set_images(ordered)
            if had_none:
                self._choose_first()

    def set_machine(self, machine: Machine) -> None:
        """Shows what is free now."""
        client = self._bench.sync.connection.client
        if client is not None and client is not self._refused_by:
            # connected again: what the lost connection said no longer holds
            self._refused_by = client
            self.query_one(ResourceForm).refuse("")
        if machine != self._machine:
            self._machine = machine
            self.query_one(ResourceForm).set_machine(machine)

    def fail(self, reason: str) -> None:
        """Says why the server refused; the form can be changed and sent again."""
        self._busy = False
        self._refused_by = self._bench.sync.connection.client
        self.query_one(ResourceForm).refuse(reason)

    # -- actions ---------------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        search = self.query_one("#image-search", Input)
        if search.has_focus and search.value:
            search.value = ""
        else:
            self.dismiss(None)

    def action_move(self, step: int) -> None:
        if self.query_one("#image-search", Input).has_focus:
            self.query_one(ImagePicker).move(step)
        elif step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_preset(self) -> None:
        form = self.query_one(ResourceForm)
        name = form.next_preset()
        self.query_one("#launch").border_title = f"New session {self._bench.glyphs.dot} {name}"

    def action_last(self) -> None:
        """Fills in what was launched last, of any image."""
        form = self.query_one(ResourceForm)
        last = self._memory.newest()
        if last is None:
            form.tell("nothing was launched from here yet", error=True)
            return
        search = self.query_one("#image-search", Input)
        search.value = ""
        self.query_one(ImagePicker).choose(last.image)
        form.show(last.resources, last.environ, last.mounts, last.count)

    def action_pin(self) -> None:
        picker = self.query_one(ImagePicker)
        if picker.image is not None:
            self._memory.pin(picker.image.reference)
            self._images = self._memory.ordered(self._bench.sync.connection.images)
            picker.set_pinned(self._memory.pinned, self._images)

    @on(ImagePicker.Chosen)
    def _chosen(self, event: ImagePicker.Chosen) -> None:
        if event.image is not None:
            name = free_name(event.image.reference, self._bench.store.names())
            self.query_one(ResourceForm).set_name_hint(name)

    @on(ImagePicker.Submitted)
    @on(ResourceForm.Submitted)
    def _submitted(self) -> None:
        picker, form = self.query_one(ImagePicker), self.query_one(ResourceForm)
        if self._busy:
            return
        if picker.image is None:
            form.tell("pick an image first", error=True)
            return
        wanted = form.check()
        if wanted is not None:
            self._busy = True
            form.tell("launching")
            self._asked(
                LaunchRequest(
                    picker.image.reference,
                    wanted.name,
                    wanted.resources,
                    environ=wanted.environ,
                    mounts=wanted.mounts,
                    count=wanted.count,
                )
            )

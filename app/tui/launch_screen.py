"""The launch form: an image, and how much of the machine it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input

from ...widgets.details import Details
from ...widgets.image_picker import ImagePicker
from ...widgets.image_words import image_facts, what_first, why_not
from ...widgets.resource_form import ResourceForm
from ...widgets.rows import Detail, ImageRow, Machine
from ...widgets.text import size
from ..model.images import ImageKind, ImageState
from .actions import bindings
from .dialogs import Dialog
from .launch_memory import LaunchMemory
from .store import LaunchRequest, free_name

if TYPE_CHECKING:
    from .workbench import Workbench


WIDE_FROM: Final = 140
"""Cells of the screen from which all that is known of an image stands beside the list."""
_CELLS: Final = 96
_WIDE_CELLS: Final = 140
"""Width of the form, as the style sheet has it."""
_FRAME: Final = 6
_KEYS: Final = ("enter launches", "f2 preset", "f3 last", "f4 pin")
_IMAGE_KEYS: Final = ("build", "about", "log", "stop", "remove", "rescan")
_REST: Final = ("tab fields", "escape")


class LaunchScreen(Dialog[None]):
    """Picks an image and how much of the machine it takes. Stays open until the server took the launch."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="launch-close", tooltip="Close without launching"),
        Binding("down", "move(1)", "next image", show=False, id="launch-down", tooltip="Go to the next image"),
        Binding("up", "move(-1)", "previous image", show=False, id="launch-up", tooltip="Go to the previous image"),
        Binding("f2", "preset", "preset", id="launch-preset", tooltip="Fill in the next preset", priority=True),
        Binding("f3", "last", "last launch", id="launch-last", tooltip="Fill in the last launch", priority=True),
        Binding("f4", "pin", "pin", id="launch-pin", tooltip="Pin the image, or take its pin away", priority=True),
        *bindings("images"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (WIDE_FROM, "-wide")]  # noqa: RUF012  # as Textual declares it
    pane_name: ClassVar[str] = "images"

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
        self._details = Details(glyphs=bench.glyphs, id="image-about")
        self._about: bool | None = None
        """Whether all that is known of the image is shown; None = where it has room beside the list."""
        self._refused_by: object = None
        """The connection over which the last try failed; None = there was none."""

    def compose(self) -> ComposeResult:
        glyphs, memory = self._bench.glyphs, self._memory
        with Vertical(id="launch") as box:
            box.border_title = "New session"
            with Horizontal(id="images"):
                yield ImagePicker(
                    self._images,
                    pinned=memory.pinned,
                    recent=memory.recent,
                    glyphs=glyphs,
                    clock=self._bench.clock,
                    id="picker",
                )
                yield self._details
            yield ResourceForm(self._machine, mounts=self._mounts, glyphs=glyphs, id="form")

    def on_mount(self) -> None:
        self._choose_first()
        self.query_one("#image-search", Input).focus()
        self._show_about()
        self.set_interval(1.0, self._tick, name="builds")

    def on_resize(self) -> None:
        self._show_about()

    def _keys(self) -> str:
        """Returns the keys that the frame names: as many as have room, those of images where the server has a use for
        them."""
        dot, keys = f" {self._bench.glyphs.dot} ", self._bench.keys
        named = [*_KEYS]
        if self._bench.sync.connection.tells_images:
            named += [f"{keys.first(f'images-{word}')} {word}" for word in _IMAGE_KEYS]
        named += _REST
        room = min(self.app.size.width, _WIDE_CELLS if self.app.size.width >= WIDE_FROM else _CELLS) - _FRAME
        while len(dot.join(named)) > room:
            named.pop()
        return dot.join(named)

    def _tick(self) -> None:
        picker = self.query_one(ImagePicker)
        if picker.building:
            picker.tick()
            self._show_facts()

    def _choose_first(self) -> None:
        self.query_one(ImagePicker).choose(next(iter(self._memory.recent), self._bench.launching.default_image))

    def set_images(self, images: Sequence[ImageRow]) -> None:
        """Offers images that came to be known meanwhile."""
        ordered = self._memory.in_order(self._images, images)
        if ordered != self._images:
            self._images = ordered
            picker = self.query_one(ImagePicker)
            had_none = picker.image is None
            picker.set_images(ordered)
            if had_none:
                self._choose_first()
        self._show_facts()

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

    # -- the image -------------------------------------------------------------------------------------------------

    @property
    def _image(self) -> ImageRow | None:
        return self.query_one(ImagePicker).image

    def _show_about(self) -> None:
        self.query_one("#launch").border_subtitle = Content(self._keys())
        shown = self.app.size.width >= WIDE_FROM if self._about is None else self._about
        self.set_class(shown, "-about")
        self._show_facts()

    def _show_facts(self) -> None:
        image = self._image
        if image is None:
            self._details.set_facts([], top=True)
            return
        bench = self._bench
        facts = image_facts(image, bench.glyphs, bench.clock())
        failure = bench.sync.connection.failures.get(image.reference)
        if failure and image.progress is None:
            key = bench.keys.first("images-log")
            facts.insert(1, Detail("failed", f"{failure} ({key} shows the log)", level="soon"))
        self._details.set_facts(facts)

    def _tell(self, wrong: str | None) -> None:
        if wrong is not None:
            self.query_one(ResourceForm).tell(wrong, error=True)

    def action_about(self) -> None:
        """Shows or hides all that is known of the image."""
        self._about = not self.has_class("-about")
        self._show_about()

    def action_build(self) -> None:
        """Has the image built or pulled; asks before that is done once more."""
        image, work = self._image, self._bench.image_work
        if image is None:
            return
        again = image.state is ImageState.READY and image.kind in (ImageKind.RECIPE, ImageKind.CONTAINER)
        if not again or image.progress is not None:
            self._tell(work.build(image))
            return
        from .choice_box import Choice, ChoiceBox

        about = "as its recipe says now" if image.kind is ImageKind.RECIPE else "as its registry has it now"
        word = "build" if image.kind is ImageKind.RECIPE else "pull"
        box = ChoiceBox(f"{word.capitalize()} {image.reference} once more?", [], (Choice(word[0], word, about, word),))
        self.app.push_screen(box, lambda answer: self._tell(work.build(image, anew=True)) if answer else None)

    def action_stop(self) -> None:
        """Stops what builds or pulls the image."""
        if self._image is not None:
            self._tell(self._bench.image_work.stop(self._image))

    def action_log(self) -> None:
        """Shows the log of how the image was built or pulled."""
        image = self._image
        if image is None:
            return
        if not self._bench.sync.connection.tells_images:
            self._tell("this server keeps no log of its images")
            return
        from .image_log_screen import ImageLogScreen

        self._bench.did("image", "log", image.reference)
        self.app.push_screen(ImageLogScreen(self._bench, image.reference))

    def action_remove(self) -> None:
        """Asks, and removes what was built or pulled."""
        image, work = self._image, self._bench.image_work
        if image is None:
            return
        if (wrong := work.removable(image)) is not None:
            self._tell(wrong)
            return
        from .choice_box import Choice, ChoiceBox

        held = f", which frees {size(image.size_bytes)}" if image.size_bytes else ""
        choice = Choice("r", "remove", f"it must be built or pulled to be had again{held}", "remove")
        box = ChoiceBox(f"Remove {image.reference}?", [], (choice,), ask="Sessions that run in it go on.")
        self.app.push_screen(box, lambda answer: work.remove(image) if answer else None)

    def action_rescan(self) -> None:
        """Has the server look for images anew."""
        wrong = self._bench.image_work.rescan()
        self.query_one(ResourceForm).tell(wrong or "the server looks for images", error=wrong is not None)

    @on(ImagePicker.Chosen)
    def _chosen(self, event: ImagePicker.Chosen) -> None:
        form = self.query_one(ResourceForm)
        if event.image is not None:
            form.set_name_hint(free_name(event.image.reference, self._bench.store.names()))
            form.set_image(event.image.min_slots, event.image.default_slots, what_first(event.image))
        self._show_facts()

    @on(ImagePicker.Submitted)
    @on(ResourceForm.Submitted)
    def _submitted(self) -> None:
        picker, form = self.query_one(ImagePicker), self.query_one(ResourceForm)
        if self._busy:
            return
        if picker.image is None:
            form.tell("pick an image first", error=True)
            return
        if wrong := why_not(picker.image):
            form.tell(wrong, error=True)
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

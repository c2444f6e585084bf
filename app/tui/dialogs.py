"""The modal screens: launch, help, a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ...widgets.image_picker import ImagePicker
from ...widgets.resource_form import ResourceForm
from ...widgets.rows import ImageRow, Machine
from .store import LaunchRequest, free_name

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A modal screen that loses no key: what is typed before its field is there is typed once more then."""

    def __init__(self) -> None:
        super().__init__()
        self._early: list[events.Key] = []

    def on_key(self, event: events.Key) -> None:
        if self.focused is None:
            event.stop()
            self._early.append(event)

    def on_descendant_focus(self) -> None:
        early, self._early = self._early, []
        for key in early:
            self.app.post_message(events.Key(key.key, key.character))


class LaunchScreen(Dialog[None]):
    """Picks an image and how much of the machine it takes. Stays open until the server took the launch."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="launch-close", tooltip="Close without launching"),
        Binding("down", "move(1)", "next image", show=False, id="launch-down", tooltip="Go to the next image"),
        Binding("up", "move(-1)", "previous image", show=False, id="launch-up", tooltip="Go to the previous image"),
    ]

    class Asked(Message):
        """Enter was pressed and the form is right."""

        def __init__(self, request: LaunchRequest) -> None:
            super().__init__()
            self.request = request

    def __init__(
        self,
        images: Sequence[ImageRow],
        machine: Machine,
        *,
        default_image: str,
        taken: Callable[[], set[str]],
        asked: Callable[[LaunchRequest], None],
    ) -> None:
        super().__init__()
        self._images = images
        self._machine = machine
        self._default_image = default_image
        self._taken = taken
        self._asked = asked
        self._busy = False

    def compose(self) -> ComposeResult:
        with Vertical(id="launch") as box:
            box.border_title = "New session"
            box.border_subtitle = "enter launches · tab fields · escape closes"
            yield ImagePicker(self._images, id="picker")
            yield ResourceForm(self._machine, id="form")

    def on_mount(self) -> None:
        picker = self.query_one(ImagePicker)
        picker.choose(self._default_image)
        self.query_one("#image-search", Input).focus()

    def set_images(self, images: Sequence[ImageRow]) -> None:
        """Offers images that came to be known meanwhile."""
        if tuple(images) != tuple(self._images):
            self._images = images
            picker = self.query_one(ImagePicker)
            had_none = picker.image is None
            picker.set_images(images)
            if had_none:
                picker.choose(self._default_image)

    def set_machine(self, machine: Machine) -> None:
        """Shows what is free now."""
        if machine != self._machine:
            self._machine = machine
            self.query_one(ResourceForm).set_machine(machine)

    def fail(self, reason: str) -> None:
        """Says why the server refused; the form can be changed and sent again."""
        self._busy = False
        self.query_one(ResourceForm).tell(reason, error=True)

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

    @on(ImagePicker.Chosen)
    def _chosen(self, event: ImagePicker.Chosen) -> None:
        if event.image is not None:
            self.query_one(ResourceForm).set_name_hint(free_name(self._reference(event.image), self._taken()))

    @on(ImagePicker.Submitted)
    @on(ResourceForm.Submitted)
    def _submitted(self) -> None:
        picker, form = self.query_one(ImagePicker), self.query_one(ResourceForm)
        if self._busy:
            return
        if picker.image is None:
            form.tell("pick an image first", error=True)
            return
        checked = form.check()
        if checked is not None:
            self._busy = True
            form.tell("launching")
            self._asked(LaunchRequest(self._reference(picker.image), *checked))

    def _reference(self, image: ImageRow) -> str:
        return image.reference


class PathPrompt(Dialog[str | None]):
    """Asks for a path, or another line. Says what is wrong with it and asks again, until escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="path-close", tooltip="Close without doing anything"),
    ]

    def __init__(
        self, title: str, path: str, check: Callable[[str], Awaitable[str | None]], *, empty: str = "write a path"
    ) -> None:
        super().__init__()
        self._title = title
        self._path = path
        self._check = check
        self._empty = empty

    def compose(self) -> ComposeResult:
        with Vertical(id="path-prompt") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "enter · escape closes"
            yield Input(self._path, id="path", compact=True)
            yield Static("", id="path-error", markup=False)

    def action_close(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        # a worker, since a file may be on a disk that does not answer: escape must still lead out
        self.run_worker(self._try(event.value.strip()), name="path", exclusive=True)

    async def _try(self, path: str) -> None:
        wrong = await self._check(path) if path else self._empty
        if wrong is None:
            self.dismiss(path)
        else:
            self.query_one("#path-error", Static).update(wrong)

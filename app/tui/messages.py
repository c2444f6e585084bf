"""What workers tell the app: facts, in the past tense. Floods fold into one message each."""

from __future__ import annotations

from textual.message import Message


class SessionsChanged(Message):
    """The session store has news."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SessionsChanged)


class MachineChanged(Message):
    """Slots or GPUs are given away differently."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, MachineChanged)


class ImagesChanged(Message):
    """The images are other ones, or one of them is further."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ImagesChanged)


class ConnectionChanged(Message):
    """The connection was made, lost, or is being tried."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ConnectionChanged)


class ConsoleChanged(Message):
    """A transcript has news."""

    def __init__(self, session_id: str) -> None:
        super().__init__()
        self.session_id = session_id

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ConsoleChanged) and message.session_id == self.session_id


class InputAsked(Message):
    """A run waits for a line of input."""

    def __init__(self, session_id: str) -> None:
        super().__init__()
        self.session_id = session_id


class LaunchFailed(Message):
    """The server refused a launch."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Launched(Message):
    """The server took a launch."""

    def __init__(self, session_id: str) -> None:
        super().__init__()
        self.session_id = session_id


class StatsChanged(Message):
    """A round of measuring came, or none comes any more."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StatsChanged)


class NoticesCame(Message):
    """The server warned of something."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, NoticesCame)


class Told(Message):
    """Something that the user asked for was done; the server's answer in words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Complained(Message):
    """Something failed that has no place of its own on the screen."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class CodeAsked(Message):
    """Code is to be run in the selected session, or in a new one where there is none."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code


class LocationAsked(Message):
    """A place in a file is to be seen in the editor, or in code that was run from there."""

    def __init__(self, path: str, row: int = 0, column: int = 0, *, code: str = "") -> None:
        super().__init__()
        self.path = path
        """Empty where the place is in `code`."""
        self.code = code
        """What was run; the editor shows the place where it has this text."""
        self.row = row
        """Counted from 0, as the column is."""
        self.column = column


class Hinted(Message):
    """Why a key did nothing, in a few words; empty takes the last one back."""

    def __init__(self, text: str, *, stays: bool = False) -> None:
        super().__init__()
        self.text = text
        self.stays = stays
        """Until the next one; else for some seconds."""


class Happened(Message):
    """The log of events and commands has news."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Happened)


class FileSaved(Message):
    """A file of this machine was written from the editor."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        """Absolute."""


class AboutCame(Message):
    """More is known of the session that is looked at."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, AboutCame)

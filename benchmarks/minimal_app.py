"""The peer of the start-up benchmark: the least Textual app that shows a list."""

from textual.app import App, ComposeResult
from textual.widgets import ListItem, ListView, Static


class MinimalApp(App[None]):
    """One list with one row."""

    def compose(self) -> ComposeResult:
        yield ListView(ListItem(Static("first-row-of-the-list")))


if __name__ == "__main__":
    MinimalApp().run()

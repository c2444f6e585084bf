"""A click group that imports a command when it is used: `bai-tui ps` pays for `ps` only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(click.Group):
    """Takes its commands from a table: name -> (module:attribute relative to this package, one line of help).

    Args:
        at_home: Names of those that go to no server; all others get the option --context.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        at_home: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._at_home = at_home

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table, *(name for name in super().list_commands(ctx) if name not in self._table)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(import_module(f".{module}", __package__), attribute)
        assert isinstance(command, click.Command)
        if cmd_name not in self._at_home and not any(param.name == "context" for param in command.params):
            from .options import context_option

            command.params.append(context_option())
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Returns names of commands without importing them, and options."""
        from click.shell_completion import CompletionItem

        names = [name for name in self._table if name.startswith(incomplete) and self._table[name][1]]
        found = [CompletionItem(name, help=self._table[name][1]) for name in names]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if name not in self._table and name.startswith(incomplete) and command is not None:
                found.append(CompletionItem(name, help=command.get_short_help_str(80)))
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, help_) for name, (_, help_) in self._table.items() if help_]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if name not in self._table and command is not None:
                rows.append((name, command.get_short_help_str(80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"there is no command {args[0]!r}; did you mean {near[0]!r}?", ctx) from None

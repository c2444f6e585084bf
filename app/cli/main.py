"""The command `bai-tui`: a table of commands, and the one place where an error becomes a sentence and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from ... import __version__
from . import exit_codes
from .lazy import CONTEXT, LazyGroup
from .options import choose_context, complete_contexts
from .talk import NobodyReads, debugging, harmless, say

_LIST = ("listing:ps", "List sessions.")
_RUN = ("run:run", "Run code, or files, in a session.")
_CREATE = ("create:create", "Make a session without code, or a batch session.")
_RM = ("removal:rm", "End sessions and remove them.")
_SESSION = {
    "list": _LIST,
    "info": ("info:info", "Show all that is known of a session."),
    "run": _RUN,
    "create": _CREATE,
    "start": _CREATE,
    "rm": _RM,
    "kill": _RM,
    "destroy": _RM,
    "terminate": _RM,
    "attach": ("attach:attach", "Watch what runs in a session, and answer it."),
    "logs": ("logs:logs", "Show what a session has written, or writes."),
    "shell": ("shell:shell", "Open a terminal in a session."),
    "interrupt": ("session:interrupt", "Interrupt what runs in sessions."),
    "restart": ("session:restart", "Restart the kernel of sessions."),
    "rename": ("session:rename", "Give a session another name."),
    "extend": ("session:extend", "Keep sessions from being ended as idle."),
    "set-priority": ("session:set_priority", "Move a session in the queue."),
}
_KEYPAIR = {
    "list": ("keypair:list_", "List keypairs: your own, as an administrator all."),
    "add": ("keypair:add", "Make a keypair, for yourself or another user."),
    "rotate": ("keypair:rotate", "Give a keypair another secret key."),
    "revoke": ("keypair:revoke", "Switch keypairs off: they open nothing any more."),
    "activate": ("keypair:activate", "Switch keypairs on again."),
    "rm": ("keypair:rm", "Delete keypairs that have no live sessions."),
}
_CONTEXT = {
    "list": ("context:list_", "List contexts: servers by name."),
    "use": ("context:use", "Let commands and workspaces to come go to another one."),
    "add": ("context:add_", "Add a server to config.toml."),
    "rm": ("context:rm", "Remove contexts."),
    "show": ("context:show", "Show a context, and whether it answers."),
}
_CONFIG = {
    "show": ("configuration:show", "Show the settings in force, and where each comes from."),
    "validate": ("configuration:validate", "Tell all that is wrong with config.toml."),
    "edit": ("configuration:edit", "Edit config.toml, and check it."),
    "path": ("configuration:path", "Print where config.toml is."),
    "schema": ("configuration:schema", "Print the JSON Schema of config.toml."),
}
_IMAGES = ("images:list_", "List the images that sessions can use.")
_IMAGE = {
    "list": _IMAGES,
    "info": ("images:info", "Show all that is known of an image."),
    "build": ("image_build:build", "Build an image from its recipe."),
    "pull": ("image_build:pull", "Pull an image of the container engine."),
    "log": ("image_build:log_", "Print the log of the newest building or pulling."),
    "rm": ("image_changes:rm", "Remove what was built or pulled."),
    "alias": ("image_changes:alias", "List aliases, or make one."),
    "dealias": ("image_changes:dealias", "Remove aliases of yours."),
    "rescan": ("image_changes:rescan", "Look for images anew."),
}
_TABLE = {
    "ps": _LIST,
    "top": ("top:top", "Watch what sessions and GPUs use."),
    "info": _SESSION["info"],
    "run": _RUN,
    "create": _CREATE,
    "start": (_CREATE[0], ""),
    "rm": _RM,
    "kill": (_RM[0], ""),
    "destroy": (_RM[0], ""),
    "attach": _SESSION["attach"],
    "logs": _SESSION["logs"],
    "shell": _SESSION["shell"],
    "interrupt": _SESSION["interrupt"],
    "restart": _SESSION["restart"],
    "rename": _SESSION["rename"],
    "extend": _SESSION["extend"],
    "images": _IMAGES,
    "simulate": ("simulate:simulate", "Play a trace of requests through the scheduler."),
    "serve": ("serve:serve", "Run the local backend; it starts by itself when needed."),
    "web": ("web:web", "Serve the workspace in a browser on this machine."),
    "completion": ("completion:completion", "Let bash, zsh or fish complete command lines."),
    "env": ("serve:env", "Print the variables by which other clients reach the local backend."),
}


_AT_HOME = frozenset(("serve", "env", "simulate", "completion"))
"""Commands that go to no server, or to the local backend only."""


@click.group(
    cls=LazyGroup,
    table=_TABLE,
    at_home=_AT_HOME,
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog="Errors are one sentence on stderr; `bai-tui run --help` lists the exit statuses. "
    "BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY, or a context, lead to a Backend.AI cluster.",
)
@click.option(
    "--output",
    type=click.Choice(["console", "json"]),
    default="console",
    help="How lists are printed.",
)
@click.option(
    "--context",
    metavar="NAME",
    expose_value=False,
    is_eager=True,
    callback=choose_context,
    shell_complete=complete_contexts,
    help="Server to go to: `local`, or one of `bai-tui context list`. All commands have it.",
)
@click.option(
    "--read-only", is_flag=True, help="Workspace: nothing is started, changed or ended until it is switched off."
)
@click.version_option(__version__, prog_name="bai-tui")
@click.pass_context
def cli(ctx: click.Context, output: str, read_only: bool) -> int:
    """Compute sessions from the terminal: pick an image, run code, watch it, kill it.

    Without a command the workspace opens: sessions, editor, output, GPU shares on one screen.
    """
    ctx.obj = output
    if ctx.invoked_subcommand is not None:
        return exit_codes.OK
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the workspace needs a terminal; `bai-tui --help` lists the commands")
    from ..tui.app import run

    return run(None, read_only=read_only)


def _group(name: str, help_: str, table: dict[str, tuple[str, str]], *, at_home: bool = False) -> LazyGroup:
    nowhere = frozenset(table) if at_home else frozenset()
    return LazyGroup(name=name, help=help_, table=table, at_home=nowhere, context_settings=CONTEXT)


_session = _group("session", "Sessions: list, run, rm, logs, ...", _SESSION)
_admin = _group("admin", "The same under the names of Backend.AI's admin commands.", {"sessions": _LIST})
_admin.add_command(_session)
_keypair = _group("keypair", "Keypairs of the users: list, add, rotate, revoke, ...", _KEYPAIR)
_admin.add_command(_keypair)
_context = _group("context", "Servers by name: list, use, add, rm, show.", _CONTEXT, at_home=True)
_config = _group("config", "Settings: show, validate, edit, path, schema.", _CONFIG, at_home=True)
_image = _group("image", "Images: list, info, build, pull, rm, alias, ...", _IMAGE)
_admin.add_command(_image)
for _each in (_session, _image, _keypair, _admin, _context, _config):
    cli.add_command(_each)


def invoke(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit status; every error has been told on stderr by then."""
    if "_BAI_TUI_COMPLETE" in os.environ:
        from .completion import register

        register()
    return guarded(lambda: cli.main(arguments, prog_name="bai-tui", standalone_mode=False))


def guarded(work: Callable[[], object]) -> int:
    """Does `work`; returns the exit status that it returned, or that of its error, which has been told then."""
    from ..model.errors import BaiTuiError

    try:
        result = work()
        sys.stdout.flush()
        return result if isinstance(result, int) else exit_codes.OK
    except click.UsageError as exc:
        hint = ""
        if exc.ctx is not None:
            hint = f" (see `{exc.ctx.command_path} --help`)"
        say(f"{exc.format_message().rstrip('.')}{hint}")
        return exit_codes.USAGE
    except click.ClickException as exc:
        say(exc.format_message())
        return exit_codes.USAGE
    except (click.Abort, KeyboardInterrupt):
        return exit_codes.INTERRUPTED
    except BaiTuiError as exc:
        if debugging():
            raise
        say(exc.message)
        return exit_codes.of_error(exc)
    except (NobodyReads, BrokenPipeError):
        _forget_stdout()
        return exit_codes.BROKEN_PIPE
    except Exception as exc:
        if debugging():
            raise
        say(f"this is a defect of bai-tui: {type(exc).__name__}: {harmless(str(exc))}; BAI_TUI_DEBUG=1 shows where")
        return exit_codes.INTERNAL


def _forget_stdout() -> None:
    """Keeps the interpreter from complaining, when it ends, that nobody reads what is left in the buffer."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass

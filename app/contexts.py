"""Where commands and screen go: the local backend, the server of BACKEND_*, or one of `[contexts]`.

Nothing here contacts a server, and the file is read only when a context has been chosen: every command passes here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .config import Paths, placed, read_table, remote_endpoint
from .model.endpoint import Endpoint
from .model.errors import ConfigError

if TYPE_CHECKING:
    from .policies import ContextSettings
    from .settings.reading import Problem

LOCAL: Final = "local"
"""Name of the backend of this machine."""
ENVIRONMENT: Final = "environment"
"""Name of the server that BACKEND_* lead to."""
VARIABLE: Final = "BAI_TUI_CONTEXT"
"""Names the context of this process and those that it starts; the option --context sets it."""
_MOST_BYTES: Final = 1024
"""Of a secret key, and of the name of a context."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which context it is, and why."""

    name: str
    why: str
    """What chose it, for a sentence; empty = nothing did, it is the default."""


def chosen(paths: Paths) -> Choice:
    """Returns the context in force: that of --context or BAI_TUI_CONTEXT, else of BACKEND_ENDPOINT, else that of
    `bai-tui context use`, else the local backend."""
    if name := os.environ.get(VARIABLE, ""):
        return Choice(name, f"--context or {VARIABLE}")
    if os.environ.get("BACKEND_ENDPOINT", ""):
        return Choice(ENVIRONMENT, "BACKEND_ENDPOINT")
    if name := kept(paths):
        return Choice(name, "`bai-tui context use`")
    return Choice(LOCAL, "")


def choose(name: str) -> None:
    """Puts a context in force, for this process and those that it starts."""
    os.environ[VARIABLE] = name


def chosen_endpoint(paths: Paths) -> Endpoint | None:
    """Returns the endpoint of the context in force, None for the local backend.

    Raises:
        ConfigError: there is no such context, or it, or its secret key, cannot be read.
    """
    choice = chosen(paths)
    return None if choice.name == LOCAL else endpoint_of(paths, choice.name, choice.why)


def endpoint_of(paths: Paths, name: str, why: str = "") -> Endpoint:
    """Returns the endpoint of a context that is not the local one.

    Raises:
        ConfigError: as `chosen_endpoint`.
    """
    if name == ENVIRONMENT:
        endpoint = remote_endpoint()
        if endpoint is None:
            raise ConfigError(f"the context {ENVIRONMENT} is the server of BACKEND_ENDPOINT, which is not set")
        return endpoint
    contexts = named(paths)
    if name not in contexts:
        raise ConfigError(_unknown(name, contexts, why))
    found = contexts[name]
    return Endpoint(
        found.endpoint,
        found.access_key,
        _secret(secret_path(paths, name, found)),
        name=name,
        domain=found.domain,
        group=found.group,
        verify_tls=found.verify_tls,
        renew=partial(endpoint_of, paths, name),
    )


def _unknown(name: str, known: Mapping[str, object], why: str) -> str:
    from difflib import get_close_matches

    names = [LOCAL, *known]
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    said = f" (chosen by {why})" if why else ""
    return f"there is no context {name!r}{said}" + (
        f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"
    )


def named(paths: Paths) -> Mapping[str, ContextSettings]:
    """Returns what `[contexts]` of `config.toml` say.

    Raises:
        ConfigError: the file cannot be read, or they are wrong.
    """
    table = read_table(paths)
    if not table.get("contexts"):
        return {}
    from .settings.file import read_contexts

    with placed(paths):
        return read_contexts(table)


def secret_path(paths: Paths, name: str, context: ContextSettings) -> Path:
    """Returns the file with the secret key of a context."""
    if not context.secret_key_file:
        return paths.config / "secrets" / name
    try:
        return paths.config / Path(context.secret_key_file).expanduser()
    except RuntimeError:  # ~somebody who is not there
        return paths.config / context.secret_key_file


def named_problems(paths: Paths, table: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields what is wrong with the files that the contexts in `table` name."""
    from .settings.file import read_contexts
    from .settings.reading import Problem

    try:
        contexts = read_contexts(table)
    except ConfigError:
        return  # which has been told
    for name, context in contexts.items():
        try:
            _secret(secret_path(paths, name, context))
        except ConfigError as exc:
            yield Problem(("contexts", name, "secret_key_file"), f"contexts.{name}: {exc.message}")


def _secret(file: Path) -> str:
    try:
        status = file.stat()
        if status.st_mode & 0o077:
            raise ConfigError(f"others can read the secret key in {file}: `chmod 600 {file}`, and think of a new key")
        if status.st_uid not in (os.geteuid(), 0):
            raise ConfigError(f"the secret key in {file} belongs to another user: keep it in a file of your own")
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1).decode().strip()
    except OSError as exc:
        raise ConfigError(
            f"the secret key {file} cannot be read: {exc.strerror}; `bai-tui context add --replace` asks for it"
        ) from None
    except UnicodeDecodeError:
        text = ""
    return checked_secret(text, str(file))


def checked_secret(text: str, where: str) -> str:
    """Returns a secret key.

    Raises:
        ConfigError: it can be none.
    """
    if not text or len(text) > _MOST_BYTES or not text.isprintable() or not text.isascii():
        raise ConfigError(f"{where} holds no secret key: write it there, alone, in one line")
    return text


# --- what `bai-tui context use` keeps --------------------------------------------------------------------------------


def _file(paths: Paths) -> Path:
    return paths.state / "context"


def kept(paths: Paths) -> str:
    """Returns the name that `use` keeps; empty = none."""
    try:
        with _file(paths).open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""


def keep(paths: Paths, name: str) -> None:
    """Keeps `name` for the commands and screens to come.

    Raises:
        ConfigError: the folder cannot be written.
    """
    from .config import private_folder
    from .settings.writing import write_private

    private_folder(paths.state)
    if name == LOCAL:
        _file(paths).unlink(missing_ok=True)
    else:
        write_private(_file(paths), f"{name}\n")


# --- adding and removing ---------------------------------------------------------------------------------------------


def check_new(paths: Paths, name: str, *, replace: bool) -> None:
    """Finds out whether a context may be called so.

    Raises:
        ConfigError: it may not, or there is one of that name and it is not to be replaced.
    """
    from .settings.tables import wrong_name

    if wrong := wrong_name(name):
        raise ConfigError(f"{name!r}: {wrong}")
    if name in named(paths) and not replace:
        raise ConfigError(f"there is a context {name!r} already: --replace writes it anew")


def add(paths: Paths, name: str, values: Mapping[str, object], secret: str | None, *, replace: bool) -> None:
    """Writes `[contexts.NAME]` at the end of `config.toml`.

    Args:
        values: What is different from the defaults.
        secret: The secret key, which is kept in a file of mode 0600; None = `values` name a file.
        replace: One of that name may be there.

    Raises:
        ConfigError: there is one of that name, it would be wrong, or it cannot be written.
    """
    from .config import private_folder
    from .settings.file import read_contexts
    from .settings.text import with_table, without_table
    from .settings.writing import write_private

    check_new(paths, name, replace=replace)
    read_contexts({"contexts": {name: values}})
    exists = name in named(paths)

    def change(text: str) -> str:
        path = ("contexts", name)
        return with_table(without_table(text, path) if exists else text, path, values)

    private_folder(paths.config)
    if secret is not None:
        write_private(private_folder(paths.config / "secrets") / name, f"{secret}\n")
    _change(paths, change)


def remove(paths: Paths, name: str) -> None:
    """Takes a context out of `config.toml`, and its secret key away if it was kept by `add`.

    Raises:
        ConfigError: there is none of that name, or the file cannot be changed.
    """
    from .settings.text import without_table

    if name not in (known := named(paths)):
        raise ConfigError(_unknown(name, known, ""))
    _change(paths, lambda text: without_table(text, ("contexts", name)))
    (paths.config / "secrets" / name).unlink(missing_ok=True)
    if kept(paths) == name:
        keep(paths, LOCAL)


def _change(paths: Paths, change: Callable[[str], str]) -> None:
    from .config import settings_path
    from .settings.writing import read_text, swap_in

    file = settings_path(paths)
    before = read_text(file)
    swap_in(file, change(before), before=before)

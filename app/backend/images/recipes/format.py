"""What stands in a recipe file. Reads text; builds nothing.

name = "python-data"               # of the image
tag = "{python}-{platform}"        # what it is without the key: 3.12-debian12
summary = "..."
interpreter = ">=3.10,<3.15"       # PEP 440; the newest release that fits is taken
packages = ["numpy>=2", "matplotlib"]
constraints = ["pillow<12"]        # versions of what the packages bring along
installer = "uv"                   # or "pip"; without the key uv, and pip for interpreters that uv refuses
startup = "import numpy as np"     # runs in each new kernel; or startup_file = "beside-the-recipe.py"
service_ports = ["tensorboard:http:6006"]
language = "python"

[index]                            # without it what pip and uv are configured to here
url = "..."
extra = ["..."]
find_links = ["wheels"]            # beside the recipe
offline = true                     # nothing but find_links

[environment]                      # variables of each session
[slots.min] and [slots.default]    # cpu = 1, mem = "2g"
[estimates]                        # size = "500m", seconds = 20
[kernel]                           # a Jupyter kernel instead of the native one: argv, display_name, version,
                                   # interrupt_mode, environment; {prefix} is the folder of the environment
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ....model.errors import BadRequest, ConfigError
from ....model.images import ImageReference
from ....model.slots import ResourceSlots, parse_amount
from .reading import Table

DEFAULT_TAG = "{python}-{platform}"
SHIPPED = "shipped"
"""Where the recipes of this program are from."""
_LARGEST_BYTES = 1 << 20
_INSTALLERS = ("uv", "pip")


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where packages are fetched from; empty = as this machine is configured."""

    url: str = ""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    """URLs, or absolute paths of folders with wheels."""
    offline: bool = False
    """Nothing but `find_links`."""


@dataclass(frozen=True, slots=True)
class JupyterKernel:
    """The kernelspec that is written into the environment."""

    argv: tuple[str, ...]
    display_name: str
    version: str = ""
    """Of the language runtime; empty = not known."""
    interrupt_mode: str = "signal"
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe, valid."""

    name: str
    origin: str
    """The file it is from, or `SHIPPED`."""
    tag: str = DEFAULT_TAG
    summary: str = ""
    interpreter: str = ""
    """PEP 440 specifier; empty = any Python."""
    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    installer: str = ""
    """`uv` or `pip`; empty = whichever can."""
    indexes: Indexes = Indexes()
    environ: Mapping[str, str] = field(default_factory=dict)
    startup: str = ""
    service_ports: tuple[str, ...] = ()
    min_slots: ResourceSlots | None = None
    default_slots: ResourceSlots | None = None
    language: str = "python"
    size_bytes: int = 0
    """About; 0 = nobody knows."""
    prepare_s: float = 0.0
    """About; 0 = nobody knows."""
    kernel: JupyterKernel | None = None
    """None = the native kernel of Python."""


def parse_recipe(text: str, origin: str, folder: Path | None = None) -> Recipe:
    """Reads a recipe; `origin` is named in errors, `folder` is where its relative paths start.

    Raises:
        ConfigError: no TOML, or a key that is wrong; the message names file and key.
    """
    try:
        top = Table(tomllib.loads(text), origin)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ConfigError(f"the recipe {origin} is no TOML: {exc}") from None
    recipe = Recipe(
        name=_name(top),
        origin=origin,
        tag=_tag(top),
        summary=top.line("summary"),
        interpreter=_specifier(top),
        packages=_requirements(top, "packages"),
        constraints=_requirements(top, "constraints"),
        installer=top.choice("installer", _INSTALLERS),
        indexes=_indexes(top.table("index"), folder),
        environ=top.table("environment").variables(),
        startup=_startup(top, folder),
        service_ports=_service_ports(top),
        min_slots=_slots(top.table("slots").table("min")),
        default_slots=_slots(top.table("slots").table("default")),
        language=top.line("language") or "python",
        size_bytes=_size(top.table("estimates")),
        prepare_s=top.table("estimates").number("seconds"),
        kernel=_kernel(top.table("kernel")),
    )
    top.table("slots").done()
    top.table("estimates").done()
    top.done()
    if recipe.kernel is not None and not recipe.packages:
        raise top.wrong("kernel", "needs 'packages' that bring the kernel")
    return recipe


def read_recipe(file: Path) -> Recipe:
    """Reads a recipe file.

    Raises:
        ConfigError: it cannot be read, or see `parse_recipe`.
    """
    return parse_recipe(_text(file, f"the recipe {file}"), str(file), file.parent)


def _text(file: Path, what: str) -> str:
    try:
        if not file.is_file():  # a pipe would be waited for
            raise ConfigError(f"{what} is no file")
        if file.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{what} is larger than {_LARGEST_BYTES >> 20} MiB")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{what} is not written in UTF-8") from None
    except OSError as exc:
        raise ConfigError(f"{what} cannot be read: {exc.strerror or exc}") from None


def _name(top: Table) -> str:
    name = top.line("name", required=True)
    try:
        parsed = ImageReference.parse(f"{name}:latest")
    except BadRequest:
        parsed = None
    if parsed is None or parsed.name != name:
        raise top.wrong("name", f"{name!r} cannot be the name of an image: write for example python-data")
    return name


def _tag(top: Table) -> str:
    tag = top.line("tag") or DEFAULT_TAG
    try:
        ImageReference.parse(f"x:{fill(tag, python='3.12', platform='debian12')}")
    except BadRequest:
        raise top.wrong("tag", f"{tag!r} cannot be a tag; {{python}} and {{platform}} may stand in it") from None
    return tag


def fill(template: str, **values: str) -> str:
    """Returns `template` with `{name}` of each value replaced; other braces are left as they are."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _specifier(top: Table) -> str:
    text = top.line("interpreter")
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise top.wrong("interpreter", f"{text!r} is no version specifier: write for example '>=3.10,<3.14'") from None
    return text


def _requirements(top: Table, key: str) -> tuple[str, ...]:
    texts = top.lines(key)
    for text in texts:
        try:
            Requirement(text)
        except InvalidRequirement as exc:
            reason = str(exc).splitlines()[0].lower()
            raise top.wrong(key, f"{text!r} is no requirement: {reason}") from None
    return texts


def _indexes(table: Table, folder: Path | None) -> Indexes:
    links = table.lines("find_links")
    indexes = Indexes(
        url=table.line("url"),
        extra=table.lines("extra"),
        find_links=tuple(link if "://" in link or folder is None else str(folder / link) for link in links),
        offline=table.flag("offline"),
    )
    if indexes.offline and (indexes.url or indexes.extra):
        raise table.wrong("offline", "cannot be true where there is a 'url' or 'extra'")
    table.done()
    return indexes


def _startup(top: Table, folder: Path | None) -> str:
    code, file = top.text("startup"), top.line("startup_file")
    if not file:
        return code
    if code:
        raise top.wrong("startup_file", "cannot stand beside 'startup'")
    if folder is None:
        raise top.wrong("startup_file", "needs a recipe that is a file")
    try:
        return _text(folder / file, f"the file {folder / file}")
    except ConfigError as exc:
        raise top.wrong("startup_file", f"cannot be used: {exc.message}") from None


def _service_ports(top: Table) -> tuple[str, ...]:
    ports = top.lines("service_ports")
    for port in ports:
        name, _, rest = port.partition(":")
        protocol, _, number = rest.partition(":")
        if not name or not protocol.isalpha() or not number.isdecimal() or not 0 < int(number[:6]) < 1 << 16:
            raise top.wrong("service_ports", f"{port!r} is no service port: write name:http:8080")
    return ports


def _slots(table: Table) -> ResourceSlots | None:
    amounts = table.rest()
    try:
        return ResourceSlots.parse(amounts) if amounts else None
    except BadRequest as exc:
        raise table.wrong("", f"is wrong: {exc.message}") from None


def _size(table: Table) -> int:
    value = table.take("size", "0")
    try:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadRequest("it must be a size such as '500m'")
        return int(parse_amount("mem", value))
    except BadRequest as exc:
        raise table.wrong("size", f"is wrong: {exc.message}") from None


def _kernel(table: Table) -> JupyterKernel | None:
    if not table.given:
        return None
    kernel = JupyterKernel(
        argv=table.lines("argv"),
        display_name=table.line("display_name", required=True),
        version=table.line("version"),
        interrupt_mode=table.choice("interrupt_mode", ("signal", "message")) or "signal",
        environ=table.table("environment").variables(),
    )
    if not any("{connection_file}" in word for word in kernel.argv):
        raise table.wrong("argv", "must be a list of words, one of them with {connection_file}")
    table.done()
    return kernel


def kernelspec(recipe: Recipe, prefix: Path) -> dict[str, Any]:
    """Returns what goes into `kernel.json` of an environment at `prefix`.

    Raises:
        ValueError: the recipe has no such kernel.
    """
    if recipe.kernel is None:
        raise ValueError(f"the recipe {recipe.name} runs the native kernel")
    return {
        "argv": [fill(word, prefix=str(prefix)) for word in recipe.kernel.argv],
        "display_name": recipe.kernel.display_name,
        "language": recipe.language,
        "interrupt_mode": recipe.kernel.interrupt_mode,
        "env": {name: fill(value, prefix=str(prefix)) for name, value in recipe.kernel.environ.items()},
        "metadata": {},
    }

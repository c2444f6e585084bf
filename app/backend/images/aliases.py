"""Alias tables: the shipped one and the user's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from ...model.errors import BadRequest, ConfigError
from ...model.images import ImageReference

AliasTable = Mapping[str, tuple[str, ...]]
"""Reference -> the references that it may lead to, the first that is here wins."""


def shipped_aliases() -> AliasTable:
    """Returns the table that comes with the program."""
    return parse_aliases((resources.files(__package__) / "aliases.toml").read_text(encoding="utf-8"), "aliases.toml")


def user_aliases(file: Path | None) -> AliasTable:
    """Returns the user's table; empty when there is no such file.

    Raises:
        ConfigError: it cannot be read or says something that is no table of aliases.
    """
    if file is None:
        return {}
    try:
        return parse_aliases(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"the image aliases in {file} cannot be read: {exc}") from None


def parse_aliases(text: str, where: str) -> AliasTable:
    """Reads a table; `where` is named in errors.

    Raises:
        ConfigError: no TOML, or an entry that is no alias.
    """
    try:
        table = tomllib.loads(text).get("aliases", {})
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"the image aliases in {where} cannot be read: {exc}") from None
    if not isinstance(table, dict):
        raise ConfigError(f"'aliases' in {where} must be a table of alias = reference")
    aliases = {}
    for alias, target in table.items():
        targets = [target] if isinstance(target, str) else target
        if not isinstance(targets, list) or not targets or not all(isinstance(one, str) for one in targets):
            raise ConfigError(f"the image alias {alias!r} in {where} must lead to a reference or a list of them")
        try:
            aliases[str(ImageReference.parse(alias))] = tuple(str(ImageReference.parse(one)) for one in targets)
        except BadRequest as exc:
            raise ConfigError(f"the image alias {alias!r} in {where} cannot be used: {exc}") from None
    return aliases

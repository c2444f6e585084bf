"""Where installers fetch packages: pip's settings, which uv does not read by itself, and those of a recipe.

A machine behind a mirror usually says so in pip's configuration only. Where uv has settings of its own they stand and
pip's are left alone.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .format import Indexes

_OF_UV = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE")
_OFF_TRACK = (
    *("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"),
    *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"),
    *("UV_PYTHON", "UV_PROJECT", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX", "UV_CONSTRAINT", "UV_OVERRIDE"),
    *("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_CONSTRAINT", "PIP_PYTHON"),
)
"""Variables that would make an installer work on something else than the environment."""


@dataclass(frozen=True, slots=True)
class PipSettings:
    """What pip is configured to on this machine; empty = its default."""

    index: str = ""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    """Hosts whose certificates need not be valid."""
    cert: str = ""


@dataclass(frozen=True, slots=True)
class Fetching:
    """What an installer is told: variables for what may hold a password, arguments for the rest."""

    environ: Mapping[str, str]
    arguments: tuple[str, ...] = ()


def pip_settings(environ: Mapping[str, str], system: Path = Path("/etc")) -> PipSettings:
    """Reads pip's files in pip's order, then its variables. What cannot be read counts as empty. Reads files."""
    values: dict[str, str] = {}
    for file in _pip_files(environ, system):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                values |= {key.replace("_", "-"): value for key, value in parser.items(section) if value is not None}
    values |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    return PipSettings(
        index=values.get("index-url", ""),
        extra=tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(values.get("find-links", "").split()),
        trusted=tuple(values.get("trusted-host", "").split()),
        cert=values.get("cert", ""),
    )


def _pip_files(environ: Mapping[str, str], system: Path) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":  # pip's way of saying: none at all
        return
    home = Path(environ.get("HOME") or "~").expanduser()
    yield system / "xdg/pip/pip.conf"
    yield system / "pip.conf"
    yield home / ".pip/pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    if named:
        yield Path(named)


def for_uv(indexes: Indexes, environ: Mapping[str, str], system: Path = Path("/etc")) -> Fetching:
    """Returns what uv is told. Reads files: use it in a thread."""
    kept = _kept(environ)
    links = list(indexes.find_links)
    if indexes.offline:
        return Fetching(kept, ("--no-index", *_links(links)))
    home = Path(environ.get("HOME") or "~").expanduser()
    own_files = (system / "uv/uv.toml", Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv/uv.toml")
    added: dict[str, str] = {}
    if not any(environ.get(name) for name in _OF_UV) and not any(file.exists() for file in own_files):
        pip = pip_settings(environ, system)
        links += pip.find_links
        added["UV_DEFAULT_INDEX"] = pip.index
        added["UV_INSECURE_HOST"] = environ.get("UV_INSECURE_HOST") or " ".join(pip.trusted)
        added["SSL_CERT_FILE"] = environ.get("SSL_CERT_FILE") or pip.cert
        if pip.extra:  # pip takes the best of all indexes, and that is what whoever wrote this file reckons with
            added["UV_INDEX"] = " ".join(pip.extra)
            added["UV_INDEX_STRATEGY"] = environ.get("UV_INDEX_STRATEGY") or "unsafe-best-match"
    if indexes.url:
        kept.pop("UV_INDEX_URL", None)
        added["UV_DEFAULT_INDEX"] = indexes.url
    if indexes.extra:
        others = added.get("UV_INDEX") or environ.get("UV_INDEX", "")
        added["UV_INDEX"] = " ".join([*indexes.extra, *others.split()])
    return Fetching({**kept, **{name: value for name, value in added.items() if value}}, _links(links))


def for_pip(indexes: Indexes, environ: Mapping[str, str], system: Path = Path("/etc")) -> Fetching:
    """Returns what pip is told, beside what it reads by itself. Reads files: use it in a thread."""
    kept = _kept(environ)
    if indexes.offline:
        return Fetching({**kept, "PIP_CONFIG_FILE": "/dev/null"}, ("--no-index", *_links(indexes.find_links)))
    if indexes.url:
        kept["PIP_INDEX_URL"] = indexes.url
    if indexes.extra:
        kept["PIP_EXTRA_INDEX_URL"] = " ".join([*indexes.extra, *pip_settings(environ, system).extra])
    return Fetching(kept, _links(indexes.find_links))


def _kept(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _OFF_TRACK}


def _links(links: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for link in links for word in ("--find-links", link))

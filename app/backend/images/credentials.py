"""What this user has logged in to at registries with `docker login` or `podman login`."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .container_names import HUB

_log = logging.getLogger(__name__)
_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_S = 10.0


async def credentials_for(registry: str, environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """Returns what the engine's API wants of a login to `registry`; None when there is none. Safe to cancel.

    A helper program that keeps the secrets is asked where the file names one.
    """
    for path in _files(environ):
        table = await asyncio.to_thread(_read, path)
        if table and (found := await _in(table, registry, environ)):
            return found
    return None


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The files in the order of podman and docker."""
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers/auth.json")
    home = environ.get("HOME", "")
    if config := environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config"):
        yield Path(config, "containers/auth.json")
    if docker := environ.get("DOCKER_CONFIG") or (home and f"{home}/.docker"):
        yield Path(docker, "config.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


async def _in(table: Mapping[str, Any], registry: str, environ: Mapping[str, str]) -> Mapping[str, str] | None:
    keys = [_HUB_KEY, HUB] if registry == HUB else [registry, f"https://{registry}", f"https://{registry}/v1/"]
    helpers = table.get("credHelpers")
    for key in keys:
        helper = helpers.get(key) if isinstance(helpers, dict) else None
        if (helper := helper or table.get("credsStore")) and (found := await _ask(str(helper), key, environ)):
            return found
    auths = table.get("auths")
    for key in keys:
        entry = auths.get(key) if isinstance(auths, dict) else None
        if isinstance(entry, dict) and (found := _of_entry(entry, key)):
            return found
    return None


def _of_entry(entry: Mapping[str, Any], server: str) -> Mapping[str, str] | None:
    if token := entry.get("identitytoken"):
        return {"identitytoken": str(token), "serveraddress": server}
    try:
        user, colon, password = base64.b64decode(str(entry.get("auth", "")), validate=True).decode().partition(":")
    except ValueError:
        return None
    return {"username": user, "password": password.rstrip("\0"), "serveraddress": server} if colon else None


async def _ask(helper: str, server: str, environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """Asks a program of docker's that keeps secrets."""
    if os.sep in helper:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            f"docker-credential-{helper}",
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environ),
        )
    except OSError as exc:
        _log.info("the helper for logins at registries cannot be run: %s", exc)
        return None
    try:
        async with asyncio.timeout(_HELPER_S):
            said, _ = await process.communicate(server.encode())
        told = json.loads(said)
        user, secret = str(told["Username"]), str(told["Secret"])
    except (TimeoutError, ValueError, KeyError, TypeError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if user == "<token>":
        return {"identitytoken": secret, "serveraddress": server}
    return {"username": user, "password": secret, "serveraddress": server}

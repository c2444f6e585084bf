"""The checkout, and the wheel that is built from it once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def checkout() -> Path:
    return CHECKOUT


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Paths of the files under version control, relative to the checkout."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("this tree is no git checkout")
    return [name for name in listing.stdout.decode().split("\0") if name and (CHECKOUT / name).is_file()]


@pytest.fixture(scope="session")
def shipped(tracked: list[str]) -> list[str]:
    """The tracked files that belong into the wheel: the package without its tests, benchmarks and papers."""
    top = ("app/", "widgets/", "styles/")
    return [name for name in tracked if name.startswith(top) or name in ("__init__.py", "__main__.py", "py.typed")]


@pytest.fixture(scope="session")
def project(checkout: Path) -> dict[str, object]:
    import tomllib

    with open(checkout / "pyproject.toml", "rb") as file:
        return tomllib.load(file)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, tracked: list[str]) -> Path:
    """A wheel of the tracked files, built from a copy: a build writes into its source folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((CHECKOUT / name).read_bytes())
    build = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout[-2000:] + build.stderr[-2000:]
    [path] = out.glob("*.whl")
    return path

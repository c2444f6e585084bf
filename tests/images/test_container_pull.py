"""What pulls say, as one progress and one sentence; how images of engines are named."""

from __future__ import annotations

import pytest
from bai_tui.app.backend.containers import ContainerError, EngineGone, PullStep
from bai_tui.app.backend.images.container_names import familiar, full, registry_of
from bai_tui.app.backend.images.container_pull import PullProgress, why_not_pulled
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.model.images import ImageReference


def test_layers_add_up_and_the_whole_is_known_once_each_of_them_is() -> None:
    told = PullProgress()

    def after(layer: str, status: str, current: int = 0, total: int = 0) -> tuple[float, float, str]:
        told.take(PullStep(layer, status, current, total))
        return told.progress.current, told.progress.total, told.progress.message

    assert not told.take(PullStep("3.12", "Pulling from library/python", 0, 0))
    assert not told.take(PullStep("", "Digest: sha256:00", 0, 0))
    after("a", "Pulling fs layer")
    after("b", "Pulling fs layer")
    assert after("c", "Already exists") == (0, 0, "pulling 1 of 3 parts")
    assert after("b", "Waiting") == (0, 0, "pulling 1 of 3 parts")
    assert after("a", "Downloading", 5_000_000, 20_000_000) == (
        5_000_000,
        0,
        "pulling 1 of 3 parts, 5.0 MB of at least 20 MB",
    )
    assert after("b", "Downloading", 1_000_000, 4_000_000)[:2] == (6_000_000, 24_000_000)
    assert after("a", "Verifying Checksum")[:2] == (21_000_000, 24_000_000)
    # unpacking counts in bytes of another size: what has come has come
    assert after("a", "Extracting", 100_000, 20_000_000) == (
        21_000_000,
        24_000_000,
        "pulling 2 of 3 parts, 21 MB of 24 MB",
    )
    assert after("b", "Download complete") == (24_000_000, 24_000_000, "unpacking (24 MB)")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        # Docker
        ("manifest for python:0 not found: manifest unknown: manifest unknown", "docker.io has no image python:0"),
        (
            "pull access denied for nosuch, repository does not exist or may require 'docker login': denied: requested"
            " access to the resource is denied",
            "docker.io has no image python:0, or does not show it without `docker login` or `podman login`",
        ),
        ("toomanyrequests: You have reached your pull rate limit.", "docker.io lets nobody pull python:0 for now"),
        (
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "docker.io has python:0, but not for machines like this one",
        ),
        (
            "failed to register layer: write /usr/lib/x: no space left on device",
            "there is no space left on the disk for python:0",
        ),
        (
            'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
            "docker.io cannot be reached to pull python:0: ",
        ),
        ("unauthorized: authentication required", "docker.io does not let this user have python:0: use `docker login"),
        # Podman
        (
            "initializing source docker://python:0: reading manifest 0 in docker.io/library/python: manifest unknown",
            "docker.io has no image python:0",
        ),
        (
            "initializing source docker://x: pinging container registry x: Get: http: server gave HTTP response to"
            " HTTPS client",
            "docker.io speaks HTTP only",
        ),
        ("a thing that\nnobody foresaw", "python:0 could not be pulled from docker.io: a thing that nobody foresaw"),
    ],
)
def test_why_a_pull_failed_is_one_sentence(said: str, sentence: str) -> None:
    told = why_not_pulled(ImageReference("python", "0"), ContainerError(said))
    assert told.startswith(sentence)
    assert "\n" not in told


def test_an_engine_that_goes_while_it_pulls_is_not_the_fault_of_the_registry() -> None:
    gone = EngineGone("the container engine at /x broke off (not found)")
    assert why_not_pulled(ImageReference("a", "1"), gone) == f"a:1 could not be pulled: {gone.message}"


@pytest.mark.parametrize(
    ("typed", "shown", "whole", "registry"),
    [
        ("python", "python:latest", "docker.io/library/python:latest", "docker.io"),
        ("docker.io/library/python:3.12-slim", "python:3.12-slim", "docker.io/library/python:3.12-slim", "docker.io"),
        ("index.docker.io/some/thing:1", "some/thing:1", "docker.io/some/thing:1", "docker.io"),
        ("localhost/mine:1", "localhost/mine:1", "localhost/mine:1", "local"),
        ("localhost:5000/mine:1", "localhost:5000/mine:1", "localhost:5000/mine:1", "localhost:5000"),
        ("cr.example.org/a/b:2", "cr.example.org/a/b:2", "cr.example.org/a/b:2", "cr.example.org"),
    ],
)
def test_a_reference_is_shown_as_one_types_it_and_said_in_full(
    typed: str, shown: str, whole: str, registry: str
) -> None:
    reference = familiar(typed)
    assert (str(reference), str(full(reference)), registry_of(reference)) == (shown, whole, registry)
    assert familiar(whole) == reference


def test_what_our_references_cannot_say_is_refused() -> None:
    with pytest.raises(BadRequest):
        familiar(f"python@sha256:{'0' * 64}")

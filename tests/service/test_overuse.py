from __future__ import annotations

from bai_tui.app.backend.service.overuse import OveruseWatch, Use
from bai_tui.app.policies import GpuSettings, MemorySettings

GIB = 1 << 30


def watch(**gpu: object) -> OveruseWatch:
    return OveruseWatch(GpuSettings(**gpu), MemorySettings())  # type: ignore[arg-type]


def gpu(pct: float, session: str = "s", device: str = "gpu0", *, mock: bool = False) -> Use:
    return Use(session, "gpu", device, int(8 * GIB * pct / 100), 8 * GIB, mock)


def said(book: OveruseWatch, *uses: Use) -> list[tuple[str, str, bool]]:
    return [(found.use.session_id, found.use.device_id, found.ends) for found in book.look(uses)]


def test_a_share_that_is_kept_is_not_mentioned() -> None:
    book = watch()
    assert [said(book, gpu(99.9)) for _ in range(20)] == [[]] * 20


def test_full_use_is_warned_of_once() -> None:
    book = watch()
    assert said(book, gpu(100)) == [("s", "gpu0", False)]
    assert said(book, gpu(109)) == []
    assert said(book, gpu(96)) == []
    assert said(book, gpu(100)) == [], "not at every crossing of the edge"
    assert said(book, gpu(90)) == []
    assert said(book, gpu(100)) == [("s", "gpu0", False)]


def test_overuse_ends_after_so_many_samples_in_a_row() -> None:
    book = watch(end_samples=3)
    assert said(book, gpu(150)) == [("s", "gpu0", False)]
    assert said(book, gpu(150)) == []
    assert said(book, gpu(110)) == [], "110 % is allowed: the count begins anew"
    assert [said(book, gpu(110.1)) for _ in range(2)] == [[], []]
    assert said(book, gpu(110.1)) == [("s", "gpu0", True)]


def test_sessions_and_devices_are_counted_apart() -> None:
    book = watch(end_samples=2)
    said(book, gpu(120), gpu(120, "other"), gpu(120, "s", "gpu1"))
    assert said(book, gpu(120, "s", "gpu1")) == [("s", "gpu1", True)]
    assert said(book, gpu(120)) == [("s", "gpu0", True)]


def test_mock_gpus_are_watched_only_on_request() -> None:
    assert said(watch(), gpu(500, mock=True)) == []
    assert said(watch(watch_mock=True), gpu(500, mock=True)) == [("s", "gpu0", False)]


def test_it_can_be_switched_off() -> None:
    assert said(watch(watch=False), gpu(500)) == []
    book = OveruseWatch(GpuSettings(), MemorySettings(watch=False))
    assert said(book, Use("s", "mem", "mem", 9 * GIB, GIB)) == []


def test_memory_of_the_machine_has_its_own_rules() -> None:
    book = OveruseWatch(GpuSettings(), MemorySettings(warn_pct=50, end_pct=80, end_samples=1))
    assert said(book, Use("s", "mem", "mem", GIB // 2, GIB)) == [("s", "mem", False)]
    assert said(book, Use("s", "mem", "mem", GIB, GIB)) == [("s", "mem", True)]
    assert said(book, Use("t", "mem", "mem", GIB, 0)) == [], "no limit"


def test_the_sentence_names_amounts_and_place() -> None:
    (found,) = watch().look([gpu(112.5)])
    assert found.text == "uses 9g of its 8g on gpu0 (112 %)"
    (found,) = watch().look([Use("s", "mem", "mem", 3 * GIB // 2, GIB)])
    assert found.text == "uses 1.5g of its 1g of memory (150 %)"


def test_what_has_ended_is_forgotten() -> None:
    book = watch(end_samples=2)
    said(book, gpu(120))
    book.forget("s")
    assert said(book, gpu(120)) == [("s", "gpu0", False)]


def test_any_use_of_a_gpu_that_was_not_promised_is_too_much() -> None:
    book = watch(end_samples=2)
    stranger = Use("s", "gpu", "gpu1", GIB, 0)
    (found,) = book.look([stranger])
    assert not found.ends
    assert found.text == "uses 1g on gpu1, of which nothing was promised to it"
    (found,) = book.look([stranger])
    assert found.ends
    assert said(watch(), Use("s", "gpu", "gpu1", 0, 0)) == []

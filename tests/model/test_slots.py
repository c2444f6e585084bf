"""Amounts are what was meant, to the last digit, or refused in one sentence."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from bai_tui.app.model.errors import BadRequest, InvalidAmount, UnknownSlot
from bai_tui.app.model.slots import KNOWN_SLOTS, ResourceSlots, format_amount, parse_amount
from hypothesis import given
from hypothesis import strategies as st

UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6, "z": 7, "y": 8}
counts = st.integers(0, 10**9).map(lambda thousandths: Decimal(thousandths) / 1000)
sizes = st.integers(0, 10**30).map(Decimal)


@given(counts)
def test_count_survives_the_wire(amount: Decimal) -> None:
    assert parse_amount("cuda.shares", format_amount(amount)) == amount


@given(sizes)
def test_size_survives_the_wire(amount: Decimal) -> None:
    assert parse_amount("mem", format_amount(amount)) == amount


@given(
    st.integers(0, 10**20),
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["", "b", "iB", "byte", "BYTES", "ibytes"]),
    st.booleans(),
)
def test_sizes_are_exact_powers_of_1024(number: int, unit: str, ending: str, upper: bool) -> None:
    text = f"{number}{unit.upper() if upper else unit}{ending}"
    assert int(parse_amount("mem", text)) == number * 1024 ** UNITS[unit]


@given(st.integers(0, 10**6), st.integers(0, 9999), st.sampled_from(sorted(set(UNITS) - {""})))
def test_fractional_sizes_are_exact_or_refused(whole: int, tenthousandths: int, unit: str) -> None:
    text = f"{whole}.{tenthousandths:04}{unit}"
    size = Fraction(f"{whole}.{tenthousandths:04}") * 1024 ** UNITS[unit]
    if size.denominator == 1:
        assert parse_amount("mem", text) == size.numerator
    else:
        with pytest.raises(InvalidAmount, match="whole number of bytes"):
            parse_amount("mem", text)


@pytest.mark.parametrize(
    ("slot", "text", "amount"),
    [
        ("mem", "512m", 512 << 20),
        ("mem", "1.5g", 3 << 29),
        ("mem", ".5g", 1 << 29),
        ("mem", "1_000", 1000),
        ("mem", "536870912.000", 1 << 29),
        ("mem", " 2 g ", 2 << 30),
        ("cpu", "2", 2),
        ("cpu", "2.", 2),
        ("cuda.shares", ".5", Decimal("0.5")),
        ("cuda.shares", "0.5000", Decimal("0.5")),
        ("cuda.shares", "00.125", Decimal("0.125")),
    ],
)
def test_amounts_as_people_write_them(slot: str, text: str, amount: Decimal) -> None:
    assert parse_amount(slot, text) == amount


@pytest.mark.parametrize(
    ("slot", "text"),
    [(slot, text) for slot in ("cpu", "mem", "cuda.shares") for text in (
        "", " ", "-1", "-0.5", "+1", "abc", "1e3", "nan", "inf", "Infinity", "0x10", "1,5", "1 2", "½", "١", "1\n2",
        "9" * 41, "1..2", ".", "k", "1kk",
    )]
    + [("mem", "0.3"), ("mem", "1.0001k"), ("mem", "1 gg"), ("cpu", "1k"), ("cuda.shares", "0.0001"), ("cpu", "1_0")],
)  # fmt: skip
def test_bad_amounts_are_refused_in_one_sentence(slot: str, text: str) -> None:
    with pytest.raises(InvalidAmount) as error:
        parse_amount(slot, text)
    assert slot in error.value.message
    assert "\n" not in error.value.message
    assert len(error.value.message) < 200


@given(st.sampled_from(sorted(KNOWN_SLOTS)), st.text(max_size=50))
def test_any_text_is_an_amount_or_a_bad_request(slot: str, text: str) -> None:
    try:
        assert parse_amount(slot, text) >= 0
    except InvalidAmount:
        pass


@pytest.mark.parametrize(
    ("value", "amount"),
    [(0.1, "0.1"), (0.5, "0.5"), (2, "2"), (1e2, "100"), (0.3, "0.3"), (Decimal("0.25"), "0.25"), ("0.7", "0.7")],
)
def test_json_numbers_are_taken_as_written(value: object, amount: str) -> None:
    assert ResourceSlots.parse({"cuda.shares": value})["cuda.shares"] == Decimal(amount)


def test_a_large_json_number_is_written_out() -> None:
    assert ResourceSlots.parse({"mem": 1e18})["mem"] == 10**18


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-0.5", "-1", "1e300", "1e-300", "1e99999"])
def test_odd_json_numbers_are_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        ResourceSlots.parse({"cuda.shares": json.loads(text)})


def test_a_number_beyond_all_text_is_refused() -> None:
    for value in (10**5000, -(10**5000)):
        with pytest.raises(InvalidAmount, match="too long"):
            ResourceSlots.parse({"mem": value})


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_other_json_values_are_refused(value: object) -> None:
    with pytest.raises(BadRequest, match="'cpu' must be a string or a number"):
        ResourceSlots.parse({"cpu": value})


def test_gpu_is_an_alias_of_shares() -> None:
    assert ResourceSlots.parse({"gpu": "0.5"}).wire() == {"cuda.shares": "0.5"}


def test_gpu_and_shares_together_are_refused() -> None:
    with pytest.raises(BadRequest, match="not both"):
        ResourceSlots.parse({"gpu": "0.5", "cuda.shares": "0.5"})


def test_an_unknown_slot_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownSlot, match=r"'tpu'.*cpu, mem, cuda\.device, cuda\.shares"):
        ResourceSlots.parse({"tpu": 1})


@given(st.dictionaries(st.sampled_from(sorted(KNOWN_SLOTS)), st.integers(0, 10**6)))
def test_slots_survive_the_wire(amounts: dict[str, int]) -> None:
    slots = ResourceSlots(amounts)
    assert ResourceSlots.parse(slots.wire()) == slots


def test_a_missing_slot_equals_zero() -> None:
    with_zero, without = ResourceSlots({"cpu": 1, "mem": 0}), ResourceSlots({"cpu": Decimal("1.0")})
    assert with_zero == without
    assert hash(with_zero) == hash(without)
    assert without.amount("mem") == 0
    assert with_zero != ResourceSlots({"cpu": 2})
    assert with_zero != {"cpu": 1}


def test_floats_do_not_get_in() -> None:
    with pytest.raises(TypeError, match="exact"):
        ResourceSlots({"cuda.shares": 0.1})  # type: ignore[dict-item]


def test_format_never_scales() -> None:
    assert format_amount(Decimal("1E+9")) == "1000000000"
    assert format_amount(Decimal("0.500")) == "0.5"
    assert format_amount(Decimal("100")) == "100"

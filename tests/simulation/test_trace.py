"""Reading and writing traces: what a person may write, and what he is told about a line that is wrong."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from bai_tui.app.backend.simulation import SAMPLES, Job, Trace, read_trace, write_trace
from bai_tui.app.backend.simulation.samples import SplitMix, generated
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import given
from hypothesis import strategies as st

HEADER = "arrival_s,duration_s,slots,user,priority\n"


def read(*lines: str) -> Trace:
    return read_trace(lines, "my.csv")


def test_a_line_is_a_request() -> None:
    trace = read(HEADER, "0,60,cpu=2 mem=4g gpu=0.5,ann,20\n", "1.5,30,cpu=1,,\n")
    slots = ResourceSlots({"cpu": 2, "mem": 4 << 30, "cuda.shares": Decimal("0.5")})
    assert trace.jobs == (
        Job(line=2, arrival_s=0, duration_s=60, slots=slots, user="ann", priority=20),
        Job(line=3, arrival_s=1.5, duration_s=30, slots=ResourceSlots({"cpu": 1}), user="", priority=10),
    )


def test_columns_may_stand_in_any_order_and_be_left_out() -> None:
    trace = read("slots,split,arrival_s,limit_s,duration_s\n", "gpu=0.5,yes,5,40,30\n", "gpu=0.5,,6,,30\n")
    assert [(job.split, job.limit_s, job.arrival_s, job.duration_s) for job in trace.jobs] == [
        (True, 40, 5, 30),
        (False, None, 6, 30),
    ]


def test_comments_and_empty_lines_count_as_lines_only() -> None:
    trace = read("# Machine: cpu=8 gpu=2\n", "\n", HEADER, "# hello, world\n", "\n", "0,1,cpu=1,a,\n")
    assert trace.machine == {"cpu": "8", "gpu": "2"}
    assert trace.jobs[0].line == 6


def test_requests_are_sorted_by_arrival_and_else_stay_in_order() -> None:
    trace = read(HEADER, "5,1,cpu=1,a,\n", "0,1,cpu=1,b,\n", "5,1,cpu=1,c,\n")
    assert [job.user for job in trace.jobs] == ["b", "a", "c"]


def test_a_limit_ends_what_runs_longer() -> None:
    (job,) = read("arrival_s,duration_s,slots,limit_s\n", "0,100,cpu=1,60\n").jobs
    assert (job.runs_s, job.duration_s) == (60, 100)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x,1,cpu=1,a,", "arrival_s is 'x': write seconds, as in 90 or 0.5"),
        ("-1,1,cpu=1,a,", "arrival_s is '-1': write seconds from 0 to 1000000000"),
        ("0,nan,cpu=1,a,", "duration_s is 'nan': write seconds from 0"),
        ("0,1e300,cpu=1,a,", "duration_s is '1e300'"),
        ("0,,cpu=1,a,", "duration_s is ''"),
        ("0,1,cpu,a,", "'cpu' is no slot: write slot=amount"),
        ("0,1,cpu=1 cpu=2,a,", "the slot 'cpu' is there twice"),
        ("0,1,tpu=1,a,", "Unknown slot type: 'tpu'"),
        ("0,1,gpu=-1,a,", "cannot be negative"),
        ("0,1,gpu=0.1234,a,", "finer than a thousandth"),
        ("0,1,gpu=1 cuda.shares=1,a,", "'gpu' or 'cuda.shares', not both"),
        ("0,1,cpu=1,a,101", "priority is '101': write a whole number from 0 to 100"),
        ("0,1,cpu=1,a,high", "priority is 'high'"),
        ("0,1,cpu=1,a", "it has 4 fields where the header has 5"),
        ("0,1,cpu=1,a,1,2", "it has 6 fields where the header has 5"),
        ('0,1,"cpu=1"x,a,1', "this is no CSV"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_the_reason(line: str, words: str) -> None:
    with pytest.raises(BadRequest) as error:
        read("# a comment\n", HEADER, "0,1,cpu=1,a,\n", f"{line}\n")
    assert error.value.message.startswith("my.csv line 4: ")
    assert words in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("arrival_s,duration,slots", "there is no column 'duration'; did you mean 'duration_s'?"),
        ("arrival_s,slots", "the header lacks duration_s; it needs arrival_s, duration_s, slots"),
        ("arrival_s,duration_s,slots,slots", "the column 'slots' is there twice"),
        ("0,60,cpu=2", "there is no column '0'; there are arrival_s"),
    ],
)
def test_a_bad_header_is_explained(header: str, words: str) -> None:
    with pytest.raises(BadRequest) as error:
        read(f"{header}\n", "0,1,cpu=1\n")
    assert error.value.message.startswith("my.csv line 1: ")
    assert words in error.value.message


@pytest.mark.parametrize(("lines", "words"), [([], "my.csv is empty"), ([HEADER], "my.csv has no requests")])
def test_a_trace_of_nothing_is_refused(lines: list[str], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        read(*lines)


def test_a_bad_machine_is_a_bad_line() -> None:
    with pytest.raises(BadRequest, match=r"^my\.csv line 2: Unknown slot type: 'tpu'"):
        read("# a comment\n", "# machine: cpu=8 tpu=1\n", HEADER)


def test_a_bad_split_is_refused() -> None:
    with pytest.raises(BadRequest, match="split is 'maybe': write yes or no"):
        read("arrival_s,duration_s,slots,split\n", "0,1,gpu=0.5,maybe\n")


jobs = st.builds(
    Job,
    line=st.just(0),
    arrival_s=st.integers(0, 10**9).map(lambda ms: ms / 1000),
    duration_s=st.integers(0, 10**9).map(lambda ms: ms / 1000),
    slots=st.builds(
        lambda cpu, mem, gpu: ResourceSlots({"cpu": cpu, "mem": mem, "cuda.shares": Decimal(gpu) / 1000}),
        st.integers(0, 9),
        st.one_of(st.integers(0, 1 << 40), st.integers(0, 64).map(lambda gib: gib << 30)),
        st.integers(0, 3000),
    ),
    user=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8),
    priority=st.integers(0, 100),
    limit_s=st.one_of(st.none(), st.integers(0, 10**9).map(lambda ms: ms / 1000)),
    split=st.booleans(),
)


@given(st.lists(jobs, min_size=1, max_size=8), st.sampled_from([{}, {"cpu": "8", "gpu": "2"}]))
def test_what_is_written_is_read_again(made: list[Job], machine: dict[str, str]) -> None:
    trace = Trace(tuple(sorted(made, key=lambda job: job.arrival_s)), machine)
    again = read_trace(write_trace(trace), "again")
    assert again.machine == machine

    def told(job: Job) -> tuple[object, ...]:
        return (job.arrival_s, job.duration_s, job.slots, job.user, job.priority, job.limit_s, job.split)

    assert list(map(told, again.jobs)) == list(map(told, trace.jobs))


def test_the_random_numbers_are_those_of_the_publication() -> None:
    """The first outputs of SplitMix64 for the seed 1234567, as Rosetta Code lists them."""
    rng = SplitMix(1234567)
    assert [rng.bits() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_generated_trace_is_the_same_everywhere() -> None:
    trace = generated(2_000, 50)
    text = "".join(write_trace(trace))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "41c68c3267df25b6"
    assert trace.machine == {"cpu": "400", "gpu": "50"}
    shares = [job.slots["cuda.shares"] for job in trace.jobs]
    assert min(shares) == Decimal("0.1")
    assert max(shares) == 2
    work = sum(job.duration_s * float(share) for job, share in zip(trace.jobs, shares, strict=True))
    assert work / (50 * trace.jobs[-1].arrival_s) == pytest.approx(0.95, abs=0.01)


def test_samples_are_named_and_readable() -> None:
    assert set(SAMPLES) == {"small", "large"}
    small = SAMPLES["small"].load()
    assert len(small.jobs) == 13
    assert small.machine == {"cpu": "8", "mem": "32g", "gpu": "2"}

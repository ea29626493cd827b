"""Which arm of a study is the best, and when none is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from asr_lab.evaluation.evaluation_files import hypothesis_record
from asr_lab.evaluation.rates import UnitErrors
from asr_lab.evaluation.scoring import Scored
from asr_lab.evaluation.spread import spread
from asr_lab.evaluation.study import Arm, Ranking, SeedScore, rank
from asr_lab.files import write_jsonl
from asr_lab.recognition.decoded_utterance import DecodedUtterance

WORDS = 10


def records(errors: list[int]) -> list[dict[str, Any]]:
    """What is written of utterances of ten words that have so many errors each."""
    rows = []
    for number, count in enumerate(errors):
        transcript = DecodedUtterance(f"u{number}", "one", "two", {}, 1.0)
        rows.append(Scored(transcript, "one", "two", {"wer": UnitErrors(count, 0, 0, WORDS)}))
    return [hypothesis_record("valid", row) for row in rows]


def score(folder: Path, name: str, seed: str, errors: list[int], normaliser: str = "nfc/1") -> SeedScore:
    """A run whose utterances of ten words have so many errors each."""
    path = folder / f"{name}-{seed}.jsonl"
    write_jsonl(path, records(errors))
    return SeedScore(seed, sum(errors) / (WORDS * len(errors)), None, normaliser, path)


def drawn(rate: float, seed: int, count: int = 80) -> list[int]:
    draw = random.Random(seed)
    return [sum(draw.random() < rate for _ in range(WORDS)) for _ in range(count)]


def arm(folder: Path, name: str, rate: float, seeds: int = 1, first: int = 0) -> Arm:
    return Arm(name, tuple(score(folder, name, str(s), drawn(rate, first + s)) for s in range(seeds)))


def test_the_interval_over_seeds_is_students() -> None:
    values = [0.31, 0.28, 0.35, 0.30]
    found = spread(values)
    mean, half = sum(values) / 4, stats.t.interval(0.95, 3, 0, stats.sem(values))[1]
    assert found.mean == pytest.approx(mean)
    assert (found.low, found.high) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert spread([0.3]).low is None


def test_a_clear_best_is_named_and_the_arms_stand_in_order(tmp_path: Path) -> None:
    arms = [arm(tmp_path, "worst", 0.5, 3, 10), arm(tmp_path, "best", 0.1, 3, 20), arm(tmp_path, "middle", 0.3, 3, 30)]
    found = rank(arms, "wer")
    assert [one.label for one in found.arms] == ["best", "middle", "worst"]
    assert found.best is not None
    assert found.best.label == "best"
    assert found.not_told_apart == ()
    middle = found.against[0]
    assert middle.utterances is not None
    assert middle.seeds is not None
    assert middle.utterances.difference == pytest.approx(arms[2].valid.mean - arms[1].valid.mean)
    assert middle.seeds.mean == pytest.approx(middle.utterances.difference)


def test_no_best_is_named_where_one_other_is_as_good(tmp_path: Path) -> None:
    arms = [arm(tmp_path, "a", 0.2, 2, 10), arm(tmp_path, "b", 0.2, 2, 20), arm(tmp_path, "c", 0.6, 2, 30)]
    found = rank(arms, "wer")
    assert found.best is None
    assert found.not_told_apart == (found.arms[1].label,)
    assert found.arms[2].label == "c"


def test_seeds_that_disagree_leave_no_best_however_many_utterances(tmp_path: Path) -> None:
    a = Arm("a", tuple(score(tmp_path, "a", s, drawn(r, 1, 400)) for s, r in (("1", 0.1), ("2", 0.3), ("3", 0.1))))
    b = Arm("b", tuple(score(tmp_path, "b", s, drawn(r, 2, 400)) for s, r in (("1", 0.3), ("2", 0.1), ("3", 0.4))))
    (against,) = rank([a, b], "wer").against
    assert against.utterances is not None
    assert against.utterances.low > 0
    assert not against.holds


def test_one_utterance_decides_nothing(tmp_path: Path) -> None:
    a = Arm("a", (score(tmp_path, "a", "1", [0]),))
    b = Arm("b", (score(tmp_path, "b", "1", [9]),))
    assert rank([a, b], "wer").best is None


@pytest.mark.parametrize("why", ["seed", "normaliser", "utterances", "file"])
def test_what_cannot_be_compared_is_not_told_apart_and_says_why(tmp_path: Path, why: str) -> None:
    seed, normaliser = ("2" if why == "seed" else "1"), ("lower/1" if why == "normaliser" else "nfc/1")
    a = Arm("a", (score(tmp_path, "a", "1", drawn(0.1, 1)),))
    b = Arm("b", (score(tmp_path, "b", seed, drawn(0.6, 2, 70 if why == "utterances" else 80), normaliser),))
    if why == "file":
        b.runs[0].hypotheses.unlink()
    found = rank([a, b], "wer")
    assert found.best is None
    assert found.against[0].reason


def test_a_rate_that_is_no_number_comes_last(tmp_path: Path) -> None:
    a = arm(tmp_path, "a", 0.5)
    b = Arm("b", (SeedScore("0", math.nan, None, "nfc/1", a.runs[0].hypotheses),))
    assert [one.label for one in rank([b, a], "wer").arms] == ["a", "b"]


def test_a_single_arm_is_no_best_one(tmp_path: Path) -> None:
    found = rank([arm(tmp_path, "a", 0.5)], "wer")
    assert (found.best, found.not_told_apart) == (None, ())


STUDIES = 200
Studies = Callable[..., Iterator[Ranking]]


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> Studies:
    """Ranks drawn studies: `studies(how many, num_arms, num_seeds, spread of seeds, gain of the first arm)`.

    Arms but for that one err alike, on the same 40 utterances, some of which are hard for all; a seed moves the error
    rate of its run by a normal draw. What runs wrote is kept in memory: this is about the statistics.
    """
    written: dict[Path, list[dict[str, Any]]] = {}
    monkeypatch.setattr("asr_lab.evaluation.comparison.read_hypotheses", written.__getitem__)

    def drawn_arm(draw: random.Random, name: str, hard: list[float], moves: list[float]) -> Arm:
        runs = []
        for seed, moved in enumerate(moves):
            errors = [sum(draw.random() < rate + moved for _ in range(WORDS)) for rate in hard]
            path = Path(f"{name}-{seed}")
            written[path] = records(errors)
            runs.append(SeedScore(str(seed), sum(errors) / (WORDS * len(errors)), None, "nfc/1", path))
        return Arm(name, tuple(runs))

    def make(count: int, num_arms: int, num_seeds: int, of_seeds: float, gain: float = 0.0) -> Iterator[Ranking]:
        for number in range(count):
            draw = random.Random(f"{number} {num_arms} {num_seeds} {of_seeds}")
            hard = [draw.choice((0.1, 0.2, 0.4)) for _ in range(40)]
            gains = [gain, *[0.0] * (num_arms - 1)]
            moves = [[draw.gauss(0, of_seeds) - less for _ in range(num_seeds)] for less in gains]
            yield rank([drawn_arm(draw, str(i), hard, of) for i, of in enumerate(moves)], "wer", 300)

    return make


@pytest.mark.parametrize(
    ("num_arms", "num_seeds", "of_seeds"),
    [(2, 1, 0.0), (2, 2, 0.05), (2, 3, 0.05), (4, 2, 0.05)],
)
def test_of_equal_arms_one_is_called_the_best_in_no_more_than_5_percent_of_studies(
    studies: Studies, num_arms: int, num_seeds: int, of_seeds: float
) -> None:
    named = sum(one.best is not None for one in studies(STUDIES, num_arms, num_seeds, of_seeds))
    print(f"{named} of {STUDIES} studies of {num_arms} equal arms, {num_seeds} seeds each, named a best one")
    assert named <= stats.binom.ppf(0.975, STUDIES, 0.05)


def test_the_better_of_two_is_named_in_most_studies(studies: Studies) -> None:
    found = [one.best for one in studies(50, 2, 5, 0.01, 0.08)]
    assert {one.label for one in found if one} == {"0"}
    assert sum(one is not None for one in found) >= 40

"""`asrlab sweep`: a grid of overrides trained as one study, and what it came to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from asr_lab.config.grid import grid, short_names
from asr_lab.errors import LabError
from asr_lab.evaluation.evaluation_files import rates_of
from asr_lab.evaluation.rates import rates
from asr_lab.evaluation.spread import Spread
from asr_lab.evaluation.study import Arm, Ranking, SeedScore, rank
from asr_lab.evaluation.study_plot import FORMATS, PlotArm, draw_study
from asr_lab.files import number_of, write_bytes
from asr_lab.runs.job.validation import VALID
from asr_lab.runs.study.points import SEED, points_of
from asr_lab.runs.study.study import Study, study_of
from asr_lab.runs.study.tracked import TrackedPoint
from asr_lab.text.normalizer import Normalizer


def sweep(
    recipe: Path, overrides: Sequence[str], root: Path, workers: int | None, eta: int | None, accept_changes: bool
) -> Study:
    """The study of a recipe's grid; nothing is trained yet. LabError with everything that stands against it."""
    points = points_of(recipe, grid(overrides, str(recipe)))
    if len(points) == 1:
        raise LabError(
            f"a sweep takes a key with several values: --set optimizer.peak_lr=1e-3,3e-4; one training run is asrlab "
            f"run {recipe}"
        )
    return study_of(points, root, workers, eta, accept_changes)


@attrs.frozen
class SweepResult:
    """What a study came to, as far as it has come."""

    study: Study
    metric: str
    """The rate that weights and arms are chosen by."""
    ranking: Ranking | None
    """Of the arms that have a finished run; None while there is none with a validation."""

    @property
    def keys(self) -> tuple[str, ...]:
        """What varies, seeds included."""
        return tuple(self.study.tracked[0].point.values)

    @property
    def arm_keys(self) -> tuple[str, ...]:
        """What varies but for the seed."""
        return tuple(key for key in self.keys if key != SEED)

    def values_of(self, arm: str) -> dict[str, str]:
        """What an arm is, by key."""
        values = next(one.point.values for one in self.study.tracked if one.point.arm == arm)
        return {key: values[key] for key in self.arm_keys}


def result_of(study: Study) -> SweepResult:
    """The state of a study: the arms that are finished, ranked by their validation."""
    metric = study.tracked[0].point.document.value.train.metric
    arms: dict[str, list[SeedScore]] = {}
    for one in study.tracked:
        if one.state == "finished" and one.status.best is not None and one.run is not None:
            normalizer = Normalizer(one.point.document.value.text.steps).name
            score = SeedScore(
                one.point.seed, one.status.best, test_of(one, metric), normalizer, one.run.eval / f"{VALID}.jsonl"
            )
            arms.setdefault(one.point.arm, []).append(score)
    found = [Arm(label, tuple(scores)) for label, scores in arms.items()]
    return SweepResult(study, metric, rank(found, metric) if found else None)


def test_of(one: TrackedPoint, metric: str) -> float | None:
    """The error rate of all test sets together, as the run wrote it down; None where it read none."""
    scores = (one.status.result or {}).get("results") or []
    value = rates_of(scores[0]).get(metric, {}).get("value") if scores else None
    return number_of(value)


def sweep_json(result: SweepResult) -> dict[str, Any]:
    """What `--json` prints: every point, the arms in order, and whether the first is the best."""
    ranking = result.ranking
    against = {one.label: one for one in ranking.against} if ranking else {}
    arms = [
        {
            "values": result.values_of(arm.label),
            "seeds": [run.seed for run in arm.runs],
            "valid": _spread_json(arm.valid),
            "test": _spread_json(arm.test),
            "vs_first": attrs.asdict(against[arm.label]) | {"holds": against[arm.label].holds}
            if arm.label in against
            else None,
        }
        for arm in (ranking.arms if ranking else ())
    ]
    best = ranking.best if ranking else None
    return {
        "recipe": result.study.tracked[0].point.document.file,
        "metric": result.metric,
        "halving": result.study.eta,
        "points": [_point_json(one, result.metric) for one in result.study.tracked],
        "arms": arms,
        "best": None if best is None else result.values_of(best.label),
        "not_told_apart": [result.values_of(label) for label in (ranking.not_told_apart if ranking else ())],
    }


def _spread_json(one: Spread | None) -> dict[str, Any] | None:
    return None if one is None else attrs.asdict(one)


def _point_json(one: TrackedPoint, metric: str) -> dict[str, Any]:
    status, run = one.status, one.run
    return {
        "values": one.point.values,
        "overrides": list(one.point.document.overrides),
        "hash": one.point.hash,
        "run": None if run is None else run.name,
        "path": None if run is None else str(run.path),
        "state": "dropped" if one.dropped and one.state != "finished" else one.state,
        "reason": one.reason or one.dropped or None,
        "step": status.step,
        "share": status.share,
        "valid": status.best,
        "valid_step": status.best_step,
        "test": test_of(one, metric),
        "test_reads": (status.result or {}).get("reads"),
    }


def check_plot(path: Path) -> None:
    """LabError where a picture cannot be written there, before anything is trained."""
    if path.suffix not in FORMATS:
        raise LabError(f"--plot {path}: a picture is an {FORMATS[0]} or a {FORMATS[1]} file")
    if not path.parent.is_dir():
        raise LabError(f"--plot {path}: there is no folder {path.parent}")


def write_plot(result: SweepResult, path: Path) -> None:
    """Draw the finished arms; LabError where there is none."""
    if result.ranking is None:
        raise LabError(f"--plot {path}: no finished run has a validation to be drawn")
    key = _axis_of(result)
    names = short_names(result.keys)
    arms = []
    for arm in result.ranking.arms:
        values = result.values_of(arm.label)
        rest = " ".join(f"{names[k]}={v}" for k, v in values.items() if k != key)
        label = " ".join(f"{names[k]}={v}" for k, v in values.items()) or arm.label or "all seeds"
        arms.append(PlotArm(label, rest, _number(values[key]) if key else None, tuple(run.valid for run in arm.runs)))
    title = result.study.tracked[0].point.document.value.name
    write_bytes(path, draw_study(arms, key or "", rates()[result.metric].label, title, path.suffix))


def _axis_of(result: SweepResult) -> str | None:
    """The key along which arms are drawn: the first whose values are numbers, where a second one at most varies."""
    points = [one.point for one in result.study.tracked]
    numeric = [key for key in result.arm_keys if all(_number(point.values[key]) is not None for point in points)]
    return numeric[0] if numeric and len(result.arm_keys) <= 2 else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

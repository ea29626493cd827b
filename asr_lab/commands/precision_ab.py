"""`asrlab precision-ab`: a recipe trained in several number formats on the same data in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.config.grid import Axis, GridPoint, axes
from asr_lab.devices import local_gpu
from asr_lab.errors import DataError, LabError
from asr_lab.evaluation.comparison import Difference, compare_over
from asr_lab.evaluation.evaluation_files import read_evaluation
from asr_lab.evaluation.precision_ab import LossGap, Verdict, loss_gap, verdict
from asr_lab.evaluation.precision_plot import LossCurve
from asr_lab.evaluation.rates import MAIN
from asr_lab.files import read_jsonl
from asr_lab.number_formats import FORMATS, LOW_PRECISIONS, Asked, has_package, mixes_rows, unavailable
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.study.points import points_of
from asr_lab.runs.study.study import Study, study_of
from asr_lab.runs.study.tracked import TrackedPoint

if TYPE_CHECKING:
    from asr_lab.training.precision.range_loss import LayerRangeLoss

KEY = "precision.type"
PASSES = 2
"""Batches on which the ends of the range are looked at."""


@attrs.frozen
class DecodedAlike:
    """The same weights decoded in another number format."""

    precision: str
    """`decode.precision`."""
    difference: Difference | None
    """Of the error rate from fp32's; None where it was not decoded."""
    why_not: str = ""


@attrs.frozen
class ArmResult:
    """One number format beside the reference."""

    name: str
    run: RunDirectory
    is_emulated: bool
    error_rate: float
    gap: LossGap | None
    """None for the reference."""
    difference: Difference | None
    """Of the error rate, paired by utterance."""
    verdict: Verdict | None
    layers: tuple[LayerRangeLoss, ...]
    decoded: DecodedAlike | None
    audio_s_per_s: float | None
    """Median over the steps; None where the format is emulated, which says nothing of its speed."""


@attrs.frozen
class PrecisionResult:
    """All formats that have a finished run, the reference first."""

    recipe: str
    rate: str
    scored: str
    """The sets that errors were counted on."""
    margin: float
    """As a fraction."""
    arms: tuple[ArmResult, ...]


def precision_study(
    recipe: Path, overrides: Sequence[str], reference: str, root: Path, workers: int | None, accept_changes: bool
) -> Study:
    """The study of a recipe in the formats that `--set precision.type=…` names, and in the reference.

    What this machine cannot compute in is emulated. LabError for other keys with several values, and formats that are
    none.
    """
    found = axes(overrides, str(recipe))
    wanted = [name for axis in found if axis.key == KEY for name in axis.values]
    if not wanted:
        raise LabError(f"name the formats to compare: --set {KEY}=bf16,fp8 (there are {', '.join(FORMATS)})")
    if many := [axis.key for axis in found if axis.key != KEY and len(axis.values) > 1]:
        raise LabError(f"{many[0]} has several values; only {KEY} varies here: asrlab sweep takes grids")
    if odd := [name for name in (reference, *wanted) if name not in FORMATS]:
        raise LabError(f"{odd[0]} is no number format; there are {', '.join(FORMATS)}")
    shared = [f"{axis.key}={axis.values[0]}" for axis in found if axis.key != KEY]
    names = list(dict.fromkeys([reference, *wanted]))
    if len(names) == 1:
        raise LabError(f"{reference} is the reference: name another format beside it")
    return study_of(
        points_of(recipe, [_point(name, shared, found) for name in names]), root, workers, None, accept_changes
    )


def _point(name: str, shared: Sequence[str], found: Sequence[Axis]) -> GridPoint:
    own = [f"{KEY}={name}"]
    if name in LOW_PRECISIONS and not any(axis.key == "precision.emulate" for axis in found):
        backend = next((axis.values[0] for axis in found if axis.key == "precision.backend"), "torchao")
        scaling = next((axis.values[0] for axis in found if axis.key == "precision.scaling"), "rowwise")
        asked = Asked(name, False, backend, scaling)  # type: ignore[arg-type]
        if name == "mxfp4" or unavailable(asked, local_gpu(), has_package) is not None:
            own.append("precision.emulate=true")
    kept = [text for text in shared if name in LOW_PRECISIONS or not text.startswith("precision.")]
    return GridPoint({KEY: name}, (*own, *kept))


def precision_result(study: Study, margin: float, device: str, show: bool) -> PrecisionResult:
    """What the finished runs of a study came to; LabError where the reference has none.

    Each run's weights are decoded once more in the format that its recipe's `[decode]` could ask for.
    """
    first, *others = study.tracked
    if first.state != "finished" or first.run is None:
        raise LabError(f"the reference, {first.point.values[KEY]}, has no finished run: {first.reason or first.state}")
    document = first.point.document.value
    arms = [_arm(first, first, margin, device, show)]
    arms += [_arm(one, first, margin, device, show) for one in others if one.state == "finished"]
    return PrecisionResult(
        recipe=first.point.document.file,
        rate=MAIN,
        scored="test" if document.data.test else "validation",
        margin=margin,
        arms=tuple(arms),
    )


def _arm(one: TrackedPoint, reference: TrackedPoint, margin: float, device: str, show: bool) -> ArmResult:
    assert one.run is not None
    assert reference.run is not None
    asked, is_reference = one.point.document.value.precision.asked, one is reference
    records = list(read_jsonl(one.run.metrics_file))
    own, theirs = (_scored(r, reference.point.document.value.data.test != ()) for r in (one.run, reference.run))
    difference = compare_over([(theirs, own)], MAIN)
    speeds = sorted(r["audio_s_per_s"] for r in records if isinstance(r.get("audio_s_per_s"), int | float))
    return ArmResult(
        name=one.point.values[KEY],
        run=one.run,
        is_emulated=asked.emulate,
        error_rate=difference.b,
        gap=None if is_reference else loss_gap(records, list(read_jsonl(reference.run.metrics_file))),
        difference=None if is_reference else difference,
        verdict=None if is_reference else verdict(difference, margin),
        layers=() if is_reference and asked.format == "fp32" else range_losses(one),
        decoded=_decoded(one, asked, device, show),
        audio_s_per_s=speeds[len(speeds) // 2] if speeds and not asked.emulate else None,
    )


def _scored(run: RunDirectory, has_test: bool) -> dict[str, Any]:
    """What `compare_over` takes of a run's own evaluation."""
    if has_test:
        return read_evaluation(run.eval / "test.json")
    from asr_lab.runs.job.validation import VALID

    path = run.eval / f"{VALID}.jsonl"
    if not path.is_file():
        raise DataError(f"{run.path} has neither a test set nor a validation to compare")
    return {"normaliser": "validation", "hypotheses": str(path)}


def range_losses(one: TrackedPoint) -> tuple[LayerRangeLoss, ...]:
    """What a run's format loses at the ends of its range, over a few batches with its last weights."""
    from asr_lab.compiler.build import build
    from asr_lab.training.precision.range_loss import watched
    from asr_lab.training.store import CheckpointStore

    assert one.run is not None
    experiment = build(one.point.document, one.run.path)
    newest = CheckpointStore(one.run.checkpoints).newest()
    assert newest is not None  # it is finished
    learner = experiment.learner
    learner.restore(newest[1])
    with watched(learner.model, one.point.document.value.precision.asked) as shares:
        for _ in learner.passes(PASSES):
            pass
        return shares()


def _decoded(one: TrackedPoint, asked: Asked, device: str, show: bool) -> DecodedAlike | None:
    """The run's weights decoded in what they were trained in; fp32's in bf16."""
    from asr_lab.commands.evaluate import evaluate_run

    recipe = one.point.document.value
    if not recipe.data.test or one.run is None:
        return None
    precision = "bf16" if asked.format == "fp32" else "same"
    if mixes_rows(asked):
        return DecodedAlike(precision, None, "its scales are of whole batches, so that a text would depend on them")
    try:
        found = evaluate_run(one.run, "best", (), [f"decode.precision={precision}"], device, show)
    except LabError as error:
        return DecodedAlike(precision, None, str(error))
    if found is None or found.path is None:
        return DecodedAlike(precision, None, found.problem if found is not None else "")
    plain = read_evaluation(one.run.eval / "test.json")
    return DecodedAlike(precision, compare_over([(plain, read_evaluation(found.path))], MAIN))


def result_json(result: PrecisionResult) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "recipe": Path(result.recipe).name,
        "rate": result.rate,
        "scored": result.scored,
        "margin": result.margin,
        "arms": [_arm_json(arm) for arm in result.arms],
    }


def _arm_json(arm: ArmResult) -> dict[str, Any]:
    return {
        "precision": arm.name,
        "run": arm.run.name,
        "emulated": arm.is_emulated,
        "error_rate": arm.error_rate,
        "loss_gap": None if arm.gap is None else attrs.asdict(arm.gap),
        "difference": None if arm.difference is None else attrs.asdict(arm.difference),
        "verdict": arm.verdict,
        "layers": [
            {"name": one.name, **{part: getattr(one, part)._asdict() for part in ("input", "weight", "gradient")}}
            for one in arm.layers
        ],
        "decoded": None if arm.decoded is None else attrs.asdict(arm.decoded),
        "audio_s_per_s": arm.audio_s_per_s,
    }


def curves(result: PrecisionResult) -> list[LossCurve]:
    """Every arm's losses, the reference's first."""
    found = []
    for arm in result.arms:
        records = [r for r in read_jsonl(arm.run.metrics_file) if isinstance(r.get("loss"), float)]
        label = f"{arm.name}{', emulated' if arm.is_emulated else ''}"
        found.append(LossCurve(label, tuple(r["step"] for r in records), tuple(r["loss"] for r in records)))
    return found


HEADER = (
    "precision", "WER, %", "difference, pp", "verdict", "loss, last tenth", "largest gap", "gradient's norm",
    "to zero, %", "cut off, %", "decoded in it, pp", "audio s/s",
)  # fmt: skip


def rows(content: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The table's cells from `result_json`, a row for each format."""
    for arm in content["arms"]:
        gap, apart, decoded = arm["loss_gap"], arm["difference"], arm["decoded"]
        yield (
            f"{arm['precision']}{' (emulated)' if arm['emulated'] else ''}",
            f"{100 * arm['error_rate']:.2f}",
            "" if apart is None else _points(apart),
            arm["verdict"] or "reference",
            "" if gap is None else f"{gap['last']:+.4f} ({100 * gap['last_relative']:+.1f} %)",
            "" if gap is None else f"{gap['largest']:+.3f} at {gap['largest_step']:,}",
            "" if gap is None else f"× {gap['grad_norm_ratio']:.3f}",
            _means(arm["layers"], "underflow"),
            _means(arm["layers"], "saturation"),
            "" if decoded is None else f"{decoded['precision']}: {_decoded_cell(decoded)}",
            "" if arm["audio_s_per_s"] is None else f"{arm['audio_s_per_s']:.0f}",
        )


def markdown(content: dict[str, Any]) -> str:
    """The table as a page has it."""
    lines = [HEADER, ("---",) * len(HEADER), *rows(content)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _points(difference: dict[str, float]) -> str:
    ends = (f"{100 * difference[key]:+.2f}" for key in ("difference", "low", "high"))
    return "{} ({} to {})".format(*ends)


def _decoded_cell(decoded: dict[str, Any]) -> str:
    return _points(decoded["difference"]) if decoded["difference"] else "refused"


def _means(layers: Sequence[dict[str, Any]], what: str) -> str:
    """The mean over layers of each operand's share."""
    if not layers:
        return ""
    parts = ("input", "weight", "gradient")
    means = (sum(one[part][what] for one in layers) / len(layers) for part in parts)
    return " / ".join(f"{100 * mean:.2f}" for mean in means)

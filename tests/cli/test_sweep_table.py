"""The tables of a sweep fit a terminal of 80 columns, whatever varies."""

from __future__ import annotations

import io
from pathlib import Path

import attrs
import pytest
from rich.console import Console, RenderableType

from asr_lab.commands.sweep import result_of
from asr_lab.config.grid import grid
from asr_lab.evaluation.evaluation_files import hypothesis_record
from asr_lab.evaluation.rates import UnitErrors
from asr_lab.evaluation.scoring import Scored
from asr_lab.files import write_jsonl
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.runs.code_snapshot import Code
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.status import RunStatus
from asr_lab.runs.study.points import points_of
from asr_lab.runs.study.pool import Pool
from asr_lab.runs.study.study import Study
from asr_lab.runs.study.tracked import TrackedPoint
from cli.sweep_result import conclusions, print_result, result_table
from cli.sweep_table import StateLines, live_table

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "recipes" / "quickstart.toml"
LONG = 'optimizer={type="muon", peak_lr=1e-3, weight_decay=0.1},{type="adamw", peak_lr=3e-3, weight_decay=0.1}'


def text_of(table: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), markup=False, emoji=False, highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def study(*texts: str, finished: bool = True, folder: Path = Path("runs")) -> Study:
    """A study whose runs are at their longest: every figure has its most digits."""
    tracked = []
    for number, point in enumerate(points_of(QUICKSTART, grid(texts, str(QUICKSTART)))):
        one = TrackedPoint(point)
        one.run = RunDirectory(folder / f"{point.document.value.name}-{point.hash[:8]}")
        result = {"results": [{"name": "a", "rates": {"wer": {"value": 0.9876}}}], "reads": 1}
        best = min(0.1 + 0.1 * number, 1.0)
        one.status = RunStatus(step=1_234_567, share=1.0, best=best, best_step=5, result=result, phase="validating")
        one.state = "finished" if finished else "running"
        tracked.append(one)
    return Study(tuple(tracked), folder, Code({}, {}), Pool(1))


GRIDS = [
    ("optimizer.peak_lr=1e-3,3e-3", "seed=1,2,3"),
    ("encoder.dropout=0.1,0.2", "optimizer.peak_lr=1e-3,3e-3", "train.average_decay=0.99,0.999", "seed=1,2"),
    (LONG, "seed=1337,4242"),
    ("seed=1,2,3",),
]


@pytest.mark.parametrize("texts", GRIDS)
def test_both_tables_fit_80_columns_with_every_figure_whole(texts: tuple[str, ...]) -> None:
    running, done = study(*texts, finished=False), result_of(study(*texts))
    for text, whole in ((text_of(live_table(running, 50)), "1,234,567"), (text_of(result_table(done)), "98.76")):
        assert max(map(len, text.splitlines())) <= 80
        assert whole in text
        assert "100%" in text or "valid WER" in text
    assert "validating" in text_of(live_table(running, 50))


def test_a_table_with_more_points_than_lines_shows_what_is_at_work_and_counts_the_rest() -> None:
    every = study(f"seed={','.join(map(str, range(40)))}", finished=False)
    for number, one in enumerate(every.tracked):
        one.state = "failed" if number == 30 else "running" if number == 31 else "waiting"
    text = text_of(live_table(every, 4))
    assert len(text.splitlines()) <= 7
    assert "40 points: 1 running, 1 failed, 38 waiting" in text
    assert "\n30" in text
    assert "\n31" in text


def test_each_change_of_state_is_a_line_where_there_is_no_terminal() -> None:
    every, lines = study("seed=1,2", finished=False), list[str]()
    table = StateLines(every, lines.append)
    table.show()
    table.show()
    every.tracked[0].fail("no \x1b[31mmemory\nTraceback")
    table.show()
    assert len(lines) == 3
    assert lines[2].startswith("seed=1  failed: no \\x1b[31mmemory  WER 10.0%")


def told(folder: Path, name: str, rate: int) -> Path:
    """Validation transcripts with so many errors in each utterance of ten words."""
    one = DecodedUtterance("", "one", "two", {}, 1.0)
    rows = [Scored(attrs.evolve(one, id=str(n)), "a", "b", {"wer": UnitErrors(rate, 0, 0, 10)}) for n in range(50)]
    path = folder / name / "eval" / "valid.jsonl"
    path.parent.mkdir(parents=True)
    write_jsonl(path, [hypothesis_record("valid", row) for row in rows])
    return path


def test_a_best_arm_is_named_with_what_it_is_better_by(tmp_path: Path) -> None:
    every = study("optimizer.peak_lr=1e-3,3e-3,1e-2", folder=tmp_path)
    for number, one in enumerate(every.tracked):
        assert one.run is not None
        told(tmp_path, one.run.name, number + 1)
    found = result_of(every)
    lines = conclusions(found)
    assert "best: peak_lr=1e-3, lower than each of the 2 others over the utterances (paired, 95 %)" in lines
    assert "+20.00 (+20.00 to +20.00)" in text_of(result_table(found), 100)
    assert any("trained from one seed each" in line for line in lines)


def test_what_is_not_finished_stands_below_with_its_reason(tmp_path: Path) -> None:
    every = study("seed=1,2,3", folder=tmp_path)
    every.tracked[1].fail("loss is not finite\nmore")
    every.tracked[2].state, every.tracked[2].dropped = "paused", "at 33% of the training, 2 of 3; 1 went on"
    console = Console(width=80, file=io.StringIO(), markup=False, emoji=False, highlight=False)
    print_result(console, result_of(every))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "seed=2: failed: loss is not finite (" in text
    assert "seed=3: dropped: at 33% of the training, 2 of 3; 1 went on (" in text


def test_a_study_without_a_finished_run_names_nothing() -> None:
    result = result_of(study("seed=1,2", finished=False))
    assert (result.ranking, conclusions(result)) == (
        None,
        ["no finished run has been validated: there is nothing to choose by"],
    )

"""`asrlab transcribe`: text from recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson, Checkpoint, Overrides

if TYPE_CHECKING:
    from asr_lab.evaluation.recognize import Recognizer, Segment

RunOption = Annotated[
    str, typer.Option("--run", metavar="RUN", help="Path, name or hash prefix; none = the newest with a checkpoint.")
]


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="wav, flac, ogg, opus or mp3, of any length.")],
    run: RunOption = "",
    checkpoint: Checkpoint = "best",
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Print what is said in recordings; with --json, each word's time and confidence.

    Example: asrlab transcribe interview.mp3 memo.opus --run digits --json
    """
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    found = find_run(run, runs_root())
    print(f"{found.path}, checkpoint {checkpoint}", file=sys.stderr)
    from asr_lab.runs.recognizing import recognizer_of

    recognizer = recognizer_of(found, checkpoint, overrides)
    records = []
    for path in files:
        record = _hear(recognizer, path, as_json)
        records.append(record)
        if "error" in record:
            print(f"error: {record['error']}", file=sys.stderr)
        elif not as_json:
            print(record["text"] if len(files) == 1 else f"{path}\t{record['text']}", flush=True)
    if as_json:
        import json

        print(json.dumps(records, indent=1, ensure_ascii=False))
    if any("error" in record for record in records):
        raise typer.Exit(2)


def _hear(recognizer: Recognizer, path: Path, with_words: bool) -> dict[str, Any]:
    """One file's record; a file that cannot be read has `error` in place of text."""
    from asr_lab.audio.reading import AudioError

    segments = []
    try:
        for segment in recognizer.file(path, with_words):
            segments.append(segment)
    except AudioError as error:
        return {"file": str(path), "error": str(error)}
    return _record(recognizer, path, segments)


def _record(recognizer: Recognizer, path: Path, segments: list[Segment]) -> dict[str, Any]:
    words: list[dict[str, Any]] | None = []
    for segment in segments:
        if segment.words is None:
            words = None
        elif words is not None:
            words += [_word(w.word, w.start_s, w.end_s, w.confidence) for w in segment.words]
    record: dict[str, Any] = {
        "file": str(path),
        "text": " ".join(s.text for s in segments if s.text),
        "duration_s": round(segments[-1].end_s, 3),
        "segments": [{"start_s": round(s.start_s, 3), "end_s": round(s.end_s, 3), "text": s.text} for s in segments],
        "words": words,
    }
    if words is None:
        reason = recognizer.no_times_because or "a segment's text has more tokens than its CTC decoder has frames"
        record["note"] = f"no word times: {reason}"
    return record


def _word(word: str, start_s: float, end_s: float, confidence: float) -> dict[str, Any]:
    return {"word": word, "start_s": round(start_s, 3), "end_s": round(end_s, 3), "confidence": round(confidence, 4)}

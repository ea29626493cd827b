"""`asrlab transcribe`: text from recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_lab.errors import DataError
from cli.options import AsJson, Checkpoint, Overrides

if TYPE_CHECKING:
    from asr_lab.commands.load import TrainedModel
    from asr_lab.commands.streaming_run import StreamingRun
    from asr_lab.recognition.timed_word import TimedWord

STDIN = Path("-")
RunOption = Annotated[
    str, typer.Option("--run", metavar="RUN", help="Path, name or hash prefix; none = the newest finished one.")
]


def transcribe(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="wav, flac, ogg, opus or mp3, of any length.")
    ] = [],  # noqa: B006
    run: RunOption = "",
    checkpoint: Checkpoint = "best",
    overrides: Overrides = [],  # noqa: B006
    stream: Annotated[bool, typer.Option("--stream", help="Show words as they come; FILE may be - for stdin.")] = False,
    chunk_ms: Annotated[
        float | None,
        typer.Option("--chunk-ms", metavar="N", help="Audio decoded at once; none = the shortest it was trained for."),
    ] = None,
    # The rest is named in the summary, so that the table stays short.
    sample_rate: Annotated[int | None, typer.Option("--sample-rate", metavar="HZ", min=1, hidden=True)] = None,
    microphone: Annotated[bool, typer.Option("--microphone", hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Print the text of recordings; with --json, each word's time and confidence.

    With --stream, words are shown as they come, and --json gives a line an update. FILE - is stdin: a 16-bit wav,
    any other recording once it ends, or raw 16-bit little-endian mono at --sample-rate HZ. --microphone is decoded
    until Ctrl-C.

    Example: asrlab transcribe interview.mp3 memo.opus --run digits --json
    """
    _check(files, stream or microphone, chunk_ms, sample_rate, microphone)
    from asr_lab.commands.weights_line import weights_line
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    found = find_run(run, runs_root())
    print(weights_line(found, checkpoint), file=sys.stderr)
    if stream or microphone:
        from asr_lab.commands.streaming_run import streaming_run_of

        streaming = streaming_run_of(found, checkpoint, overrides, chunk_ms)
        return _stream(streaming, None if microphone else files[0], sample_rate, as_json)
    from asr_lab.commands.load import load

    model = load(found.path, checkpoint=checkpoint, overrides=overrides)
    records = []
    for path in files:
        record = _record(model, path, as_json)
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


def _check(files: list[Path], streams: bool, chunk_ms: float | None, sample_rate: int | None, microphone: bool) -> None:
    """BadParameter for what does not go together."""
    if not streams and (chunk_ms is not None or sample_rate is not None):
        raise typer.BadParameter("--chunk-ms and --sample-rate have an effect with --stream only")
    if sample_rate is not None and files != [STDIN]:
        raise typer.BadParameter("--sample-rate is that of raw audio on stdin (FILE -); all else says it itself")
    if microphone and files:
        raise typer.BadParameter("--microphone takes the place of a FILE")
    if streams and not microphone and len(files) != 1:
        raise typer.BadParameter(f"--stream takes one FILE, or - for stdin; got {len(files)}")
    if not streams and (not files or STDIN in files):
        raise typer.BadParameter("- needs --stream" if files else "give a FILE, or --microphone")


def _stream(run: StreamingRun, file: Path | None, sample_rate: int | None, as_json: bool) -> None:
    """Stream one source; no file = the microphone."""
    from asr_lab.audio.live_sources import file_samples, microphone_samples
    from asr_lab.audio.piped import pipe_samples
    from cli.terminal import show_stream, view_of

    for note in run.notes:
        print(f"note: {note}", file=sys.stderr)
    rate = run.sample_rate
    if file is None:
        source = microphone_samples(rate)
    elif file == STDIN:
        source = pipe_samples(sys.stdin.buffer, rate, sample_rate)
    else:
        source = file_samples(file, rate)
    show_stream(run.recognizer, source, view_of(as_json))


def _record(model: TrainedModel, path: Path, with_words: bool) -> dict[str, Any]:
    """One file's record; a file that cannot be read has `error` in place of text."""
    try:
        found = model.transcribe(path, words=with_words)
    except DataError as error:
        return {"file": str(path), "error": str(error)}
    except OSError as error:
        return {"file": str(path), "error": f"{path}: {error.strerror or error}"}
    words = found.words
    record: dict[str, Any] = {
        "file": str(path),
        "text": found.text,
        "duration_s": round(found.duration_s, 3),
        "segments": [
            {"start_s": round(s.start_s, 3), "end_s": round(s.end_s, 3), "text": s.text} for s in found.segments
        ],
        "words": None if words is None else [_word(word) for word in words],
    }
    if words is None:
        record["note"] = f"no word times: {found.no_times_because}"
    return record


def _word(word: TimedWord) -> dict[str, Any]:
    return {
        "word": word.text,
        "start_s": round(word.start_s, 3),
        "end_s": round(word.end_s, 3),
        "confidence": round(word.confidence, 4),
    }

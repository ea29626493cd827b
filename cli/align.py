"""`asrlab align`: where in a recording the words of a text are."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_lab.errors import DataError, LabError
from cli.options import AsJson, Checkpoint
from cli.transcribe import RunOption

if TYPE_CHECKING:
    from asr_lab.data.utterance import UnreadableUtterance, Utterance
    from asr_lab.recognition.alignment import AlignedText

TABLES = (".tsv", ".csv")


def align(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="A recording; or a .tsv or .csv of audio and text.")],
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Its text, or a .txt file that holds it.")] = "",
    run: RunOption = "",
    checkpoint: Checkpoint = "best",
    as_ctm: Annotated[
        bool, typer.Option("--ctm", help="Print NIST CTM: file channel start duration word conf.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print when each word of a known text is spoken in a recording, by the model's CTC decoder.

    Example: asrlab align memo.wav "three five nine" --run digits --ctm
    """
    if as_ctm and as_json:
        raise LabError("--ctm and --json cannot both be printed")
    from asr_lab.commands.weights_line import weights_line
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    pairs, bad = _pairs(audio, text)
    found = find_run(run, runs_root())
    print(weights_line(found, checkpoint), file=sys.stderr)
    from asr_lab.commands.align import aligner_of
    from asr_lab.recognition.alignment import ctm_lines

    aligner = aligner_of(found, checkpoint)
    records = [_failed(cut.id, cut.audio, f"{audio}: {cut.id}: {cut.reason}") for cut in bad]
    for one in pairs:
        try:
            aligned = aligner.file(one.audio, one.text, one.start_s, one.duration_s, one.channel)
        except DataError as error:
            records.append(_failed(one.id, one.audio, str(error)))
            continue
        records.append(_record(one, aligned))
        if as_ctm:
            print("\n".join(ctm_lines(one.id, aligned.words, 1 + (one.channel or 0))), flush=True)
        elif not as_json:
            _print_table(one.id if len(pairs) > 1 else "", aligned)
    if as_json:
        import json

        print(json.dumps(records, indent=1, ensure_ascii=False))
    if any("error" in record for record in records):
        raise typer.Exit(2)


def _pairs(audio: Path, text: str) -> tuple[list[Utterance], Sequence[UnreadableUtterance]]:
    """Recordings and their texts, and a table's rows that name none; DataError where nothing can be read."""
    from asr_lab.data.utterance import Utterance

    if audio.suffix not in TABLES:
        if not text:
            raise LabError(f"no text for {audio}: asrlab align AUDIO TEXT, or a table of both: asrlab align TABLE.tsv")
        return [Utterance(audio.stem, str(audio), None, _text(text))], ()
    if text:
        raise LabError(f"{audio} is a table, which holds the texts; no TEXT may follow it")
    import attrs

    from asr_lab.data.absent_files import AbsentFiles
    from asr_lab.data.sources.tables import read_table

    source, absent = read_table(audio, audio.parent, "audio", "text", None), AbsentFiles()
    pairs = [
        one if os.path.exists(one.audio) else attrs.evolve(one, audio=absent.found(one.audio) or one.audio)
        for one in source.utterances
    ]
    return pairs, source.bad  # the bad ones are known once all are read


def _text(text: str) -> str:
    if not text.endswith(".txt"):
        return text
    from asr_lab.data.sources.text_lines import read_text

    return read_text(Path(text))


def _failed(name: str, audio: str, message: str) -> dict[str, Any]:
    print(f"error: {message}", file=sys.stderr)
    return {"id": name, "file": audio, "error": message}


def _record(pair: Utterance, aligned: AlignedText) -> dict[str, Any]:
    words = [
        {
            "word": w.text,
            "start_s": round(w.start_s, 3),
            "end_s": round(w.end_s, 3),
            "confidence": round(w.confidence, 4),
        }
        for w in aligned.words
    ]
    mean = round(aligned.mean_log_prob, 4)
    return {"id": pair.id, "file": pair.audio, "text": aligned.text, "mean_log_prob": mean, "words": words}


def _print_table(name: str, aligned: AlignedText) -> None:
    if name:
        print(name)
    print(f"{'start s':>9} {'end s':>9}  conf  word")
    for w in aligned.words:
        print(f"{w.start_s:9.3f} {w.end_s:9.3f}  {w.confidence:4.2f}  {w.text}")

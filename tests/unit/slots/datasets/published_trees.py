"""Corpora in their published layouts, built from a few real clips, with the oddities that the published ones have."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_lab.slots.datasets import Dataset
from asr_lab.slots.datasets.aishell import Aishell
from asr_lab.slots.datasets.an4 import AN4
from asr_lab.slots.datasets.common_voice import CommonVoice
from asr_lab.slots.datasets.fleurs import Fleurs
from asr_lab.slots.datasets.gigaspeech import GigaSpeech
from asr_lab.slots.datasets.kaldi import Kaldi
from asr_lab.slots.datasets.librispeech import LibriSpeech
from asr_lab.slots.datasets.ljspeech import LJSpeech
from asr_lab.slots.datasets.mini_librispeech import MiniLibriSpeech
from asr_lab.slots.datasets.mls import MLS
from asr_lab.slots.datasets.nemo import Nemo
from asr_lab.slots.datasets.speech_commands import SpeechCommands
from asr_lab.slots.datasets.tedlium import TedLium
from asr_lab.slots.datasets.voxpopuli import VoxPopuli

RATE = 16000
FRAMES = 3 * RATE // 2
SPEAKERS = ("1998", "2609")


@attrs.frozen
class Clip:
    """A real recording and its transcript."""

    speaker: str
    text: str
    samples: NDArray[np.int16]  # (S,) at 16 kHz

    def write(self, path: Path, **form: Any) -> Path:
        """Write it to a file of the ending's kind, or as `soundfile` is told."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            soundfile.write(file, self.samples, RATE, **{"format": path.suffix[1:].upper(), **form})
        return path

    def encoded(self, kind: str = "WAV", subtype: str | None = None) -> bytes:
        """A file's bytes."""
        out = io.BytesIO()
        samples = self.samples if subtype != "FLOAT" else (self.samples / 32768).astype(np.float32)
        soundfile.write(out, samples, RATE, format=kind, subtype=subtype)
        return out.getvalue()


def real_clips(speech: Path) -> tuple[Clip, ...]:
    """The first second and a half of the three shortest clips of each of two speakers."""
    folder = speech / "librispeech-test-other-excerpt"
    with (folder / "manifest.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = []
    for speaker in SPEAKERS:
        own = sorted((r for r in rows if r["speaker"] == speaker), key=lambda r: float(r["duration_s"]))[:3]
        for row in own:
            samples = soundfile.read(folder / row["audio"], dtype="int16", frames=FRAMES)[0]
            found.append(Clip(speaker, row["text"], samples))
    assert len(found) == 6
    return tuple(found)


@attrs.frozen
class Tree:
    """A corpus on the disk, and what reading it must give."""

    dataset: Dataset
    texts: Sequence[str]
    """In the order of `clips`."""
    lossy: bool = False
    bad: tuple[str, ...] = ()
    """What stands in the reasons of bad rows, in order."""
    notes: tuple[str, ...] = ()
    """What stands in warnings, each once."""
    columns: dict[str, Any] = attrs.field(factory=dict)
    """Of the first utterance."""


Clips = Sequence[Clip]


def librispeech(root: Path, clips: Clips, part: str = "test-clean") -> Tree:
    for number, clip in enumerate(clips):
        name = f"{clip.speaker}-1-{number:04d}"
        chapter = root / "LibriSpeech" / part / clip.speaker / "1"
        clip.write(chapter / f"{name}.flac")
        with (chapter / f"{clip.speaker}-1.trans.txt").open("a") as file:
            file.write(f"{name} {clip.text.upper()}\n")
    chapter = root / "LibriSpeech" / part / clips[0].speaker / "1"
    clips[0].write(chapter / f"{clips[0].speaker}-1-0099.flac")  # no line
    with (chapter / f"{clips[0].speaker}-1.trans.txt").open("a") as file:
        file.write(f"{clips[0].speaker}-1-0098 NO RECORDING\n")
    published = "2,620" if part == "test-clean" else "1,519"
    notes = (f"7 utterances; {published} are published", "1 recording without a line")
    columns = {"speaker": clips[0].speaker, "chapter": "1", "split": part, "language": "en"}
    upper = [clip.text.upper() for clip in clips]
    dataset = LibriSpeech(splits=(part,)) if part == "test-clean" else MiniLibriSpeech(splits=("train-clean-5",))
    return Tree(dataset, upper, bad=("no such file",), notes=notes, columns=columns)


def mini_librispeech(root: Path, clips: Clips) -> Tree:
    return librispeech(root, clips, "train-clean-5")


def mls(root: Path, clips: Clips, split: str = "test", ending: str = "flac") -> Tree:
    folder = root / ("mls_french" if ending == "flac" else "mls_french_opus")
    part = folder / split
    lines = []
    for number, clip in enumerate(clips):
        name = f"{clip.speaker}_1028_{number:06d}"
        form = {"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}
        clip.write(part / "audio" / clip.speaker / "1028" / f"{name}.{ending}", **form)
        lines.append(f"{name}\t{clip.text}\n")
    (part / "transcripts.txt").write_text("".join(lines))
    (part / "segments.txt").write_text("1406_1028_000000\thttp://example.org/book_01.mp3\t401.76\t417.57\n")
    header = "SPEAKER | GENDER | PARTITION | MINUTES | BOOK ID | TITLE | CHAPTER"
    (folder / "metainfo.txt").write_text(f"{header}\n 1998  | M | train | 12.3 | 1028 | un titre | 01\n")
    (root / "mls_lm_french").mkdir()
    columns = {
        "speaker": "1998",
        "book": "1028",
        "language": "fr",
        "locale": "french",
        "split": split,
        "gender": "male",
    }
    texts = [clip.text for clip in clips]
    dataset = MLS(languages=("french",), splits=(split,))  # type: ignore[arg-type]
    notes = ("6 utterances; 2,426 are published",)
    return Tree(dataset, texts, lossy=ending == "opus", notes=notes, columns=columns)


def mls_opus(root: Path, clips: Clips) -> Tree:
    return mls(root, clips, ending="opus")


COMMON_VOICE = {
    "v4": "client_id path sentence up_votes down_votes age gender accent",
    "v7": "client_id path sentence up_votes down_votes age gender accent locale segment",
    "v11": "client_id path sentence up_votes down_votes age gender accents locale segment",
    "v16": "client_id path sentence up_votes down_votes age gender accents variant locale segment",
    "v21": "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale "
    "segment",
}
"""The columns of a release, in its order."""


def common_voice(root: Path, clips: Clips, version: str) -> Tree:
    locale = root / f"cv-corpus-{version[1:]}.0-2022-01-01" / "en"
    columns = COMMON_VOICE[version].split()
    quoted = ['"Sí, dijo él', 'He said ""no""']
    texts = [*quoted, *(clip.text for clip in clips[2:])]
    rows = []
    for number, (clip, text) in enumerate(zip(clips, texts, strict=True)):
        clip.write(locale / "clips" / f"common_voice_en_{number}.mp3")
        name = f"common_voice_en_{number}" + ("" if version == "v4" else ".mp3")
        row = {"client_id": clip.speaker, "path": name, "sentence": text, "up_votes": "2", "age": "fourties"}
        rows.append({**row, "gender": "female", "accent": "us", "accents": "us", "locale": "en"})
    rows.append({"client_id": "x", "path": "common_voice_en_98.mp3", "sentence": "no recording"})
    (locale / "clips" / "common_voice_en_99.mp3").touch()
    rows.append({"client_id": "x", "path": "common_voice_en_99.mp3", "sentence": "of zero bytes"})
    lines = ["\t".join(columns), *("\t".join(row.get(c, "") for c in columns) for row in rows)]
    (locale / "test.tsv").write_text("\n".join(lines) + "\n")
    known = {"speaker": "1998", "gender": "female", "age": "fourties", "accents": "us", "up_votes": "2"}
    known |= {"locale": "en", "language": "en", "split": "test"}
    bad = ("no such file", "is empty")
    dataset = CommonVoice(languages=("en",), splits=("test",))
    return Tree(dataset, texts, lossy=True, bad=bad, columns=known)


def voxpopuli_cut(root: Path, clips: Clips) -> Tree:
    folder = root / "voxpopuli" / "transcribed_data" / "en"
    lines = ["id\traw_text\tnormalized_text\tspeaker_id\tsplit\tgender\tis_gold_transcript\taccent"]
    for number, clip in enumerate(clips):
        name = f"20180612-0900-PLENARY-3-en_20180612-11:05:31_{number}"
        clip.write(folder / "2018" / f"{name}.ogg", subtype="VORBIS")
        lines.append(f"{name}\t\t{clip.text}\t{clip.speaker}\ttest\tfemale\tTrue\tNone")
    (folder / "asr_test.tsv").write_text("\n".join(lines) + "\n")
    columns = {"speaker": "1998", "gender": "female", "language": "en", "locale": "en", "split": "test"}
    columns |= {"is_gold_transcript": "True", "accent": "None"}
    dataset = VoxPopuli(languages=("en",), splits=("test",))
    return Tree(dataset, [clip.text for clip in clips], lossy=True, columns=columns)


def voxpopuli_sessions(root: Path, clips: Clips) -> Tree:
    """Whole sessions, with the annotations that give the stretches."""
    base = root / "voxpopuli"
    session = "20180612-0900-PLENARY-3-en"
    whole, stretches = after_one_another(clips)
    whole.write(base / "raw_audios" / "original" / "2018" / f"{session}_original.ogg", format="FLAC")
    header = "session_id|id_|original_text|normed_text|speaker_id|split|gender|start_time|end_time|vad"
    lines = [header]
    for number, (clip, (start, end)) in enumerate(zip(clips, stretches, strict=True)):
        vad = f"[['{start + 0.1}', '{start + 0.4}'], ['{start + 0.6}', '{end}']]"
        row = f"{session}|20180612-11:05:31_{number}|Raw.|{clip.text}|{clip.speaker}|test|female|{start}|{end}|{vad}"
        lines.append(row)
    lines.append(f"{session}|20180612-11:05:31_9|No split.|no split|1|||0.0|1.0|[]")
    (base / "annotations" / "asr").mkdir(parents=True)
    with gzip.open(base / "annotations" / "asr" / "asr_en.tsv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    columns = {"speaker": "1998", "gender": "female", "language": "en", "locale": "en", "split": "test"}
    dataset = VoxPopuli(languages=("en",), splits=("test",))
    return Tree(dataset, [clip.text for clip in clips], columns=columns)


def after_one_another(clips: Clips) -> tuple[Clip, list[tuple[float, float]]]:
    """All clips in one recording with half a second before each, and where each is, in seconds."""
    gap = np.zeros(RATE // 2, dtype=np.int16)
    parts: list[NDArray[np.int16]] = []
    stretches = []
    at = 0
    for clip in clips:
        parts += [gap, clip.samples]
        at += len(gap)
        stretches.append((at / RATE, (at + len(clip.samples)) / RATE))
        at += len(clip.samples)
    return Clip("all", "", np.concatenate([*parts, gap])), stretches


def tedlium(root: Path, clips: Clips) -> Tree:
    folder = root / "TEDLIUM_release-3" / "legacy" / "test"
    whole, stretches = after_one_another(clips)
    whole.write(folder / "sph" / "SomeTalk_2009.sph", format="NIST")
    lines = [";; a comment"]
    texts = []
    for number, (clip, (start, end)) in enumerate(zip(clips, stretches, strict=True)):
        text = f"so we 're here <unk> today(2) {{NOISE}} {clip.text}" if number == 0 else clip.text
        texts.append(f"so we're here <unk> today {clip.text}" if number == 0 else clip.text)
        lines.append(f"SomeTalk_2009 1 SomeTalk_2009 {start} {end} <o,f0,female> {text}")
        gap = f"SomeTalk_2009 1 inter_segment_gap {end} {end + 0.5} <o,,unknown> ignore_time_segment_in_scoring"
        lines.append(gap)
    (folder / "stm").mkdir()
    (folder / "stm" / "SomeTalk_2009.stm").write_text("\n".join(lines) + "\n")
    columns = {
        "speaker": "SomeTalk_2009",
        "talk": "SomeTalk_2009",
        "language": "en",
        "split": "test",
        "gender": "female",
    }
    return Tree(TedLium(splits=("test",)), texts, notes=("6 utterances; 1,155 are published",), columns=columns)


def gigaspeech(root: Path, clips: Clips) -> Tree:
    folder = root / "GigaSpeech"
    whole, stretches = after_one_another(clips)
    whole.write(folder / "audio" / "podcast" / "P0001" / "POD0000000025.opus", format="FLAC")
    segments: list[dict[str, Any]] = []
    for number, (clip, (start, end)) in enumerate(zip(clips, stretches, strict=True)):
        segment = {"sid": f"POD0000000025_S{number:07d}", "speaker": "N/A", "begin_time": start, "end_time": end}
        text = f"WELL <COMMA> {clip.text.upper()} <PERIOD>"
        segments.append({**segment, "text_tn": text, "subsets": ["{XL}", "{DEV}"]})
    segments.append({"sid": "m", "begin_time": 0.0, "end_time": 0.4, "text_tn": "<MUSIC>", "subsets": ["{DEV}"]})
    segments.append({"sid": "o", "begin_time": 0.0, "end_time": 0.4, "text_tn": "OTHER", "subsets": ["{XL}"]})
    segments.append({"sid": "b", "begin_time": 0.4, "end_time": 0.0, "text_tn": "BACK", "subsets": ["{DEV}"]})
    audio = {"title": '[odd] \\ "title"', "path": "audio/podcast/P0001/POD0000000025.opus", "aid": "POD0000000025"}
    audio |= {"source": "podcast", "sample_rate": 16000, "segments": segments}  # type: ignore[dict-item]
    manifest = {"dataset": "GigaSpeech", "language": "EN", "version": "v1.0.0", "audios": [{"segments": []}, audio]}
    (folder / "GigaSpeech.json").write_text(json.dumps(manifest, indent=1))
    texts = [f"WELL {clip.text.upper()}" for clip in clips]
    columns = {"source": "podcast", "title": audio["title"], "language": "en", "split": "DEV"}
    return Tree(GigaSpeech(subset="DEV"), texts, bad=("end_time must be after",), columns=columns)


MANDARIN = ("今天 天气 很 好", "ｂ 超 检查", "我们 去 看看", "明天 下雨", "你 好", "再见")


def _aishell_texts(root: Path) -> tuple[Path, list[str]]:
    base = root / "data_aishell"
    (base / "transcript").mkdir(parents=True)
    rows = [f"BAC009S0002W{number:04d} {text}\n" for number, text in enumerate(MANDARIN)]
    (base / "transcript" / "aishell_transcript_v0.8.txt").write_text("".join(rows))
    return base, [text.replace(" ", "") for text in MANDARIN]


def aishell(root: Path, clips: Clips) -> Tree:
    base, texts = _aishell_texts(root)
    for number, clip in enumerate(clips):
        clip.write(base / "wav" / "test" / "S0002" / f"BAC009S0002W{number:04d}.wav")
    clips[0].write(base / "wav" / "test" / "S0002" / "BAC009S0002W0099.wav")
    (root / "resource_aishell").mkdir()
    (root / "resource_aishell" / "speaker.info").write_text("0002 F\n")
    notes = ("6 utterances; 7,176 are published", "1 recording without a transcript")
    columns = {"speaker": "S0002", "language": "zh", "split": "test", "gender": "female"}
    return Tree(Aishell(splits=("test",)), texts, notes=notes, columns=columns)


def aishell_packed(root: Path, clips: Clips) -> Tree:
    """As the archive is: one compressed archive a speaker within `wav`."""
    base, texts = _aishell_texts(root)
    files = {f"test/S0002/BAC009S0002W{n:04d}.wav": clip.encoded() for n, clip in enumerate(clips)}
    files["train/S0002/BAC009S0002W0500.wav"] = clips[0].encoded()
    write_tar(base / "wav" / "S0002.tar.gz", files)
    notes = ("6 utterances; 7,176 are published", "is unpacked once")
    return Tree(Aishell(splits=("test",)), texts, notes=notes)


def an4(root: Path, clips: Clips) -> Tree:
    base = root / "an4"
    names = [f"an4test_clstk/{clip.speaker}/an{number}-{clip.speaker}-b" for number, clip in enumerate(clips)]
    lines = []
    for number, (name, clip) in enumerate(zip(names, clips, strict=True)):
        clip.write(base / "wav" / f"{name}.sph", format="NIST")
        own = name.rpartition("/")[2]
        lines.append(f"{clip.text.upper()} ({own})" if number else f"<s> {clip.text.upper()} </s> ({own})")
    (base / "etc").mkdir()
    (base / "etc" / "an4_test.fileids").write_text("\n".join([*names, "an4test_clstk/x/an99-x-b"]) + "\n")
    (base / "etc" / "an4_test.transcription").write_text("\n".join([*lines, "YES (an98-x-b)"]) + "\n")
    notes = ("7 utterances; 130 are published", "1 file without a transcription")
    columns = {"speaker": "1998", "language": "en", "split": "test"}
    texts = [clip.text.upper() for clip in clips]
    return Tree(AN4(splits=("test",)), texts, bad=("is not in an4_test.fileids",), notes=notes, columns=columns)


def ljspeech(root: Path, clips: Clips) -> Tree:
    base = root / "LJSpeech-1.1"
    lines = []
    for number, clip in enumerate(clips):
        clip.write(base / "wavs" / f"LJ049-{number:04d}.wav")
        quoted = f'In 1455, "the book {clip.text}'
        lines.append(f"LJ049-{number:04d}|{quoted}|{clip.text}" if number else f"LJ049-0000|{clip.text}")
    lines.append("LJ001-0001|of train|of train")
    (base / "metadata.csv").write_text("\n".join(lines) + "\n")
    columns = {"speaker": "LJ", "book": "LJ049", "language": "en", "split": "test"}
    return Tree(LJSpeech(splits=("test",)), [clip.text for clip in clips], columns=columns)


def speech_commands(root: Path, clips: Clips) -> Tree:
    base = root / "speech_commands_v0.02"
    words = ("bed", "cat", "dog", "eight", "five", "four")
    names = [f"{word}/{n:08x}_nohash_0.wav" for n, word in enumerate(words)]
    for name, clip in zip(names, clips, strict=True):
        clip.write(base / name)
    clips[0].write(base / "bed" / "ffffffff_nohash_1.wav")
    clips[0].write(base / "_background_noise_" / "pink_noise.wav")
    (base / "testing_list.txt").write_text("\n".join(names) + "\n")
    (base / "validation_list.txt").write_text("")
    columns = {"speaker": "00000000", "language": "en", "split": "test"}
    notes = ("6 utterances; 11,005 are published",)
    return Tree(SpeechCommands(splits=("test",)), words, notes=notes, columns=columns)


FLEURS_CODE = "af_za"
FLEURS_ROWS = 264


def fleurs_rows(clips: Clips) -> tuple[list[list[str]], list[str]]:
    """Rows of a published table, the second of the first's sentence, one with a quote that is never closed."""
    rows = []
    for number, clip in enumerate(clips):
        raw = f'"""Die "ou" {clip.text}' if number == 2 else clip.text.capitalize() + "."
        chars = " | ".join(" ".join(word) for word in clip.text.split()) + " |"
        sentence = "1904" if number < 2 else str(1904 + number)
        name = f"{10140388596618026384 + number}.wav"
        rows.append([sentence, name, raw, clip.text, chars, str(len(clip.samples)), "FEMALE"])
    rows.append(["1999", "999.wav", "Geen klank.", "geen klank", "g e e n | k l a n k |", "16000", "MALE"])
    return rows, [row[1] for row in rows[:-1]]


def _fleurs(extra: Sequence[str] = (), notes: Sequence[str] = ()) -> dict[str, Any]:
    columns = {"locale": FLEURS_CODE, "language": "af", "script": "Latn", "family": "Sub-Saharan Africa"}
    columns |= {"split": "test", "sentence": "1904", "gender": "female"}
    counted = f"7 utterances; {FLEURS_ROWS} are published"
    return {"bad": ("no such file",), "notes": (counted, *notes), "columns": columns}


def fleurs_folders(root: Path, clips: Clips, hub: bool = True) -> Tree:
    """Either layout of tables, unpacked."""
    base = root / "fleurs" / "data" / FLEURS_CODE if hub else root / "fleurs" / FLEURS_CODE
    rows, names = fleurs_rows(clips)
    for name, clip in zip(names, clips, strict=True):
        path = base / "audio" / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.encoded(subtype="FLOAT"))
    (base / "audio" / "test" / "0.wav").write_bytes(clips[0].encoded(subtype="FLOAT"))
    (base / "test.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    texts = [clip.text for clip in clips]
    return Tree(Fleurs(languages=(FLEURS_CODE,)), texts, **_fleurs(notes=("1 recording without a row",)))


def fleurs_google_unpacked(root: Path, clips: Clips) -> Tree:
    return fleurs_folders(root, clips, hub=False)


def fleurs_hub(root: Path, clips: Clips, ending: str = ".tar.gz", code: str = FLEURS_CODE, split: str = "test") -> Tree:
    """The Hub's layout: a table and an archive a split."""
    base = root / "fleurs" / "data" / code
    rows, names = fleurs_rows(clips)
    files = {f"{split}/{name}": clip.encoded(subtype="FLOAT") for name, clip in zip(names, clips, strict=True)}
    write_tar(base / "audio" / f"{split}{ending}", {**files, f"{split}/0.wav": clips[0].encoded()}, folder=split)
    (base / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    notes = ["1 recording without a row", *(["is unpacked once"] if ending != ".tar" else [])]
    return Tree(Fleurs(languages=(FLEURS_CODE,)), [clip.text for clip in clips], **_fleurs(notes=notes))


def fleurs_hub_plain(root: Path, clips: Clips) -> Tree:
    return fleurs_hub(root, clips, ".tar")


def fleurs_google(root: Path, clips: Clips) -> Tree:
    """Google's layout: one archive a language, tables inside."""
    rows, names = fleurs_rows(clips)
    table = "".join("\t".join(row) + "\n" for row in rows).encode()
    files = {f"{FLEURS_CODE}/test.tsv": table, f"{FLEURS_CODE}/audio/test/0.wav": clips[0].encoded()}
    for name, clip in zip(names, clips, strict=True):
        files[f"{FLEURS_CODE}/audio/test/{name}"] = clip.encoded(subtype="FLOAT")
    write_tar(root / "fleurs" / f"{FLEURS_CODE}.tar.gz", files, folder=FLEURS_CODE)
    fixed = _fleurs(notes=("1 recording without a row", "is unpacked once"))
    return Tree(Fleurs(languages=(FLEURS_CODE,)), [clip.text for clip in clips], **fixed)


def fleurs_parquet(root: Path, clips: Clips, converted: bool = False) -> Tree:
    """The Hub's parquet files, in two shards, or those of the branch that it converts itself."""
    import pytest

    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows, _ = fleurs_rows(clips)
    records = []
    for row, clip in zip(rows, [*clips, None], strict=True):
        audio = {"bytes": clip and clip.encoded(subtype="FLOAT"), "path": row[1]}
        record = {"id": int(row[0]), "num_samples": int(row[5]), "path": f"/gone/{row[1]}", "audio": audio}
        record |= {"transcription": row[3], "raw_transcription": row[2], "gender": 1, "lang_id": 0}
        records.append({**record, "language": "Afrikaans", "lang_group_id": 3})
    base = root / "fleurs"
    folder = base / FLEURS_CODE / "test" if converted else base / "parquet-data" / FLEURS_CODE
    folder.mkdir(parents=True)
    halves = (records[:3], records[3:])
    for number, half in enumerate(halves):
        name = f"{number:04d}.parquet" if converted else f"test-{number:05d}-of-00002.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(half), folder / name, row_group_size=2)
    fixed = _fleurs(notes=("unpacked once",))
    return Tree(Fleurs(languages=(FLEURS_CODE,)), [clip.text for clip in clips], **fixed)


def fleurs_converted(root: Path, clips: Clips) -> Tree:
    return fleurs_parquet(root, clips, converted=True)


def kaldi(root: Path, clips: Clips) -> Tree:
    """Paths with spaces, places in an ark, a known command, one that is refused, an id without a text."""
    folder = root / "data" / "test"
    folder.mkdir(parents=True)
    names = [f"{clip.speaker}-utt{number}" for number, clip in enumerate(clips)]
    clips[0].write(folder / "with space" / "a.wav")
    clips[1].write(folder / "b.flac")
    ark = b""
    places = []
    for name, clip in zip(names[2:4], clips[2:4], strict=True):
        ark += name.encode() + b" "
        places.append(len(ark))
        ark += clip.encoded()
    (folder / "wav.ark").write_bytes(ark)
    clips[4].write(folder / "e.sph", format="NIST")
    clips[5].write(folder / "f.wav")
    values = [str(folder / "with space" / "a.wav"), f"flac -c -d -s {folder}/b.flac |"]
    values += [f"{folder}/wav.ark:{place}" for place in places]
    values += [f"/opt/tools/sph2pipe -f wav -p -c 1 {folder}/e.sph |", "f.wav"]
    names += ["z-command", "z-no-text"]
    values += ["cat x.wav | sox - -r 8k -t wav - |", "f.wav"]
    (folder / "wav.scp").write_text("".join(f"{n} {v}\n" for n, v in zip(names, values, strict=True)))
    texts = [clip.text for clip in clips]
    lines = [f"{n}\t{t}\r\n" for n, t in zip(names, [*texts, "from a command"], strict=False)]
    (folder / "text").write_bytes("".join([*lines, "z-unknown hello\r\n"]).encode() + b"z-no-text caf\xe9\r\n")
    (folder / "utt2spk").write_text("".join(f"{n} {n.split('-')[0]}\n" for n in names))
    (folder / "spk2gender").write_text("1998 m\n2609 f\n")
    bad = ("is a command, which is never run", "is not UTF-8")
    notes = ("1 utterance with a text, not in wav.scp",)
    return Tree(Kaldi(path="data/test"), texts, bad=bad, notes=notes, columns={"speaker": "1998", "gender": "male"})


def kaldi_segments(root: Path, clips: Clips) -> Tree:
    folder = root / "data" / "test"
    whole, stretches = after_one_another(clips)
    whole.write(folder / "rec1.wav")
    (folder / "wav.scp").write_text("rec1 rec1.wav\n")
    names = [f"spk-utt{number}" for number in range(len(clips))]
    lines = [f"{n} rec1 {start} {end}\n" for n, (start, end) in zip(names, stretches, strict=True)]
    lines[-1] = f"{names[-1]} rec1 {stretches[-1][0]} -1\n"  # to the end: half a second of silence more
    (folder / "segments").write_text("".join(lines))
    (folder / "text").write_text("".join(f"{n} {c.text}\n" for n, c in zip(names, clips, strict=True)))
    return Tree(Kaldi(path="data/test"), [clip.text for clip in clips])


def nemo(root: Path, clips: Clips) -> Tree:
    """A plain manifest: whole files, and stretches of one."""
    folder = root / "nemo"
    for number, clip in enumerate(clips[:3]):
        clip.write(folder / "wavs" / f"{number}.wav")
    whole, stretches = after_one_another(clips[3:])
    whole.write(folder / "wavs" / "long.wav")
    rows: list[dict[str, Any]] = [
        {"audio_filepath": f"wavs/{n}.wav", "duration": len(c.samples) / RATE, "text": c.text, "lang": "en"}
        for n, c in enumerate(clips[:3])
    ]
    for clip, (start, end) in zip(clips[3:], stretches, strict=True):
        rows.append({"audio_filepath": "wavs/long.wav", "offset": start, "duration": end - start, "text": clip.text})
    rows.append({"audio_filepath": "wavs/0.wav", "duration": 1.0, "text": "skipped", "_skipme": True})
    rows.append({"audio_filepath": "wavs/0.wav", "text": "no length"})
    lines = [*(json.dumps(row) for row in rows), "{broken"]
    (folder / "train.json").write_text("\n".join(lines) + "\n")
    bad = ("duration must be a number", "not JSON")
    notes = ("1 marked _skipme",)
    dataset = Nemo(path="nemo/train.json")
    return Tree(dataset, [clip.text for clip in clips], bad=bad, notes=notes, columns={"language": "en"})


def nemo_tarred(root: Path, clips: Clips, sharded: bool = False) -> Tree:
    """Two shards; a file of several stretches is in its archive once."""
    folder = root / "tarred"
    shards: list[list[dict[str, Any]]] = [[], []]
    for number, clip in enumerate(clips[:2]):
        entry = {"audio_filepath": f"wavs_{number}.wav", "duration": len(clip.samples) / RATE, "text": clip.text}
        shards[0].append({**entry, "shard_id": 0})
    files = {f"wavs_{n}.wav": clip.encoded() for n, clip in enumerate(clips[:2])}
    write_tar(folder / "audio_0.tar", {**files, "unused.wav": clips[0].encoded()})
    whole, stretches = after_one_another(clips[2:])
    write_tar(folder / "audio_1.tar", {"wavs_long.flac": whole.encoded("FLAC")})
    for number, (clip, (start, end)) in enumerate(zip(clips[2:], stretches, strict=True)):
        name = f"wavs_long-sub{number}.flac" if number else "wavs_long.flac"
        entry = {"audio_filepath": name, "offset": start, "duration": end - start, "text": clip.text, "shard_id": 1}
        shards[1].append(entry)
    write = [json.dumps({"audio_filepath": "gone.wav", "duration": 1.0, "text": "no file", "shard_id": 1})]
    if sharded:
        (folder / "sharded_manifests").mkdir()
        for number, shard in enumerate(shards):
            rows = [json.dumps({k: v for k, v in row.items() if k != "shard_id"}) for row in shard]
            path = folder / "sharded_manifests" / f"manifest_{number}.json"
            path.write_text("\n".join([*rows, *(write if number else [])]) + "\n")
        dataset = Nemo(path="tarred/sharded_manifests/manifest__OP_0..1_CL_.json", tars="tarred/audio_{0..1}.tar")
    else:
        rows = [json.dumps(row) for shard in shards for row in shard]
        (folder / "tarred_audio_manifest.json").write_text("\n".join([*rows, *write]) + "\n")
        dataset = Nemo(path="tarred")
    texts = [clip.text for clip in clips]
    return Tree(dataset, texts, bad=("no such file",), notes=("1 file without an entry, as unused.wav",))


def nemo_sharded(root: Path, clips: Clips) -> Tree:
    return nemo_tarred(root, clips, sharded=True)


def write_tar(path: Path, files: dict[str, bytes], folder: str = "") -> None:
    """A tar archive, compressed as its ending says, with an entry for its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode: Any = "w:gz" if path.name.endswith("gz") else "w:"
    with tarfile.open(path, mode) as tar:
        if folder:
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _common_voice(version: str) -> Callable[[Path, Clips], Tree]:
    return lambda root, clips: common_voice(root, clips, version)


TREES: dict[str, Callable[[Path, Clips], Tree]] = {
    "librispeech": librispeech,
    "mini_librispeech": mini_librispeech,
    "mls": mls,
    "mls, opus": mls_opus,
    **{f"common_voice, {version}": _common_voice(version) for version in COMMON_VOICE},
    "voxpopuli, cut": voxpopuli_cut,
    "voxpopuli, sessions": voxpopuli_sessions,
    "tedlium": tedlium,
    "gigaspeech": gigaspeech,
    "aishell": aishell,
    "aishell, packed": aishell_packed,
    "an4": an4,
    "ljspeech": ljspeech,
    "speech_commands": speech_commands,
    "fleurs, hub": fleurs_hub,
    "fleurs, hub, plain tar": fleurs_hub_plain,
    "fleurs, hub, unpacked": fleurs_folders,
    "fleurs, google": fleurs_google,
    "fleurs, google, unpacked": fleurs_google_unpacked,
    "fleurs, parquet": fleurs_parquet,
    "fleurs, converted parquet": fleurs_converted,
    "kaldi": kaldi,
    "kaldi, segments": kaldi_segments,
    "nemo": nemo,
    "nemo, tarred": nemo_tarred,
    "nemo, sharded": nemo_sharded,
}

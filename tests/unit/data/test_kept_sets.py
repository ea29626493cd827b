"""Cuts that the cache keeps: the same as those that are read anew, whatever changes or is damaged."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import numpy as np
import pytest

from asr_lab.data import cuts as cuts_module
from asr_lab.data import kept_sets
from asr_lab.data.corpus import Corpus, spell
from asr_lab.data.cuts import Cuts, read_cuts
from asr_lab.data.kept_arrays import KeptError, read_arrays, write_arrays
from asr_lab.data.kept_cuts import NUMBERS, TEXTS
from asr_lab.data.training_data import TrainingData
from asr_lab.slots.datasets.folder import Folder
from asr_lab.text.normalizer import Normalizer, Step
from asr_lab.text.vocabulary import Vocabulary

LONG_AGO_NS = 1_400_000_000 * 10**9
NUM_DAMAGED = 60


@pytest.fixture
def folder(with_bad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """200 recordings of long ago, ten of which cannot be used, and a cache of their own."""
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path / "cache"))
    shutil.copytree(with_bad, tmp_path / "data")
    settle(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sets that were read, not taken from the cache."""
    found: list[str] = []
    read = cuts_module._Reader.read

    def counted(self: cuts_module._Reader, number: int, given: object, source: object) -> None:
        found.append(given.label)
        read(self, number, given, source)

    monkeypatch.setattr(cuts_module._Reader, "read", counted)
    return found


def settle(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def start(folder: Path, keep_from: int = 1, **settings: object) -> Cuts:
    return read_cuts([Folder(path=".", **settings).build(folder)], folder, keep_from=keep_from)


def same(one: Cuts, other: Cuts) -> bool:
    texts = all(list(getattr(one, name)) == list(getattr(other, name)) for name in TEXTS)
    numbers = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NUMBERS)
    types = all(getattr(one, name).dtype == getattr(other, name).dtype for name in NUMBERS)
    rest = ("bad", "parts", "languages", "columns", "refused", "fingerprint")
    return texts and numbers and types and all(getattr(one, name) == getattr(other, name) for name in rest)


def never(folder: Path, **settings: object) -> Cuts:
    return start(folder, 10**9, **settings)


def test_a_second_start_takes_the_same_cuts_from_the_cache(folder: Path, readings: list[str]) -> None:
    wanted, first = never(folder), start(folder)
    del readings[:]
    again = start(folder)
    assert not readings
    assert len(again) > 100
    assert len(again.bad) == 6  # the four that a tokenizer or a decoder refuses come later
    assert same(first, wanted)
    assert same(again, wanted)


def test_few_utterances_are_not_kept(folder: Path, readings: list[str]) -> None:
    for _ in range(2):
        start(folder, kept_sets.LEAST)
    assert readings == ["folder", "folder"]
    assert not (kept_sets.cache_root() / kept_sets.FOLDER).exists()


def _a_row_goes(folder: Path) -> None:
    table = folder / "manifest.tsv"
    table.write_text(table.read_text().rsplit("\n", 2)[0] + "\n")


def _audio_grows(folder: Path) -> None:
    shutil.copyfile(folder / "u001.wav", folder / "u005.wav")


def _audio_is_touched(folder: Path) -> None:
    os.utime(folder / "u007.wav")


def _audio_goes(folder: Path) -> None:
    (folder / "u009.wav").unlink()


def _the_absent_comes(folder: Path) -> None:
    shutil.copyfile(folder / "u001.wav", folder / "u003.wav")


def _the_absent_comes_by_another_spelling(folder: Path) -> None:
    shutil.copyfile(folder / "u001.wav", folder / "U003.wav")


@pytest.mark.parametrize(
    "change",
    [
        _a_row_goes,
        _audio_grows,
        _audio_is_touched,
        _audio_goes,
        _the_absent_comes,
        _the_absent_comes_by_another_spelling,
    ],
)
def test_what_changes_is_read_anew(folder: Path, readings: list[str], change: Callable[[Path], None]) -> None:
    start(folder)
    change(folder)
    del readings[:]
    found = start(folder)
    assert readings == ["folder"]
    assert same(found, never(folder))


def test_what_was_unreadable_is_looked_at_each_time(
    folder: Path, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_lab.data import kept_cuts

    start(folder)
    del readings[:]
    looked: list[str] = []
    monkeypatch.setattr(kept_cuts, "_refusal", lambda path: looked.append(Path(path).stem) or "it can be read now")
    start(folder)
    assert looked[0] in ("u011", "u020", "u078")
    assert readings == ["folder"]


@pytest.mark.parametrize(
    "settings",
    [{"name": "x"}, {"weight": 2.0}, {"where": {"split": "train"}}, {"where": {"min_s": 0.5}}, {"text_column": "id"}],
)
def test_another_setting_is_another_set(folder: Path, readings: list[str], settings: dict[str, object]) -> None:
    start(folder)
    del readings[:]
    found = start(folder, **settings)
    assert len(readings) == 1
    assert same(found, never(folder, **settings))


def test_other_options_are_another_set(folder: Path, readings: list[str]) -> None:
    given = [Folder(path=".").build(folder)]
    start(folder)
    for options in ({"channel": "split"}, {"by_language": True}):
        del readings[:]
        read_cuts(given, folder, keep_from=1, **options)
        assert readings == ["folder"]
    del readings[:]
    assert read_cuts(given, folder, keep_from=1, keep_columns=True).columns
    assert readings == ["folder"]


def test_other_code_reads_anew(folder: Path, readings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    start(folder)
    monkeypatch.setattr(kept_sets, "code_hash", lambda: "other")
    start(folder)
    assert readings == ["folder", "folder"]


def test_a_file_that_may_still_change_is_not_believed(folder: Path, readings: list[str]) -> None:
    os.utime(folder / "u001.wav")
    start(folder)
    start(folder)
    assert readings == ["folder", "folder"]
    os.utime(folder / "u001.wav", ns=(LONG_AGO_NS, LONG_AGO_NS))
    os.utime(folder / "manifest.tsv")
    start(folder)
    start(folder)
    assert readings == ["folder"] * 4


def test_a_note_on_the_data_is_repeated(folder: Path, readings: list[str]) -> None:
    def read(source: object) -> object:
        def utterances() -> Iterator[object]:
            warnings.warn("odd rows", stacklevel=2)
            warnings.warn("unpacked once", kept_sets.OnceWarning, stacklevel=2)
            yield from source.utterances

        return attrs.evolve(source, utterances=utterances())

    given = Folder(path=".").build(folder)
    odd = attrs.evolve(given, read=lambda: read(given.read()))
    for wanted in (["odd rows", "unpacked once"], ["odd rows"]):
        with anything_but_errors() as notes:
            read_cuts([odd], folder, keep_from=1)
        assert notes == wanted
    assert len(readings) == 1


def kept_file(folder: Path) -> Path:
    (found,) = (folder.parent / "cache" / kept_sets.FOLDER).iterdir()
    return found


def replace(path: Path, content: bytes) -> None:
    """A new file: what a process has mapped of the old one stays."""
    path.with_name("new").write_bytes(content)
    path.with_name("new").replace(path)


@contextmanager
def anything_but_errors() -> Iterator[list[str]]:
    found: list[str] = []
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        yield found
    found += [str(note.message) for note in notes]


def test_a_damaged_file_is_told_of_and_made_anew(folder: Path, readings: list[str]) -> None:
    wanted = start(folder)
    path = kept_file(folder)
    whole, drawn = path.read_bytes(), random.Random(3)
    for number in range(NUM_DAMAGED):
        damaged = bytearray(whole)
        if number % 3:
            # The head, and what lies behind it: padding is read by no one.
            place = drawn.randrange(56) if number % 3 == 1 else drawn.randrange(len(whole))
            damaged[place] ^= 1 << drawn.randrange(8)
        else:
            del damaged[drawn.randrange(len(damaged)) :]
        replace(path, damaged)
        del readings[:]
        with anything_but_errors() as notes:
            assert same(start(folder), wanted)
        assert len(notes) == len(readings)  # one note where it is made anew
        assert all("is made anew" in note for note in notes)
        assert not readings or path.read_bytes() == whole


def test_a_whole_file_of_other_content_is_no_set(folder: Path, readings: list[str]) -> None:
    wanted = start(folder)
    path = kept_file(folder)
    arrays, rest = read_arrays(path)
    others = [
        ({}, rest),
        (arrays, None),
        (arrays, {**rest, "bad": [["too", "short"]]}),
        (arrays, {**rest, "refused": [1]}),
        ({**arrays, "keys": arrays["keys"][1:]}, rest),
        ({**arrays, "texts.ends": arrays["texts.ends"][:1]}, rest),
    ]
    for number, (its, other) in enumerate(others):
        write_arrays(path, its, other)
        del readings[:]
        with pytest.warns(UserWarning, match="of another form; it is made anew"):
            assert same(start(folder), wanted), number
        assert readings == ["folder"]


def test_numbers_in_a_file_size_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.arrays"
    write_arrays(path, {"a": np.arange(5)}, {})
    head = path.read_bytes()[:48]
    path.write_bytes(head + (1 << 62).to_bytes(8, "little") + b"{}")
    with pytest.raises(KeptError, match="no file of kept arrays"):
        read_arrays(path)


def test_a_cache_that_cannot_be_written_is_done_without(
    folder: Path, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "cache").mkdir(exist_ok=True)
    (folder.parent / "cache" / kept_sets.FOLDER).write_text("a file where a folder should be")
    wanted = never(folder)
    with pytest.warns(UserWarning, match="the next start reads all anew"):
        assert same(start(folder), wanted)


def test_what_was_used_longest_ago_makes_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(folder)
    first = kept_file(folder)
    os.utime(first, (1, 1))
    monkeypatch.setattr(kept_sets, "MAX_BYTES", int(first.stat().st_size * 1.5))
    start(folder, name="another")
    assert not first.exists()
    assert kept_file(folder).exists()


def test_processes_that_start_together_get_the_same(folder: Path) -> None:
    wanted = never(folder)
    fork = multiprocessing.get_context("fork")
    with fork.Pool(4) as pool:
        found = pool.map(_fingerprint, [folder] * 8, chunksize=1)
    assert set(found) == {(wanted.fingerprint, len(wanted))}
    assert len(list(kept_file(folder).parent.iterdir())) == 1


def _fingerprint(folder: Path) -> tuple[str, int]:
    cuts = start(folder)
    return cuts.fingerprint, len(cuts)


def spelled(cuts: Cuts, letters: Vocabulary, name: str = "frames of 20 ms", more: tuple[Step, ...] = ()) -> Corpus:
    return spell(
        cuts,
        letters,
        Normalizer(("lower", "strip_punctuation", *more)),
        sample_rate=8000,
        alignable=lambda num_samples, tokens: len(tokens) <= num_samples // 160,
        alignable_name=name,
        keep_from=1 if name else 10**9,
    )


def test_texts_are_spelled_once(folder: Path, letters: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = type(letters).encode
    monkeypatch.setattr(type(letters), "encode", lambda self, text: encoded.append(text) or encode(self, text))
    wanted = spelled(never(folder), letters, "")
    first = spelled(start(folder), letters)
    del encoded[:]
    again = spelled(start(folder), letters)
    assert not encoded
    for found in (first, again):
        assert np.array_equal(found.kept, wanted.kept)
        assert np.array_equal(found.tight, wanted.tight)
        assert found.tight.dtype == wanted.tight.dtype
        assert list(found.texts) == list(wanted.texts)
        assert np.array_equal(found.tokens.values, wanted.tokens.values)
        assert np.array_equal(found.tokens.ends, wanted.tokens.ends)
        assert (found.bad, found.missing) == (wanted.bad, wanted.missing)
    assert len(wanted.bad) == 10
    spelled(start(folder), letters, "other frames")
    assert len(encoded) > 100
    del encoded[:]
    spelled(start(folder), letters, more=("nfc",))
    assert len(encoded) > 100
    del encoded[:]
    monkeypatch.setattr(type(letters), "fingerprint", lambda self: "other letters")
    spelled(start(folder), letters)
    assert len(encoded) > 100


def test_training_is_the_same_from_the_cache(folder: Path, letters: Vocabulary) -> None:
    settings = {"seed": 7, "batch_s": 12.0, "max_rank_batch_s": 6.0, "num_workers": 0}
    anew = TrainingData(spelled(never(folder), letters, ""), **settings)
    spelled(start(folder), letters)
    kept = TrainingData(spelled(start(folder), letters), **settings)
    for one, other in zip(anew.steps(1), kept.steps(1), strict=True):
        assert [b.ids for b in one.batches] == [b.ids for b in other.batches]
        for a, b in zip(one.batches, other.batches, strict=True):
            assert np.array_equal(a.audio.numpy(), b.audio.numpy())
            assert np.array_equal(a.targets.tokens.numpy(), b.targets.tokens.numpy())
            assert (a.texts, a.keys) == (b.texts, b.keys)

"""Every corpus in its published layout gives the same cuts: the texts, and the samples, that it was built from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from container_trees import CONTAINERS
from published_trees import FLEURS_CODE, RATE, TREES, Clip, Tree, fleurs_hub

from asr_lab.audio.reading import read_audio
from asr_lab.data import cuts as cuts_module
from asr_lab.data.cuts import Cuts, read_cuts
from asr_lab.data.kept_sets import OnceWarning
from asr_lab.errors import DataError
from asr_lab.slots.datasets import Dataset
from asr_lab.slots.datasets.fleurs import Fleurs

LONG_AGO_S = 1_400_000_000

EMPTY = [
    "LibriSpeech(splits=('test-clean',))",
    "MiniLibriSpeech(splits=('dev-clean-2',))",
    "MLS(languages=('french',), splits=('test',))",
    "CommonVoice(languages=('de',), splits=('test',))",
    "VoxPopuli(languages=('en',), splits=('test',))",
    "TedLium(splits=('test',))",
    "GigaSpeech(subset='DEV')",
    "Aishell(splits=('test',))",
    "AN4(splits=('test',))",
    "LJSpeech(splits=('all',))",
    "SpeechCommands(splits=('test',))",
    "Fleurs(languages=('en_us',))",
    "Fleurs()",
]


def read(tree: Tree, root: Path) -> tuple[Cuts, list[str]]:
    """The cuts, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cuts = read_cuts([tree.dataset.build(root)], root, keep_columns=True)
    return cuts, [str(c.message) for c in caught]


def samples(cuts: Cuts, row: int) -> np.ndarray:
    duration_s = None if cuts.whole[row] else float(cuts.duration_s[row])
    channel = None if cuts.channel[row] < 0 else int(cuts.channel[row])
    return read_audio(cuts.audio[row], RATE, float(cuts.start_s[row]), duration_s, channel)


@pytest.mark.parametrize("name", [*TREES, *CONTAINERS])
def test_a_published_tree_is_read_as_it_was_built(name: str, tmp_path: Path, clips: Sequence[Clip]) -> None:
    tree = {**TREES, **CONTAINERS}[name](tmp_path, clips)
    cuts, notes = read(tree, tmp_path)
    by_text = {text: row for row, text in enumerate(cuts.texts)}
    assert sorted(cuts.texts) == sorted(tree.texts)
    for text, clip in zip(tree.texts, clips, strict=True):
        found, wanted = samples(cuts, by_text[text]), clip.samples / 32768
        if tree.lossy:
            assert abs(len(found) - len(wanted)) <= 0.15 * RATE
        else:
            assert len(found) - len(wanted) in (0, RATE // 2)  # a segment to the end has the silence behind it
            assert np.abs(found[: len(wanted)] - wanted).max() < 1e-6
    assert len(cuts.bad) == len(tree.bad)
    for bad, reason in zip(cuts.bad, tree.bad, strict=True):
        assert reason in bad.reason
    for note in tree.notes:
        assert sum(note in one for one in notes) == 1, (note, notes)
    assert {k: v for k, v in cuts.columns[by_text[tree.texts[0]]].items() if k in tree.columns} == tree.columns


@pytest.mark.parametrize("name", [name for name in TREES if name.startswith("fleurs")])
def test_fleurs_is_the_same_in_every_layout(name: str, tmp_path: Path, clips: Sequence[Clip]) -> None:
    layout, published = tmp_path / "layout", tmp_path / "published"
    found, _ = read(TREES[name](layout, clips), layout)
    wanted, _ = read(fleurs_hub(published, clips), published)
    assert list(found.ids) == list(wanted.ids)
    assert list(found.texts) == list(wanted.texts)
    assert found.duration_s.tolist() == wanted.duration_s.tolist()
    assert [u.text for u in found.refused] == [u.text for u in wanted.refused] == ["geen klank"]
    raw = read_cuts([Fleurs(languages=(FLEURS_CODE,), text="raw_transcription").build(layout)], layout)
    assert raw.texts[2].startswith('"""Die "ou" ')
    assert len(raw) == len(clips)


def test_an_archive_is_unpacked_once_and_its_index_is_kept(
    tmp_path: Path, clips: Sequence[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tarfile

    tree = fleurs_hub(tmp_path, clips)
    first, notes = read(tree, tmp_path)
    assert any("is unpacked once" in note for note in notes)
    monkeypatch.setattr(tarfile, "open", None)
    again, notes = read(tree, tmp_path)
    assert not any("is unpacked once" in note for note in notes)
    assert first.fingerprint == again.fingerprint


def test_a_bomb_is_not_unpacked(tmp_path: Path, clips: Sequence[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    from asr_lab.data.sources import archives

    tree = fleurs_hub(tmp_path, clips)
    path = tmp_path / "fleurs" / "data" / FLEURS_CODE / "audio" / "test.tar.gz"
    monkeypatch.setattr(archives, "SLACK_BYTES", 1 << 10)
    path.write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(DataError, match="more than any archive of speech"):
        read(tree, tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x1f\x8b\x08\x00 torn"])
def test_an_archive_that_is_none_is_told_with_the_way_out(
    tmp_path: Path, clips: Sequence[Clip], content: bytes
) -> None:
    tree = fleurs_hub(tmp_path, clips)
    (tmp_path / "fleurs" / "data" / FLEURS_CODE / "audio" / "test.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"test\.tar\.gz|plain\.tar"):
        read(tree, tmp_path)


@pytest.mark.parametrize("written", EMPTY)
def test_an_absent_corpus_names_the_paths_and_how_to_get_it(written: str, tmp_path: Path) -> None:
    sections = {cls.__name__: cls for cls in Dataset.choices().values()}
    dataset = eval(written, sections)
    with pytest.raises(DataError) as caught:
        dataset.read(tmp_path)
    message = str(caught.value)
    assert "is not there; looked for\n  /" in message
    assert "asrlab data prepare " in message or "https://" in message
    assert "ASRLAB_DATA" in message


def test_a_language_that_fleurs_lacks_is_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match=r"got 'en_u'; did you mean 'en_us'"):
        Fleurs(languages=("en_u",))
    with pytest.raises(ValueError, match="must not be empty"):
        Fleurs(languages=())


def test_languages_there_are_those_on_the_disk(tmp_path: Path, clips: Sequence[Clip]) -> None:
    fleurs_hub(tmp_path, clips)
    cuts = read_cuts([Fleurs(languages="there").build(tmp_path)], tmp_path, keep_columns=True)
    assert {columns["locale"] for columns in cuts.columns} == {FLEURS_CODE}
    with pytest.raises(DataError, match=r"no language of FLEURS has train in"):
        Fleurs(languages="there", splits=("train",)).read(tmp_path)


KEPT = ("kaldi", "kaldi, segments", "nemo", "nemo, tarred", "nemo, sharded", *CONTAINERS)
"""Those whose readers name the files that decide the rows."""


@pytest.mark.parametrize("name", KEPT)
def test_a_set_that_is_kept_is_as_it_was_read(
    name: str, tmp_path: Path, clips: Sequence[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path / "cache"))
    tree = {**TREES, **CONTAINERS}[name](tmp_path / "data", clips)
    for path in (tmp_path / "data").rglob("*"):
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))

    def start(keep_from: int) -> tuple[Cuts, list[str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cuts = read_cuts([tree.dataset.build(tmp_path / "data")], tmp_path / "data", keep_from=keep_from)
        return cuts, sorted(str(c.message) for c in caught if c.category is not OnceWarning)

    wanted, notes = start(10**9)
    start(1)
    read = cuts_module._Reader.read
    monkeypatch.setattr(cuts_module._Reader, "read", lambda *_: pytest.fail("read anew"))
    found, again = start(1)
    assert (found.fingerprint, found.bad, again) == (wanted.fingerprint, wanted.bad, notes)
    assert [*found.texts, *found.ids, *found.audio] == [*wanted.texts, *wanted.ids, *wanted.audio]
    readings: list[int] = []
    monkeypatch.setattr(cuts_module._Reader, "read", lambda *given: (readings.append(1), read(*given)))
    decides = [path for path in tree.dataset.read(tmp_path / "data").files if path.exists()]
    assert decides
    for number, path in enumerate(decides, start=1):
        os.utime(path, (LONG_AGO_S + number, LONG_AGO_S))
        start(1)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S + number))
        start(1)
        assert len(readings) == number, path

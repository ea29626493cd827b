"""A corpus holds what can be trained on, and names the rest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_lab.data.corpus import Corpus, spell, too_short, training_texts
from asr_lab.data.cuts import read_cuts
from asr_lab.errors import DataError
from asr_lab.slots.datasets.folder import Folder
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import Vocabulary

NORMALIZER = Normalizer(["lower", "strip_punctuation"])
REASONS = {
    "u003": "no such file",
    "u011": "0 bytes",
    "u020": "not audio",
    "u034": "empty text",
    "u045": "too short for its text: 299 tokens need 5.98 s, it has 0.34 s",
    "u056": "unspellable: no token for 'ß'",
    "u067": "the manifest says 9.00 s, the file lasts",
    "u078": "is truncated",
    "u089": "second utterance is called 'u089'",
    "u100": "nothing is left of its text",
}


KINDS = {
    "u003": "no audio",
    "u011": "no audio",
    "u020": "unreadable",
    "u034": "no text",
    "u045": "too short for its text",
    "u056": "unspellable",
    "u067": "wrong duration",
    "u078": "unreadable",
    "u089": "second of its id",
    "u100": "no text",
}


def corpus_of(folder: Path, vocabulary: Vocabulary, **settings: Any) -> Corpus:
    return spell(
        read_cuts([Folder(path=str(folder), **settings).build(folder)], folder),
        vocabulary,
        NORMALIZER,
        sample_rate=8000,
        alignable=lambda num_samples, tokens: len(tokens) <= num_samples // 160,
    )


def test_each_of_ten_bad_cuts_in_200_is_named_with_its_reason(with_bad: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(with_bad, letters)
    assert len(corpus) == 190
    assert len(corpus.bad) == 10
    found = {b.id: b.reason for b in corpus.bad}
    assert found.keys() == REASONS.keys()
    for name, reason in REASONS.items():
        assert reason in found[name], f"{name}: {found[name]}"


def test_what_a_text_needs_is_named_beside_what_the_audio_has() -> None:
    def one_each(num_samples: int, tokens: Sequence[int]) -> bool:
        return len(tokens) <= num_samples // 320

    assert too_short(8192, range(2, 28), one_each, 16000) == (
        "too short for its text: 26 tokens need 0.52 s, it has 0.51 s"
    )
    assert one_each(26 * 320, range(2, 28))
    assert not one_each(26 * 320 - 1, range(2, 28))
    almost = too_short(26 * 320 - 1, range(2, 28), one_each, 16000)
    assert almost.endswith("need 0.52 s, it has 0.51 s"), "what is too short by a sample looks shorter"


def test_a_text_that_fits_into_no_audio_is_too_long() -> None:
    reason = too_short(16000, range(2, 9), lambda num_samples, tokens: len(tokens) < 7, 16000)
    assert reason == "its text is too long for a decoder, however long the audio: 7 tokens"


def test_each_is_counted_by_its_kind_and_what_cannot_be_spelled_is_kept(with_bad: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(with_bad, letters)
    assert {b.id: b.kind for b in corpus.bad} == KINDS
    assert corpus.missing == "ß"


def test_texts_tokens_and_lengths_belong_together(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters)
    for i in range(len(corpus)):
        row = int(corpus.kept[i])
        assert letters.decode(corpus.tokens[i].tolist()) == corpus.texts[i] == corpus.cuts.texts[row]
        assert corpus.durations_s[i] == pytest.approx(soundfile.info(corpus.cuts.audio[row]).duration)
    assert len(set(corpus.cuts.keys.tolist())) == len(corpus)


def test_where_selects_by_column_and_length(good: Path, letters: Vocabulary) -> None:
    assert len(corpus_of(good, letters, where={"split": "test"})) == 6
    some = corpus_of(good, letters, where={"speaker": ["s1", "s2"], "max_s": 0.8, "min_s": 0.4})
    assert 0 < len(some) < 30
    assert some.durations_s.max() <= 0.8
    assert some.durations_s.min() >= 0.4


def test_nothing_left_says_what_there_is(good: Path, letters: Vocabulary) -> None:
    with pytest.raises(DataError, match=r"no utterance fits where = .*split is train \(54\), test \(6\)"):
        corpus_of(good, letters, where={"split": "dev"})
    with pytest.raises(DataError, match=r"where: no column 'splitt'; did you mean 'split'"):
        corpus_of(good, letters, where={"splitt": "train"})


def test_the_tokenizer_sees_the_usable_normalised_texts(with_bad: Path) -> None:
    texts = list(training_texts(read_cuts([Folder(path=str(with_bad)).build(with_bad)], with_bad), NORMALIZER))
    assert "großer" in texts
    assert all(texts)
    assert len(texts) == 200 - 6 - 2


def test_two_sets_may_use_the_same_names(good: Path, letters: Vocabulary) -> None:
    cuts = read_cuts([Folder(path=str(good)).build(good), Folder(path=str(good), name="again").build(good)], good)
    assert len(cuts) == 120
    assert len(set(cuts.keys.tolist())) == 120
    assert [p.label for p in cuts.parts] == ["folder", "again"]


def test_stereo_is_mixed_taken_or_split(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, (8000, 2)), 8000)
    soundfile.write(tmp_path / "b.wav", np.random.default_rng(1).normal(0, 0.1, 8000), 8000)
    (tmp_path / "manifest.tsv").write_text("audio\ttext\na.wav\thello\nb.wav\tyou\n")

    def channels(choice: Any) -> list[tuple[str, int]]:
        cuts = read_cuts([Folder(path=str(tmp_path)).build(tmp_path)], tmp_path, channel=choice)
        return list(zip(cuts.ids, cuts.channel.tolist(), strict=True))

    assert channels("mix") == [("a", -1), ("b", 0)]
    assert channels("first") == [("a", 0), ("b", 0)]
    assert channels("split") == [("a-c0", 0), ("a-c1", 1), ("b", 0)]


def test_the_fingerprint_changes_with_the_data_and_not_with_the_place(good: Path, tmp_path: Path) -> None:
    def fingerprint(root: Path, **settings: Any) -> str:
        return read_cuts([Folder(path=".", **settings).build(root)], root).fingerprint

    copy = tmp_path / "elsewhere"
    shutil.copytree(good, copy)
    assert fingerprint(copy) == fingerprint(good)
    assert fingerprint(good, where={"split": "train"}) != fingerprint(good)
    assert fingerprint(good, weight=2.0) != fingerprint(good)
    manifest = copy / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("\tone", "\ttwo", 1))
    assert fingerprint(copy) != fingerprint(good)


def test_a_thousand_cuts_take_little_memory(tmp_path: Path, letters: Vocabulary) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(80000), 8000)
    rows = "".join(f"u{i}\ta.wav\t{i / 200}\t1.5\tsome words of a transcript here\n" for i in range(1000))
    (tmp_path / "manifest.tsv").write_text(f"id\taudio\tstart_s\tduration_s\ttext\n{rows}")
    cuts = read_cuts([Folder(path=str(tmp_path)).build(tmp_path)], tmp_path)
    arrays = [cuts.start_s, cuts.duration_s, cuts.whole, cuts.channel, cuts.part, cuts.group, cuts.keys]
    total = sum(a.nbytes for a in arrays) + sum(s.num_bytes for s in (cuts.ids, cuts.audio, cuts.texts))
    assert total / 1000 < 250


def test_a_text_that_is_too_long_for_a_decoder_is_counted_apart(good: Path, letters: Vocabulary) -> None:
    cuts = read_cuts([Folder(path=str(good)).build(good)], good)
    corpus = spell(cuts, letters, NORMALIZER, sample_rate=8000, alignable=lambda samples, tokens: len(tokens) < 8)
    assert {b.kind for b in corpus.bad} == {"text too long for a decoder"}

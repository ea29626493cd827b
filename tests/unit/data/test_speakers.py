"""Each utterance comes with other recordings of its speaker, always the same ones for the same draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_lab.audio.augmentation import SpeedPerturbation
from asr_lab.data.corpus import build_corpus, spell
from asr_lab.data.cuts import Cuts, read_cuts
from asr_lab.data.evaluation import build_evaluation
from asr_lab.data.loader import TrainingData
from asr_lab.data.reader import AudioReader
from asr_lab.data.speakers import Speakers
from asr_lab.datasets import Join
from asr_lab.datasets.folder import Folder
from asr_lab.text.steps import Normalizer
from asr_lab.text.vocabulary import Vocabulary

RATE = 8000


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of one value a recording: four of ann's from 0.1 on, two of bob's from 0.5 on, one of nobody."""
    folder = tmp_path_factory.mktemp("levels")
    rows = ["id\taudio\tspeaker\ttext"]
    values = {"ann": (0.1, 0.2, 0.3, 0.4), "bob": (0.5, 0.6), "": (0.9,)}
    for speaker, its in values.items():
        for value in its:
            name = f"{speaker}{round(10 * value)}"
            soundfile.write(folder / f"{name}.wav", np.full(RATE // 2, value, np.float32), RATE, subtype="FLOAT")
            rows.append(f"{name}\t{name}.wav\t{speaker}\tone")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return folder


def cuts_of(folder: Path, keep_speakers: bool = True) -> Cuts:
    return read_cuts([Folder(path=".")], folder, keep_speakers=keep_speakers)


def speakers_of(cuts: Cuts, seconds: float) -> Speakers:
    return Speakers(AudioReader(cuts, RATE), np.arange(len(cuts)), seconds)


def values(audio: np.ndarray) -> list[int]:
    """The recordings that lie behind one another, by ten times their value."""
    return [round(10 * float(v)) for v in audio[RATE // 4 :: RATE // 2]]


def test_others_are_the_speakers_own_without_the_utterance_itself(levels: Path) -> None:
    speakers = speakers_of(cuts_of(levels), 60)
    assert sorted(values(speakers.others([1], 7))) == [1, 3, 4]
    assert sorted(values(speakers.others([0, 3], 7))) == [2, 3]
    assert values(speakers.others([4], 7)) == [6]
    assert len(speakers.others([0, 1, 2, 3], 7)) == 0
    assert len(speakers.others([6], 7)) == 0  # nobody knows who that was


def test_the_key_draws_them_and_they_last_as_long_as_asked_for(levels: Path) -> None:
    speakers = speakers_of(cuts_of(levels), 0.75)
    drawn = [speakers.others([0], key) for key in range(20)]
    assert all(len(audio) == 6000 for audio in drawn)
    assert len({tuple(values(audio)) for audio in drawn}) > 2
    assert np.array_equal(speakers.others([0], 3), drawn[3])


def test_a_recording_that_cannot_be_read_is_passed_over(levels: Path, tmp_path: Path) -> None:
    for path in levels.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    cuts = cuts_of(tmp_path)
    (tmp_path / "ann2.wav").write_bytes(b"gone")
    assert sorted(values(speakers_of(cuts, 60).others([0], 1))) == [3, 4]


def test_who_spoke_counts_in_the_fingerprint_where_it_is_asked_for(levels: Path, tmp_path: Path) -> None:
    for path in levels.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    manifest = tmp_path / "manifest.tsv"
    manifest.write_text(manifest.read_text().replace("bob\t", "ben\t"))
    assert cuts_of(tmp_path).fingerprint != cuts_of(levels).fingerprint
    assert cuts_of(tmp_path, False).fingerprint == cuts_of(levels, False).fingerprint
    with pytest.raises(ValueError, match="keep_speakers"):
        speakers_of(cuts_of(levels, False), 1.0)


def training(folder: Path, letters: Vocabulary, **settings: Any) -> TrainingData:
    cuts = read_cuts([Folder(path=".", join=settings.pop("join", None))], folder, keep_speakers=True)
    corpus = spell(cuts, letters, Normalizer(["lower"]), sample_rate=RATE)
    return TrainingData(corpus, **{"seed": 3, "batch_s": 60, "num_workers": 0, "others_s": 1e5, **settings})


def test_a_training_batch_brings_them_with_the_same_changes(levels: Path, letters: Vocabulary) -> None:
    (step,) = training(levels, letters, augmentation=SpeedPerturbation([0.5, 2.0])).steps(0)
    (batch,) = step.batches
    for row, name in enumerate(batch.ids):
        others = {"ann": 3, "bob": 1}.get(name[:3], 0)
        # Half or twice as long as it was, like the utterance.
        assert len(batch.others_by_row()[row]) == others * int(batch.audio_lengths[row])


def test_how_well_a_speaker_is_known_is_drawn_in_training(levels: Path, letters: Vocabulary) -> None:
    data = training(levels, letters, others_s=1.5)
    known_s = []
    for epoch in range(20):
        for batch in next(iter(data.steps(epoch))).batches:
            heard = zip(batch.others_by_row(), batch.ids, strict=True)
            known_s += [len(others) / RATE for others, name in heard if "ann" in name]
    assert len(known_s) == 80
    assert min(known_s) < 0.2
    assert 1.3 < max(known_s) <= 1.5
    assert 0.6 < sum(known_s) / 80 < 0.9


def test_joined_ones_are_not_among_their_own_others(levels: Path, letters: Vocabulary) -> None:
    (step,) = training(levels, letters, join=Join(min_utterances=2, max_utterances=2, gap_s=(0, 0))).steps(0)
    (batch,) = step.batches
    for row, name in enumerate(batch.ids):
        if name.startswith("ann"):
            own = {int(i[-1]) for i in name.split("+")}
            others = values(batch.others_by_row()[row].numpy())
            assert own | set(others) == {1, 2, 3, 4}
            assert len(others) == 2


def test_a_set_to_score_brings_the_same_each_time_and_none_where_not_wanted(levels: Path) -> None:
    def batches(others_s: float) -> Any:
        (data,) = build_evaluation([Folder(path=".")], levels, sample_rate=RATE, batch_s=60, others_s=others_s)
        return list(data.batches()), list(data.subset({"ann1"}).batches())

    (batch,), (alone,) = batches(1.0)
    (again,), _ = batches(1.0)
    row = batch.ids.index("ann1")
    assert int(batch.others_lengths[row]) == RATE
    assert np.array_equal(batch.others.numpy(), again.others.numpy())
    assert np.array_equal(alone.others.numpy(), batch.others_by_row()[row].numpy())
    assert batches(0.0)[0][0].others is None


def test_a_corpus_without_speakers_has_no_others(good: Path, letters: Vocabulary) -> None:
    corpus = build_corpus([Folder(path=str(good))], good, letters, Normalizer(["lower"]), sample_rate=RATE)
    (step, *_) = TrainingData(corpus, seed=0, batch_s=20, num_workers=0).steps(0)
    assert step.batches[0].others is None

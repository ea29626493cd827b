"""Steps are the same bits whoever reads them, and from wherever one starts."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asr_lab.audio.augmentation import Augmentation, Augmentations
from asr_lab.audio.augmentation.noise import AdditiveNoise
from asr_lab.audio.augmentation.speed import SpeedPerturbation
from asr_lab.audio.augmentation.volume import VolumePerturbation
from asr_lab.audio.resampling import Audio
from asr_lab.data.corpus import Corpus, spell
from asr_lab.data.cuts import read_cuts
from asr_lab.data.training_data import Step, TrainingData
from asr_lab.data.workers import read_ahead
from asr_lab.errors import DataError, TrainingError
from asr_lab.slots.datasets import Join
from asr_lab.slots.datasets.folder import Folder
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import Vocabulary

AUGMENTATION = Augmentations(
    [SpeedPerturbation([0.9, 1.0, 1.1]), VolumePerturbation((-6, 6)), AdditiveNoise((10, 30), 0.5)]
)


def corpus_of(folder: Path, vocabulary: Vocabulary, sample_rate: int = 16000, **settings: Any) -> Corpus:
    return spell(
        read_cuts([Folder(path=str(folder), **settings).build(folder)], folder),
        vocabulary,
        Normalizer(["lower", "strip_punctuation"]),
        sample_rate=sample_rate,
        alignable=lambda num_samples, tokens: len(tokens) <= num_samples // (sample_rate // 50),
    )


def data_of(corpus: Corpus, **settings: Any) -> TrainingData:
    defaults: dict[str, Any] = {"seed": 3, "batch_s": 6, "max_rank_batch_s": 3, "augmentation": AUGMENTATION}
    return TrainingData(corpus, **{**defaults, "num_workers": 0, **settings})


def bits(step: Step) -> str:
    total = hashlib.sha256()
    for batch in step.batches:
        for tensor in (batch.audio, batch.audio_lengths, batch.targets.tokens, batch.targets.lengths):
            total.update(tensor.numpy().tobytes() + str(tuple(tensor.shape)).encode())
        total.update(repr((batch.ids, batch.keys, batch.texts)).encode())
    rest = (step.places, step.rounds, step.num_samples, step.num_tokens, step.num_utterances, step.bad)
    total.update(repr(rest).encode())
    return total.hexdigest()


def test_the_number_of_workers_changes_no_bit(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters, join=Join(same=None, max_s=4))
    wanted = [bits(s) for s in data_of(corpus).steps(1)]
    assert len(wanted) > 5
    for num_workers in (1, 2):
        assert [bits(s) for s in data_of(corpus, num_workers=num_workers).steps(1)] == wanted


def test_the_cache_changes_no_bit(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters)
    wanted = [bits(s) for s in data_of(corpus, cache_mb=0).steps(0)]
    cached = data_of(corpus, num_workers=2)
    assert [bits(s) for s in cached.steps(0)] == wanted
    assert [bits(s) for s in cached.steps(0)] == wanted


def test_cached_audio_needs_no_file(good: Path, letters: Vocabulary, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(good, folder)
    data = data_of(corpus_of(folder, letters), num_workers=1)
    wanted = [bits(s) for s in data.steps(0)]
    for path in folder.glob("*.*"):
        path.unlink()
    assert [bits(s) for s in data.steps(0)] == wanted


def test_from_any_step_on_the_rest_is_the_same(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters)
    wanted = [bits(s) for s in data_of(corpus).steps(2)]
    for start in range(len(wanted) + 1):
        assert [bits(s) for s in data_of(corpus).steps(2, start)] == wanted[start:]


def test_seeds_and_epochs_draw_anew(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters)
    first = {bits(s) for s in data_of(corpus).steps(0)}
    assert not first & {bits(s) for s in data_of(corpus).steps(1)}
    assert not first & {bits(s) for s in data_of(corpus, seed=4).steps(0)}


def test_an_epoch_holds_every_utterance_with_its_own_audio_and_tokens(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters, sample_rate=8000)
    data = data_of(corpus, augmentation=None)
    steps = list(data.steps(0))
    assert len(steps) == data.num_steps(0)
    rows = {corpus.cuts.ids[int(k)]: i for i, k in enumerate(corpus.kept)}
    found = []
    for step in steps:
        assert step.audio_s <= sum(b.audio.numel() for b in step.batches) / 8000 <= 6
        assert step.num_utterances == sum(len(b.ids) for b in step.batches)
        assert step.num_tokens == sum(int(b.targets.lengths.sum()) for b in step.batches)
        assert all(b.audio.numel() / 8000 <= 3 for b in step.batches)
        for batch in step.batches:
            for row, name in enumerate(batch.ids):
                found.append(name)
                audio, _ = soundfile.read(corpus.cuts.audio[rows[name]], dtype="float32")
                length = int(batch.audio_lengths[row])
                assert torch.equal(batch.audio[row, :length], torch.from_numpy(audio))
                assert not batch.audio[row, length:].any()
                tokens = batch.targets.tokens[row, : int(batch.targets.lengths[row])]
                assert letters.decode(tokens.tolist()) == batch.texts[row] == corpus.texts[rows[name]]
                assert not batch.targets.tokens[row, len(tokens) :].any()
    assert sorted(found) == sorted(rows)
    assert sum(s.audio_s for s in steps) == pytest.approx(corpus.durations_s.sum())


def test_joined_utterances_are_their_parts_with_silence_between(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(
        good, letters, sample_rate=8000, join=Join(same=None, min_utterances=3, gap_s=(0.1, 0.1), max_s=5)
    )
    rows = {corpus.cuts.ids[int(k)]: i for i, k in enumerate(corpus.kept)}
    joined = 0
    for step in data_of(corpus, augmentation=None, max_rank_batch_s=6).steps(0):
        for batch in step.batches:
            for row, name in enumerate(batch.ids):
                parts = [rows[n] for n in name.split("+")]
                joined += len(parts) > 1
                assert batch.texts[row] == " ".join(corpus.texts[p] for p in parts)
                tokens = batch.targets.tokens[row, : int(batch.targets.lengths[row])].tolist()
                assert tokens == letters.encode(batch.texts[row])
                audio = [soundfile.read(corpus.cuts.audio[p], dtype="float32")[0] for p in parts]
                whole = np.concatenate([a for x in audio for a in (np.zeros(800, np.float32), x)])[800:]
                assert np.array_equal(batch.audio[row, : int(batch.audio_lengths[row])].numpy(), whole)
    assert joined > 10


def test_damage_found_while_decoding_is_reported_each_time_alike(
    good: Path, letters: Vocabulary, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(good, folder)
    path = folder / "u010.flac"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 500] = b"\x55" * 500
    path.write_bytes(content)
    silent, rate = soundfile.read(folder / "u011.wav", dtype="float32")
    silent[100] = np.nan
    soundfile.write(folder / "u011.wav", silent, rate, subtype="FLOAT")
    corpus = corpus_of(folder, letters)
    early = {b.id: b.reason for b in corpus.bad}
    for num_workers in (0, 2):
        steps = list(data_of(corpus, num_workers=num_workers).steps(0))
        late = {b.id: b.reason for s in steps for b in s.bad}
        assert "u011" in late
        bad = {**early, **late}
        assert bad.keys() == {"u010", "u011"}
        assert "truncated" in bad["u010"]
        assert "not finite" in bad["u011"]
        assert sum(s.num_utterances for s in steps) == 58


def test_an_utterance_longer_than_a_batch_is_named(good: Path, letters: Vocabulary) -> None:
    corpus = corpus_of(good, letters)
    with pytest.raises(DataError, match=r"utterance u\d+ lasts 1\.\d+ s, longer than train.batch_s = 1: raise it"):
        data_of(corpus, batch_s=1, max_rank_batch_s=None)
    with pytest.raises(DataError, match=r"parallel\.max_rank_batch_s = 1"):
        data_of(corpus, batch_s=6, max_rank_batch_s=1)


class Faulty(Augmentation):
    """Fails, or is killed, in whatever process it is."""

    def __init__(self, kill: bool) -> None:
        self.kill = kill

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ZeroDivisionError("a bug in an augmentation")


def test_an_error_in_a_worker_surfaces_with_its_kind_and_text(good: Path, letters: Vocabulary) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug in an augmentation"):
        list(data_of(corpus_of(good, letters), num_workers=1, augmentation=Faulty(kill=False)).steps(0))


@pytest.mark.prove  # torch waits ten seconds for the dead
def test_a_killed_worker_ends_the_run_with_its_cause(good: Path, letters: Vocabulary) -> None:
    with pytest.raises(TrainingError, match="reads audio was killed"):
        list(data_of(corpus_of(good, letters), num_workers=1, augmentation=Faulty(kill=True)).steps(0))


def test_ending_early_leaves_no_process_behind() -> None:
    reading = read_ahead(lambda i: (i, os.getpid()), range(1000), 2)
    pids = {next(reading)[1] for _ in range(4)}
    assert os.getpid() not in pids
    reading.close()
    assert not any(alive(p) for p in pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_die_with_a_parent_that_is_killed() -> None:
    code = """
        import os, time
        from asr_lab.data.workers import read_ahead
        reading = read_ahead(lambda i: os.getpid(), range(1000), 2)
        print(*{next(reading) for _ in range(4)}, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(p) for p in parent.stdout.readline().split()]
    assert pids
    assert all(alive(p) for p in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while any(alive(p) for p in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(p) for p in pids)


def test_workers_leave_ctrl_c_to_their_parent() -> None:
    reading = read_ahead(lambda i: (i, os.getpid()), range(50), 2)
    seen = [next(reading) for _ in range(4)]
    for pid in {p for _, p in seen}:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGUSR2)
    assert [i for i, _ in seen] + [i for i, _ in reading] == list(range(50))


def test_real_digits_are_read_joined_and_resampled(speech: Path, letters: Vocabulary) -> None:
    where = {"split": "train", "speaker": "george", "id": "?_george_1*"}
    corpus = corpus_of(speech / "fsdd", letters, where=where, join=Join())
    data = TrainingData(corpus, seed=0, batch_s=30, max_rank_batch_s=10, augmentation=AUGMENTATION, num_workers=2)
    steps = list(data.steps(0))
    assert sum(s.num_utterances for s in steps) > 20
    assert sorted(n for s in steps for b in s.batches for i in b.ids for n in i.split("+")) == sorted(
        corpus.cuts.ids[int(k)] for k in corpus.kept
    )

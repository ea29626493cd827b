"""Synthetic speech: the same bits each time, splits that share nothing, sentences worth synthesising."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections import Counter
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, NoReturn

import pytest

from asr_lab.audio import espeak
from asr_lab.audio.reading import read_audio
from asr_lab.data.cuts import read_cuts
from asr_lab.data.sources.sentences import draw_sentences, pick_sentences, split_of, spoken_number
from asr_lab.data.sources.synthesis import voices_of
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError, MissingPackageError
from asr_lab.slots.datasets.synthetic import Synthetic

pytest.importorskip("espeakng_loader", reason="needs the extra `demo`")
SPLITS = ("train", "valid", "test")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(**settings: Any) -> list[Utterance]:
    return list(Synthetic(**{"num_utterances": 12, **settings}).read(Path()).utterances)


def bits(utterances: list[Utterance]) -> list[tuple[str, str, str]]:
    found = []
    for u in utterances:
        audio = read_audio(u.audio, 16000, u.start_s, u.duration_s)
        found.append((u.text, u.columns["speaker"], hashlib.sha256(audio.tobytes()).hexdigest()))
    return found


def test_the_same_bits_come_each_time(cache: Path) -> None:
    first = bits(read())
    assert bits(read()) == first
    shutil.rmtree(cache)
    assert bits(read()) == first
    assert bits(read(seed=1)) != first


def test_an_utterance_sounds_the_same_whatever_came_before_it(cache: Path) -> None:
    utterance = read()[7]
    request = espeak.SpeechRequest(
        utterance.text, utterance.columns["speaker"], utterance.columns["rate_wpm"], utterance.columns["pitch"]
    )
    alone = espeak.synthesize(request, 16000)
    audio = read_audio(utterance.audio, 16000, utterance.start_s, utterance.duration_s)
    assert (audio * 32768 == alone).all()


def test_a_damaged_cache_is_made_again(cache: Path) -> None:
    first = bits(read())
    for path in cache.rglob("*.flac"):
        path.write_bytes(path.read_bytes()[:100])
    assert bits(read()) == first
    for path in cache.rglob("index.json"):
        path.write_text("{")
    assert bits(read()) == first
    assert not list(cache.rglob(".new-*"))


def test_utterances_past_one_shard_are_where_they_belong(cache: Path) -> None:
    utterances = read(num_utterances=103, grammar="digits", rate_wpm=(300, 300))
    assert len({u.audio for u in utterances}) == 2
    cuts = read_cuts([Synthetic(num_utterances=103, grammar="digits", rate_wpm=(300, 300)).build(Path())], Path())
    assert not cuts.bad
    assert len(cuts) == 103
    assert all(u.duration_s is not None and 0.1 < u.duration_s < 6 for u in utterances)
    loud = [read_audio(u.audio, 16000, u.start_s, u.duration_s) for u in utterances[98:]]
    assert all(abs(a).max() > 0.05 for a in loud)


def test_the_hash_of_the_data_does_not_depend_on_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for name in ("a", "b"):
        monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path / name))
        found.add(read_cuts([Synthetic(num_utterances=3).build(tmp_path)], tmp_path).fingerprint)
    assert len(found) == 1


@pytest.mark.parametrize("grammar", ["everyday", "numbers", "digits"])
def test_splits_share_no_sentence_whatever_their_seeds(grammar: Any) -> None:
    sets = {s: {t for seed in range(3) for t in draw_sentences(grammar, s, 200, seed)} for s in SPLITS}
    for a, b in itertools.combinations(SPLITS, 2):
        assert not sets[a] & sets[b]


def test_splits_share_no_voice_whatever_their_seeds() -> None:
    sets = {s: {v for seed in range(5) for v in voices_of(s, 4, seed)} | set(voices_of(s, None, 0)) for s in SPLITS}
    for a, b in itertools.combinations(SPLITS, 2):
        assert not sets[a] & sets[b]
    assert set.union(*sets.values()) == set(espeak.VARIANTS)
    assert len(sets["train"]) > 40
    assert len(sets["test"]) >= 10


def test_everyday_sentences_have_many_words_and_do_not_repeat() -> None:
    sentences = draw_sentences("everyday", "train", 3000, 0)
    words = Counter(w for s in sentences for w in s.split())
    assert len(words) >= 150
    assert len(set(sentences)) == 3000
    assert all(c.islower() or c == " " for s in sentences for c in s)
    assert min(words.values()) >= 3
    test_words = {w for s in draw_sentences("everyday", "test", 400, 0) for w in s.split()}
    assert len(test_words) >= 100
    assert test_words <= words.keys()


def test_digit_strings_have_up_to_seven_digits() -> None:
    lengths = Counter(len(s.split()) for s in draw_sentences("digits", "train", 2000, 0))
    assert set(lengths) == set(range(1, 8))


@pytest.mark.parametrize("split", SPLITS)
def test_digits_alone_are_about_as_often_each_in_every_split(split: Any) -> None:
    counts = Counter(draw_sentences("digit", split, 2000, 0))
    assert len(counts) == 10
    assert min(counts.values()) > 150
    assert max(counts.values()) < 250


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (42, "forty two"),
        (100, "one hundred"),
        (1024, "one thousand twenty four"),
        (9999, "nine thousand nine hundred ninety nine"),
    ],
)
def test_numbers_are_spoken(number: int, words: str) -> None:
    assert spoken_number(number) == words


def test_sentences_may_come_from_a_file_in_any_language(cache: Path, tmp_path: Path) -> None:
    lines = [f"Das ist der Satz Nummer {i}." for i in range(200)]
    (tmp_path / "de.txt").write_text("\n".join(lines), encoding="utf-8")
    parts = {s: set(pick_sentences(tmp_path / "de.txt", s, 30, 0)) for s in SPLITS}
    assert not parts["train"] & parts["test"]
    assert all(split_of(t) == s for s, texts in parts.items() for t in texts)
    every = pick_sentences(tmp_path / "de.txt", "test", 100, 0)
    assert set(Counter(every).values()) <= {2, 3}
    source = Synthetic(sentences="de.txt", language="de", num_utterances=3, split="test").read(tmp_path)
    assert all(u.columns["language"] == "de" and u.text in lines for u in source.utterances)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"language": "klingonese"}, "does not speak 'klingonese' .*de, "),
        ({"split": "valid", "voices": 60}, "the split 'valid' has . voices, not 60"),
        ({"sentences": "none.txt"}, "sentences cannot be read"),
    ],
)
def test_what_cannot_be_spoken_says_why(cache: Path, settings: dict[str, Any], hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        read(**settings)


def test_without_espeak_the_extra_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    with pytest.raises(MissingPackageError, match=r"pip install 'asr-lab\[demo\]'"):
        read()

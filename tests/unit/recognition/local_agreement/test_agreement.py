"""Attention decoders that stream: what agrees is final and stays; nothing is lost or doubled where audio is cut off."""

from __future__ import annotations

import itertools
import math

import attrs
import numpy as np
import pytest
import torch
from spelling import (
    RATE,
    STEP_MS,
    TOKEN_SAMPLES,
    VOCAB,
    Deaf,
    EverySecond,
    SpellsItsFrames,
    ctc,
    live,
    made_up,
    offline,
    sentence,
    spoken,
    text,
    updates_of,
    words,
)

from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.local_agreement.decoder import word_starts
from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer
from asr_lab.streaming import Chain
from asr_lab.text.characters import CharacterTokenizer
from asr_lab.text.utf8 import ByteTokenizer


def test_words_are_final_when_two_texts_in_a_row_have_them() -> None:
    updates = updates_of(live(), spoken("abc def ghi jkl mno pqr"), [50])
    told = [(" ".join(w.text for w in u.words), u.interim) for u in updates]
    # After half a second the ninth token is being spoken, and misread.
    assert told == [("", "abc def x"), ("abc def", "ghi jkl x"), ("ghi jkl mno pqr", "")]
    assert [u.audio_s for u in updates] == pytest.approx([0.5, 1.0, 1.42])
    assert [u.stream_ended for u in updates] == [u.segment_ended for u in updates] == [False, False, True]


@pytest.mark.parametrize("beam", [1, 3])
def test_a_recording_that_fits_the_buffer_gives_what_it_gives_offline(beam: int) -> None:
    wanted = sentence(1, 15)
    audio = spoken(wanted)
    assert text(updates_of(live(beam=beam), audio, [50])) == offline(made_up(), audio) == wanted


@pytest.mark.parametrize("agreeing", [1, 2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_final_words_are_never_taken_back(seed: int, agreeing: int) -> None:
    recognizer = live(max_buffer_s=3.0, agreeing=agreeing)
    wanted: list[str] = []
    for update in updates_of(recognizer, spoken(sentence(seed, letters="abcdqf")), [33]):
        wanted += [word.text for word in update.words]
        assert not update.stream_ended or not update.interim
    if agreeing > 1:
        assert [w.replace("z", "q") for w in wanted] == sentence(seed, letters="abcdqf").split()


@pytest.mark.parametrize("times", ["ctc", "attention"])
@pytest.mark.parametrize("max_buffer_s", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_lost_or_doubled_where_audio_is_cut_off(seed: int, max_buffer_s: float, times: str) -> None:
    rng = np.random.default_rng(seed)
    parts = [spoken(f"{word} ", silence=int(rng.integers(0, 30))) for word in sentence(seed, 30).split()]
    others = (ctc(),) if times == "ctc" else (Deaf(),)
    recognizer = live(*others, max_buffer_s=max_buffer_s)
    updates = updates_of(recognizer, torch.cat(parts), [50])
    assert text(updates) == sentence(seed, 30)
    assert {u.times_from for u in updates} == {times}
    head = recognizer._decoder._head
    assert isinstance(head, SpellsItsFrames)
    assert max(head.calls) <= max_buffer_s * RATE / 2, "more was encoded at once than the buffer holds"


def test_the_audio_decides_and_not_how_it_is_pushed() -> None:
    audio = torch.cat([spoken(sentence(5, 9)), spoken(sentence(6, 5), silence=300)])
    alone = [updates_of(live(max_buffer_s=4.0), audio, sizes) for sizes in ([7], [len(audio)], [3, 50, 1, 170])]
    assert alone[0] == alone[1] == alone[2]
    assert len(alone[0]) == math.ceil(len(audio) / 50)


def test_streams_decoded_together_are_as_if_alone() -> None:
    texts = [sentence(seed, 6 + 3 * seed) for seed in range(4)]
    recognizer, found = live(max_buffer_s=3.0), {}  # type: ignore[var-annotated]
    expected = [updates_of(live(max_buffer_s=3.0), spoken(one), [50]) for one in texts]
    rng, waiting, streams = np.random.default_rng(0), [spoken(one) for one in texts], []  # type: ignore[var-annotated]
    while waiting or recognizer._streams:
        if waiting and rng.random() < 0.3:
            streams.append(recognizer.open())
            recognizer.push(streams[-1], waiting.pop(0))
            recognizer.finish(streams[-1])
        for update in recognizer.step():
            found.setdefault(update.stream, []).append(update)
    for stream, alone in zip(streams, expected, strict=True):
        assert words(found[stream]) == words(alone)


def test_words_lie_where_they_are_spoken_and_in_order() -> None:
    audio = spoken("abc def ghi jkl mno pqr stu", silence=100)
    for others, exact_s in [((ctc(),), 0.03), ((Deaf(),), 0.09)]:
        found = words(updates_of(live(*others, max_buffer_s=2.0), audio, [50]))
        for number, word in enumerate(found):
            start_s = 1.0 + number * 4 * TOKEN_SAMPLES / RATE
            if number or others[0].kind == "ctc":  # without CTC, the silence before the first word is its own
                assert word.start_s == pytest.approx(start_s, abs=exact_s)
            assert word.end_s == pytest.approx(start_s + 3 * TOKEN_SAMPLES / RATE, abs=exact_s)
            assert 0.9 < word.confidence <= 1
        for before, after in itertools.pairwise(found):
            assert before.start_s <= before.end_s <= after.start_s


def test_without_frames_enough_a_word_lies_where_its_share_of_the_text_is() -> None:
    loaded = made_up(Deaf())
    doubled = torch.tensor([s for token in loaded.vocabulary.encode("ab cd") for s in [token] * 2]) / VOCAB
    recognizer = AgreementRecognizer(loaded, step_ms=50, max_buffer_s=9)
    updates = updates_of(recognizer, doubled, [len(doubled)])
    assert updates[-1].times_from == "proportion"
    for word in words(updates):
        assert 0 <= word.start_s < word.end_s <= len(doubled) / RATE


def test_words_that_never_agree_are_final_when_the_buffer_is_full() -> None:
    wanted = sentence(3, 25, "aqbqc")
    updates = updates_of(live(max_buffer_s=3.0), spoken(wanted), [50])
    assert text(updates).replace("z", "q") == wanted
    assert len({u.audio_s for u in updates if u.words}) > 3


def test_silence_of_any_length_is_cut_off_and_costs_no_word() -> None:
    audio = torch.cat([spoken("abc def ", silence=900), spoken("ghi jkl", silence=1700), torch.zeros(1100)])
    recognizer = live(max_buffer_s=3.0)
    found = words(updates_of(recognizer, audio, [50]))
    assert [w.text for w in found] == ["abc", "def", "ghi", "jkl"]
    assert found[0].start_s == pytest.approx(9.0, abs=0.05)


def test_text_without_blanks_is_final_piece_by_piece() -> None:
    wanted = sentence(4, 25).replace(" ", "")
    updates = updates_of(live(max_buffer_s=3.0), spoken(wanted), [50])
    assert text(updates).replace(" ", "") == wanted
    assert max(len(u.interim) for u in updates) < 55


def test_the_cost_is_what_was_encoded_and_is_bounded() -> None:
    recognizer = live(max_buffer_s=60.0)
    assert recognizer.reencoded_s_per_s == 0
    audio = spoken(sentence(1))[: 5 * 50]
    updates_of(recognizer, audio, [50])
    assert recognizer.reencoded_s_per_s == pytest.approx(sum(range(1, 6)) / 5)
    bounded = live(max_buffer_s=3.0)
    updates_of(bounded, spoken(sentence(1, 30)), [50])
    assert 2.0 < bounded.reencoded_s_per_s < 3.0 / (STEP_MS / 1000)
    assert bounded.state_bytes == 3 * RATE * 4
    assert bounded.algorithmic_delay_ms == STEP_MS


def test_a_stream_without_a_sample_ends_and_a_closed_one_is_forgotten() -> None:
    recognizer = live()
    closed, empty = recognizer.open(), recognizer.open()
    recognizer.push(closed, spoken("abc"))
    recognizer.close(closed)
    recognizer.finish(empty)
    assert recognizer.step() == [StreamUpdate(empty, (), "", True, True, 0.0, "proportion")]
    assert recognizer.step() == []
    with pytest.raises(ValueError, match=f"{closed}"):
        recognizer.push(closed, spoken("a"))


def test_what_cannot_stream_says_why() -> None:
    lone = SpeechModel(Chain([EverySecond()]), [ctc()], [1.0], [1], vocab_size=VOCAB)
    with pytest.raises(ValueError, match=r"no attention decoder \(have: ctc\)"):
        AgreementRecognizer(attrs.evolve(made_up(), model=lone))
    with pytest.raises(ValueError, match=r"decode.decoder = 'joint' is not attention"):
        AgreementRecognizer(made_up(ctc()), DecodeOptions(decoder="joint"))
    with pytest.raises(ValueError, match="a buffer of 1 s does not hold two steps of 1000 ms"):
        AgreementRecognizer(made_up(), max_buffer_s=1.0)
    with pytest.raises(ValueError, match="agreeing must be at least 1"):
        live(agreeing=0)


def test_a_whole_word_is_only_followed_by_what_leaves_it_whole() -> None:
    follows = word_starts(CharacterTokenizer("ab c"))
    assert [i for i, may in enumerate(follows.tolist()) if may] == [0, 1, 4]  # blank, end and " "
    assert word_starts(ByteTokenizer()).nonzero()[:, 0].tolist() == [0, 1, 2 + ord(" ")]

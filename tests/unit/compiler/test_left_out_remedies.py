"""What to do about what is left out: an alphabet that can be pasted, and a way for every reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import tomli

from asr_lab.compiler.build import build
from asr_lab.compiler.left_out import REMEDIES, pasteable
from asr_lab.compiler.load import load_recipe
from asr_lab.data.utterance import LeftOutReason
from asr_lab.errors import DataError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    "characters", ["abcß' ", 'a"\\b', "ऀिa\u0301\u200d\u202e", "日本\U0001f600\U000e0100", "\x00\x7f\x1b"]
)
def test_an_alphabet_that_is_shown_can_be_pasted_into_a_recipe(characters: str) -> None:
    shown = pasteable(characters)
    assert tomli.loads(f"alphabet = {shown}")["alphabet"] == characters
    assert shown.isprintable()


def test_every_reason_has_a_remedy() -> None:
    assert {*REMEDIES, "unspellable"} == set(get_args(LeftOutReason))


def test_the_alphabet_to_write_spells_what_was_left_out(recipe: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unspellable") as caught:
        build(load_recipe(recipe(), ["tokenizer.alphabet='abc '"]), tmp_path)
    start = str(caught.value).index("tokenizer.alphabet = ")
    alphabet = tomli.loads(str(caught.value)[start:].partition(', or "auto"')[0])["tokenizer"]["alphabet"]
    built = build(load_recipe(recipe(), [f"tokenizer.alphabet={pasteable(alphabet)}"]), tmp_path)
    assert built.left_out.counts("train") == {}
    assert (tmp_path / "left_out.tsv").exists()


def test_a_kept_tokenizer_of_another_text_is_learned_again(recipe: Write, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "alphabet.txt").write_text(" abc")
    with pytest.raises(DataError, match=r"the run's tokenizer is of a text without \".*: train one .* with --again"):
        build(load_recipe(recipe()), tmp_path)

"""What a recipe names but does not hold: read alone, it has the hashes that the whole experiment has."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.compiler.build import build
from asr_lab.compiler.inputs import read_inputs
from asr_lab.compiler.load import load_recipe

Write = Callable[..., Path]
LEARNED = "tokenizer={ type = 'bpe', vocab_size = 18 }"


@pytest.mark.parametrize("overrides", [(), (LEARNED,)])
def test_the_hashes_are_those_of_the_experiment(recipe: Write, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    document = load_recipe(recipe(), overrides)
    alone = read_inputs(document.value, tmp_path / "alone").hashes
    assert alone.keys() == {"data", "tokenizer", "normalizer"}
    assert build(document, tmp_path / "whole").hashes == alone
    assert read_inputs(document.value, tmp_path / "alone").hashes == alone


def test_each_hash_follows_what_it_is_of(recipe: Write, tmp_path: Path) -> None:
    def differ(*overrides: str) -> set[str]:
        hashes = read_inputs(load_recipe(recipe(), overrides).value, tmp_path / str(next(numbers))).hashes
        return {kind for kind, found in hashes.items() if found != before[kind]}

    numbers = itertools.count()
    before = read_inputs(load_recipe(recipe()).value, tmp_path).hashes
    assert differ("data.valid[0].where.split=test") == differ("data.train[0].where.split=valid") == {"data"}
    assert differ("text.steps=['nfc']", "score.normalizer=['nfc']") == {"normalizer"}
    assert differ(LEARNED) == differ("tokenizer.alphabet=' abcdefghijklmnopqrstuvwxyz'") == {"tokenizer"}
    assert differ("text.steps=['nfc', 'upper']", "score.normalizer=['nfc', 'upper']") == {"normalizer", "tokenizer"}
    assert differ("data.test=[]", "encoder.dim=32", "features.num_mels=24") == set()


def test_they_are_read_without_torch(recipe: Write, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from asr_lab.compiler.inputs import read_inputs;"
        "from asr_lab.compiler.load import load_recipe;"
        "read_inputs(load_recipe(sys.argv[1]).value, Path(sys.argv[2])); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(recipe()), str(tmp_path)], check=True, timeout=60)

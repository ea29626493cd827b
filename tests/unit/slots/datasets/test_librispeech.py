"""LibriSpeech as it lies on disk, and the error when it doesn't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.errors import DataError
from asr_lab.slots.datasets.librispeech import LibriSpeech


def make(root: Path, split: str, speaker: str) -> None:
    chapter = root / "LibriSpeech" / split / speaker / "1"
    chapter.mkdir(parents=True)
    (chapter / f"{speaker}-1.trans.txt").write_text(f"{speaker}-1-0000 HELLO\n")
    soundfile.write(chapter / f"{speaker}-1-0000.flac", np.zeros(1600), 16000)


def test_splits_are_read_in_order_with_their_columns(tmp_path: Path) -> None:
    make(tmp_path, "test-clean", "7")
    make(tmp_path, "dev-other", "8")
    utterances = list(LibriSpeech(splits=("test.clean", "dev-other")).read(tmp_path).utterances)
    assert [u.id for u in utterances] == ["7-1-0000", "8-1-0000"]
    assert utterances[0].columns == {"speaker": "7", "chapter": "1", "split": "test-clean", "language": "en"}


def test_absent_data_says_where_it_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        LibriSpeech(splits=("train-clean-100", "test.other")).read(tmp_path)
    message = str(caught.value)
    assert f"{tmp_path}/LibriSpeech/train-clean-100" in message
    assert "https://www.openslr.org/resources/12/test-other.tar.gz" in message
    assert "ASRLAB_DATA" in message


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"splits: must hold names from dev-clean, .*got 'clean'"):
        LibriSpeech(splits=("clean",))

"""Names and numbers that runs of earlier versions are found and read by."""

from __future__ import annotations

import hashlib
from pathlib import Path

from asr_lab.commands import compare_streaming
from asr_lab.runs.code_snapshot import code_of, take_snapshot


def test_a_snapshots_name_is_the_hash_of_its_names_and_contents(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "sub").mkdir(parents=True)
    (code / "x.py").write_text("1\n")
    (code / "sub" / "y.py").write_text("2\n")
    found = code_of({"asr_lab": code})
    assert found.files == {
        "asr_lab/sub/y.py": hashlib.sha256(b"2\n").hexdigest(),
        "asr_lab/x.py": hashlib.sha256(b"1\n").hexdigest(),
    }
    assert found.hash == "5c3733aab682c535a4f0dd055ada270caf35660301646894e519c2f41ffd938a"
    assert take_snapshot(found, tmp_path / "snapshots").name == "5c3733aab682c535"


def test_a_comparison_of_streaming_is_of_format_2() -> None:
    assert (compare_streaming.FORMAT, compare_streaming.FOLDER) == (2, "streaming")

"""What the machine refuses is told in a line, with the way out, and nothing is lost by it."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accidents import assert_in_order
from machines import Machine, Place

from asr_lab.errors import ENVIRONMENT, WAYS_OUT, of_environment

Write = Callable[..., Path]
REFUSALS = ("EROFS", "ENOSPC", "EACCES", "EDQUOT", "EFBIG", "EIO", "ESTALE")
WRITERS = {
    "run": ("run", "RECIPE", "--again"),
    "run, scored anew": ("run", "RECIPE", "--set", "score.bootstrap=200"),
    "schema": ("schema", "--out", "ROOT/schema.json"),
    "results": ("results", "RECIPE", "--out", "ROOT/out", "--readme", "README"),
}
"""What cannot be done without writing."""
READERS = {
    "run, finished": ("run", "RECIPE"),
    "eval": ("eval", "RUN"),
    "transcribe": ("transcribe", "AUDIO", "--run", "RUN"),
    "align": ("align", "AUDIO", "one two", "--run", "RUN"),
    "runs": ("runs",),
    "watch": ("watch", "RUN"),
    "compare": ("compare", "RUN", "RUN"),
}
"""What has its answer all the same."""
ALL = [(name, code) for name, code in itertools.product((*WRITERS, *READERS), REFUSALS)]
IN_THE_GATE = [("run", "EROFS"), ("run, scored anew", "ENOSPC"), ("eval", "EROFS"), ("transcribe", "EACCES")]


@pytest.fixture(scope="module")
def finished(tones: Path, recipe_text: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A run that has ended well."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "tiny.toml").write_text(recipe_text)
    (folder / "README.md").write_text("# Figures\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_DATA", str(tones))
        place = Place(folder / "tiny.toml", folder / "runs")
        assert place.command().ended() == 0
        yield place


def words_of(place: Place, words: tuple[str, ...]) -> list[str]:
    meanings = {
        "RECIPE": str(place.recipe),
        "RUN": str(place.run.path),
        "AUDIO": str(Path(os.environ["ASRLAB_DATA"]) / "tones" / "0.wav"),
        "README": str(place.recipe.with_name("README.md")),
    }
    return [meanings.get(word, word.replace("ROOT", str(place.root))) for word in words]


def content(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def check_refusal(place: Place, name: str, code: str) -> None:
    before, number = content(place.root), getattr(errno, code)
    machine = Machine(refuses=number, refused=str(place.root))
    command = place.command(*words_of(place, (WRITERS | READERS)[name]), machine=machine)
    expected = 2 if name in WRITERS else 0
    assert command.ended() == expected, f"{name}, {code}: {command.printed}"
    assert content(place.root) == before
    told = [line for line in command.printed.splitlines() if os.strerror(number) in line]
    if name in WRITERS:
        (line,) = told
        assert line.startswith("error: ")
        assert str(place.root) in line
        assert WAYS_OUT[code] in line
    elif name == "eval":
        assert "words (WER)" in command.printed
        assert "note: nothing is kept of this evaluation" in told[0]


@pytest.mark.parametrize(("name", "code"), IN_THE_GATE)
def test_a_refusal_is_told_in_a_line(finished: Place, name: str, code: str) -> None:
    check_refusal(finished, name, code)


@pytest.mark.prove
def test_every_command_tells_every_refusal(finished: Place) -> None:
    for name, code in ALL:
        check_refusal(finished, name, code)
        print(name, code, flush=True)


def test_every_error_of_the_environment_has_a_way_out() -> None:
    without = {"EPIPE", "ENODEV", "ENXIO"}  # a closed pipe has nobody to tell; devices are named by the system
    assert {errno.errorcode[number] for number in ENVIRONMENT} - without == set(WAYS_OUT)
    assert str(of_environment(OSError(errno.ENOSPC, "No space left on device"))).startswith("the output: No space")


def test_a_disk_that_fills_while_it_trains_loses_nothing(recipe: Write, tmp_path: Path) -> None:
    place = Place(recipe(), tmp_path / "runs")
    full = place.command(machine=Machine(file_bytes=25_000))  # a checkpoint's files are larger, records are not
    assert full.ended() == 2, full.printed
    assert "File too large" in full.printed.splitlines()[-1]
    again = place.command()
    assert again.ended() == 0, again.printed
    assert_in_order(place.run)


ENDINGS = {
    "reader gone": ("| true", ("runs", "--json"), (0, 1, 2)),
    "no output": (">&-", ("runs",), (0,)),
    "full output": (">/dev/full", ("runs", "--json"), (2,)),
    "no errors": ("2>&-", ("watch", "nothing"), (2,)),
    "full errors": ("2>/dev/full", ("watch", "nothing"), (2,)),
    "neither": (">&- 2>&- <&-", ("runs",), (0,)),
    "no such place": ("", ("run", "x" * 300 + ".toml"), (2,)),
    "a long root": ("", ("runs",), (2,)),
    "processes": ("", ("run", "RECIPE"), (2,)),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_ends_of_the_line_are_survived(finished: Place, name: str) -> None:
    redirection, words, codes = ENDINGS[name]
    variables = {"ASRLAB_RUNS": str(finished.root)}
    variables |= {"ASRLAB_RUNS": f"/tmp/{'x' * 300}"} if name == "a long root" else {}
    variables |= {"WORLD_SIZE": "x", "ASRLAB_RUNS": str(finished.root / "none")} if name == "processes" else {}
    line = f'set -o pipefail; "$0" -m cli.main "$@" {redirection}'
    words_given = words_of(finished, words)
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, *words_given],
        env=os.environ | variables, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    if name == "processes":
        assert "WORLD_SIZE is 'x'" in done.stderr
        assert not (finished.root / "none").exists()

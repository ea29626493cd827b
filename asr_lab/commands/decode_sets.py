"""Sets decoded one by one, each kept when it is whole; `python -m asr_lab.commands.decode_sets` does a share of them.

A folder holds the request and the parts; whatever is whole in it is not decoded again.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config.stored import read_stored
from asr_lab.devices import best_device
from asr_lab.errors import LabError, printable
from asr_lab.evaluation.parts import DecodedPart, read_part, write_part
from asr_lab.files import write_json
from asr_lab.recognition.decoded_utterance import IDENTIFIED
from asr_lab.runs.directory import RunDirectory
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import UnspellableError, Vocabulary

if TYPE_CHECKING:
    from asr_lab.compiler.build import Loaded
    from asr_lab.data.evaluation_data import EvaluationData
    from asr_lab.recipe import Recipe
    from asr_lab.recognition.decoded_utterance import DecodedUtterance
    from asr_lab.training.precision import PrecisionManager

REQUEST = "request.json"
LANGUAGE_TOKEN = re.compile(r"\s*<([A-Za-z]{2,3}(?:[_-][A-Za-z0-9]+)*)>\s*")
"""How a text begins where a model names its language first."""
SHOWN_CHARACTERS = 12


@attrs.frozen
class DecodeRequest:
    """What is to be decoded, and with what."""

    run: str
    checkpoint: str
    data: tuple[str, ...]
    """As `--data` gives them: a set each, or several of one name."""
    overrides: tuple[str, ...]
    options: dict[str, str]
    """What options of the command set in the recipe, by the option's name."""
    device: str
    """`auto` = the best of the machine that decodes."""

    @property
    def directory(self) -> RunDirectory:
        """The run."""
        return RunDirectory(Path(self.run))

    def write(self, folder: Path) -> None:
        """Keep it for the processes that take a share."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / REQUEST, attrs.asdict(self))


def decode_sets(
    request: DecodeRequest, recipe: Recipe, folder: Path, share: tuple[int, int] = (0, 1), show: bool = False
) -> None:
    """Decode the sets of a request that are not whole in `folder`, or the `i`th of `n` shares of them.

    LabErrors for data, weights and devices.
    """
    from asr_lab.compiler.build import decode_precision, evaluation_sets, load_model
    from asr_lab.compiler.inputs import data_root

    device = best_device().type if request.device == "auto" else request.device
    loaded = None
    for name in shared(list(dict.fromkeys(d.label for d in recipe.data.test)), *share):
        members = [d for d in recipe.data.test if d.label == name]
        (data,) = evaluation_sets(recipe, members, data_root())
        part = read_part(folder, name)
        if part is not None and part.data == data.fingerprint:
            continue
        if loaded is None:
            loaded = load_model(recipe, request.directory.path, request.checkpoint)
            loaded.model.to(device)
            loaded.features.to(device)
            precision = decode_precision(recipe, loaded.model, device)
        write_part(_decoded(data, loaded, precision, recipe, device, show), folder)


def shared(names: Sequence[str], place: int, shares: int) -> list[str]:
    """The names that fall to one of several processes: dealt out in turn."""
    return list(names[place::shares])


def _decoded(
    data: EvaluationData, loaded: Loaded, precision: PrecisionManager, recipe: Recipe, device: str, show: bool
) -> DecodedPart:
    from asr_lab.recognition.transcribe_set import DecodingCost, transcribe_set

    cost = DecodingCost()
    found = transcribe_set(
        loaded.model,
        loaded.features,
        loaded.vocabulary,
        data,
        recipe.decode.build(),
        device,
        show,
        cost=cost,
        precision=precision,
    )
    if cost.halvings:
        print(f"note: {data.name}: out of memory; batches were halved {cost.halvings} times", file=sys.stderr)
    texts = [one.text for one in data.utterances]
    unspellable = unspellable_of(texts, Normalizer(recipe.text.steps), loaded.vocabulary)
    took = (cost.compute_s, cost.audio_s)
    return DecodedPart.of(data.name, data.fingerprint, list(_named(found)), data.unreadable, unspellable, took)


def unspellable_of(texts: Sequence[str], normalizer: Normalizer, vocabulary: Vocabulary) -> tuple[int, str]:
    """How many texts a tokenizer cannot spell, and the characters that it lacks, the most frequent first."""
    count, lacking = 0, Counter[str]()
    for text in texts:
        try:
            vocabulary.encode(normalizer(text))
        except UnspellableError as error:
            count += 1
            lacking.update(error.characters)
    ordered = sorted(lacking, key=lambda c: (-lacking[c], c))
    return count, "".join(ordered[:SHOWN_CHARACTERS])


def _named(found: Sequence[DecodedUtterance]) -> Iterator[DecodedUtterance]:
    """The utterances with the language that the model named in a column, and no longer in the hypothesis."""
    for one in found:
        if (match := LANGUAGE_TOKEN.match(one.hypothesis)) is None:
            yield one
        else:
            columns = {**one.columns, IDENTIFIED: match[1]}
            yield attrs.evolve(one, hypothesis=one.hypothesis[match.end() :], columns=columns)


def decode_share(folder: Path, place: int, shares: int) -> int:
    """A process's share of a request; its exit code. Errors that a user can fix go to stderr, with 2."""
    from asr_lab.commands.evaluate import evaluation_document

    warnings.formatwarning = lambda message, *_, **__: f"note: {printable(str(message))}\n"
    try:
        request = read_stored(folder / REQUEST, DecodeRequest)
        recipe = evaluation_document(request.directory, request.data, request.overrides, request.options).value
        decode_sets(request, recipe, folder, (place, shares))
    except LabError as error:
        print(f"\nerror: {printable(str(error))}", file=sys.stderr)
        return 2
    return 0


def main() -> None:
    """The share that the command line names, for as long as the process lives that started this one."""
    from asr_lab.data.workers import die_with

    folder, place, shares, parent = sys.argv[1:]
    die_with(int(parent))
    sys.exit(decode_share(Path(folder), int(place), int(shares)))


if __name__ == "__main__":
    main()

"""The utterances of sets that are scored: each set's own, read from headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_lab.data.cuts import ChannelChoice, Cuts, read_cuts
from asr_lab.data.utterance import DataSource
from asr_lab.errors import DataError


def read_evaluation_cuts(
    sources: Sequence[DataSource], root: Path, *, channel: ChannelChoice = "mix"
) -> dict[str, Cuts]:
    """The sets by name; sources of one label make one set.

    DataError when data is absent, nothing fits, or a source has a weight: scores count every utterance once.
    """
    named: dict[str, list[DataSource]] = {}
    for source in sources:
        if source.weight != 1:
            raise DataError(f"{source.label}: weight = {source.weight:g} means nothing in a set that is scored")
        named.setdefault(source.label, []).append(source)
    return {name: read_cuts(members, root, channel=channel, keep_columns=True) for name, members in named.items()}

"""Word errors where a word may be written in one or in several: the rule of kaldialign's `merge_compounds`.

Two or more words of one text that, put together, are one word of the other match it without an error; the reference
counts its own words. It is what the Open ASR Leaderboard has scored with since June 2026.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from asr_lab.evaluation.rates import UnitErrors, edit_errors

Cost = tuple[int, int, int, int]
"""Errors altogether, then substitutions, deletions and insertions."""
Spans = Mapping[tuple[int, int], Sequence[int]]
"""Where a word of one text and the last of several words of the other end, and how many those are."""


def merged_word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> UnitErrors:
    """The fewest errors between words; in time |reference| × |hypothesis| where a compound can be matched at all."""
    apart = _spans(reference, hypothesis)
    together = {(i, j): sizes for (j, i), sizes in _spans(hypothesis, reference).items()}
    if not apart and not together:
        return edit_errors(reference, hypothesis)
    table: list[list[Cost]] = [[(j, 0, 0, j) for j in range(len(hypothesis) + 1)]]
    for i, word in enumerate(reference, start=1):
        row: list[Cost] = [(i, 0, i, 0)]
        for j, other in enumerate(hypothesis, start=1):
            ways = [
                table[i - 1][j - 1] if word == other else _with(table[i - 1][j - 1], 1),
                _with(table[i - 1][j], 2),
                _with(row[j - 1], 3),
                *(table[i - size][j - 1] for size in apart.get((i, j), ())),
                *(table[i - 1][j - size] for size in together.get((i, j), ())),
            ]
            row.append(min(ways, key=lambda cost: cost[0]))
        table.append(row)
    return UnitErrors(*table[-1][-1][1:], len(reference))


def _with(cost: Cost, kind: int) -> Cost:
    found = list(cost)
    found[0] += 1
    found[kind] += 1
    return found[0], found[1], found[2], found[3]


def _spans(several: Sequence[str], single: Sequence[str]) -> dict[tuple[int, int], list[int]]:
    """By (end in `several`, end of a word in `single`): how many words there are together that word."""
    places = defaultdict(list)
    for j, word in enumerate(single, start=1):
        places[word].append(j)
    longest = max(map(len, single), default=0)
    found = defaultdict(list)
    for start in range(len(several)):
        joined = several[start]
        for end in range(start + 2, len(several) + 1):
            joined += several[end - 1]
            if len(joined) > longest:
                break
            for j in places.get(joined, ()):
                found[end, j].append(end - start)
    return dict(found)

"""English as the Open ASR Leaderboard has scored it since June 2026, by the rules of `LEADERBOARD_COMMIT`."""

from __future__ import annotations

from pathlib import Path

from asr_lab.text.english import EnglishNormalizer, EnglishRules
from asr_lab.text.spelling_tables import LEADERBOARD_COMMIT, LEADERBOARD_SHA256, leaderboard_tables

FILLERS = (
    *("hmm", "mm", "mhm", "mmm", "uh", "um", "ah", "aha", "ahh", "ahm", "eh", "ehehe", "em"),
    *("hm", "huh", "hum", "mhum", "uhm", "umm", "uhuh"),
)
IS_AFTER = (*("it", "he", "she", "what", "that", "who", "here", "there", "how", "when", "where", "why", "this"),)
"""After other words `'s` is a possessive."""


def open_asr_normalizer(folder: Path) -> EnglishNormalizer:
    """The leaderboard's normaliser with the tables that `folder` holds; DataError without them.

    Beside Whisper's rules: more fillers, possessives kept, spellings of names, a few compounds, and letters that are
    spelled out as one word. Its other languages need number words of a package and are left out.
    """
    tables = leaderboard_tables(folder)
    rules = EnglishRules(
        fillers=FILLERS,
        is_after=IS_AFTER,
        spelling=tables.spelling,
        names=tables.names,
        compounds=tables.compounds,
        joins_letters=True,
    )
    return EnglishNormalizer("open_asr", f"1.{LEADERBOARD_COMMIT[:7]}", rules, {"leaderboard": LEADERBOARD_SHA256})

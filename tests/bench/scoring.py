"""How long 100,000 utterances take to score, intervals included: `python tests/bench/scoring.py`."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from asr_lab.evaluation.scoring import score
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

WORDS = [f"{a}{b}" for a in ("ba", "lo", "mi", "stra", "quen") for b in ("n", "ter", "s", "ly", "ment", "d")]


def transcripts(utterances: int, words: int, speakers: int, seed: int) -> Sequence[DecodedUtterance]:
    """Made-up hypotheses with about one word in ten wrong."""
    draw = random.Random(seed)
    made = []
    for i in range(utterances):
        spoken = draw.choices(WORDS, k=words)
        decoded = [w if draw.random() > 0.08 else draw.choice(WORDS) for w in spoken if draw.random() > 0.02]
        columns = {"speaker": f"s{draw.randrange(speakers)}"}
        made.append(DecodedUtterance(f"u{i}", " ".join(spoken), " ".join(decoded), columns, draw.uniform(0.5, 25)))
    return made


def bench_scoring(utterances: int = 100_000, words: int = 20, resamples: int = 1000) -> dict[str, float]:
    """CPU seconds for scoring with tables, by utterance (few speakers) and by speaker (many)."""
    seconds = {}
    for label, speakers in (("by utterance", 5), ("by speaker", 500)):
        rows = transcripts(utterances, words, speakers, seed=0)
        start = time.process_time()
        score(rows, Normalizer(("nfc", "lower", "strip_punctuation")), bootstrap=resamples, seed=0)
        seconds[label] = time.process_time() - start
    return seconds


if __name__ == "__main__":
    for label, seconds in bench_scoring().items():
        print(f"100,000 utterances of 20 words, {label}: {seconds:.1f} CPU seconds")

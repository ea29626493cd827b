"""What to do about utterances that a recipe leaves out."""

from __future__ import annotations

import unicodedata

from asr_lab.compiler.inputs import Inputs
from asr_lab.config.paths import quote
from asr_lab.data.corpus import Corpus
from asr_lab.data.left_out import LeftOut, Split
from asr_lab.data.utterance import DRAWN
from asr_lab.recipe import Recipe
from asr_lab.slots.tokenizers.chars import AUTO, Chars

SPACE = "▁"
"""How sentencepiece writes a blank; it is imported where it is needed alone."""
MAX_PASTED = 400
"""An alphabet of more characters is not shown whole."""
TOO_SHORT = "tokens need frames: a stem with a smaller factor gives more, a bpe tokenizer needs fewer"
REMEDIES: dict[str, str] = {
    "too short for its text": TOO_SHORT,
    DRAWN: TOO_SHORT,
    "text too long for a decoder": "raise the decoder's max_tokens, or leave long ones out with where",
    "no text": "give them transcripts, or leave them out with where",
    "no audio": "correct their paths, or take them off the list",
    "unreadable": "convert or replace the files",
    "wrong duration": "correct their lengths",
    "second of its id": "give each utterance an id of its own",
    "bad row": "mend the rows",
}


def left_out_of(recipe: Recipe, inputs: Inputs, corpus: Corpus) -> LeftOut:
    """What the recipe's sets leave out before it trains, with what to do about it."""
    valid = [cut for cuts in inputs.valid.values() for cut in cuts.bad]
    num_valid = sum(len(cuts) for cuts in inputs.valid.values()) + len(valid)
    given: dict[Split, int] = {"train": len(corpus) + len(corpus.bad), "valid": num_valid}
    remedies = {**REMEDIES, "unspellable": _spelling(recipe, corpus.missing)}
    return LeftOut(given, {"train": corpus.bad, "valid": valid}, remedies)


def _spelling(recipe: Recipe, missing: str) -> str:
    """How the characters that the tokenizer lacks come into it."""
    tokenizer = recipe.tokenizer
    if isinstance(tokenizer, Chars) and not tokenizer.learns:
        whole = "".join(sorted({*tokenizer.alphabet, *missing}))
        if len(whole) > MAX_PASTED:
            return f'write tokenizer.alphabet = "{AUTO}", which takes every character of the training text'
        return f'write tokenizer.alphabet = {pasteable(whole)}, or "{AUTO}"'
    shown = pasteable(missing[:MAX_PASTED])
    if missing == SPACE:
        return f"take {SPACE} (U+2581) out of the transcripts: sentencepiece writes the blank so"
    if tokenizer.learns:
        return f"the run's tokenizer is of a text without {shown}: train one on this text with --again"
    return f"take {shown} out of the transcripts"


def pasteable(characters: str) -> str:
    """Characters as a string of TOML; those that would not be seen, or would join the one before, are escaped."""
    return '"' + "".join(_escaped(c) for c in characters) + '"'


def _escaped(character: str) -> str:
    if character.isprintable() and unicodedata.category(character) not in ("Mn", "Me"):
        return quote(character)[1:-1]
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"

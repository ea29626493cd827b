"""Sentences to be spoken: small English grammars, and files of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from asr_lab.audio.keyed_random import mixed, text_key
from asr_lab.data.sources.text_lines import read_text
from asr_lab.errors import DataError

Split = Literal["train", "valid", "test"]
Grammar = Literal["everyday", "numbers", "digits", "digit"]

_SHARES: tuple[Split, ...] = ("train",) * 14 + ("valid",) * 2 + ("test",) * 4

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

_TEMPLATES = (
    "{person} {bought} {count} {things}",
    "{person} {bought} {count} {things} at the {place}",
    "{person} {bought} a {quality} {thing} {when}",
    "{person} {went} to the {place} {when}",
    "{person} is waiting for you at the {place}",
    "the {colour} {thing} is {where} the {place}",
    "the {thing} is {quality} and {colour}",
    "the {quality} {thing} belongs to {person}",
    "there are {count} {things} {where} the {place}",
    "please {bring} the {colour} {thing} to the {place}",
    "please call {person} at {hour} {minute}",
    "{turn} the light in the {room}",
    "{turn} the music and close the window",
    "the train to {city} leaves at {hour} {minute}",
    "the bus from {city} will arrive in {count} minutes",
    "the flight to {city} was late {when}",
    "it was {weather} in {city} {when}",
    "the weather in {city} is {weather}",
    "where is the {colour} {thing}",
    "how many {things} do you need",
    "how much is the {quality} {thing}",
    "do you want {drink} or {drink}",
    "i would like a cup of {drink} please",
    "i need {count} {things} for {person}",
    "we will meet {person} {where} the {place}",
    "my number is {digit} {digit} {digit} {digit}",
    "{person} lives {where} the {place} in {city}",
    "can you {bring} {count} {things} to {person}",
)
_WORDS: dict[str, tuple[str, ...]] = {
    "person": (
        *("my brother", "my sister", "my mother", "the teacher", "our neighbor", "the doctor", "the farmer"),
        *("the driver", "the old man", "the young woman", "anna", "peter", "maria", "thomas", "your friend"),
    ),
    "bought": ("bought", "found", "lost", "sold", "carried", "painted", "cleaned", "forgot"),
    "went": ("walked", "ran", "drove", "came", "returned"),
    "bring": ("bring", "carry", "send", "take"),
    "turn": ("turn on", "turn off", "switch on", "switch off"),
    "thing": ("book", "lamp", "bag", "shirt", "box", "bottle", "chair", "letter", "ticket", "basket", "umbrella"),
    "things": ("books", "lamps", "bags", "shirts", "boxes", "bottles", "chairs", "letters", "tickets", "apples"),
    "place": (
        *("station", "market", "river", "school", "kitchen", "garden", "library", "bridge", "hospital", "airport"),
        *("church", "museum", "office", "hotel"),
    ),
    "room": ("kitchen", "garden", "library", "office", "church", "museum"),
    "colour": ("red", "blue", "green", "yellow", "black", "white", "brown", "orange"),
    "quality": ("new", "small", "big", "heavy", "cheap", "clean", "empty", "broken", "beautiful"),
    "where": ("near", "behind", "beside", "opposite"),
    "when": (
        *("today", "yesterday", "this morning", "last night", "on monday", "on tuesday", "on wednesday"),
        *("on thursday", "on friday", "on saturday", "on sunday"),
    ),
    "city": ("london", "paris", "berlin", "rome", "madrid", "boston", "chicago", "sydney"),
    "weather": ("cold", "warm", "windy", "sunny", "cloudy", "foggy", "rainy"),
    "drink": ("tea", "coffee", "water", "milk", "juice"),
    "digit": DIGITS,
    "hour": DIGITS[1:] + _TEENS[:3],
    "minute": ("fifteen", "thirty", "forty five", "twenty", "ten"),
}


def split_of(sentence: str) -> Split:
    """The split that a sentence is in, whatever the seed: 70 % train, 10 % valid, 20 % test."""
    return _SHARES[mixed(text_key(sentence), 1) % len(_SHARES)]


def draw_sentences(grammar: Grammar, split: Split, number: int, key: int) -> list[str]:
    """So many sentences of a split, drawn from a key; without repetition as long as that goes.

    Single digits are the same ten words in every split.
    """
    speak = _GRAMMARS[grammar]
    if grammar == "digit":
        return [speak(mixed(key, draw)) for draw in range(number)]
    found: list[str] = []
    seen: set[str] = set()
    draw, in_vain = 0, 0
    while len(found) < number:
        sentence = speak(mixed(key, draw))
        draw += 1
        if split_of(sentence) != split:
            continue
        if sentence in seen and in_vain < 100:
            in_vain += 1
            continue
        in_vain = 0
        seen.add(sentence)
        found.append(sentence)
    return found


def pick_sentences(file: Path, split: Split, number: int, key: int) -> list[str]:
    """So many of a text file's lines that are in a split, shuffled; all before any comes again."""
    try:
        lines = read_text(file).split("\n")
    except DataError as error:
        raise DataError(f"sentences cannot be read: {error}") from error
    own = sorted(
        {" ".join(line.split()) for line in lines if line.strip() and split_of(" ".join(line.split())) == split}
    )
    if not own:
        raise DataError(f"{file}: none of its {len(lines)} lines is in the split {split!r}; it needs more sentences")
    picked: list[str] = []
    while len(picked) < number:
        turn = len(picked)
        picked += sorted(own, key=lambda sentence: mixed(key, turn, text_key(sentence)))
    return picked[:number]


def spoken_number(number: int) -> str:
    """A number from 0 to 9999 in English words: 1024 is `one thousand twenty four`."""
    if not 0 <= number <= 9999:
        raise ValueError(f"must be from 0 to 9999, got {number}")
    if number < 10:
        return DIGITS[number]
    if number < 20:
        return _TEENS[number - 10]
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {spoken_number(number % size)}" if number % size else ""
            return f"{spoken_number(number // size)} {name}{rest}"
    rest = f" {DIGITS[number % 10]}" if number % 10 else ""
    return _TENS[number // 10 - 2] + rest


def _pick(choices: Sequence[str], key: int) -> str:
    return choices[key % len(choices)]


def _everyday(key: int) -> str:
    words = []
    for place, word in enumerate(_pick(_TEMPLATES, mixed(key, 0)).split()):
        slot = word.strip("{}")
        draw = mixed(key, place + 1)
        if slot == word:
            words.append(word)
        elif slot == "count":
            words.append(spoken_number(2 + draw % 98))
        else:
            words.append(_pick(_WORDS[slot], draw))
    return " ".join(words)


def _numbers(key: int) -> str:
    # Each order of magnitude as often as any other.
    return spoken_number(mixed(key, 1) % (10, 100, 1000, 10000)[mixed(key, 0) % 4])


def _digits(key: int) -> str:
    return " ".join(_pick(DIGITS, mixed(key, place + 1)) for place in range(1 + mixed(key, 0) % 7))


def _digit(key: int) -> str:
    return _pick(DIGITS, key)


_GRAMMARS: dict[Grammar, Callable[[int], str]] = {
    "everyday": _everyday,
    "numbers": _numbers,
    "digits": _digits,
    "digit": _digit,
}

"""Wrong recipes: each names the exact line, path and way out of everything that is wrong with it, and nothing else.

It is one table and its three tests, which is why it is long.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from asr_lab.compiler.load import checked
from asr_lab.config.load import loads
from asr_lab.errors import Problem, RecipeError
from asr_lab.recipe import Recipe

RIGHT = """\
name = "right"
seed = 1

[features]
type = "log_mel"
num_mels = 40

[text]
steps = ["nfc", "lower"]

[tokenizer]
type = "chars"

[encoder]
dim = 64
dropout = 0.1
stem = { type = "depthwise_stride", factor = 4, channels = 32 }
contexts = [
  { chunk_ms = 320, left_ms = 1600, weight = 2 },
  { chunk = "whole" },
]
stack = [{ repeat = 2, blocks = ["ssm", "att"] }]
block.ssm = { type = "macaron", mixer = { type = "mamba2", state_dim = 16 } }
block.att = { type = "macaron", mixer = { type = "attention", num_heads = 4 } }

[[decoder]]
type = "ctc"
weight = 0.3

[[decoder]]
type = "attention"
weight = 0.7
num_layers = 2

[[augment]]
type = "speed"

[optimizer]
type = "adamw"
peak_lr = 1e-3
betas = [0.9, 0.98]

[[optimizer.group]]
match = ["*.bias"]
weight_decay = 0.0

[schedule]
type = "cosine"
warmup_steps = 10

[data]
train = [{ type = "folder", path = "a", where = { max_s = 20, speaker = ["x", "y"] }, join = { max_utterances = 3 } }]
valid = [{ type = "folder", path = "b" }]
test = [
  { name = "c", type = "folder", path = "c" },
]

[train]
max_steps = 100
batch_s = 60
patience = 3

[parallel]
type = "single"
max_rank_batch_s = 30

[decode]
decoder = "joint"
ctc_weight = 0.4
beam = 4
"""


class Wrong(NamedTuple):
    """A right recipe with one text in place of another, and its problems: `line path: message`; … is any text."""

    name: str
    old: str
    new: str
    problems: list[str]


WRONG = [
    Wrong("a misspelt table", "[schedule]", "[shedule]", ["47 shedule: unknown key; did you mean 'schedule'?"]),
    Wrong("a misspelt key", "seed = 1", "sed = 1", ["2 sed: unknown key; did you mean 'seed'?"]),
    Wrong(
        "an unknown key with nothing near it",
        "num_layers = 2",
        "colour = 2",
        ["33 decoder[1].colour: unknown key (have: …)"],
    ),
    Wrong(
        "a misspelt key in an inline table",
        "chunk_ms = 320",
        "chunk_m = 320",
        ["19 encoder.contexts[0].chunk_m: unknown key; did you mean 'chunk_ms'?"],
    ),
    Wrong(
        "a key of another table",
        "max_steps = 100",
        "max_steps = 100\npeak_lr = 0.1",
        ["60 train.peak_lr: unknown key (have: …)"],
    ),
    Wrong(
        "a misspelt key in a nested slot",
        "state_dim = 16",
        "statedim = 16",
        ["23 encoder.block.ssm.mixer.statedim: unknown key; did you mean 'state_dim'?"],
    ),
    Wrong(
        "a key in the wrong letters",
        "batch_s = 60",
        "Batch_S = 60",
        ["60 train.Batch_S: unknown key; did you mean 'batch_s'?"],
    ),
    Wrong(
        "a misspelt key in where's neighbour",
        "join = { max_utterances = 3 }",
        "joint = { max_utterances = 3 }",
        ["52 data.train[0].joint: unknown key; did you mean 'join'?"],
    ),
    Wrong(
        "a misspelt key of join",
        "max_utterances = 3",
        "max_utterence = 3",
        ["52 data.train[0].join.max_utterence: unknown key; did you mean 'max_utterances'?"],
    ),
    Wrong("a quoted unknown key", "seed = 1", '"s.eed" = 1', ["2 \"s.eed\": unknown key; did you mean 'seed'?"]),
    Wrong(
        "a key of a slot's other choice",
        "warmup_steps = 10",
        "warmup_steps = 10\ndecay_share = 0.2",
        ["50 schedule.decay_share: unknown key (have: …)"],
    ),
    Wrong(
        "a missing table",
        '[features]\ntype = "log_mel"\nnum_mels = 40\n',
        "",
        ["0 features: missing; must be a table with a type: …"],
    ),
    Wrong("a missing key", "dim = 64\n", "", ["14 encoder.dim: missing; must be a whole number"]),
    Wrong(
        "a missing key of a list's table",
        '{ name = "c", type = "folder", path = "c" }',
        '{ name = "c", type = "folder" }',
        ["55 data.test[0].path: missing; must be text"],
    ),
    Wrong(
        "a missing type",
        '[tokenizer]\ntype = "chars"',
        "[tokenizer]",
        ["11 tokenizer.type: missing; the Tokenizers are …"],
    ),
    Wrong(
        "a missing mixer",
        'block.ssm = { type = "macaron", mixer = { type = "mamba2", state_dim = 16 } }',
        'block.ssm = { type = "macaron" }',
        ["23 encoder.block.ssm.mixer: missing; must be a table with a type: …"],
    ),
    Wrong(
        "text where a whole number is meant",
        "dim = 64",
        'dim = "sixty-four"',
        ["15 encoder.dim: must be a whole number, got 'sixty-four'"],
    ),
    Wrong(
        "a number in quotes",
        "dim = 64",
        'dim = "64"',
        ["15 encoder.dim: must be a whole number, got '64'; write it without quotes"],
    ),
    Wrong(
        "a float where a whole number is meant",
        "dim = 64",
        "dim = 64.0",
        ["15 encoder.dim: must be a whole number, got 64.0"],
    ),
    Wrong(
        "true where a number is meant",
        "dropout = 0.1",
        "dropout = true",
        ["16 encoder.dropout: must be a number, got true"],
    ),
    Wrong(
        "a whole number where true or false is meant",
        "channels = 32",
        "channels = 32, causal = 1",
        ["17 encoder.stem.causal: must be true or false, got 1"],
    ),
    Wrong(
        "true in quotes",
        "channels = 32",
        'channels = 32, causal = "true"',
        ["17 encoder.stem.causal: must be true or false, got 'true'; write it without quotes"],
    ),
    Wrong("a number where text is meant", 'name = "right"', "name = 3", ["1 name: must be text, got 3"]),
    Wrong(
        "a table where a number is meant",
        "batch_s = 60",
        "batch_s = { seconds = 60 }",
        ["60 train.batch_s: must be a number, got a table"],
    ),
    Wrong(
        "text where a list is meant",
        'blocks = ["ssm", "att"]',
        'blocks = "ssm"',
        ["22 encoder.stack[0].blocks: must be a list, got 'ssm'; write ['ssm']"],
    ),
    Wrong(
        "one table where a list of them is meant",
        "[[augment]]",
        "[augment]",
        ["35 augment: must be a list of tables, got a table; a list of tables is written [[…]]"],
    ),
    Wrong(
        "a list of tables where one is meant",
        "[schedule]",
        "[[schedule]]",
        ["47 schedule: must be a table with a type, got a list of tables; a single table is written […]"],
    ),
    Wrong(
        "a list of numbers where a number is meant",
        "patience = 3",
        "patience = [3]",
        ["61 train.patience: must be a whole number, got [3]"],
    ),
    Wrong(
        "a list of the wrong length",
        "betas = [0.9, 0.98]",
        "betas = [0.9]",
        ["41 optimizer.betas: must be a list of 2 values, got 1"],
    ),
    Wrong(
        "an element of the wrong type",
        "betas = [0.9, 0.98]",
        'betas = [0.9, "x"]',
        ["41 optimizer.betas[1]: must be a number, got 'x'"],
    ),
    Wrong(
        "an element on a line of its own",
        'steps = ["nfc", "lower"]',
        'steps = [\n  "nfc",\n  7,\n]',
        ["11 text.steps[1]: must be one of nfc, …, got 7"],
    ),
    Wrong(
        "text for a slot",
        "\n[features]",
        'precision = "bf16"\n\n[features]',
        ["3 precision: must be a table with a type, got 'bf16'; write { type = \"bf16\" }"],
    ),
    Wrong("a type that is not text", 'type = "speed"', "type = 3", ["36 augment[0].type: must be text, got 3"]),
    Wrong("not a number", "dropout = 0.1", "dropout = nan", ["16 encoder.dropout: must be a finite number, got nan"]),
    Wrong("infinity", "peak_lr = 1e-3", "peak_lr = inf", ["40 optimizer.peak_lr: must be a finite number, got inf"]),
    Wrong(
        "a number beyond 64 bits",
        "seed = 1",
        "seed = 99999999999999999999999",
        ["2 seed: must fit into 64 bits, got a number of more than 20 digits"],
    ),
    Wrong(
        "a date where text is meant",
        'name = "right"',
        "name = 2026-01-02",
        ["1 name: must be text, got the date or time 2026-01-02"],
    ),
    Wrong(
        "a date in where",
        'speaker = ["x", "y"]',
        "day = 2026-01-02",
        ["52 data.train[0].where.day: must be text, a number, …, got the date or time 2026-01-02; quote it"],
    ),
    Wrong(
        "not a number in where",
        "max_s = 20",
        "max_s = nan",
        ["52 data.train[0].where.max_s: must be a finite number, got nan"],
    ),
    Wrong("below a bound", "dim = 64", "dim = 5", ["15 encoder.dim: must be at least 8, got 5"]),
    Wrong("at an open bound", "batch_s = 60", "batch_s = 0", ["60 train.batch_s: must be above 0.0, got 0"]),
    Wrong("above a bound", "dropout = 0.1", "dropout = 1.5", ["16 encoder.dropout: must be below 1.0, got 1.5"]),
    Wrong("an empty list", 'match = ["*.bias"]', "match = []", ["44 optimizer.group[0].match: must not be empty"]),
    Wrong(
        "a label that is no file name",
        'name = "right"',
        'name = "My Recipe"',
        ["1 name: must be of the form [a-z0-9][a-z0-9_.-]*, got 'My Recipe'"],
    ),
    Wrong("a negative seed", "seed = 1", "seed = -1", ["2 seed: must be at least 0, got -1"]),
    Wrong(
        "two bounds in one table",
        "dim = 64\ndropout = 0.1",
        "dim = 5\ndropout = -0.5",
        ["15 encoder.dim: must be at least 8, got 5", "16 encoder.dropout: must be at least 0.0, got -0.5"],
    ),
    Wrong(
        "a section's own check",
        'mixer = { type = "mamba2", state_dim = 16 }',
        'mixer = { type = "mamba2" }, conv = { causal = false, kernel_frames = 4 }',
        ["23 encoder.block.ssm.conv.kernel_frames: must be odd where causal = false, got 4"],
    ),
    Wrong(
        "a join that wants more than it allows",
        "max_utterances = 3",
        "max_utterances = 3, min_utterances = 4",
        ["52 data.train[0].join.min_utterances: must not be above max_utterances = 3, got 4"],
    ),
    Wrong(
        "a range that falls",
        "max_utterances = 3",
        "max_utterances = 3, gap_s = [0.5, 0.1]",
        ["52 data.train[0].join.gap_s: must rise within 0 and 60, got [0.5, 0.1]"],
    ),
    Wrong(
        "a letter twice in the alphabet",
        'type = "chars"',
        'type = "chars"\nalphabet = "abca"',
        ["13 tokenizer.alphabet: must hold each character once, has 'a' more often"],
    ),
    Wrong(
        "a misspelt choice",
        'type = "log_mel"',
        'type = "logmel"',
        ["5 features.type: no Features called 'logmel'; did you mean 'log_mel'? (have: …)"],
    ),
    Wrong(
        "a misspelt nested choice",
        'type = "mamba2"',
        'type = "mamba"',
        ["23 encoder.block.ssm.mixer.type: no Mixer called 'mamba'; did you mean 'mamba2'? (have: …)"],
    ),
    Wrong(
        "a choice of another slot",
        'type = "chars"',
        'type = "ctc"',
        ["12 tokenizer.type: no Tokenizer called 'ctc' (have: …)"],
    ),
    Wrong(
        "a choice with nothing near it",
        'type = "cosine"',
        'type = "zzz"',
        ["48 schedule.type: no Schedule called 'zzz' (have: …)"],
    ),
    Wrong(
        "a misspelt literal",
        'chunk = "whole"',
        'chunk = "hole"',
        ["20 encoder.contexts[1].chunk: must be \"whole\", got 'hole'; did you mean 'whole'?"],
    ),
    Wrong("a literal of numbers", "factor = 4", "factor = 5", ["17 encoder.stem.factor: must be one of 4, 8, got 5"]),
    Wrong(
        "a literal in a list",
        '"lower"',
        '"lowercase"',
        ["9 text.steps[1]: must be one of nfc, …, got 'lowercase'; did you mean 'lower'?"],
    ),
    Wrong(
        "a stack that names no block",
        '["ssm", "att"]',
        '["ssm", "atts"]',
        ["22 encoder.stack[0].blocks[1]: no block called 'atts'; did you mean 'att'? (have: …)"],
    ),
    Wrong(
        "a block that no stack names",
        '["ssm", "att"]',
        '["ssm"]',
        ["24 encoder.block.att: has no effect: encoder.stack does not name it"],
    ),
    Wrong(
        "a chunk that is no whole number of frames",
        "chunk_ms = 320",
        "chunk_ms = 310",
        ["19 encoder.contexts[0].chunk_ms: must be a whole number …, got 310; the nearest are 280 and 320"],
    ),
    Wrong(
        "a left context that is no whole number of frames",
        "left_ms = 1600",
        "left_ms = 1610",
        ["19 encoder.contexts[0].left_ms: must be a whole number …, got 1610; the nearest are 1600 and 1640"],
    ),
    Wrong(
        "a chunk shorter than a frame",
        "chunk_ms = 320",
        "chunk_ms = 10",
        ["19 encoder.contexts[0].chunk_ms: must be a whole number …, got 10; the nearest is 40"],
    ),
    Wrong(
        "a context without left",
        "chunk_ms = 320, left_ms = 1600, weight = 2",
        "chunk_ms = 320",
        ["19 encoder.contexts[0]: needs left_ms: the state of a stream …"],
    ),
    Wrong(
        "a context of neither kind",
        '{ chunk = "whole" }',
        "{ weight = 2 }",
        ['20 encoder.contexts[1]: needs chunk = "whole" or chunk_ms'],
    ),
    Wrong(
        "a context of both kinds",
        '{ chunk = "whole" }',
        '{ chunk = "whole", chunk_ms = 320 }',
        ['20 encoder.contexts[1].chunk_ms: cannot stand beside chunk = "whole": give one of the two'],
    ),
    Wrong(
        "a left context beside whole",
        '{ chunk = "whole" }',
        '{ chunk = "whole", left_ms = 320 }',
        ['20 encoder.contexts[1].left_ms: has no effect beside chunk = "whole", which sees everything'],
    ),
    Wrong(
        "a context twice",
        '{ chunk = "whole" }',
        "{ chunk_ms = 320, left_ms = 1600 }",
        ["20 encoder.contexts[1]: is the context of encoder.contexts[0] again: give that one a larger weight"],
    ),
    Wrong(
        "a block that cannot stream",
        "num_heads = 4 }",
        "num_heads = 4 }, conv = { causal = false }",
        ["24 encoder.block.att.conv.causal: needs the whole utterance: … but encoder.contexts[0] streams"],
    ),
    Wrong(
        "a mixer that cannot stream",
        'mixer = { type = "mamba2", state_dim = 16 }',
        'mixer = { type = "bidirectional_mamba2" }',
        [
            "23 encoder.block.ssm.mixer.type: needs the whole utterance: … scans backwards …; "
            "but encoder.contexts[0] streams"
        ],
    ),
    Wrong(
        "every part of a stack that cannot stream",
        'state_dim = 16 } }\nblock.att = { type = "macaron", mixer = { type = "attention", num_heads = 4 } }',
        'state_dim = 16 }, conv = { causal = false } }\nblock.att = { type = "residual", mixer = { type = '
        '"bidirectional_mamba2" } }',
        [
            "23 encoder.block.ssm.conv.causal: needs the whole utterance: … but encoder.contexts[0] streams",
            "24 encoder.block.att.mixer.type: needs the whole utterance: … but encoder.contexts[0] streams",
        ],
    ),
    Wrong(
        "a lookahead where nothing is seen ahead",
        "num_heads = 4 }",
        'num_heads = 4 }, conv = { lookahead = "chunk" }',
        ['24 encoder.block.att.conv.lookahead: "chunk" has no effect where causal = true, which sees nothing ahead'],
    ),
    Wrong(
        "a lookahead that there is not",
        "num_heads = 4 }",
        'num_heads = 4 }, conv = { causal = false, lookahead = "chunks" }',
        ["24 encoder.block.att.conv.lookahead: must be \"chunk\", got 'chunks'; did you mean 'chunk'?"],
    ),
    Wrong(
        "an even kernel that looks ahead",
        "num_heads = 4 }",
        'num_heads = 4 }, conv = { causal = false, lookahead = "chunk", kernel_frames = 8 }',
        ["24 encoder.block.att.conv.kernel_frames: must be odd where causal = false, got 8"],
    ),
    Wrong(
        "features whose floor cannot stream",
        "num_mels = 40",
        'num_mels = 40\nfloor = "utterance"',
        ["7 features.floor: needs the whole utterance: … but encoder.contexts[0] streams"],
    ),
    Wrong(
        "features that cannot stream",
        "num_mels = 40",
        'num_mels = 40\nlevel = "utterance"',
        ["7 features.level: needs the whole utterance: … but encoder.contexts[0] streams"],
    ),
    Wrong(
        "heads that do not divide the dimension",
        "num_heads = 4",
        "num_heads = 5",
        ["24 encoder.block.att.mixer.num_heads: must divide encoder.dim 64, got 5; the nearest that does is 4"],
    ),
    Wrong(
        "a decoder whose heads do not divide the dimension",
        "num_layers = 2",
        "num_layers = 2\nnum_heads = 5",
        ["34 decoder[1].num_heads: must divide encoder.dim = 64, got 5"],
    ),
    Wrong(
        "a tap beyond the stack",
        "weight = 0.3",
        "weight = 0.3\ntap = 9",
        ["29 decoder[0].tap: must be at most 4, the layers of encoder.stack, got 9"],
    ),
    Wrong(
        "two decoders of one kind",
        'type = "attention"\nweight = 0.7\nnum_layers = 2',
        'type = "ctc"',
        [
            "31 decoder[1].type: a second 'ctc': decoder[0] is one already; set another tap",
            "66 decode.decoder: 'joint' needs a ctc and an attention decoder; there is no attention",
        ],
    ),
    Wrong(
        "a decoder that is absent",
        'decoder = "joint"\nctc_weight = 0.4',
        'decoder = "transducer"',
        ["68 decode.decoder: no decoder called 'transducer' (have: ctc, attention, auto, joint, rescoring)"],
    ),
    Wrong(
        "joint without attention",
        '[[decoder]]\ntype = "attention"\nweight = 0.7\nnum_layers = 2\n',
        "",
        [
            "28 decoder[0].weight: has no effect: weights are divided by their sum, and there is one decoder",
            "64 decode.decoder: 'joint' needs a ctc and an attention decoder; there is no attention",
        ],
    ),
    Wrong(
        "a second pass with nothing to choose from",
        'decoder = "joint"\nctc_weight = 0.4\nbeam = 4',
        'decoder = "rescoring"',
        ["68 decode.decoder: 'rescoring' chooses among ctc's hypotheses, and decode.beam = 1 is one"],
    ),
    Wrong(
        "a setting of another decoder",
        'decoder = "joint"',
        'decoder = "ctc"',
        ["69 decode.ctc_weight: has no effect: only decode.decoder = 'joint' or 'rescoring' reads it"],
    ),
    Wrong(
        "a length penalty without attention",
        'decoder = "joint"\nctc_weight = 0.4',
        'decoder = "ctc"\nlength_penalty = 0.5',
        ["69 decode.length_penalty: has no effect: no attention decoder is used"],
    ),
    Wrong("a run without end", "max_steps = 100\n", "", ["58 train: says nowhere when to stop: give max_epochs, …"]),
    Wrong(
        "patience with nothing to look at",
        'valid = [{ type = "folder", path = "b" }]\n',
        "",
        ["60 train.patience: has no effect: data.valid is empty"],
    ),
    Wrong(
        "a clock in a bitwise run",
        "patience = 3\n",
        'patience = 3\nmax_wall_min = 5\n[determinism]\nlevel = "bitwise"\n',
        ["62 train.max_wall_min: ends the run by the clock, so determinism.level = 'bitwise' cannot hold"],
    ),
    Wrong(
        "speech that is too fast for its text",
        "[optimizer]\n",
        '[[augment]]\ntype = "tempo"\nfactors = [1.0, 1.9]\n[optimizer]\n',
        ["40 augment[1].factors: with those before it speech is up to 2.09 times as fast, 2 is the most that is taken"],
    ),
    Wrong(
        "what has its bits from the machine, at cross_hardware",
        "patience = 3\n",
        'patience = 3\n[determinism]\nlevel = "cross_hardware"\n[precision]\ntype = "bf16"\n',
        [
            "36 augment[0].type: is not covered by determinism.level = 'cross_hardware': it changes waveforms with …",
            "48 schedule.type: is not covered by determinism.level = 'cross_hardware': a cosine has its last …",
            "61 train.patience: stops by what validation decodes, which determinism.level = 'cross_hardware' …",
            "65 precision.type: must be 'fp32' at determinism.level = 'cross_hardware': RepDL has …",
        ],
    ),
    Wrong(
        "a rank that takes more than the batch",
        "max_rank_batch_s = 30",
        "max_rank_batch_s = 90",
        ["65 parallel.max_rank_batch_s: must be at most train.batch_s = 60, got 90"],
    ),
    Wrong(
        "a where that fits nothing",
        "max_s = 20",
        "max_s = 20, min_s = 30",
        ["52 data.train[0].where.min_s: must be at most max_s = 20, got 30"],
    ),
    Wrong(
        "a where with text for seconds",
        "max_s = 20",
        'max_s = "20"',
        ["52 data.train[0].where.max_s: must be a number of seconds, got '20'"],
    ),
    Wrong(
        "a where with a table",
        'speaker = ["x", "y"]',
        "speaker = { id = 3 }",
        ["52 data.train[0].where.speaker: must be a value, a list of values or a pattern, got a table"],
    ),
    Wrong(
        "a where with an empty list",
        'speaker = ["x", "y"]',
        "speaker = []",
        ["52 data.train[0].where.speaker: is an empty list, which no utterance fits"],
    ),
    Wrong(
        "a join below where",
        'max_s = 20, speaker = ["x", "y"] }, join = { max_utterances = 3 }',
        "min_s = 20 }, join = { max_s = 10 }",
        ["52 data.train[0].join.max_s: is below where.min_s = 20, so that nothing would be joined"],
    ),
    Wrong(
        "a weight on a test set",
        'path = "c" }',
        'path = "c", weight = 2 }',
        ["55 data.test[0].weight: has no effect: data.test is read once, whole"],
    ),
    Wrong(
        "a training set twice",
        'valid = [{ type = "folder", path = "b" }]',
        'valid = [{ type = "folder", path = "b" }, { type = "folder", path = "b" }]',
        ["53 data.valid[1]: is data.valid[0] again"],
    ),
    Wrong(
        "a group that says nothing",
        "weight_decay = 0.0\n",
        "",
        ["43 optimizer.group[0]: has no effect: give lr_scale or weight_decay"],
    ),
    Wrong(
        "a step that is undone",
        '"lower"]',
        '"lower", "upper"]',
        ["9 text.steps[1]: 'lower' has no effect: 'upper' comes after it"],
    ),
    Wrong("a step twice", '"lower"]', '"lower", "nfc"]', ["9 text.steps[2]: 'nfc' stands at [0] already"]),
    Wrong(
        "a step twice, in a language too",
        '"lower"]',
        '"lower", "lower:tr"]',
        ["9 text.steps[2]: 'lower' stands at [1] already"],
    ),
    Wrong(
        "a language's step that is undone",
        '"lower"]',
        '"lower:tr", "upper:tr"]',
        ["9 text.steps[1]: 'lower:tr' has no effect: 'upper:tr' comes after it"],
    ),
    Wrong(
        "two settings with nothing to look at",
        'valid = [{ type = "folder", path = "b" }]\n',
        "",
        ["60 train.patience: has no effect: data.valid is empty"],
    ),
    Wrong(
        "a context's weight alone",
        '  { chunk = "whole" },\n',
        "",
        ["19 encoder.contexts[0].weight: has no effect: it is the only context"],
    ),
    Wrong(
        "a bad regular table header",
        "[train]",
        "[train",
        ["58:7 : not TOML: Expected ']' at the end of a table declaration"],
    ),
    Wrong(
        "a key without a value",
        "seed = 1",
        "seed =",
        ["2:7 : not TOML: Invalid value; text stands in quotes, true and false are small"],
    ),
    Wrong(
        "a string that does not end",
        'name = "right"',
        'name = "base',
        ["1:13 : not TOML: Illegal character '\\n'; a text in quotes ends on its line"],
    ),
    Wrong(
        "a key twice",
        "seed = 1",
        "seed = 1\nseed = 2",
        ["3:9 : not TOML: Cannot overwrite a value; the key stands in this table already"],
    ),
    Wrong(
        "a table twice",
        "[parallel]",
        "[train]",
        ["63:7 : not TOML: Cannot declare ('train',) twice; the table stands in the file already"],
    ),
    Wrong(
        "an inline table that does not end",
        "num_heads = 4 } }",
        "num_heads = 4 }",
        ["26:1 : not TOML: Unclosed inline table"],
    ),
    Wrong(
        "a bare word",
        'chunk = "whole"',
        "chunk = whole",
        ["20:13 : not TOML: Invalid value; text stands in quotes, true and false are small"],
    ),
]


def pattern(expected: str) -> str:
    return ".*".join(re.escape(part) for part in expected.split("…"))


def shown(problem: Problem) -> str:
    place = f"{problem.line}:{problem.column}" if problem.column else str(problem.line)
    return f"{place} {problem.path}: {problem.message}"


def test_the_recipe_that_they_start_from_is_right() -> None:
    assert checked(loads(RIGHT, Recipe)).value.name == "right"


def test_there_are_enough_of_them() -> None:
    assert len({w.name for w in WRONG}) == len(WRONG) >= 60


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w.name)
def test_a_wrong_recipe_is_told_what_is_wrong_and_where(wrong: Wrong) -> None:
    assert RIGHT.count(wrong.old) >= 1, "nothing is replaced"
    with pytest.raises(RecipeError) as caught:
        checked(loads(RIGHT.replace(wrong.old, wrong.new, 1), Recipe, "wrong.toml"))
    found = [shown(p) for p in caught.value.problems]
    assert len(found) == len(wrong.problems), found
    for problem, expected in zip(found, wrong.problems, strict=True):
        assert re.fullmatch(pattern(expected), problem), problem

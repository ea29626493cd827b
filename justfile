# What each target does: `just --list`.
set positional-arguments

# The gate: format, lint, types, tests.
check: lint test

# Formatting and lint.
lint:
    ruff format --check asr_lab cli tests
    ruff check asr_lab cli tests
    mypy

# The tests, in two processes.
test *args:
    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 pytest -n 2 --dist worksteal "$@"

# Damaged inputs of every kind under the commands: N of each, `--seed S --only KIND --first I --processes N`.
fuzz *args:
    python tests/fuzz/main.py "$@"

# The slow proofs: exact resuming under 100 kills of four recipes, and whatever else is marked `prove`.
prove *args:
    pytest -m prove -s "$@"

# Debian's SLURM, with accounting: tests/slurm start it on this machine, as root; `prove` runs all of them.
slurm:
    apt-get update -qq && apt-get install -y -qq slurm-wlm munge slurmdbd mariadb-server

# Whether the tests notice: asr_lab is broken in N random places, one at a time; `--seed S --paths PREFIX... --jobs 2`.
mutants *args:
    python tests/mutants.py "$@"

# The live page in Debian's Chromium, with a recording as its microphone; installs the browser.
browser *args:
    (command -v chromium || (apt-get update -q && apt-get install -y -q chromium)) && pytest tests/e2e/test_live_page.py "$@"

# What steps, encoders, plans, scores, checkpoints, processes and the loop cost on this machine; `--peers` for other toolkits beside them.
bench *args:
    python tests/bench/main.py "$@"

# The figures of the README, and digits with each speaker left out in turn; finished runs are not trained again.
results:
    asrlab results recipes/digits.toml --title "Digits"
    asrlab results recipes/speech_conformer.toml --title "Conformer on asterisk-prompts-5lang"
    asrlab results recipes/speech_ssm.toml --title "Streaming SSM on asterisk-prompts-5lang, offline"
    asrlab results recipes/speech_fast_conformer.toml --title "Streaming Fast Conformer on asterisk-prompts-5lang, offline"
    asrlab results recipes/speech_whisper.toml --title "Whisper-like on kerstin-de"
    asrlab results recipes/speech_conformer.toml --seeds 1,2,3 --set train.max_epochs=2 --title "Conformer, two epochs, Muon"
    asrlab results recipes/speech_conformer.toml --seeds 1,2,3 --set train.max_epochs=2 --set optimizer='{ type = "adamw", peak_lr = 3e-3 }' --title "Conformer, two epochs, AdamW"
    asrlab results recipes/digits.toml --leave-out fsdd.speaker --title "Digits, one speaker of fsdd left out"

# The README's streaming tables, on the runs that `just results` made.
streaming:
    asrlab compare-streaming speech_ssm --chunk-ms 160,320,1120,whole --publish "Streaming SSM on asterisk-prompts-5lang"
    asrlab compare-streaming speech_fast_conformer --chunk-ms 160,320,1120,whole --publish "Streaming Fast Conformer on asterisk-prompts-5lang"

# Put format and lint right where that is mechanical.
fix:
    ruff format asr_lab cli tests
    ruff check --fix asr_lab cli tests

# The JSON Schema that editors read.
schema:
    asrlab schema --out recipes/recipe.schema.json

# What needs a GPU: roundings against those of torchao and TransformerEngine, as far as the GPU and the packages have them.
gpu *args:
    pytest -m gpu tests/gpu "$@"

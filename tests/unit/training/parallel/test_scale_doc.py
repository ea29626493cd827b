"""docs/scale.md shows what the cost model gives."""

from __future__ import annotations

from pathlib import Path

import attrs

from asr_lab.training.parallel.cost import NODES, Cluster, Sharing, Storage, Work, save_s, step_cost

TEXT = (Path(__file__).resolve().parents[4] / "docs" / "scale.md").read_text(encoding="utf-8")
WORK = Work(num_params=150_000_000, num_layers=28, compute_s=0.25, weight_bytes=2)
NUM_NODES = (1, 2, 8, 32, 128)
SHARINGS: tuple[Sharing, ...] = ("ddp", "fsdp", "hybrid")


def rows() -> list[str]:
    found = []
    for name, node in NODES.items():
        for sharing in SHARINGS:
            costs = [step_cost(Cluster(node, n), sharing, WORK) for n in NUM_NODES]
            cells = [f"{1e3 * c.communication_s:.0f} / {1e3 * c.exposed_s:.1f} / {c.efficiency:.1%}" for c in costs]
            found.append(f"| {name} | {sharing} | {' | '.join(cells)} |")
    return found


def test_the_table_is_what_the_model_gives() -> None:
    assert [line for line in TEXT.splitlines() if line.startswith(tuple(f"| {name} |" for name in NODES))] == rows()


def test_the_bandwidths_of_the_document_are_the_models() -> None:
    for name, node in NODES.items():
        inner, outer = (0.8**-1 * link.bytes_per_s / 1e9 for link in (node.inner, node.outer))
        assert f"| `{name}` | {node.num_gpus} | {inner:.0f} | {outer:.0f} | {node.num_gpus * outer:.0f} |" in TEXT


def test_the_examples_in_the_text_are_the_models() -> None:
    one, many = Cluster(NODES["h100"]), Cluster(NODES["h100"], 128)
    small = attrs.evolve(WORK, compute_s=0.05)
    fsdp, hybrid = (step_cost(many, sharing, small).efficiency for sharing in ("fsdp", "hybrid"))
    assert f"{fsdp:.0%} with `fsdp` over all and {hybrid:.0%} with `shards = 8`" in TEXT
    saves = [save_s(cluster, "fsdp", WORK, Storage()) for cluster in (one, many)]
    assert f"{saves[0]:.1f} s from one node and {saves[1]:.3f} s from 128" in TEXT


if __name__ == "__main__":
    print("\n".join(rows()))

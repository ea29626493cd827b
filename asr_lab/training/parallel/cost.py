"""What a step costs on many GPUs: communication, data and checkpoints around a step time that is given.

A message crosses a link in its latency and its size over the bandwidth (Hockney's model); collectives are sums of
messages, as NCCL's rings and trees send them (Thakur et al. 2005). No torch.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

Sharing = Literal["ddp", "fsdp", "hybrid"]
"""How weights lie: a copy each; in shards over all; in shards over a node's GPUs, and a copy a node."""
GB = 1e9
EFFICIENCY = 0.8
"""Share of a link's stated bandwidth that large messages get: an assumption, to be measured with nccl-tests."""
WEIGHT_BYTES, GRADIENT_BYTES = 4, 4
"""Numbers in which weights are gathered and gradients added up, float32 unless told otherwise."""
KEPT_BYTES = 16
"""A parameter in a checkpoint: itself, its average and AdamW's two moments, float32."""
LAUNCH_S = 8.4e-6
"""Start of a collective (NCCL, `baseLat` of the ring with the protocol Simple)."""


@attrs.frozen
class Link:
    """A way between two processes, in one direction."""

    latency_s: float
    bytes_per_s: float


@attrs.frozen
class NodeKind:
    """A kind of machine."""

    name: str
    num_gpus: int
    inner: Link
    """Between two of its GPUs."""
    outer: Link
    """From one of its GPUs to another node: its own network card."""

    @property
    def ring(self) -> Link:
        """The bandwidth of a ring over several nodes: all cards carry it out of the node, no GPU takes more."""
        return attrs.evolve(self.outer, bytes_per_s=min(self.inner.bytes_per_s, self.num_gpus * self.outer.bytes_per_s))


def _gpus(name: str, nvlink_gb_s: float, network_gbit_s: float) -> NodeKind:
    """A node of eight from figures as vendors state them: NVLink both ways together, a network card one way."""
    inner = Link(3.4e-6, EFFICIENCY * nvlink_gb_s / 2 * GB)
    return NodeKind(name, 8, inner, Link(14e-6, EFFICIENCY * network_gbit_s / 8 * GB))


NODES = {
    "a100": _gpus("DGX A100", 600, 200),
    "h100": _gpus("DGX H100", 900, 400),
    "b200": _gpus("DGX B200", 1800, 400),
}
"""NVIDIA's user guides of the three systems; latencies of NCCL's `hwLat` for rings, NVLink and network."""


@attrs.frozen
class Cluster:
    """Some nodes of one kind."""

    node: NodeKind
    num_nodes: int = 1

    @property
    def num_gpus(self) -> int:
        """Of all nodes."""
        return self.node.num_gpus * self.num_nodes


def pass_s(cluster: Cluster, num_bytes: float) -> float:
    """Seconds of an all-gather to `num_bytes`, or a reduce-scatter of as many, over all GPUs by a ring."""
    size, nodes = cluster.num_gpus, cluster.num_nodes
    if size == 1:
        return 0.0
    inner = cluster.node.inner
    link = inner if nodes == 1 else cluster.node.ring
    hops_s = (size - nodes) * inner.latency_s + (nodes - 1) * cluster.node.outer.latency_s
    return LAUNCH_S + hops_s + (size - 1) / size * num_bytes / link.bytes_per_s


def all_reduce_s(cluster: Cluster, num_bytes: float) -> float:
    """Seconds in which all GPUs have the sum of `num_bytes` each: the faster of a ring and a tree over the nodes."""
    if cluster.num_gpus == 1:
        return 0.0
    ring_s = 2 * pass_s(cluster, num_bytes) - LAUNCH_S
    if cluster.num_nodes == 1:
        return ring_s
    node = cluster.node
    hops_s = (node.num_gpus - 1) * node.inner.latency_s + math.log2(cluster.num_nodes) * node.outer.latency_s
    return min(ring_s, LAUNCH_S + 2 * hops_s + 2 * num_bytes / node.ring.bytes_per_s)


@attrs.frozen
class Work:
    """A step of one GPU, and what it has to send, read and save."""

    num_params: int
    num_layers: int
    """Units that are gathered and added up one after another."""
    compute_s: float
    """Seconds of a step without any of the rest, measured on one GPU with its share of the batch."""
    microbatches: int = 1
    backward: float = 2 / 3
    """Share of the computing that gradients can cross beside."""
    weight_bytes: int = WEIGHT_BYTES
    gradient_bytes: int = GRADIENT_BYTES
    reshard: bool = True
    """Whether sharded weights are gathered again for the way back."""
    audio_bytes: float = 0.0
    """Read in a step by one GPU, as stored."""
    save_every_steps: int = 0
    """0 = never."""


@attrs.frozen
class Storage:
    """Where audio comes from and checkpoints go."""

    read_bytes_per_s: float = 2 * GB
    """Of a node."""
    write_bytes_per_s: float = 1 * GB
    """Of a node."""
    limit_bytes_per_s: float = 100 * GB
    """Of the whole, however many nodes ask."""


@attrs.frozen
class StepCost:
    """Seconds of a step, in the mean, by what they go to."""

    compute_s: float
    communication_s: float
    """All of it; most is beside computing."""
    exposed_s: float
    """That which computing waits for."""
    data_s: float
    """Waiting for audio, where reading ahead is slower than training."""
    checkpoint_s: float
    """A save's share of each step."""

    @property
    def step_s(self) -> float:
        """The whole step."""
        return self.compute_s + self.exposed_s + self.data_s + self.checkpoint_s

    @property
    def efficiency(self) -> float:
        """Share of the time that is spent computing."""
        return self.compute_s / self.step_s


def step_cost(cluster: Cluster, sharing: Sharing, work: Work, storage: Storage = Storage()) -> StepCost:
    """What a step costs on a cluster.

    Each layer's collective runs beside the computing of its neighbours; that of the first to be gathered and of the
    last to be added up has no neighbour and is waited for, as is whatever exceeds the computing.
    """
    gather_s, reduce_s = _layer_s(cluster, sharing, work)
    num_gathers = work.microbatches * (2 if work.reshard else 1) if sharing != "ddp" else 0
    communication_s = work.num_layers * (num_gathers * gather_s + reduce_s)
    backward_s = work.compute_s / work.microbatches * work.backward  # of the last microbatch, where gradients cross
    gathers_back = work.num_layers if num_gathers and work.reshard else 0
    back_s = (work.num_layers - 1) * reduce_s + gathers_back * gather_s
    before_s = max(0, work.num_layers * num_gathers - gathers_back - 1) * gather_s
    exposed_s = gather_s + reduce_s
    exposed_s += max(0.0, back_s - backward_s) + max(0.0, before_s - (work.compute_s - backward_s))
    step_s = work.compute_s + exposed_s
    per_node = work.audio_bytes * cluster.node.num_gpus
    reading_s = max(per_node / storage.read_bytes_per_s, per_node * cluster.num_nodes / storage.limit_bytes_per_s)
    return StepCost(
        compute_s=work.compute_s,
        communication_s=communication_s,
        exposed_s=exposed_s,
        data_s=max(0.0, reading_s - step_s),
        checkpoint_s=save_s(cluster, sharing, work, storage) / work.save_every_steps if work.save_every_steps else 0.0,
    )


def save_s(cluster: Cluster, sharing: Sharing, work: Work, storage: Storage) -> float:
    """Seconds of a checkpoint: one node writes a copy; shards are written by all nodes that hold them at once."""
    writers = cluster.num_nodes if sharing == "fsdp" else 1
    speed = min(writers * storage.write_bytes_per_s, storage.limit_bytes_per_s)
    return KEPT_BYTES * work.num_params / speed


def _layer_s(cluster: Cluster, sharing: Sharing, work: Work) -> tuple[float, float]:
    """Seconds to gather a layer's weights, and to add up its gradients."""
    weights = work.num_params * work.weight_bytes / work.num_layers
    gradients = work.num_params * work.gradient_bytes / work.num_layers
    if sharing == "ddp":
        return 0.0, all_reduce_s(cluster, gradients)
    if sharing == "fsdp":
        return pass_s(cluster, weights), pass_s(cluster, gradients)
    node = Cluster(cluster.node)
    copies = Cluster(NodeKind("one GPU of each node", 1, cluster.node.inner, cluster.node.outer), cluster.num_nodes)
    shard = gradients / cluster.node.num_gpus
    return pass_s(node, weights), pass_s(node, gradients) + all_reduce_s(copies, shard)

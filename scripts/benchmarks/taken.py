"""What one round took, and what many rounds say: machines are noisy, so the two sides alternate and are compared by round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Taken:
    """One round: the latency of each operation, its length, and the processor time of the side that is measured."""

    latencies: list[float]
    seconds: float
    cpu_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass
class Rounds:
    """Two sides that took turns: `ours` against `theirs`."""

    ours: list[Taken] = field(default_factory=list)
    theirs: list[Taken] = field(default_factory=list)

    def latency(self, share: float) -> "Compared":
        """Seconds at a quantile, over all rounds together."""
        by_round = [a.quantile(share) / b.quantile(share) for a, b in zip(self.ours, self.theirs, strict=True)]
        return Compared(pooled(self.ours).quantile(share), pooled(self.theirs).quantile(share), by_round)

    def rate(self) -> "Compared":
        """Operations a second."""
        by_round = [a.per_second / b.per_second for a, b in zip(self.ours, self.theirs, strict=True)]
        return Compared(pooled(self.ours).per_second, pooled(self.theirs).per_second, by_round)

    def cpu(self) -> "Compared":
        """Processor seconds an operation."""
        sides = [pooled(side) for side in (self.ours, self.theirs)]
        mine, floor = (side.cpu_seconds / len(side.latencies) for side in sides)
        return Compared(mine, floor, [mine / floor])


@dataclass
class Compared:
    """A pair of figures. `ratio` is the median over the rounds, `quartiles` say how far to trust it."""

    ours: float
    theirs: float
    by_round: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.by_round)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.by_round) < 2:
            return self.ratio, self.ratio
        first, _, third = statistics.quantiles(self.by_round, n=4, method="inclusive")
        return first, third


def pooled(rounds: Sequence[Taken]) -> Taken:
    """All rounds as one."""
    latencies = [latency for one in rounds for latency in one.latencies]
    return Taken(latencies, sum(one.seconds for one in rounds), sum(one.cpu_seconds for one in rounds))

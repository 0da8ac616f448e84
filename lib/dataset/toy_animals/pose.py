"""How toy animals move: a posture, and a gait that swings the legs around it.

Angles in degrees. A swing moves a leg forwards; a flexion folds it, as when it is lifted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

LEGS = ("left_front", "left_back", "right_front", "right_back")

# When in a stride each leg is farthest in front, in the order of LEGS.
_FOOTFALLS = {"walk": (0.25, 0.0, 0.75, 0.5), "trot": (0.5, 0.0, 0.0, 0.5), "pace": (0.1, 0.0, 0.6, 0.5)}


@dataclass(frozen=True)
class Pose:
    """Angles of the joints; swing and flexion have one for each leg, in the order of LEGS."""

    swing: tuple[float, ...]
    flexion: tuple[float, ...]
    neck: float  # upwards, around the build's own
    neck_turn: float  # to the animal's left
    head: float  # downwards, around the build's own
    tail: float  # away from hanging down
    tail_turn: float  # to the animal's left


@dataclass(frozen=True)
class Gait:
    """A cyclic movement around the posture `rest`."""

    rest: Pose
    amplitude: float  # of the swing
    lift: float  # flexion of a leg that is brought forwards
    footfalls: tuple[float, ...]
    nod: float  # of neck and head, twice a stride

    def pose(self, phase: float) -> Pose:
        """The pose at `phase` strides; it repeats after 1."""
        turn = 2 * np.pi * (phase - np.array(self.footfalls))
        swing = np.array(self.rest.swing) + self.amplitude * np.cos(turn)
        flexion = np.array(self.rest.flexion) + self.lift * np.maximum(-np.sin(turn), 0) ** 1.5
        beat = float(np.sin(4 * np.pi * phase))
        return Pose(
            tuple(swing.tolist()), tuple(flexion.tolist()), self.rest.neck + self.nod * beat, self.rest.neck_turn,
            self.rest.head - self.nod * beat, self.rest.tail + 0.5 * self.nod * beat,
            self.rest.tail_turn + 10 * float(np.sin(2 * np.pi * phase)),
        )  # fmt: skip

    @property
    def stride(self) -> float:
        """Way of the body in one cycle, in lengths of a leg."""
        return 4 * float(np.sin(np.deg2rad(self.amplitude)))


def sample_gait(noise: float, rng: Generator) -> Gait:
    """A random gait around a random posture, with normal noise of `noise` degrees in the joints."""
    flexion = np.abs(rng.normal(0, noise, 4))
    flexion[rng.integers(4)] += rng.uniform(0, 4 * noise)  # one leg lifted
    rest = Pose(
        swing=tuple(rng.normal(0, noise, 4).tolist()),
        flexion=tuple(flexion.tolist()),
        neck=float(rng.normal(0, 8 + noise)) - (25 if rng.random() < 0.2 else 0),  # some graze
        neck_turn=float(rng.normal(0, 6 + noise)),
        head=float(rng.normal(0, 4 + noise)),
        tail=float(rng.uniform(5, 60)),
        tail_turn=float(rng.normal(0, 15)),
    )
    footfalls = _FOOTFALLS[str(rng.choice(list(_FOOTFALLS)))]
    return Gait(rest, float(rng.uniform(16, 27)), float(rng.uniform(25, 55)), footfalls, float(rng.uniform(1, 4)))

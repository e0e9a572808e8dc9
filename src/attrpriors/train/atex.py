"""ATEX: a network whose explanations resist manipulation, trained without second derivatives.

Letters: B batch, T places along the explanation, N copies of a place, *F pixels.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..attribution import Attribution
from ..attribution.gradient import at_least_one
from ..build import complete
from ..data import Dataset, Output
from .adversarial import Pixels
from .continued import Continued


@dataclass(kw_only=True)
class Atex(Continued):
    """Predictions constant across the explanation, and following the teacher along it.

    Tang et al. 2022 (arXiv 2111.04303), as their code: s is the student's explanation of x, its largest entry `reach`;
    u is uniform in [-reach, reach], less its part along s. The loss is the mean over a in `along` and over u of
    KL(softmax(teacher(x + a s) / temperature) || softmax(student(x + a s + u) / student_temperature)); the teacher is
    the plainly trained network, from which the student starts. Without a `direction`, s is 0: isotropic noise of the
    same size.
    """

    direction: Callable[..., Attribution] | None  # partial; it gets the generator of the noise
    reach: float  # share of the pixels' range; 4 times the eps defended against, in the authors' code
    along: Sequence[float]  # places along s; the authors' are -1 and 0
    copies: int  # draws of u for each place
    temperature: float  # of the teacher's scores
    student_temperature: float  # of the student's; 1 in the authors' code. With the teacher's, scores keep their scale
    pixels: Pixels = field(init=False, repr=False)
    teacher: nn.Module = field(init=False, repr=False)
    explain: Attribution | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(**{"train.copies": self.copies, "the number of places in train.along": len(self.along)})
        for name in ("reach", "temperature", "student_temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"train.{name} is a finite number above 0; found {getattr(self, name)!r}")

    def begin(self, model: nn.Module, data: Dataset) -> None:
        if data.output != "classes":
            raise ValueError(f"atex needs classes to predict; the output of {data.name} is {data.output!r}")
        self.pixels = Pixels.of(data, "atex")
        self.teacher = copy.deepcopy(model).eval().requires_grad_(False)
        self.explain = self.direction and complete(self.direction, generator=self.draws)

    def loss(self, model: nn.Module, x: Tensor, y: Tensor, output: Output) -> Tensor:
        s = self.explanation(model, x, y)
        places = torch.cat([x + a * s for a in self.along])  # (T*B, *F)
        with torch.no_grad():
            told = F.softmax(self.teacher(places) / self.temperature, 1)  # (T*B, O)
        s = s.repeat(len(self.along) * self.copies, 1, 1, 1)  # (N*T*B, *F)
        u = orthogonal(self.pixels.uniform(s.shape, self.reach, self.draws), s)
        scores = model(places.repeat(self.copies, 1, 1, 1) + u) / self.student_temperature
        return F.kl_div(F.log_softmax(scores, 1), told.repeat(self.copies, 1), reduction="batchmean")

    def explanation(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """s (B, *F): zero where there is no direction, or no slope to follow."""
        if self.explain is None:
            return torch.zeros_like(x)
        with torch.no_grad():
            phi = self.explain(model, x, y)
        largest = (phi / self.pixels.width).abs().amax((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
        return self.reach * phi / torch.where(largest > 0, largest, 1)


def orthogonal(u: Tensor, s: Tensor) -> Tensor:
    """u less its part along s, row by row; u itself where s is zero. Both (B, *F)."""
    unit = F.normalize(s.flatten(1))
    return u - ((u.flatten(1) * unit).sum(1, keepdim=True) * unit).view_as(u)

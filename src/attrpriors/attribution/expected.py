"""Expected gradients: references from a background, and estimators of the expectation with a stated error.

Letters: B batch, K references of a row, N rows of the background, *F features.
"""

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .gradient import at_least_one, evaluating, select, target
from .path import path_sums

Estimator = Literal["independent", "controlled"]
ESTIMATORS = ("independent", "controlled")


class ExpectedGradients:
    """phi_i = E over references r and alpha of (x_i - r_i) * d score / d x_i at r + alpha (x - r).

    References are rows of `background` (N, *F), alpha is uniform in
    [0, 1]; k pairs are drawn for each row of x, from `generator` (a CPU generator). `estimator`:

    independent: the mean of k independent pairs, as the paper.
    controlled: references without replacement, stratified alphas, and the known mean of the references as a control
    variate, k of 2 or more: the same expectation, less variance at the same cost.

    `chunk`: points held at once when no graph is kept; None: 128 images, or 2048 rows of a table.

    `complete`: what phi lacks of completeness (score less mean score of the background) is shared out over the
    features in proportion to their squared standard errors; at evaluation only.

    `tolerance`: draw k more at a time until the standard error, averaged over features, is at most this share of the
    mean |phi|; at evaluation only, at most 100 k in all.

    Shapes: x and phi (B, *F). Unit: score; sum phi = score less mean score of the background, in expectation.
    Errors: ValueError on a setting out of range, on rows of x and background that differ in shape, on a y that names
    no score. Source: Erion et al. 2021 (arXiv 1906.10670, sec. 2.1); the controlled estimator is this project's.
    """

    def __init__(
        self,
        background: Tensor,
        k: int = 1,
        generator: torch.Generator | None = None,
        chunk: int | None = None,
        estimator: Estimator = "independent",
        tolerance: float | None = None,
        complete: bool = False,
    ) -> None:
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator is one of {', '.join(ESTIMATORS)}; found {estimator!r}")
        chunk = (128 if background.ndim == 4 else 2048) if chunk is None else chunk  # fewer are slower
        at_least_one(k=k, chunk=chunk)
        if estimator == "controlled" and not 2 <= k <= len(background):
            raise ValueError(
                f"controlled takes 2 to {len(background)} references, the rows of the background; found k={k} "
                f"(explain.k or attribution.k)"
            )
        if complete and k < 2:
            raise ValueError("complete=true shares out by standard errors, of 2 references or more; found 1")
        if tolerance is not None and not tolerance > 0:
            raise ValueError(f"tolerance is a share above 0; found {tolerance!r}")
        self.background, self.k, self.chunk = background, k, chunk
        self.generator = generator or torch.Generator().manual_seed(0)
        self.estimator, self.tolerance = estimator, tolerance
        self.complete = complete
        self.mean = background.mean(0, keepdim=True)  # (1, *F)
        self.members: Sequence[ExpectedGradients] = ()

    @classmethod
    def of_members(cls, members: Sequence["ExpectedGradients"]) -> "ExpectedGradients":
        """For an ensemble, whose members' rows are blocks of the batch: each block has its own background and draws."""
        whole = copy.copy(members[0])
        whole.members = members
        whole.background = torch.cat([member.background for member in members])
        whole.mean = torch.cat([member.mean for member in members])
        return whole

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.estimate(model, x, y, error=self.tolerance is not None)[0]

    def estimate(
        self, model: nn.Module, x: Tensor, y: Tensor | None = None, error: bool = True
    ) -> tuple[Tensor, Tensor]:
        """phi and its Monte-Carlo standard error, both shaped like x; the error is empty where it is not asked for.

        The error of `controlled` leaves out what stratification gains: it is a little too large. A single draw has none
        that is known: NaN.
        """
        if x.shape[1:] != self.background.shape[1:]:
            found, expected = tuple(x.shape[1:]), tuple(self.background.shape[1:])
            raise ValueError(f"a row of x is shaped {found}, of the background {expected}")
        if self.complete and torch.is_grad_enabled():
            raise ValueError(
                "complete=true is for evaluation, under torch.no_grad(): training takes attributions as drawn"
            )
        y = target(model, x, y, self.chunk)
        error = error or self.complete
        sums = self._sums(model, x, y, error)
        drawn = self.k
        while True:
            phi, spread = self._summarise(x, [total / drawn for total in sums], drawn)
            close = self.tolerance is None or spread.mean() <= self.tolerance * phi.abs().mean()
            if close or torch.is_grad_enabled() or drawn >= 100 * self.k:
                return (self._completed(model, x, y, phi, spread) if self.complete else phi), spread
            sums = [one + more for one, more in zip(sums, self._sums(model, x, y, error), strict=True)]
            drawn += self.k

    def _sums(self, model: nn.Module, x: Tensor, y: Tensor | None, error: bool) -> list[Tensor]:
        """Sums over k new draws of d g, then, as far as needed, of g, d, (d g)^2, d^2 g, d^2; d delta, g slope."""
        index, alpha = self._draw(len(x))

        def moments(d: Tensor, g: Tensor, _: object) -> tuple[Tensor, ...]:
            wanted = [d * g]
            if self.estimator == "controlled":
                wanted += [g, d]
            if error:
                wanted += [(d * g).square()]
            if error and self.estimator == "controlled":
                wanted += [d.square() * g, d.square()]
            return tuple(moment.sum(1) for moment in wanted)

        chunk = max(self.chunk, len(x)) if self.members else self.chunk  # blocks of rows stay whole
        return path_sums(model, x, y, self.background, index.to(x.device), alpha.to(x), moments, chunk)

    def _completed(self, model: nn.Module, x: Tensor, y: Tensor | None, phi: Tensor, spread: Tensor) -> Tensor:
        """phi with what it lacks of completeness shared out by variance."""
        with evaluating(model):
            mean = torch.cat([model(rows.to(x)) for rows in self.background.split(self.chunk)]).mean(0)
            scores = torch.cat([model(rows) for rows in x.split(self.chunk)])
        lack = select(scores - mean, y) - phi.flatten(1).sum(1)  # (B,)
        share = spread.square().flatten(1)
        share = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        return phi + (lack[:, None] * share).view_as(phi)

    def _draw(self, rows: int) -> tuple[Tensor, Tensor]:
        """Reference numbers and alphas (B, K)."""
        if self.members:
            draws = [member._draw(rows // len(self.members)) for member in self.members]
            starts = range(0, len(self.background), len(self.members[0].background))
            index = torch.cat([index + start for (index, _), start in zip(draws, starts, strict=True)])
            return index, torch.cat([alpha for _, alpha in draws])
        count, shape = len(self.background), (rows, self.k)
        if self.estimator == "independent":
            index = torch.randint(count, shape, generator=self.generator)
            return index, torch.rand(shape, generator=self.generator)
        # a window of one permutation, at a place of its own for each row: no reference twice in a row
        order = torch.randperm(count, generator=self.generator)
        start = torch.randint(count, (rows, 1), generator=self.generator)
        stratum = torch.rand(shape, generator=self.generator).argsort(1)
        alpha = (stratum + torch.rand(shape, generator=self.generator)) / self.k
        return order[(start + torch.arange(self.k)) % count], alpha

    def _summarise(self, x: Tensor, means: list[Tensor], drawn: int) -> tuple[Tensor, Tensor]:
        """phi and its standard error from the means over `drawn` pairs."""
        if self.estimator == "independent":
            phi, *squares = means
            if not squares:
                return phi, x.new_empty(0)
            if drawn == 1:
                return phi, torch.full_like(phi, torch.nan)
            return phi, ((squares[0] - phi.square()).clamp_min(0) / (drawn - 1)).sqrt()
        dg, g, d, *squares = means
        count = len(self.background) // len(self.mean)  # without replacement: the covariance of a finite population
        mean = self.mean.to(x).repeat_interleave(len(x) // len(self.mean), 0)  # (B, *F)
        lost = (count - self.k) / (drawn * (count - 1))  # of the covariance: the windows of `drawn` are independent
        phi = g * (x - mean) + 1 / (1 - lost) * (dg - d * g)
        if not squares:
            return phi, x.new_empty(0)
        dg2, d2g, d2 = squares
        residual = dg2 - 2 * g * d2g + g.square() * d2 - (dg - g * d).square()  # variance of d g - mean(g) d
        return phi, (residual.clamp_min(0) / (drawn - 1)).sqrt()

"""TOLD: what a saved model says of some rows, as a table and a figure.

Letters: N rows, *F features, O outputs.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import record
from ..data import Dataset
from ..record import machine
from ..record.setting import digest

TABLE, MANIFEST = "attributions.csv", "manifest.json"


@dataclass(frozen=True)
class Told:
    """Rows, scores and attributions, as a model gives them."""

    data: Dataset
    names: np.ndarray  # (N,)
    x: Tensor  # (N, *F)
    scores: Tensor  # (N, O)
    phi: Tensor  # (N, *F)
    error: Tensor  # (N, *F), empty where the attribution knows none
    offset: Tensor | float  # (N,), added to scores

    @property
    def values(self) -> Tensor:
        """x in the units of the features, where they have any."""
        if (scale := self.data.scale) is None:
            return self.x
        values = scale.centre + scale.spread * self.x
        return torch.where(values.abs() < 1e-6 * scale.spread, 0, values)  # what float32 leaves of a zero

    @property
    def unit(self) -> str:
        """What attributions are measured in."""
        classes = self.data.classes or ("0", "1")
        kinds = {"classes": "score of the predicted class", "binary": f"log-odds of {classes[-1]}"}
        return kinds.get(self.data.output, "unit of the outcome")

    @property
    def predictions(self) -> list[Any]:
        """The name of the predicted class, or the predicted value in its own unit."""
        if self.data.output == "regression":
            return self.explained.tolist()
        several = self.data.output == "classes"
        place = self.scores.argmax(1) if several else (self.scores.reshape(-1) > 0).long()
        return [self.data.classes[i] if self.data.classes else i for i in place.tolist()]

    @property
    def explained(self) -> Tensor:
        """The explained score (N,), of regression the outcome in its own unit."""
        score = self.scores.max(1).values + self.offset
        return score if self.data.outcome is None else self.data.outcome.centre + self.data.outcome.spread * score

    def tabulated(self) -> pd.DataFrame:
        """row, prediction, score, feature, value, attribution, standard_error: a line for each row and feature."""
        features = self.data.features or tuple(",".join(map(str, i)) for i in np.ndindex(self.data.shape))
        spread = 1.0 if self.data.outcome is None else float(self.data.outcome.spread)
        count = len(features)
        return pd.DataFrame(
            {
                "row": np.repeat(self.names, count),
                "prediction": np.repeat(np.array(self.predictions), count),
                "score": np.repeat(self.explained.numpy(), count),
                "feature": np.tile(np.array(features), len(self.names)),
                "value": self.values.flatten().numpy(),
                "attribution": spread * self.phi.flatten().numpy(),
                "standard_error": spread * self.error.flatten().numpy() if len(self.error) else np.nan,
            }
        )


def keep(folder: Path, told: Told, title: str, chosen: dict[str, Any]) -> None:
    """attributions.csv, the figure, and last manifest.json with what they were made from."""
    import matplotlib as mpl

    from ..figure import explained  # for a command that draws
    from ..figure.canvas import STYLE, save

    (folder / MANIFEST).unlink(missing_ok=True)
    table = told.tabulated()
    content = table.to_csv(index=False, float_format="%.7g").encode()
    record.write(folder / TABLE, content)
    with mpl.rc_context(STYLE):
        if len(told.data.shape) == 3:
            labels = [f"{name}: {said}" for name, said in zip(told.names, told.predictions, strict=True)]
            figure = explained.maps(told.values.numpy(), told.phi.numpy(), labels, title)
        else:
            figure = explained.bars(table, title, told.unit)
        save(figure, folder / "figure")
    files = {TABLE: digest(content)}
    manifest = {**chosen, "files": files, **machine.describe(str(told.data.train.x.device))}
    record.write(folder / MANIFEST, json.dumps(manifest, indent=1).encode())

"""EVENTS: the training curves of a run as TensorBoard reads them, made from its history.csv."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pandas as pd

from .setting import folder_name


def check_tensorboard() -> None:
    """Raises ValueError where it is not installed."""
    if find_spec("tensorboard") is None:
        raise ValueError("tensorboard=true needs the package tensorboard, found none: pip install tensorboard")


def write_events(history: Path, members: Sequence[Mapping[str, Any]]) -> None:
    """Event files beside a run's history, in place of older ones: a curve a column, a step an epoch.

    Each of `members`, if there are any, has a folder named by its labels. A training without a history has no curves.
    """
    from torch.utils.tensorboard import SummaryWriter  # an extra: imported where it is asked for

    for stale in history.parent.rglob("events.out.tfevents.*"):
        stale.unlink()
    table = pd.read_csv(history) if history.exists() else pd.DataFrame({"epoch": []})
    for member, part in table.groupby("member") if members else [(0, table)]:
        folder = history.parent / folder_name(members[cast(int, member)]) if members else history.parent
        curves = part.drop(columns="member", errors="ignore").set_index("epoch").select_dtypes("number")
        with SummaryWriter(folder) as writer:
            for name in curves:
                for epoch, value in zip(curves.index, curves[name], strict=True):
                    writer.add_scalar(str(name), value, epoch)

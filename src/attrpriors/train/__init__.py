"""TRAINER: minimises task loss + weight * prior.

trainer: one network; ensemble: many small ones at once; classical: what is no network.
"""

from .classical import Classical
from .ensemble import Ensemble
from .trainer import Trainer, task_loss

__all__ = ["Classical", "Ensemble", "Trainer", "task_loss"]

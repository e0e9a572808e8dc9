"""TRAINER: minimises task loss + weight * prior. trainer: one network; ensemble: many small ones at once."""

from .ensemble import Ensemble
from .trainer import Trainer, task_loss

__all__ = ["Ensemble", "Trainer", "task_loss"]

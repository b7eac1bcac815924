"""Training: fit runs the loop, checkpoints make runs that may be interrupted."""

from .checkpoints import Checkpoints, load_checkpoint, save_checkpoint
from .fit import evaluate, fit
from .history import History

__all__ = ["Checkpoints", "History", "evaluate", "fit", "load_checkpoint", "save_checkpoint"]

"""Training: fit runs the loop, checkpoints make runs that may be interrupted."""

from .checkpoints import Checkpoints, load_checkpoint, save_checkpoint

__all__ = ["Checkpoints", "load_checkpoint", "save_checkpoint"]

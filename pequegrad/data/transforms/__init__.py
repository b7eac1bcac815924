"""Transforms of images: `Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), Normalize(0.5, 0.5)])`.

Images are [channels, height, width], or a batch of them, [batch, channels, height, width]; NumPy arrays give NumPy arrays and Tensors
give Tensors (also traced ones), with the same values. Any function of an image can stand between them.

Random transforms draw a few numbers per image. In a DataLoader these follow from its seed, the epoch and the sample's index
alone, see randomness.py; outside from the transform's own `seed`, each call going on where the last one stopped.
"""

from .arrays import EvalAndDetach, Normalize, PermuteFromTo, ToTensor
from .base import Transform
from .color import ColorJitter
from .compose import Compose, JitCompose
from .geometry import CenterCrop, RandomCrop, RandomHorizontalFlip, Resize

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "EvalAndDetach",
    "JitCompose",
    "Normalize",
    "PermuteFromTo",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Resize",
    "ToTensor",
    "Transform",
]

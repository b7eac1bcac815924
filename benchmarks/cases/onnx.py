"""Inference with models that torch exported to ONNX; torch runs them as they were before."""

import functools

from . import case, normal, random

imported = functools.partial(
    case, group="onnx", contestants=("pequegrad", "onnxruntime", "torch"), targets=(("pequegrad", "onnxruntime", 1.0),)
)


def images(lib, batch):
    return lib.imported("resnet18"), lib.tensors(normal(random(), batch, 3, 224, 224))


@imported()
def onnx_resnet18(lib):
    """ResNet-18 on one image of 224x224."""
    return images(lib, 1)


@imported()
def onnx_resnet18_batch8(lib):
    """ResNet-18 on eight images."""
    return images(lib, 8)


@imported()
def onnx_gpt_block(lib):
    """A block of a GPT of width 512 with 8 heads, on 4 sequences of 256."""
    return lib.imported("gpt_block"), lib.tensors(normal(random(), 4, 256, 512))

"""The examples in the docstrings of nn run and give what they say; every public name has a docstring."""

import doctest
import importlib
import inspect

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn
from pequegrad.nn import functional as F

PARTS = """ctc init layer losses functional.activations functional.attention functional.images functional.linear functional.normalization
    functional.pooling functional.random functional.recurrent layers.activation layers.attention layers.containers layers.convolution
    layers.dropout layers.linear layers.normalization layers.pooling layers.recurrent layers.shape layers.transformer""".split()


@pytest.mark.parametrize("part", PARTS)
def test_examples(part):
    module = importlib.import_module(f"pequegrad.nn.{part}")
    layers = {name: value for name, value in [*vars(nn).items(), *vars(F).items()] if not inspect.ismodule(value)}
    names = {"pg": pg, "np": np, "F": F, "nn": nn} | layers | vars(module)
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner(verbose=False)
    for test in finder.find(module, extraglobs=names):
        assert runner.run(test).failed == 0, test.name


def test_every_public_name_is_explained():
    for namespace in (nn, F, nn.init, nn.losses):
        for name, value in vars(namespace).items():
            if not name.startswith("_") and callable(value) and value.__module__.startswith("pequegrad.nn"):
                assert inspect.getdoc(value), name

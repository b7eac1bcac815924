"""The README's Python blocks run as they are written, in order, in one namespace."""

import pathlib
import re

import pytest

import pequegrad as pg

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    namespace = {}
    for block in blocks:
        if "device.cuda" in block:
            with pytest.raises(pg.DeviceError):
                exec(block, namespace)
        else:
            exec(block, namespace)
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Tensor\(shape=\[5\], dtype=float32, device=CPU, evaled=0, primitive=Add, id=\d+\)", out[0])
    assert out[1] == "[1. 1. 1. 1. 1.]"
    assert "(32, 784, 3)" in out and out[-2].startswith("epoch 3, step 24, loss")
    assert re.fullmatch(r"\[(44.02\d+ ?){3}\]", out[-1])  # the values of the simulation in the last block
    assert (tmp_path / "runs" / "mlp.safetensors").exists()

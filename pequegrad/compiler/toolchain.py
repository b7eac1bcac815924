"""Stand-in: replaced by the real one when it lands."""

import os
import subprocess
import tempfile

from ..runtime import library

_known = {}
_ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "runtime")
FLAGS = "-O2 -ftree-vectorize -fvect-cost-model=dynamic -march=native -mprefer-vector-width=512 -fno-math-errno -fno-trapping-math -fopenmp-simd -ffp-contract=off -fno-strict-aliasing -fwrapv -fPIC -shared -w".split()


def build(functions):
    todo = {name: text for name, text in functions if name not in _known}
    if todo:
        folder = tempfile.mkdtemp()
        source, out = os.path.join(folder, "k.c"), os.path.join(folder, "k.so")
        with open(source, "w") as file:
            defines = "".join(f"#define pg_{n}_float32 {n}f\n#define pg_{n}_float64 {n}\n" for n in "exp exp2 expm1 log log1p cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc pow atan2 nextafter".split())
            file.write(defines + '#include "cpu/vector_math.h"\n#include "include/pequegrad_scalar.h"\n#include "include/pequegrad_special.h"\n' + "\n".join(todo.values()))
        subprocess.run(["gcc", *FLAGS, "-D_GNU_SOURCE", "-I", _ROOT, "-I", _ROOT + "/include", source, "-o", out, "-lmvec", "-lm"], check=True)
        code = library.Code(out)
        for name in todo:
            _known[name] = code.address(name), code
    return [_known[name] for name, _ in functions]

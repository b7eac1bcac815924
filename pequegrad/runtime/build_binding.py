"""Writes `_binding.py` from pequegrad.h, so that nothing is parsed at import. Run by make and setup.py.

python build_binding.py path/to/pequegrad.h path/to/_binding.py
"""

import contextlib
import os
import sys

import cffi

BEGIN, END = "/* cffi-begin */", "/* cffi-end */"


def declarations(header):
    """The lines between the two marks of the header: the only declaration of the ABI."""
    with open(header, encoding="utf-8") as file:
        text = file.read()
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def write_binding(header, target):
    ffi = cffi.FFI()
    ffi.cdef(declarations(header))
    ffi.set_source("_binding", None)
    temporary = f"{target}.{os.getpid()}"
    with contextlib.redirect_stdout(None):  # it would print the temporary name
        ffi.emit_python_code(temporary)
    os.replace(temporary, target)


if __name__ == "__main__":
    write_binding(*sys.argv[1:])

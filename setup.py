"""Builds the C runtime into the package; everything else is in pyproject.toml.

The wheel is py3-none-linux_x86_64: the library is plain C behind cffi's ABI mode and touches no CPython ABI.
"""

import os
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

ROOT = os.path.dirname(os.path.abspath(__file__))


class BuildRuntime(build_py):
    def run(self):
        super().run()
        build = os.path.join(ROOT, "build")
        subprocess.check_call(["make", "-C", os.path.join(ROOT, "runtime"), f"-j{os.cpu_count()}", f"BUILD={build}"])
        package = os.path.join(ROOT if self.editable_mode else self.build_lib, "pequegrad", "runtime")
        shutil.copy(os.path.join(build, "libpequegrad.so"), package)
        headers = os.path.join(ROOT, "runtime", "include")  # what generated code is compiled with
        shutil.copytree(headers, os.path.join(package, "include"), dirs_exist_ok=True)
        header = os.path.join(headers, "pequegrad.h")
        script = os.path.join(ROOT, "pequegrad", "runtime", "build_binding.py")
        subprocess.check_call([sys.executable, script, header, os.path.join(package, "_binding.py")])


class PlatformWheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True


setup(cmdclass={"build_py": BuildRuntime, "bdist_wheel": PlatformWheel}, distclass=WithLibrary)

"""`import jax` resolves to pequegrad.jax_api in programs that are run by `python -m pequegrad.jax_api`, and after install()."""

import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import sys
    import jax
    import jax.numpy as jnp
    from jax import numpy as also_jnp, tree_util
    from jax.tree_util import tree_map
    import jax.tree_util as tu
    import importlib.metadata
    import helper

    import pequegrad.jax_api
    assert jax is pequegrad.jax_api and sys.modules["jax"] is pequegrad.jax_api
    assert jax.numpy is jnp is also_jnp is pequegrad.jax_api.numpy is sys.modules["jax.numpy"]
    assert tree_util is tu is sys.modules["pequegrad.jax_api.tree_util"] and tree_map is tu.tree_map
    assert jnp.__name__ == jnp.__spec__.name == "pequegrad.jax_api.numpy"
    assert jax.__version__ == importlib.metadata.version("jax") == importlib.metadata.version("jaxlib")
    import jaxlib, jaxlib.version
    assert jaxlib.__version__ == jax.__version__ and tuple(map(int, jax.__version__.split("."))) == jax.__version_info__
    for name in ("jax._src.api", "jax.interpreters.pxla", "jaxlib.xla_client", "jax.convert", "jax.array", "jax.pytree"):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            assert error.name == name, error
        else:
            raise AssertionError(name)
    try:
        from jax._src import api
    except ImportError:
        pass
    else:
        raise AssertionError
    import jax._src.core
    assert jax._src.core.ShapedArray is jax.core.ShapedArray and jax._src.xla_bridge._backends and "jax._src" in sys.modules
    assert not hasattr(jax._src.core, "trace_ctx")
    assert __name__ == "__main__"
    print(sys.argv[1:], helper.x, float(jax.grad(lambda x: x * x)(3.0)), isinstance(jnp.asarray(1.0), jax.Array))
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "helper.py").write_text("x = 5\n")
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=100)


def test_a_script(script):
    done = run("-m", "pequegrad.jax_api", str(script), "--flag", "7")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['--flag', '7'] 5 6.0 True\n"


def test_install(script):
    code = f"import sys; sys.path.insert(0, {str(script.parent)!r}); import pequegrad.jax_api as j; j.install(); j.install()\n"
    done = run("-c", code + textwrap.dedent(SCRIPT))
    assert done.returncode == 0, done.stderr
    done = run("-c", "import jax, pequegrad.jax_api as j; j.install()")
    assert "RuntimeError" in done.stderr


def test_usage_and_errors(tmp_path):
    assert run("-m", "pequegrad.jax_api").returncode == 2
    assert "usage" in run("-m", "pequegrad.jax_api", "-h").stdout
    bad = tmp_path / "bad.py"
    bad.write_text("import jax\nraise SystemExit(3)\n")
    assert run("-m", "pequegrad.jax_api", str(bad)).returncode == 3


def test_importing_loads_little():
    """Time depends on what else the machine does; what is loaded does not."""
    code = "import sys, pequegrad.jax_api; print(*sys.modules)"
    loaded = run("-c", code).stdout.split()
    for name in (
        "optree",
        "ml_dtypes",
        "pequegrad.jax_api.numpy",
        "pequegrad.jax_api.lax",
        "pequegrad.jax_api.sharding",
    ):
        assert name not in loaded


def test_environment_variables_that_a_script_sets(tmp_path):
    """Before it imports jax, as programs do; and NumPy knows bfloat16 from then on."""
    path = tmp_path / "script.py"
    path.write_text(
        "import os\nos.environ['JAX_ENABLE_X64'] = '1'\nimport jax.numpy as jnp, numpy as np\n"
        "print(jnp.ones(3).dtype, jnp.dtype('bfloat16'), np.dtype('bfloat16'))\n"
    )
    done = run("-m", "pequegrad.jax_api", str(path))
    assert (done.returncode, done.stdout) == (0, "float64 bfloat16 bfloat16\n"), done.stderr

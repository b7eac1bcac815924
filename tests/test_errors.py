"""Bad input: each mistake has its own error class, and a message that says what, where and how to fix it."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn


def check(error, *words):
    text = str(error.value)
    for word in words:
        assert word in text, text
    assert "where: test_errors.py:" in text, text


def test_shapes_that_do_not_broadcast(tensor):
    with pytest.raises(pg.ShapeError) as e:
        tensor([1, 2, 3]) + tensor([1, 2])
    check(e, "add", "[3]", "[2]", "fix:")


def test_matrix_sizes_that_do_not_fit(tensor):
    with pytest.raises(pg.ShapeError) as e:
        tensor(np.ones((2, 3), "f4")) @ tensor(np.ones((2, 3), "f4"))
    check(e, "float32[2,3] @ float32[2,3]", "fix:")


def test_an_input_of_the_wrong_size_names_the_layer(tensor, device):
    with pytest.raises(pg.ShapeError) as e:
        nn.Linear(4, 2, device=device)(tensor([1.0, 2.0]))
    check(e, "Linear(4, 2)", "[2]", "size 4")


def test_reshape_and_axes(tensor):
    x = tensor(np.ones((2, 3)))
    for bad in (
        lambda: x.reshape(4, 2),
        lambda: x.reshape(-1, 4),
        lambda: x.sum(2),
        lambda: x.transpose(0, 0),
        lambda: x.squeeze(0),
    ):
        with pytest.raises(pg.ShapeError) as e:
            bad()
        check(e)
    with pytest.raises(pg.ShapeError, match="ragged|equally"):
        tensor([[1, 2], [3]])


def test_mixed_devices():
    a, b = pg.Tensor([1.0], device="cpu"), pg.Tensor([1.0], device="cpu:1")
    with pytest.raises(pg.DeviceMismatchError) as e:
        a + b
    check(e, "CPU", "CPU:1", ".to(device)")
    np.testing.assert_array_equal((a + b.to(a.device)).numpy(), [2])


def test_a_device_that_is_not_there():
    try:
        assert pg.device.cuda.handle
    except pg.DeviceError:
        pass
    else:
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(pg.DeviceError) as e:
        pg.Tensor([1.0]).to(pg.device.cuda)
    check(e, "cuda", "fix:")
    for make in (
        lambda: pg.Tensor([1.0], device="cuda"),
        lambda: pg.zeros(3, device="cuda").numpy(),
        lambda: pg.rand(2, device="cuda:1"),
    ):
        with pytest.raises(pg.DeviceError):
            make()
    pg.sync_cuda_device()  # nothing to wait for


def test_names_of_devices():
    assert pg.device("cuda:1") is pg.device.cuda(1) and pg.device("cpu") is pg.device.cpu
    for bad in ("tpu", "cuda:x", 3, None):
        with pytest.raises(pg.ArgumentError):
            pg.device(bad)
    with pytest.raises(pg.ArgumentError):
        pg.device.cuda(-1)


def test_unknown_dtypes(tensor):
    x = tensor([1.0])
    for bad in ("float31", "complex256", object, "U5"):
        with pytest.raises(pg.DtypeError) as e:
            x.astype(bad)
        check(e, "not a dtype", "float32")
    with pytest.raises(pg.DtypeError):
        tensor(["a"])


def test_dtypes_that_an_operation_does_not_take(tensor):
    x, i = tensor([1.0]), tensor(np.array([1]))
    for bad in (lambda: x & x, lambda: ~x, lambda: i**-1, lambda: x << 1):
        with pytest.raises(pg.DtypeError):
            bad()
    with pytest.raises(pg.DtypeError, match="integers"):
        tensor(np.ones((2, 3), "f4")).cross_entropy_loss_indices(tensor([1.0, 2.0]))


def test_reading_a_placeholder_names_the_argument_and_the_way_out(tensor):
    def step(batch, best):
        loss = batch.sum()
        if loss > best:
            return loss
        return best

    with pytest.raises(pg.TracerError) as e:
        pg.jit(step)(tensor([1.0]), tensor(0.0))
    check(e, "`if`", "jit", "argument `batch`", "step", "pg.where", "if loss > best")
    for read in (lambda x: x.numpy(), lambda x: float(x.sum()), lambda x: np.asarray(x), lambda x: x.eval()):
        with pytest.raises(pg.TracerError):
            pg.jit(read)(tensor([1.0]))


def test_statements_that_need_a_value_are_named(tensor):
    def loop(x):
        while x.sum() < 10:
            x = x * 2
        return x

    def checked(x):
        assert x.sum() > 0
        return x

    ways = {
        "`while`.*while_loop": loop,
        "`assert`.*debug=True": checked,
        "format.*debug_print": lambda x: f"{x:.3f}",
        "index.*fori_loop": lambda x: sum(range(x.sum().astype("int32"))),
        "index.*sizes": lambda x: pg.zeros(x.sum().astype("int32")),
    }
    for words, function in ways.items():
        with pytest.raises(pg.TracerError, match=f"(?s){words}"):
            pg.jit(function)(tensor([1.0]))
    assert pg.zeros(tensor(3, "int32")).shape == (3,)
    with pytest.raises(pg.DtypeError, match="float32"):
        pg.zeros(tensor(3.0))


def test_a_leaked_value_is_named(tensor):
    leaked = []

    @pg.jit
    def keep(x):
        leaked.append(x * 2.0)
        return x

    keep(tensor([1.0]))
    with pytest.raises(pg.TracerError, match=r"leaked out of jit of keep"):
        leaked[0].numpy()
    with pytest.raises(pg.TracerError, match=r"leaked out of jit of keep"):
        leaked[0] + 1.0
    with pytest.raises(pg.TracerError, match=r"leaked out of jit of keep"):
        pg.jit(lambda x: x + leaked[0])(tensor([1.0]))


def test_gradients_that_do_not_exist(tensor):
    x, i = tensor([1.0]), tensor(np.array([1]))
    with pytest.raises(pg.DtypeError, match="floating"):
        pg.grads([i], x.sum())
    with pytest.raises(pg.DtypeError, match="floating"):
        pg.grads([x], i.sum())
    with pytest.raises(pg.ArgumentError):
        pg.grads([np.ones(2)], x.sum())
    with pytest.raises(pg.GradientError, match="scalar"):
        pg.grad(lambda x: x * 2.0)(tensor([1.0, 2.0]))
    with pytest.raises(pg.ShapeError, match="cotangent"):
        pg.grads([x], x * 2.0, tensor([1.0, 2.0]))
    with pytest.raises(pg.ArgumentError, match="no argument 1"):
        pg.fngrad(lambda x: x.sum(), wrt=[1])(x)


def test_indices(tensor):
    x = tensor(np.arange(6.0).reshape(2, 3))
    for bad in (lambda: x[2], lambda: x[0, 3], lambda: x[0, 0, 0], lambda: x["a"], lambda: x[1.5], lambda: x[..., ...]):
        with pytest.raises(pg.IndexingError):
            bad()
    with pytest.raises(pg.ShapeError, match="does not fit"):
        x[0] = np.ones(2)


def test_out_of_memory_is_an_exception_and_the_process_goes_on(device):
    with pytest.raises(pg.OutOfMemoryError) as e:
        (pg.zeros((1 << 45,), device=device) + 1.0).eval()
    check(e, "bytes", "fix:")
    assert pg.ones(3, device=device).sum().item() == 3


def test_memory_limit(device):
    import gc

    gc.collect()
    pg.empty_cache(device)
    before = pg.memory_stats(device)
    try:
        pg.set_memory_limit(before["in_use"] + (16 << 20), device)
        kept = pg.rand((1 << 20,), device=device).eval()
        with pytest.raises(pg.OutOfMemoryError, match="limit"):
            pg.rand((1 << 23,), device=device).eval()
        assert kept.shape == (1 << 20,)
        del kept
        assert pg.rand((1 << 20,), device=device).eval().evaled
    finally:
        pg.set_memory_limit(before["limit"], device)


def test_optimiser_and_module_arguments(device):
    model = nn.Linear(2, 1, device=device)
    with pytest.raises(pg.ArgumentError, match="no parameters"):
        pg.optim.Adam([])
    adam = pg.optim.Adam(model.parameters())
    with pytest.raises(pg.ArgumentError, match="1 gradients for 2"):
        adam.step([model.weight])
    with pytest.raises(pg.ShapeError, match="gradient 0 has shape"):
        adam.step([model.bias, model.weight])
    for bad in (
        lambda: nn.Dropout(1.0),
        lambda: nn.Linear(0, 1),
        lambda: nn.Sequential(1),
        lambda: pg.optim.SGD(model.parameters(), -1),
    ):
        with pytest.raises(pg.ArgumentError):
            bad()


def test_jit_arguments(tensor):
    with pytest.raises(pg.ArgumentError, match="static"):
        pg.jit(lambda x, mode: x)(tensor([1.0]), "train")
    with pytest.raises(pg.ArgumentError, match="hashable"):
        pg.jit(lambda x, mode: x, static_argnums=1)(tensor([1.0]), [1])
    with pytest.raises(pg.ArgumentError, match="function"):
        pg.jit(3)
    with pytest.raises(pg.ArgumentError, match="returned"):
        pg.jit(lambda x: "text")(tensor([1.0]))

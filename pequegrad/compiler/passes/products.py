"""Products: a transpose in front of dot_general is said by its axis numbers instead; the runtime reads any strides."""

from .rewriting import local_pass


def absorb_transposes(b, spec, inputs):
    """dot_general(transpose(x), y) is one of x, if the free axes of x keep their order."""
    contract, batch, made = list(spec.params["contract"]), list(spec.params["batch"]), list(inputs)
    for i, x in enumerate(inputs):
        if x.spec.primitive.name != "transpose":
            continue
        permutation = x.spec.params["permutation"]
        paired = contract[i] + batch[i]
        free = [p for axis, p in enumerate(permutation) if axis not in paired]
        if free == sorted(free):
            made[i] = x.inputs[0]
            contract[i] = tuple([permutation[axis] for axis in contract[i]])
            batch[i] = tuple([permutation[axis] for axis in batch[i]])
    if all(x is y for x, y in zip(made, inputs)):
        return None
    params = {**spec.params, "contract": tuple(contract), "batch": tuple(batch)}
    return b.make(spec.primitive, *made, **params)


RULES = {"dot_general": [absorb_transposes]}
products = local_pass(RULES)

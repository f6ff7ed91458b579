"""Training on one device and on several, as a script for a process of its own, which divides the processor into devices.

Arguments: the folder of a checkpoint, a folder to write into. The backend is that of the environment.
"""

import os
import sys
from pathlib import Path

DEVICES = {"tensorflow": 2, "jax": 4}
BACKEND = os.environ["KERAS_BACKEND"]
if BACKEND == "tensorflow":
    import tensorflow as tf

    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
else:
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
    sys.modules["tensorflow"] = None  # type: ignore[assignment]

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import bert_tf  # noqa: E402
from bert_tf.backends import devices  # noqa: E402

GOOD = ["good", "really good and sturdy", "lovely thing, works well every day", "great, would buy it again"]
BAD = ["bad", "really bad and flimsy", "awful thing, broke down the first day", "poor, went straight back"]
REVIEWS = {"text": (GOOD + BAD) * 3, "label": (["positive"] * 4 + ["negative"] * 4) * 3}
WEIGHTED = {"positive": 1.0, "negative": 3.0}


def main(checkpoint: str, out: Path) -> None:
    count = DEVICES[BACKEND]
    trains_the_same(checkpoint, out, count)
    searches(checkpoint, out, count)
    refused(count)
    each_its_own(out)


def trains_the_same(checkpoint: str, out: Path, count: int) -> None:
    one, several = (trained(checkpoint, out / str(n), devices=n) for n in (1, "all"))
    assert places(one.model) == 1
    assert places(several.model) == count
    for name, values in one.history.items():
        np.testing.assert_allclose(several.history[name], values, rtol=1e-4, err_msg=name)
    for ours, theirs in zip(one.model.weights, several.model.weights, strict=True):
        np.testing.assert_allclose(values_of(theirs), values_of(ours), atol=2e-4, err_msg=ours.path)


def searches(checkpoint: str, out: Path, count: int) -> None:
    if BACKEND == "tensorflow":
        with pytest.raises(ValueError, match="A search on several devices needs JAX .* Received: devices=2"):
            bert_tf.search(REVIEWS, devices=count, output_dir=out / "search")
        return
    searched = bert_tf.search(
        REVIEWS, REVIEWS, checkpoint=checkpoint, output_dir=out / "search", devices=count, max_trials=1, epochs=1, unfreeze=1,
        batch_size=7, max_length=16, cache_dir=out / "cache", report=False, verbose=0, precision="float32",
    )  # fmt: skip
    assert places(searched.model) == count


def trained(checkpoint: str, folder: Path, **options):
    """A head solved on features, then layers trained on batches of 7 texts, the last of 3: neither is divided evenly."""
    return bert_tf.finetune(
        REVIEWS, REVIEWS, checkpoint=checkpoint, output_dir=folder, unfreeze=1, epochs=2, batch_size=7, learning_rate=1e-3,
        clip=0.1, class_weight=WEIGHTED, max_length=16, cache="memory", report=False, verbose=0, precision="float32",
        dropout=0.0 if BACKEND == "tensorflow" else None, **options,
    )  # fmt: skip


def places(model) -> int:
    """On how many devices the weights of a model are."""
    value = model.classifier.kernel.value
    return len(getattr(value, "values", [value])) if BACKEND == "tensorflow" else len(value.sharding.device_set)


def values_of(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"sees {count} devices here: .* Received: devices={count + 1}"):
        bert_tf.finetune(REVIEWS, devices=count + 1, output_dir="nowhere")


def each_its_own(folder: Path) -> None:
    """What the workers of a search do, in one process instead of several."""
    with devices.own_device(folder) as first, devices.own_device(folder) as second:
        assert first != second
        variable = keras.Variable([1.0])
        value = variable.value
        place = value.device if BACKEND == "tensorflow" else next(iter(value.sharding.device_set))
        assert str(place).lower().replace("_", ":").endswith(second.lower().replace("_", ":")), (place, second)
    with devices.own_device(folder) as again:
        assert again == first


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
    print("same on several devices")

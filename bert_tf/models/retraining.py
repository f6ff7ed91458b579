"""A compiled model whose layers are frozen or unfrozen afterwards."""

import warnings

import keras

from bert_tf.models.checks import metric_list
from bert_tf.models.keras_internals import set_untracked, teach


class FollowsFreezing:
    """Trains what is trainable when `fit` is called, and warns where that is not what was trainable at `compile`.

    Keras 3 goes by the first `fit` after `compile`, in silence: a base unfrozen later stays as it is.
    """

    def compile(self, *args, **kwargs):
        """Compiles as `keras.Model.compile`; `metrics` may be a single one."""
        lists = {name: metric_list(kwargs[name]) for name in ("metrics", "weighted_metrics") if name in kwargs}
        super().compile(*args, **{**kwargs, **lists})  # type: ignore[misc]
        set_untracked(self, "_compiled_for", self._trained_now())

    # Keras needs these with an overridden `compile`, to compile a model loaded from a .keras file.
    def get_compile_config(self):
        return super().get_compile_config()  # type: ignore[misc]

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _trained_now(self) -> frozenset[int]:
        return frozenset(id(variable) for variable in self.trainable_variables)  # type: ignore[attr-defined]

    def make_train_function(self, force=False):
        now, before = self._trained_now(), getattr(self, "_compiled_for", None)
        if before is not None and now != before:
            warnings.warn(
                f"Layers were {'frozen' if now < before else 'unfrozen'} since `compile`: {len(now)} weights are trained now, "
                f"{len(before)} were. `fit` trains what is trainable now; transformers 4 went by `compile`. Compile again "
                "after freezing or unfreezing, and this warning goes.",
                stacklevel=3,
            )
            teach(self.optimizer, self.trainable_variables)  # type: ignore[attr-defined]
            set_untracked(self, "_compiled_for", now)
            force = True
        return super().make_train_function(force)  # type: ignore[misc]

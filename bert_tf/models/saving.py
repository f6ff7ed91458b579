"""How models are written and read besides Hugging Face folders: Keras' weight files of any name, and SavedModels."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import ops

from bert_tf.checkpoints import folder
from bert_tf.checkpoints.weights import is_legacy, written_by_transformers

WHOLE_MODELS = (".keras", ".h5", ".hdf5")
KERAS_WEIGHTS = (".weights.h5", ".weights.json", ".keras")


class KerasFiles:
    """`save_weights`, `load_weights`, `save` and `export` with the names and formats that transformers 4 allowed too."""

    def save_weights(
        self, filepath: str | os.PathLike, overwrite: bool = True, save_format=None, options=None, **kwargs
    ):
        """Saves the weights as Keras does, to a file of any name.

        Args:
            filepath: its name; Keras' own rule, that it ends in ".weights.h5", does not hold here.
            overwrite: bool, whether an existing file is replaced; else Keras asks.
            save_format, options: ignored: the format is Keras' one.
            **kwargs: those of `keras.Model.save_weights`.
        """
        file = Path(filepath)
        if file.name.endswith(KERAS_WEIGHTS) or kwargs:
            return super().save_weights(filepath, overwrite=overwrite, **kwargs)  # type: ignore[misc]
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file}: exists. Choose another name, or overwrite=True.")
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".saving-") as scratch:
            written = Path(scratch) / "new.weights.h5"
            super().save_weights(written)  # type: ignore[misc]
            os.replace(written, file)
        return None

    def load_weights(self, filepath: str | os.PathLike, *args, **kwargs):
        """Loads weights that `save_weights` wrote, here, by Keras 3 or by transformers 4 (`x.h5`, read by names).

        Args:
            filepath: the file.
            *args, **kwargs: those of `keras.Model.load_weights`.
        Raises: ValueError for a TensorFlow checkpoint, or a file whose tensors do not fit.
        """
        file = Path(filepath)
        if file.name.endswith(KERAS_WEIGHTS):
            return super().load_weights(filepath, *args, **kwargs)  # type: ignore[misc]
        if not file.is_file():
            if file.with_name(f"{file.name}.index").is_file():
                raise ValueError(
                    f"{file}: a TensorFlow checkpoint, which Keras 3 does not read. Load it with transformers 4 and save it "
                    "there: model.save_pretrained(folder), then from_pretrained(folder) here."
                )
            raise FileNotFoundError(f"{file}: no such file of weights.")
        if written_by_transformers(file, self.base_model_prefix):  # type: ignore[attr-defined]
            folder.load_weights(self, file.parent, file=file.name)
            return None
        if is_legacy(file):
            return super().load_weights(filepath, *args, **kwargs)  # type: ignore[misc]
        with tempfile.TemporaryDirectory() as scratch:  # Keras goes by the end of the name
            named = Path(scratch) / "of.weights.h5"
            try:
                named.symlink_to(file.resolve())
            except OSError:  # not allowed on every system
                shutil.copyfile(file, named)
            return super().load_weights(named, *args, **kwargs)  # type: ignore[misc]

    def save(self, filepath: str | os.PathLike, overwrite: bool = True, save_format=None, **kwargs) -> None:
        """Saves the whole model: "x.keras" as `keras.Model.save` does, a folder "x" as a SavedModel, as `export` does.

        Args:
            filepath: its end decides.
            overwrite: bool, whether an existing file is replaced.
            save_format: ignored, but "tf" is a SavedModel whatever the name.
            **kwargs: those of `keras.Model.save`.
        """
        if save_format == "tf" or not str(filepath).endswith(WHOLE_MODELS):
            for name in ("include_optimizer", "signatures", "options", "save_traces"):
                kwargs.pop(name, None)
            self.export(filepath, **{"verbose": False, **kwargs})
        else:
            super().save(filepath, overwrite=overwrite, **kwargs)  # type: ignore[misc]

    @property
    def input_signature(self) -> dict:
        """What an exported model takes: name -> `tf.TensorSpec`, int32 `(B, T)` of any B and T."""
        return self._specs("int32")

    def _specs(self, dtype: str) -> dict:
        import tensorflow as tf

        names = ["input_ids", "attention_mask"]
        if self.encoder.embeddings.token_type_embeddings is not None:  # type: ignore[attr-defined]
            names.append("token_type_ids")
        return {name: tf.TensorSpec((None, None), dtype, name=name) for name in names}

    @property
    def serving(self) -> Any:
        """The model as a `tf.function` of a dict, for `tf.saved_model.save(model, folder, signatures=model.serving)`."""
        import tensorflow as tf

        return tf.function(self._served, input_signature=[self.input_signature])

    # What `tf.saved_model.save(model, folder)` takes as `serving_default`, and with it TFLite's converter and TF Serving.
    _default_save_signature = serving

    def _served(self, inputs: Mapping) -> Any:
        """Returns what the exported model does: hidden states and attentions, if the config asks for them, are one tensor each."""
        inputs = {name: ops.cast(value, "int32") for name, value in inputs.items()}
        output = self(inputs, training=False)  # type: ignore[operator]
        if not hasattr(output, "items"):  # return_dict=False
            return tuple(ops.stack(value) if isinstance(value, tuple) else value for value in output)
        fields = {name: ops.stack(value) if isinstance(value, tuple) else value for name, value in output.items()}
        return type(output).__bases__[0](**fields)

    def export(self, filepath, *args, format="tf_saved_model", input_signature=None, verbose=None, **kwargs):
        """Exports as `keras.Model.export`. By default a SavedModel with `serving_default` (also `serve`) and `int64_serving`.

        They take a dict of `input_ids`, `attention_mask` and, where the model has them, `token_type_ids`, int32 and int64
        `(B, T)` of any B and T, and return what a call does.
        """
        if format != "tf_saved_model" or input_signature is not None or args or keras.backend.backend() != "tensorflow":
            if input_signature is None:
                names = list(self._specs("int32"))
                input_signature = [
                    {name: keras.InputSpec(dtype="int32", shape=(None, None), name=name) for name in names}
                ]
            return super().export(
                filepath, *args, format=format, input_signature=input_signature, verbose=verbose, **kwargs
            )  # type: ignore[misc]
        archive = keras.export.ExportArchive()
        archive.track(self)
        archive.add_endpoint("serve", self._served, input_signature=[self._specs("int32")])
        archive.add_endpoint("int64_serving", self._served, input_signature=[self._specs("int64")])
        archive.write_out(str(filepath), verbose=True if verbose is None else verbose)
        return None

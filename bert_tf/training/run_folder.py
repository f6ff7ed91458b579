"""The output folder of a run: what may be written where, what is resumed, what is replaced."""

import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bert_tf.checkpoints.folder import replacing_files
from bert_tf.data import vocabulary
from bert_tf.evaluation.blend import Blend, save_blend
from bert_tf.files import START_ANEW, changed, read_json, write_json

RUN = "run.json"  # the settings of a run; written first: a folder that has it is a run
ANOTHER = "Choose another `output_dir`."


class RunFolder:
    """An output folder.

    Args:
        path: of the folder.
        outputs: names of the files and folders that the run leaves in it; the last one says that the run is finished.
        overwrite, resume: bool, what to do if the folder holds a run.
    Attributes:
        notes: dict, what run.json holds beside the settings and does not decide a result.
        resumed: bool, whether the run had been started before.
    """

    def __init__(self, path: str | Path, outputs: Sequence[str], overwrite: bool, resume: bool):
        self.path = Path(path).expanduser()
        self.outputs, self.overwrite, self.resume = outputs, overwrite, resume
        self.notes: dict[str, Any] = {}
        self.resumed = False

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def existing(self, names: Sequence[str]) -> list[Path]:
        """Returns those files and folders of the run that there are."""
        return [self / name for name in names if (self / name).exists()]

    @property
    def is_run(self) -> bool:
        return (self / RUN).is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds a run, of whatever command, that has come to its end."""
        try:
            *_, last = read_json(self / RUN)["outputs"]
        except (OSError, ValueError, KeyError):  # damaged, or of an early version
            last = self.outputs[-1]
        return self.is_run and (self / Path(last).name).is_file()

    def check(self, sources: Sequence[Any]) -> None:
        """Raises ValueError or FileExistsError if the run may not be written here, or not in the way asked for.

        Args:
            sources: what the run reads; none of it may lie in a folder that is to be replaced.
        """
        if self.overwrite and self.resume:
            raise ValueError("`overwrite` and `resume` exclude each other.")
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path}: is a file. {ANOTHER}")
        names = [source if isinstance(source, (str, Path)) else getattr(source, "source", "") for source in sources]
        for name in filter(None, names) if self.overwrite else ():
            if self.path.resolve() in Path(name).resolve().parents:
                raise ValueError(f"{name}: is inside the output folder that overwrite would delete. {ANOTHER}")
        if self.is_run and not (self.overwrite or self.resume):
            resume = "" if self.is_finished else " resume it with resume=True (--resume),"
            raise FileExistsError(
                f"{self.path}: holds another run. Start anew with overwrite=True (--overwrite),{resume} or choose another "
                "`output_dir`."
            )
        if not self.is_run and self.path.is_dir() and any(self.path.iterdir()):
            raise FileExistsError(f"{self.path}: holds files that are not a run of bert_tf. {ANOTHER}")
        if self.resume and self.is_finished:
            raise FileExistsError(
                f"{self.path}: this run is finished. Start anew with overwrite=True (--overwrite), or choose another "
                "`output_dir`."
            )

    def check_resumable(self, settings: dict) -> None:
        """Raises ValueError if the run that would be resumed has other settings."""
        if not (self.resume and self.is_run):
            return
        before = read_json(self / RUN, START_ANEW)
        same_by_content = ("train", "validation", "test", "checkpoint")  # the fingerprints say what is in them
        if others := changed(before, settings, same_by_content):
            raise ValueError(
                f"{self.path}: cannot be resumed with other settings: {others}. Give the same ones, or "
                "overwrite=True (--overwrite)."
            )

    def start(self, settings: dict) -> None:
        """Makes the folder a run; empties it first of an earlier one, unless that is resumed."""
        self.resumed = self.resume and self.is_run
        if self.resumed:
            return
        if self.overwrite and self.is_run:
            try:
                earlier = read_json(self / RUN).get("outputs", ())
            except ValueError:  # damaged
                earlier = ()
            for name in {*self.outputs, *earlier}:
                path = self / Path(name).name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self / RUN, {**settings, **self.notes, "outputs": [*self.outputs]})

    def contents(self) -> str:
        """Returns where the results are and what they are called, for the terminal."""
        return f"In {self.path}/:\n  " + ", ".join(name for name in self.outputs if (self / name).exists())

    def save_model(self, model, tokenizer, blend: Blend | None = None, kept_pieces: Any = None) -> None:
        """Writes the model, its tokenizer, its second part and, of a trimmed vocabulary, which pieces it keeps; they replace an earlier model when all is written."""
        with replacing_files(self / "model") as scratch:
            model.save_pretrained(scratch)
            tokenizer.save_pretrained(scratch)
            if blend is not None:
                save_blend(blend, scratch)
            if kept_pieces is not None:
                write_json(scratch / vocabulary.MAP, {"kept": kept_pieces.tolist()})


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of packages, of Python and of Keras' backend."""
    import keras

    backend = keras.backend.backend()
    installed = {"python": platform.python_version()} | {name: version(name) for name in packages}
    return installed | {backend: getattr(sys.modules.get(backend), "__version__", "?")}

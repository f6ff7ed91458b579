"""The whole job in one call: labelled texts and a checkpoint in, a fine-tuned classifier and its record out."""

import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from bert_tf import terminal
from bert_tf.backends.backend import epochs_in_one_call
from bert_tf.backends.devices import spread
from bert_tf.backends.epochs import wants_epochs_only
from bert_tf.data.examples import remarks_of
from bert_tf.evaluation.blend import train_blend
from bert_tf.evaluation.history import write_history
from bert_tf.files import write_json
from bert_tf.formatting import format_value
from bert_tf.options import Command, with_options
from bert_tf.settings import FINETUNE, Settings
from bert_tf.training import keeping, learning_rate, recipe, run_report, shown, stages, testing
from bert_tf.training.backup import Backup
from bert_tf.training.board import board
from bert_tf.training.finetuned import Finetuned
from bert_tf.training.job import Say, prepare
from bert_tf.training.loop import train as train_model
from bert_tf.training.optimizer import compile_model
from bert_tf.training.run import Run
from bert_tf.training.run_folder import RUN, RunFolder
from bert_tf.training.teacher import Teacher
from bert_tf.training.tracking import numbers_of, tracked
from bert_tf.training.vocabulary import trimmed

OUTPUTS = ("report.html", "model", "history.csv", "curves.png", "tensorboard", "state", RUN, "metrics.json")
TRACKED = ("report.html", "curves.png", "history.csv", "metrics.json", "model")

# Training that cannot last so long is not begun, in multiples of the time that stage 1 took: compiling takes about a third of that,
# some steps and a validation the rest. On 2,000 app reviews and two cores a budget of a minute leaves 0.6 to 1.1.
LEAST_TRAINING = 0.5
LEAST_BLEND_GAIN = 0.001  # nats: a second part that gains less is not worth carrying


@with_options(FINETUNE)
def finetune(
    train: Any,
    validation: Any = None,
    *,
    test: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback = (),
    started: float | None = None,
    settings: Settings,
) -> Finetuned:
    """Fine-tunes a checkpoint on labelled texts and keeps the best model.

    By default in two stages (`recipe="auto"`). First the head is solved on the frozen base, in
    seconds, and the model saved. Then all layers are trained for three epochs, or as long as a
    `budget` allows, from a head solved on the last layer alone. Of these epochs the last one is kept, where the learning
    rate has fallen to 0; the best one if it has not (`schedule="constant"`, or stopped early). The better of both stages is
    kept, judged by the validation texts after calibration, and its probabilities are calibrated.
    `unfreeze=0` stops after the first stage; with `epochs` it trains the head by epochs instead, and keeps the best one.

    Frozen layers run once per text, without dropout; their output is kept for all epochs and
    later runs. With `cache=False` they run in every epoch with dropout, as in plain `model.fit`
    and in transformers 4.

    Leaves in `output_dir`: report.html, model/ (a Hugging Face folder with tokenizer and model
    card), history.csv, metrics.json, curves.png, tensorboard/. Nothing is written before data
    and checkpoint have been read and checked.

    Args:
        train, validation: a source that `bert_tf.read_examples` reads (path,
            `"tfds:NAME@SPLIT"`, DataFrame, dict of lists, pair). Without `validation`,
            `validation_share` of the training texts is held out, stratified.
        test: a source of texts that nothing is chosen by: they are classified once, by the
            model that is kept.
        started: float, the `time.monotonic()` that `budget` counts from; None = now.
        callbacks: Keras callbacks, one or several, beside those that keep the best weights, the
            history and the TensorBoard logs. What they add to the logs goes into the history;
            `resume` does not restore a state of their own.
        {options}
    Returns: `Finetuned`.
    Raises: ValueError, TypeError, FileNotFoundError or FileExistsError that says what is wrong
        and what to do.

    >>> from bert_tf.data.readers import demo_reviews
    >>> run = finetune(*demo_reviews(), epochs=1, output_dir="runs/demo")  # doctest: +SKIP
    """
    with spread(settings.compute.devices):
        return carry_out(read(train, validation, test, settings=settings, started=started), callbacks)


def carry_out(
    run: Run,
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback,
    measure: Callable[[Run, dict[str, Any]], dict[str, Any]] = lambda run, metrics: {},
) -> Finetuned:
    """Trains, keeps the best model, measures it and reports.

    Args:
        measure: more to measure of the model that is kept, `(run, metrics) -> more for metrics.json`.
    """
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    with tracked(run.asked.tracking.track, run.folder, run.recorded, run.verbose) as tracker:
        inputs = _train(run, [*given, *tracker.callbacks()])
        metrics, said = _finish(run, inputs, measure)
        tracker.results(numbers_of(metrics), run.folder.existing(TRACKED))
    for line in [*said, *filter(None, [tracker.where])]:
        run.say(line)
    run.say(run.folder.contents())
    return Finetuned(run.job.model, run.job.tokenizer, run.backup.history, metrics, run.folder.path, run.blend)


def _finish(
    run: Run, inputs: Any, measure: Callable[[Run, dict[str, Any]], dict[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Keeps the best model, measures it and reports; returns the content of metrics.json, and what there is to say."""
    metrics, kept = keeping.keep(run, inputs)
    if run.test is not None:
        metrics["test"] = testing.measure(run.test, run.job, run.job.model, run.blend, run.asked.slices.by)
        run.say(testing.sentence(metrics["test"]))
    metrics |= measure(run, metrics)
    write_json(run.folder / "metrics.json", metrics)  # the run is finished
    shutil.rmtree(run.backup.folder, ignore_errors=True)
    if not run.asked.output.report:
        return metrics, run_report.never_predicted(run.job, kept)
    with terminal.Bar("Writing the report", None):
        metrics |= keeping.report(run, kept, metrics)
    return metrics, run_report.verdicts(metrics)


def read(
    train: Any,
    validation: Any,
    test: Any,
    *,
    settings: Settings,
    started: float | None = None,
    command: Command = FINETUNE,
    teacher: Teacher | None = None,
) -> Run:
    """Reads and checks everything; writes nothing.

    Args:
        command: whose options `settings` are.
        teacher: see `bert_tf.training.job.prepare`.
    """
    started = time.monotonic() if started is None else started
    output = settings.output
    say: Say = terminal.say if output.verbose else (lambda _: None)
    folder = RunFolder(output.output_dir or "", OUTPUTS, output.overwrite, output.resume)
    unlabelled = teacher.unlabelled if teacher else None
    folder.check(sources=(str(settings.model.checkpoint), train, validation, test, unlabelled))
    job = prepare(train, validation, settings=settings, say=say, teacher=teacher)
    test = testing.read_test(test, job.train, settings.data, settings.slices.by, job.validation)
    if settings.model.vocabulary == "trimmed":
        job = trimmed(job, test, say)
    for remark in remarks_of(test):
        say(remark)
    if teacher and (left := teacher.leave_out([*job.validation.texts, *(test.texts if test else ())])):
        say(f"{left:,} texts without labels are left out: they are among the validation or test texts.")
    model, training, unfreeze = job.model, job.settings.training, job.settings.model.unfreeze
    if training.blend and not job.task.blends:
        raise ValueError(
            f"`blend` mixes probabilities of one class a text. Received: blend=True (--blend) for {job.task.name}"
        )
    recipe.check_budget(settings, job.staged)
    recipe.check_blend(settings, job.solves and unfreeze == 0)
    say(job.describe())
    if training.epochs is None:
        if unused := [f"`{name}`" for name in recipe.unused(settings)]:
            say(
                f"The head is solved, not trained by epochs, so {', '.join(unused)} will do nothing. `epochs` asks for epochs."
            )
    elif warning := learning_rate.warning(training.learning_rate or 0.0, training.optimizer or "", unfreeze or 0):
        say(warning)
    recorded = {
        **command.recorded(job.settings),
        **job.recorded(),
        "dropout": float(model.dropout.rate),
        "features": job.feature_dtype(model),
    }
    # An unknown optimizer fails here, before the long work.
    compile_model(model, training, job.texts_to_learn, loss=job.loss, metrics=job.metrics)
    folder.check_resumable(recorded)
    monitor = stages.MONITOR if job.staged else "val_loss"
    backup = Backup(folder / "state", monitor, early_stopping=training.early_stopping)
    return Run(job, test, settings, command, recorded, folder, backup, say, started)


def _prepare(run: Run) -> tuple[Any, np.ndarray | None]:
    """Computes the features and the head, and saves the model if it is of use already; returns the inputs of the trained part,
    None if there is none, and if the head was solved what it sees, `stages.standardised_rows`."""
    job, model, began, rows = run.job, run.job.model, time.monotonic(), None
    if job.teacher:
        job.ask_teacher(run.verbose, run.say)
    if job.solves:
        rows = stages.standardised_rows(job, run.verbose, run.say)
        with terminal.Bar("Solving the head", None):
            head, logits = stages.solve_head(job, rows)
        stages.give_head(model, head)
    else:
        job.adapt(run.verbose, run.say)
    inputs: Any = job.inputs(model, run.verbose, run.say) if run.training.epochs else None
    if job.staged and not job.solves:
        logits = job.logits(model, inputs, run.training.texts_per_step)
    run.seconds["features and solved head" if job.solves else "features of the frozen layers"] = (
        time.monotonic() - began
    )
    run.folder.start(run.recorded)  # once: with overwrite it empties the folder
    if job.staged:
        _save_first(run, logits)
    hinted = run.verbose and run.asked.output.report  # whoever reads neither need not wait for it
    if job.solves and job.task.blends and not run.training.epochs and (run.training.blend or hinted):
        _blend(run, head.held_out)
    return inputs, rows


def _train(run: Run, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
    """Prepares and trains; returns the inputs of the trained part, None if nothing was trained by epochs."""
    inputs, rows = _prepare(run)
    if inputs is None:
        return None
    if _too_late(run) and not run.backup.epochs_saved:
        return None
    began = time.monotonic()
    if rows is not None:
        stages.give_head(run.job.model, stages.starting_head(run.job, rows))
        del rows  # as large as the features, which are not always in memory
    _fit(run, inputs, callbacks)
    run.seconds["training"] = time.monotonic() - began
    return inputs


def _fit(run: Run, inputs: Any, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Trains the layers: whole epochs in one call, if the head alone is trained and nothing has to happen between its steps."""
    job, model, training = run.job, run.job.model, run.training
    size, seed = training.texts_per_step, training.seed
    verbose = 0 if shown.is_ours(run.asked.output.verbose) else run.asked.output.verbose
    alone = not (job.staged or training.micro_batch_size) and all(map(wants_epochs_only, callbacks))
    in_one = epochs_in_one_call(inputs) if alone else None
    compiled: list[Any] = [None, None]

    def compile(micro_batches: int) -> None:
        schedule = compile_model(model, training, job.texts_to_learn, micro_batches, job.loss, job.metrics)
        compiled[:] = schedule, in_one(model, *job.splits(inputs)) if in_one and micro_batches == 1 else None

    def write(epoch: int, logs: Any) -> None:
        write_history(run.folder / "history.csv", run.backup.history)

    def fit(first_epoch: int, micro_batches: int) -> None:
        if first_epoch and _too_late(run):
            return
        schedule, epochs = compiled
        # after the backup, which has the epochs before a restart
        files = keras.callbacks.LambdaCallback(on_epoch_end=write)
        staged = _staged(run, inputs, schedule, micro_batches) if job.staged else []
        every = [*callbacks, *staged, run.backup, files, board(run.folder / "tensorboard")]
        steps = micro_batches * -(-job.texts_to_learn // size)
        with shown.training(run, steps, _epochs(run), first_epoch, staged) as lines:
            every += lines
            if epochs is not None:
                epochs.fit(size, seed, _epochs(run), first_epoch, every, verbose)
                return
            how: dict[str, Any] = {"callbacks": every, "verbose": verbose, "epochs": _epochs(run)}
            job.fit(model, inputs, size, seed, first_epoch, micro_batches, validate=not job.staged, **how)

    train_model(model, training, compile, fit, run.backup, run.say, until=_epochs(run))
    if run.backup.epochs_done < _epochs(run) and (why := run.backup.why_stopped):
        run.say(f"Stopped after epoch {run.backup.epochs_done}: {why}.")


def _too_late(run: Run) -> bool:
    """Returns whether a budget leaves no time to train, and says so."""
    now = time.monotonic()
    late = run.deadline is not None and run.deadline - now < LEAST_TRAINING * (now - run.started)
    if late:
        run.say("The budget leaves no time to train the layers.")
    return late


def _save_first(run: Run, logits: np.ndarray) -> None:
    """Saves the model before it is trained, stage 1, whose logits of the validation texts are given."""
    job = run.job
    name, what = "solved head", "the head solved on the frozen base"
    if not job.solves:
        name, what = "teacher's head", "the teacher's layers and head as they are"
    stage = keeping.stage_of(run, name, logits)
    job.task.fold(job.model)
    keeping.save(run, stage)
    job.task.unfold(job.model)
    run.results.append(stage)
    numbers = run_report.measured(job, stage.numbers())
    run.say(
        f"\nFirst result, {what}: {numbers}, after {format_value(stage.seconds, 'seconds')}. Saved in {run.folder / 'model'}."
    )


def _blend(run: Run, held_out: tuple[np.ndarray, np.ndarray]) -> None:
    """Mixes the solved head with the baseline or, if that was not asked for, says what it would gain on held-out texts."""
    job, asked = run.job, run.training.blend
    try:
        texts, seed = [*job.train.texts], run.training.seed
        blend = train_blend(texts, job.train.labels, held_out, job.baseline, seed, job.weights, job.groups)
    except ValueError as error:
        if asked:
            run.say(f"Not blended with TF-IDF. {error}")
        return
    losses = f"log loss {blend.loss:.3f} instead of {blend.loss_alone:.3f} on held-out training texts"
    gains = blend.loss < blend.loss_alone - LEAST_BLEND_GAIN
    if asked and gains:
        logits = blend(run.results[0].logits, [*job.validation.texts])
        run.results.append(keeping.stage_of(run, "solved head + TF-IDF", logits, blend))
        run.say(f"Blended with TF-IDF: {losses}.")
    elif asked:
        run.say(f"Not blended with TF-IDF, which gains too little: {losses}.")
    elif gains:
        run.say(f"A blend with TF-IDF would gain: {losses}. For it, use blend=True (--blend).")


def _epochs(run: Run) -> int:
    return stages.MOST_EPOCHS if run.deadline and run.asked.training.epochs is None else run.training.epochs or 0


def _staged(run: Run, inputs: Any, schedule: Any, micro_batches: int) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of stage 2."""
    job, training = run.job, run.training
    batches = micro_batches * -(-job.texts_to_learn // training.texts_per_step)
    validation = stages.Validation(job, inputs, run.logits)
    warmup = training.warmup or 0.0
    return [stages.Pace(batches, _epochs(run), validation, schedule, warmup, run.deadline, run.say), validation]

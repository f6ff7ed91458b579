"""What the last line after Ctrl-C says of a prediction: what this run left, and nothing of what lay there before."""

import argparse
import os
import time
from pathlib import Path

import pytest

from bert_tf.cli.interrupted import AGAIN, what_is_kept
from bert_tf.data import parts
from bert_tf.inference import bulk

NOTHING = f"Nothing was predicted yet. {AGAIN}"


@pytest.fixture(params=["out.csv", "out/"])
def output(request, tmp_path):
    return f"{tmp_path}/{request.param}"


def left(output, *, predicted=True, age=0.0):
    """What a run leaves that was interrupted so many seconds ago; returns its folder."""
    to_folder = output.endswith("/")
    folder = Path(output if to_folder else output + bulk.UNFINISHED)
    folder.mkdir()
    began = folder / (parts.PLAN if to_folder else bulk.RUN)
    began.write_text("{}")
    os.utime(began, (time.time() - age,) * 2)
    if predicted:
        (folder / ("part-00000-00000000-7f3a91c2.parquet" if to_folder else "00000000-7f3a91c2.parquet")).touch()
    return folder


def said(output, **options):
    return what_is_kept(argparse.Namespace(command="predict", output=output, **options), time.time() - 10)


def test_of_a_run_that_began_it_is_said_what_there_is(output):
    assert said(output) == NOTHING
    folder = left(output, predicted=False)
    assert said(output) == f"{folder} holds no predictions yet. Continue with the same command and --resume."
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
    left(output)
    assert said(output) == f"{folder} keeps what was predicted. Continue with the same command and --resume."
    instead = "Continue with the same command and --resume in place of --overwrite."
    assert said(output, overwrite=True) == f"{folder} keeps what was predicted. {instead}"


def test_what_an_earlier_run_left_is_not_called_this_ones(output):
    folder = left(output, age=60)
    assert said(output) == NOTHING  # it would have been refused
    assert said(output, overwrite=True) == NOTHING  # not emptied yet
    resumed = f"{folder} keeps what was predicted. Continue with the same command and --resume."
    assert said(output, resume=True) == resumed


def test_a_folder_elsewhere_is_not_looked_at():
    words = "What was predicted, if anything, is in s3://bucket/out. Continue with the same command and --resume."
    assert said("s3://bucket/out") == words


def test_a_table_on_the_terminal_keeps_nothing():
    assert said(None) == f"Nothing is kept. {AGAIN}"

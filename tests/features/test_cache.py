"""The folder of features: what is added is found whole, by this process or another, or not at all."""

import json
import logging
import os
import resource
import time

import ml_dtypes
import numpy as np
import pytest

from bert_tf.cli.main import main
from bert_tf.features import cache
from bert_tf.features.cache import KEY, Chunk, Space


def chunk(*names: str, width: int = 3, dtype="float32") -> Chunk:
    """One text a name, of 1, 2, 3 ... rows."""
    keys = np.array([cache.key(np.frombuffer(name.encode(), "uint8")) for name in names], KEY)
    ends = np.cumsum(np.arange(1, len(names) + 1))
    return Chunk(keys, ends, np.arange(ends[-1] * width).reshape(-1, width).astype(dtype))


def same(a: Chunk, b: Chunk) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("keys", "ends", "rows"))


@pytest.mark.parametrize("dtype", ["float32", "float16", ml_dtypes.bfloat16])
def test_what_is_added_is_found_by_others(tmp_path, dtype):
    space, other = Space({"of": 1}, tmp_path), Space({"of": 1}, tmp_path)
    assert list(other.new_chunks()) == []
    for names in ("ab", "c"):
        given = chunk(*names, dtype=dtype)
        kept = space.add(given)
        assert same(given, kept)
        assert isinstance(kept.rows, np.memmap)
        assert kept.rows.dtype == np.dtype(dtype)
        (found,) = other.new_chunks()
        assert same(given, found)
    assert list(other.new_chunks()) == list(space.new_chunks()) == []
    assert len(list(Space({"of": 1}, tmp_path).new_chunks())) == 2
    assert list(Space({"of": 2}, tmp_path).new_chunks()) == []
    assert json.loads((space.folder / "space.json").read_text()) == {"of": 1, "format": cache.FORMAT}


def test_the_same_texts_are_kept_once(tmp_path):
    first, second = Space({"of": 1}, tmp_path), Space({"of": 1}, tmp_path)
    first.add(chunk("a", "b"))
    second.add(chunk("a", "b"))
    assert len(list(first.folder.glob("*.safetensors"))) == 1


@pytest.mark.parametrize("place", [0, 7, 9, 40, -200, -1])
def test_a_flipped_bit_anywhere_is_found(tmp_path, caplog, place):
    space = Space({"of": 1}, tmp_path)
    space.add(chunk(*"abcdefgh"))
    (file,) = space.folder.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, "bert_tf"):
        assert list(Space({"of": 1}, tmp_path).new_chunks()) == []
    assert file.name in caplog.text
    assert "damaged" in caplog.text
    assert not file.exists()


@pytest.mark.parametrize("left", [0, 5, 60, 300])
def test_a_file_cut_off_is_found(tmp_path, caplog, left):
    space = Space({"of": 1}, tmp_path)
    space.add(chunk(*"abcdefgh"))
    (file,) = space.folder.glob("*.safetensors")
    os.truncate(file, left)
    assert list(Space({"of": 1}, tmp_path).new_chunks()) == []
    assert "damaged" in caplog.text


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path):
    """The system refuses to write more than 40,000 bytes into one file, in the middle of writing it."""
    space = Space({"of": 1}, tmp_path)
    space.add(chunk("a"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(OSError, match="cannot write features .*cache_dir"):
            space.add(chunk("b", width=20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.suffix for path in space.folder.iterdir()) == [".json", ".safetensors"]
    assert len(list(Space({"of": 1}, tmp_path).new_chunks())) == 1
    space.add(chunk("b", width=20_000))
    assert len(list(Space({"of": 1}, tmp_path).new_chunks())) == 2


def test_room_is_made_by_removing_what_was_longest_unused(tmp_path):
    spaces = [Space({"of": i}, tmp_path) for i in range(3)]
    for age, space in enumerate(spaces):
        space.add(chunk("a", width=1000))
        os.utime(space.folder / "space.json", (time.time() - 1000 * age,) * 2)
    size = cache.spaces(tmp_path)[0].size
    spaces[2].make_room(size, limit=int(3.5 * size))  # its own stays, though the oldest
    assert {space.folder for space in cache.spaces(tmp_path)} == {spaces[0].folder, spaces[2].folder}
    with pytest.raises(OSError, match="no room for .* cache_dir"):
        spaces[2].make_room(size, limit=size)
    with pytest.raises(OSError, match="the disk has"):
        spaces[2].make_room(1 << 60, limit=1 << 62)


def test_touch_clears_what_killed_writers_left(tmp_path):
    space = Space({"of": 1}, tmp_path)
    space.add(chunk("a"))
    old, young = space.folder / ".x.1.part", space.folder / ".x.2.part"
    for file, age in ((old, 2 * cache.STALE), (young, 0)):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - age,) * 2)
    space.touch()
    assert (old.exists(), young.exists()) == (False, True)


def test_it_is_listed_and_pruned_from_the_command_line(tmp_path, capsys):
    Space({"checkpoint": "my-model", "layers": 6, "pooling": "none", "kept": "float16"}, tmp_path).add(chunk("a"))
    assert main(["cache", "list", "--cache-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for word in ("my-model", "6, none", "float16", str(tmp_path)):
        assert word in printed
    assert main(["cache", "prune", "--max-size", "1GB", "--cache-dir", str(tmp_path)]) == 0
    assert "Removed: 0" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["cache", "prune", "--cache-dir", str(tmp_path)])
    assert "--max-size --all is required" in capsys.readouterr().err
    assert len(cache.spaces(tmp_path)) == 1
    assert main(["cache", "prune", "--all", "--cache-dir", str(tmp_path)]) == 0
    assert "Removed: 1" in capsys.readouterr().out
    assert cache.spaces(tmp_path) == []
    with pytest.raises(SystemExit):
        main(["cache", "prune", "--max-size", "much"])
    assert "500MB" in capsys.readouterr().err

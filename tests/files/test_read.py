"""Only regular files of a sane size are read."""

import errno
import io
import os
from pathlib import Path

import pytest

from ftgen.text import files


def test_a_file_is_read_whole(tmp_path: Path):
    place = tmp_path / "a"
    place.write_bytes(b"x" * (2 * files.MIB + 1))

    assert files.read(place) == b"x" * (2 * files.MIB + 1)


def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not(tmp_path: Path):
    place = tmp_path / "a"
    place.write_bytes(b"x" * files.MIB)
    assert len(files.read(place, at_most=files.MIB)) == files.MIB

    place.write_bytes(b"x" * (files.MIB + 1))
    with pytest.raises(OSError, match="more than 1 MiB") as refused:
        files.read(place, at_most=files.MIB)
    assert refused.value.errno == errno.EFBIG


def test_a_sparse_file_is_refused_by_its_size(tmp_path: Path):
    place = tmp_path / "a"
    place.touch()
    os.truncate(place, 20 << 30)

    with pytest.raises(OSError, match="more than 64 MiB"):
        files.read(place)


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: p.symlink_to("/dev/zero")], ids=["fifo", "device"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, make):
    make(tmp_path / "a")

    with pytest.raises(OSError, match="not a regular file") as refused:
        files.read(tmp_path / "a")
    assert refused.value.errno == errno.EINVAL


def test_a_file_of_proc_has_no_size_and_is_bounded_all_the_same():
    assert files.read("/proc/self/status").startswith(b"Name:")
    with pytest.raises(OSError, match="more than 0 MiB"):
        files.read("/proc/self/status", at_most=10)


def test_a_link_is_followed_only_where_that_is_allowed(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert files.read("link", dir_fd=folder) == b"x"
        with pytest.raises(OSError, match="symbolic links") as refused:
            files.read("link", dir_fd=folder, follow=False)
    finally:
        os.close(folder)
    assert refused.value.errno == errno.ELOOP


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        files.read(tmp_path)


def test_a_stream_is_bounded():
    assert files.read_stream(io.BytesIO(b"abc"), "<stdin>", at_most=3) == b"abc"
    with pytest.raises(OSError, match="more than"):
        files.read_stream(io.BytesIO(b"abcd"), "<stdin>", at_most=3)

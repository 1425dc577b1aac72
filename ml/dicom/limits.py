"""Bounds on what is read, so that no file can use up memory or time; generous against any real hip MRI."""

MIB = 1024 * 1024

MAX_FILES = 20_000  # files of one study, archive members included
MAX_FILE_BYTES = 1024 * MIB  # one file; the largest enhanced MR objects are some 500 MB
MAX_TOTAL_BYTES = 4096 * MIB  # all members of one archive, unpacked
MAX_HELD_BYTES = 1024 * MIB  # members that have to be kept in memory (tar, gzip, archive in an archive)
MAX_RATIO = 200  # unpacked ÷ packed, looked at above RATIO_FROM_BYTES
RATIO_FROM_BYTES = 16 * MIB

MAX_ROWS = 4096
MAX_COLUMNS = 4096
MAX_FRAMES = 10_000
MAX_VOLUME_BYTES = 2048 * MIB  # one Volume as float32

"""The log: one small file for each process of the app, which rotates. It holds no patient and no name of a source.

Every file of it begins with what is installed, what runs the model and why.
"""

from __future__ import annotations

import logging
import os
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs

LOG_VARIABLE = "ECHOGFR_LOGS"
FILE_BYTES = 256 << 10
OLDER_FILES = 3
NAMES = ("echogfr.log", "echogfr-worker.log")  # of the window, and of the scanner worker


def log_folder() -> Path:
    """Return where logs lie: ``ECHOGFR_LOGS``, else the user's folder for logs."""
    named = os.environ.get(LOG_VARIABLE)
    return Path(named) if named else platformdirs.user_log_path("echogfr", appauthor=False)


class Log:
    """The log of one process. Nothing is written before ``begin``; a disk that refuses stops nothing.

    Parameters
    ----------
    folder : Path or None
        None: no log.
    name : str
        Of the file.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._folder = folder
        self._name = name
        self._logger = logging.Logger(name)  # of our own: what libraries log is theirs
        self._file: _File | None = None

    @property
    def begun(self) -> bool:
        """True once the first line was written."""
        return self._file is not None

    def begin(self, first: str) -> None:
        """Write the first line; each further file that the log needs begins with it, too."""
        if self._folder is None or self.begun:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = _File(self._folder / self._name, first)
        except OSError:  # no place for a log is no reason to end: doctor tells it
            self._folder = None
            return
        self._logger.addHandler(self._file)
        if not self._file.new:
            self.say(first)

    def say(self, line: str) -> None:
        """Write a line, if the log has begun."""
        if self._file is not None:
            self._logger.info(" ".join(line.split()))

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file is not None:
            self._logger.removeHandler(self._file)
            self._file.close()
            self._file = None


class _File(RotatingFileHandler):
    """A file that begins with the same line whenever it begins anew."""

    def __init__(self, path: Path, first: str) -> None:
        formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(process)d %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self._first = " ".join(first.split())
        self.new = False
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=OLDER_FILES, encoding="utf-8")
        self.setFormatter(formatter)
        if self.new:
            self._write_first()

    def doRollover(self) -> None:
        """Begin anew, with the first line."""
        super().doRollover()
        self._write_first()

    def handleError(self, record: logging.LogRecord) -> None:
        """Let it be: a full disk must not stop the reading, nor fill the terminal."""

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        self.new = stream.tell() == 0
        return stream

    def _write_first(self) -> None:
        record = logging.LogRecord("echogfr", logging.INFO, "", 0, "%s", (self._first,), None)
        logging.StreamHandler.emit(self, record)  # not our own emit, which may begin a file

"""Files in, stacks out: the one reader of images in the tree."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from ml.dicom.archive import Item, clean_name, unpack, walk
from ml.dicom.errors import RefusedFileError, UnplacedFileError
from ml.dicom.header import Frame, frames_of
from ml.dicom.parse import parse, with_transfer_syntax
from ml.dicom.pixels import Loaded
from ml.dicom.series import Series, stack


@dataclass(frozen=True)
class Study:
    """What a folder, file or archive held.

    Attributes
    ----------
    series : tuple of Series
        Every stack of MR images, whatever its plane and sequence.
    refused : list of (name, reason)
        Every file that is no usable MR image, with the reason; name and reason read as one sentence.
    unplaced : list of (name, reason)
        MR images that do not say where in the body they lie: fit to be kept, not to be scored.
    warnings : tuple of str
    """

    series: tuple[Series, ...]
    refused: list[tuple[str, str]]
    unplaced: list[tuple[str, str]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()


def read_study(path: str | Path) -> Study:
    """Every MR stack under a folder, in a file, or in a zip, tar or gzip archive.

    Headers are read now, pixels only when a Volume is built, so memory holds one Volume and not the study.

    Raises
    ------
    FileNotFoundError
        Nothing is at `path`.
    """
    found = _Found()
    for item in walk(Path(path)):
        if isinstance(item, Item):
            found.add_item(item)
        else:
            found.refused.append(item)
    return found.study()


def read_datasets(files: Iterable[tuple[str, Dataset | bytes]]) -> Study:
    """The same of data sets or file contents in memory (archives among them are unpacked).

    Parameters
    ----------
    files : iterable of (name, pydicom Dataset with its pixels, or bytes of a file)
    """
    found = _Found()
    for name, content in files:
        if isinstance(content, Dataset):
            found.add_dataset(clean_name(name), content)
            continue
        for item in unpack(clean_name(name), content):
            if isinstance(item, Item):
                found.add_item(item)
            else:
                found.refused.append(item)
    return found.study()


@dataclass
class _Found:
    """What reading has come to so far."""

    frames: list[Frame] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    unplaced: list[tuple[str, str]] = field(default_factory=list)

    def add_item(self, item: Item) -> None:
        def load() -> Dataset:
            return parse(item.read())

        try:
            self._add(item.name, load(), Loaded(load))
        except RefusedFileError as refusal:
            self.refused.append((item.name, str(refusal)))
        except OSError as error:
            self.refused.append((item.name, f"can't be read ({error.strerror or type(error).__name__})"))

    def add_dataset(self, name: str, dataset: Dataset) -> None:
        try:
            whole = with_transfer_syntax(dataset)
            self._add(name, whole, Loaded(lambda: whole))
        except RefusedFileError as refusal:
            self.refused.append((name, str(refusal)))

    def _add(self, name: str, dataset: Dataset, source: Loaded) -> None:
        try:
            self.frames.extend(frames_of(name, dataset, source))
        except UnplacedFileError as unplaced:
            self.unplaced.append((name, str(unplaced)))

    def study(self) -> Study:
        n_studies = len({frame.study_uid for frame in self.frames})
        warnings = (f"files of {n_studies} different studies came together",) if n_studies > 1 else ()
        return Study(tuple(stack(self.frames)), self.refused, self.unplaced, warnings)

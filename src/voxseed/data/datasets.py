"""Datasets: folders of cases in the nnU-Net v2 raw layout, with our annotation sets and splits."""

from collections.abc import Sequence
from pathlib import Path

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.case_files import image_name, list_images, list_labels
from voxseed.data.dataset_json import FILE_NAME, Description, read_description
from voxseed.data.grids import Grid, require_same_grid
from voxseed.data.images import read_image
from voxseed.data.labels import Labels
from voxseed.data.replacing import is_interrupted
from voxseed.data.splits import Splits, read_splits
from voxseed.data.volumes import Image, Volume, read_grid, read_label, write_volume
from voxseed.errors import InputError, ShapeError
from voxseed.files import read_json, write_json
from voxseed.shell import voxseed_command
from voxseed.types import FloatArray, LabelArray

_TRAINING, _TEST = "Tr", "Ts"


class Dataset:
    """A folder of cases. Reading never writes into it.

    Attributes:
        root: the folder.
        description: what dataset.json says.
        cases: names of the cases in imagesTr, sorted.
        test_cases: names of the cases in imagesTs, sorted.
    """

    def __init__(self, root: Path, description: Description, cases: Sequence[str], test_cases: Sequence[str]) -> None:
        self.root = root
        self.description = description
        self.cases = tuple(cases)
        self.test_cases = tuple(test_cases)

    @classmethod
    def open(cls, path: str | Path) -> "Dataset":
        """Open an existing dataset; only folders are listed, no image is read.

        Raises:
            InputError: if there is no dataset there, a case lacks a channel or occurs twice, or there is no case.
        """
        dataset, problems = scan(path)
        if problems:
            raise InputError(problems[0])
        return dataset

    @classmethod
    def create(
        cls,
        path: str | Path,
        name: str,
        channel_names: Sequence[str],
        label_names: Sequence[str] | Labels,
        file_ending: str = ".nii.gz",
    ) -> "Dataset":
        """Start a new dataset without cases.

        Args:
            path: the folder to make.
            name: of the dataset.
            channel_names: one per channel.
            file_ending: of images and labels, which also chooses their format.
            label_names: the foreground classes, which get the values 1, 2, …; or a whole labels table.

        Raises:
            InputError: if a dataset is there already.
        """
        root = Path(path)
        if (root / FILE_NAME).exists():
            raise InputError(f"{root}: there is a dataset already. Remove it, or choose another folder.")
        labels = label_names if isinstance(label_names, Labels) else Labels.of_foreground(label_names)
        dataset = cls(root, Description(name, tuple(channel_names), labels, file_ending), (), ())
        write_json(root / FILE_NAME, dataset.description.to_json(training_count=0))
        return dataset

    @property
    def name(self) -> str:
        """The name in dataset.json, else the folder's."""
        return self.description.name

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One name per channel, in the order of the image files."""
        return self.description.channel_names

    @property
    def labels(self) -> Labels:
        """Class names and their values in label maps."""
        return self.description.labels

    @property
    def file_ending(self) -> str:
        """Suffix of image and label files."""
        return self.description.file_ending

    def image_paths(self, case: str) -> tuple[Path, ...]:
        """One file per channel.

        Raises:
            InputError: if the dataset has no such case.
        """
        folder = self.root / f"images{self._part(case)}"
        return tuple(folder / image_name(case, index, self.file_ending) for index in range(len(self.channel_names)))

    def label_path(self, case: str) -> Path:
        """Where the dense label of a case is, or would be."""
        return self.root / f"labels{self._part(case)}" / f"{case}{self.file_ending}"

    def has_label(self, case: str) -> bool:
        """Whether the case has a dense label."""
        return self.label_path(case).is_file()

    def read_grid(self, case: str) -> Grid:
        """Shape and affine of a case, from the header of its first channel."""
        return read_grid(self.image_paths(case)[0])

    def read_image(self, case: str) -> Image:
        """Read all channels of a case.

        Raises:
            InputError: if a file cannot be read, holds NaN or infinite voxels, or lies on another grid than the first.
        """
        return read_image(self.image_paths(case))

    def read_label(self, case: str) -> Volume | None:
        """Read the dense label of a case in the values of `labels`; None if it has none.

        Raises:
            InputError: if the file cannot be read, lies on another grid than the image,
                or has values that the labels table does not name.
        """
        path = self.label_path(case)
        if not path.is_file():
            return None
        label = read_label(path)
        require_same_grid(label, path, self.read_grid(case), self.image_paths(case)[0])
        self.labels.require_known(label.array, str(path))
        return label

    def annotation_sets(self) -> tuple[str, ...]:
        """Names of the annotation sets inside the dataset, sorted."""
        folders = (path for path in self.root.glob("annotations/*") if path.is_dir() and not path.name.startswith("."))
        return tuple(sorted(path.name for path in folders if any(path.iterdir())))

    def annotations(self, name_or_path: str | Path | None = None) -> AnnotationSet:
        """Open an annotation set.

        Args:
            name_or_path: a name in `annotation_sets()`, or a folder anywhere; None takes the only set there is.

        Raises:
            InputError: if there is no such set, or None is given and there is not exactly one.
        """
        return AnnotationSet.open(
            self._annotations_path(name_or_path), self.labels, file_ending=self.file_ending, grid_of=self.read_grid
        )

    def splits(self) -> Splits:
        """The dataset's splits.json, else its splits_final.json, else splits without folds.

        Raises:
            InputError: if the file is wrong or names unknown cases.
        """
        return read_splits(self.root, (*self.cases, *self.test_cases))

    def write_case(
        self, case: str, image: FloatArray, affine: FloatArray, label: LabelArray | None = None, test: bool = False
    ) -> None:
        """Add a case, or replace it.

        Args:
            case: its name, without channel and suffix.
            image: (M, I, J, K).
            affine: (4, 4), to RAS+ mm.
            label: (I, J, K) in the values of `labels`.
            test: write to imagesTs and labelsTs.

        Raises:
            ShapeError: if image and label do not fit each other or the number of channels.
        """
        if image.ndim != 4 or len(image) != len(self.channel_names):
            raise ShapeError(f"Expected an image ({len(self.channel_names)}, I, J, K), found shape {image.shape}.")
        if label is not None and label.shape != image.shape[1:]:
            raise ShapeError(f"Expected a label of shape {image.shape[1:]}, found {label.shape}.")
        part = _TEST if test else _TRAINING
        if label is not None:
            write_volume(self.root / f"labels{part}" / f"{case}{self.file_ending}", Volume(label, affine))
        for index, channel in enumerate(image):
            path = self.root / f"images{part}" / image_name(case, index, self.file_ending)
            write_volume(path, Volume(channel, affine))
        if test:
            self.test_cases = tuple(sorted({*self.test_cases, case}))
        elif case not in self.cases:
            self.cases = tuple(sorted({*self.cases, case}))
            self._update_case_count()

    def _update_case_count(self) -> None:
        """nnU-Net wants the count; whatever else dataset.json holds is kept."""
        path = self.root / FILE_NAME
        write_json(path, {**read_json(path), "numTraining": len(self.cases)})

    def _part(self, case: str) -> str:
        if case in self.cases:
            return _TRAINING
        if case in self.test_cases:
            return _TEST
        raise InputError(f"{self.root}: no case {case!r}; it has {len(self.cases)}, for example {self.cases[:3]}.")

    def _annotations_path(self, name_or_path: str | Path | None) -> Path:
        names = self.annotation_sets()
        listed = ", ".join(names) or "none"
        if name_or_path is None:
            if not names:
                raise InputError(
                    f"{self.root}: no annotation set. {how_to_annotate(self.root)}, or make a set from dense labels: "
                    f"{voxseed_command('dataset', 'simulate', self.root, '--protocol', 'points')}."
                )
            if len(names) > 1:
                raise InputError(f"{self.root}: several annotation sets, choose one of {listed} with --annotations.")
            return self.root / "annotations" / names[0]
        if str(name_or_path) in names:
            return self.root / "annotations" / name_or_path
        if Path(name_or_path).is_dir():
            return Path(name_or_path)
        raise InputError(
            f"{name_or_path}: no such annotation set in {self.root} (there: {listed}), and no such folder."
        )


def how_to_annotate(root: Path) -> str:
    """What to do with a dataset that nobody annotated, for messages."""
    return (
        f"Annotate with {voxseed_command('annotate', root)}, or in 3D Slicer into annotations/NAME, with an "
        "annotations.json there"
    )


def scan(path: str | Path) -> tuple[Dataset, tuple[str, ...]]:
    """A dataset and everything that is wrong with its files' names, one sentence each; no image is read.

    Raises:
        InputError: if there is no dataset at all, its dataset.json is wrong, or `relabel` was interrupted.
    """
    root = Path(path)
    description = read_description(root)
    if is_interrupted(root):
        raise InputError(
            f"{root}: a change of its labels was interrupted. Finish it first: "
            f"{voxseed_command('dataset', 'relabel', root)}."
        )
    ending, channel_count = description.file_ending, len(description.channel_names)
    training = list_images(root / "imagesTr", ending, channel_count)
    test = list_images(root / "imagesTs", ending, channel_count)
    label_problems = [list_labels(root / f"labels{part}", ending).problems for part in (_TRAINING, _TEST)]
    problems = [*training.problems, *test.problems, *label_problems[0], *label_problems[1]]
    problems += [
        f"{root}: duplicate case, {case} is in imagesTr and in imagesTs. Remove one."
        for case in sorted({*training.cases} & {*test.cases})
    ]
    if not training.cases and not test.cases:
        problems.append(
            f"{root / 'imagesTr'}: no cases; expected files such as {image_name('CASE', 0, ending)}, "
            "because dataset.json states that ending."
        )
    return Dataset(root, description, training.cases, test.cases), tuple(problems)

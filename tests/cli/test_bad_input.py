"""What a user can give wrong: one sentence on standard error, exit code 2, and nothing half-written."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxseed.data.volumes import read_volume
from voxseed.training.run_folder import RunFolder

AFFINE = np.diag([1.5, 1.5, 1.5, 1.0])
SHAPE = (24, 20, 16)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def load(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj).copy()


def image_of(data: Path) -> Path:
    return data / "imagesTr" / "ball_0_0000.nii.gz"


def label_of(data: Path) -> Path:
    return data / "labelsTr" / "ball_0.nii.gz"


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, but for lock files."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.name != ".lock"}
    return {name: path.read_bytes() if path.is_file() else b"" for name, path in found.items()}


def require_refused(answer, sentence: str) -> None:
    """Exit code 2 and one line that says it; no traceback."""
    assert answer.code == 2, answer
    assert re.search(sentence, answer.err), answer.err
    assert answer.err.startswith("voxseed: ")
    assert answer.err.count("\n") == 1
    assert answer.err.rstrip().endswith((".", "}"))  # } where the end is an example to copy
    assert "Trained" not in answer.out


# What is wrong with data: how to spoil the dataset, what is said, and which commands must say it.


def spoil_voxel(value: float):
    def spoil(data: Path) -> None:
        array = load(image_of(data))
        array[3, 4, 5] = value
        save(image_of(data), array)

    return spoil


def spoil_image(change: Callable[[np.ndarray], np.ndarray]):
    return lambda data: save(image_of(data), change(load(image_of(data))))


def spoil_label(change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE):
    return lambda data: save(label_of(data), change(load(label_of(data))), affine)


def truncate_image(data: Path) -> None:
    image_of(data).write_bytes(image_of(data).read_bytes()[:2000])


def write_strange_value(label: np.ndarray) -> np.ndarray:
    return np.where(label == 1, 9, 0).astype(np.uint8)


def annotate_unknown_case(data: Path) -> None:
    shutil.copytree(data / "annotations" / "points" / "ball_0", data / "annotations" / "points" / "ball_9")


def empty_annotation(data: Path) -> None:
    for path in (data / "annotations" / "points" / "ball_0").iterdir():
        path.unlink()


def remove_annotations(data: Path) -> None:
    shutil.rmtree(data / "annotations")
    shutil.rmtree(data / "labelsTr")


def add_class(data: Path) -> None:
    edit_json(data / "dataset.json", lambda content: content["labels"].update(cube=2))
    labels = {"background": 0, "ball": 1, "cube": 2, "ignore": 3}
    edit_json(data / "annotations" / "points" / "annotations.json", lambda content: content.update(labels=labels))


def rename_class(data: Path) -> None:
    edit_json(data / "dataset.json", lambda content: content.update(labels={"background": 0, "bowl": 1}))


def simulate_boxes(data: Path) -> None:
    from voxseed.workflows.simulate import simulate

    shutil.rmtree(data / "annotations")
    simulate(data, "box")


def paint(change: Callable[[np.ndarray], np.ndarray]):
    """Replace the points by painted maps: the middle slice, and in ball_0 what `change` makes of it."""

    def spoil(data: Path) -> None:
        shutil.rmtree(data / "annotations")
        folder = data / "annotations" / "scribbles"
        for number in range(4):
            painted = np.full(SHAPE, 2, np.uint8)
            painted[:, :, 8] = load(data / "labelsTr" / f"ball_{number}.nii.gz")[:, :, 8]
            save(folder / f"ball_{number}.nii.gz", change(painted) if number == 0 else painted)
        description = {"version": 1, "protocol": "scribbles", "labels": {"background": 0, "ball": 1, "ignore": 2}}
        (folder / "annotations.json").write_text(json.dumps(description))

    return spoil


def move_points(change: Callable[[list[list[float]]], None]):
    """Change the positions of ball_0's points: the inside one first, LPS mm."""

    def spoil(data: Path) -> None:
        def move(content: dict) -> None:
            points = content["markups"][0]["controlPoints"]
            positions = [point["position"] for point in points]
            change(positions)

        edit_json(data / "annotations" / "points" / "ball_0" / "ball.mrk.json", move)

    return spoil


def far_away(positions: list[list[float]]) -> None:
    positions[0][:] = [500, 500, 500]


def into_the_corner(positions: list[list[float]]) -> None:
    positions[0][:] = [-1.5, -1.5, 1.5]


def into_one_plane(positions: list[list[float]]) -> None:
    for position in positions[1:]:
        position[2] = positions[0][2]


def leave_five_points(data: Path) -> None:
    def remove(content: dict) -> None:
        points = content["markups"][0]["controlPoints"][:5]
        content["markups"][0]["controlPoints"] = [{**point, "label": ""} for point in points]

    edit_json(data / "annotations" / "points" / "ball_0" / "ball.mrk.json", remove)


IMAGE = "check train predict"
POINTS = "check train expand"
LABEL = "check full simulate"
BAD_DATA = [
    ("image missing", lambda data: image_of(data).unlink(), "'?ball_0'?.*(no case|no image)", POINTS),
    ("truncated", truncate_image, r"ball_0_0000\.nii\.gz: truncated or damaged.*again\.", IMAGE),
    ("text", lambda data: image_of(data).write_text("no image"), "ball_0_0000.nii.gz: not a NIfTI image", IMAGE),
    ("NaN", spoil_voxel(np.nan), r"ball_0_0000\.nii\.gz: 1 voxels are NaN or infinite", IMAGE),
    ("infinite", spoil_voxel(np.inf), r"ball_0_0000\.nii\.gz: 1 voxels are NaN or infinite", IMAGE),
    ("2D", spoil_image(lambda image: image[:, :, 0]), r"expected a 3D volume, found shape \(24, 20\)", IMAGE),
    ("4D", spoil_image(lambda image: np.stack([image] * 3, -1)), r"found shape \(24, 20, 16, 3\)\. Give one", IMAGE),
    ("constant", spoil_image(np.ones_like), r"imagesTr/ball_0.*(constant image|all voxels have intensity 1)", IMAGE),
    (
        "label shape",
        spoil_label(lambda label: label[1:]),
        r"labelsTr/ball_0\.nii\.gz: its shape is \(23, 20, 16\), expected \(24, 20, 16\).*Resample",
        LABEL,
    ),
    (
        "label affine",
        spoil_label(lambda label: label, np.diag([1.5, 1.5, 2, 1])),
        r"labelsTr/ball_0\.nii\.gz: .*the affines differ.*Resample",
        LABEL,
    ),
    ("label value", spoil_label(write_strange_value), "label values 9 are not in .*Name them in dataset.json", LABEL),
    ("half label", spoil_label(lambda label: label * 0.5), "integer values, 485 voxels have not.*nearest", LABEL),
    (
        "duplicate case",
        lambda data: shutil.copy(image_of(data), data / "imagesTr" / "ball_0_0000.nii"),
        "duplicate case, ball_0_0000.nii.gz is there as ball_0_0000.nii too. Remove",
        "check train expand simulate",
    ),
    (
        "names differ in case",
        lambda data: shutil.copy(image_of(data), data / "imagesTr" / "Ball_0_0000.nii.gz"),
        "duplicate case, the names Ball_0 and ball_0 differ only.*Rename one",
        "check train",
    ),
    (
        "no cases",
        lambda data: shutil.rmtree(data / "imagesTr"),
        "imagesTr: no cases; expected files such as CASE_0000.nii.gz",
        "check train expand simulate",
    ),
    ("unknown annotated case", annotate_unknown_case, "ball_9.*(Rename the annotation|Add the image)", POINTS),
    ("empty annotation", empty_annotation, "points/ball_0: empty annotation.*Annotate the case, or remove", POINTS),
    (
        "class nobody annotated",
        add_class,
        "(annotated the class cube|class 'cube' has no point).*Annotate",
        "check train",
    ),
    ("class in no label", add_class, "the class '?cube'? (occurs in no|has no voxel)", "check full"),
    (
        "boxes alone",
        simulate_boxes,
        "the class 'ball' has no point and no painted voxel.*Annotate it.*--method pw4medseg, dtp",
        "train",
    ),
    (
        "nobody annotated",
        remove_annotations,
        r"(neither annotat|no annotation set).* Annotate with voxseed annotate \S*data, or in .*annotations\.json",
        POINTS,
    ),
    ("other labels", rename_class, r"points/annotations\.json: made for the labels .* voxseed dataset relabel", POINTS),
    (
        "no ignore voxel",
        paint(lambda painted: painted % 2),
        "scribbles/ball_0.nii.gz: no voxel has the ignore value 2; is it dense, or painted with 0 for unannotated?",
        POINTS,
    ),
    ("all ignore", paint(lambda painted: painted * 0 + 2), "scribbles/ball_0.nii.gz: empty annotation", POINTS),
    ("painted value", paint(lambda painted: painted + 5), "label values 5, 6, 7 are not in the labels table", POINTS),
    ("painted shape", paint(lambda painted: painted[1:]), r"its shape is \(23, 20, 16\), expected", POINTS),
    ("point outside image", move_points(far_away), r"ball\.mrk\.json .*voxel .*outside the image of shape", POINTS),
    ("point outside box", move_points(into_the_corner), r"ball\.mrk\.json .*lies outside its box, voxels", POINTS),
    ("no box", move_points(into_one_plane), "the six outside points span no box.*Place each beyond", POINTS),
    ("five points", leave_five_points, "5 points, expected six outside the object.*Add what is missing", POINTS),
    (
        "bare folder",
        lambda data: (data / "dataset.json").unlink(),
        r'a folder without dataset\.json\. To make .* voxseed dataset import .*"channel_names": \{"0": "MRI"\}',
        "check train expand simulate",
    ),
    (
        "damaged dataset.json",
        lambda data: (data / "dataset.json").write_text("{"),
        r"dataset\.json: expected a JSON file, but .* Correct it",
        "check train",
    ),
    (
        "damaged annotations.json",
        lambda data: (data / "annotations" / "points" / "annotations.json").write_text("[1]"),
        "annotations.json: expected an annotation set of version 1, found 'list'",
        POINTS,
    ),
    (
        "splits name a stranger",
        lambda data: (data / "splits.json").write_text('{"version": 1, "test": ["ball_7"], "folds": []}'),
        r"splits\.json: 1 cases are not in the dataset, the first is 'ball_7'\. Remove",
        "check train",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "sentence", "command"),
    [
        pytest.param(spoil, sentence, command, id=f"{name}: {command}")
        for name, spoil, sentence, commands in BAD_DATA
        for command in commands.split()
    ],
)
def test_bad_data_is_a_sentence(voxseed, dataset, tmp_path, tiny, trained, spoil, sentence, command):
    spoil(dataset)
    before = files(tmp_path)
    words = {
        "check": ["dataset", "check", dataset],
        "train": ["train", dataset, "--run", tmp_path / "run", *tiny],
        "full": ["train", dataset, "--method", "full", "--run", tmp_path / "run", *tiny],
        "predict": ["predict", trained, image_of(dataset), "--out", tmp_path / "out", "--device", "cpu"],
        "expand": ["expand", dataset, "--out", tmp_path / "out"],
        "simulate": ["dataset", "simulate", dataset, "--protocol", "box", "--set-name", "boxes"],
    }[command]
    answer = voxseed(*words)
    if command == "check" and "errors" in answer.err:
        require_refused(answer, "there are errors, listed above. Correct them and check again")
        assert re.search(sentence, answer.out), answer.out
    elif command == "check" and answer.code == 0:
        assert re.search(rf"warning .*{sentence}", answer.out), answer.out
    else:
        require_refused(answer, sentence)
    assert files(tmp_path) == before


def test_one_problem_does_not_hide_the_next(voxseed, dataset):
    truncate_image(dataset)
    save(dataset / "labelsTr" / "ball_1.nii.gz", np.full(SHAPE, 9, np.uint8))
    save(dataset / "imagesTr" / "ball_2_0000.nii.gz", np.full(SHAPE, 9, np.float32))
    (dataset / "splits.json").write_text("{}")
    shutil.rmtree(dataset / "annotations" / "points" / "ball_3")
    (dataset / "annotations" / "points" / "ball_3").mkdir()
    answer = voxseed("dataset", "check", dataset)
    assert answer.code == 2
    errors = [line.split()[1] for line in answer.out.splitlines() if line.startswith("error")]
    assert errors == ["ball_0", "ball_1", "ball_2", "splits", "points/ball_3"]


def test_a_case_without_background_is_a_warning(voxseed, dataset, tmp_path, tiny):
    paint(lambda painted: np.where(painted == 0, 2, painted))(dataset)
    answer = voxseed("dataset", "check", dataset)
    assert (answer.code, answer.err) == (0, "")
    assert re.search("warning +scribbles/ball_0 +no voxel is annotated as background.*Paint some", answer.out)
    assert voxseed("train", dataset, "--run", tmp_path / "run", "--method", "partial", *tiny).code == 0


def test_a_case_smaller_than_the_patch_works(voxseed, dataset, tmp_path, tiny):
    larger = ("--method", "partial", "--set", "training.patch_shape=[32, 16, 32]")
    assert voxseed("train", dataset, "--run", tmp_path / "run", *tiny, *larger).code == 0
    save(tmp_path / "small.nii.gz", load(image_of(dataset))[:9, :8, :7])
    answer = voxseed("predict", tmp_path / "run", tmp_path / "small.nii.gz", "--out", tmp_path, "--device", "cpu")
    assert answer.code == 2, "its own image would be replaced"
    answer = voxseed("predict", tmp_path / "run", tmp_path / "small.nii.gz", "--out", tmp_path / "out")
    assert answer.code == 0
    assert read_volume(tmp_path / "out" / "small.nii.gz").shape == (9, 8, 7)


# Names, settings and places that are wrong.

TRAIN = "train DATA --run NEW TINY "
BAD_WORDS = [
    (TRAIN + "--method pa-segg", r"Unknown method 'pa-segg'.*Known: .*pa-seg"),
    (TRAIN + "--set networks.primary.architecture=resnet", "Unknown network 'resnet'.*Known: .*unet3d"),
    (TRAIN + "--set networks.primry.width=4", "no method has a network 'primry'; known: auxiliary, .*primary"),
    (TRAIN + "--set training.iteration=5", r"unknown setting 'training\.iteration'; known here: iterations, "),
    (TRAIN + "--set training.iterations=0", r"training\.iterations = 0: input should be greater than 0"),
    (TRAIN + "--set training.iterations=many", r"training\.iterations = 'many': .*valid integer.* or .*'auto'"),
    (TRAIN + "--set training.patch_shape=[16,16]", r"training\.patch_shape = \[16, 16\]: a value is missing"),
    (TRAIN + "--set training.workers=-1", r"training\.workers = -1: input should be greater than or equal to 0"),
    (TRAIN + "--set preprocessing.spacing_mm=[0,1,1]", r"preprocessing\.spacing_mm = \[0, 1, 1\]: .*greater than 0"),
    (TRAIN + "--set recipe.stage_shares=[1]", "expected a number for each of the 2 stages, stage-one, scm"),
    (TRAIN + "--set width", "--set width: expected section.key=value"),
    (TRAIN + "--preset huge", r"Unknown preset 'huge'\. Known: default, small"),
    (TRAIN + "--config NONE/a.yaml", r"a\.yaml: no such settings file"),
    (TRAIN + "--config DATA", "data: cannot be read: Is a directory"),
    (TRAIN + "--annotations scribbles", r"scribbles: no such annotation set in .* \(there: points\)"),
    (TRAIN + "--fold 3", r"--fold 3: the splits have 1 fold\(s\), 0 to 0"),
    (TRAIN + "--select best", r"training\.select = 'best': input should be 'last' or 'dense'"),
    (TRAIN + "--select dense", "--select dense needs validation cases with dense labels.*splits.json"),
    (TRAIN + "--device gpu", "--device gpu: unknown device. Known: auto, cpu, cuda"),
    (TRAIN + "--from primary", "--from primary: expected MEMBER=RUN:MEMBER"),
    (TRAIN + "--from primary=RUN:third", "has no network 'third'; it has primary, auxiliary"),
    (TRAIN + "--from third=RUN:primary", "pa-seg has no network 'third'. Known: auxiliary, primary"),
    (TRAIN + "--from primary=RUN:primary primary=RUN:auxiliary", "there is a network for primary already"),
    (
        TRAIN + "--method cps --from primary=RUN:primary auxiliary=RUN:primary",
        "primary starts from the same weights",
    ),
    (
        TRAIN + "--method cps --set cps.supervised_weight=0 --set cps.cross_weight=0",
        "both 0, so nothing would be learned",
    ),
    (TRAIN + "--method scm", "scm starts from trained networks.*give --from primary=RUN:primary"),
    (TRAIN + "--method cross-teaching", "case ball_0: expected a painted map with annotated slices.*Paint some slices"),
    ("train NONE", "none: no such dataset folder"),
    ("dataset check NONE", "none: no such dataset folder"),
    ("dataset simulate DATA --protocol scribble", "Unknown protocol 'scribble'. Known: box, dense"),
    ("dataset simulate DATA --protocol points", "annotations/points: is there already. Choose another"),
    ("dataset simulate DATA --protocol box --margin-voxels 5 1", "1 <= least <= greatest"),
    ("dataset simulate DATA --protocol box --set-name ../x", "--set-name ../x: expected a plain name"),
    ("dataset simulate DATA --protocol slices --planes axial,back", "planes.*'sagittal', 'coronal' or 'axial'"),
    ("dataset simulate DATA --protocol slices --planes axial,axial", "expected two different planes"),
    ("expand DATA --out DATA", "data: is there already and not empty. Remove it, or choose another place"),
    ("expand DATA --out NEW --set expansion.epsilon=7", r"expansion\.epsilon = 7: .*less than or equal to 1"),
    ("list colours", "Unknown list 'colours'. Known: methods, networks, losses, protocols, presets"),
    ("settings --method nnu-net", "Unknown method 'nnu-net'. Known: "),
    ("settings --preset huge", "Unknown preset 'huge'. Known: "),
    ("predict RUN NONE --out NEW", "none: no such file or folder. Give an image, a folder"),
    ("predict RUN EMPTY --out NEW", "empty: no images in this folder; expected files ending in .nii"),
    ("predict RUN DATA --out NEW --member axial", "The model has no network 'axial'. Known: primary"),
    ("predict RUN DATA --out NEW --member primary --ensemble", "--member primary: .* --ensemble means all"),
    ("predict NONE DATA --out NEW", "none: no such folder. Give the folder of a run"),
    ("predict DATA DATA --out NEW", "data: no model in it.*continue it with voxseed train --resume"),
    ("predict RUN DATA --out DATA/labelsTr", "labelsTr: a folder of the dataset itself.*Choose another folder"),
    ("predict RUN DATA --out DATA/dataset.json", r"ball_0\.nii\.gz: cannot be written: .* write elsewhere"),
    ("evaluate EMPTY DATA --out NEW.csv", "empty: no label maps; expected files such as CASE.nii.gz"),
    ("evaluate NONE DATA --out NEW.csv", "none: expected a folder of label maps, found none"),
    ("evaluate DATA/labelsTr DATA --out DATA/dataset.csv", r"dataset\.json: would be replaced.*Choose another name"),
    ("evaluate DATA/labelsTr DATA --out NEW.txt", "expected the name of a file that ends in .csv"),
    ("evaluate DATA/labelsTr DATA --out NEW.csv --tolerance-mm 0", "--tolerance-mm 0: expected a positive length"),
    ("evaluate DATA/labelsTr DATA --out NEW.csv --against NONE", "none: no such file. Write it with voxseed"),
    ("evaluate DATA/labelsTr DATA --out NEW.csv --against TEXT", "expected the columns case,class,dice.*found hello"),
    ("report NONE --out NEW.html", "none: neither a run folder nor a metrics.csv"),
    ("report DATA --out NEW.html", "data: no run there .*Give a run folder or a metrics.csv"),
    ("report TEXT --out NEW.html", "expected the columns case,class,dice.*found hello"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD_WORDS, ids=[line for line, _ in BAD_WORDS])
def test_wrong_words_are_a_sentence(voxseed, dataset, tmp_path, tiny, trained, line, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("hello\n")
    places = {"DATA": dataset, "RUN": trained, "TEXT": tmp_path / "text.csv"}
    places |= {name: tmp_path / name.lower() for name in ("NEW", "NONE", "EMPTY")}
    pattern = re.compile("|".join(places))
    before = files(tmp_path)
    words = [word for given in line.split() for word in (tiny if given == "TINY" else [given])]
    answer = voxseed(*(pattern.sub(lambda match: str(places[match[0]]), word) for word in words))
    require_refused(answer, sentence)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "line",
    ["", "trian", "train", "train x --foo", "train x --fold -1", "dataset", "dataset chek x", "predict x"],
)
def test_a_line_that_is_no_command_has_exit_code_2_and_no_traceback(voxseed, line):
    answer = voxseed(*line.split())
    assert answer.code == 2
    assert "voxseed" in answer.err + answer.out
    assert "Traceback" not in answer.err


# Runs.


def test_another_run_is_not_replaced(voxseed, dataset, run, tiny):
    before = files(run)
    sentence = r"run: there is a run already \(pa-seg, complete\)\. Continue it with --resume, or choose another"
    require_refused(voxseed("train", dataset, "--run", run, *tiny), sentence)
    sentence = r"the run was started with recipe\.name = 'pa-seg', not 'partial'"
    require_refused(voxseed("train", dataset, "--run", run, "--resume", "--method", "partial", *tiny), sentence)
    assert files(run) == before


def test_a_folder_of_strangers_is_left_alone(voxseed, dataset, tmp_path, tiny):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "settings.yaml").write_text("mine")
    (folder / "chapter.tex").write_text("mine too")
    before = files(tmp_path)
    for more in ((), ("--resume",)):
        answer = voxseed("train", dataset, "--run", folder, *tiny, *more)
        require_refused(answer, "thesis: expected an empty or new folder for the run, found 'chapter.tex'. Choose")
        assert answer.out == "", "said before the plan"
    assert files(tmp_path) == before


def test_a_file_is_no_run_folder(voxseed, dataset, tmp_path, tiny):
    (tmp_path / "file").write_text("mine")
    require_refused(voxseed("train", dataset, "--run", tmp_path / "file", *tiny), "file: cannot be written")
    assert (tmp_path / "file").read_text() == "mine"


def unfinished(run: Path) -> Path:
    """Set a run back into its second stage; gives the stage's checkpoint."""

    def change(content: dict) -> None:
        content["state"] = content["stages"][1]["state"] = "running"

    edit_json(run / "run.json", change)
    return run / "stages" / "02-scm" / "last.ckpt"


class Malicious:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "damaged or foreign file. Delete it to start"),
        (lambda path: path.write_bytes(b""), "damaged or foreign file"),
        (lambda path: path.write_text("hello"), "damaged or foreign file"),
        (lambda path: torch.save({"method_state": {}}, path), "another one. Delete it to start this stage"),
        (lambda path: torch.save({"method_state": Malicious(path.parent / "evil")}, path), "damaged or foreign file"),
    ],
    ids=["truncated", "empty", "text", "foreign", "malicious"],
)
def test_a_damaged_checkpoint_is_a_sentence_and_runs_no_code(voxseed, tiny_dataset, run, tiny, spoil, sentence):
    spoil(unfinished(run))
    before = files(run / "stages")
    answer = voxseed("train", tiny_dataset, "--run", run, "--resume", *tiny[:4])
    require_refused(answer, rf"02-scm/last\.ckpt: expected a checkpoint of Voxseed, found (a )?{sentence}")
    assert files(run / "stages") == before


def test_a_deleted_checkpoint_starts_its_stage_again_from_the_model_of_the_one_before(
    voxseed, tiny_dataset, run, tiny, trained
):
    unfinished(run).unlink()
    (run / "stages" / "01-stage-one" / "last.ckpt").write_text("damaged, and no longer needed")
    assert voxseed("train", tiny_dataset, "--run", run, "--resume", *tiny[:4]).code == 0
    name = "model/weights.safetensors"
    assert (run / name).read_bytes() == (trained / name).read_bytes()


def test_a_run_of_two_devices_is_resumed_with_two(voxseed, tiny_dataset, run, tiny):
    path = unfinished(run)
    torch.save({**torch.load(path, weights_only=True), "world_size": 2}, path)
    answer = voxseed("train", tiny_dataset, "--run", run, "--resume", *tiny[:4])
    require_refused(answer, r"last\.ckpt: written by 2 device\(s\), this run has 1\. Resume it with .*--devices 2, ")


def test_damaged_metrics_of_a_stage_are_a_sentence(voxseed, tiny_dataset, run, tiny):
    unfinished(run).unlink()
    (run / "stages" / "02-scm" / "metrics.csv").write_text("epoch,step\none,two\n")
    answer = voxseed("train", tiny_dataset, "--run", run, "--resume", *tiny[:4])
    require_refused(answer, r"02-scm/metrics\.csv: expected numbers in columns .*Delete it")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.json", "{", r"run\.json: expected a JSON file, but .* Correct it"),
        (
            "run.json",
            '{"format_version": 99}',
            "expected format version 1, found 99.*train again or use",
        ),
        ("run.json", '{"format_version": 1}', r"run\.json: damaged"),
        ("settings.yaml", "a: [", r"settings\.yaml: expected YAML, but .* Correct it"),
        ("settings.yaml", "colour: red", "settings.yaml: unknown setting 'colour'; known here: recipe"),
    ],
    ids=["run.json: text", "run.json: another version", "run.json: parts missing", "settings: text", "settings: key"],
)
def test_a_damaged_run_is_a_sentence(voxseed, tiny_dataset, run, tiny, name, content, sentence):
    (run / name).write_text(content)
    before = files(run)
    require_refused(voxseed("train", tiny_dataset, "--run", run, "--resume", *tiny[:4]), sentence)
    assert files(run) == before


# Models.


def edit_model(**changes):
    return lambda model: edit_json(model / "model.json", lambda content: content.update(changes))


def spoil_weights(change: Callable[[bytes], bytes]):
    def spoil(model: Path) -> None:
        path = model / "weights.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def pickle_weights(model: Path) -> None:
    torch.save(Malicious(model / "evil"), model / "weights.safetensors")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda model: (model / "model.json").write_text("{"), r"model\.json: expected a JSON file"),
        (lambda model: (model / "model.json").write_text("[]"), "expected the description of a Voxseed model. Copy it"),
        (lambda model: (model / "model.json").unlink(), "no model in it"),
        (edit_model(format_version=99), "written in model format 99, this Voxseed reads format 1. Use"),
        (edit_model(patch_shape=[0, 1, 2]), r"patch_shape = \[0, 1, 2\]: input should be greater than 0"),
        (edit_model(networks={}), r"model\.json: networks: "),
        (spoil_weights(lambda content: content[:500]), r"weights\.safetensors: damaged.*Copy it again"),
        (spoil_weights(lambda content: b""), r"weights\.safetensors: damaged"),
        (lambda model: (model / "weights.safetensors").unlink(), r"weights\.safetensors: cannot be read: No such file"),
        (pickle_weights, r"weights\.safetensors: damaged"),
    ],
    ids=["text", "list", "missing", "format", "patch", "networks", "truncated", "empty", "no weights", "malicious"],
)
def test_a_damaged_model_is_a_sentence_and_runs_no_code(voxseed, dataset, run, tmp_path, spoil, sentence):
    spoil(run / "model")
    before = files(tmp_path)
    answer = voxseed("predict", run, image_of(dataset), "--out", tmp_path / "out", "--device", "cpu")
    require_refused(answer, sentence)
    assert files(tmp_path) == before


# Predictions and metrics.


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text[:150], "other.csv, line 3: expected 10 fields, found [0-9]. The file is damaged"),
        (
            lambda text: text.replace("ball_0,ball,1,", "ball_0,ball,one,"),
            r"csv, line 2: expected numbers, found",
        ),
        (lambda text: text.replace("ball_3", "ball_8"), "needs the same cases and classes; 1 are only in these"),
        (lambda text: text.splitlines()[0], r"other\.csv: no rows. Write it again with voxseed evaluate"),
        (lambda text: "", "expected the columns case,class,dice"),
    ],
    ids=["truncated", "word", "other cases", "no rows", "empty"],
)
def test_damaged_metrics_are_a_sentence(voxseed, dataset, tmp_path, change, sentence):
    other = tmp_path / "other.csv"
    assert voxseed("evaluate", dataset / "labelsTr", dataset, "--out", other).code == 0
    other.write_text(change(other.read_text()))
    before = files(tmp_path)
    words = ("evaluate", dataset / "labelsTr", dataset, "--out", tmp_path / "metrics.csv", "--against", other)
    require_refused(voxseed(*words), sentence)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_text("no image"), r"ball_0\.nii\.gz: not a NIfTI image"),
        (lambda path: save(path, load(path)[1:]), r"its shape is \(23, 20, 16\), expected \(24, 20, 16\)"),
        (lambda path: save(path, load(path), np.eye(4)), "its affine differs from that of"),
        (lambda path: save(path, load(path) * 5), "label values 5 are not in the labels table"),
        (lambda path: path.unlink(), "1 of 4 labelled cases have no prediction: ball_0. Predict them, or"),
    ],
    ids=["text", "shape", "affine", "value", "missing"],
)
def test_predictions_that_cannot_be_evaluated_are_a_sentence(voxseed, dataset, tmp_path, spoil, sentence):
    predictions = tmp_path / "predictions"
    shutil.copytree(dataset / "labelsTr", predictions)
    spoil(predictions / "ball_0.nii.gz")
    before = files(tmp_path)
    answer = voxseed("evaluate", predictions, dataset / "labelsTr", "--out", tmp_path / "metrics.csv")
    require_refused(answer, sentence)
    assert files(tmp_path) == before


# Disks.


@pytest.fixture
def full_disk(monkeypatch):
    """Makes moving files into place fail, of all names or of one, as a full disk does."""

    def fill(name: str | None = None) -> None:
        replace = os.replace

        def refuse(source, target, **keywords) -> None:
            if name in (None, Path(target).name):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            replace(source, target, **keywords)

        monkeypatch.setattr(os, "replace", refuse)

    return fill


FULL_DISK = [
    ("dataset simulate DATA --protocol box", "annotations/box/annotations.json"),
    ("expand DATA --out NEW", "new/labelsTr/ball_[0-9].nii.gz"),
    ("predict RUN DATA --out NEW --device cpu", "new/ball_0.nii.gz"),
    ("evaluate DATA/labelsTr DATA --out NEW.csv", "new.csv"),
    ("report RUN --out NEW.html", "new.html"),
    ("train DATA --run NEW TINY", "new/settings.yaml"),
    ("train DATA --run NEW TINY --cache NEW", "new"),
]


@pytest.mark.parametrize(("line", "name"), FULL_DISK, ids=[line for line, _ in FULL_DISK])
def test_a_full_disk_is_a_sentence(voxseed, dataset, tmp_path, tiny, trained, full_disk, line, name):
    places = {"DATA": str(dataset), "RUN": str(trained), "NEW": str(tmp_path / "new")}
    words = [word for given in line.split() for word in (tiny if given == "TINY" else [given])]
    full_disk()
    before = {name for name in files(tmp_path) if not name.startswith("new")}
    answer = voxseed(*(re.sub("DATA|RUN|NEW", lambda match: places[match[0]], word) for word in words))
    require_refused(answer, rf"{name}: the disk is full; free some space or (write elsewhere|choose another --cache)\.")
    left = {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock" and path.name != ".lock"}
    assert {str(path.relative_to(tmp_path)) for path in left} <= before


def test_a_run_goes_on_when_the_disk_has_room_again(voxseed, tiny_dataset, run, tiny, trained, full_disk, monkeypatch):
    unfinished(run).unlink()
    full_disk("last.ckpt")
    words = ("train", tiny_dataset, "--run", run, "--resume", *tiny[:4])
    require_refused(voxseed(*words), r"02-scm/last\.ckpt: the disk is full; free some space")
    assert not list(run.rglob("*unfinished*"))
    monkeypatch.undo()
    assert voxseed(*words).code == 0
    assert RunFolder(run).read().state == "complete"
    name = "model/weights.safetensors"
    assert (run / name).read_bytes() == (trained / name).read_bytes()


def test_a_dataset_that_cannot_be_written_to_gets_its_set_elsewhere(voxseed, dataset, tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def refuse(path: Path, *arguments, **keywords) -> None:
        if dataset in path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        mkdir(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "mkdir", refuse)
    before = files(dataset)
    words = ("dataset", "simulate", dataset, "--protocol", "points", "--set-name", "again")
    require_refused(voxseed(*words), r"data: cannot be written to \(Read-only file system\)\. .*elsewhere with --out")
    assert voxseed(*words[:-2], "--out", tmp_path / "again").code == 0
    assert files(dataset) == before


def test_what_the_file_system_refuses_elsewhere_is_a_sentence_too(voxseed, dataset, monkeypatch):
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    require_refused(voxseed("dataset", "check", dataset), "imagesTr: Permission denied. Check that the file")

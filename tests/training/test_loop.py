"""One loop for all networks equals one loop each, and a resumed stage equals an uninterrupted one."""

import tempfile

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from voxseed.errors import InputError, InterruptedRunError
from voxseed.methods.partial import Partial, PartialLossSettings
from voxseed.methods.pw4medseg import PW4MedSeg, PW4MedSegSettings
from voxseed.networks.factory import build_network
from voxseed.training.checkpoints import append_metrics, checkpoint_path, metrics_path, read_checkpoint, read_metrics
from voxseed.training.loop import build_optimiser, clip_each, rate_factor, total_loss
from voxseed.training.patches import PatchDataset, PatchSettings
from voxseed.training.settings import AugmentationSettings, OptimiserSettings
from voxseed.training.stages import StageJob, run_stage, whole_epochs

EPOCH_LENGTH, ITERATIONS = 3, 12


class NoiseCase:
    """A case of noise that differs between voxels and cases."""

    shape = (8, 8, 8)
    seeds = (np.array([[4, 4, 4]]),)
    absent = frozenset()
    noise = 0.1
    trusted = True
    objects = ()
    painted = np.empty((0, 3), int)

    def __init__(self, number):
        self.number = number

    def read(self, name, start, shape, fill):
        rng = np.random.default_rng([self.number, *(position + 100 for position in start)])
        if name == "image":
            return rng.normal(size=(1, *shape)).astype(np.float32)
        return rng.integers(0, 2, shape).astype(np.uint8) if name == "target" else np.ones(shape, np.uint8)


def _network(seed: int, dropout: float = 0.3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Dropout(dropout), nn.Conv3d(4, 2, 1))


def _method(*members: str) -> Partial:
    networks = {member: _network(number) for number, member in enumerate(members)}
    return Partial(nn.ModuleDict(networks), PartialLossSettings())


def _dataset() -> PatchDataset:
    settings = PatchSettings((4, 4, 4), 0.5, 2, (1.0, 1.0, 1.0), AugmentationSettings(), (0, 0))
    return PatchDataset([NoiseCase(number) for number in range(3)], settings)


def _job(path, iterations=ITERATIONS, devices=1) -> StageJob:
    path.mkdir(exist_ok=True)
    return StageJob(
        path, iterations, EPOCH_LENGTH, 1, (0, 0), "fp32", "cpu", devices, 0, OptimiserSettings(learning_rate=0.05)
    )


class StepCounter(Partial):
    """Remembers how far the stage was when it was told of a step."""

    def __init__(self, networks, settings):
        super().__init__(networks, settings)
        self.seen = []

    def after_step(self, progress):
        self.seen.append((progress.step, progress.epoch, progress.fraction))


def test_after_step_is_called_once_when_a_step_is_done(tmp_path):
    method = StepCounter(nn.ModuleDict({"primary": _network(0)}), PartialLossSettings())
    run_stage(_job(tmp_path, iterations=6), lambda: method, _dataset())
    assert method.seen == [(step, (step - 1) // EPOCH_LENGTH, step / 6) for step in range(1, 7)]


class StopAt(Callback):
    """Raises before a step."""

    def __init__(self, step, error):
        self.step, self.error = step, error

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise self.error


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run_stage(_job(tmp_path_factory.mktemp("stage")), lambda: _method("primary", "auxiliary"), _dataset())


@pytest.mark.parametrize("step", [0, 2, 3, 7, 11])
def test_a_killed_stage_resumes_to_the_same_weights(tmp_path, uninterrupted, step):
    job = _job(tmp_path)
    with pytest.raises(RuntimeError, match="killed"):
        run_stage(job, lambda: _method("primary", "auxiliary"), _dataset(), [StopAt(step, RuntimeError("killed"))])
    resumed = run_stage(job, lambda: _method("primary", "auxiliary"), _dataset())
    for member, state in uninterrupted.items():
        for name, value in state.items():
            torch.testing.assert_close(resumed[member][name], value, rtol=0, atol=1e-6)
    assert [row["epoch"] for row in read_metrics(metrics_path(job.path))] == [1, 2, 3, 4]


def test_a_finished_stage_gives_its_weights_again(tmp_path, uninterrupted):
    job = _job(tmp_path)
    first = run_stage(job, lambda: _method("primary"), _dataset())
    again = run_stage(job, lambda: _method("primary"), _dataset())
    assert all(first["primary"][name].equal(value) for name, value in again["primary"].items())


def test_ctrl_c_ends_the_stage_with_what_it_has(tmp_path):
    job = _job(tmp_path)
    with pytest.raises(InterruptedRunError):
        run_stage(job, lambda: _method("primary"), _dataset(), [StopAt(7, KeyboardInterrupt())])
    assert read_metrics(metrics_path(job.path))[-1]["step"] == 6


def test_checkpoints_need_no_folder_of_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    run_stage(_job(tmp_path / "stage"), lambda: _method("primary"), _dataset())
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == ["last.ckpt", "metrics.csv"]


class MapCase(NoiseCase):
    """The same with a probability map."""

    shape = (40, 40, 40)

    def read(self, name, start, shape, fill):
        if name == "probabilities":
            return np.random.default_rng(self.number).random((1, *shape)).astype(np.float16)
        return super().read(name, start, shape, fill)


def _random_method() -> PW4MedSeg:
    torch.manual_seed(0)
    sizes = {"width": 1, "hidden_width": 12, "heads": 3, "layers": 4, "patch_shape": [32, 16, 16]}
    network = build_network("probabilistic-unetr", 1, 2, **sizes)
    return PW4MedSeg(nn.ModuleDict({"primary": network}), PW4MedSegSettings())


def test_a_killed_stage_with_a_random_network_resumes_to_the_same_weights(tmp_path):
    augmentation = AugmentationSettings(zoom=0)
    settings = PatchSettings((32, 16, 16), 0.5, 2, (1.0, 1.0, 1.0), augmentation, (0, 0), probabilities=True)
    dataset = PatchDataset([MapCase(number) for number in range(2)], settings)
    expected = run_stage(_job(tmp_path / "whole", iterations=6), _random_method, dataset)
    job = _job(tmp_path / "killed", iterations=6)
    with pytest.raises(RuntimeError, match="killed"):
        run_stage(job, _random_method, dataset, [StopAt(4, RuntimeError("killed"))])
    resumed = run_stage(job, _random_method, dataset)
    for name, value in expected["primary"].items():
        torch.testing.assert_close(resumed["primary"][name], value, rtol=0, atol=1e-6)
    assert set(read_metrics(metrics_path(job.path))[-1]) >= {"primary/probability", "primary/kl"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"polynomial_power": 2.0}, {0: 1.0, 50: 0.25, 100: 0.0}),
        ({"schedule": "cosine"}, {0: 1.0, 25: (1 + 0.5**0.5) / 2, 50: 0.5, 100: 0.0}),
        ({"schedule": "cosine", "warmup_fraction": 0.2}, {0: 0.05, 9: 0.5, 19: 1.0, 20: 1.0, 60: 0.5, 100: 0.0}),
        ({"polynomial_power": 1.0, "warmup_fraction": 0.1}, {0: 0.1, 9: 1.0, 10: 0.9, 100: 0.0}),
    ],
)
def test_the_learning_rate_rises_and_falls(settings, expected):
    for step, factor in expected.items():
        assert rate_factor(step, 100, OptimiserSettings(**settings)) == pytest.approx(factor, abs=1e-12)


def test_two_networks_in_one_loop_learn_what_each_learns_alone():
    images = torch.randn(6, 1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    targets = (images > 0).long()
    settings = OptimiserSettings(learning_rate=0.1, clip_norm=0.05)

    def trained(*seeds: int) -> list[nn.Module]:
        networks = nn.ModuleDict({str(seed): _network(seed, dropout=0) for seed in seeds})
        optimiser = build_optimiser([{"params": list(n.parameters())} for n in networks.values()], settings)
        for image, target in zip(images, targets, strict=True):
            optimiser.zero_grad()
            terms = {
                name: {"ce": nn.functional.cross_entropy(network(image), target[:, 0])}
                for name, network in networks.items()
            }
            total_loss(terms).backward()
            clip_each(networks, settings.clip_norm)
            optimiser.step()
        return list(networks.values())

    together = trained(1, 2)
    for joint, alone in zip(together, [*trained(1), *trained(2)], strict=True):
        for ours, theirs in zip(joint.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("iterations", "length", "expected"),
    [(100, 50, (100, 50)), (120, 50, (120, 40)), (7, 50, (7, 7)), (101, 50, (102, 34))],
)
def test_a_stage_is_a_whole_number_of_equal_epochs(iterations, length, expected):
    assert whole_epochs(iterations, length) == expected


class Malicious:
    """Runs code when unpickled."""

    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize("content", ["empty", "text", "code", "truncated"])
def test_a_bad_checkpoint_is_a_sentence_and_runs_nothing(tmp_path, capsys, content):
    path = tmp_path / "last.ckpt"
    if content == "code":
        torch.save({"method_state": Malicious()}, path)
    elif content == "truncated":
        torch.save({"method_state": {}, "weights": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:-500])
    else:
        path.write_bytes(b"" if content == "empty" else b"not a checkpoint")
    with pytest.raises(InputError, match=r"last\.ckpt: expected a checkpoint of Voxseed"):
        read_checkpoint(path)
    assert "code ran" not in capsys.readouterr().out


def test_metrics_of_a_repeated_epoch_are_replaced(tmp_path):
    path = tmp_path / "metrics.csv"
    for epoch, loss in [(1, 0.5), (2, 0.4), (3, 0.3), (2, 0.2)]:
        append_metrics(path, {"epoch": epoch, "step": epoch * 10, "loss": loss})
    assert [(row["epoch"], row["loss"]) for row in read_metrics(path)] == [(1, 0.5), (2, 0.2)]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_a_double_batch(tmp_path):
    double = StageJob(**{**vars(_job(tmp_path / "one")), "batch_size": 2})
    one = run_stage(double, lambda: _without_dropout(), _dataset())
    two = run_stage(_job(tmp_path / "two", devices=2), lambda: _without_dropout(), _dataset())
    for name, value in one["primary"].items():
        torch.testing.assert_close(two["primary"][name], value, rtol=0, atol=1e-5)
    assert read_checkpoint(checkpoint_path(tmp_path / "two"))["world_size"] == 2


def _without_dropout() -> Partial:
    return Partial(nn.ModuleDict({"primary": _network(0, dropout=0)}), PartialLossSettings())

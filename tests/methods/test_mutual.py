"""Deep mutual learning: both terms by hand."""

import torch
import torch.nn.functional as F

from voxseed.methods.base import Progress
from voxseed.methods.mutual import DeepMutualLearning, MutualSettings


def test_terms_equal_the_equations_written_out(small_batch, networks, moved):
    method = DeepMutualLearning(networks("primary", "auxiliary"), MutualSettings(mutual_weight=0.5))
    moved(method.networks)
    terms = method.losses(small_batch, Progress(0, 0, 0.0))
    mean = sum(network(small_batch.image).softmax(dim=1) for network in networks("primary", "auxiliary").values())
    annotated = small_batch.target != 255
    label = torch.where(annotated, small_batch.target, mean.argmax(dim=1, keepdim=True))
    logits = {name: network(small_batch.image) for name, network in method.networks.items()}
    for name, other in (("primary", "auxiliary"), ("auxiliary", "primary")):
        cross_entropies, divergences = [], []
        for sample in range(2):
            valid = small_batch.valid[sample, 0]
            own, others = (logits[each][sample][:, valid] for each in (name, other))
            cross_entropies.append(F.cross_entropy(own.T, label[sample, 0][valid]))
            p, q = others.softmax(dim=0), own.softmax(dim=0)
            divergences.append((p * (p / q).log()).sum(dim=0).mean())
        torch.testing.assert_close(terms[name]["cross_entropy"], sum(cross_entropies) / 2)
        torch.testing.assert_close(terms[name]["mutual"], 0.5 * sum(divergences) / 2)


def test_the_other_network_gets_no_gradient(small_batch, networks, moved):
    method = DeepMutualLearning(networks("primary", "auxiliary"), MutualSettings())
    moved(method.networks)
    method.losses(small_batch, Progress(0, 0, 0.0))["primary"]["mutual"].backward()
    assert all(parameter.grad is not None for parameter in method.networks["primary"].parameters())
    assert all(parameter.grad is None for parameter in method.networks["auxiliary"].parameters())
    assert all(parameter.grad is None for parameter in method.teachers.parameters())

"""Models: the authors' numbers, shapes, names, and statistics that attacks leave alone."""

import copy
from dataclasses import asdict

import pytest
import torch
from helpers import FIXTURES
from safetensors.torch import load_file
from torch import nn

from mngac import tensors
from mngac.models.files import Architecture, load_classifier, save_classifier
from mngac.models.frozen import frozen_statistics
from mngac.models.noise_generator import NoiseGenerator
from mngac.models.opened import open_classifier
from mngac.models.wide_resnet import WideResNet
from mngac.params.errors import UserError
from mngac.params.registry import find


def official_wrn():
    classifier = WideResNet(10, 1, 10)
    weights = torch.load(FIXTURES / "official_wrn_10_1.pth", weights_only=True)
    missing = classifier.load_state_dict({n.removeprefix("module."): v for n, v in weights.items()}, strict=False)
    assert not missing.unexpected_keys and all("num_batches_tracked" in n for n in missing.missing_keys)
    return classifier, load_file(FIXTURES / "official_wrn_10_1_io.safetensors")


def test_the_authors_wrn_gives_their_logits_and_statistics():
    classifier, io = official_wrn()
    with torch.no_grad():
        torch.testing.assert_close(classifier.eval()(io["x"]), io["logits_eval"], rtol=0, atol=1e-5)
        torch.testing.assert_close(classifier.train()(io["x"]), io["logits_train"], rtol=0, atol=1e-5)
    for name in ("mean", "var"):
        ours = getattr(classifier.bn1, f"running_{name}")
        torch.testing.assert_close(ours, io[f"bn1_running_{name}_after_train_fwd"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["conv1.weight", "bn1.running_var", "fc.bias"])
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_a_classifier_that_is_not_finite_is_neither_written_nor_opened(tmp_path, name, number):
    architecture, path = Architecture("wrn_10_1", 10, 3, 32), tmp_path / "c.safetensors"
    classifier = architecture.build()
    classifier.state_dict()[name][0] = number
    said = rf"{path}: 1 of \d+ tensors are not finite, the first of them {name}; allowed: a classifier of finite"
    with pytest.raises(UserError, match=said):
        save_classifier(path, classifier, architecture)
    assert not path.exists()
    tensors.write(path, classifier.state_dict(), **asdict(architecture))
    with pytest.raises(UserError, match=said):
        load_classifier(path, "cpu")
    with pytest.raises(UserError, match=said):
        open_classifier(path, None, 10, (3, 32, 32))
    foreign = tmp_path / "c.pt"
    torch.save(classifier.state_dict(), foreign)
    with pytest.raises(UserError, match=said.replace(str(path), str(foreign))):
        open_classifier(foreign, "wrn_10_1", 10, (3, 32, 32))


def test_the_authors_generator_gives_their_noise():
    generator = NoiseGenerator(3, input_dependent=False)
    generator.load_state_dict(torch.load(FIXTURES / "official_generator.pth", weights_only=True))
    io = load_file(FIXTURES / "official_generator_io.safetensors")
    with torch.no_grad():
        out = generator(torch.zeros(2, 3, 32, 32), io["noise"])
    torch.testing.assert_close(out, io["out"], rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_dependent_generator_sees_image_and_noise(channels):
    torch.manual_seed(0)
    generator = NoiseGenerator(channels)
    x, draws = torch.rand(2, channels, 8, 8), torch.Generator().manual_seed(0)
    z = generator.draw(x, draws)
    assert generator(x, z).shape == x.shape
    assert not torch.equal(generator(x, z), generator(1 - x, z))
    assert not torch.equal(generator(x, z), generator(x, generator.draw(x, draws)))


def test_noise_at_initialisation_is_far_wider_than_any_radius():
    torch.manual_seed(0)
    generator = NoiseGenerator(3)
    x = torch.rand(16, 3, 16, 16)
    with torch.no_grad():
        spread = generator(x, generator.draw(x, torch.Generator().manual_seed(0))).std()
    assert 1.0 < spread < 2.5


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_wrn_takes_any_image_size(size):
    assert WideResNet(10, 1, 7, channels=1)(torch.rand(2, 1, size, size)).shape == (2, 7)


def test_wrn_28_10_has_the_published_number_of_weights():
    with torch.device("meta"):
        count = sum(w.numel() for w in WideResNet(28, 10, 10).parameters())
    assert count == 36_479_194


def test_a_wrong_input_shape_names_both_shapes():
    for shape in ((2, 1, 32, 32), (2, 3, 64, 64)):
        with pytest.raises(ValueError, match=r"\(batch, 3, 32, 32\), not \(2, "):
            Architecture("wrn_10_1", 10, 3, 32).build()(torch.rand(shape))


@pytest.mark.parametrize(("name", "size", "millions"), [("preact_resnet_18", 32, 11.17), ("resnet_50", 64, 23.91)])
def test_resnets_have_the_published_number_of_weights(name, size, millions):
    classifier = Architecture(name, 200 if name == "resnet_50" else 10, 3, size).build()
    count = sum(w.numel() for w in classifier.parameters())
    assert abs(count / 1e6 - millions) < 0.01


def test_the_authors_odd_net_has_their_number_of_weights_and_doubles():
    classifier = Architecture("authors_resnet", 200, 3, 64).build().eval()
    assert abs(sum(w.numel() for w in classifier.parameters()) / 1e6 - 11.58) < 0.01
    block = classifier.layer1[1]
    out = block.blockConv2(block.blockConv1(torch.rand(1, 64, 8, 8, generator=torch.Generator().manual_seed(0))))
    again = block(torch.rand(1, 64, 8, 8, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(again, (2 * out).relu())
    assert "layer2.0.shortcut.0.weight" in classifier.state_dict()


@pytest.mark.parametrize("name", ["preact_resnet_18", "resnet_50"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnets_give_logits(name, channels):
    assert Architecture(name, 5, channels, 16).build()(torch.rand(2, channels, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize("name", ["wrn_11_1", "wrn_10", "vgg_16"])
def test_a_model_that_does_not_exist_is_refused(name):
    with pytest.raises(ValueError, match="allowed"):
        Architecture(name, 10, 3, 32).build()


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("was", [True, False])
def test_frozen_statistics_computes_in_its_mode_and_moves_nothing(mode, was):
    classifier, _ = official_wrn()
    twin = copy.deepcopy(classifier).train(mode == "train")
    classifier.train(was)
    before = copy.deepcopy(classifier.state_dict())
    x = torch.rand(4, 3, 32, 32)
    with frozen_statistics(classifier, mode):
        inside = classifier(x)
    torch.testing.assert_close(inside, twin(x), rtol=0, atol=1e-6)
    assert classifier.training == was and classifier.bn1.training == was and classifier.bn1.track_running_stats
    assert all(torch.equal(v, before[n]) for n, v in classifier.state_dict().items())


def test_frozen_statistics_comes_back_after_an_error():
    classifier = nn.Sequential(nn.BatchNorm2d(1)).train()
    with pytest.raises(RuntimeError), frozen_statistics(classifier, "eval"):
        raise RuntimeError
    assert classifier.training and classifier[0].track_running_stats


def test_a_saved_classifier_comes_back_in_eval_mode_with_its_logits(tmp_path):
    architecture = Architecture("wrn_10_1", 5, 1, 8)
    classifier = architecture.build().eval()
    save_classifier(tmp_path / "c.safetensors", classifier, architecture)
    again = load_classifier(tmp_path / "c.safetensors", "cpu")
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(again(x), classifier(x)) and not again.training
    assert not any(w.requires_grad for w in again.parameters())


def test_equal_weights_are_equal_bytes(tmp_path):
    architecture = Architecture("wrn_10_1", 5, 1, 8)
    classifier = architecture.build()
    for name in "ab":
        save_classifier(tmp_path / name, classifier, architecture)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_of_another_schema_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "c", metadata={"mngac": '{"schema": 9}'})
    with pytest.raises(ValueError, match="schema 9"):
        load_classifier(tmp_path / "c", "cpu")


@pytest.mark.parametrize("name", ["wrn_10_1", "preact_resnet_18"])
def test_softplus_stands_in_the_blocks_and_relu_before_pooling(name):
    """With softplus made ReLU it is the plain model; and its own activations are log(1 + exp(x))."""
    plain = find("models", name).load()(name, 10, 1, 8).eval()
    smooth = find("models", f"{name}_softplus").load()(f"{name}_softplus", 10, 1, 8).eval()
    smooth.load_state_dict(plain.state_dict())
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(smooth(x), plain(x))
    blocks = [module for module in smooth.modules() if hasattr(module, "activation")]
    values = torch.linspace(-5, 5, 11)
    assert len(blocks) == (3 if name == "wrn_10_1" else 8)
    for block in blocks:
        assert torch.allclose(block.activation(values.clone()), (1 + values.exp()).log(), atol=1e-6)
        block.activation = torch.relu
    assert torch.equal(smooth(x), plain(x))

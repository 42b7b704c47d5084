"""The voice network and its recipe: what is pooled, what is answered, nothing of what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from unmask_lab.errors import LabError  # noqa: E402
from unmask_lab.manifest import Row  # noqa: E402
from unmask_lab.nets import voice  # noqa: E402
from unmask_lab.nets.moonshine import Moonshine, load_moonshine  # noqa: E402
from unmask_lab.nets.whisper import Tower  # noqa: E402
from unmask_lab.train.recipes import voice_synthetic as recipe  # noqa: E402


def small_net(seed: int = 0) -> voice.VoiceNet:
    torch.manual_seed(seed)
    net = voice.VoiceNet(Tower(4, width=16, heads=2), Moonshine(1)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.2)
        net.shift.normal_()
        net.spread.uniform_(0.5, 2.0)
    return net


WIDTH = 3 * (4 * 16 + 416)


def some_clips(n: int = 24) -> recipe.Clips:
    rows = [
        Row(
            path=f"{i}.flac",
            modality="audio",
            label="synthetic" if i % 2 else "bona_fide",
            source=f"s{i // 6}",
            family="vocoder" if i % 4 == 1 else "tts",
        )
        for i in range(n)
    ]
    rng = np.random.default_rng(3)
    waves = rng.normal(0, 0.05, (n, recipe.VARIANTS, recipe.SAMPLES)).astype(np.float16)
    return recipe.Clips(rows, waves, np.full(n, recipe.SAMPLES))


def test_the_answer_of_pooled_layers_is_that_of_the_wave() -> None:
    net, wave = small_net(), torch.randn(2, 32000)
    with torch.no_grad():
        pooled = net.pool(wave)
        score, distance, layers = net(wave)
        assert pooled.shape == (2, WIDTH)
        assert torch.allclose(net.answers(pooled)[0], score) and torch.allclose(net.answers(pooled)[1], distance)
        assert torch.equal(layers, pooled[:, : 2 * 4 * 16])


def test_what_is_pooled_is_mean_deviation_and_change() -> None:
    net, wave = small_net(), torch.randn(1, 32000)
    with torch.no_grad():
        pooled = net.pool(wave)[0]
        seen = torch.cat(net.tower(net.mel(wave))[1:], -1)[0]
        heard = net.other(wave)[1][0]
    assert torch.allclose(pooled[:64], seen.mean(0), atol=1e-4)
    assert torch.allclose(pooled[64:128], seen.std(0, correction=0), atol=1e-3)
    assert torch.allclose(pooled[128:544], heard.mean(0), rtol=1e-3, atol=1e-3)
    assert torch.allclose(pooled[-416:], heard.diff(dim=0).square().mean(0).sqrt(), rtol=1e-3, atol=1e-3)


def test_the_second_recogniser_gives_forty_frames_a_second_and_knows_their_order() -> None:
    torch.manual_seed(0)
    net, wave = Moonshine(1).eval(), torch.randn(1, 32000)
    with torch.no_grad():
        first, block = net(wave)
        swapped = net.blocks[0](first[:, [1, 0, *range(2, 82)]], net.cosine, net.sine)
    assert first.shape == block.shape == (1, 82, 416)
    assert not torch.allclose(block[:, 5], swapped[:, 5], atol=1e-4)


def test_an_answer_fitted_on_pooled_layers_tells_what_they_tell() -> None:
    net = small_net()
    pooled = np.random.default_rng(4).normal(size=(2000, WIDTH)).astype(np.float32)
    truth = (pooled[:, 5] + pooled[:, -3] > 0).astype(np.float32)
    voice.fit_answer(net, pooled, truth, np.ones(2000, np.float32))
    score, _ = recipe.answers(net, pooled)
    assert ((score > 0) == (truth == 1)).mean() > 0.95


def test_one_training_clip_in_two_hundred_lies_beyond_the_distance_of_one() -> None:
    net = small_net()
    pooled = np.random.default_rng(1).normal(size=(1000, WIDTH)).astype(np.float32)
    voice.fit_drift(net, pooled)
    with torch.no_grad():
        distance = net.distance(torch.from_numpy(pooled))
        assert int((distance > 1).sum()) == 5
        assert float(net.distance(torch.from_numpy(pooled * 4)).median()) > 2


def test_the_probe_finds_the_column_that_tells() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(400, 30)).astype(np.float32)
    truth = (features[:, 7] > 0).astype(np.float32)
    direction, bias = voice.linear_probe(features, truth, np.ones(400, np.float32), strength=0.1)
    assert int(direction.abs().argmax()) == 7 and float(direction[7]) > 0
    assert abs(float(bias)) < 0.5


def test_nothing_of_a_held_out_source_is_used_from_the_forged_set() -> None:
    clips = some_clips()
    kept = recipe.usable(clips, clips, np.asarray([0, 7]))
    assert set(clips.source[kept]) == {"s2", "s3"}
    assert all(clips.rows[i].label == "synthetic" for i in kept)


def test_sources_count_less_than_their_clips() -> None:
    clips = some_clips()
    rows = [*clips.rows[:12], *(Row(path="x", modality="audio", label="synthetic", source="rare") for _ in range(2))]
    weight = recipe.source_weights(recipe.Clips(rows, clips.waves[:14], clips.lengths[:14]))
    assert weight[-1] > weight[0]
    assert weight[:6].sum() > weight[-2:].sum()


def test_the_table_has_every_way_once_and_only_held_out_clips() -> None:
    net, clips, held = small_net(), some_clips(), np.asarray([1, 4])
    pooled = np.random.default_rng(0).normal(size=(2, len(recipe.WAYS), WIDTH)).astype(np.float32)
    found = recipe.table(net, clips, pooled, held, 3, {"4.flac": "singing"})
    assert {(s.path, s.variant) for s in found} == {(p, w) for p in ("1.flac", "4.flac") for w in recipe.WAYS}
    assert {(s.label, s.kind) for s in found} == {(1, ""), (0, "singing")}


def test_a_cache_of_other_clips_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "waves.npy", np.zeros((3, recipe.VARIANTS, 10), np.float16))
    np.save(tmp_path / "lens.npy", np.ones((3, recipe.VARIANTS), int))
    with pytest.raises(LabError) as error:
        recipe.prepare(some_clips().rows, tmp_path, tmp_path)
    assert error.value.code == "train.cache"
    np.save(tmp_path / "pooled.npy", np.zeros((3, 2, 8), np.float16))
    with pytest.raises(LabError) as error:
        recipe.pooled_layers(some_clips(), small_net(), tmp_path)
    assert error.value.code == "train.cache"


def test_a_clip_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(LabError) as error:
        recipe.read_wave(tmp_path / "a.flac")
    assert error.value.code == "manifest.file" and "a.flac" in error.value.text
    with pytest.raises(LabError):
        recipe.read_forged(tmp_path, tmp_path / "cache")


def test_a_file_that_is_not_moonshine_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "encoder_model.ort").write_bytes(bytes(500))
    with pytest.raises(LabError) as error:
        load_moonshine(tmp_path / "encoder_model.ort")
    assert error.value.code == "train.file" and "encoder_model.ort" in error.value.text

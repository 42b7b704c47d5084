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
    "trained_on": "516 bona fide faces of 22 sources blended with themselves and with each other, or with their own "
    "mesh moved, by the lab; no picture of a real swap",
    "known_misses": [
        "Faces that were generated whole: nothing was blended in.",
        "Faces whose expression was changed gently, without a seam.",
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
    "training": "Pairs of a face and its change in one batch, laundered alike (resize, JPEG, WebP, AVIF, blur, noise, "
    "30 % at half size): 40 % blends with another person's face, 35 % warps of the own mesh, the rest self-blends; "
    "8 % with drawn glasses or masks, 12 % with smoothed skin, 10 % with captions; cross-entropy of the score, of a "
    "coarse map, and a ranking within each pair; AdamW, cosine, averaged weights. 2,400 steps of 12 pairs, fold 1 "
    "of 2, seed 1; the state of step 2,100 was kept, by the mean AUC on two sources that did not train. "
    "`unmask-lab train face.swap`.",
    "error_rates": "See the card of the detector face.swap and docs/evaluation.md.",
}

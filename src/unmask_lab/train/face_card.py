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

PROBE_CARD: dict[str, object] = {
    "id": "face-swap-probe",
    "version": "1",
    "title": "Head on CLIP's middle blocks for blended faces",
    "task": "Says from CLIP's class tokens of one aligned face whether a part of it was blended in.",
    "licence": "Apache-2.0",
    "source": "trained by the lab's recipe face.swap_tower on class tokens of CLIP ViT-B/16 (clip-vit-b16-1)",
    "papers": [
        "K. Shiohara, T. Yamasaki: Detecting Deepfakes with Self-Blended Images. CVPR 2022",
        "L. Li et al.: Face X-ray for More General Face Forgery Detection. CVPR 2020",
        "C. Koutlis, S. Papadopoulos: Leveraging Representations from Intermediate Encoder-Blocks for Synthetic Image "
        "Detection. ECCV 2024",
    ],
    "trained_on": "the bona fide faces and the changes of them that face-swap-2 was trained on: 516 faces of 22 "
    "sources, 6,000 views; no picture of a real swap",
    "known_misses": [
        "Mouths and expressions that were changed, in small or strongly compressed pictures.",
        "Faces that were generated whole: nothing was blended in.",
    ],
    "input_texts": {
        "tokens": "class tokens after blocks 6 to 11 of 12, of unmask.faces.crop(picture, face, side=224, margin=0.02)"
    },
    "output_texts": {"score": "log-odds that a part of the face was blended in"},
    "intended_use": CARD["intended_use"],
    "advised_against": CARD["advised_against"],
    "data": "Bona fide faces of the labelled kit (public repositories, licences mixed; nothing of them is in the "
    "weights' folder), as of face-swap-2.",
    "training": "A ridge logistic regression on 6,000 aligned faces, half of them changed (self-blends, blends with "
    "another person's face, warps of the own mesh), laundered alike, in the space of the 640 largest principal "
    "components of the tokens; weight beside face-swap-2 and penalty chosen on two sources that did not train. 250 "
    "batches of 12 pairs, fold 1 of 2, seed 1. `unmask-lab train face.swap_tower`.",
    "error_rates": "See the card of the detector face.swap and docs/evaluation-learned.md.",
}

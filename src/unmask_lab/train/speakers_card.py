"""What the model of speaker turns tells of itself; figures by the recipe with half of the speakers left out."""

from __future__ import annotations

from typing import Any

CARD: dict[str, Any] = {
    "title": "Speaker turns",
    "task": "Places two seconds of a voice so that one speaker's windows lie together; it names nobody.",
    "licence": "Apache-2.0",
    "source": (
        "Trained by Unmask's lab on what voice-synthetic-2 computes, with the GE2E network of Resemblyzer 0.1.4 "
        "(Apache-2.0) as teacher"
    ),
    "papers": [
        (
            "L. Wan, Q. Wang, A. Papir, I. Lopez Moreno: Generalized End-to-End Loss for Speaker Verification. "
            "ICASSP, 2018"
        ),
        "G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network. NeurIPS workshop, 2015",
    ],
    "trained_on": (
        "the labelled kit's voices: 514 recorded clips of up to two seconds whose source names one of 324 speakers, "
        "each as it is and through a telephone, Opus or a random way of the world; the names are not used in the fit"
    ),
    "known_misses": [
        "For about one pair of windows in seven the answer is wrong; only many windows tell speakers apart.",
        "Of made conversations with turns of two to four seconds two in five are given the wrong number of speakers.",
        "Two voices that are alike, or two people who talk at once, are taken for one.",
    ],
    "input_texts": {"layers": "the output `layers` of voice-synthetic-2 for a window of two seconds"},
    "output_texts": {"place": "of length 1; the product of two is about .6 for one speaker and 0 to .3 for two"},
    "intended_use": "Telling within one recording where the speaker changes.",
    "advised_against": "Telling who somebody is, or comparing recordings: it is far too weak for that.",
    "data": (
        "The kit's recordings were gathered from public repositories; none is distributed, and the weights hold no "
        "clip."
    ),
    "training": (
        "`unmask-lab train voice.speakers --kit KIT --with teacher=pretrained.pt`: a ridge regression (3000) from the "
        "mean and deviation of the four layers' channels to the teacher's 256 numbers of the clip as it is; the "
        "answer's 64 main directions, each divided by the fourth root of its spread. No speaker labels are used. The "
        "shipped weights rest on 514 of the 610 clips that the recipe takes, and on the layers of voice-synthetic-1; "
        "those of version 2, rounded to four bits, give places that agree with them at .995 (cosine, 100 clips)."
    ),
    "error_rates": (
        "Half of the speakers left out in turn (263 and 251 clips of 164 and 163 speakers, 250 and 173 pairs of one "
        "speaker; some of the sources' names are wrong), equal error rate for pairs of two-second windows:\n"
        "\n"
        "| sound | this model | the teacher |\n"
        "|---|---|---|\n"
        "| both as they are | .109, .179 | .108, .150 |\n"
        "| both through telephone, Opus or another way | .132, .191 | .172, .192 |\n"
        "| one as it is, one not | .122, .191 | .154, .191 |\n"
        "\n"
        "Made conversations (clips of one to three speakers in turns of two to four seconds, each as it is and through "
        "a telephone or Opus), thresholds chosen on one half of the speakers, figures of the other, read with a model "
        "that has not seen them: of 14 with one speaker 2 are split (one person in both forms, perhaps two under one "
        "name); of "
        "38 with two or three 28 are found to have several, 23 the right number, and 24.5 % of the speech is given to "
        "the wrong speaker."
    ),
}

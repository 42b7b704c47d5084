"""Live: a camera, a network stream, a screen or a film in real time, judged while it runs.

1. A reader thread opens the source with PyAV, reads packets and decodes them. It keeps the newest frame only and the
   last seconds of sound; where it falls behind, the decoder skips to key frames: frames are dropped, nothing lags.
2. The watcher takes the newest frame a few times a second, finds faces (`faces.detect`), follows them
   (`faces.track`), and asks face.swap about each; image.synthetic is asked about a frame now and then in a second
   thread, and only where that is quick enough; voice.synthetic is asked about the last seconds of sound.
3. Scores are gathered for each question in windows that do not overlap. A window's answer is made as for a film: the
   median of each face's moments less the correction for many faces, the median of the frames, the mean of the voice.
4. A question speaks only once enough windows in a row are clear; it then counts with the lowest of them, and
   `verdict.fuse` labels it with the cards' calibration and thresholds. How many windows in a row a label needs grows
   with the length of the stream, so that a long stream keeps the false-alarm budget of a film (`rolling.needed`).
5. Everything is told in frozen events (`events`); the terminal and the JSON lines read nothing else.
6. A recorder keeps the last packets and writes suspicious stretches, unchanged, with an ordinary report.
7. Challenges ask the person for movements and judge answers from the geometry of the face mesh (`challenge`).
"""

from unmask.live.options import LiveOptions
from unmask.live.watch import watch

__all__ = ["LiveOptions", "watch"]

"""Faces: found, confirmed, laid out with a mesh, aligned and tracked.

Nobody is recognised here and nothing is kept: a face is a place to look at. The networks are opened at
first use, never at import.
"""

from unmask.faces.align import crop
from unmask.faces.detect import detect
from unmask.faces.face import Face, Pose
from unmask.faces.mesh import mesh
from unmask.faces.track import Track, Tracker

__all__ = ["Face", "Pose", "Track", "Tracker", "crop", "detect", "mesh"]

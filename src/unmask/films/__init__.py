"""Films: which frames are looked at closely, and whose faces are in them from when to when.

Every frame is decoded once as a thumbnail (`VideoView.small_frames`); a plan made from them names the frames that are
worth a closer look, and a second pass hands those out at their full size, one at a time.
"""

"""Active challenges for video calls: random movements are asked for, and the answers judged by their geometry.

In the terms of ISO/IEC 30107-1 a print, a screen or a mask before the camera is a *presentation attack*; a picture
that a program puts in the place of the camera (a virtual camera with a face swap) is an *injection attack*, which that
standard leaves out. A challenge makes both harder: a recording cannot know what will be asked, and swaps that work on
frontal faces often slip at large angles and behind hands. It proves nothing: a good swap that follows the head may
pass, and no data of such attacks was at hand to measure how often.
"""

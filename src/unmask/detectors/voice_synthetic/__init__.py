"""Does a machine speak in this recording?"""

"""The files of older releases, brought into this layout in place.

``names`` says what a path is, ``read`` gets its rows, ``convert`` makes rows of ours of them, ``sift`` tells which of
these are stored already, ``commit`` puts them in the store so that a crash anywhere loses nothing, and ``migrate`` goes
through a ``data_path``, a file after the other.
"""

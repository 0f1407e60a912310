"""Parquet: what is stored, and how it gets there. Sync; callers run these in a worker thread.

Life of a row: ``schema`` makes tables of tick messages or records, ``writer`` a segment of a table, ``fold`` (which
``merge``s) fewer and larger files of segments, ``reader`` one frame of them all. ``layout`` knows the names,
``parquet`` a file, ``files`` the file system, ``catalogue`` how much there is, ``coverage`` the arithmetic of what is
missing.
"""

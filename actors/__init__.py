"""The daemon: actors that move data between the parts of ``dccd``. ``tree.py`` shows them all on one screen."""

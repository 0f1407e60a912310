"""The command line, over the client. ``main.py`` has the commands, a module each group of them."""

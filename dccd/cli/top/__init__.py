"""``dccd top``: hosts, streams, backfills, supervision trees and incidents on one screen, live.

``gather`` asks the hosts, ``model`` makes tables of what they said, ``screen`` draws them.
"""

"""Exchanges, pure: bytes flow in, records flow out. One folder an exchange; ``registry`` lists them."""

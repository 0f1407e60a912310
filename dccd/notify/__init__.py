"""Telling people: incidents flow in, HTTP requests to webhooks flow out."""

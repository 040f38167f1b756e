"""Durable Python workflows on Netlify, on your laptop and from anywhere."""

__version__ = "0.1.0"

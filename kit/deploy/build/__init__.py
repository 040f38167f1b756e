"""
`kit build`: Netlify functions that carry a Python, made from the project's files.

The bundle goes to `.kit/bundle`, the entries into the functions' folder.
"""

from kit.deploy.build.build import build, clear
from kit.deploy.build.order import Observe, Order
from kit.deploy.build.report import Report

__all__ = ["Observe", "Order", "Report", "build", "clear"]

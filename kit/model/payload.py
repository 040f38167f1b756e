"""To go: what lay here is in `text` and `annotations`."""

from kit.model.annotations import adapter_for as adapter_for
from kit.model.annotations import dump_result as dump_result
from kit.model.annotations import validate_input as validate_input
from kit.model.annotations import validated as validated
from kit.model.text import check_travels as check_travels
from kit.model.text import dump as dump
from kit.model.text import dump_checked as dump_checked
from kit.model.text import load as load

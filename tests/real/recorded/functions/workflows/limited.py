from functions.workflows.long import handler

from kit import define_workflow

limited = define_workflow(handler, name="limited", timeout="5 seconds")

"""Consume → embed → index → log, over ports. No client library in here."""

from connectivity_operator.pipeline.budget import Budget
from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.pipeline.pipeline import Pipeline
from connectivity_operator.pipeline.positions import Notice
from connectivity_operator.pipeline.progress import LastMessage, LastRejected, Progress, Trouble
from connectivity_operator.pipeline.sharing import SharedEmbedder, SharedIndex, SharedRows
from connectivity_operator.pipeline.work import Work

__all__ = [
    "Budget",
    "LastMessage",
    "LastRejected",
    "Notice",
    "Pace",
    "Pipeline",
    "Progress",
    "SharedEmbedder",
    "SharedIndex",
    "SharedRows",
    "Trouble",
    "Work",
]

"""The runtime of the stages: exactly once, in batches, on Faust.

A stage is a `Stage`: inputs, outputs, and a `Logic` for each partition that knows neither Kafka nor time.
What the logic returns is made true in Kafka exactly once, one transaction a checkpoint, through crashes,
rebalances and records that make it raise. The modules, from the bottom up:

    stage        what a stage is                        pacing        when to commit
    batches      the chain rule                         suspicion     which record is at fault
    changelog    how state and markers are written      transactions  one checkpoint in Kafka
    session      what a partition has in its hands      takeover      how it comes to have it
    partition    the processor of one partition         worker        all of them, following the group
    transport    Faust in batches                       running       a stage as a process
"""

from pipeline.runtime.changelog import Marker, read_record
from pipeline.runtime.dead_letters import dead_letter
from pipeline.runtime.failures import StateUnusable
from pipeline.runtime.running import CheckpointSettings, StageSettings, build_app, run_stage
from pipeline.runtime.stage import Logic, Output, Record, Stage

__all__ = [
    "CheckpointSettings",
    "Logic",
    "Marker",
    "Output",
    "Record",
    "Stage",
    "StageSettings",
    "StateUnusable",
    "build_app",
    "dead_letter",
    "read_record",
    "run_stage",
]

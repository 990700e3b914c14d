"""The words that a manifest chooses from, each set spelled once: for the API, the recipes and the worker.

The names of benchmarks, verdict methods and stores are the keys of their own tables: see `benchmarks`, `verdicts` and
`stores`.
"""

from __future__ import annotations

from typing import Literal

Addressing = Literal["Auto", "Path", "Virtual"]
"""Where a request names the bucket: in the path of its URL, or before the server's host name."""

Encryption = Literal["SSE-S3", "SSE-KMS"]
"""How a server encrypts what lies in a bucket: with a key of its own, or with one of a key service."""

BadRowRule = Literal["Refuse", "Skip"]
"""What becomes of a row of a file of texts that is not what it should be."""

Better = Literal["Named", "First"]
"""Which of two labelled answers is the better one."""

LintRules = Literal["Strict", "Basic", "None"]
"""For which issues an instruction is dropped."""

Flag = Literal["Secret", "PersonalData"]
"""What a text is flagged for: see `curation.flags`."""

DedupMethod = Literal["MinHash", "Semantic", "Exact", "None"]
"""How instructions that say the same are found."""

EmbedderMethod = Literal["HashedNgrams", "SentenceTransformers", "Endpoint"]
"""What turns instructions into vectors."""

DiversityMethod = Literal["KCenterGreedy", "Random", "None"]
"""How many instructions are compressed to few."""

Grade = Literal["Excellent", "Good", "Average", "Poor"]
"""Difficulty grades of instructions, hardest first."""

Pairing = Literal["AttackerDefender", "AllPairs"]
"""Which competitors meet over an attacker's instructions."""

Orders = Literal["Both", "Alternate"]
"""In which orders a judge sees two answers."""

KeepOrDrop = Literal["Drop", "Keep"]
"""What happens to what not everybody wants."""

Thoughts = KeepOrDrop
"""What happens to the thoughts of models that think."""

Criteria = Literal["code-v1", "general-v1"]
"""What a judge weighs. A text that changes gets a new name, so that its artifacts do too."""

CriteriaSource = Literal[Criteria, "text-v1", "rubric-v1"]
"""Named criteria, or the user's own: a text as it stands, or weighted points in words that have this version."""

ScheduleType = Literal["RoundRobin", "Pruned"]
"""Which verdicts are asked for."""

Ties = Literal["Half", "Shorter"]
"""Who gets the vote of a verdict that names neither answer: half to each, or all to the shorter."""

Unanswered = Literal["Void", "Loss"]
"""What becomes of a battle in which one of the two gave no answer: nothing, or a loss of that one."""

VoteKind = Literal["Plain", "Calibrated"]
"""Votes as judges gave them, or by each judge's own scale and position: see `rating.probability`."""

GoldRule = Literal["Pairwise", "Mean", "Sum"]
"""How the gold answer is chosen: see `rating.gold`."""

Tied = Literal["Skip", "Keep"]
"""What becomes of a gold answer that leads no other."""

DatasetFormat = Literal["Sft", "Preference"]
"""Kinds of training rows."""

ExportForm = Literal["openai", "sharegpt", "alpaca", "llamafactory", "csv", "jsonl"]
"""For what tools `tiltyard export` writes tables."""

TrainingMethod = Literal["Sft", "SftThenDpo"]
"""How a target model is fine-tuned."""

Precision = Literal["Bfloat16", "Float32"]
"""Numbers that training computes in."""

SelectBy = Literal["Margin", "Random"]
"""Which part of the rows is trained on."""

Style = Literal["Chat", "Completion"]
"""How a model is asked. Chat: the task is the user's turn. Completion: the model goes on with the task's text."""

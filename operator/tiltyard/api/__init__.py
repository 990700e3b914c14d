"""The Tournament API: immutable models, one loader, and the CRD made from them.

The models are the source of truth. On the wire names are camelCase and fractions are quoted strings (Kubernetes APIs
know no floats); in Python they are snake_case and `Decimal`. A null means that a field is absent, so its default holds.
"""

from tiltyard.api.answers import ExistingAnswers
from tiltyard.api.battles import AnswerSampling, Battles, Schedule, VerdictSettings
from tiltyard.api.curation import Curation, Dedup, Difficulty, Diversity, Embedder
from tiltyard.api.dataset import Dataset
from tiltyard.api.evaluation import BenchmarkFile, Evaluation, LmEvalTask, ProgramEnvironment, TaskFile
from tiltyard.api.instructions import GivenInstructions, Instructions, Mine
from tiltyard.api.jobs import Jobs
from tiltyard.api.judging import Judging, LabelledPairs
from tiltyard.api.load import load_tournament, tournament_from_object
from tiltyard.api.output import Bucket, Output
from tiltyard.api.participant import Endpoint, ModelSource, Participant
from tiltyard.api.places import problems_on_cluster, problems_on_machine, unsupported, unsupported_on_cluster
from tiltyard.api.pods import KeyReference, ObjectReference, PodPatch, secret_variable
from tiltyard.api.prices import Prices
from tiltyard.api.problems import ManifestError, Problem
from tiltyard.api.rating import Rating
from tiltyard.api.request import CaBundle, EndpointRequest, Header, ParticipantRequest
from tiltyard.api.resources import Resources
from tiltyard.api.scalars import INFERENCE_SERVICE_SCHEME, local_path, parse_quantity
from tiltyard.api.serving import LLM, ModelServing, ServedWeights, Serving, WeightsClaim
from tiltyard.api.spec import TournamentSpec
from tiltyard.api.status import (
    Condition,
    LeaderboardRow,
    ModelActivity,
    ModelState,
    ModelStatus,
    Outputs,
    PlannedUsage,
    RecordCounts,
    ShardCounts,
    StageState,
    StageStatus,
    TournamentStatus,
    UsageStatus,
    VoidCount,
)
from tiltyard.api.texts import TextFile, Texts
from tiltyard.api.tournament import ObjectMeta, Tournament
from tiltyard.api.training import RuntimeReference, Training
from tiltyard.api.weights import Weights

__all__ = [
    "INFERENCE_SERVICE_SCHEME",
    "LLM",
    "AnswerSampling",
    "Battles",
    "BenchmarkFile",
    "Bucket",
    "CaBundle",
    "Condition",
    "Curation",
    "Dataset",
    "Dedup",
    "Difficulty",
    "Diversity",
    "Embedder",
    "Endpoint",
    "EndpointRequest",
    "Evaluation",
    "ExistingAnswers",
    "GivenInstructions",
    "Header",
    "Instructions",
    "Jobs",
    "Judging",
    "KeyReference",
    "LabelledPairs",
    "LeaderboardRow",
    "LmEvalTask",
    "ManifestError",
    "Mine",
    "ModelActivity",
    "ModelServing",
    "ModelSource",
    "ModelState",
    "ModelStatus",
    "ObjectMeta",
    "ObjectReference",
    "Output",
    "Outputs",
    "Participant",
    "ParticipantRequest",
    "PlannedUsage",
    "PodPatch",
    "Prices",
    "Problem",
    "ProgramEnvironment",
    "Rating",
    "RecordCounts",
    "Resources",
    "RuntimeReference",
    "Schedule",
    "ServedWeights",
    "Serving",
    "ShardCounts",
    "StageState",
    "StageStatus",
    "TaskFile",
    "TextFile",
    "Texts",
    "Tournament",
    "TournamentSpec",
    "TournamentStatus",
    "Training",
    "UsageStatus",
    "VerdictSettings",
    "VoidCount",
    "Weights",
    "WeightsClaim",
    "load_tournament",
    "local_path",
    "parse_quantity",
    "problems_on_cluster",
    "problems_on_machine",
    "secret_variable",
    "tournament_from_object",
    "unsupported",
    "unsupported_on_cluster",
]

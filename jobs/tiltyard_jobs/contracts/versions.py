"""Names of the prompts that recipes hold, and versions of the harness and of what is a secret.

A prompt whose words change gets a new name, so that its artifacts do too.
"""

from tiltyard_jobs.contracts.vocabulary import CriteriaSource

JUDGE_PROMPT = "judge-v1"  # the frame around the criteria
GRADE_PROMPT = "difficulty-v1"
OWN_GRADE_PROMPT = "difficulty-v1/text-v1"  # around criteria of the user's own
FLAGGING = 3
"""What is flagged. 1 missed some kinds of GitLab's tokens, and other spellings of AWS' and Slack's; 2 passwords."""
DROPPED_TABLE = 2
"""What `tables/dropped.parquet` holds. 1 did not lead back to the rows of the user's own files."""
LM_EVAL = "0.4.13"  # the version of lm-evaluation-harness whose tasks are asked


def judge_prompt(criteria: CriteriaSource) -> str:
    """The name of a whole judge prompt, as a recipe holds it: `judge-v1/code-v1`."""
    return f"{JUDGE_PROMPT}/{criteria}"

"""A complete run as a dataset on the Hugging Face hub, by the hub's own client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiltyard_jobs.errors import ConfigurationError, TransientError

TOKEN = "HF_TOKEN"  # noqa: S105 - a variable's name, no secret


def push(folder: Path, name: str, run: str, environment: Mapping[str, str]) -> str:
    """Upload a copy of a run's folder in one commit; a dataset that is not there yet is made, and is private.

    Args:
        folder: the copy.
        name: `ORG/NAME`.
        run: for the commit's message.
        environment: has the token, which goes to the client alone.

    Returns:
        The dataset's address.

    Raises:
        ConfigurationError: the client or the token is missing, or the hub refuses the card, the token or the name.
        TransientError: the hub cannot be reached.
    """
    token = environment.get(TOKEN)
    if not token:
        raise ConfigurationError(f"--push-to-hub: set {TOKEN} to a token of the hub that may write datasets of {name}")
    try:
        from huggingface_hub import DatasetCard, HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise ConfigurationError(
            f"--push-to-hub needs one more package ({error.name}): pip install 'tiltyard[hub]'"
        ) from None
    hub = HfApi(token=token)
    try:
        DatasetCard.load(folder / "README.md").validate()
        url = hub.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        hub.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, commit_message=f"Run {run} of Tiltyard"
        )
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        sentence = (
            f"--push-to-hub: the hub refuses {name} (HTTP {status}): {error.server_message or 'without a reason'}"
        )
        if status is None or status == 429 or status >= 500:
            raise TransientError(sentence) from None
        raise ConfigurationError(f"{sentence}; check the name, and what the token in {TOKEN} may do") from None
    except HFValidationError as error:
        raise ConfigurationError(f"--push-to-hub: {name} is not a valid name of a dataset: {error}") from None
    except ValueError as error:  # of `validate`
        raise ConfigurationError(f"--push-to-hub: the hub refuses the dataset card: {error}") from None
    except OSError as error:
        raise TransientError(f"--push-to-hub: the hub cannot be reached: {type(error).__name__}") from None
    return str(url)

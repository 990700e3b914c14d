from __future__ import annotations

from pathlib import Path

import pytest

from tiltyard_jobs.shard.options import parse_options

ARGUMENTS = ["answer", "--task", "task.json"]


def test_defaults() -> None:
    options = parse_options(ARGUMENTS, {})
    assert (options.stage, options.task, options.index) == ("answer", Path("task.json"), 0)
    assert options.work_dir is None
    assert options.checkpoints
    assert (options.progress, options.summary) == (None, None)


def test_the_environment_stands_in_and_arguments_come_first() -> None:
    environment = {
        "JOB_COMPLETION_INDEX": "7",
        "TILTYARD_WORK_DIR": "/work",
        "TILTYARD_PROGRESS": "/p",
        "TILTYARD_SUMMARY": "/s",
    }
    options = parse_options(ARGUMENTS, environment)
    assert (options.index, options.work_dir) == (7, Path("/work"))
    assert (options.progress, options.summary) == (Path("/p"), Path("/s"))
    options = parse_options([*ARGUMENTS, "--index", "2", "--work-dir", "here", "--no-checkpoints"], environment)
    assert (options.index, options.work_dir, options.checkpoints) == (2, Path("here"), False)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["sing", "--task", "t"], {}), (["answer"], {}), (ARGUMENTS, {"JOB_COMPLETION_INDEX": "one"})],
)
def test_a_wrong_command_line_is_a_configuration_error(
    arguments: list[str], environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments, environment)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err

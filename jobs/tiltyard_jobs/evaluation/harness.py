"""The tasks of lm-evaluation-harness: `python harness.py ORDER`.

A program of its own (see `engine.py`): it imports lm_eval and nothing of Tiltyard, and asks no model. ORDER is a JSON
file with `command`, `out` and `tasks`, each of those with `name`, `harness` (its version), `numFewshot`, `limit`,
`files` (paths by split) and `metric`:

- `check`: loads each task with its data and writes what is wrong with it, null where nothing is.
- `ask`: writes what a model is to be asked, a JSON line a request; `chat`: as messages.
- `texts`: writes what the records say that the task evaluates, each text once, a JSON line a text.
- `measure`: reads `replies` to these requests and writes what each question is worth, a JSON line a question.

A question is named TASK/QUESTION, with the harness's own number, and a request TASK/QUESTION/KIND/PLACE/REPEAT/DIGEST,
so that replies to other data are found out.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import math
import os
import random
import resource
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

CONFIGURATION = 2
SEED, NUMPY_SEED, PYTHON_SEED = 1234, 1234, 0  # for which examples are shown, for tasks that shuffle: its defaults
MEMORY = 16 << 30  # of address space while replies are read
HUB = "give its files (files: [{split: …, uri: …}]), or run where the Hugging Face hub can be reached"
NO_LIKELIHOOD = -1e6  # of what was not answered; its question is void, and no metric may stumble over it
GENERATE, LIKELIHOOD = "generate_until", "loglikelihood"


class Refusal(Exception):
    """A task cannot be asked, or not be measured as wanted. The message is a sentence for the user."""


def main() -> None:
    """Do what the order says."""
    order = json.loads(Path(sys.argv[1]).read_text())
    try:
        _COMMANDS[order["command"]](_Harness(), order)
    except Refusal as refusal:
        _refuse(str(refusal))


def _check(harness: _Harness, order: dict[str, Any]) -> None:
    found: list[str | None] = []
    for wanted in order["tasks"]:
        try:
            tasks = harness.tasks(wanted)
            _metric(tasks, wanted)
            for task in tasks:
                _requests(task, limit=1, chat=False, max_tokens=1)
            found.append(None)
        except Refusal as refusal:
            found.append(str(refusal))
    Path(order["out"]).write_text(json.dumps(found))


def _ask(harness: _Harness, order: dict[str, Any]) -> None:
    (wanted,) = order["tasks"]
    with Path(order["out"]).open("w") as out:
        for task in harness.tasks(wanted):
            requests = _requests(task, wanted["limit"], chat=order["chat"], max_tokens=order["maxTokens"])
            out.writelines(json.dumps(request) + "\n" for request in requests)


def _texts(harness: _Harness, order: dict[str, Any]) -> None:
    (wanted,) = order["tasks"]
    found = {text: None for task in harness.tasks(wanted) for record in task.eval_docs for text in _strings(record)}
    with Path(order["out"]).open("w") as out:
        out.writelines(json.dumps(text) + "\n" for text in found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _measure(harness: _Harness, order: dict[str, Any]) -> None:
    (wanted,) = order["tasks"]
    tasks = harness.tasks(wanted)
    metric, chain = _metric(tasks, wanted)
    # What models wrote is read without a network, by a process that has no secret and may end as it likes.
    child = os.fork()
    if child == 0:
        try:
            _confine(order["confine"])
            _measure_confined(tasks, wanted, metric, chain, order)
        except Refusal as refusal:
            _refuse(str(refusal))
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.exit(code if code > 0 else 1)


def _measure_confined(tasks: list[Any], wanted: dict[str, Any], metric: str, chain: str, order: dict[str, Any]) -> None:
    import lm_eval

    with Path(order["replies"]).open() as lines:
        replies = {reply["id"]: reply for reply in map(json.loads, lines)}
    named = _said((metric, chain))
    voids = {_question(name): reply["void"] for name, reply in replies.items() if reply["void"] is not None}
    with Path(order["out"]).open("w") as out:
        for task in tasks:
            name = task.config.task
            form = _form(task, order["chat"])
            form.pop("chat_template", None)
            results = lm_eval.evaluate(
                _replay(replies), {"tasks": {name: task}}, limit=wanted["limit"], bootstrap_iters=0, **form
            )
            for row in results["samples"][name]:
                if row["filter"] == chain:
                    question = f"{name}/{row['doc_id']}"
                    void = voids.get(question)
                    value = None if void else _value(row[metric], metric, question)
                    out.write(json.dumps({"id": question, "metric": named, "value": value, "void": void}) + "\n")


_COMMANDS = {"check": _check, "ask": _ask, "texts": _texts, "measure": _measure}


class _Harness:
    """The harness's tasks, each with its data."""

    def __init__(self) -> None:
        import lm_eval.tasks

        self._manager = lm_eval.tasks.TaskManager()

    def tasks(self, wanted: dict[str, Any]) -> list[Any]:
        """A task, or all of a group, ready to be asked."""
        import numpy
        from lm_eval.api.group import Group

        name, files = wanted["name"], wanted["files"]
        if (found := version("lm_eval")) != wanted["harness"]:
            raise Refusal(f"lm-evaluation-harness {wanted['harness']} is needed, and {found} is installed")
        entry = self._manager.task_index.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self._manager.all_tasks, 3)
            advice = f"; do you mean {' or '.join(near)}?" if near else ""
            raise Refusal(f"lm-evaluation-harness {found} has no task {name!r}{advice}")
        settings = entry.cfg or {}
        _refuse_kind(name, settings.get("output_type", ""), unsafe=bool(settings.get("unsafe_code")))
        # A task may shuffle its choices: what is asked and what is measured must be the same.
        random.seed(PYTHON_SEED)
        numpy.random.seed(NUMPY_SEED)  # the one that tasks use
        given: dict[str, Any] = {}
        if files:
            if "task" not in settings or isinstance(settings["task"], list):
                raise Refusal(f"files are for one task, and {name} is several: name its tasks one by one")
            given = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
        try:
            built = self._manager._factory.build(entry, overrides=given or None, registry=self._manager.task_index)
        except Exception as error:
            raise Refusal(_about_data(name, files, settings, error)) from error
        tasks = built.get_all_tasks() if isinstance(built, Group) else built if isinstance(built, list) else [built]
        once = {task.config.task: task for task in tasks}  # a group may hold a task in two of its groups
        for task in once.values():
            self._prepare(task, wanted["numFewshot"])
        return list(once.values())

    def _prepare(self, task: Any, num_fewshot: int | None) -> None:
        unsafe, sees = getattr(task, "UNSAFE_CODE", False), getattr(task, "MULTIMODAL", False)
        _refuse_kind(task.config.task, str(task.OUTPUT_TYPE), unsafe=unsafe)
        if sees:
            raise Refusal(f"{task.config.task} uses images or sound, but models are prompted with text only")
        own = task.get_config("num_fewshot")
        if num_fewshot is not None and own == 0 and num_fewshot > 0:
            raise Refusal(f"numFewshot is {num_fewshot}, but {task.config.task} has no examples: remove numFewshot")
        task.set_config(key="num_fewshot", value=num_fewshot if num_fewshot is not None else own or 0)
        task.set_fewshot_seed(seed=SEED)


def _refuse_kind(name: str, kind: str, *, unsafe: bool) -> None:
    if unsafe:
        raise Refusal(
            f"{name} runs generated code outside of any sandbox: see evaluation.benchmarks for what can be run"
        )
    if kind == "loglikelihood_rolling":
        raise Refusal(f"{name} measures perplexity, which is not a mean over questions: use a task that has questions")


def _about_data(name: str, files: dict[str, str], settings: dict[str, Any], error: Exception) -> str:
    said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
    if files:
        reads = sorted({split for key, split in settings.items() if key.endswith("_split") and isinstance(split, str)})
        splits = f"files for {', '.join(files)}; it reads {', '.join(reads)}"
        return f"the data of {name} cannot be read ({said}): there are {splits}"
    return f"the data of {name} cannot be read ({said}): {HUB}"


def _requests(task: Any, limit: int | None, *, chat: bool, max_tokens: int) -> list[dict[str, Any]]:
    form = _form(task, chat)
    try:
        task.build_all_requests(limit=limit, **form)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
        raise Refusal(f"{task.config.task} cannot build its questions from its data ({said})") from error
    return [
        {"request_id": name, **_request(instance, chat=bool(form), max_tokens=max_tokens)}
        for name, instance in _named(_repeated(task.instances))
    ]


def _form(task: Any, chat: bool) -> dict[str, Any]:
    """How the harness words its requests: likelihoods are of plain texts, whoever is asked."""
    if not chat or task.OUTPUT_TYPE != GENERATE:
        return {}
    return {"apply_chat_template": True, "fewshot_as_multiturn": True, "chat_template": _messages}


def _messages(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """A conversation as the harness passes it on; the served model's own template makes a prompt of it."""
    return json.dumps(messages)


def _repeated(instances: Iterable[Any]) -> Iterator[Any]:
    for instance in instances:
        yield from [instance] * instance.repeats


def _named(instances: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Requests by name, in the harness's order; the same in `ask` and in `measure`."""
    seen: Counter[str] = Counter()
    for instance in instances:
        name = f"{instance.task_name}/{instance.doc_id}/{instance.request_type}/{instance.idx}"
        digest = hashlib.sha256(json.dumps(instance.args, sort_keys=True, default=str).encode()).hexdigest()
        yield f"{name}/{seen[name]}/{digest[:12]}", instance
        seen[name] += 1


def _question(name: str) -> str:
    return name.rsplit("/", 4)[0]


def _request(instance: Any, *, chat: bool, max_tokens: int) -> dict[str, Any]:
    if instance.request_type == LIKELIHOOD:
        context, continuation = instance.args
        return {"context": context, "continuation": continuation}
    if instance.request_type != GENERATE:
        raise Refusal(f"{instance.task_name} needs {instance.request_type} requests, which no endpoint offers")
    context, given = instance.args
    sampled = bool(given.get("do_sample", "temperature" in given))
    limits = (given.get(word) for word in ("max_gen_toks", "max_new_tokens", "max_tokens"))
    return {
        ("messages" if chat else "prompt"): context,
        "until": _until(given),
        "temperature": float(given.get("temperature", 1.0)) if sampled else 0.0,
        "top_p": float(given.get("top_p", 1.0)) if sampled else 1.0,
        "max_tokens": int(next((limit for limit in limits if limit), max_tokens)),
    }


def _until(given: dict[str, Any]) -> list[str]:
    until = given.get("until") or []
    return [stop for stop in ([until] if isinstance(until, str) else until) if stop]


def _replay(replies: dict[str, Any]) -> Any:
    """A model, as the harness knows it, that says what is written."""
    from lm_eval.api.model import LM

    def reply_to(name: str) -> Any:
        if name not in replies:
            data = "its data has changed since then; give its files, so that it cannot change"
            raise Refusal(
                f"the questions of {name.partition('/')[0]} are not those that were sent to the models: {data}"
            )
        return replies[name]

    class Replay(LM):  # type: ignore[misc]
        tokenizer_name = ""

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            return _messages(chat_history)

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [_cut(reply_to(name)["reply"] or "", instance.args[1]) for name, instance in _named(requests)]

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            found = (reply_to(name) for name, _ in _named(requests))
            return [(NO_LIKELIHOOD if one["void"] else one["logprob"], bool(one["greedy"])) for one in found]

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> NoReturn:
            raise NotImplementedError

    return Replay()


def _cut(text: str, given: dict[str, Any]) -> str:
    """A reply up to where it should have stopped: a server takes four stops at most."""
    for stop in _until(given):
        text = text.partition(stop)[0]
    return text


def _metric(tasks: list[Any], wanted: dict[str, Any]) -> tuple[str, str]:
    """A metric and a filter that all tasks have: what is wanted, or the first of them."""
    offered = [_metrics(task) for task in tasks]
    common = [pair for pair in offered[0] if all(pair in others for others in offered[1:])]
    name = wanted["metric"]
    if name is None and common:
        return common[0]
    chosen = next((pair for pair in common if name in (pair[0], ",".join(pair))), None)
    if chosen is not None:
        return chosen
    known = ", ".join(map(_said, common)) or "none at all"
    raise Refusal(
        f"{wanted['name']} has no metric {name or ''} that is a mean over questions and better where it is higher;"
        f" it has {known}"
    )


def _said(pair: tuple[str, str]) -> str:
    metric, chain = pair
    return metric if chain == "none" else f"{metric},{chain}"


def _metrics(task: Any) -> list[tuple[str, str]]:
    better, chains = task.higher_is_better(), [chain.name for chain in getattr(task, "_filters", [])] or ["none"]
    return [
        (metric, chain)
        for metric, aggregation in task.aggregation().items()
        if getattr(aggregation, "__name__", "") == "mean" and better.get(metric, True)
        for chain in chains
    ]


def _value(value: Any, metric: str, question: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise Refusal(f"metric {metric} gave {str(value)[:40]!r} for {question}: use a metric between 0 and 1")
    return number


def _confine(path: str) -> None:
    for name in [name for name in os.environ if "TOKEN" in name]:
        del os.environ[name]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    spec = importlib.util.spec_from_file_location("confine", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        module.refuse_network()
    except module.ConfinementError as error:
        raise Refusal(f"what models wrote cannot be read safely here: {error}") from error


def _refuse(sentence: str) -> NoReturn:
    print(f"tiltyard: {sentence}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(CONFIGURATION)


if __name__ == "__main__":
    main()

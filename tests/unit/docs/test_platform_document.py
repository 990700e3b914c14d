"""docs/platform.md claims what tests show, in words that the code has.

`SHOWN` is the register: for each sentence of the page, by its first words, the tests behind it. A sentence without a
test, a test that is gone, and a name that the code does not have are found here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import pytest
import yaml

from support.documents import ROOT, code_spans, links, tables
from tiltyard.api.fields import field_at
from tiltyard.api.tournament import Tournament
from tiltyard.cluster import metrics
from tiltyard.cluster.election import LEASE_SECONDS, LOOK_SECONDS, STOP_SECONDS
from tiltyard.plan.observed import WaitReason
from tiltyard.status import conditions
from unit.docs.test_monitoring import RULES, SERIES

PAGE = (ROOT / "docs/platform.md").read_text()
CHART = ROOT / "charts/tiltyard"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())

TAKES_OVER_SECONDS = 15
"""What the documents promise of an operator whose leader is lost."""

HERE = "unit/docs/test_platform_document.py"
RENDERED, RIGHTS = "integration/chart/test_chart.py", "integration/chart/test_rights.py"
NETWORK, TOLD = "integration/chart/test_network_policies.py", "integration/cluster/test_told.py"
CLUSTER, OPERATOR = "integration/cluster", "integration/cluster/test_operator.py"
KUEUE, REFUSALS = "integration/cluster/test_kueue.py", "integration/cluster/test_refusals.py"
PODS, OBJECTS = "unit/render/test_pods.py", "unit/render/test_objects.py"

SHOWN: Mapping[str, tuple[str, ...]] = {
    # What may it do in my cluster?
    "These are all the permissions that the operator has": (
        f"{RIGHTS}::test_the_operator_has_the_rights_that_it_uses_and_no_other",
        f"{RIGHTS}::test_the_lease_is_the_operators_alone",
        f"{OPERATOR}::test_ended_children_go_after_their_time_and_do_not_come_back",
        f"{HERE}::test_the_table_has_the_rights_of_the_chart",
        f"{HERE}::test_no_right_is_about_secrets_or_logs",
    ),
    "With `watchNamespaces` they are": (
        f"{RENDERED}::test_chosen_namespaces_get_a_role_each_and_no_right_is_the_clusters",
    ),
    "Whoever has the role `edit` or `admin`": (
        f"{RIGHTS}::test_people_who_may_view_or_edit_may_do_so_with_tournaments",
    ),
    "`rbac.create: false` and": (f"{RENDERED}::test_what_can_be_left_out",),
    "Whoever may create Tournaments": (
        f"{PODS}::test_a_pod_has_what_its_part_of_the_manifest_says",
        f"{CLUSTER}/test_pods.py::test_all_that_a_pod_may_have_reaches_it",
    ),
    "`tenants` limits": (
        f"{CLUSTER}/test_tenants.py::test_the_api_server_refuses_what_is_applied",
        f"{CLUSTER}/test_tenants.py::test_the_operator_refuses_it_where_there_is_no_policy",
    ),
    "Quotas, LimitRanges, Pod Security": (
        f"{REFUSALS}::test_a_refusal_is_told_once_and_passes",
        f"{REFUSALS}::test_pods_that_pod_security_refuses_are_told",
    ),
    "Nothing starts before": (f"{REFUSALS}::test_nothing_starts_before_a_dry_run_of_each_kind_was_accepted",),
    "`tiltyard render FILE` prints": (
        f"{CLUSTER}/test_render.py::test_the_operator_makes_what_is_printed_and_nothing_else",
    ),
    "Each of them has": (f"{OBJECTS}::test_children_belong_to_the_tournament_and_carry_its_labels",),
    "The operator's pod runs": (f"{RENDERED}::test_the_pod_is_restricted",),
    "Workers' pods meet": (
        f"{OBJECTS}::test_pods_meet_the_restricted_standard",
        f"{REFUSALS}::test_pods_that_pod_security_refuses_are_told",
    ),
    "A Secret reaches a pod": (
        "unit/render/test_secrets.py::test_secrets_go_by_reference",
        "unit/render/test_secrets.py::test_a_pod_gets_the_secrets_that_it_needs_and_no_other",
    ),
    "The bucket's credentials are given": (
        "unit/render/test_roles.py::test_the_bucket_is_the_workers_alone",
        f"{OBJECTS}::test_the_trained_model_is_brought_by_an_init_container_that_alone_has_the_keys",
    ),
    "Programs that models wrote run only": (
        "unit/api/test_samples.py::test_an_invalid_manifest_gets_its_sentences",  # evaluation.yaml
        f"{OBJECTS}::test_what_runs_programs_has_no_key_and_no_task",
        "integration/sandbox/test_attacks.py::test_no_process_no_network_no_privilege",
        "integration/sandbox/test_attacks.py::test_files_outside_are_out_of_reach",
    ),
    "KServe creates no Ingress": (f"{CLUSTER}/test_kserve.py::test_models_are_not_published",),
    "With `networkPolicy.tournamentNamespaces`": (f"{NETWORK}::test_only_workers_and_scrapers_reach_models",),
    "With `networkPolicy.egress.enabled`": (
        f"{NETWORK}::test_egress_is_dns_the_internet_and_what_is_named",
        f"{NETWORK}::test_the_nodes_of_a_training_talk_on_any_port_and_nobody_else_does",
    ),
    # What does it cost?
    "The operator requests": (f"{HERE}::test_numbers_are_those_of_the_chart_and_the_code",),
    "Each container that Tiltyard creates": (
        f"{PODS}::test_every_container_of_ours_has_requests_and_limits",
        f"{PODS}::test_what_has_a_request_has_a_limit",
    ),
    "`spec.serving.maxActive` and": (
        "unit/plan/test_steps.py::test_policy_is_what_the_manifest_says",
        "unit/plan/test_steps.py::test_models_start_in_the_order_decided_and_only_into_free_room",
    ),
    "A model is stopped once": (
        "unit/plan/test_steps.py::test_a_model_with_nothing_left_is_stopped_and_one_with_work_is_not",
        "unit/plan/test_steps.py::test_where_a_tournament_ends_or_rests_no_model_is_left",
    ),
    "What exists in the bucket": ("unit/plan/test_planner.py::test_what_is_there_already_is_not_made_again",),
    "`spec.activeDeadlineSeconds` ends": (f"{OPERATOR}::test_a_deadline",),
    "`tiltyard plan FILE` estimates": (
        "unit/plan/test_spending.py::test_tokens_are_planned_as_they_are_estimated_and_work_that_exists_is_not",
    ),
    "`status.usage` has": (
        "unit/status/test_status_conditions.py::test_usage_is_the_sum_of_the_ledger",
        "unit/status/test_status_spending.py::test_money_in_a_status_is_a_decimal_with_its_currency",
    ),
    "`tiltyard_model_seconds_total` counts": (
        "unit/cluster/test_metrics.py::test_time_of_models_is_counted_by_what_they_do",
        f"{CLUSTER}/test_metrics.py::test_each_metric_is_set_by_what_happens",
    ),
    "`children.copiedLabels` copies": (f"{PODS}::test_listed_labels_and_annotations_reach_every_child_and_pod",),
    # How do I stop it?
    "`kubectl patch tournament NAME": (
        f"{OPERATOR}::test_suspended_it_frees_everything_and_resumed_it_goes_on",
        f"{OPERATOR}::test_suspended_while_it_is_invalid_it_frees_everything_and_mended_it_goes_on",
    ),
    "`kubectl delete tournament NAME` deletes": (f"{OPERATOR}::test_deleted_while_it_runs_and_with_the_operator_down",),
    "The operator has no credentials": (f"{RENDERED}::test_the_pod_is_restricted",),
    "`kubectl -n tiltyard scale deployment tiltyard": (
        f"{OPERATOR}::test_the_operator_is_killed_and_nothing_is_made_twice",
    ),
    "An operator that is started again": (f"{OPERATOR}::test_the_operator_is_killed_and_nothing_is_made_twice",),
    "`spec.ttlSecondsAfterFinished` deletes": (
        f"{OPERATOR}::test_ended_children_go_after_their_time_and_do_not_come_back",
    ),
    "`helm uninstall tiltyard` keeps": (f"{RENDERED}::test_the_crd_is_the_generated_one_and_outlives_the_chart",),
    # How do I know that it is healthy?
    "Conditions follow kstatus": (
        "integration/gitops/test_health.py::test_every_phase_and_condition_is_judged_rightly",
    ),
    "A GitOps sync finds no drift": (
        f"{CLUSTER}/test_gitops.py::test_no_drift_in_any_phase_and_each_is_judged_rightly",
    ),
    "`Waiting` says": (
        f"{REFUSALS}::test_a_refusal_is_told_once_and_passes",
        "unit/status/test_conditions.py::test_what_waits_stands_beside_what_is_done",
    ),
    "`Failed` has": (
        f"{TOLD}::test_a_bucket_that_is_not_there_and_what_to_do",
        "unit/status/test_conditions.py::test_a_failure_on_a_cluster_says_how_to_go_on",
    ),
    "The kubelet probes": (
        f"{RENDERED}::test_one_operator_at_a_time_is_probed",
        f"{RENDERED}::test_prometheus_finds_the_metrics",
    ),
    "Each metric of": (
        f"{CLUSTER}/test_metrics.py::test_each_metric_is_set_by_what_happens",
        "unit/docs/test_generated.py::test_the_tables_of_a_page_are_up_to_date",
    ),
    "`metrics.serviceMonitor.enabled`,": (
        f"{RENDERED}::test_prometheus_finds_the_metrics",
        f"{RENDERED}::test_alerts_and_dashboard_are_those_of_their_files",
    ),
    "`TiltyardNoLeader` is": (
        "integration/chart/test_alerts.py::test_an_alert_fires_when_it_should",
        "integration/chart/test_alerts.py::test_no_alert_fires_without_need",
        f"{HERE}::test_alerts_are_about_what_the_page_says",
    ),
    "Log lines are JSON": (f"{CLUSTER}/test_metrics.py::test_each_metric_is_set_by_what_happens",),
    "With `replicas: 2`": (
        f"{CLUSTER}/test_election.py::test_the_other_goes_on_with_a_tournament_of_one_that_is_killed",
        f"{CLUSTER}/test_election.py::test_one_that_ends_hands_over",
        f"{HERE}::test_numbers_are_those_of_the_chart_and_the_code",
    ),
    "The two replicas prefer different nodes": (f"{RENDERED}::test_several_replicas_prefer_different_nodes",),
    "A watched namespace that is gone": (
        f"{CLUSTER}/test_missing.py::test_a_watched_namespace_that_is_deleted_stops_no_other",
        f"{CLUSTER}/test_missing.py::test_without_trainer_those_that_train_wait_for_it_and_no_others",
        f"{CLUSTER}/test_missing.py::test_without_kserve_endpoints_play_and_models_wait_for_it_also_in_the_middle",
    ),
    # How do I upgrade it?
    "`helm upgrade tiltyard charts/tiltyard` upgrades": (
        f"{RENDERED}::test_the_crd_is_the_generated_one_and_outlives_the_chart",
    ),
    "An unknown chart value is refused": (
        f"{RENDERED}::test_a_wrong_value_is_refused_by_name",
        f"{RENDERED}::test_an_older_kubernetes_is_refused",
    ),
    "The images are": (
        f"{RENDERED}::test_images_are_of_the_charts_release",
        f"{RENDERED}::test_the_operator_understands_its_command_line",
    ),
    "The operator keeps no state": (f"{OPERATOR}::test_the_operator_is_killed_and_nothing_is_made_twice",),
    "A Tournament that is complete": (f"{OPERATOR}::test_another_release_does_not_start_a_finished_run_again",),
    "A run that an earlier release has begun": (
        f"{CLUSTER}/test_releases.py::test_what_it_has_begun_goes_on_and_nothing_is_paid_twice",
    ),
    "A KServe that is too old": (
        f"{CLUSTER}/test_kserve.py::test_a_kserve_that_is_too_old_is_told",
        f"{CLUSTER}/test_kserve.py::test_the_one_that_is_installed_is_supported",
    ),
    "A Tournament of an earlier release": (
        "unit/plan/test_releases.py::test_the_object_is_admitted_and_its_status_is_read",
        f"{CLUSTER}/test_releases.py::test_its_tournament_stays_complete_and_only_what_is_said_is_made_again",
    ),
    "Artifacts of an earlier release": (
        "unit/plan/test_releases.py::test_its_artifacts_are_reused_apart_from_what_is_said",
        "integration/local/test_releases.py::test_only_what_is_said_is_made_again",
        f"{CLUSTER}/test_releases.py::test_its_tournament_stays_complete_and_only_what_is_said_is_made_again",
    ),
    # How do I give three teams fair shares?
    "Each team gets a namespace": (f"{KUEUE}::test_the_example_of_the_document_word_for_word",),
    "A Tournament with the label": (
        f"{OBJECTS}::test_a_queue_gets_the_labels_that_it_goes_by",
        f"{KUEUE}::test_three_teams_share_a_quota_and_all_finish",
    ),
    "A team that is alone": (f"{KUEUE}::test_three_teams_share_a_quota_and_all_finish",),
    "`kueue.x-k8s.io/priority-class` is copied": (f"{OBJECTS}::test_a_queue_gets_the_labels_that_it_goes_by",),
    "A model whose Jobs": (f"{KUEUE}::test_a_model_beside_queued_jobs_is_given_back",),
    "Of two tournaments": (
        f"{KUEUE}::test_two_tournaments_that_hold_what_the_other_needs_next_both_finish",
    ),
    "Jobs with several pods": (f"{KUEUE}::test_a_model_beside_queued_jobs_is_given_back",),
    "What is waiting for a queue": (f"{KUEUE}::test_three_teams_share_a_quota_and_all_finish",),
    "Without Kueue": (f"{CLUSTER}/test_room.py::test_two_tournaments_that_hold_each_others_room_get_free_of_it",),
}  # fmt: skip


def sentences(text: str) -> list[str]:
    """The items of the page's lists, on one line each."""
    return [" ".join(item.split()) for item in re.findall(r"^- (.+?)(?=\n- |\n\n|\Z)", text, re.MULTILINE | re.DOTALL)]


@cache
def defined_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_sentence_has_a_test_and_each_test_of_the_register_a_sentence() -> None:
    said = sentences(PAGE)
    assert len(said) > 50
    for sentence in said:
        behind = [start for start in SHOWN if sentence.startswith(start)]
        assert len(behind) == 1, f"{sentence!r} begins with {behind}: name its tests in SHOWN"
        assert not re.search(r"\.\s+[A-Z`]", sentence), f"one sentence for each item: {sentence!r}"
    assert [start for start in SHOWN if not any(one.startswith(start) for one in said)] == []


def test_what_stands_beside_the_sentences_claims_nothing() -> None:
    introduction, *parts = re.split(r"^## .+\?\n", PAGE, flags=re.MULTILINE)
    assert len(parts) == 6
    assert "test_platform_document.py" in introduction
    for part in parts:
        left = re.sub(r"^(- .+(\n  .+)*|\|.*)$", "", part, flags=re.MULTILINE).strip()
        assert re.fullmatch(r"(More: \[[\w.]+\]\([\w.]+\)\.)?", left), left


@pytest.mark.parametrize("node", sorted({node for nodes in SHOWN.values() for node in nodes}))
def test_a_test_of_the_register_is_there(node: str) -> None:
    file, _, name = node.partition("::")
    assert name in defined_in(file), f"{node} is gone: find what shows it now, or take the sentence away"


class Right(NamedTuple):
    """One verb, and the value without which it is not granted, or what it is limited to."""

    group: str
    resource: str
    verb: str
    value: str


@cache
def granted() -> frozenset[Right]:
    """Every right of the operator that its chart grants."""
    helpers = (CHART / "templates/_helpers.tpl").read_text()
    rules = helpers.partition('{{- define "tiltyard.rules" -}}\n')[2].partition("{{- end -}}\n")[0]
    found: list[Right] = []
    for part in re.split(r"(?=\{\{- if \.Values\.)", rules):
        condition = re.match(r"\{\{- if \.Values\.([\w.]+) \}\}\n", part)
        text = re.sub(r"^\{\{-.*\n", "", part, flags=re.MULTILINE)
        found += rights(yaml.safe_load(text), condition[1] if condition else "")
    roles = (CHART / "templates/rbac.yaml").read_text()
    (nodes,) = re.findall(r"\{\{- if \$cluster \}\}\n(  - apiGroups:.*?)\{\{- end \}\}", roles, re.S)
    found += rights(yaml.safe_load(nodes), "watchNamespaces")
    (lease,) = (role for role in re.split(r"^---\n", roles, flags=re.M) if "[coordination" in role)
    rules = re.sub(r"^    resourceNames: .*\n", "", lease.partition("rules:\n")[2], flags=re.M)
    found += rights(yaml.safe_load(rules), "a Lease")
    return frozenset(found)


def rights(rules: list[dict[str, Any]], value: str) -> Iterator[Right]:
    for rule in rules:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
            yield Right(group, resource, verb, value)


def test_the_table_has_the_rights_of_the_chart() -> None:
    ((_, rows),) = tables(PAGE)
    written = set()
    for group, resources, verbs in rows:
        listed = set(re.findall(r"\b(?:get|list|watch|create|update|patch|delete)\b", verbs))
        (value,) = re.findall(r"; not with `(\w[\w.]*)", verbs) or ["a Lease" if "Lease" in verbs else ""]
        names = code_spans(resources)
        written |= {Right("" if group == "core" else group.strip("`"), *one, value) for one in product(names, listed)}
    assert written == granted()
    assert {one.resource for one in written} > {"tournaments", "workloads", "nodes", "leases"}


def test_no_right_is_about_secrets_or_logs() -> None:
    assert not {one.resource for one in granted()} & {"secrets", "pods/log", "pods/exec", "*"}


def test_numbers_are_those_of_the_chart_and_the_code() -> None:
    resources = VALUES["resources"]
    said = "requests {cpu} CPU and {memory} memory".format(**resources["requests"])
    limits = "limited to {cpu} CPU and {memory}".format(**resources["limits"])
    for words in (
        said,
        limits,
        f"within {TAKES_OVER_SECONDS} seconds if it is lost: its lease expires after {LEASE_SECONDS} seconds",
        f"`queues.giveBackAfterSeconds` ({VALUES['queues']['giveBackAfterSeconds']})",
    ):
        assert words in " ".join(PAGE.split())
    # A lost leader has renewed up to a moment before; the other looks twice, and lets the first one stop.
    assert LEASE_SECONDS + 2 * LOOK_SECONDS + STOP_SECONDS < TAKES_OVER_SECONDS
    assert f"within {TAKES_OVER_SECONDS} seconds if it is lost" in (ROOT / "docs/helm.md").read_text()


def test_alerts_are_about_what_the_page_says() -> None:
    asked = {rule["alert"]: rule["expr"] for rule in RULES}
    assert "tiltyard_leader" in asked["TiltyardNoLeader"]
    assert 'code="403"' in asked["TiltyardForbidden"]
    assert 'activity="Idle"' in asked["TiltyardModelsIdle"]


def has_value(path: str) -> bool:
    """Whether the chart has a value."""
    found: Any = VALUES
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def is_known(word: str) -> bool:
    """Whether the chart, the API or the code has a name of the page."""
    if re.match(r"(kubectl|helm|tiltyard) ", word):  # test_commands has those of tiltyard
        return True
    names = {kind for name, kind in vars(conditions).items() if name.isupper() and isinstance(kind, str)}
    names |= {*WaitReason, *metrics.ACTIVITIES, *SERIES, *(rule["alert"] for rule in RULES)}
    names |= {name for right in granted() for name in right}
    names |= {"restricted", "view", "edit", "admin", "false"}  # Kubernetes' own
    if word in names:
        return True
    if word.startswith(("spec.", "status.")):
        return field_at(Tournament, tuple(word.split("."))) is not None
    if "/" in word:
        source = "".join(path.read_text() for path in (ROOT / "operator/tiltyard").rglob("*.py"))
        return f'"{word}"' in source
    return has_value(word.partition(": ")[0])


@pytest.mark.parametrize("word", sorted({*code_spans(PAGE)}))
def test_a_name_is_one_of_the_code(word: str) -> None:
    assert is_known(word)


@pytest.mark.parametrize("word", ["spec.serving.maxactive", "Waits", "queues.giveback", "tiltyard.dev/x", "secrets"])
def test_a_wrong_name_is_found(word: str) -> None:
    assert not is_known(word)


def test_it_leads_on_to_the_pages_that_say_more() -> None:
    assert {"cost.md", "helm.md", "cluster.md", "queues.md"} <= {link.path for link in links(PAGE)}

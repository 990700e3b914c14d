"""Which models are kin."""

from __future__ import annotations

import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard_jobs.contracts.recipes import RateRecipe


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ({"model": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct"}}, "qwen"),
        ({"model": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct-AWQ"}}, "qwen"),
        ({"model": {"uri": "hf://unsloth/Qwen2.5-7B-bnb-4bit"}}, "qwen"),
        ({"model": {"uri": "s3://models/qwen2.5-7b-instruct-q4_k_m.gguf"}}, "qwen"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "qwen2.5:7b-instruct-q4_K_M"}}, "qwen"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "qwen:latest"}}, "qwen"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "Qwen/Qwen3_Coder"}}, "qwen"),
        ({"model": {"uri": "hf://Qwen/QwQ-32B"}}, "qwen"),
        ({"model": {"uri": "hf://Qwen/CodeQwen1.5-7B-Chat"}}, "qwen"),
        ({"model": {"uri": "s3://models/Llama-3.3-70b"}}, "llama"),
        ({"model": {"uri": "hf://meta-llama/Meta-Llama-3-8B-Instruct"}}, "llama"),
        ({"model": {"uri": "hf://TheBloke/CodeLlama-7B-GPTQ"}}, "llama"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "llama3.1:8b"}}, "llama"),
        ({"model": {"uri": "hf://mistralai/Mixtral-8x7B-Instruct-v0.1"}}, "mistral"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "mistral-small@2501"}}, "mistral"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "gpt-4o"}}, "gpt"),
        ({"model": {"uri": "hf://openai/gpt-oss-20b"}}, "gpt"),
        *(
            ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": name}}, family)
            for name, family in (
                ("openrouter/qwen/qwen-2.5-coder-32b-instruct:free", "qwen"),
                ("accounts/fireworks/models/qwen2p5-coder-32b-instruct", "qwen"),
                ("mlx-community/Qwen2.5-7B-Instruct-4bit", "qwen"),
                ("RedHatAI/Qwen2.5-7B-Instruct-quantized.w4a16", "qwen"),
                ("qwen.qwen3-coder-30b-a3b-v1:0", "qwen"),
                ("accounts/fireworks/models/llama-v3p1-8b-instruct", "llama"),
                ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "llama"),
                ("us.meta.llama3-3-70b-instruct-v1:0", "llama"),
                ("meta.llama3-1-70b-instruct-v1:0", "llama"),
                ("claude-3-5-sonnet-20241022", "claude"),
                ("anthropic.claude-3-haiku-20240307-v1:0", "claude"),
                ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude"),
                ("anthropic/claude-3.5-sonnet", "claude"),
                ("mistral.mistral-large-2402-v1:0", "mistral"),
                ("open-mixtral-8x22b", "mistral"),
                ("gpt-4o-mini-2024-07-18", "gpt"),
                ("azure/gpt-35-turbo", "gpt"),
                ("cohere.command-r-plus-v1:0", "command"),
                ("CohereForAI/c4ai-command-r-v01", "command"),
                ("CohereLabs_c4ai-command-a-03-2025", "command"),
                ("google_gemma-3-4b-it-Q4_K_M.gguf", "gemma"),
                ("ibm-granite_granite-3.3-8b-instruct", "granite"),
                ("xai.grok-3", "grok"),
                ("ai21.jamba-1-5-large-v1:0", "jamba"),
                ("ai21labs/AI21-Jamba-Large-1.5", "jamba"),
                ("databricks-meta-llama-3-3-70b-instruct", "llama"),
                ("openai", "openai"),
            )
        ),
        ({"model": {"uri": "s3://models/Qwen2.5-7B-Instruct-Q4_K_M/model-00001-of-00002.gguf"}}, "qwen"),
        ({"model": {"uri": "hf://bartowski/zai-org_GLM-4.5-Air-GGUF"}}, "glm"),
        ({"model": {"uri": "hf://bartowski/microsoft_Phi-4-mini-instruct-GGUF"}}, "phi"),
        ({"model": {"uri": "s3://models/phi.gguf"}}, "phi"),
        ({"model": {"uri": "s3://models/phiX"}}, "phix"),
        ({"model": {"uri": "pvc://claim/models/yi-34b/"}}, "yi"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "org/Athene-v2"}}, "athene"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "internlmv2"}}, "internlm"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "o3"}}, "o3"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "01-ai"}}, "01"),
        ({"model": {"uri": "sim://gemma-2?skill=0.5"}}, "gemma"),
        ({"model": {"uri": "sim://expert2?skill=0.5"}}, "expert2"),
        ({"model": {"uri": "hf://org/Athene-v2"}, "family": "Qwen"}, "qwen"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "judge"}, "family": "gpt"}, "gpt"),
    ],
)
def test_the_field_or_the_first_word_of_a_name(source: dict[str, object], family: str) -> None:
    assert families({"name": "m1", **source}) == ["m0", family, "m2"]


def test_a_family_changes_the_ratings_alone() -> None:
    def keys(graph: Graph, stage: str) -> set[str]:
        return {recipe.ref.key for bundle in graph.bundles for recipe in bundle.recipes if recipe.stage == stage}

    plain, named = (graph_with({"name": "m1", "model": {"uri": "sim://m1"}, **more}) for more in ({}, {"family": "f"}))
    assert keys(plain, "judge") == keys(named, "judge")
    assert keys(plain, "rate") != keys(named, "rate")
    # What the name says anyway is no other tournament.
    assert keys(graph_with({"name": "m1", "model": {"uri": "sim://m1"}, "family": "M1"}), "rate") == keys(plain, "rate")


def graph_with(competitor: dict[str, object]) -> Graph:
    document = manifest(3)
    document["spec"]["competitors"][1] = competitor
    return build_graph(load_tournament(yaml.safe_dump(document)))


def families(competitor: dict[str, object]) -> list[str]:
    (rate,) = (recipe for recipe in graph_with(competitor).by_name["rate"].recipes if isinstance(recipe, RateRecipe))
    return [player.family for player in rate.lineup.players]

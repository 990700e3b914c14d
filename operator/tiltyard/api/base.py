"""The base of all models of the API: camelCase on the wire, immutable, strict about types."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from tiltyard.api.rules import Rule

# Marks in a field's JSON schema. The generator of the CRD reads them; those with `x-kubernetes-` are Kubernetes' own.
MAP_BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
ATOMIC_MAP: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}
MAP_BY_MOUNT_PATH: dict[str, Any] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["mountPath"],
}
MAP_BY_TYPE: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
REQUIRED_IN_CLUSTER: dict[str, Any] = {"x-tiltyard-required": True}


class RulesDeferred:
    """The validation context under which models leave their rules to the loader, which checks all of them at once."""


class ApiModel(BaseModel):
    """An immutable piece of the API.

    A model checks its rules when it is made, so that one in hand is always a valid one. Types are strict: `"4"` is no
    integer and `yes please` no boolean, as on a cluster.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule[Any], ...]] = ()
    CLUSTER_RULES: ClassVar[tuple[Rule[Any], ...]] = ()
    """Rules that hold on a cluster only; see `tiltyard.api.places`."""

    @model_validator(mode="after")
    def _check_rules(self, info: ValidationInfo) -> Self:
        if isinstance(info.context, RulesDeferred):
            return self
        broken = [f"{rule.sentence}, given {v.given}" for rule in self.RULES for v in rule.check(self)]
        if broken:
            raise PydanticCustomError("rule", "{sentences}", {"sentences": "; ".join(broken)})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The model's schema with its rules in CEL."""
        schema = handler(core_schema)
        validations = [item for rule in (*cls.RULES, *cls.CLUSTER_RULES) if (item := rule.to_validation()) is not None]
        if validations:
            handler.resolve_ref_schema(schema)["x-kubernetes-validations"] = validations
        return schema

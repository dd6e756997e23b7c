"""Reads requests into the model of Pinterest's own client and writes them again.

Called by the test with a file of request bodies, one a line; prints each as the client would send it, or {"error"} where the
model does not take it. Types are checked and no key may be unknown to the model.
"""
import json
import sys

from openapi_generated.pinterest_client.api_client import ApiClient
from openapi_generated.pinterest_client.configuration import Configuration
from openapi_generated.pinterest_client.model.conversion_events import ConversionEvents
from openapi_generated.pinterest_client.model_utils import OpenApiModel, validate_and_convert_types

configuration = Configuration()


def unknown(value, path=""):
    """The keys that the model does not declare: it takes any, and keeps them beside its own."""
    if isinstance(value, list):
        return [key for at, item in enumerate(value) for key in unknown(item, f"{path}[{at}]")]
    if not isinstance(value, OpenApiModel):
        return []
    parts = [value, *getattr(value, "_composed_instances", [])]
    declared = {key for part in parts for key in type(part).openapi_types}
    found = [f"{path}.{key}" for key in value.to_dict() if key not in declared]
    return found + [key for name in value.to_dict() for key in unknown(value.get(name), f"{path}.{name}")]


with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        try:
            model = validate_and_convert_types(
                json.loads(line), (ConversionEvents,), ["body"], True, True, configuration=configuration)
            if unknown(model):
                raise ValueError(f"the model knows no {unknown(model)}")
            print(json.dumps(ApiClient.sanitize_for_serialization(model)))
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}))

"""The description as it is read: what words it may use, what its references mean, and the codes of codes.h."""

import re
import typing

import yaml

ANNOTATIONS = {"description", "examples", "default", "summary"}
SCHEMA_WORDS = ANNOTATIONS | {
    "$ref", "type", "format", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems",
    "maxItems", "maxProperties", "items", "properties", "required", "additionalProperties", "propertyNames", "anyOf",
    "x-struct", "x-given-at", "x-fault-at", "x-bind", "x-bind-count", "x-given", "x-cap", "x-max-bytes", "x-check", "x-before",
    "x-unlimited", "x-choice", "x-enum", "x-document", "x-exactly-one", "x-at-most-one"}
OPERATION_WORDS = {
    "operationId", "tags", "summary", "description", "parameters", "requestBody", "responses", "x-scope", "x-handler",
    "x-any", "x-raw", "x-struct", "x-problems", "x-item-problems", "x-at-most-one", "x-security"}
PARAMETER_WORDS = {"name", "in", "required", "description", "schema", "x-bind", "x-before", "x-rest", "$ref"}
ROOT_WORDS = {"openapi", "info", "servers", "tags", "paths", "components", "x-problems-everywhere",
              "x-problems-elsewhere", "x-problems-working", "x-problems-scoped", "x-problems-checked",
              "x-problems-bodies"}
HEADERS = {"Keyward-Project", "Keyward-Context", "If-Match", "Idempotency-Key"}


class Refused(Exception):
    pass


def refuse(where, what):
    raise Refused(f"{where}: {what}")


def groups_of(node, word):
    """The groups of fields that a word names: one as it is, several as a list of them."""
    named = node.get(word, [])
    return named if not named or isinstance(named[0], list) else [named]


def only(node, words, where):
    if not isinstance(node, dict):
        refuse(where, "must be a mapping")
    for word in node:
        if word not in words:
            refuse(where, f"does not understand '{word}'")


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Refuses a key that stands twice, which YAML would let pass."""

    def construct_mapping(self, node, deep=False):
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in own:
            if own.count(key) > 1:
                refuse(f"line {node.start_mark.line + 1}", f"'{key}' stands twice")
        return super().construct_mapping(node, deep)


class Code(typing.NamedTuple):
    """One code of codes.h; `group` is VERDICT, ERROR or NOTE."""
    status: int
    meaning: str
    advice: str
    group: str


def read_codes(path):
    """The codes of codes.h: {name: Code}."""
    text = open(path, encoding="utf-8").read().replace("\\\n", " ")
    codes = {}
    for group in ("VERDICT", "ERROR", "NOTE"):
        body = re.search(rf"#define KW_{group}_CODES\(X\)(.*)", text)
        if body is None:
            refuse(path, f"has no KW_{group}_CODES")
        for name, status, *texts in re.findall(r'X\((\w+), (\d+), "([^"]*)",\s*"([^"]*)"\)', body.group(1)):
            codes[name] = Code(int(status), *texts, group)
    if len(codes) != len(re.findall(r"\bX\(\w+, \d+,", text)):
        refuse(path, "holds codes that were not understood")
    return codes


class Description:
    """The description with its references."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.root = yaml.load(file, StrictLoader)
        self.used = {("schemas", "Problem")}  # by the answers that document.py adds
        only(self.root, ROOT_WORDS, "root")

    def follow(self, node, where):
        """The node that a $ref means, with what stands beside the $ref put over it."""
        if "$ref" not in node:
            return node
        parts = node["$ref"].split("/")
        if len(parts) != 4 or parts[:2] != ["#", "components"]:
            refuse(where, f"does not understand the reference {node['$ref']}")
        target = self.root["components"].get(parts[2], {}).get(parts[3])
        if target is None:
            refuse(where, f"refers to {node['$ref']}, which is not there")
        self.used.add((parts[2], parts[3]))
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return {**self.follow(target, where), **beside}

    def schema_name(self, node, where):
        reference = node.get("$ref", "")
        if not reference.startswith("#/components/schemas/"):
            refuse(where, "must be a reference to a schema of components")
        return reference.rsplit("/", 1)[1]

    def check_schema(self, node, where):
        """Words that are known, references that exist, all the way down."""
        only(node, SCHEMA_WORDS, where)
        self.follow(node, where)
        for name, inner in node.get("properties", {}).items():
            self.check_schema(inner, f"{where}.{name}")
        for name in node.get("required", []):
            if name not in node.get("properties", {}):
                refuse(where, f"requires '{name}', which is no property")
        for word in ("items", "propertyNames"):
            if word in node:
                self.check_schema(node[word], f"{where}.{word}")
        if isinstance(node.get("additionalProperties"), dict):
            self.check_schema(node["additionalProperties"], f"{where}.additionalProperties")
        for inner in node.get("anyOf", []):
            self.check_schema(inner, f"{where}.anyOf")

    def check_response(self, response, where):
        only(response, {"description", "headers", "content"}, where)
        for name, header in response.get("headers", {}).items():
            only(self.follow(header, where), {"description", "schema", "$ref"}, f"{where} {name}")
        for media, content in response.get("content", {}).items():
            only(content, {"schema", "example", "examples"}, f"{where} {media}")
            self.check_schema(content["schema"], f"{where} {media}")

    def check_components(self):
        components = self.root["components"]
        only(components, {"securitySchemes", "headers", "parameters", "schemas"}, "components")
        for name, node in components["schemas"].items():
            self.check_schema(node, name)
        for name, node in components["parameters"].items():
            only(node, PARAMETER_WORDS, name)
            if node["in"] == "header" and node["name"] not in HEADERS:
                refuse(name, f"names the header {node['name']}, which nobody reads")
            self.check_schema(node["schema"], name)

    def check_used(self):
        for kind in ("headers", "parameters", "schemas"):
            for name in self.root["components"][kind]:
                if (kind, name) not in self.used:
                    refuse(f"components.{kind}.{name}", "is used nowhere")

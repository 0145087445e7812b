"""openapi.json: the description without our own words, and with what follows from them."""

from apigen.model import groups_of, refuse

ANY_METHODS = ["get", "head", "post", "put", "patch", "delete", "options"]
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def bare(node):
    """The node without words of our own."""
    if isinstance(node, dict):
        return {key: bare(value) for key, value in node.items() if not str(key).startswith("x-")}
    return [bare(item) for item in node] if isinstance(node, list) else node


class Document:
    def __init__(self, description, codes):
        self.description = description
        self.root = description.root
        self.codes = codes
        self.answered = set()

    def known(self, names, where):
        for name in names:
            if name not in self.codes:
                refuse(where, f"names the code {name}, which codes.h does not have")
        self.answered.update(names)
        return names

    def needs_fields(self, operation):
        """Whether the body can lack something."""
        if operation.get("x-raw"):
            return False
        content = operation["requestBody"]["content"]["application/json"]
        schema = self.description.follow(content["schema"], operation["operationId"])
        return "required" in schema or "x-exactly-one" in schema

    def problems(self, operation):
        """All codes that the operation can be refused with, beside those that everything can."""
        names = list(operation.get("x-problems", []))
        has_query = any(parameter["in"] == "query" for parameter in operation["parameters"])
        names += self.root["x-problems-working"] if "x-scope" in operation or "x-any" in operation else []
        names += self.root["x-problems-scoped"] if "x-scope" in operation else []
        if has_query or "requestBody" in operation or "x-scope" in operation:
            names += self.root["x-problems-checked"]
        if "requestBody" in operation:
            names += self.root["x-problems-bodies"] + (["MISSING_FIELD"] if self.needs_fields(operation) else [])
        return self.known(dict.fromkeys(names), operation["operationId"])

    def item_problems(self, operation):
        """A sentence on the codes of items."""
        names = self.known(operation.get("x-item-problems", []), operation["operationId"])
        names = [name for name in names if self.codes[name].status >= 400]
        return f"\n\nItems are refused with {', '.join(f'`{name}`' for name in names)}." if names else ""

    def problem_response(self, names, headers):
        lines = [f"- `{name}`: {self.codes[name].meaning}" for name in names]
        response = {"description": "\n".join(lines), "content": PROBLEM}
        return {**response, "headers": headers} if headers else response

    def responses(self, operation):
        responses = bare(operation["responses"])
        # Identity headers stand in every answer of an operation for gateways.
        shared = responses["200"]["headers"] if operation.get("x-any") else {}
        by_status = {}
        for name in self.problems(operation):
            if self.codes[name].status < 400:
                continue  # no refusal: its answer is described with the operation
            by_status.setdefault(self.codes[name].status, []).append(name)
        for status in sorted(by_status):
            headers = dict(shared)
            if status == 401:
                headers["WWW-Authenticate"] = {"description": "How to authenticate.", "schema": {"type": "string"}}
            if status == 429:
                headers["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "string"}}
            responses[str(status)] = self.problem_response(by_status[status], headers)
        return {**responses, "default": {"description": "Any other refusal.", "content": PROBLEM}}

    def security(self, operation):
        if "x-scope" in operation:
            return [{"managementKey": [operation["x-scope"]]}]
        return [{name: []} for name in operation.get("x-security", [])]

    def operation(self, operation):
        document = bare(operation)
        if not document["parameters"]:
            del document["parameters"]
        if "x-scope" in operation:
            document["description"] = (operation["description"].rstrip() +
                                       self.item_problems(operation) +
                                       f"\n\nNeeds the scope `{operation['x-scope']}`.")
        document["responses"] = self.responses(operation)
        document["security"] = self.security(operation)
        return document

    def share_responses(self, operation):
        """Moves an operation's responses to where several can refer to them."""
        shared = self.root["components"].setdefault("responses", {})
        for status, response in operation["responses"].items():
            name = next((name for name, known in shared.items() if known == response),
                        f"{operation['operationId']}-{status}")
            shared[name] = response
            operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}

    def path(self, operations):
        document = {method: self.operation(operation) for method, operation in operations.items()}
        if operations.get("get", {}).get("x-any"):
            self.share_responses(document["get"])
            for method in ANY_METHODS:
                document[method] = {**document["get"], "operationId": document["get"]["operationId"] + method.capitalize(),
                                    "description": "As with GET."} if method != "get" else document["get"]
        return document

    def state_groups(self):
        """x-exactly-one and x-at-most-one in the words of JSON Schema."""
        for schema in self.root["components"]["schemas"].values():
            if "x-exactly-one" in schema:
                schema["oneOf"] = [{"required": [name]} for name in schema["x-exactly-one"]]
            together = [{"not": {"required": names}} for names in groups_of(schema, "x-at-most-one")]
            if together:
                schema["allOf"] = together

    def fill_enums(self, node):
        """Puts the codes where x-enum asks for them."""
        if isinstance(node, list):
            for item in node:
                self.fill_enums(item)
        if not isinstance(node, dict):
            return
        if "x-enum" in node:
            if node["x-enum"] not in ("verdicts", "all", "items"):
                refuse("x-enum", f"does not know '{node['x-enum']}'")
            least = {"verdicts": 1000, "all": 400, "items": 0}[node["x-enum"]]  # items of a batch have notes too
            names = [name for name, code in self.codes.items() if code.group == "VERDICT" or code.status >= least]
            node["enum"] = names
            node["description"] = node["description"] + "\n\n" + "\n".join(
                f"- `{name}` ({self.codes[name].status}): {self.codes[name].meaning} {self.codes[name].advice}"
                for name in names)
        for value in node.values():
            self.fill_enums(value)

    def check_codes(self):
        """Every code of codes.h has its place in the description."""
        for word in ("x-problems-everywhere", "x-problems-elsewhere"):
            self.known(self.root[word], word)
        for name in self.codes:
            if name not in self.answered:
                refuse("codes.h", f"has the code {name}, which the description does not mention")

    def make(self):
        paths = {path: self.path(operations) for path, operations in self.root["paths"].items()}
        ids = [operation["operationId"] for operations in paths.values() for operation in operations.values()]
        for name in ids:
            if ids.count(name) > 1:
                refuse(name, "is the operationId of two operations")
        self.state_groups()
        self.fill_enums(self.root["components"])
        self.check_codes()
        return {**bare(self.root), "paths": paths}

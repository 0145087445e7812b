"""The C table of routes (src/server/router.h)."""

import re

from apigen.model import OPERATION_WORDS, PARAMETER_WORDS, only, refuse
from apigen.tables import c_bytes, quoted

METHODS = ["get", "post", "put", "patch", "delete"]


class Routes:
    """The C of the route table."""

    def __init__(self, description, tables):
        self.description = description
        self.tables = tables
        self.lines = []
        self.names = []
        self.paths = []

    def body(self, operation, where):
        if "requestBody" not in operation:
            return "NULL", "false"
        body = operation["requestBody"]
        if operation.get("x-raw"):
            return "NULL", "true"
        only(body, {"required", "content"}, where)
        only(body["content"], {"application/json"}, where)
        only(body["content"]["application/json"], {"schema", "example", "examples"}, where)
        schema = body["content"]["application/json"]["schema"]
        self.description.follow(schema, where)
        name = self.tables.schema(self.description.schema_name(schema, where), where)
        return f"&schema_{name}", "true" if body["required"] else "false"

    def route(self, method, path, operation):
        where = f"{method.upper()} {path}"
        for status, response in operation["responses"].items():
            self.description.check_response(response, f"{where} {status}")
        name = ("ANY" if operation.get("x-any") else method.upper()) + " " + path
        scope = operation.get("x-scope")
        body, required = self.body(operation, where)
        query = f"&schema_{self.tables.query(operation, where)}" if scope else "NULL"
        if not re.fullmatch(r"kw__\w+", operation.get("x-handler", "")):
            refuse(where, "needs x-handler")
        changes = "true" if scope and not scope.endswith((":read", ":verify")) else "false"
        raw = ".body_is_raw = true, " if operation.get("x-raw") else ""
        self.names.append(name)
        return (f'    {{.name = "{name}", .scope = {quoted(scope) if scope else "NULL"}, .changes = {changes}, '
                f".body_required = {required}, {raw}.number = {len(self.names) - 1}, .method = KW_{method.upper()}, "
                f".query = {query}, .body = {body}, .handle = {operation['x-handler']}}},")

    def split(self, path, rest_names):
        """(start, end, has a parameter, takes a rest) of a path's pattern."""
        match = re.fullmatch(r"(/[a-z0-9_.\-/]*)(?:\{(\w+)\}((?:/[a-z_\-]+)*)(?:/\{(\w+)\})?)?", path)
        if match is None or (match.group(4) and (match.group(3) or match.group(4) not in rest_names)):
            refuse(path, "is a path of a form that is not understood")
        return match.group(1), match.group(3) or "", match.group(2) is not None, match.group(4) is not None

    def allow(self, operations):
        methods = [method.upper() for method in operations]
        if "GET" in methods:
            methods.insert(methods.index("GET") + 1, "HEAD")
        return ", ".join(methods + ["OPTIONS"])

    def add_path(self, path, operations):
        only(operations, set(METHODS), path)
        rest_names = []
        for method, operation in operations.items():
            only(operation, OPERATION_WORDS, f"{method} {path}")
            operation["parameters"] = [self.description.follow(p, path) for p in operation.get("parameters", [])]
            for parameter in operation["parameters"]:
                only(parameter, PARAMETER_WORDS, f"{method} {path}")
                if parameter["in"] == "path" and "{" + parameter["name"] + "}" not in path:
                    refuse(path, f"has no {{{parameter['name']}}}")
                if parameter.get("x-rest"):
                    rest_names.append(parameter["name"])
        start, end, has_parameter, takes_rest = self.split(path, rest_names)
        label = f"routes_{len(self.paths)}"
        any_method = any(operation.get("x-any") for operation in operations.values())
        if any_method and list(operations) != ["get"]:
            refuse(path, "x-any stands at get, and alone")
        rows = [self.route(method, path, operation) for method, operation in operations.items()]
        self.lines += [f"static const struct kw_route {label}[] = {{"] + rows + ["};"]
        flags = [f".{name} = true" for name, is_set in (("has_parameter", has_parameter), ("takes_rest", takes_rest),
                                                        ("any_method", any_method)) if is_set]
        row = ", ".join([f".start = {c_bytes(start)}", f".end = {c_bytes(end)}", *flags,
                         f".allow = {quoted(self.allow(operations))}", f".routes = {label}",
                         f".route_count = {len(rows)}"])
        self.paths.append(((has_parameter, takes_rest), "    {" + row + "},"))

    def c(self):
        rows = [row for _, row in sorted(self.paths, key=lambda entry: entry[0])]
        names = ",\n".join(f"    {quoted(name)}" for name in self.names)
        return self.lines + [
            "const struct kw_route_path kw__route_paths[] = {", *rows, "};",
            "const size_t kw__route_path_count = sizeof kw__route_paths / sizeof kw__route_paths[0];",
            f"const char *const kw__route_names[] = {{\n{names}}};",
            f"const size_t kw__route_count = {len(self.names)};",
            f'_Static_assert({len(self.names)} <= KW_ROUTES_MAX, "raise KW_ROUTES_MAX");']

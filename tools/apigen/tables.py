"""The C tables that requests are bound by: one struct kw_schema a body or query (src/core/schema.h)."""

import json
import re

from apigen.model import groups_of, refuse

CHECKS = {"scope": "KW_FORMAT_SCOPE", "owner": "KW_FORMAT_OWNER"}

# What a schema's words are understood to bind to: the kind in C, and the type of the member.
KINDS = {
    "TEXT": "struct kw_bytes", "TEXTS": "const struct kw_bytes *", "BOOL": "bool", "INTEGER": "int64_t",
    "TIME": "int64_t", "DURATION": "int64_t", "AMOUNT": "int64_t", "JSON": "struct kw_bytes",
    "RESOURCES": "const struct kw_resource_scopes *"}


def quoted(text):
    return json.dumps(text, ensure_ascii=True)


def c_bytes(text):
    """A struct kw_bytes as an initializer."""
    return f"{{(const uint8_t *){quoted(text)}, {len(text.encode())}}}"


class Tables:
    """The C of the schemas that requests are bound to."""

    def __init__(self, description):
        self.description = description
        self.lines = []
        self.asserts = []
        self.done = {}

    def cap(self, node, limit, where):
        """The limit, after seeing to it that C knows the same one."""
        if "x-cap" not in node:
            refuse(where, "has a limit without x-cap")
        check = f'_Static_assert(({node["x-cap"]}) == {limit}, "api/keyward.yaml: {where}");'
        if check not in self.asserts:
            self.asserts.append(check)
        return limit

    def kind_of(self, node, where):
        kind = node.get("type")
        if kind == "string" and node.get("x-check") == "duration":
            return "DURATION"
        if kind == "string" and node.get("format") == "date-time":
            return "TIME"
        if kind == "string" and "x-choice" in node:
            return "CHOICE"
        if kind == "number" and node.get("x-check") == "amount":
            return "AMOUNT"
        if kind == "string" and "format" not in node:
            return "TEXT"
        if kind in ("boolean", "integer"):
            return {"boolean": "BOOL", "integer": "INTEGER"}[kind]
        if kind == "array":
            item = self.description.follow(node["items"], where)
            if item.get("type") == "integer":
                return "BYTES"
            return "OBJECTS" if "x-struct" in item else "TEXTS"
        if kind == "object" and "x-struct" in node:
            return "OBJECT"
        if kind == "object" and node.get("additionalProperties") is True:
            return "JSON"
        if kind == "object" and isinstance(node.get("additionalProperties"), dict):
            return "RESOURCES"
        return refuse(where, "is of a kind that cannot be bound")

    def text_row(self, node, where):
        """Size, grammar and choices of a text."""
        row = {"size_min": node.get("minLength", 0)}
        if row["size_min"] > 1:
            refuse(where, "can only have a minLength of 1")
        if "enum" in node:
            row["choices"] = node["enum"]
        elif "x-unlimited" not in node:
            row["size_max"] = self.cap(node, node["maxLength"], where) if "maxLength" in node else \
                refuse(where, "needs a maxLength")
        if ("pattern" in node) != ("x-check" in node):
            refuse(where, "has a pattern without x-check, or the other way round")
        if "x-check" in node:
            if node["x-check"] not in CHECKS:
                refuse(where, f"does not know the check {node['x-check']}")
            row["format"] = CHECKS[node["x-check"]]
        return row

    def texts_row(self, node, where):
        item = self.description.follow(node["items"], where)
        row = self.text_row(item, where + "[]")
        if item.get("type") != "string" or "choices" in row:
            refuse(where, "can only hold plain strings")
        row["count_min"] = node.get("minItems", 0)
        row["count_max"] = self.cap(node, node["maxItems"], where)
        return row

    def choice_row(self, node, where):
        """x-choice names the enum in C, its first number and its last."""
        _, first, last = node["x-choice"]
        self.asserts.append(f'_Static_assert({last} - {first} == {len(node["enum"]) - 1} && '
                            f'sizeof({first}) == sizeof(int), "api/keyward.yaml: {where}");')
        return {"low": first, "choices": node["enum"]}

    def bytes_row(self, node, where):
        item = self.description.follow(node["items"], where)
        if self.cap(item, item["maximum"], where + "[]") > 255 or item["minimum"] < 0:
            refuse(where, "can only hold numbers of one byte")
        return {"low": item["minimum"], "high": item["maximum"], "count_min": node.get("minItems", 0),
                "count_max": self.cap(node, node["maxItems"], where)}

    def resources_row(self, node, where):
        name = self.description.follow(node["propertyNames"], where)
        scopes = self.description.follow(node["additionalProperties"], where)
        inner = re.sub(r"\W", "_", where)
        each = self.row("scopes", "TEXTS", self.texts_row(scopes, where))
        self.lines += [f"static const struct kw_field each_{inner}[] = {{", each, "};",
                       f"static const struct kw_schema schema_each_{inner} = "
                       f'{{.name = "{where}", .fields = each_{inner}, .field_count = 1}};']
        return {"size_max": self.cap(name, name["maxLength"], where),
                "count_max": self.cap(node, node["maxProperties"], where), "items": f"&schema_each_{inner}"}

    def shape_row(self, kind, node, shape, where):
        """What the kind asks of the value."""
        if kind == "TEXT":
            return self.text_row(node, where)
        if kind == "TEXTS":
            return self.texts_row(node, where)
        if kind == "INTEGER":
            high = self.cap(node, node["maximum"], where)
            return {"low": node["minimum"], "high": high, "otherwise": node.get("default", 0)}
        if kind == "AMOUNT":
            self.cap(node, node["maximum"], where)
            return {}
        if kind == "CHOICE":
            return self.choice_row(node, where)
        if kind == "BYTES":
            return self.bytes_row(node, where)
        if kind == "JSON":
            return {"size_max": self.cap(node, node["x-max-bytes"], where)}
        if kind == "RESOURCES":
            return self.resources_row(node, where)
        if kind in ("OBJECT", "ONE"):
            return {"items": "&schema_" + self.schema(self.description.schema_name(shape, where), where)}
        if kind == "OBJECTS":
            name = self.schema(self.description.schema_name(node["items"], where), where)
            return {"items": "&schema_" + name, "count_min": node.get("minItems", 0),
                    "count_max": self.cap(node, node["maxItems"], where)}
        return {}

    def row(self, name, kind, values):
        parts = [f".name = {c_bytes(name)}", f".kind = KW_FIELD_{kind}"]
        choices = values.pop("choices", None)
        if choices is not None:
            list_name = f"choices_{len(self.lines)}"
            items = ", ".join(c_bytes(choice) for choice in choices)
            self.lines.append(f"static const struct kw_bytes {list_name}[] = {{{items}}};")
            parts += [f".choices = {list_name}", f".choice_count = {len(choices)}"]
        parts += [f".{key} = {value}" for key, value in values.items() if value not in (0, None)]
        return "    {" + ", ".join(parts) + "},"

    def member(self, struct, bind, expected, where):
        """The path of a member inside its struct, after seeing to its type."""
        owner, _, path = bind.partition(".")
        if owner != struct:
            refuse(where, f"is bound to {bind}, which is not in {struct}")
        self.asserts.append(f"_Static_assert(__builtin_types_compatible_p(__typeof__(((struct {struct} *)0)->{path}), "
                            f'{expected}), "api/keyward.yaml: {where}");')
        return f"offsetof(struct {struct}, {path})"

    def field(self, struct, name, use, where):
        """A row of the table. `use` is the node as it stands in the schema, with its x-bind."""
        nullable = False
        shape = use
        if "anyOf" in use:
            shape, null = use["anyOf"] if len(use["anyOf"]) == 2 else refuse(where, "understands anyOf only with null")
            if null != {"type": "null"}:
                refuse(where, "understands anyOf only with null")
            nullable = True
            self.description.follow(shape, where)
        node = self.description.follow(shape, where)
        kind = self.kind_of(node, where)
        if kind == "OBJECT" and "x-bind-count" in use:
            kind = "ONE"
        values = self.shape_row(kind, node, shape, where)
        if "x-bind" not in use:
            refuse(where, "is not bound to a member")
        expected = KINDS.get(kind)
        if kind == "CHOICE":
            expected = f'enum {node["x-choice"][0]}'
        elif kind == "BYTES":
            expected = f'uint8_t [{node["maxItems"]}]'
        elif expected is None:
            expected = {"OBJECT": "struct {}"}.get(kind, "const struct {} *").format(
                (node if kind in ("OBJECT", "ONE") else self.description.follow(node["items"], where))["x-struct"])
        values["offset"] = self.member(struct, use["x-bind"], expected, where)
        if kind in ("TEXTS", "OBJECTS", "ONE", "RESOURCES"):
            values["count_offset"] = self.member(struct, use["x-bind-count"], "size_t", where)
        if kind == "BYTES":
            values["count_offset"] = self.member(struct, use["x-bind-count"], "uint8_t", where)
        if "x-before" in use:
            values["before"] = c_bytes(use["x-before"])
        values["is_nullable"] = "true" if nullable else None
        values["given"] = use.get("x-given")
        return self.row(name, kind, values)

    def groups(self, node, names, label, where):
        rows = []
        for word, required in (("x-exactly-one", "true"), ("x-at-most-one", "false")):
            for group in groups_of(node, word):
                if len(group) != 2:
                    refuse(where, f"{word} must name two fields")
                for name in group:
                    if name not in names:
                        refuse(where, f"{word} names '{name}', which is no field")
                mask = sum(1 << names.index(name) for name in group)
                rows.append(f'    {{{mask:#x}, {required}, "{" or ".join(group)}"}},')
        if rows:
            self.lines += [f"static const struct kw_field_group groups_{label}[] = {{"] + rows + ["};"]
        return len(rows)

    def table(self, label, struct, node, fields, where):
        """Fields as [(name, use)] and what holds of them together."""
        names = [name for name, _ in fields]
        if len(fields) > 32:
            refuse(where, "has more fields than KW_SCHEMA_FIELDS_MAX")
        rows = [self.field(struct, name, use, f"{where}.{name}") for name, use in fields]
        group_count = self.groups(node, names, label, where)
        if rows:
            self.lines += [f"static const struct kw_field fields_{label}[] = {{"] + rows + ["};"]
        given = "SIZE_MAX"
        if "x-given-at" in node:
            given = self.member(struct, f"{struct}.{node['x-given-at']}", "uint32_t", where)
        fault = "0"
        if "x-fault-at" in node:
            fault = self.member(struct, f"{struct}.{node['x-fault-at']}", "const struct kw_error *", where)
            self.asserts.append(f'_Static_assert({fault} != 0, "api/keyward.yaml: {where}: 0 says that there is none");')
        required = sum(1 << names.index(name) for name in node.get("required", []))
        parts = [f'.name = "{label}"', f".size = sizeof(struct {struct})", f".given_offset = {given}", f".fault_offset = {fault}",
                 f".required = {required:#x}", f".field_count = {len(rows)}", f".group_count = {group_count}"]
        parts += [f".fields = fields_{label}"] if rows else []
        parts += [f".groups = groups_{label}"] if group_count else []
        self.lines.append(f"static const struct kw_schema schema_{label} = {{{', '.join(parts)}}};")

    def schema(self, name, where):
        """The table of a body's schema, made once; gives its name."""
        if name in self.done:
            return name
        node = self.description.root["components"]["schemas"][name]
        is_closed = node.get("additionalProperties") is False or node.get("x-document")
        if node.get("type") != "object" or not is_closed or "x-struct" not in node:
            refuse(where, f"is bound to {name}, which must be an object with x-struct and no additionalProperties")
        self.done[name] = True
        if node.get("x-document"):
            self.document(name, node)
            return name
        self.table(name, node["x-struct"], node, list(node.get("properties", {}).items()), name)
        return name

    def caps(self, node, where):
        """Sees to all limits of a schema that somebody else enforces."""
        for word in ("maxLength", "maxItems", "maxProperties", "maximum"):
            if word in node and node.get("type") != "number":
                self.cap(node, node[word], where)
        inner = list(node.get("properties", {}).items()) + [
            (word, node[word]) for word in ("items", "propertyNames", "additionalProperties")
            if isinstance(node.get(word), dict)]
        inner += [(str(at), use) for at, use in enumerate(node.get("anyOf", []))]
        for name, use in inner:
            self.caps(self.description.follow(use, where), f"{where}.{name}")

    def document(self, name, node):
        """A body that the core reads whole (x-document)."""
        self.caps(node, name)
        self.lines.append(f'static const struct kw_schema schema_{name} = {{.name = "{name}", .size = sizeof(struct '
                          f'{node["x-struct"]}), .given_offset = SIZE_MAX, .takes_all = true}};')

    def query(self, operation, where):
        """The table of an operation's query."""
        label = "query_" + operation["operationId"]
        fields = [(parameter["name"], {**parameter, **parameter["schema"]})
                  for parameter in operation.get("parameters", []) if parameter.get("in") == "query"]
        for name, use in fields:
            if self.kind_of(self.description.follow(use, where), where) not in ("TEXT", "INTEGER", "TIME", "BOOL"):
                refuse(f"{where}.{name}", "only texts, integers, times and booleans can stand in queries")
        if fields and "x-struct" not in operation:
            refuse(where, "has a query without x-struct")
        self.table(label, operation.get("x-struct", "kw_empty_body"), operation,
                   [(name, {key: value for key, value in use.items() if key not in ("name", "in", "required")})
                    for name, use in fields], label)
        return label

#!/usr/bin/python3
"""Makes the interface's C tables and its openapi.json of the description.

    generate_api.py api/keyward.yaml include/keyward/codes.h api_generated.c

What it does not understand it refuses, so that nothing stands in the description that the server does not do.
The words that the description adds to OpenAPI are explained at its top.
"""

import json
import sys

import yaml

from apigen.document import Document
from apigen.model import Description, Refused, read_codes
from apigen.routes import Routes
from apigen.tables import Tables

HEAD = """/* Made by tools/generate_api.py of api/keyward.yaml: change that one. */
#include "base/bytes.h"
#include "server/bodies.h"
#include "server/request.h"
#include "server/router.h"
#include "core/schema.h"
#include <keyward/document.h>
#include <keyward/store.h>
#include <stddef.h>
"""


def c_array(name, data):
    lines = [", ".join(str(byte) for byte in data[at:at + 24]) + "," for at in range(0, len(data), 24)]
    return [f"const uint8_t {name}[] = {{", *lines, "};", f"const size_t {name}_size = sizeof {name};"]


def generate(description_path, codes_path):
    description = Description(description_path)
    description.check_components()
    tables = Tables(description)
    routes = Routes(description, tables)
    for path, operations in description.root["paths"].items():
        routes.add_path(path, operations)
    document = Document(description, read_codes(codes_path)).make()
    description.check_used()
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    schemas = ["const struct kw_schema *const kw__body_schemas[] = {",
               *[f"    &schema_{name}," for name in tables.done], "};",
               f"const size_t kw__body_schema_count = {len(tables.done)};"]
    return "\n".join([HEAD, *tables.asserts, *tables.lines, *schemas, *routes.c(),
                      *c_array("kw__openapi_json", text.encode()), ""])


def main():
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        text = generate(sys.argv[1], sys.argv[2])
    except KeyError as error:
        print(f"{sys.argv[1]}: something lacks {error}", file=sys.stderr)
        raise
    except (Refused, yaml.YAMLError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    with open(sys.argv[3], "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Checks the manifests and the dashboard against what the Prometheus operator and Grafana themselves say of their types, and
writes the rules as promtool takes them.

A field that these do not know gets lost on the way through them: what comes out has to be what went in.
"""

import json
import sys
from pathlib import Path

import yaml
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def expect_same(name, given, known, where=""):
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            expect_same(name, value, known.get(key), f"{where}.{key}")
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for at, value in enumerate(given):
            expect_same(name, value, known[at], f"{where}[{at}]")
    elif given != known:
        sys.exit(f"{name}: {where[1:]} is {given!r}, which is not of its type: it comes out as {known!r}")


def check_manifest(path, model):
    given = yaml.safe_load(path.read_text())
    known = model.model_validate(given).model_dump(by_alias=True, exclude_unset=True, mode="json")
    expect_same(path.name, given, known)
    return given


def check_dashboard(path):
    register_default_plugins()
    given = json.loads(path.read_text())
    known = json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder))
    expect_same(path.name, given, known)
    seen = {}
    for panel in given["panels"]:
        title, box = panel["title"], panel["gridPos"]
        assert seen.setdefault(panel["id"], title) == title, f"{title} has the id of {seen[panel['id']]}"
        assert box["x"] + box["w"] <= 24, f"{title} is wider than the grid"
        for other in given["panels"]:
            there = other["gridPos"]
            apart = (
                box["x"] >= there["x"] + there["w"]
                or there["x"] >= box["x"] + box["w"]
                or box["y"] >= there["y"] + there["h"]
                or there["y"] >= box["y"] + box["h"]
            )
            assert other is panel or apart, f"{title} covers {other['title']}"


shipped, rules = Path(sys.argv[1]), Path(sys.argv[2])
check_manifest(shipped / "podmonitor.yaml", PodMonitor)
rule = check_manifest(shipped / "prometheusrule.yaml", PrometheusRule)
check_dashboard(shipped / "dashboard.json")
rules.write_text(yaml.safe_dump(rule["spec"]))

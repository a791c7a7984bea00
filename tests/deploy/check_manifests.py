#!/usr/bin/env python3
"""Checks the YAML of service/deploy/: form, no duplicate keys, the shape that each kind must have, and that names which must agree
do agree (labels, ports, secrets, networks, metrics, routes, settings). Prints one line for each finding; fails when there
is one. Usage: check_manifests.py [FOLDER]"""
import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "service" / "deploy"
API_VERSIONS = {
    "Namespace": "v1", "ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2", "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1", "Kustomization": "kustomize.config.k8s.io/v1beta1",
}
findings = []


def check(condition, complaint):
    if not condition:
        findings.append(complaint)


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that comes twice."""


def strict_mapping(loader, node):
    own = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    for key in own:
        check(own.count(key) == 1, f"{node.start_mark.name}: the key {key} comes twice")
    loader.flatten_mapping(node)
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, strict_mapping)


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, StrictLoader)


def settings(text):
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))


def check_kubernetes():
    folder = DEPLOY / "kubernetes"
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        document = load(path)
        kind = document.get("kind")
        check(kind in API_VERSIONS, f"{path.name}: unexpected kind {kind}")
        check(document.get("apiVersion") == API_VERSIONS.get(kind), f"{path.name}: wrong apiVersion of {kind}")
        check(kind not in found, f"{path.name}: a second {kind}")
        found[kind] = document
        if kind not in ("Kustomization", "Namespace"):
            check(document["metadata"].get("namespace") == "popcorn", f"{path.name}: not in the namespace")
    check(set(found) == set(API_VERSIONS), f"kinds missing: {set(API_VERSIONS) - set(found)}")
    listed = set(found["Kustomization"]["resources"])
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    check(listed == files, f"kustomization.yaml lists {listed}, there are {files}")

    spec = found["Deployment"]["spec"]
    template = spec["template"]
    labels = template["metadata"]["labels"]
    selectors = {
        "Deployment": spec["selector"]["matchLabels"],
        "Service": found["Service"]["spec"]["selector"],
        "PodDisruptionBudget": found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    }
    for kind, selector in selectors.items():
        check(selector and selector.items() <= labels.items(), f"{kind} does not select the pods")
    pod = template["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    routes = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))["paths"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        check(get["path"] in routes and get["port"] in ports, f"{probe} asks for what is not there")
    check(all(port["targetPort"] in ports for port in found["Service"]["spec"]["ports"]), "Service: unknown port")
    rules = found["NetworkPolicy"]["spec"]["ingress"]
    check(all(port["port"] in ports for rule in rules for port in rule["ports"]), "NetworkPolicy: unknown port")
    security = container["securityContext"]
    check(pod["securityContext"]["runAsNonRoot"] is True and security["readOnlyRootFilesystem"] is True
          and security["allowPrivilegeEscalation"] is False and security["capabilities"]["drop"] == ["ALL"],
          "the container is not confined")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    check(set(volumes) == set(mounts), "volumes and mounts differ")
    check(volumes["config"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"], "unknown ConfigMap")
    config = settings(found["ConfigMap"]["data"]["serve.json"])
    check(config["port"] == ports["http"] and int(config["admin-port"]) == ports["metrics"], "ports and settings differ")
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    check(config["tokens"].startswith(mounts["secrets"])
          and environment["POPCORN_SERVE_STORE_KEY"].startswith(mounts["secrets"]),
          "secrets are not where the settings say")
    check(pod["terminationGracePeriodSeconds"] > config["drain-time"] + 5, "drain is cut off")
    scaler = found["HorizontalPodAutoscaler"]["spec"]
    check(scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment",
                                       "name": found["Deployment"]["metadata"]["name"]}, "HPA scales something else")
    check(2 <= scaler["minReplicas"] <= scaler["maxReplicas"], "HPA bounds")
    check(found["PodDisruptionBudget"]["spec"]["minAvailable"] < scaler["minReplicas"], "no pod can ever be evicted")
    metrics = (ROOT / "service/metrics.cpp").read_text(encoding="utf-8")
    for metric in scaler["metrics"]:
        check(f'"{metric["pods"]["metric"]["name"]}"' in metrics, "HPA follows a metric that nobody exports")


def check_compose():
    compose = load(DEPLOY / "compose.yaml")
    services = compose["services"]
    config = settings((DEPLOY / "serve.json").read_text(encoding="utf-8"))
    for name, service in services.items():
        check("image" in service, f"{name}: no image")
        check(service.get("read_only") is True and service.get("cap_drop") == ["ALL"], f"{name} is not confined")
        for kind, defined in (("networks", compose["networks"]), ("secrets", compose["secrets"])):
            for used in service.get(kind, []):
                check(used in defined, f"{name}: {kind} has no {used}")
        for other in service.get("depends_on", {}):
            check("healthcheck" in services.get(other, {}), f"{name} waits for {other}, which has no health check")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
            check(exists, f"{name}: no {source}")
    replicas = sorted(name for name, service in services.items() if service["image"] == "popcorn")
    check(len(replicas) == 2, "two replicas are wanted")
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    upstreams = sorted(re.findall(r"^\s*server ([a-z0-9-]+):(\d+) ", nginx, flags=re.M))
    check(upstreams == [(name, str(config["port"])) for name in replicas], f"nginx asks {upstreams}")
    for name in replicas:
        check(int(services[name]["stop_grace_period"].rstrip("s")) > config["drain-time"], "drain is cut off")
        environment = services[name]["environment"]
        for file in (config["tokens"], environment["POPCORN_SERVE_STORE_KEY"]):
            check(pathlib.PurePath(file).name in services[name]["secrets"], f"{name} has no {file}")
    for file in re.findall(r"/run/secrets/([a-z_]+)", nginx):
        check(file in services["nginx"]["secrets"], f"nginx has no {file}")
    host = re.match(r"redis://([^:/]+)", environment["POPCORN_SERVE_SESSION_STORE"]).group(1)
    check(host in services and set(services[host]["networks"]) & set(services[replicas[0]]["networks"]), "no Redis")

    prometheus = load(DEPLOY / "prometheus.yml")
    (job,) = prometheus["scrape_configs"]
    check(job["metrics_path"] == "/metrics", "Prometheus asks elsewhere")
    targets = sorted(target for group in job["static_configs"] for target in group["targets"])
    check(targets == [f"{name}:{config['admin-port']}" for name in replicas], f"Prometheus asks {targets}")
    check(sorted(config["admin-names"].split(",")) == replicas, "the admin ports do not know their names")
    mounted = {volume.split(":")[1] for volume in services["prometheus"]["volumes"]}
    check(set(prometheus["rule_files"]) <= mounted, "Prometheus has no rules")


def check_alerts():
    metrics = (ROOT / "service/metrics.cpp").read_text(encoding="utf-8")
    routes = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))["paths"]
    names = []
    for group in load(DEPLOY / "alerts.yml")["groups"]:
        for rule in group["rules"]:
            name, text = rule["alert"], rule["expr"]
            names.append(name)
            check(rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"],
                  f"{name} says neither how bad nor what it is")
            for metric in re.findall(r"popcorn_\w+", text):
                check(f'"{metric}"' in metrics, f"{name} looks at {metric}, which nobody exports")
            for route in re.findall(r'route="([^"]+)"', text):
                check(route in routes, f"{name} looks at the route {route}, which is not there")
            for opening, closing in ("()", "[]", "{}"):
                check(text.count(opening) == text.count(closing), f"{name}: unbalanced {opening}")
    check(len(names) == len(set(names)), "two alerts have one name")


check_kubernetes()
check_compose()
check_alerts()
for finding in findings:
    print(finding)
sys.exit(1 if findings else 0)

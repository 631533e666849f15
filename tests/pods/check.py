#!/usr/bin/env python3
"""Checks all that a user of a cluster copies: the files of deploy/, and every manifest and command in README.md and docs/.

`make manifests` runs it, from the repository's root.
"""

import copy
import glob
import io
import os
import re
import subprocess
import sys

import yaml
from compose_spec import PyCompose

SIDECAR = "config-reloader"
BIN = os.path.dirname(sys.executable)
# Not part of Kubernetes, so there is no schema.
FOREIGN = ("kustomize.config.k8s.io/", "monitoring.coreos.com/")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def read(path):
    with open(path) as file:
        return file.read()


def validate(documents, where):
    """Against Kubernetes' schemas, in which nothing is unknown."""
    text = yaml.safe_dump_all(documents) if not isinstance(documents, str) else documents
    try:
        run(f"{BIN}/kubernetes-validate", "--strict", "/dev/stdin", input=text)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error


def kustomize(directory):
    return run(f"{BIN}/kubectl", "kustomize", directory)


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def only(kind, all_documents):
    found = [document for document in all_documents if document["kind"] == kind]
    assert len(found) == 1, kind
    return found[0]


def sidecar_of(spec):
    assert spec["shareProcessNamespace"] is True
    first = spec["initContainers"][0]
    assert (first["name"], first["restartPolicy"]) == (SIDECAR, "Always")
    return first


def settings(container):
    return {variable["name"]: variable["value"] for variable in container["env"]}


def the_files_are_valid():
    # make cluster checks the chart, which is made of templates.
    apart = ("/compose", "/chart/")
    paths = [path for path in glob.glob("deploy/**/*.yaml", recursive=True) if not any(part in path for part in apart)]
    for path in paths:
        known = [each for each in documents(read(path)) if "apiVersion" in each and not each["apiVersion"].startswith(FOREIGN)]
        if known:
            validate(known, path)
    return f"{len(paths)} files"


def every_pod_is_restricted():
    """Nothing is allowed that is not needed, and all sidecars are the same but for what they watch and signal."""
    recipes = {row.split("|")[2].strip() for row in section("Recipes").splitlines() if row.startswith("| ")}
    sidecars = []
    paths = sorted(glob.glob("deploy/pods/*.yaml"))
    for path in paths:
        spec = only("Pod", documents(read(path)))["spec"]
        assert spec["automountServiceAccountToken"] is False, path
        security = spec["securityContext"]
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, path
        assert bool(security["runAsUser"]) == security.get("runAsNonRoot", False), path
        for container in spec["initContainers"] + spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, path
            assert security["readOnlyRootFilesystem"] is True, path
            assert security["capabilities"]["drop"] == ["ALL"], path
            assert container["resources"]["limits"]["memory"], path
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, path
            probe = container["startupProbe"]
            assert probe["periodSeconds"] * probe["failureThreshold"] >= 60, f"{path}: a slow node needs a minute"
            assert "livenessProbe" not in container, f"{path}: it would restart for nothing"
            assert "." in container["image"].split("/")[0] or container["name"] == SIDECAR, f"{path}: CRI-O needs the whole name"
        sidecar = copy.deepcopy(sidecar_of(spec))
        assert "add" not in sidecar["securityContext"]["capabilities"], path
        set_here = settings(sidecar)
        directory = set_here.pop("CONFIG_DIR")
        assert set_here.pop("LISTEN_ADDR") == ":9533", path
        assert [mount["mountPath"] for mount in sidecar["volumeMounts"]] == [directory], path
        recipe = " ".join(f"`{name}={value}`" for name, value in set_here.items())
        assert recipe in recipes, f"{path}: no recipe is {recipe}"
        for varying in ("env", "volumeMounts"):
            del sidecar[varying]
        sidecars.append(sidecar)
        assert sidecar == sidecars[0], path
    return f"{len(paths)} Pods"


def the_plain_form_is_the_same_pod():
    paths = sorted(glob.glob("deploy/pods/*.yaml"))
    directory = "target/pods/plain"
    os.makedirs(directory, exist_ok=True)
    for path in paths:
        name = os.path.basename(path)
        with open(f"{directory}/{name}", "w") as file:
            file.write(read(path))
        with open(f"{directory}/kustomization.yaml", "w") as file:
            yaml.safe_dump({"resources": [name], "components": ["../../../deploy/plain"]}, file)
        built = documents(kustomize(directory))
        validate(built, f"plain {path}")
        native, plain = only("Pod", documents(read(path)))["spec"], only("Pod", built)["spec"]
        assert not plain.pop("initContainers", None), path
        sidecar = dict(sidecar_of(native))
        del sidecar["restartPolicy"]
        assert plain["containers"] == native["containers"] + [sidecar], path
        os.remove(f"{directory}/{name}")
    return f"{len(paths)} Pods"


# Where each kind of workload has the template of its Pods.
TEMPLATES = {
    "Deployment": ("apps/v1", ["spec", "template"]),
    "StatefulSet": ("apps/v1", ["spec", "template"]),
    "DaemonSet": ("apps/v1", ["spec", "template"]),
    "Job": ("batch/v1", ["spec", "template"]),
    "CronJob": ("batch/v1", ["spec", "jobTemplate", "spec", "template"]),
}


def template(workload):
    for name in TEMPLATES[workload["kind"]][1]:
        workload = workload[name]
    return workload


def built_with(components, resources):
    """What kustomize makes of resources with components of deploy/."""
    directory = "target/pods/overlay"
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/resources.yaml", "w") as file:
        yaml.safe_dump_all(resources, file)
    with open(f"{directory}/kustomization.yaml", "w") as file:
        yaml.safe_dump({"resources": ["resources.yaml"], "components": [f"../../../deploy/{each}" for each in components]}, file)
    return documents(kustomize(directory))


def workload(kind):
    """A workload of this kind that has the label, and the Pods of the example."""
    version, path = TEMPLATES[kind]
    pod = copy.deepcopy(template(only("Deployment", documents(read("deploy/example/nginx.yaml")))))
    selector = {"selector": {"matchLabels": {"app": "nginx"}}} if version == "apps/v1" else {}
    if version == "batch/v1":
        pod["spec"]["restartPolicy"] = "Never"
    spec = {"template": pod, **selector}
    if kind == "CronJob":
        spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": spec}}
    if kind == "StatefulSet":
        spec["serviceName"] = "nginx"
    labels = {"config-reloader/inject": "true"}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": kind.lower(), "labels": labels}, "spec": spec}


def the_component_adds_the_sidecar():
    given = [workload(kind) for kind in TEMPLATES]
    without_label = workload("Deployment")
    without_label["metadata"] = {"name": "without-label"}
    built = built_with(["component"], [*given, without_label])
    validate(built, "component")
    built = {each["metadata"]["name"]: each for each in built}
    assert built.pop("without-label") == without_label
    assert len(built) == len(given), "the component's own resources stay out"
    (container,) = documents(read("deploy/component/sidecar.yaml"))[0]["spec"]["initContainers"]
    for original in given:
        spec = template(built[original["metadata"]["name"]])["spec"]
        assert sidecar_of(spec) == container, original["kind"]
        without = {key: value for key, value in spec.items() if key not in ("initContainers", "shareProcessNamespace")}
        assert without == template(original)["spec"], "nothing else has changed"
    settings_of_annotations = [each for each in container["env"] if "fieldRef" in each.get("valueFrom", {})]
    for each in settings_of_annotations:
        annotation = "config-reloader/" + each["name"].lower().replace("_", "-")
        assert each["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.annotations['{annotation}']", each
    return f"{len(given)} kinds of workloads"


def the_component_names_a_missing_volume():
    for kind, (_, path) in TEMPLATES.items():
        without = workload(kind)
        template(without)["spec"]["volumes"][0]["name"] = "another"
        try:
            built_with(["component"], [without])
        except AssertionError as error:
            field = ".".join(path) + ".spec.volumes.[name=config]"
            assert field in str(error), error
        else:
            raise AssertionError(f"a {kind} without the volume is built")
    return "at build time"


def the_openshift_and_restricted_forms_have_no_ids_of_their_own():
    pods = [only("Pod", documents(read(path))) for path in sorted(glob.glob("deploy/pods/*.yaml")) if "sshd" not in path]
    for pod in built_with(["openshift"], pods):
        validate([pod], "openshift")
        everything = yaml.safe_dump(pod)
        assert "runAsUser" not in everything and "runAsGroup" not in everything, everything
        images = re.findall(r"image: (\S+)", everything)
        assert all("." in image.split("/")[0] for image in images), images
    given = [workload(kind) for kind in TEMPLATES]
    for form in ("openshift", "restricted"):
        for built in built_with(["component", form], given):
            validate([built], form)
            spec = template(built)["spec"]
            security = sidecar_of(spec)["securityContext"]
            assert "runAsUser" not in security and "runAsGroup" not in security, security
            assert security["runAsNonRoot"] is True and security["capabilities"] == {"drop": ["ALL"]}, security
            assert ("runAsUser" in spec["securityContext"]) == (form == "restricted"), form
    return f"{len(pods)} Pods, {len(given)} kinds of workloads"


def every_sidecar_is_found_by_the_pod_monitor():
    monitor = documents(read("deploy/monitoring/podmonitor.yaml"))[0]["spec"]
    assert monitor["selector"] == {} and monitor["namespaceSelector"] == {"any": True}
    (endpoint,) = monitor["podMetricsEndpoints"]
    specs = [only("Pod", documents(read(path)))["spec"] for path in glob.glob("deploy/pods/*.yaml")]
    specs += [template(each)["spec"] for each in documents(kustomize("deploy/example")) if each["kind"] in TEMPLATES]
    for spec in specs:
        sidecar = sidecar_of(spec)
        (port,) = [port["containerPort"] for port in sidecar["ports"] if port["name"] == endpoint["port"]]
        listen = [each["value"] for each in sidecar["env"] if each["name"] == "LISTEN_ADDR"]
        assert listen and listen[0].rsplit(":", 1)[1] == str(port), listen
    return f"{len(specs)} Pods; make cluster sees to those of the policy"


def the_chart_has_the_programs_version():
    chart = yaml.safe_load(read("deploy/chart/Chart.yaml"))
    version = re.search(r'^version = "(.*)"', read("Cargo.toml"), re.M)[1]
    image = yaml.safe_load(read("deploy/chart/values.yaml"))["image"]
    parameters = documents(read("deploy/policy/parameters.yaml"))[0]["data"]
    assert chart["version"] == chart["appVersion"] == version
    assert image == parameters["image"] == f"config-reloader-sidecar:{version}"
    return version


def the_compose_file_is_valid():
    composed = PyCompose.from_yaml(read("deploy/compose.yaml"))
    composed.validate()
    composed.to_spec()
    service = yaml.safe_load(read("deploy/compose.yaml"))["services"]["config-reloader"]
    assert service["pid"].removeprefix("service:") in composed.service_names()
    return "by the Compose specification"


def the_unit_is_valid():
    unit = "deploy/config-reloader@.service"
    # The program that it runs is not installed here.
    text = read(unit).replace("/usr/local/bin/config-reloader-sidecar", "/bin/true")
    os.makedirs("target/pods", exist_ok=True)
    path = "target/pods/config-reloader@nginx.service"
    with open(path, "w") as file:
        file.write(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
    # It reads this machine's other units as well.
    problems = [line for line in done.stderr.splitlines() if "config-reloader" in line]
    assert done.returncode == 0 and not problems, done.stderr
    return run("systemd-analyze", "security", "--offline=yes", "--threshold=25", "--no-pager", path).strip().splitlines()[-1].split(": ")[1]


def documentation():
    return "".join(f"{read(page)}\n## \n" for page in ["README.md", *sorted(glob.glob("docs/**/*.md", recursive=True))])


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## )", documentation(), re.M | re.S)[1]


def blocks(kind, text=None):
    return re.findall(rf"^```{kind}\n(.*?)^```", text or documentation(), re.M | re.S)


def mappings(node):
    """Every mapping of a document, from the outermost on."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(child)


def as_pod(spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "part"}, "spec": spec}


def builds(kustomization):
    """Whether kustomize reads it. The files that it names stand for themselves."""
    directory = "target/pods/documented"
    os.makedirs(directory, exist_ok=True)
    for generator in kustomization.get("configMapGenerator", ()):
        for name in generator["files"]:
            open(f"{directory}/{name}", "w").close()
    deployment = [each for each in documents(read("deploy/example/nginx.yaml")) if each["kind"] == "Deployment"]
    deployment[0]["metadata"]["name"] = "web"
    for name in kustomization.get("resources", ()):
        with open(f"{directory}/{name}", "w") as file:
            yaml.safe_dump_all(deployment, file)
    with open(f"{directory}/kustomization.yaml", "w") as file:
        yaml.safe_dump(kustomization, file)
    return kustomize(directory)


def check_fragment(part, block):
    """Part of a manifest, of which the outermost key says what it is part of."""
    if "spec" in part:
        validate([as_pod(part["spec"])], block)
    elif "annotations" in part:
        check_annotations(part, block)
    elif part.keys() <= {"env", "ports", "securityContext", "readinessProbe", "livenessProbe", "startupProbe", "resources"}:
        validate([as_pod({"containers": [{"name": "part", "image": "part", **part}]})], block)
    else:
        # A chart's values: nobody here knows its fields, but the sidecar's are Kubernetes' own.
        found = list(mappings(part))
        for container in filter(is_sidecar, found):
            validate([as_pod({"containers": [container]})], block)
        for each in found:
            if "podAnnotations" in each:
                check_annotations({"labels": each["podLabels"], "annotations": each["podAnnotations"]}, block)


def check_annotations(part, block):
    known = read("deploy/policy/validation.yaml")
    assert all(f"'{name.removeprefix('config-reloader/')}': [" in known for name in part["annotations"]), block
    assert part.get("labels", {}).items() <= {("config-reloader/inject", "true")}, block


def the_manifests_of_the_docs_are_valid():
    files = {read(path) for path in glob.glob("deploy/**/*.yaml", recursive=True)}
    shown = [block for block in blocks("yaml") if block not in files]
    for block in shown:
        for part in documents(block):
            if "kind" not in part:
                check_fragment(part, block)
            elif part["kind"] == "Kustomization":
                assert builds(part), block
            elif "." in part["apiVersion"].split("/")[0] and not part["apiVersion"].split("/")[0].endswith(".k8s.io"):
                assert part["metadata"]["name"] and part["spec"], block
            else:
                validate([part], block)
    return f"{len(shown)} beside those of deploy"


def is_sidecar(mapping):
    return str(mapping.get("image", "")).split("/")[-1].startswith("config-reloader-sidecar:")


def below(path, directory):
    return (path + "/").startswith(directory + "/")


def check_pod(spec, block):
    """The sidecar sees the application's processes, and what it watches is mounted, from volumes that exist."""
    assert spec.get("shareProcessNamespace") or spec.get("hostPID"), f"no shared namespace:\n{block}"
    containers = spec.get("initContainers", []) + spec["containers"]
    volumes = {volume["name"] for volume in spec.get("volumes", ())}
    for mount in (mount for container in containers for mount in container.get("volumeMounts", ())):
        assert mount["name"] in volumes, f"no volume {mount['name']}:\n{block}"


def check_sidecar(container, block):
    """The program accepts the settings, and mounts are where they say."""
    version = re.search(r'^version = "(.*)"', read("Cargo.toml"), re.M)[1]
    assert container["image"].endswith(f":{version}"), block
    given = settings(container)
    done = subprocess.run([os.environ["SIDECAR"], "check"], env=given, capture_output=True, text=True, check=False)
    # 1: the paths and processes are not those of this machine.
    assert done.returncode in (0, 1), f"{done.stderr}\n{block}"
    known = re.findall(r"^\| `([A-Z_]+)` \|", read("docs/settings.md"), re.M)
    assert given.keys() <= set(known), f"no such setting:\n{block}"
    for path in given["CONFIG_DIR"].split(","):
        # Mounts that somebody adds later are not known here.
        mounts = container.get("volumeMounts")
        assert mounts is None or any(below(path, mount["mountPath"]) for mount in mounts), f"{path} is not mounted:\n{block}"


def every_documented_sidecar_can_work():
    count = 0
    for block in blocks("yaml"):
        for part in (each for document in documents(block) for each in mappings(document)):
            if isinstance(part.get("containers"), list) and any(is_sidecar(each) for each in mappings(part)):
                check_pod(part, block)
            if is_sidecar(part):
                check_sidecar(part, block)
                count += 1
    assert count > 10
    return f"{count} of them"


def goal(name, *_):
    makefiles = ["Makefile", *glob.glob("**/*.mk", recursive=True)]
    assert any(re.search(rf"^{name}( .*)?:", read(path), re.M) for path in makefiles), f"make {name}"


def kubectl(verb, *arguments):
    options = dict(zip(arguments, arguments[1:]))
    directory, file = options.get("-k", options.get("--kustomize")), options.get("-f")
    if verb == "apply" and directory:
        kustomize(directory)
    elif verb == "apply" and file:
        validate(read(file), file)
    elif verb == "exec":
        # make pods runs it in this Pod.
        assert arguments[1:4] == ("-c", SIDECAR, "--") and arguments[4:] == ("/config-reloader-sidecar", "check"), arguments
        assert os.path.exists(f"deploy/pods/{arguments[0]}.yaml"), arguments
    elif verb == "edit":
        only("ConfigMap", [each for each in documents(read(f"deploy/pods/{arguments[1]}.yaml"))])
    else:
        # The others need a cluster. kubectl has them, with these options.
        subcommand = arguments[:2] if (verb, arguments[0]) == ("create", "secret") else ()
        described = run(f"{BIN}/kubectl", verb, *subcommand, "--help")
        for option in re.findall(r"(--[a-z-]+)", " ".join(arguments)):
            assert f"{option}=" in described, f"kubectl {verb} has no {option}"


def helm(verb, _release, chart, *_options):
    # make cluster installs it.
    assert verb == "install" and os.path.exists(f"{chart}/Chart.yaml"), chart


def compose(*arguments):
    assert arguments[:2] == ("compose", "-f") and os.path.exists(arguments[2]), arguments


def installs(*arguments):
    *options, source, target = arguments
    assert source.startswith("target/") or os.path.exists(source), source
    unit = read("deploy/config-reloader@.service")
    assert f"ExecStart={target}\n" in unit or target == "/etc/systemd/system/", target


def systemctl(*arguments):
    assert arguments[-1].startswith("config-reloader@"), arguments


# The beginning of a command, and the function that checks it.
COMMANDS = {"make": goal, "helm": helm, "kubectl": kubectl, "docker": compose, "install": installs, "systemctl": systemctl}


def the_commands_of_the_docs_work():
    # make test-dist runs the commands of the section "Air-gapped", and checks that it covers them all.
    others, count = re.subn(r"^## Air-gapped\n.*?(?=^## )", "", documentation(), flags=re.M | re.S)
    assert count == 1
    commands = [line[2:] for block in blocks("console", others) for line in block.splitlines() if line.startswith("$ ")]
    for command in commands:
        program, *arguments = command.split("#")[0].split()
        assert program in COMMANDS, f"who checks this? {command}"
        COMMANDS[program](*arguments)
    for name in re.findall(r"`make ([a-z0-9-]+)", documentation()):
        goal(name)
    return f"{len(commands)} of them"


def main():
    checks = [
        the_files_are_valid,
        every_pod_is_restricted,
        the_plain_form_is_the_same_pod,
        the_component_adds_the_sidecar,
        the_component_names_a_missing_volume,
        the_openshift_and_restricted_forms_have_no_ids_of_their_own,
        every_sidecar_is_found_by_the_pod_monitor,
        the_chart_has_the_programs_version,
        the_compose_file_is_valid,
        the_unit_is_valid,
        the_manifests_of_the_docs_are_valid,
        every_documented_sidecar_can_work,
        the_commands_of_the_docs_work,
    ]
    for check in checks:
        print(f"{check.__name__.replace('_', ' ')}: {check()}", flush=True)


if __name__ == "__main__":
    main()

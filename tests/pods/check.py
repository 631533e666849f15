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
from cel_expr_python import cel
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
    paths = [path for path in glob.glob("deploy/**/*.yaml", recursive=True) if "/compose" not in path]
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
        sidecar = copy.deepcopy(sidecar_of(spec))
        assert "add" not in sidecar["securityContext"]["capabilities"], path
        set_here = settings(sidecar)
        directory = set_here.pop("CONFIG_DIR")
        assert set_here.pop("LISTEN_ADDR") == "0.0.0.0:9533", path
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


def the_component_adds_the_sidecar():
    built = documents(kustomize("deploy/example"))
    validate(built, "deploy/example")
    assert [each["kind"] for each in built] == ["ConfigMap", "Deployment"], "the values stay out"
    spec = only("Deployment", built)["spec"]["template"]["spec"]
    values = documents(read("deploy/example/config-reloader.yaml"))[0]["data"]
    sidecar = sidecar_of(spec)
    assert settings(sidecar) == {name: values[name] for name in ("CONFIG_DIR", "PROCESS_NAME")}
    mount = {"name": values["VOLUME"], "mountPath": values["CONFIG_DIR"], "readOnly": True}
    assert sidecar["volumeMounts"] == [mount]
    original = only("Deployment", documents(read("deploy/example/nginx.yaml")))["spec"]["template"]["spec"]
    without = {key: value for key, value in spec.items() if key not in ("initContainers", "shareProcessNamespace")}
    assert without == original, "nothing else has changed"
    return "as written"


def evaluate(expression, **variables):
    """An expression of a policy, with its objects as maps: their types are Kubernetes' own."""
    enclosing = []
    for opened in re.finditer(r"(?:(\w+)\s*:\s*\[?\s*)?\b((?:Object|JSONPatch)(?:\.\w+)*)\{|([{}])", expression):
        field, name, brace = opened.groups()
        if brace == "}":
            enclosing.pop()
        else:
            # Like the API server, check that it is an object of the field's type.
            if name and enclosing and enclosing[-1] and enclosing[-1].startswith("Object"):
                assert field is None or name == f"{enclosing[-1]}.{field}", f"{field}: {name}"
            enclosing.append(name)
    expression = re.sub(r"\b(Object|JSONPatch)(\.\w+)*\{", "{", expression)
    expression = re.sub(r"([{,]\s*)([a-zA-Z]+):", r'\1"\2":', expression)
    environment = cel.NewEnv(variables={name: cel.Type.DYN for name in variables})
    return environment.compile(expression).eval(data=variables).plain_value()


def patched(document, patch):
    """RFC 6902, as far as the policy goes: additions."""
    document = copy.deepcopy(document)
    for change in patch:
        assert change["op"] == "add", change
        *parents, key = change["path"].split("/")[1:]
        holder = document
        for parent in parents:
            holder = holder[parent]
        if isinstance(holder, list):
            holder.insert(int(key), change["value"])
        else:
            holder[key] = change["value"]
    return document


def admitted(policy, pod):
    """A Pod as the API server lets it in."""
    spec = policy["spec"]
    if not all(evaluate(condition["expression"], object=pod) for condition in spec["matchConditions"]):
        return pod
    variables = {each["name"]: evaluate(each["expression"], object=pod) for each in spec["variables"]}
    for mutation in spec["mutations"]:
        assert mutation["patchType"] == "JSONPatch"
        pod = patched(pod, evaluate(mutation["jsonPatch"]["expression"], object=pod, variables=variables))
    return pod


def example(annotations):
    """The policy, and a Pod like those of the example's Deployment, with these annotations."""
    policy = only("MutatingAdmissionPolicy", documents(read("deploy/policy.yaml")))
    template = only("Deployment", documents(read("deploy/example/nginx.yaml")))["spec"]["template"]
    metadata = {"name": "injected"} | ({"annotations": annotations} if annotations else {})
    return policy, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def annotations():
    values = documents(read("deploy/example/config-reloader.yaml"))[0]["data"]
    names = {"config-dir": "CONFIG_DIR", "process-name": "PROCESS_NAME", "volume": "VOLUME"}
    return {f"config-reloader/{annotation}": values[name] for annotation, name in names.items()}


def the_policy_injects_what_the_component_adds():
    for others in (None, {"another": "one"}):
        policy, pod = example(others)
        assert admitted(policy, pod) == pod, "it does not ask"
    policy, pod = example(annotations())
    injected = admitted(policy, pod)
    validate([injected], "injected")
    by_component = only("Deployment", documents(kustomize("deploy/example")))["spec"]["template"]["spec"]
    assert injected["spec"] == by_component, "not the same as the component"
    assert admitted(policy, injected) == injected, "a second time"
    pod["spec"]["initContainers"] = [{"name": "first", "image": "first"}]
    names = [container["name"] for container in admitted(policy, pod)["spec"]["initContainers"]]
    assert names == [SIDECAR, "first"], names
    return "with CEL"


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


def the_manifests_of_the_docs_are_those_of_deploy():
    files = {read(path) for path in glob.glob("deploy/**/*.yaml", recursive=True)}
    shown = blocks("yaml")
    for block in shown:
        if block in files:
            continue
        # A fragment of a manifest.
        (part,) = documents(block)
        assert "kind" not in part, f"in no file:\n{block}"
        if "spec" in part:
            validate([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "part"}, **part}], block)
        elif "annotations" in part:
            policy = read("deploy/policy.yaml")
            assert all(f"#     {name}: " in policy for name in part["annotations"]), block
        else:
            container = {"name": "part", "image": "part", **part}
            validate([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "part"}, "spec": {"containers": [container]}}], block)
    return f"{len(shown)} of them"


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
        raise AssertionError(f"kubectl {verb}: who checks this?")


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
COMMANDS = {"make": goal, "kubectl": kubectl, "docker": compose, "install": installs, "systemctl": systemctl}


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


def print_injected():
    """What make pods runs: the example with its Pod as the policy makes it."""
    config = only("ConfigMap", documents(read("deploy/example/nginx.yaml")))
    print(yaml.safe_dump_all([config, admitted(*example(annotations()))]))


def main():
    if sys.argv[1:] == ["print-injected"]:
        return print_injected()
    checks = [
        the_files_are_valid,
        every_pod_is_restricted,
        the_plain_form_is_the_same_pod,
        the_component_adds_the_sidecar,
        the_policy_injects_what_the_component_adds,
        the_compose_file_is_valid,
        the_unit_is_valid,
        the_manifests_of_the_docs_are_those_of_deploy,
        the_commands_of_the_docs_work,
    ]
    for check in checks:
        print(f"{check.__name__.replace('_', ' ')}: {check()}", flush=True)
    return None


if __name__ == "__main__":
    main()

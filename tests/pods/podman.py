#!/usr/bin/env python3
"""Prints the documents of a manifest as JSON, with its Pod as podman 4.3 takes it; nothing else may have changed.

podman.py MANIFEST VOLUMES

 - A native sidecar, for which podman would wait for ever, becomes the first of the containers.
 - Volumes become directories VOLUMES/NAME: the test writes ConfigMaps and Secrets as a kubelet does, and anybody may write to an
   emptyDir, as in a cluster.
 - Images are those that are here.
 - Probes of the containers' health, which are run by systemd, are left out.
"""

import copy
import json
import os
import re
import sys

import yaml

LEFT_OUT = ("startupProbe", "livenessProbe")


def spec(document):
    """Of a Pod, or of the Pods that a Deployment makes."""
    return document["spec"]["template"]["spec"] if document["kind"] == "Deployment" else document["spec"]


def for_podman(pod, volumes):
    sidecars = pod.pop("initContainers", [])
    for sidecar in sidecars:
        assert sidecar.pop("restartPolicy") == "Always", "an ordinary init container"
    pod["containers"] = sidecars + pod["containers"]
    for container in pod["containers"]:
        container["imagePullPolicy"] = "Never"
        for probe in LEFT_OUT:
            container.pop(probe, None)
    for volume in pod["volumes"]:
        path = os.path.join(volumes, volume["name"])
        if volume.pop("emptyDir", None) is not None:
            os.mkdir(path)
            os.chmod(path, 0o777)
        else:
            assert volume.pop("configMap", None) or volume.pop("secret", None), volume
        volume["hostPath"] = {"path": path, "type": "Directory"}


def differences(before, after, path=""):
    """The paths of what is only in one, or not the same in both."""
    if type(before) is type(after) and isinstance(before, (dict, list)):
        if isinstance(before, list):
            before, after = (dict(enumerate(each)) for each in (before, after))
        for key in before.keys() | after.keys():
            if key in before and key in after:
                yield from differences(before[key], after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif before != after:
        yield path


ALLOWED = re.compile(
    r"\.containers\.\d+\.(imagePullPolicy|" + "|".join(LEFT_OUT) + r")"
    r"|\.containers\.0\.restartPolicy"
    r"|\.volumes\.\d+\.(configMap|secret|emptyDir|hostPath)"
)


def main(manifest, volumes):
    with open(manifest) as file:
        documents = list(yaml.safe_load_all(file))
    for document in documents:
        if document["kind"] in ("Pod", "Deployment"):
            before = copy.deepcopy(document)
            for_podman(spec(document), volumes)
            # The same order of containers, except that they are in one list.
            spec(before)["containers"] = spec(before).pop("initContainers", []) + spec(before)["containers"]
            root = ".spec.template.spec" if document["kind"] == "Deployment" else ".spec"
            for path in differences(before, document):
                assert path.startswith(root) and ALLOWED.fullmatch(path.removeprefix(root)), path
    print(json.dumps(documents))


if __name__ == "__main__":
    main(*sys.argv[1:])

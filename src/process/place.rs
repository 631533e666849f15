//! The place of a process: its PID namespaces, and the Pod that its control group names; pid_namespaces(7), cgroups(7). Pure.
//!
//! A kubelet names the group of a Pod by its UID: `…/pod<UID>/<container>`, or under systemd
//! `…/kubepods-burstable-pod<UID>.slice/<container>.scope` with underscores for hyphens. With a control group namespace of its own
//! a process sees itself in `/`, its siblings in `/../<container>`, and other Pods still by their UID.

/// The least length of a Pod's UID: that of a static Pod is a hash without hyphens.
const UID_MIN: usize = 32;
/// The length of other UIDs.
const UID_MAX: usize = 36;

/// The sidecar's own place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The number of PID namespaces it is in, from the one that `/proc` shows downwards; 0 if unknown.
    pub(super) depth: u32,
    /// It is in the machine's own PID namespace, as with `hostPID: true`.
    pub(super) is_machine: bool,
    pub(super) pod: Option<Pod>,
}

/// A Pod by its UID, with hyphens; zeros follow a shorter one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pod([u8; UID_MAX]);

/// Returns the Pod that a line of `/proc/PID/cgroup` names.
pub(super) fn pod_in(line: &[u8]) -> Option<Pod> {
    let mut rest = line;
    while let [_, after @ ..] = rest {
        if let Some(found) = rest.strip_prefix(b"pod").and_then(pod) {
            return Some(found);
        }
        rest = after;
    }
    None
}

/// Returns the Pod whose UID `text` begins with.
fn pod(text: &[u8]) -> Option<Pod> {
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_');
    let length = text.iter().take_while(is_part).count();
    if !(UID_MIN..=UID_MAX).contains(&length) {
        return None;
    }
    let mut uid = [0; UID_MAX];
    for (to, from) in uid.iter_mut().zip(text.iter().take(length)) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    Some(Pod(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0f8b6f21-7d4c-4c53-9c3e-1c2d3e4f5a6b";

    #[test]
    fn p14_a_pod_is_named_by_its_uid_however_the_group_is_written() {
        let expected = pod(UID.as_bytes());
        assert!(expected.is_some());
        for line in [
            "11:memory:/kubepods/burstable/pod0f8b6f21-7d4c-4c53-9c3e-1c2d3e4f5a6b/8d1f",
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f8b6f21_7d4c_4c53_9c3e_1c2d3e4f5a6b.slice/cri-containerd-8d1f.scope",
            "0::/../../pod0f8b6f21-7d4c-4c53-9c3e-1c2d3e4f5a6b/8d1f",
            "0::/../../kubepods-pod0f8b6f21_7d4c_4c53_9c3e_1c2d3e4f5a6b.slice/crio-8d1f.scope",
        ] {
            assert_eq!(pod_in(line.as_bytes()), expected, "{line}");
        }
        let fixed = "3:pids:/kubepods/besteffort/podaf1c6d8a7fdc1e1a2b3c4d5e6f708192/1234";
        assert!(pod_in(fixed.as_bytes()).is_some_and(|pod| Some(pod) != expected));
    }

    #[test]
    fn p14_other_groups_name_no_pod() {
        for line in [
            "0::/",
            "0::/../8d1f",
            "0::/../cri-containerd-8d1f.scope",
            "0::/system.slice/nginx.service",
            "0::/system.slice/docker-0f8b6f217d4c4c539c3e1c2d3e4f5a6b0f8b6f217d4c4c539c3e1c2d3e4f5a6b.scope",
            "1:name=systemd:/kubepods/burstable",
            "0::/user.slice/podman-1234.scope",
            "",
        ] {
            assert_eq!(pod_in(line.as_bytes()), None, "{line}");
        }
    }
}

//! Names of what the chart installs. One installation a cluster, so they are fixed.

/// Where the webhook is, unless the configuration says otherwise.
pub(crate) const NAMESPACE: &str = "active-passive-system";
/// The MutatingWebhookConfiguration.
pub(crate) const CONFIGURATION: &str = "active-passive";
/// Deployment and Service of the webhook.
pub(crate) const WEBHOOK: &str = "active-passive-webhook";
/// Secret of the certificate, unless the webhook is told another one.
pub(crate) const CERTIFICATE: &str = "active-passive-webhook-certificate";
/// The webhook's argument that names the Secret.
pub(crate) const CERTIFICATE_ARGUMENT: &str = "--certificate-secret=";
/// The fencing policies; their bindings have the same names.
pub(crate) const FENCING: [&str; 6] = [
    "lease.active-passive.dev",
    "role.active-passive.dev",
    "service.active-passive.dev",
    "sidecar-lease.active-passive.dev",
    "sidecar-pod.active-passive.dev",
    "sidecar-service.active-passive.dev",
];
/// The policy that derives where Services point, and its binding.
pub(crate) const ROUTING: &str = "route.active-passive.dev";
/// The policy that is there while Service mode is off.
pub(crate) const SERVICE_MODE_OFF: &str = "service-mode-off.active-passive.dev";
/// Label on what the chart installs: the version of the programs.
pub(crate) const VERSION_LABEL: &str = "app.kubernetes.io/version";

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What is installed has these names.
    #[test]
    fn names_are_those_of_the_chart() {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/install.yaml");
        let text = std::fs::read_to_string(deploy).unwrap();
        let holds = |kind: &str, name: &str| {
            let object = format!("kind: {kind}\nmetadata:\n  name: {name}\n");
            assert!(text.contains(&object), "no {kind} {name}");
        };
        holds("Namespace", NAMESPACE);
        holds("MutatingWebhookConfiguration", CONFIGURATION);
        holds("Deployment", WEBHOOK);
        holds("Service", WEBHOOK);
        holds("Secret", CERTIFICATE);
        for name in FENCING {
            holds("ValidatingAdmissionPolicy", name);
            holds("ValidatingAdmissionPolicyBinding", name);
        }
        holds("MutatingAdmissionPolicy", ROUTING);
        holds("MutatingAdmissionPolicyBinding", ROUTING);
        let argument = format!("{CERTIFICATE_ARGUMENT}{CERTIFICATE}");
        assert!(text.contains(&argument) && text.contains(VERSION_LABEL));
        let fenced = text.matches("kind: ValidatingAdmissionPolicy\n").count();
        holds("ValidatingAdmissionPolicy", SERVICE_MODE_OFF);
        // Two tell of pods that went without the sidecar, and that Service mode is off; five narrow
        // the webhook's own account. They fence no roles.
        assert_eq!(fenced, FENCING.len() + 2 + 5);
    }
}

//! The command line, and the environment behind it.

use clap::{Parser, ValueEnum};
use common::contract::{ROUTER_CLUSTER_ROLE, SIDECAR_CLUSTER_ROLE};
use common::duration::NotADuration;
use inject::certs::{Life, Lives};
use std::net::SocketAddr;
use std::time::Duration;

/// Adds a sidecar to annotated pods, and gives each election group its account.
#[derive(Debug, Clone, Parser)]
// An overlay can add an argument, and hardly change one: the last one counts.
#[command(
    name = "active-passive-webhook",
    version,
    args_override_self = true,
    after_help = "As first argument, check, idle, release-services or service-mode does that instead."
)]
pub struct Args {
    /// Own namespace.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,

    /// Service in front of this program; the certificate carries its names.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_SERVICE",
        default_value = "active-passive-webhook"
    )]
    pub service: String,

    /// MutatingWebhookConfiguration that is told whom to trust.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_CONFIGURATION",
        default_value = "active-passive"
    )]
    pub configuration: String,

    /// Who makes the certificate. own: this program, in the Secret. given: somebody else, such as
    /// cert-manager; the Secret then needs tls.crt, tls.key and ca.crt, and is only read.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_CERTIFICATE",
        default_value = "own",
        value_enum
    )]
    pub certificate: CertificateOrigin,

    /// Secret that holds the certificate, in the own namespace.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_CERTIFICATE_SECRET",
        default_value = "active-passive-webhook-certificate"
    )]
    pub certificate_secret: String,

    /// Life of the certificate authority.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_AUTHORITY_LIFETIME",
        default_value = "87600h",
        value_parser = duration
    )]
    pub authority_lifetime: Duration,

    /// How long before its end a next authority is announced.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_AUTHORITY_RENEW_BEFORE",
        default_value = "29200h",
        value_parser = duration
    )]
    pub authority_renew_before: Duration,

    /// Life of the serving certificate.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_CERTIFICATE_LIFETIME",
        default_value = "2160h",
        value_parser = duration
    )]
    pub certificate_lifetime: Duration,

    /// How long before its end the serving certificate is renewed.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_CERTIFICATE_RENEW_BEFORE",
        default_value = "720h",
        value_parser = duration
    )]
    pub certificate_renew_before: Duration,

    /// From one step of an authority's rotation to the next: time for API servers and replicas to
    /// see the last one.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_ROTATION_STEP",
        default_value = "1h",
        value_parser = duration
    )]
    pub rotation_step: Duration,

    /// Image of the sidecar.
    #[arg(long, env = "ACTIVE_PASSIVE_SIDECAR_IMAGE")]
    pub sidecar_image: String,

    /// When the sidecar's image is pulled.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_SIDECAR_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent",
        value_parser = ["Always", "IfNotPresent", "Never"]
    )]
    pub sidecar_image_pull_policy: String,

    /// ClusterRole that each group's account is bound to.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_SIDECAR_CLUSTER_ROLE",
        default_value = SIDECAR_CLUSTER_ROLE
    )]
    pub sidecar_cluster_role: String,

    /// ClusterRole that the accounts of groups with an annotated Service are bound to as well.
    #[arg(long, env = "ACTIVE_PASSIVE_ROUTER_CLUSTER_ROLE", default_value = ROUTER_CLUSTER_ROLE)]
    pub router_cluster_role: String,

    /// Address of the TLS server.
    #[arg(long, env = "ACTIVE_PASSIVE_LISTEN", default_value = "[::]:10250")]
    pub listen: SocketAddr,

    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "ACTIVE_PASSIVE_ADMIN_LISTEN", default_value = "[::]:8080")]
    pub admin_listen: SocketAddr,

    /// How long reviews are still taken after SIGTERM, while the API server learns of it.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_SHUTDOWN_DELAY",
        default_value = "10s",
        value_parser = duration
    )]
    pub shutdown_delay: Duration,

    /// How long reviews in work have after that.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_DRAIN_DEADLINE",
        default_value = "5s",
        value_parser = duration
    )]
    pub drain_deadline: Duration,

    /// Namespaces in which nothing is injected and no account is made, besides the own one: those
    /// that the webhook configuration excludes.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_EXCLUDED_NAMESPACES",
        default_value = "kube-system,kube-node-lease,kube-public",
        value_delimiter = ','
    )]
    pub excluded_namespaces: Vec<String>,

    /// Accounts of groups that are made in the whole cluster. Whoever reaches the port of reviews
    /// can ask for accounts; this bounds how many.
    #[arg(long, env = "ACTIVE_PASSIVE_GROUPS_MAX", default_value_t = 10_000)]
    pub groups_max: usize,

    /// Act on ActivePassivePolicies: the kind is installed, and so are the rights that they need.
    #[arg(long, env = "ACTIVE_PASSIVE_POLICIES")]
    pub policies: bool,

    /// How often workloads are counted for the status of policies, while there is a policy.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_POLICY_STATUS_PERIOD",
        default_value = "30s",
        value_parser = duration
    )]
    pub policy_status_period: Duration,

    /// Reviews that are worked on at once, besides large ones: fewer than there may be connections, so
    /// that not all of these are in use.
    #[arg(
        long,
        env = "ACTIVE_PASSIVE_REVIEWS_MAX",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=512)
    )]
    pub reviews_max: u32,

    /// Filter of the log: a level, or levels by module.
    #[arg(long, env = "ACTIVE_PASSIVE_LOG", default_value = "info")]
    pub log: String,
}

/// Who makes the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CertificateOrigin {
    /// This program.
    Own,
    /// Somebody else.
    Given,
}

impl Args {
    /// How long certificates live; whole seconds.
    pub fn lives(&self) -> Lives {
        let s = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Lives {
            authority: Life {
                life_s: s(self.authority_lifetime),
                renew_before_s: s(self.authority_renew_before),
            },
            serving: Life {
                life_s: s(self.certificate_lifetime),
                renew_before_s: s(self.certificate_renew_before),
            },
            overlap_s: s(self.rotation_step),
        }
    }
}

fn duration(text: &str) -> Result<Duration, NotADuration> {
    common::duration::parse_ms(text).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::contract::{WEBHOOK_ADMIN_PORT, WEBHOOK_PORT};

    #[test]
    fn defaults_are_those_of_the_contract() {
        let line = [
            "webhook",
            "--namespace",
            "active-passive",
            "--sidecar-image",
            "sidecar:1",
        ];
        let args = Args::try_parse_from(line).unwrap();
        assert_eq!(args.listen.port(), WEBHOOK_PORT);
        assert_eq!(args.admin_listen.port(), WEBHOOK_ADMIN_PORT);
        assert_eq!(args.shutdown_delay, Duration::from_secs(10));
        assert_eq!(args.lives(), Lives::default());
    }

    #[test]
    fn the_last_of_two_equal_arguments_counts() {
        let line = [
            "webhook",
            "--namespace=a",
            "--sidecar-image=default",
            "--sidecar-image=overlay",
        ];
        assert_eq!(Args::try_parse_from(line).unwrap().sidecar_image, "overlay");
    }

    #[test]
    fn a_wrong_duration_is_explained() {
        let line = [
            "webhook",
            "--namespace=a",
            "--sidecar-image=b",
            "--shutdown-delay=10",
        ];
        let error = Args::try_parse_from(line).unwrap_err().to_string();
        assert!(
            error.contains("write it like 15s, 1m30s or 500ms"),
            "{error}"
        );
    }
}

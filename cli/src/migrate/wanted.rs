//! What the settings of another elector become: annotations of a pod template, and what is said about
//! the rest.

use super::settings::{Settings, known};
use common::contract;
use common::contract::env;
use common::duration::parse_ms;
use common::seeds::flags::Flags;
use common::seeds::service_leader_election as switch;
use common::seeds::{self, KeyRule, LABEL_KEY, Seed, leader_elector as lock, leader_labeler};

/// The times of client-go's programs, milliseconds, which are ours as well.
const USUAL_TIMES_MS: [u64; 3] = [15_000, 10_000, 2_000];
const TIMES: [&str; 3] = [
    contract::LEASE_DURATION,
    contract::RENEW_DEADLINE,
    contract::RETRY_PERIOD,
];

/// What becomes of an elector's settings.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Name of the election; none: as the workload, or by its labels.
    pub(super) election: Option<String>,
    /// Annotations of the pod template but for profile and group.
    pub(super) annotations: Vec<(&'static str, String)>,
    /// What is told about settings that are no annotations.
    pub(super) told: Vec<String>,
    /// The Service that it points at the leader, and by which key of its selector.
    pub(super) service: Option<(String, String)>,
    /// Where it writes the files that say the role, as it sees that folder itself.
    pub(super) folder: Option<String>,
    /// Port on which it answers HTTP.
    pub(super) port: Option<String>,
}

/// Reads the settings of a system. `labels` are keys of the pod's own labels.
///
/// # Errors
/// Which setting has no annotation, or cannot be known here.
pub(super) fn read(
    seed: &'static Seed,
    settings: &Settings<'_>,
    labels: &[&str],
) -> Result<Wanted, String> {
    if *seed == seeds::APSC {
        apsc(settings)
    } else if *seed == seeds::SERVICE_LEADER_ELECTION {
        service_leader_election(settings)
    } else if *seed == seeds::LEADER_ELECTOR {
        leader_elector(settings, labels)
    } else {
        labeler(seed, settings)
    }
}

fn apsc(settings: &Settings<'_>) -> Result<Wanted, String> {
    settings.at_home(env::POD_NAMESPACE)?;
    let mut wanted = Wanted::default();
    if let Some(key) = settings.variable(LABEL_KEY)? {
        wanted.role_label(&seeds::APSC, "", &key);
    }
    Ok(wanted)
}

fn labeler(seed: &'static Seed, settings: &Settings<'_>) -> Result<Wanted, String> {
    let arguments = settings.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let flags = Flags::read(&arguments, &leader_labeler::FLAGS, &[])?;
    let given = |names: &[&str]| names.iter().find_map(|name| flags.get(name));
    let text = |flag: &str| {
        let value = flags.get(flag);
        value.map(|value| known(flag, value.to_owned())).transpose()
    };
    let [old, new] = [leader_labeler::OLD, leader_labeler::NEW];
    settings.is_home("--namespace", given(&[old[0], new[0]]))?;
    settings.at_home(env::POD_NAMESPACE)?;
    let election = text(leader_labeler::ELECTION)?;
    let election = election.ok_or("it has no --election-name, and so never ran")?;
    let mut wanted = Wanted::default();
    let usual = seed.role_label(&election).map(|names| names.key);
    let key = text(leader_labeler::LEADERSHIP)?
        .or(usual)
        .unwrap_or_default();
    let lease = text(leader_labeler::LEASE_NAME)?;
    let by_rule = seed.lease_name(&election, |_| None);
    let named = match lease {
        // The README's rule gives the Lease the election's name, so any name can be had.
        Some(lease) if lease != by_rule => {
            if *seed != seeds::LEADER_LABELER {
                return Err(format!(
                    "--{} {lease}: under the profile {} the Lease is {by_rule}",
                    leader_labeler::LEASE_NAME,
                    seed.name
                ));
            }
            lease
        }
        _ => election,
    };
    wanted.role_label(seed, &named, &key);
    wanted.election = Some(named);
    let participation = text(leader_labeler::PARTICIPATION)?;
    let usual = leader_labeler::PARTICIPANT.of(wanted.election.as_deref().unwrap_or_default());
    if participation.is_some_and(|key| key != usual) {
        let flag = leader_labeler::PARTICIPATION;
        wanted.told.push(format!(
            "dropped --{flag}: which pods take part is told by the label {}",
            contract::GROUP
        ));
    }
    let duration = given(&[leader_labeler::LEASE_DURATION]);
    let times = [duration, given(&[old[1], new[1]]), given(&[old[2], new[2]])];
    wanted.times(times)?;
    Ok(wanted)
}

fn service_leader_election(settings: &Settings<'_>) -> Result<Wanted, String> {
    let arguments = settings.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let flags = Flags::read(&arguments, &switch::VALUED, &switch::SWITCHES)?;
    let seed = &seeds::SERVICE_LEADER_ELECTION;
    let text = |flag: &str| match flags.get(flag) {
        Some(value) => known(flag, value.to_owned()),
        None => Ok(seed.name.to_owned()),
    };
    settings.is_home("-namespace", flags.get(switch::NAMESPACE))?;
    settings.at_home(env::POD_NAMESPACE)?;
    if flags.get(switch::KUBECONFIG).is_some() {
        return Err(
            "-kubeconfig: an injected sidecar is of the cluster that it runs in".to_owned(),
        );
    }
    if flags.get(switch::PATCH) == Some("false") {
        return Err(
            "-patch-service=false: there the leader alone is ready, and here all pods are; \
             take the flag and the probe of /ready out, and name the Service by -service-name"
                .to_owned(),
        );
    }
    let mut wanted = Wanted {
        election: Some(text(switch::LEASE)?),
        service: Some((text(switch::SERVICE)?, text(switch::KEY)?)),
        ..Wanted::default()
    };
    if let Some(container) = flags.get(switch::CONTAINER) {
        let container = known(switch::CONTAINER, container.to_owned())?;
        wanted.annotations.push((contract::CONTAINERS, container));
    }
    let port = flags
        .get(switch::PORT)
        .map(|it| it.trim_start_matches(':').to_owned());
    wanted.answers_at(port.or_else(|| seed.port.map(|port| port.to_string())));
    Ok(wanted)
}

fn leader_elector(settings: &Settings<'_>, labels: &[&str]) -> Result<Wanted, String> {
    settings.at_home(lock::NAMESPACE)?;
    let seed = &seeds::LEADER_ELECTOR;
    let lease = settings.variable(lock::LEASE_NAME)?;
    if settings.variable(lock::STATUS_FILE)?.is_some() {
        return Err(format!(
            "{}: an injected sidecar writes a folder; set {} instead, whose file `leader` is there \
             on the leader only",
            lock::STATUS_FILE,
            lock::STATUS_DIR
        ));
    }
    let folder = settings.variable(lock::STATUS_DIR)?;
    let usual = seed.status_dir.map(str::to_owned);
    let mut wanted = Wanted {
        election: Some(lease.ok_or("it has no LEASE_NAME, and so never ran")?),
        folder: folder.or(usual),
        ..Wanted::default()
    };
    if settings.variable(lock::LABEL_POD_ROLE)?.as_deref() != Some(lock::LABELS) {
        let Some(KeyRule::Fixed(key)) = seed.role.map(|role| role.key) else {
            return Ok(wanted);
        };
        if labels.contains(&key) {
            // The app means something else by it.
            wanted.role_label(seed, "", contract::ROLE);
        } else {
            let told = format!(
                "added label {key}, which it set only with {}",
                lock::LABEL_POD_ROLE
            );
            wanted.told.push(told);
        }
    }
    let port = settings.variable(lock::HEALTH_PORT)?;
    wanted.answers_at(port.or_else(|| seed.port.map(|port| port.to_string())));
    Ok(wanted)
}

impl Wanted {
    /// An annotation for a key of the role label that does not follow from the election.
    fn role_label(&mut self, seed: &Seed, election: &str, key: &str) {
        let usual = seed.role_label(election).map(|names| names.key);
        if usual.as_deref() != Some(key) {
            self.annotations
                .push((contract::ROLE_LABEL, key.to_owned()));
        }
    }

    /// Annotations for times that do not follow from the others.
    fn times(&mut self, given: [Option<&str>; 3]) -> Result<(), String> {
        let mut follow = true;
        for ((key, value), usual_ms) in TIMES.into_iter().zip(given).zip(USUAL_TIMES_MS) {
            let Some(value) = value else { continue };
            let value = known(key, value.to_owned())?;
            let is_usual = parse_ms(&value) == Ok(usual_ms);
            if !(follow && is_usual) {
                self.annotations.push((key, value));
            }
            follow &= is_usual;
        }
        Ok(())
    }

    fn answers_at(&mut self, port: Option<String>) {
        if let Some(port) = &port {
            self.told.push(format!(
                "dropped port {port}: what answered there answers on the injected sidecar's, {} \
                 unless it is taken",
                contract::SIDECAR_PORT
            ));
        }
        self.port = port;
    }
}
